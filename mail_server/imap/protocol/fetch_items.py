"""FETCH item lists, parsed once and remembered by their bytes (RFC 3501 §6.4.5, RFC 9051 §6.4.5, RFC 3516).

Invariant: a list read from literals is never remembered, and the memory is bounded: when full it is emptied.
"""

from __future__ import annotations

import re

from mail_server.imap.protocol.commands import FetchItem, Item, Section
from mail_server.imap.protocol.lexer import Lexer, Malformed

_NAME = re.compile(rb"[A-Za-z0-9.]+")
_PARTIAL = re.compile(rb"<(\d{1,10})\.(\d{1,10})>")
_PARTS = re.compile(rb"[1-9]\d{0,4}(?:\.[1-9]\d{0,4}){0,62}")
_MAX_ITEMS = 300
_MAX_FIELDS = 500
_MAX_OCTETS = 0xFFFFFFFF

_SIMPLE = {
    item.value: FetchItem(item, item.value.encode())
    for item in (
        Item.UID, Item.FLAGS, Item.INTERNALDATE, Item.SIZE, Item.ENVELOPE, Item.BODYSTRUCTURE, Item.MODSEQ,
        Item.EMAILID, Item.THREADID, Item.SAVEDATE,
    )
}  # fmt: skip
_STRUCTURE = FetchItem(Item.STRUCTURE, b"BODY")
_RFC822 = {
    "RFC822": FetchItem(Item.SECTION, b"RFC822", Section(), marks_seen=True),
    "RFC822.HEADER": FetchItem(Item.SECTION, b"RFC822.HEADER", Section(text="HEADER")),
    "RFC822.TEXT": FetchItem(Item.SECTION, b"RFC822.TEXT", Section(text="TEXT"), marks_seen=True),
}
_FAST = (_SIMPLE["FLAGS"], _SIMPLE["INTERNALDATE"], _SIMPLE["RFC822.SIZE"])
_ALL = (*_FAST, _SIMPLE["ENVELOPE"])
_MACROS = {"FAST": _FAST, "ALL": _ALL, "FULL": (*_ALL, _STRUCTURE)}

_known: dict[bytes, tuple[FetchItem, ...]] = {}
_MAX_KNOWN = 2000
_MAX_KNOWN_BYTES = 2000


def parse_items(lexer: Lexer) -> tuple[FetchItem, ...]:
    """The item list at the lexer's position; looks up the rest of the command first."""
    rest = lexer.text[lexer.at :]
    known = _known.get(rest)
    if known is not None:
        lexer.at = len(lexer.text)
        return known
    items = _items(lexer)
    if lexer.finished and len(rest) <= _MAX_KNOWN_BYTES and b"{" not in rest:
        if len(_known) >= _MAX_KNOWN:
            _known.clear()
        _known[rest] = items
    return items


def _items(lexer: Lexer) -> tuple[FetchItem, ...]:
    if not lexer.accept(b"("):
        name = lexer.take(_NAME, "a data item").decode().upper()
        return _MACROS[name] if name in _MACROS else (_item(lexer, name),)
    items: dict[FetchItem, None] = {}
    while True:
        while lexer.accept(b" "):
            pass
        if lexer.accept(b")"):
            break
        items[_item(lexer, lexer.take(_NAME, "a data item").decode().upper())] = None
        if len(items) > _MAX_ITEMS:
            raise Malformed("Too many data items")
    if not items:
        raise Malformed("Empty list of data items")
    return tuple(items)


def _item(lexer: Lexer, name: str) -> FetchItem:
    simple = _SIMPLE.get(name) or _RFC822.get(name)
    if simple is not None:
        return simple
    if name == "BODY" and not lexer.ahead(b"["):
        return _STRUCTURE
    if not lexer.accept(b"["):
        raise Malformed("Unknown data item")
    if name in ("BODY", "BODY.PEEK"):
        return _body_item(lexer, peek=name == "BODY.PEEK")
    if name in ("BINARY", "BINARY.PEEK", "BINARY.SIZE"):
        return _binary_item(lexer, name)
    raise Malformed("Unknown data item")


def _body_item(lexer: Lexer, peek: bool) -> FetchItem:
    part = _part(lexer)
    text = ""
    fields: tuple[bytes, ...] = ()
    shown: list[bytes] = [b".".join(b"%d" % number for number in part)] if part else []
    if not lexer.ahead(b"]"):
        if part:
            lexer.expect(b".")
        text = lexer.take(_NAME, "a section").decode().upper()
        shown.append(text.encode())
        if text in ("HEADER.FIELDS", "HEADER.FIELDS.NOT"):
            lexer.space()
            fields = _fields(lexer)
        elif text == "MIME":
            # RFC 9051 §6.4.5.1: MIME needs a part number.
            if not part:
                raise Malformed("MIME needs a part number")
        elif text not in ("HEADER", "TEXT"):
            raise Malformed("Unknown section")
    lexer.expect(b"]")
    label = b"BODY[" + b".".join(shown)
    if fields:
        label += b" (" + b" ".join(_shown_field(name) for name in fields) + b")"
    partial = _partial(lexer)
    label += b"]" if partial is None else b"]<%d>" % partial[0]
    section = Section(part, text, tuple(name.lower() for name in fields))
    return FetchItem(Item.SECTION, label, section, partial, marks_seen=not peek)


def _binary_item(lexer: Lexer, name: str) -> FetchItem:
    part = _part(lexer)
    lexer.expect(b"]")
    shown = b".".join(b"%d" % number for number in part)
    if name == "BINARY.SIZE":
        return FetchItem(Item.BINARY_SIZE, b"BINARY.SIZE[" + shown + b"]", Section(part))
    partial = _partial(lexer)
    label = b"BINARY[" + shown + (b"]" if partial is None else b"]<%d>" % partial[0])
    return FetchItem(Item.BINARY, label, Section(part), partial, marks_seen=name == "BINARY")


def _part(lexer: Lexer) -> tuple[int, ...]:
    match = _PARTS.match(lexer.text, lexer.at)
    if match is None:
        return ()
    lexer.at = match.end()
    return tuple(int(number) for number in match[0].split(b"."))


def _fields(lexer: Lexer) -> tuple[bytes, ...]:
    lexer.expect(b"(")
    fields: list[bytes] = []
    while not lexer.accept(b")"):
        name = lexer.astring()
        # A name that cannot stand in a header, nor in the label we give back.
        if not name or len(name) > 500 or any(octet <= 32 or octet >= 127 or octet == 58 for octet in name):
            raise Malformed("Invalid header field name")
        fields.append(name)
        if len(fields) > _MAX_FIELDS:
            raise Malformed("Too many header fields")
        while lexer.accept(b" "):
            pass
    if not fields:
        raise Malformed("Empty list of header fields")
    return tuple(fields)


def _shown_field(name: bytes) -> bytes:
    if re.fullmatch(rb'[^\x00-\x20\x7f(){%*"\\\]]+', name):
        return name
    return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _partial(lexer: Lexer) -> tuple[int, int] | None:
    match = _PARTIAL.match(lexer.text, lexer.at)
    if match is None:
        return None
    lexer.at = match.end()
    offset, length = int(match[1]), int(match[2])
    # RFC 9051 §9: partial-range's length is an nz-number64.
    if length == 0 or offset > _MAX_OCTETS:
        raise Malformed("Invalid partial range")
    return offset, length
