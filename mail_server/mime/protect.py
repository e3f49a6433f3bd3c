"""Header protection (RFC 9788): the inner entity that is sealed, with the original fields inside.

Invariants: the original fields keep their bytes and order, but for those dropped, stale protection marks and
the parameters added to Content-Type; the body is copied once and never changed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from mail_server.mime.headers import FIELD, header_end, unfold

_MARKS = b'; hp="cipher"; protected-headers="v1"\r\n'
_STALE = re.compile(
    rb'"(?:[^"\\]|\\.)*+"|(;\s*+(?:hp|protected-headers)\s*+=\s*+(?:"(?:[^"\\]|\\.)*+"|[^\s;"]*+))',
    re.DOTALL | re.IGNORECASE,
)
_BREAK = re.compile(rb"\r?\n(?![ \t])|\r(?!\n[ \t])|\0")


def protect(
    message: bytes,
    outer: Sequence[tuple[str, bytes]],
    extra: Sequence[bytes] = (),
    drop: Collection[str] = (),
) -> bytes:
    """The cryptographic payload of `message`.

    `outer` are the fields that will stand outside, each told by an HP-Outer (RFC 9788 §2.2); `extra` are
    whole header lines of ours; fields named in `drop` go nowhere. HP-Outer fields that came with the message
    tell of an outside that is not the one we make: they are always dropped.
    """
    end = header_end(message, 0, len(message))
    unwanted = {name.lower().encode("latin-1", "replace") for name in drop} | {b"hp-outer"}
    lines: list[bytes | memoryview] = []
    typed = versioned = False
    for match in FIELD.finditer(message, 0, end):
        raw, name = match[0], match[1]
        if name is None:
            if raw not in (b"", b"\r\n", b"\n"):
                lines.append(_closed(raw))
            continue
        name = name.lower()
        if name in unwanted:
            continue
        if name == b"content-type" and not typed:
            typed = True
            lines.append(_marked(raw))
            continue
        versioned = versioned or name == b"mime-version"
        lines.append(_closed(raw))
    if not versioned:
        lines.append(b"MIME-Version: 1.0\r\n")
    if not typed:
        lines.append(b"Content-Type: text/plain; charset=us-ascii" + _MARKS)
    lines.extend(
        [b"HP-Outer: %b: %b\r\n" % (name.encode("latin-1"), _one_field(value)) for name, value in outer]
    )
    lines.extend([_one_field(line.rstrip(b"\r\n")) + b"\r\n" for line in extra])
    lines.append(b"\r\n")
    lines.append(memoryview(message)[end:])
    return b"".join(lines)


def _closed(raw: bytes) -> bytes:
    """The last line of a message without a body may lack its line end."""
    return raw if raw.endswith(b"\n") else raw.rstrip(b"\r") + b"\r\n"


def _marked(raw: bytes) -> bytes:
    """The Content-Type field with our two parameters, and only ours (RFC 9788 §2.1.1)."""
    kept = raw.rstrip(b" \t\r\n")
    if b"hp" in kept.lower() or b"protected-headers" in kept.lower():
        kept = _STALE.sub(lambda match: b"" if match[1] else match[0], kept)
    if not unfold(kept.partition(b":")[2]):
        kept = kept.rstrip(b" \t\r\n") + b" text/plain; charset=us-ascii"
    return kept.rstrip(b" \t\r\n;") + _MARKS


def unprotected(entity: bytes) -> bytes:
    """An entity without the marks of protection, for a letter that goes on in clear: no HP-Outer field, no parameter
    on its Content-Type that says it was sealed (RFC 9788 §2.1.1, §2.2)."""
    end = header_end(entity, 0, len(entity))
    lines: list[bytes | memoryview] = []
    for match in FIELD.finditer(entity, 0, end):
        raw, name = match[0], (match[1] or b"").lower()
        if name == b"content-type":
            lines.append(_STALE.sub(lambda found: b"" if found[1] else found[0], raw))
        elif name != b"hp-outer" and (name or raw in (b"\r\n", b"\n")):
            lines.append(
                raw
            )  # a line that is no field would end the header for some, or go on with another field
    lines.append(memoryview(entity)[end:])
    return b"".join(lines)


def _one_field(value: bytes) -> bytes:
    """Folding is kept; anything that would begin another field is not."""
    return _BREAK.sub(b" ", value.strip(b" \t\r\n"))
