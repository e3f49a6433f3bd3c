"""How one FETCH item list is answered: compiled once per list into a format and the values it takes.

Three kinds of plan, by what must be read: nothing (UID, FLAGS, MODSEQ come from the view), the rendered row
(ENVELOPE, BODYSTRUCTURE, sizes, dates, header sections), the content (everything else).

Invariant: a plan that can be answered from the row never touches the body.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mail_server import mime
from mail_server.imap.protocol.commands import FetchItem, Item, Section
from mail_server.imap.protocol.responses import internal_date
from mail_server.imap.view import MailboxView
from mail_server.store.model import MessageRow

# What a value is made of: the view and the index in it, and the row (None when the plan needs none).
Value = Callable[[MailboxView, int, MessageRow], bytes]


@dataclass(frozen=True, slots=True)
class Plan:
    template: bytes  # `* %d FETCH (UID %b FLAGS (%b)...`, without the closing parenthesis
    values: tuple[Value, ...]
    needs_row: bool
    sections: tuple[FetchItem, ...]  # answered from the content, after the rest
    marks_seen: bool
    tells_flags: bool
    header_sections: int  # how many times a row's header may be told, at most

    @property
    def reads_body(self) -> bool:
        """Whether it shows any of the body, which the trace must know (BINARY.SIZE shows none)."""
        return any(item.item is not Item.BINARY_SIZE for item in self.sections)


def _flags(view: MailboxView, index: int, _: MessageRow) -> bytes:
    return view.flags_text(index)


def _flags_rev2(view: MailboxView, index: int, _: MessageRow) -> bytes:
    return view.flags_text(index, tell_recent=False)


_FROM_VIEW: dict[Item, tuple[bytes, Value]] = {
    Item.UID: (b"UID %b", lambda view, index, _: b"%d" % view.uids[index]),
    Item.FLAGS: (b"FLAGS (%b)", _flags),
    Item.MODSEQ: (b"MODSEQ (%b)", lambda view, index, _: b"%d" % view.modseqs[index]),
}
_FROM_ROW: dict[Item, tuple[bytes, Value]] = {
    Item.SIZE: (b"RFC822.SIZE %b", lambda _, __, row: b"%d" % row.size),
    Item.INTERNALDATE: (b"INTERNALDATE %b", lambda _, __, row: internal_date(row.received_at)),
    Item.SAVEDATE: (b"SAVEDATE %b", lambda _, __, row: internal_date(row.savedate)),
    Item.ENVELOPE: (b"ENVELOPE %b", lambda _, __, row: row.rendered.envelope),
    Item.BODYSTRUCTURE: (b"BODYSTRUCTURE %b", lambda _, __, row: row.rendered.bodystructure),
    Item.STRUCTURE: (b"BODY %b", lambda _, __, row: row.rendered.body),
    Item.EMAILID: (b"EMAILID (%b)", lambda _, __, row: row.email_id.encode("ascii")),
    Item.THREADID: (b"THREADID (%b)", lambda _, __, row: row.thread_id.encode("ascii")),
}


@functools.lru_cache(maxsize=2000)
def compile_plan(items: tuple[FetchItem, ...], with_uid: bool, with_modseq: bool, rev2: bool) -> Plan:
    """`with_uid` and `with_modseq` add what the command implies (UID FETCH, CHANGEDSINCE)."""
    kinds = {item.item for item in items}
    formats: list[bytes] = []
    values: list[Value] = []
    sections: list[FetchItem] = []
    needs_row = False
    header_sections = 0
    implied = [Item.UID] if with_uid and Item.UID not in kinds else []
    if with_modseq and Item.MODSEQ not in kinds:
        implied.append(Item.MODSEQ)
    for kind in implied:
        text, value = _FROM_VIEW[kind]
        formats.append(text)
        values.append(value)
    for item in items:
        if item.item in _FROM_VIEW:
            text, value = _FROM_VIEW[item.item]
            if item.item is Item.FLAGS and rev2:
                value = _flags_rev2
        elif item.item in _FROM_ROW:
            text, value = _FROM_ROW[item.item]
            needs_row = True
        elif item.item is Item.SECTION and item.section is not None and item.section.header_only:
            text, value = item.label.replace(b"%", b"%%") + b" %b", _header_value(item)
            needs_row = True
            header_sections += 1
        else:
            sections.append(item)
            needs_row = True
            continue
        formats.append(text)
        values.append(value)
    return Plan(
        b"* %d FETCH (" + b" ".join(formats),
        tuple(values),
        needs_row,
        tuple(sections),
        any(item.marks_seen for item in items),
        Item.FLAGS in kinds,
        header_sections,
    )


# ── sections of the outer header ──


def _header_value(item: FetchItem) -> Value:
    cut = _header_section(item.section or Section())
    partial = item.partial

    def value(_: MailboxView, __: int, row: MessageRow) -> bytes:
        data = cut(row.rendered.header)
        if partial is not None:
            data = data[partial[0] : partial[0] + partial[1]]
        return b"{%d}\r\n%b" % (len(data), data)

    return value


def _header_section(section: Section) -> Callable[[bytes], bytes]:
    if section.text == "HEADER":
        return lambda header: header
    if section.text == "HEADER.FIELDS":
        fields = _field_pattern(section.fields)
        return lambda header: b"".join(fields.findall(header)) + b"\r\n"
    names = section.fields
    return lambda header: mime.select(header, names, exclude=True)


def _field_pattern(names: Sequence[bytes]) -> re.Pattern[bytes]:
    """The named fields with their folded lines: one scan in C, where a field-by-field walk costs 5 times more."""
    choice = b"|".join(re.escape(name) for name in names)
    pattern = rb"^(?:" + choice + rb")[ \t]*:[^\n]*\n?(?:[ \t][^\n]*\n?)*"
    return re.compile(pattern, re.IGNORECASE | re.MULTILINE)


# ── sections of the content ──


_TIMES = 4  # a message may be told so many times over in one command: BODY[], its TEXT, its parts...
_FREELY = 1 << 20  # octets of a small message that are not counted so closely


class TooMuch(Exception):
    """Ever other cuts of one message, that together would fill the memory: NO [LIMIT]."""


class UndecodablePart(Exception):
    """BINARY of a part whose transfer encoding is unknown: NO [UNKNOWN-CTE] (RFC 3516 §4.3)."""


def cut_sections(plan: Plan, row: MessageRow, content: bytes) -> list[bytes]:
    """Answer pieces for a plan's content sections: label and literal header, then data, alternately.

    Runs on the store's threads. Raises UndecodablePart, TooMuch.
    """
    tree: mime.Part | None = None
    pieces: list[bytes] = []
    room = _FREELY + _TIMES * len(content)
    for item in plan.sections:
        section = item.section or Section()
        if not section.part and not section.text and item.item is not Item.BINARY_SIZE:
            data: bytes | None = content
        elif not section.part and section.text == "TEXT":
            data = content[len(row.rendered.header) :]
        else:
            tree = tree or mime.parse(content)
            try:
                if item.item is Item.BINARY_SIZE:
                    size = mime.binary_size(content, tree, section.part)
                    pieces += [item.label + b" %d" % (size or 0), b""]
                    continue
                if item.item is Item.BINARY:
                    data = mime.binary(content, tree, section.part)
                else:
                    data = mime.section(content, tree, section.part, section.text, section.fields)
            except mime.UnknownEncoding:
                raise UndecodablePart from None
        if data is None:
            pieces += [item.label + b" NIL", b""]
            continue
        if item.partial is not None:
            data = data[item.partial[0] : item.partial[0] + item.partial[1]]
        room -= len(data)
        if room < 0:
            raise TooMuch
        # RFC 3516 §4.2: decoded content with NUL octets needs literal8.
        mark = b" ~{%d}\r\n" if item.item is Item.BINARY and b"\0" in data else b" {%d}\r\n"
        pieces += [item.label + mark % len(data), data]
    return pieces
