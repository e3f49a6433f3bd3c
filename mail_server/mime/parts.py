"""The tree of a message: where each part's header and body lie, and what its Content-* fields say.

Invariants: `parse` never raises and copies no body; offsets are into the message as given, children lie in
order inside their parent, and the bytes between them are delimiters, prologue and epilogue, all still there.
Work is bounded whatever the bytes: beyond a cap (depth, parts, header read, scanning) a part is a leaf.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mail_server.mime.headers import (
    FIELD,
    MAX_HEADER,
    header_end,
    parameter_bytes,
    parameter_text,
    split_parameters,
    unfold,
)

MAX_DEPTH = 100
MAX_PARTS = 1000
MAX_HEADERS = 1 << 20  # octets of header interpreted in all
_MAX_MISSES = 10_000  # lines that begin like a delimiter and are none
_MAX_SCAN = 16  # times the size of the message: nested multiparts look through the same bytes again
_FREE_SCAN = 16 << 20  # octets that any message may cost

_WANTED = frozenset(
    b"date subject from sender reply-to to cc bcc in-reply-to message-id "
    b"content-type content-transfer-encoding content-id content-description content-disposition "
    b"content-language content-location content-md5".split()
)
_TYPE = re.compile(rb"\s*+([^\s/;\"()<>@,\[\]?=]++)\s*+/\s*+([^\s/;\"()<>@,\[\]?=]++)")
_TOKEN = re.compile(rb"[^\s;()\",]++")
_DELIMITER_END = re.compile(rb"(--)?+[ \t]*+(?:\r?\n|\r?\Z)")
_US_ASCII = ((b"charset", b"us-ascii"),)


class Part:
    """One entity: a header and a body, inside the message it was parsed from."""

    __slots__ = (
        "body_end",
        "body_start",
        "children",
        "encoding",
        "fields",
        "header_start",
        "lines",
        "params",
        "subtype",
        "type",
    )

    def __init__(self, header_start: int, body_start: int, body_end: int, fields: dict[bytes, bytes]) -> None:
        self.header_start = header_start
        self.body_start = body_start
        self.body_end = body_end
        self.fields = fields
        self.type = "text"
        self.subtype = "plain"
        self.params: tuple[tuple[bytes, bytes], ...] = _US_ASCII
        self.encoding = "7bit"
        self.lines = -1
        self.children: list[Part] = []

    def __repr__(self) -> str:
        return f"<Part {self.content_type} {self.header_start}:{self.body_start}:{self.body_end}>"

    @property
    def header_end(self) -> int:
        return self.body_start

    @property
    def size(self) -> int:
        return self.body_end - self.body_start

    @property
    def content_type(self) -> str:
        return f"{self.type}/{self.subtype}"

    @property
    def is_multipart(self) -> bool:
        return self.type == "multipart"

    @property
    def is_message(self) -> bool:
        """Whether the body is a message, whose tree is `children[0]`."""
        return self.type == "message" and bool(self.children)

    @property
    def id(self) -> bytes | None:
        return self.fields.get(b"content-id")

    @property
    def description(self) -> bytes | None:
        return self.fields.get(b"content-description")

    @property
    def location(self) -> bytes | None:
        return self.fields.get(b"content-location")

    @property
    def md5(self) -> bytes | None:
        return self.fields.get(b"content-md5")

    @property
    def languages(self) -> tuple[bytes, ...]:
        return tuple(_TOKEN.findall(self.fields.get(b"content-language", b"")))

    @property
    def disposition(self) -> str | None:
        match = _TOKEN.match(self.fields.get(b"content-disposition", b""))
        return match[0].lower().decode("latin-1") if match else None

    @property
    def disposition_params(self) -> tuple[tuple[bytes, bytes], ...]:
        value = self.fields.get(b"content-disposition")
        return split_parameters(value)[1] if value else ()

    @property
    def charset(self) -> str | None:
        return parameter_text(self.params, b"charset")

    @property
    def filename(self) -> str | None:
        """The name a person would know the part by: Content-Disposition first, then Content-Type."""
        return parameter_text(self.disposition_params, b"filename") or parameter_text(self.params, b"name")

    def header(self, message: bytes) -> bytes:
        return message[self.header_start : self.body_start]

    def body(self, message: bytes) -> bytes:
        return message[self.body_start : self.body_end]

    def walk(self) -> Iterator[Part]:
        """This part, then all below it, in the order of the message."""
        yield self
        for child in self.children:
            yield from child.walk()


def parse(message: bytes) -> Part:
    """The tree of a whole message."""
    return _Scan(message).entity(0, len(message), 0, False)


class _Scan:
    __slots__ = ("data", "header_left", "misses_left", "parts_left", "scan_left")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.parts_left = MAX_PARTS
        self.header_left = MAX_HEADERS
        self.misses_left = _MAX_MISSES
        self.scan_left = (_MAX_SCAN * len(data)) + _FREE_SCAN

    def entity(self, start: int, end: int, depth: int, in_digest: bool) -> Part:
        data = self.data
        body = header_end(data, start, end)
        limit = min(body, start + min(self.header_left, MAX_HEADER))
        self.header_left -= limit - start
        self.parts_left -= 1
        found: dict[bytes, bytes] = {}
        for name, value in FIELD.findall(data, start, limit):
            name = name.lower()
            if name in _WANTED and name not in found:
                found[name] = unfold(value)
        part = Part(start, body, end, found)
        value = found.get(b"content-transfer-encoding")
        if value and (match := _TOKEN.search(value)) is not None:
            part.encoding = match[0].lower().decode("latin-1")
        value = found.get(b"content-type")
        if value is not None:
            main, params = split_parameters(value)
            match = _TYPE.match(main)
            if match is not None:  # RFC 2045 §5.2: what cannot be read is plain text in ASCII
                part.type = match[1].lower().decode("latin-1")
                part.subtype = match[2].lower().decode("latin-1")
                part.params = params
        elif in_digest:
            part.type, part.subtype, part.params = "message", "rfc822", ()  # RFC 2046 §5.1.5
        if limit < body:
            _make_leaf(part, "application", "octet-stream")
        elif part.type == "multipart":
            self._multipart(part, depth)
        elif part.type == "message" and part.subtype in ("rfc822", "global"):
            self._message(part, depth)
        elif part.type == "text":
            part.lines = data.count(b"\n", body, end)
        return part

    def _message(self, part: Part, depth: int) -> None:
        if depth >= MAX_DEPTH or self.parts_left <= 0:
            _make_leaf(part, "application", "octet-stream")
            return
        part.children.append(self.entity(part.body_start, part.body_end, depth + 1, False))
        _newlines(self.data, part)

    def _multipart(self, part: Part, depth: int) -> None:
        found = parameter_bytes(part.params, b"boundary")
        boundary = found[0].rstrip() if found is not None else b""
        if depth >= MAX_DEPTH or self.parts_left <= 0 or self.scan_left <= 0:
            _make_leaf(part, "application", "octet-stream")
        elif not boundary or not self._split(part, b"\n--" + boundary, depth):
            # Nothing to cut it by: show it as the text it is.
            _make_leaf(part, "text", "plain")
            part.lines = self.data.count(b"\n", part.body_start, part.body_end)

    def _split(self, part: Part, delimiter: bytes, depth: int) -> bool:
        """Cut the body at its delimiter lines (RFC 2046 §5.1.1); whether any part was found."""
        data, end, length = self.data, part.body_end, len(delimiter)
        digest = part.subtype == "digest"
        position = max(part.body_start - 1, 0)  # the first delimiter may follow the blank line at once
        child = -1
        while True:
            at = data.find(delimiter, position, end)
            self.scan_left -= (at if at >= 0 else end) - position
            if at < 0:
                break
            match = _DELIMITER_END.match(data, at + length, end)
            if match is None:
                self.misses_left -= 1
                if self.misses_left < 0:
                    break
                position = at + length
                continue
            if child >= 0:
                part.children.append(self.entity(child, _part_end(data, child, at), depth + 1, digest))
                child = -1
            if match[1] is not None:
                break
            after = match.end()
            if after >= end and data[after - 1] != 10:
                break
            child, position = after, after - 1
            if self.parts_left <= 1:
                break
        if child >= 0:  # no closing delimiter: the last part runs to the end
            part.children.append(self.entity(child, end, depth + 1, digest))
        return bool(part.children)


def _part_end(data: bytes, start: int, at: int) -> int:
    """Where a part that began at `start` ends, the line break at `at` being a delimiter's.

    That line break belongs to the delimiter (RFC 2046 §5.1.1), unless it is the blank line of a header without
    a body: a header is given with its blank line (RFC 9051 §6.4.5.1).
    """
    stop = at - 1 if at > start and data[at - 1] == 13 else at
    if at < start:
        return start
    if (stop == start or data[stop - 1] == 10) and header_end(data, start, at + 1) == at + 1:
        return at + 1
    return stop


def _make_leaf(part: Part, kind: str, subtype: str) -> None:
    part.type, part.subtype = kind, subtype
    part.params = _US_ASCII if kind == "text" else ()
    part.children.clear()


def _newlines(data: bytes, part: Part) -> int:
    """Newlines of a part's body; what was counted below is not counted again (else nesting is quadratic)."""
    if part.lines < 0:
        total = 0
        position = part.body_start
        for child in part.children:
            total += data.count(b"\n", position, child.body_start) + _newlines(data, child)
            position = child.body_end
        part.lines = total + data.count(b"\n", position, part.body_end)
    return part.lines
