"""Authentication-Results (RFC 8601): written for the reader, taken away where somebody else wrote it
under our name.

Invariant: what is written is ASCII of ours; a value from a letter is a name, a number or quoted.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from mail_server.mime import Field
from mail_server.mime.headers import FIELD, header_end, strip_comments
from mail_server.signatures.marks import Mark

FIELD_NAME = "authentication-results"
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+")
_ID = re.compile(rb'\s*(?:"((?:[^"\\]|\\.)*+)"|([^\s;"]++))', re.DOTALL)


class Result(enum.StrEnum):
    """RFC 8601 §2.7.1."""

    NONE = "none"
    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    POLICY = "policy"
    NEUTRAL = "neutral"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of one signature."""

    mark: Mark
    result: Result
    comment: str = ""
    bits: int = 0


@dataclass(frozen=True, slots=True)
class Verified:
    """What came of all that a letter carries."""

    signatures: tuple[Judged, ...] = ()
    arc: Result = Result.NONE
    arc_comment: str = ""
    sealed_by: str = ""  # domain that sealed the chain last, once it passes
    sets: int = 0  # of the chain

    def passed(self, domain: str) -> Judged | None:
        """A signature of that very domain that verifies."""
        return next(
            (one for one in self.signatures if one.result is Result.PASS and one.mark.domain == domain), None
        )

    @property
    def later(self) -> bool:
        """Whether something could not be verified now, but may be in a while."""
        return self.arc is Result.TEMPERROR or any(one.result is Result.TEMPERROR for one in self.signatures)


NOTHING = Verified()


@dataclass(frozen=True, slots=True)
class Handover:
    """By whom the letter was handed over on port 25: what the trust list and TLS say."""

    dn: str = field(default="")
    domain: str = ""


def written(authserv_id: str, verified: Verified | None, handed: Handover | None) -> bytes:
    """The whole field, with its CRLF. `verified` None: nobody looked, and nothing is said of it."""
    return f"Authentication-Results: {results(authserv_id, verified, handed)}\r\n".encode("ascii", "replace")


def results(authserv_id: str, verified: Verified | None, handed: Handover | None) -> str:
    """What follows the field's name; an ARC-Authentication-Results has the same (RFC 8617 §4.1.1)."""
    told: list[str] = []
    if verified is not None:
        told = [_signature(one) for one in verified.signatures] or ["dkim=none"]
        told.append(f"arc={verified.arc}" + _comment(verified.arc_comment))
    if handed is not None:
        told.append(f"x-tls=pass policy.dn={_value(handed.dn)}")
        told.append("x-mss=pass" + (f" policy.domain={_value(handed.domain)}" if handed.domain else ""))
    # RFC 8601 §2.2: a field that tells nothing says so.
    return ";\r\n\t".join([authserv_id, *(told or ["none"])])


def _signature(one: Judged) -> str:
    weak = one.result is Result.PASS and 0 < one.bits < 2048 and one.mark.algorithm.startswith("rsa")
    comment = one.comment or (f"{one.bits}-bit key" if weak else "")
    properties = {
        "header.d": one.mark.domain,
        "header.s": one.mark.selector,
        "header.a": one.mark.algorithm,
        "header.b": one.mark.begun,
    }
    shown = "".join(f" {name}={_value(value)}" for name, value in properties.items() if value)
    return f"dkim={one.result}{_comment(comment)}{shown}"


def _comment(text: str) -> str:
    safe = "".join(one for one in text if one.isascii() and one.isprintable() and one not in "()\\")
    return f" ({safe})" if safe else ""


def _value(text: str) -> str:
    if _TOKEN.fullmatch(text):
        return text
    printable = "".join(one if one.isascii() and one.isprintable() else "?" for one in text)
    return '"' + printable.replace("\\", "\\\\").replace('"', '\\"') + '"'


def claims(found: Field, authserv_id: str) -> bool:
    """Whether the field says that it is ours."""
    if found.name != FIELD_NAME:
        return False
    match = _ID.match(strip_comments(found.value))
    said = (match[1] or match[2] or b"") if match else b""
    return said.replace(b"\\", b"").strip().lower() == authserv_id.lower().encode("ascii", "replace")


def without_forged(message: bytes, fields: Sequence[Field], authserv_id: str) -> bytes:
    """The message without fields that claim our name (RFC 8601 §5); the very same object when there is none."""
    forged = {one.raw for one in fields if claims(one, authserv_id)}
    if not forged:
        return message
    end = header_end(message, 0, len(message))
    # Field by field: text that looks like a field inside another's fold is no field, and stays.
    kept = [match[0] for match in FIELD.finditer(message, 0, end) if match[0] not in forged]
    return b"".join(kept) + message[end:]
