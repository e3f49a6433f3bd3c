"""What a sender asks to be told, as MAIL and RCPT parameters say it (RFC 3461 §4), for every door.

Invariants: pure; a value is kept as it was given, or is None: refused; what is decoded is text for a report, never
an address to send to.
"""

from __future__ import annotations

import re

from mail_server.outbound.interface import Notify

KEYWORDS_OF_MAIL = frozenset({"RET", "ENVID"})
KEYWORDS_OF_RCPT = frozenset({"NOTIFY", "ORCPT"})
MOST_OF_ENVID = 100  # characters (RFC 3461 §4.4)
MOST_OF_ORCPT = 500  # RFC 3461 §4.2

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")  # RFC 3461 §4
_ENCODED = re.compile(r"\+([0-9A-F]{2})")
_PRINTABLE = re.compile(r"[ -~]+")
_TYPE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?")  # an IANA keyword: "rfc822", "utf-8"
# RFC 6533 §3: what is not ASCII is written as it is (SMTPUTF8 alone) or as \x{…}; `+`, `=`, `\` always so.
_UNITEXT = re.compile(
    "(?:[!-*,-<>-\\[\\]-~\u00a0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010fffd]"
    r"|\\x\{(?:10|0?[1-9A-F])?[0-9A-F]{1,5}\})*"
)
_EMBEDDED = re.compile(r"\\x\{([0-9A-F]{2,6})\}")
_WORDS = {"SUCCESS": Notify.SUCCESS, "FAILURE": Notify.FAILURE, "DELAY": Notify.DELAY}


def notify(value: str | None) -> Notify | None:
    """RFC 3461 §4.1: NEVER, or any of the three others."""
    words = (value or "").upper().split(",")
    if words == ["NEVER"]:
        return Notify.NEVER
    found = Notify.NONE
    for word in words:
        if word not in _WORDS:
            return None
        found |= _WORDS[word]
    return found


def ret(value: str | None) -> str | None:
    """RFC 3461 §4.3."""
    word = (value or "").upper()
    return word if word in ("FULL", "HDRS") else None


def envid(value: str | None) -> str | None:
    """RFC 3461 §4.4: xtext of printable ASCII."""
    if not value or len(value) > MOST_OF_ENVID or _PRINTABLE.fullmatch(xtext_decoded(value)) is None:
        return None
    return value


def orcpt(value: str | None, *, smtputf8: bool) -> str | None:
    """RFC 3461 §4.2, RFC 6533 §3: `type;address`."""
    if not value or len(value) > MOST_OF_ORCPT:
        return None
    kind, separator, address = value.partition(";")
    if not separator or not address or _TYPE.fullmatch(kind) is None:
        return None
    if kind.lower() == "utf-8":
        fits = _UNITEXT.fullmatch(address) is not None and (smtputf8 or address.isascii())
        return value if fits and original(value) else None
    return value if _PRINTABLE.fullmatch(xtext_decoded(address)) is not None else None


def xtext(text: str) -> str:
    """Printable ASCII as xtext."""
    return "".join(
        character if "!" <= character <= "~" and character not in "+=" else f"+{ord(character):02X}"
        for character in text
    )


def xtext_decoded(value: str) -> str:
    """The text meant; "" for what is not xtext."""
    if _XTEXT.fullmatch(value) is None:
        return ""
    return _ENCODED.sub(lambda found: chr(int(found[1], 16)), value)


def original(given: str) -> tuple[str, str] | None:
    """The type and the address that an ORCPT names, decoded; None where it cannot be told in a report."""
    kind, separator, address = given.partition(";")
    if not separator or _TYPE.fullmatch(kind) is None:
        return None
    if kind.lower() != "utf-8":
        text = xtext_decoded(address)
        return (kind, text) if _PRINTABLE.fullmatch(text) else None
    try:
        text = _EMBEDDED.sub(lambda found: chr(int(found[1], 16)), address)
        text.encode("utf-8")
    except (ValueError, OverflowError):
        return None
    return (kind, text) if text and text.isprintable() else None


def envid_written(text: str) -> str | None:
    """As SMTP has what a page gives decoded (RFC 8621 §7)."""
    return envid(xtext(text))


def orcpt_written(given: str) -> str | None:
    """The same of `type;address`; in ASCII whatever it holds."""
    kind, separator, address = given.partition(";")
    if kind.lower() == "utf-8":
        address = "".join(
            character
            if "!" <= character <= "~" and character not in "+=\\"
            else f"\\x{{{ord(character):02X}}}"
            for character in address
        )
    elif address.isascii():
        address = xtext(address)
    return orcpt(f"{kind}{separator}{address}", smtputf8=False)
