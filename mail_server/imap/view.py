"""The selected mailbox as this session told it to its client: numbers, UIDs, flags, modseqs, in arrays.

Invariants: `uids` ascends and its order is the message numbers; nothing changes here without the client being
told (or having asked); a message expunged elsewhere keeps its number until an EXPUNGE may be sent.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

from mail_server.store.model import Flag, Mailbox, Membership

FLAG_WORDS = {
    Flag.ANSWERED: b"\\Answered",
    Flag.FLAGGED: b"\\Flagged",
    Flag.DELETED: b"\\Deleted",
    Flag.SEEN: b"\\Seen",
    Flag.DRAFT: b"\\Draft",
}
FLAG_NAMES = {
    "seen": Flag.SEEN,
    "answered": Flag.ANSWERED,
    "flagged": Flag.FLAGGED,
    "deleted": Flag.DELETED,
    "draft": Flag.DRAFT,
}
_SYSTEM_TEXT = [
    b" ".join(word for flag, word in FLAG_WORDS.items() if flags & flag.value) for flags in range(32)
]
_NONE: frozenset[str] = frozenset()
# For bytes.translate: one byte per message becomes 1 where the flag is set, 0 elsewhere.
_HAS = {flag: bytes(int(bool(flags & flag)) for flags in range(256)) for flag in FLAG_WORDS}


@dataclass(slots=True)
class Update:
    """What a refresh found: message numbers in the order they must be told."""

    changed: list[int] = field(default_factory=list[int])  # indexes
    expunged: list[int] = field(default_factory=list[int])  # message numbers, each valid when told
    appended: int = 0
    new_keywords: bool = False


class MailboxView:
    __slots__ = (
        "_keyword_spelling",
        "_keywords",
        "flags",
        "mailbox",
        "modseqs",
        "pending",
        "read_only",
        "recent_from",
        "shown_name",
        "uids",
    )

    def __init__(self, mailbox: Mailbox, shown_name: str, read_only: bool, recent_from: int) -> None:
        self.mailbox = mailbox
        self.shown_name = shown_name
        self.read_only = read_only
        self.recent_from = recent_from
        self.uids: array[int] = array("I")
        self.flags = bytearray()
        self.modseqs: array[int] = array("Q")
        self.pending: set[int] = set()  # uids gone, not told yet
        self._keywords: dict[int, frozenset[str]] = {}  # by uid, only where there are some
        self._keyword_spelling: dict[str, str] = {}

    # ── filling ──

    def load(self, memberships: Iterable[Membership]) -> None:
        """First filling; may run off the loop, nobody else has the view yet."""
        for membership in sorted(memberships, key=_uid):
            self._append(membership)

    def _append(self, membership: Membership) -> bool:
        self.uids.append(membership.uid)
        self.flags.append(membership.flags)
        self.modseqs.append(membership.modseq)
        return bool(membership.keywords) and self._set_keywords(membership.uid, membership.keywords)

    def _set_keywords(self, uid: int, keywords: frozenset[str]) -> bool:
        """True when a keyword was never seen in this mailbox before."""
        if not keywords:
            self._keywords.pop(uid, None)
            return False
        self._keywords[uid] = keywords
        before = len(self._keyword_spelling)
        for keyword in keywords:
            self._keyword_spelling.setdefault(keyword.lower(), keyword)
        return len(self._keyword_spelling) > before

    def apply(
        self, mailbox: Mailbox, changed: Iterable[Membership], vanished: Iterable[int], may_expunge: bool
    ) -> Update:
        """Take in what the store holds since our highest modseq."""
        update = Update()
        last = self.uids[-1] if self.uids else 0
        for membership in sorted(changed, key=_uid):
            if membership.uid > last:
                update.new_keywords |= self._append(membership)
                update.appended += 1
            else:
                index = self.index_of(membership.uid)
                if index is not None and membership.modseq > self.modseqs[index]:
                    update.new_keywords |= self._change(index, membership)
                    update.changed.append(index)
        for uid in vanished:
            if self.index_of(uid) is not None:
                self.pending.add(uid)
        self.mailbox = mailbox
        if may_expunge and self.pending:
            gone, self.pending = self.pending, set()
            update.changed = [i for i in update.changed if self.uids[i] not in gone]
            changed_uids = [self.uids[i] for i in update.changed]
            update.expunged = self.remove(gone)
            update.changed = [i for uid in changed_uids if (i := self.index_of(uid)) is not None]
        return update

    def _change(self, index: int, membership: Membership) -> bool:
        self.flags[index] = membership.flags
        self.modseqs[index] = membership.modseq
        return self._set_keywords(membership.uid, membership.keywords)

    def take(self, memberships: Iterable[Membership]) -> tuple[list[int], bool]:
        """Flags as our own command left them: indexes touched, and whether a keyword is new."""
        touched: list[int] = []
        new_keywords = False
        for membership in memberships:
            index = self.index_of(membership.uid)
            if index is not None:
                new_keywords |= self._change(index, membership)
                touched.append(index)
        touched.sort()
        return touched, new_keywords

    def remove(self, gone: set[int]) -> list[int]:
        """Forget these UIDs; the message numbers to tell, each as it stands when told (RFC 9051 §7.5.1)."""
        told: list[int] = []
        kept: list[int] = []
        for index, uid in enumerate(self.uids):
            if uid in gone:
                told.append(index + 1 - len(told))
                self._keywords.pop(uid, None)
            else:
                kept.append(index)
        self.pending -= gone
        if told:
            self.uids = array("I", [self.uids[i] for i in kept])
            self.flags = bytearray([self.flags[i] for i in kept])
            self.modseqs = array("Q", [self.modseqs[i] for i in kept])
        return told

    # ── asking ──

    def __len__(self) -> int:
        return len(self.uids)

    def index_of(self, uid: int) -> int | None:
        index = bisect_left(self.uids, uid)
        return index if index < len(self.uids) and self.uids[index] == uid else None

    def keywords_at(self, index: int) -> frozenset[str]:
        return self._keywords.get(self.uids[index], _NONE)

    def with_keyword(self, keyword: str) -> set[int]:
        """UIDs that carry it; keywords are compared case-blind (RFC 9051 §2.3.2)."""
        wanted = keyword.lower()
        if wanted not in self._keyword_spelling:
            return set()
        return {uid for uid, words in self._keywords.items() if any(w.lower() == wanted for w in words)}

    def spelling(self, keyword: str) -> str:
        """The keyword as this mailbox first spelt it."""
        return self._keyword_spelling.get(keyword.lower(), keyword)

    def is_recent(self, index: int) -> bool:
        return self.uids[index] >= self.recent_from

    @property
    def recent(self) -> int:
        return len(self.uids) - bisect_left(self.uids, self.recent_from)

    @property
    def first_unseen(self) -> int | None:
        """Message number of the first message without \\Seen."""
        place = self.flags.translate(_HAS[Flag.SEEN]).find(0)
        return place + 1 if place >= 0 else None

    def having(self, flag: Flag, among: Iterable[range] | None = None) -> list[int]:
        """Indexes of the messages that have the flag, ascending; found in C when they are few."""
        marks = self.flags.translate(_HAS[flag])
        found: list[int] = []
        for part in among if among is not None else (range(len(marks)),):
            place = marks.find(1, part.start, part.stop)
            while place >= 0:
                found.append(place)
                place = marks.find(1, place + 1, part.stop)
        return found

    def deleted_among(self, among: Iterable[range] | None = None) -> list[int]:
        """UIDs marked \\Deleted."""
        return [self.uids[i] for i in self.having(Flag.DELETED, among)]

    # ── words ──

    def flags_text(self, index: int, tell_recent: bool = True) -> bytes:
        text = _SYSTEM_TEXT[self.flags[index]]
        uid = self.uids[index]
        if tell_recent and uid >= self.recent_from:
            text = text + b" \\Recent" if text else b"\\Recent"
        if uid in self._keywords:
            words = b" ".join(sorted(word.encode("ascii", "replace") for word in self._keywords[uid]))
            text = text + b" " + words if text else words
        return text

    def known_flags(self) -> bytes:
        words = [_SYSTEM_TEXT[31]]
        words += sorted(word.encode("ascii", "replace") for word in self._keyword_spelling.values())
        return b" ".join(words)


def _uid(membership: Membership) -> int:
    return membership.uid
