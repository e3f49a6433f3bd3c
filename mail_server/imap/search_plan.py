"""A SEARCH program as predicates, cheapest first: the view alone, then rendered rows, then contents.

Invariants: a sealed message is judged by its outer headers alone, whatever is asked, and `Evidence.sealed` says
when that mattered; predicates run on the store's threads and change nothing.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mail_server import mime
from mail_server.imap.protocol.commands import (
    Age,
    AllOf,
    AnyOf,
    BodyHas,
    Clock,
    Everything,
    Flagged,
    HeaderHas,
    Key,
    Keyword,
    ModSeqSince,
    Not,
    ObjectIdIs,
    OnDay,
    SizeIs,
    Within,
)
from mail_server.imap.view import FLAG_NAMES, MailboxView
from mail_server.store.model import Form, MessageRow

FROM_VIEW, FROM_ROW, FROM_CONTENT = range(3)
OfIndex = Callable[[int], bool]


@dataclass(slots=True)
class Evidence:
    """One message under examination: its row, and its content only if a predicate asks for it."""

    index: int
    row: MessageRow
    read: Callable[[], bytes] = field(repr=False)
    _content: bytes | None = field(default=None, repr=False)
    _tree: mime.Part | None = field(default=None, repr=False)
    sealed: bool = False  # a text key met a sealed message

    @property
    def opened(self) -> bool:
        """Whether its text was looked through."""
        return self._content is not None

    def contains(self, needle: str, with_header: bool) -> bool:
        """RFC 9051 §6.4.4 BODY and TEXT, by substring."""
        if self.row.form is Form.SPLIT:
            self.sealed = True
            return with_header and _header_contains(self.row.rendered.header, needle)
        if self._content is None or self._tree is None:
            self._content = self.read()
            self._tree = mime.parse(self._content)
        return mime.contains(self._content, self._tree, needle, headers=with_header)


OfMessage = Callable[[Evidence], bool]


def cost(key: Key) -> int:
    match key:
        case AllOf(keys) | AnyOf(keys):
            return max(map(cost, keys))
        case Not(inside):
            return cost(inside)
        case BodyHas():
            return FROM_CONTENT
        case HeaderHas() | OnDay() | Age() | SizeIs() | ObjectIdIs():
            return FROM_ROW
        case _:
            return FROM_VIEW


def mentions_modseq(key: Key) -> bool:
    match key:
        case AllOf(keys) | AnyOf(keys):
            return any(map(mentions_modseq, keys))
        case Not(inside):
            return mentions_modseq(inside)
        case ModSeqSince():
            return True
        case _:
            return False


class Compiler:
    """Makes predicates for one view at one moment."""

    def __init__(self, view: MailboxView, saved: Sequence[int]) -> None:
        self._view = view
        self._saved = saved
        self._now = int(time.time() * 1000)

    # ── keys the view answers ──

    def of_index(self, key: Key) -> OfIndex:
        """For keys of cost FROM_VIEW."""
        view = self._view
        match key:
            case Everything():
                return lambda _: True
            case Flagged(flag, wanted):
                if flag == "recent":
                    return lambda i: view.is_recent(i) is wanted
                mask, flags = int(FLAG_NAMES[flag]), view.flags
                return lambda i: bool(flags[i] & mask) is wanted
            case Keyword(word, wanted):
                having, uids = view.with_keyword(word), view.uids
                return lambda i: (uids[i] in having) is wanted
            case ModSeqSince(modseq):
                modseqs = view.modseqs
                return lambda i: modseqs[i] >= modseq
            case Within():
                mask_of = self._mask(key)
                return lambda i: bool(mask_of[i])
            case Not(inside):
                denied = self.of_index(inside)
                return lambda i: not denied(i)
            case AllOf(keys):
                every = [self.of_index(one) for one in keys]
                return lambda i: all(one(i) for one in every)
            case AnyOf(keys):
                some = [self.of_index(one) for one in keys]
                return lambda i: any(one(i) for one in some)
            case _:
                raise TypeError(type(key).__name__)

    def _mask(self, key: Within) -> bytearray:
        view = self._view
        mask = bytearray(len(view))
        if key.which.saved:
            ranges = [range(i, i + 1) for uid in self._saved if (i := view.index_of(uid)) is not None]
        elif key.by_uid:
            ranges = key.which.among_uids(view.uids)
        else:
            ranges = key.which.overlapping_numbers(len(view))
        for one in ranges:
            mask[one.start : one.stop] = b"\1" * len(one)
        return mask

    # ── keys that need the message ──

    def of_message(self, key: Key) -> OfMessage:
        if cost(key) == FROM_VIEW:
            judge = self.of_index(key)
            return lambda evidence: judge(evidence.index)
        match key:
            case Not(inside):
                denied = self.of_message(inside)
                return lambda evidence: not denied(evidence)
            case AllOf(keys):
                every = [self.of_message(one) for one in sorted(keys, key=cost)]
                return lambda evidence: all(one(evidence) for one in every)
            case AnyOf(keys):
                some = [self.of_message(one) for one in sorted(keys, key=cost)]
                return lambda evidence: any(one(evidence) for one in some)
            case BodyHas(text, with_header):
                return lambda evidence: evidence.contains(text, with_header)
            case HeaderHas(name, text):
                return _header_judge(name, mime.fold(text))
            case OnDay(clock, comparison, day):
                return _day_judge(clock, comparison, day)
            case Age(younger, seconds):
                edge = self._now - seconds * 1000
                return lambda evidence: (evidence.row.received_at >= edge) is younger
            case SizeIs(larger, octets):
                return lambda e: e.row.size > octets if larger else e.row.size < octets
            case ObjectIdIs(item, value):
                if item == "EMAILID":
                    return lambda evidence: evidence.row.email_id == value
                return lambda evidence: evidence.row.thread_id == value
            case _:
                raise TypeError(type(key).__name__)


def _header_contains(header: bytes, needle: str) -> bool:
    wanted = mime.fold(needle)
    return any(wanted in mime.fold(one.name + ": " + mime.decoded(one.value)) for one in mime.fields(header))


def _header_judge(name: str, wanted: str) -> OfMessage:
    """RFC 9051 §6.4.4 HEADER: an empty text asks only that the field is there."""

    def judge(evidence: Evidence) -> bool:
        if evidence.row.form is Form.SPLIT:
            evidence.sealed = True
        return any(
            one.name == name and (not wanted or wanted in mime.fold(mime.decoded(one.value)))
            for one in mime.fields(evidence.row.rendered.header)
        )

    return judge


def _day_judge(clock: Clock, comparison: str, day: datetime.date) -> OfMessage:
    def day_of(row: MessageRow) -> datetime.date:
        if clock is Clock.SENT:
            # RFC 9051 §6.4.4: the day as the Date field writes it, time and zone disregarded.
            field_value = mime.first(row.rendered.header, "date")
            sent = mime.sent_date(field_value) if field_value is not None else None
            if sent is not None:
                return sent.day
        moment = row.savedate if clock is Clock.SAVED else row.received_at
        return datetime.datetime.fromtimestamp(moment / 1000, datetime.UTC).date()

    if comparison == "BEFORE":
        return lambda evidence: day_of(evidence.row) < day
    if comparison == "SINCE":
        return lambda evidence: day_of(evidence.row) >= day
    return lambda evidence: day_of(evidence.row) == day
