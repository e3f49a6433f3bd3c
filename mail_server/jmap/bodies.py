"""The parts of a message as JMAP tells them: structure, text to show, attachments (RFC 8621 §4.1.4).

Invariants: reading never raises; a part's blob id says where it lies (its IMAP number and its Email's id), so
that nothing has to be remembered; message/rfc822 is a leaf here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import unescape
from typing import Any

from mail_server import mime
from mail_server.jmap import header_forms
from mail_server.mime import Part

PROPERTIES = (
    "partId", "blobId", "size", "headers", "name", "type", "charset", "disposition", "cid", "language",
    "location", "subParts",
)  # fmt: skip
DEFAULT = (
    "partId",
    "blobId",
    "size",
    "name",
    "type",
    "charset",
    "disposition",
    "cid",
    "language",
    "location",
)
PREVIEW = 256  # characters (RFC 8621 §4.1.4)
_PREVIEW_PEEK = 16_384  # octets of an encoded text looked at
_MARKUP = re.compile(r"<(style|script|title|head)\b.*?(?:</\1\s*>|\Z)|<[^>]*>?", re.DOTALL | re.IGNORECASE)
_PART_BLOB = re.compile(r"P([1-9][0-9]{0,3}(?:_[1-9][0-9]{0,3}){0,99})-([A-Za-z0-9_-]{1,200})")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A part and its number."""

    part: Part = field(repr=False)
    number: str  # "1.2": the partId


@dataclass(slots=True)
class Shown:
    """The three lists of RFC 8621 §4.1.4."""

    text: list[Leaf] = field(default_factory=list[Leaf])
    html: list[Leaf] = field(default_factory=list[Leaf])
    attachments: list[Leaf] = field(default_factory=list[Leaf])

    @property
    def has_attachment(self) -> bool:
        return any(each.part.disposition != "inline" for each in self.attachments)


def part_blob(email_id: str, number: str) -> str:
    return f"P{number.replace('.', '_')}-{email_id}"


def read_part_blob(blob: str) -> tuple[str, list[int]] | None:
    """The Email and the part's number a blob id speaks of."""
    match = _PART_BLOB.fullmatch(blob)
    return (match[2], [int(each) for each in match[1].split("_")]) if match else None


def number_of(above: str, at: int) -> str:
    return f"{above}.{at}" if above else str(at)


def leaves(part: Part, number: str = "") -> Iterator[Leaf]:
    """Every part that is no multipart, in order."""
    if not part.is_multipart:
        yield Leaf(part, number or "1")
        return
    for at, child in enumerate(part.children, start=1):
        yield from leaves(child, number_of(number, at))


def shown(tree: Part) -> Shown:
    """RFC 8621 §4.1.4, its algorithm."""
    lists = Shown()
    _sort([(tree, "" if tree.is_multipart else "1")], "mixed", False, lists, lists.text, lists.html)
    return lists


def _sort(
    parts: Sequence[tuple[Part, str]],
    within: str,
    in_alternative: bool,
    lists: Shown,
    text: list[Leaf] | None,
    html: list[Leaf] | None,
) -> None:
    texts, htmls = len(text) if text is not None else -1, len(html) if html is not None else -1
    for at, (part, number) in enumerate(parts):
        leaf = Leaf(part, number)
        if part.is_multipart:
            children = [(child, number_of(number, n)) for n, child in enumerate(part.children, start=1)]
            alternative = in_alternative or part.subtype == "alternative"
            _sort(children, part.subtype, alternative, lists, text, html)
        elif not _is_inline(part, at, within):
            lists.attachments.append(leaf)
        elif within == "alternative":
            chosen = {"text/plain": text, "text/html": html}.get(part.content_type)
            (chosen if chosen is not None else lists.attachments).append(leaf)
        else:
            if in_alternative:
                # One side of the alternative goes on alone from here.
                html = None if part.content_type == "text/plain" else html
                text = None if part.content_type == "text/html" else text
            if text is not None:
                text.append(leaf)
            if html is not None:
                html.append(leaf)
            if (text is None or html is None) and _is_media(part):
                lists.attachments.append(leaf)
    if within == "alternative" and text is not None and html is not None:
        if texts == len(text) and htmls != len(html):
            text.extend(html[htmls:])
        elif htmls == len(html) and texts != len(text):
            html.extend(text[texts:])


def _is_media(part: Part) -> bool:
    return part.type in ("image", "audio", "video")


def _is_inline(part: Part, at: int, within: str) -> bool:
    return (
        part.disposition != "attachment"
        and (part.content_type in ("text/plain", "text/html") or _is_media(part))
        and (at == 0 or (within != "related" and (_is_media(part) or not part.filename)))
    )


# ── one part ──


def size_of(message: bytes, part: Part) -> int:
    """Octets without the transfer encoding. Of base64 by arithmetic: the letter is not decoded for a number."""
    if part.is_multipart:
        return part.size
    if part.encoding == "base64":
        body = part.body(message)
        digits = len(body) - body.count(b"\r") - body.count(b"\n")
        padding = body[-8:].count(b"=")
        return max(digits * 3 // 4 - padding, 0)
    return len(octets_of(message, part)[0])


def octets_of(message: bytes, part: Part) -> tuple[bytes, bool]:
    """A part's octets, decoded; False with them when its transfer encoding is unknown and they are as they came."""
    try:
        return mime.decoded_body(message, part), True
    except mime.UnknownEncoding:
        return part.body(message), False


@dataclass(frozen=True, slots=True)
class PartWish:
    """`bodyProperties`, read once."""

    plain: tuple[str, ...]
    headers: tuple[header_forms.Wish, ...]

    @classmethod
    def of(cls, wanted: Sequence[str]) -> PartWish:
        """Raises MethodError invalidArguments."""
        headers = tuple(header_forms.wish_of(each) for each in wanted if each.startswith("header:"))
        plain = tuple(each for each in wanted if not each.startswith("header:"))
        if not set(plain) <= set(PROPERTIES):
            raise header_forms.invalid_arguments("bodyProperties names an unknown property")
        return cls(plain, headers)


def part_told(message: bytes, part: Part, number: str, email_id: str, wish: PartWish) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name in wish.plain:
        if name not in ("subParts", "headers"):
            told[name] = _value(name, message, part, number, email_id)
    if wish.headers or "headers" in wish.plain:
        fields = mime.fields(part.header(message))
        if "headers" in wish.plain:
            told["headers"] = header_forms.headers(fields)
        told |= {each.property: each.of(fields) for each in wish.headers}
    return told


def structure_told(
    message: bytes, part: Part, email_id: str, wish: PartWish, number: str = ""
) -> dict[str, Any]:
    """The `bodyStructure` property."""
    own = number or ("" if part.is_multipart else "1")
    told = part_told(message, part, own, email_id, wish)
    if part.is_multipart:
        told["subParts"] = [
            structure_told(message, child, email_id, wish, number_of(own, at))
            for at, child in enumerate(part.children, start=1)
        ]
    return told


def _cid(part: Part) -> str | None:
    found = part.id
    return mime.decoded(found).strip().removeprefix("<").removesuffix(">") if found else None


def _value(name: str, message: bytes, part: Part, number: str, email_id: str) -> Any:
    match name:
        case "partId":
            return None if part.is_multipart else number
        case "blobId":
            return None if part.is_multipart else part_blob(email_id, number)
        case "size":
            return size_of(message, part)
        case "name":
            return part.filename
        case "type":
            return part.content_type
        case "charset":
            return (part.charset or "us-ascii") if part.type == "text" else None
        case "disposition":
            return part.disposition
        case "cid":
            return _cid(part)
        case "language":
            return [each.decode("ascii", "replace") for each in part.languages] or None
        case _:  # location: PartWish lets no other name in
            return mime.decoded(part.location) if part.location else None


# ── text ──


def body_value(message: bytes, part: Part, most: int) -> dict[str, Any]:
    """An EmailBodyValue (RFC 8621 §4.1.4)."""
    octets, decoded = octets_of(message, part)
    text = mime.decode_text(octets, part.charset).replace("\r\n", "\n").replace("\0", "")
    value = _cut(text, most, part.subtype == "html") if most else text
    return {
        "value": value,
        "isEncodingProblem": not decoded or "\ufffd" in value,
        "isTruncated": len(value) < len(text),
    }


def _cut(text: str, most: int, is_html: bool) -> str:
    """At most `most` octets in UTF-8, no character cut and no tag left open."""
    if len(text) * 4 <= most or len(octets := text.encode("utf-8")) <= most:
        return text
    cut = octets[:most].decode("utf-8", "ignore")
    opened = cut.rfind("<")
    return cut[:opened] if is_html and opened > cut.rfind(">") else cut


def preview(message: bytes, lists: Shown) -> str:
    """The beginning of what a person would read."""
    for leaf in lists.text:
        part = leaf.part
        if part.type != "text":
            continue
        start = message[part.header_start : min(part.body_end, part.body_start + _PREVIEW_PEEK)]
        octets, _ = octets_of(start, mime.parse(start))
        text = mime.decode_text(octets, part.charset)
        if part.subtype == "html":
            text = unescape(_MARKUP.sub(" ", text))
        words = " ".join(text.replace("\0", "").split())
        if words:
            return words[:PREVIEW]
    return ""
