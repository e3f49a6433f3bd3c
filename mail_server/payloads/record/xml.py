"""XML of strangers, read into a small tree of our own: METADATA.XML, CDA.

The page has the same tree over another parser (`webmail/ui/src/worker/record/xml.ts`), so both are written alike and
`tests/webmail/vectors/xdm/` holds them to one verdict.
Invariants: a DOCTYPE is refused before any parser sees it, so there are no entities beyond XML's five, no external
reference, no default attribute; the text is decoded here, once, so no parser guesses an encoding; size, depth, marks
and attributes are bounded before memory is spent on them; what fails is `RecordRefused`, whose words hold nothing of
the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final

from mail_server.payloads.record.refusal import AnsCode, RecordRefused

_etree: Any = import_module("lxml.etree")  # it has no type stubs

LIMIT: Final = 32 * 1024 * 1024  # octets of one file
DEPTH: Final = 100
MARKS: Final = 250_000  # "<": two for an element, one for a comment
QUOTES: Final = 1_000_000  # two for an attribute
ATTRIBUTES: Final = 100  # of one element
ANY: Final = "*"  # whatever the namespace

# Names of encodings that producers of archives use, and what each is read as. Windows programs say ISO-8859-1 and write
# Windows-1252; .NET writes UTF-8 and says UTF-16.
_ENCODINGS: Final = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "utf-16": "utf-8",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
    "iso-8859-15": "iso-8859-15",
}
_DECLARED: Final = re.compile(rb"<\?xml[^>]{0,200}?encoding\s{0,9}=\s{0,9}[\"']([A-Za-z0-9._-]{1,40})[\"']")
_SPACE: Final = " \t\r\n"


@dataclass(slots=True)
class Element:
    """An element: `name` is its local name, `ns` its namespace. Attributes that stand in a namespace of their own are
    named `{namespace}name`. Children are elements and text, in order; comments and instructions are gone."""

    name: str
    ns: str
    attributes: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    children: list[Element | str] = field(default_factory=list["Element | str"], repr=False)

    def get(self, name: str, ns: str = "") -> str:
        """The value of an attribute; "" when it is not there."""
        return self.attributes.get(f"{{{ns}}}{name}" if ns else name, "")

    def elements(self, name: str = ANY, ns: str | None = None) -> list[Element]:
        """Its children of this name, in its own namespace unless another is named."""
        wanted = self.ns if ns is None else ns
        return [
            one
            for one in self.children
            if isinstance(one, Element)
            and (name == ANY or one.name == name)
            and (wanted == ANY or one.ns == wanted)
        ]

    def child(self, *path: str, ns: str | None = None) -> Element | None:
        """The first child of this name; with several names, the first of the first, and so on down."""
        at = self
        for name in path:
            found = at.elements(name, ns)
            if not found:
                return None
            at = found[0]
        return at

    def text(self) -> str:
        """All text under it, as it stands."""
        return "".join(self._texts())

    def descendants(self, name: str = ANY, ns: str | None = None) -> Iterator[Element]:
        """Every element under it (not itself) of this name, in the order of the document."""
        wanted = self.ns if ns is None else ns
        path = [
            iter(self.children)
        ]  # no generator inside a generator: each step would pay for the whole depth
        while path:
            for one in path[-1]:
                if isinstance(one, Element):
                    if (name == ANY or one.name == name) and (wanted == ANY or one.ns == wanted):
                        yield one
                    path.append(iter(one.children))
                    break
            else:
                path.pop()

    def _texts(self) -> Iterator[str]:
        for one in self.children:
            if isinstance(one, str):
                yield one
            else:
                yield from one._texts()


def parse(data: bytes) -> Element:
    """The root of a file. Raises `RecordRefused` for what is hostile or is not XML."""
    if len(data) > LIMIT:
        raise _refused("xml-too-large", "An XML file of the archive is too large")
    text = decoded(data)
    start = _after_prolog(text)
    if text.startswith("<!", start):
        raise _refused("xml-doctype", "An XML file declares a DOCTYPE, which may name files and entities")
    if text.count("<", start) > MARKS or text.count('"', start) + text.count("'", start) > QUOTES:
        raise _refused("xml-too-many", "An XML file holds too many elements or attributes")
    builder = _Builder()
    # huge_tree: a PDF inside a CDA is one text of many megabytes. The limits above and below stand in its place.
    # resolve_entities: without a DOCTYPE there are XML's five alone; told not to, libxml2 leaves `&#38;` in attributes.
    parser = _etree.XMLParser(
        target=builder,
        resolve_entities="internal",
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=True,
        recover=False,
        encoding="utf-8",
    )
    try:
        _etree.fromstring(text[start:].encode("utf-8"), parser)
    except (_etree.LxmlError, ValueError):
        raise _refused("xml-malformed", "An XML file is not well formed") from None
    # A prefix that nothing declares is no error of the parser's: it only notes it.
    unnamed = any(one.domain_name == "NAMESPACE" and one.level_name == "ERROR" for one in parser.error_log)
    if builder.root is None or unnamed:
        raise _refused("xml-malformed", "An XML file is not well formed")
    return builder.root


def decoded(data: bytes) -> str:
    """Text of a file, by its mark or its declaration; what says UTF-8 and is not, is read as Windows-1252."""
    if data.startswith(b"\xef\xbb\xbf"):
        return _decode(data[3:], "utf-8")
    if data.startswith((b"\xff\xfe", b"<\x00")):
        return _decode(data.removeprefix(b"\xff\xfe"), "utf-16-le")
    if data.startswith((b"\xfe\xff", b"\x00<")):
        return _decode(data.removeprefix(b"\xfe\xff"), "utf-16-be")
    declared = _DECLARED.match(data.lstrip(b" \t\r\n")[:300])
    name = "utf-8" if declared is None else declared[1].decode("ascii").lower()
    if name not in _ENCODINGS:
        raise _refused("xml-encoding", "An XML file is written in an encoding that is not taken")
    return _decode(data, _ENCODINGS[name])


def _decode(data: bytes, encoding: str) -> str:
    if encoding == "cp1252":
        return _windows(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        if encoding == "utf-8":
            return _windows(data)
        raise _refused("xml-encoding", "An XML file is not in the encoding that it says") from None


# As browsers read it: the five octets that Windows left free are control characters.
_WINDOWS: Final = {
    code: bytes([code]).decode("cp1252") for code in range(0x80, 0xA0) if code not in b"\x81\x8d\x8f\x90\x9d"
}


def _windows(data: bytes) -> str:
    return data.decode("latin-1").translate(_WINDOWS)


def _after_prolog(text: str) -> int:
    """Where the first mark stands that is no declaration, instruction, comment or space: the root, or a DOCTYPE."""
    at = 0
    while True:
        while at < len(text) and text[at] in _SPACE:
            at += 1
        if text.startswith("<!--", at):
            end = text.find("-->", at + 4)
        elif text.startswith("<?", at):
            end = text.find("?>", at + 2)
        else:
            return at
        if end < 0:
            raise _refused("xml-malformed", "An XML file is not well formed")
        at = end + (3 if text.startswith("-->", end) else 2)


class _Builder:
    """Takes what lxml reads, one mark at a time, and stops it when there is too much."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._text: list[str] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= DEPTH:
            raise _refused("xml-too-deep", "An XML file is nested too deep")
        if len(attributes) > ATTRIBUTES:
            raise _refused("xml-too-many", "An XML file holds too many elements or attributes")
        ns, _, name = tag[1:].rpartition("}") if tag.startswith("{") else ("", "", tag)
        made = Element(name, ns, dict(attributes))
        if self._open:
            self._flush()
            self._open[-1].children.append(made)
        else:
            self.root = made
        self._open.append(made)

    def end(self, _tag: str) -> None:
        self._flush()
        self._open.pop()

    def data(self, text: str) -> None:
        self._text.append(text)

    def doctype(self, *_: object) -> None:
        raise _refused("xml-doctype", "An XML file declares a DOCTYPE, which may name files and entities")

    def close(self) -> None:
        """Nothing is left to do; lxml asks for it."""

    def _flush(self) -> None:
        if self._text:
            if self._open:
                self._open[-1].children.append("".join(self._text))
            self._text.clear()


def _refused(slug: str, sentence: str) -> RecordRefused:
    return RecordRefused(AnsCode.OTHER, slug, sentence)
