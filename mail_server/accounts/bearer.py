"""An app password as one word, for programs that send `Authorization: Bearer` (RFC 6750).

Invariant: what `token` makes, `parsed` reads; whatever else is None, and nothing of it reaches an exception.
"""

from __future__ import annotations

import base64
import binascii

MARK = "vm1_"  # the beginning of every token of ours
_LONGEST = 1000


def token(address: str, password: str) -> str:
    """The mark, then address and password in base64url without padding."""
    return MARK + base64.urlsafe_b64encode(f"{address}:{password}".encode()).rstrip(b"=").decode()


def parsed(text: str) -> tuple[str, str] | None:
    """Address and password of a token; None for what is none."""
    if not text.startswith(MARK) or len(text) > _LONGEST:
        return None
    encoded = text.removeprefix(MARK)
    try:
        clear = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        address, colon, password = clear.decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (address, password) if address and colon and password else None
