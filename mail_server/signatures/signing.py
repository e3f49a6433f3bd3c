"""DKIM-Signature fields (RFC 6376, RFC 8463): which header fields they cover, and how they are written. Pure.

Invariants: relaxed/relaxed; both signatures of a letter share one body hash; no l=; fields that tell who wrote what to
whom are named once more than they occur, so that none can be added (RFC 6376 §8.15).
"""

from __future__ import annotations

import base64
import hashlib
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mail_server.mime import Field
from mail_server.signatures import canonical

# Named once more than they occur, present or not.
OVERSIGNED = (
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
    "x-mss-mes",
    "x-mss-nil",
    "x-mss-codecda",
    "x-mss-ins",
)
# Signed where they occur.
SIGNED = frozenset(
    {
        "auto-submitted",
        "autocrypt",
        "content-description",
        "content-id",
        "content-language",
        "disposition-notification-to",
        "importance",
        "priority",
        "resent-cc",
        "resent-date",
        "resent-from",
        "resent-message-id",
        "resent-to",
    }
)
PRIVATE = "x-mss-"
_MOST = 400  # fields in h=: beyond, a letter's header is no letter's

Signs = Callable[[bytes], bytes]
"""The signature of a SHA-256 digest."""


@dataclass(frozen=True, slots=True)
class Method:
    """With which key a signature is made."""

    algorithm: str  # as a= names it
    selector: str
    sign: Signs = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature is made over, prepared once for several."""

    domain: str
    names: tuple[str, ...]  # h=
    canonical: bytes = field(repr=False)  # the fields of `names`, relaxed
    body_hash: bytes
    at: int  # s
    until: int | None = None  # s


def covered(fields: Sequence[Field]) -> tuple[str, ...]:
    """The names for h=, in an order that never changes for the same fields."""
    found = [one.name for one in fields]
    names: list[str] = []
    for name in OVERSIGNED:
        names += [name] * (found.count(name) + 1)
    extra = sorted({name for name in found if name in SIGNED or name.startswith(PRIVATE)} - set(OVERSIGNED))
    for name in extra:
        names += [name] * found.count(name)
    return tuple(names[:_MOST])


def canonical_fields(fields: Sequence[Field], names: Sequence[str]) -> bytes:
    """The fields that `names` select, from the last of a name upwards (RFC 6376 §5.4.2)."""
    by_name: dict[str, list[Field]] = {}
    for one in fields:
        by_name.setdefault(one.name, []).append(one)
    return b"".join(relaxed(stack.pop()) for name in names if (stack := by_name.get(name)))


def relaxed(one: Field) -> bytes:
    name, _, value = one.raw.partition(b":")
    return canonical.field(name, value)


def dkim_signature(signed: Signed, method: Method) -> bytes:
    """The whole field, with its CRLF."""
    tags = [
        ("v", "1"),
        ("a", method.algorithm),
        ("c", "relaxed/relaxed"),
        ("d", signed.domain),
        ("s", method.selector),
        ("t", str(signed.at)),
        *([("x", str(signed.until))] if signed.until is not None else []),
        ("bh", text(signed.body_hash)),
        ("h", ":".join(signed.names)),
        ("b", ""),
    ]
    return completed("DKIM-Signature", tags, signed.canonical, method)


def completed(name: str, tags: Sequence[tuple[str, str]], before: bytes, method: Method) -> bytes:
    """The field, signed over what `before` has and over itself without its b=, which comes last
    (RFC 6376 §3.7: without its CRLF either)."""
    unsigned = f"{name}: {_written(tags, len(name) + 2)}".encode("ascii")
    own = canonical.field(*_halves(unsigned))[:-2]
    signature = text(method.sign(hashlib.sha256(before + own).digest()))
    folded = "\r\n\t ".join(textwrap.wrap(signature, 72))
    return unsigned + folded.encode("ascii") + b"\r\n"


def text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _halves(one: bytes) -> tuple[bytes, bytes]:
    name, _, value = one.partition(b":")
    return name, value


def _written(tags: Sequence[tuple[str, str]], before: int) -> str:
    """`before`: octets of the first line that are written already."""
    lines: list[str] = []
    line = ""
    for tag, value in tags:
        if tag == "h":
            lines.append(line)
            lines += _names(value)
            line = ""
            continue
        piece = f"{tag}={value}" + (";" if tag != "b" else "")
        if line and (tag == "b" or len(line) + len(piece) > (74 if lines else 74 - before)):
            lines.append(line)
            line = ""
        line = f"{line} {piece}" if line else piece
    return "\r\n\t".join([*lines, line])


def _names(value: str) -> list[str]:
    """h=, folded after its colons (RFC 6376 §3.5)."""
    rows: list[str] = []
    row = "h="
    for name in value.split(":"):
        if len(row) + len(name) > 72:
            rows.append(row)
            row = " "
        row += name + ":"
    return [*rows, row[:-1] + ";"]
