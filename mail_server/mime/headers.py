"""Header blocks, read as bytes: fields by offset, unfolding, encoded words, parameters, message-ids.

Invariants: never raises; a field's `raw` is the very bytes of the block, so that selecting fields never
rewrites one; every regular expression here runs in time linear in its input (possessive quantifiers).
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from mail_server.mime.charsets import decode_text

MAX_HEADER = 1 << 18  # octets of one header interpreted; what lies beyond stays in the bytes, nameless

# One logical line: an optional name and its colon, then the text with its folded lines (RFC 5322 §2.2).
# A line without a colon is taken whole, nameless: it must not hide the fields that follow it.
FIELD = re.compile(rb"(?:([^\s:]++)[ \t]*+:)?([^\n]*+(?:\n[ \t][^\n]*+)*+)\n?")
_LINE_END = re.compile(rb"\r?\n")
_WORD = re.compile(rb"=\?([^?\s]{1,80})\?([bBqQ])\?([^?]*+)\?=")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PARAMETER = re.compile(
    rb';\s*+(?:([^\s=;"]++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"|"?([^;]*+)))?',
    re.DOTALL,
)
_COMMENT_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|\\.|[()]', re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_SEGMENT = re.compile(rb"([^*]++)(?:\*(\d{1,3}))?(\*)?")
_BRACKETED_ID = re.compile(rb"<([^<>]{1,998})>")
_BARE_TOKEN = re.compile(rb"[^\s<>,;\"()]++")
_SPACE = re.compile(rb"\s++")
_LONG_VALUES = frozenset({b"name", b"filename"})


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a header block."""

    name: str  # lower case
    raw: bytes = field(repr=False)  # byte for byte, folds and line end included
    value: bytes = field(repr=False)  # unfolded and trimmed


def unfold(value: bytes) -> bytes:
    """RFC 5322 §2.2.3: line ends go, the white space after them stays; the ends are trimmed."""
    value = value.strip(b" \t\r\n")
    return _LINE_END.sub(b"", value) if b"\n" in value else value


def header_end(data: bytes, start: int, end: int) -> int:
    """Offset just after the blank line that closes the header block at `start`; `end` when there is none."""
    if data.startswith(b"\r\n", start, end):
        return start + 2
    if data.startswith(b"\n", start, end):
        return start + 1
    near = min(end, start + 65536)
    found = _blank_line(data, start, near)
    if found < 0 and near < end:
        found = _blank_line(data, near - 3, end)
    return found if found >= 0 else end


def _blank_line(data: bytes, start: int, end: int) -> int:
    crlf = data.find(b"\n\r\n", start, end)
    bare = data.find(b"\n\n", start, end if crlf < 0 else crlf)
    if bare >= 0:
        return bare + 2
    return crlf + 3 if crlf >= 0 else -1


def header_block(message: bytes) -> bytes:
    """The header block with its closing blank line, when it has one."""
    return message[: header_end(message, 0, len(message))]


def fields(block: bytes) -> list[Field]:
    """Every named field in order; `block` may be a whole message."""
    end = min(header_end(block, 0, len(block)), MAX_HEADER)
    found: list[Field] = []
    for match in FIELD.finditer(block, 0, end):
        name, value = match.groups()
        if name:
            found.append(Field(name.lower().decode("latin-1"), match[0], unfold(value)))
    return found


def first(block: bytes, name: str) -> bytes | None:
    """Value of the first field of that name, unfolded; None when there is none."""
    wanted = name.lower().encode("latin-1", "replace")
    end = min(header_end(block, 0, len(block)), MAX_HEADER)
    for key, value in FIELD.findall(block, 0, end):
        if key.lower() == wanted:
            return unfold(value)
    return None


def select(block: bytes, names: Collection[bytes | str], exclude: bool = False) -> bytes:
    """HEADER.FIELDS, or with `exclude` HEADER.FIELDS.NOT: the chosen fields and the block's blank line.

    RFC 9051 §6.4.5.1: the blank line is always there, unless the block has none.
    """
    wanted = {
        (name.encode("utf-8", "replace") if isinstance(name, str) else name).strip().lower() for name in names
    }
    limit = min(len(block), MAX_HEADER)
    chosen: list[bytes] = []
    for match in FIELD.finditer(block, 0, limit):
        name = match[1]
        raw = match[0]
        if raw in (b"\r\n", b"\n"):
            chosen.append(raw)  # the blank line closes the block
            break
        if (name is not None and name.lower() in wanted) is not exclude:
            chosen.append(raw)
    if limit < len(block):
        # What was not interpreted has no names: it is in HEADER.FIELDS.NOT alone.
        chosen.append(block[limit:] if exclude else b"\r\n")
    return b"".join(chosen)


def decoded(value: bytes) -> str:
    """Text of a field's value: encoded words (RFC 2047), UTF-8 (RFC 6532), or whatever it is."""
    if b"\n" in value:
        value = unfold(value)
    if b"=?" not in value:
        return _CONTROL.sub(" ", decode_text(value))
    out: list[str] = []
    pending = b""  # bytes of adjacent words in one charset: a character may be cut between two words
    charset = ""
    position = 0
    for match in _WORD.finditer(value):
        between = value[position : match.start()]
        label = match[1].split(b"*", 1)[0].decode("latin-1").lower()  # RFC 2231 §5: charset*language
        data = _word_bytes(match[2], match[3])
        adjacent = pending and not between.strip()  # RFC 2047 §6.2: white space between words goes
        if adjacent and label == charset:
            pending += data
        else:
            if pending:
                out.append(decode_text(pending, charset))
            if not adjacent:
                out.append(decode_text(between))
            pending, charset = data, label
        position = match.end()
    if pending:
        out.append(decode_text(pending, charset))
    out.append(decode_text(value[position:]))
    return _CONTROL.sub(" ", "".join(out))


def _word_bytes(encoding: bytes, text: bytes) -> bytes:
    if encoding in b"qQ":
        return binascii.a2b_qp(text, header=True)
    return decode_base64(text)


_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)


def decode_base64(data: bytes) -> bytes:
    """Base64 with anything in between; what a cut end leaves over is dropped."""
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        digits = data.translate(None, _NOT_BASE64)
        rest = len(digits) % 4
        digits = digits[:-1] if rest == 1 else digits + b"=" * (-rest % 4)
        return binascii.a2b_base64(digits)


def strip_comments(value: bytes) -> bytes:
    """Without RFC 5322 comments; an unclosed one runs to the end. Quoted strings are left alone."""
    if b"(" not in value:
        return value
    out: list[bytes] = []
    depth = position = 0
    scan = _COMMENT_TOKEN.search
    at = 0
    while (match := scan(value, at)) is not None:
        token = match[0]
        at = match.end()
        if token == b"(":
            if depth == 0:
                out.append(value[position : match.start()])
            depth += 1
        elif token == b")" and depth:
            depth -= 1
            position = at
        elif depth and token[:1] == b'"':
            at = match.start() + 1  # a quote means nothing inside a comment
    if not depth:
        out.append(value[position:])
    return b"".join(out)


def split_parameters(value: bytes) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
    """Unfolded `main; a=b; c="d"` into main and its parameters: unquoted, names in lower case."""
    if b"(" in value:
        value = strip_comments(value)
    main, semicolon, _ = value.partition(b";")
    if not semicolon:
        return main.strip(), ()
    found: list[tuple[bytes, bytes]] = []
    for name, quoted, bare in _PARAMETER.findall(value, len(main)):
        if not name:
            continue
        name = name.lower()
        if bare:
            # Blanks end a bare value, but file names are often written without their quotes.
            text = bare.strip() if name in _LONG_VALUES else (bare.split(None, 1) or [b""])[0]
        else:
            text = _QUOTED_PAIR.sub(rb"\1", quoted) if b"\\" in quoted else quoted
        found.append((name, text))
    return main.strip(), tuple(found)


def parameter_bytes(params: Iterable[tuple[bytes, bytes]], name: bytes) -> tuple[bytes, str | None] | None:
    """A parameter's value and charset, its RFC 2231 continuations joined and its percent signs undone."""
    plain: bytes | None = None
    segments: dict[int, tuple[bytes, bool]] = {}
    for key, value in params:
        if key == name:
            plain = value if plain is None else plain
        elif b"*" in key and key.startswith(name):
            match = _SEGMENT.fullmatch(key)
            if match is not None and match[1] == name:
                segments.setdefault(int(match[2] or 0), (value, match[3] is not None))
    if 0 not in segments:
        return None if plain is None else (plain, None)
    charset: str | None = None
    out: list[bytes] = []
    for number in range(len(segments)):
        if number not in segments:
            break  # RFC 2231 §3: numbered from 0 without a hole
        value, extended = segments[number]
        if extended:
            if number == 0 and value.count(b"'") >= 2:
                label, _, value = value.split(b"'", 2)
                charset = label.decode("latin-1") or None
            value = unquote_to_bytes(value)
        out.append(value)
    return b"".join(out), charset


def parameter_text(params: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    """A parameter as text: RFC 2231, or the encoded words that many programs put there instead."""
    found = parameter_bytes(params, name)
    if found is None:
        return None
    value, charset = found
    return decoded(value) if charset is None else _CONTROL.sub(" ", decode_text(value, charset))


def parameters(value: bytes) -> dict[str, str]:
    """All parameters of a Content-Type or Content-Disposition value, decoded."""
    params = split_parameters(unfold(value))[1]
    names: Sequence[bytes] = list(dict.fromkeys(key.split(b"*", 1)[0] for key, _ in params))
    found: dict[str, str] = {}
    for name in names[:200]:
        text = parameter_text(params, name)
        if text is not None:
            found[name.decode("latin-1")] = text
    return found


def message_ids(value: bytes) -> list[bytes]:
    """The message-ids of a Message-ID, References or In-Reply-To value, each in its angle brackets."""
    found = [_SPACE.sub(b"", inner) for inner in _BRACKETED_ID.findall(value)]
    if not found and b"<" not in value:
        found = [token for token in _BARE_TOKEN.findall(value) if b"@" in token[1:-1]]
    return [b"<" + inner + b">" for inner in found if inner]
