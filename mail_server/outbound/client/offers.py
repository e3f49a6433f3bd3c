"""What a server offers in its answer to EHLO, as far as this client uses it.

Invariant: only what came inside TLS counts (RFC 3207 §4.2), and what cannot be read was not offered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MOST_RECIPIENTS = 100  # of one transaction: what every server must take (RFC 5321 §4.5.3.1.8)
_LARGEST = 1 << 62


@dataclass(frozen=True, slots=True)
class Offers:
    pipelining: bool = False  # RFC 2920
    dsn: bool = False  # RFC 3461
    eight_bit: bool = False  # RFC 6152
    smtputf8: bool = False  # RFC 6531
    size: bool = False  # RFC 1870
    largest: int = 0  # octets; 0: no limit is named
    recipients: int = MOST_RECIPIENTS  # of one transaction (RFC 9422 RCPTMAX)
    letters: int = 0  # of one connection (RFC 9422 MAILMAX); 0: none is named


def read(extensions: Mapping[str, str]) -> Offers:
    """From aiosmtplib's reading of EHLO: keywords in lower case, parameters as they came."""
    limits = _limits(extensions.get("limits", ""))
    return Offers(
        pipelining="pipelining" in extensions,
        dsn="dsn" in extensions,
        eight_bit="8bitmime" in extensions,
        smtputf8="smtputf8" in extensions,
        size="size" in extensions,
        largest=_number(extensions.get("size", "")),
        recipients=min(MOST_RECIPIENTS, limits.get("RCPTMAX", 0) or MOST_RECIPIENTS),
        letters=limits.get("MAILMAX", 0),
    )


def _limits(text: str) -> dict[str, int]:
    pairs = (word.partition("=") for word in text.split(" ")[:32])
    return {name.upper(): _number(value) for name, _, value in pairs}


def _number(text: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        return 0
    return min(int(text), _LARGEST)
