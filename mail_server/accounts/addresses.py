"""What an address of this node looks like.

Invariants: an address that passed `local_address` is lower-case ASCII, a dot-atom and a domain name, at
most 254 characters (RFC 5321 §4.5.3.1), so that it needs no quoting anywhere.
"""

from __future__ import annotations

import re

_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"  # RFC 5322 §3.2.3
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
LOCAL_PART = re.compile(rf"^(?=.{{1,64}}\Z){_ATOM}(?:\.{_ATOM})*\Z")
DOMAIN = re.compile(rf"^(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\Z")


def parsed(address: str) -> tuple[str, str] | None:
    """Local part and domain in lower case, or None when it is not an address we could give to an account."""
    if not address.isascii() or len(address) > 254:
        return None
    local, at, domain = address.lower().rpartition("@")
    if not at or not LOCAL_PART.match(local) or not DOMAIN.match(domain):
        return None
    return local, domain
