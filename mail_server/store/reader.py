"""Reads of one consistent state, on the driver's own connection.

Invariants: a reader lives within one database transaction; decrypted rows enter the row cache only from
read transactions (a write transaction may be rolled back and its modseq given again).
"""

# ruff: noqa: S608 - what is put into statements are our own column names and conditions, never a value

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from mail_server.store import seen
from mail_server.store.armor import armor
from mail_server.store.at_rest import Cipher, bound_column, unpack_outer, unpack_rendered
from mail_server.store.count_cache import CountCache
from mail_server.store.driver import Driver
from mail_server.store.interface import NoSuchMailbox, NoSuchMessage
from mail_server.store.keyring import Keyring
from mail_server.store.model import (
    AccountId,
    CoarseClass,
    Conversation,
    Filed,
    FindingsColumns,
    Flag,
    Form,
    Mailbox,
    MailboxCounts,
    MailboxId,
    Membership,
    MessageId,
    MessageOrigin,
    MessageRow,
    ScanVerdict,
    SpecialUse,
    StagedBlob,
    State,
    StoredLetter,
)
from mail_server.store.octets import Octets
from mail_server.store.row_cache import RowCache
from mail_server.store.segments import SegmentReader
from mail_server.store.settings import StoreSettings
from mail_server.store.space import FreeSpace
from mail_server.store.staging import open_blob

T = TypeVar("T")
# Making an enum member by value costs more than the query that fetched the number.
FLAGS: dict[int, Flag] = {number: Flag(number) for number in range(32)}
STATES: dict[int, State] = {int(state): state for state in State}
FORMS: dict[int, Form] = {int(form): form for form in Form}
NO_KEYWORDS: frozenset[str] = frozenset()
MAX_REFERENCES = 32
_NAMES_KEPT = 50_000

MAILBOX_COLUMNS = (
    "id, account_id, name, object_id, uidvalidity, uidnext, highestmodseq,"
    " special_use, subscribed, first_recent"
)
_ROW = (
    "SELECT p.uid, p.message_id, p.flags, p.keywords, p.modseq, p.savedate, m.size, m.received_at, m.email_id,"
    " m.thread_id, m.form, m.state, m.rendered FROM membership p JOIN message m ON m.id = p.message_id"
    " WHERE p.mailbox_id = ? AND "
)
BLOB_COLUMNS = "b.blob_id, b.owner, b.codec, b.clear_size, b.stored_size, b.segment, b.position, b.data"


@dataclass(slots=True)
class Shared:
    """What all readers and transactions of one store have in common."""

    settings: StoreSettings
    keyring: Keyring
    segments: SegmentReader
    cache: RowCache
    space: FreeSpace
    names: dict[bytes, str] = field(default_factory=dict[bytes, str], repr=False)
    counted: CountCache = field(default_factory=CountCache)
    octets: Octets = field(default_factory=Octets)


@dataclass(frozen=True, slots=True)
class Seer:
    """Who reads an account as themselves, with their own \\Seen."""

    account: AccountId
    person: AccountId
    number: int


class StoreReader:
    """One read transaction."""

    def __init__(self, driver: Driver, shared: Shared) -> None:
        self.sql: Driver = driver
        self._shared = shared
        self._keyring = shared.keyring
        self._seer: Seer | None = None

    @contextmanager
    def as_person(self, account: AccountId, person: AccountId | None) -> Generator[None]:
        before = self._seer
        if person is not None:
            self._seer = Seer(account, person, seen.number_of(self.sql, account, person))
        try:
            yield
        finally:
            self._seer = before

    def _flags_of(self, alias: str) -> str:
        """How a statement names the flags of a place, as who reads sees them."""
        return seen.flags_as(alias, None if self._seer is None else self._seer.number)

    # -- mailboxes ---------------------------------------------------------------------------------------

    def mailboxes(self, account: AccountId) -> list[Mailbox]:
        rows = self.sql.all(
            f"SELECT {MAILBOX_COLUMNS} FROM mailbox WHERE account_id = ? ORDER BY id", (account,)
        )
        found = [self._mailbox(row) for row in rows]
        if self._seer is None:
            return found
        own = seen.subscriptions(self.sql, self._seer.number)
        return [replace(each, subscribed=own.get(each.id, each.subscribed)) for each in found]

    def mailbox(self, mailbox: MailboxId) -> Mailbox:
        return self._mailbox(self.sql.one(f"SELECT {MAILBOX_COLUMNS} FROM mailbox WHERE id = ?", (mailbox,)))

    def mailbox_by_name(self, account: AccountId, name: str) -> Mailbox:
        return self._mailbox(
            self.sql.one(
                f"SELECT {MAILBOX_COLUMNS} FROM mailbox WHERE account_id = ? AND name_hmac = ?",
                (account, self._keyring.name_hmac(account, canonical_name(name))),
            )
        )

    def mailbox_by_use(self, account: AccountId, use: SpecialUse) -> Mailbox:
        return self._mailbox(
            self.sql.one(
                f"SELECT {MAILBOX_COLUMNS} FROM mailbox WHERE account_id = ? AND special_use = ?",
                (account, use.value),
            )
        )

    def counts(self, mailbox: MailboxId) -> MailboxCounts:
        return self._once_a_change(
            ("counts", mailbox), self._mailbox_stamp(mailbox), lambda: self._count(mailbox)
        )

    def _count(self, mailbox: MailboxId) -> MailboxCounts:
        flags = self._flags_of("p")
        row = self.sql.one(
            f"SELECT count(*), CAST(coalesce(sum(CASE WHEN {flags} & 1 = 0 THEN 1 ELSE 0 END), 0) AS BIGINT),"
            " CAST(coalesce(sum(CASE WHEN flags & 8 <> 0 THEN 1 ELSE 0 END), 0) AS BIGINT),"
            " CAST(coalesce(sum(CASE WHEN uid >= (SELECT first_recent FROM mailbox WHERE id = ?) THEN 1 ELSE 0 END),"
            " 0) AS BIGINT), CAST(coalesce(sum(size), 0) AS BIGINT) FROM membership p WHERE mailbox_id = ?",
            (mailbox, mailbox),
        )
        assert row is not None
        return MailboxCounts(*row)

    # -- memberships and rows ----------------------------------------------------------------------------

    def memberships(self, mailbox: MailboxId, changed_since: int = 0) -> list[Membership]:
        columns = f"uid, message_id, {self._flags_of('p')}, keywords, modseq FROM membership p"
        if changed_since > 0:
            # No ORDER BY: it would tempt the planner away from the index on modseq.
            rows = self.sql.all(
                f"SELECT {columns} WHERE mailbox_id = ? AND modseq > ?",
                (mailbox, changed_since),
            )
            rows.sort()
        else:
            rows = self.sql.all(
                f"SELECT {columns} WHERE mailbox_id = ? ORDER BY uid",
                (mailbox,),
            )
        return self._memberships(mailbox, rows)

    def rows(self, mailbox: MailboxId, uids: Sequence[int]) -> list[MessageRow]:
        """Rows of the uids that exist, by uid."""
        rows = self._common_rows(mailbox, uids)
        if self._seer is None:
            return rows
        own = seen.overrides(self.sql, self._seer.number, [row.message for row in rows])
        # Those who read as themselves share the cache with all others.
        return [
            row
            if (mine := own.get(row.message)) is None
            else row._replace(flags=FLAGS[int(row.flags) & ~seen.SEEN | mine])
            for row in rows
        ]

    def _common_rows(self, mailbox: MailboxId, uids: Sequence[int]) -> list[MessageRow]:
        if not uids:
            return []
        if not self._shared.cache.may_hold(mailbox, uids):
            with self.sql.alone:
                return list(self._read_rows(mailbox, uids).values())
        condition, parameter, wanted = self._among("uid", uids)
        current = self.sql.all(
            f"SELECT uid, modseq FROM membership WHERE mailbox_id = ? AND {condition} ORDER BY uid",
            (mailbox, *parameter),
        )
        if wanted is not None:
            current = [pair for pair in current if pair[0] in wanted]
        found, missing = self._shared.cache.split(mailbox, current)  # type: ignore[arg-type]
        if not missing:
            return [row for row in found if row is not None]
        with self.sql.alone:
            read = self._read_rows(mailbox, missing)
        return [row or read[uid] for row, (uid, _) in zip(found, current, strict=True)]

    def vanished(self, mailbox: MailboxId, since_modseq: int) -> list[int]:
        """Uids expunged after that modseq and known before it (RFC 7162 §3.2.10)."""
        rows = self.sql.all(
            "SELECT uid FROM tombstone WHERE mailbox_id = ? AND modseq > ? AND created_modseq <= ?",
            (mailbox, since_modseq, since_modseq),
        )
        return sorted(row[0] for row in rows)

    def _read_rows(self, mailbox: MailboxId, uids: Sequence[int]) -> dict[int, MessageRow]:
        """From the database, by uid."""
        condition, parameter, wanted = self._among("p.uid", uids)
        raw = self.sql.all(f"{_ROW}{condition} ORDER BY p.uid", (mailbox, *parameter))
        account = self._account_of(mailbox)
        open_sealed = self._cipher(account).open
        bound_to = bound_column(account, b"rendered", "")
        read: dict[int, MessageRow] = {}
        for (
            uid, message, flags, keywords, modseq, savedate, size, received_at, email_id, thread_id, form, state, packed
        ) in raw:  # fmt: skip
            if wanted is not None and uid not in wanted:
                continue
            read[uid] = MessageRow(
                uid,
                message,
                FLAGS[flags],
                NO_KEYWORDS if keywords is None else self._open_keywords(account, message, keywords),
                modseq,
                size,
                received_at,
                savedate,
                email_id,
                thread_id,
                FORMS[form],
                STATES[state],
                unpack_rendered(open_sealed(packed, bound_to + email_id.encode())),
            )
        self._remember(mailbox, read.values())
        return read

    def _remember(self, mailbox: MailboxId, rows: Iterable[MessageRow]) -> None:
        for row in rows:
            self._shared.cache.keep(mailbox, row)

    def _memberships(self, mailbox: MailboxId, rows: Sequence[tuple[Any, ...]]) -> list[Membership]:
        if any(row[3] is not None for row in rows):
            account = self._account_of(mailbox)
            return [
                Membership(
                    uid,
                    message,
                    FLAGS[flags],
                    NO_KEYWORDS if keywords is None else self._open_keywords(account, message, keywords),
                    modseq,
                )
                for uid, message, flags, keywords, modseq in rows
            ]
        return [
            Membership(uid, message, FLAGS[flags], NO_KEYWORDS, modseq)
            for uid, message, flags, _, modseq in rows
        ]

    # -- content -----------------------------------------------------------------------------------------

    def content(self, message: MessageId) -> bytes:
        row = self.sql.one(
            "SELECT m.account_id, m.email_id, m.form, m.outer_part, m.key_packets,"
            f" {BLOB_COLUMNS} FROM message m JOIN blob b ON b.blob_id = m.blob_id WHERE m.id = ?",
            (message,),
        )
        if row is None:
            raise NoSuchMessage(str(message))
        account, email_id, form, outer, key_packets = row[:5]
        body = self.open_stored(row[5:])
        if form == Form.VERBATIM:
            return body
        head, tail = unpack_outer(
            self._cipher(account).open(bytes(outer), bound_column(account, b"outer", email_id))
        )
        return b"".join((head, armor(bytes(key_packets), body), tail))

    def key_packets(self, message: MessageId) -> bytes:
        row = self.sql.one("SELECT key_packets FROM message WHERE id = ?", (message,))
        if row is None:
            raise NoSuchMessage(str(message))
        return bytes(row[0] or b"")

    def stored_body(self, message: MessageId) -> StagedBlob:
        row = self.sql.one(
            f"SELECT {BLOB_COLUMNS} FROM message m JOIN blob b ON b.blob_id = m.blob_id WHERE m.id = ?",
            (message,),
        )
        if row is None:
            raise NoSuchMessage(str(message))
        return self._blob(row)

    def open_stored(self, row: Sequence[Any]) -> bytes:
        """The clear bytes of one row of BLOB_COLUMNS. Raises Damaged."""
        return self._open_blob(self._blob(row))

    def _blob(self, row: Sequence[Any]) -> StagedBlob:
        blob_id, owner, codec, clear_size, stored_size, segment, position, data = row
        stored = (
            bytes(data) if segment is None else self._shared.segments.read(segment, position, stored_size)
        )
        return StagedBlob(bytes(blob_id), owner, stored, clear_size, codec)

    def _open_blob(self, blob: StagedBlob) -> bytes:
        cipher = self._keyring.shared if blob.owner is None else self._cipher(blob.owner)
        return open_blob(cipher, blob)

    # -- what re-sealing walks through -------------------------------------------------------------------

    def messages_in_state(
        self, account: AccountId, states: Sequence[State], after: MessageId, limit: int
    ) -> list[MessageId]:
        # "state <> 0" lets both planners use the small index of messages that are not sealed.
        partial = "" if State.SEALED in states else " AND state <> 0"
        condition = self.sql.listed("state")
        rows = self.sql.all(
            f"SELECT id FROM message WHERE account_id = ? AND {condition}{partial} AND id > ? ORDER BY id LIMIT ?",
            (account, self.sql.as_list([int(state) for state in states]), after, limit),
        )
        return [row[0] for row in rows]

    def letters_between(
        self, account: AccountId, after: MessageId, upto: MessageId, limit: int
    ) -> list[StoredLetter]:
        rows = self.sql.all(
            "SELECT id, form, state, key_packets FROM message WHERE id IN (SELECT p.message_id FROM mailbox b"
            " JOIN membership p ON p.mailbox_id = b.id WHERE b.account_id = ? AND p.message_id > ?"
            " AND p.message_id <= ?) ORDER BY id LIMIT ?",
            (account, after, upto, limit),
        )
        return [StoredLetter(row[0], FORMS[row[1]], STATES[row[2]], bytes(row[3] or b"")) for row in rows]

    def message_origin(self, message: MessageId) -> MessageOrigin:
        row = self.sql.one(
            "SELECT m.account_id, m.email_id, m.thread_id, t.tag, m.form, m.state, m.size, m.received_at,"
            " m.coarse_class, m.closes_exchange, m.has_xdm, m.has_calendar, m.scan, m.summary"
            " FROM message m LEFT JOIN thread t ON t.account_id = m.account_id AND t.thread_id = m.thread_id"
            " WHERE m.id = ?",
            (message,),
        )
        if row is None:
            raise NoSuchMessage(str(message))
        account, email_id, thread_id, tag, form, state, size, received_at, *found = row
        coarse_class, closes, xdm, calendar, scan, summary = found
        findings = FindingsColumns(
            CoarseClass(coarse_class),
            bool(closes),
            bool(xdm),
            bool(calendar),
            ScanVerdict(scan),
            None if summary is None else bytes(summary),
        )
        return MessageOrigin(
            message,
            account,
            email_id,
            thread_id,
            tag,
            FORMS[form],
            STATES[state],
            size,
            received_at,
            findings,
        )

    def sent_copy(self, account: AccountId, message: bytes, since: int) -> Filed | None:
        row = self.sql.one(
            "SELECT b.id, b.uidvalidity, p.uid, m.id, m.email_id, m.thread_id, p.modseq FROM sent_copy s"
            " JOIN message m ON m.id = s.message_id JOIN membership p ON p.message_id = m.id"
            " JOIN mailbox b ON b.id = p.mailbox_id"
            " WHERE s.reference = ? AND s.at >= ? AND m.account_id = ? AND b.special_use = ?",
            (self._sent_reference(account, message), since, account, SpecialUse.SENT.value),
        )
        return None if row is None else Filed(account, *row)

    def _sent_reference(self, account: AccountId, message: bytes) -> bytes:
        return self._keyring.reference_hmac(account, message)

    # -- conversations -----------------------------------------------------------------------------------

    def conversations(
        self, accounts: Sequence[AccountId], message_ids: Sequence[bytes]
    ) -> dict[AccountId, Conversation]:
        known: dict[AccountId, Conversation] = {}
        for account in accounts:
            found = self._known_thread(account, self._references(account, message_ids))
            if found is not None:
                known[account] = found
        return known

    def tags_taken(self, accounts: Sequence[AccountId], tags: Sequence[str]) -> set[str]:
        taken: set[str] = set()
        for account in accounts:
            for tag in tags:
                if tag not in taken and self.sql.one(
                    "SELECT 1 FROM thread_tag WHERE account_id = ? AND tag = ?", (account, tag)
                ):
                    taken.add(tag)
        return taken

    def _references(self, account: AccountId, message_ids: Sequence[bytes]) -> list[bytes]:
        """HMACs in order of trust: the message's own id, then the nearest ancestor first."""
        if not message_ids:
            return []
        own, *ancestors = message_ids
        chosen = dict.fromkeys([own, *ancestors[: -MAX_REFERENCES - 1 : -1]])
        return [self._keyring.reference_hmac(account, one) for one in chosen if one]

    def _known_thread(self, account: AccountId, references: Sequence[bytes]) -> Conversation | None:
        """The thread of the first reference that is known: a message joins one thread, none are merged."""
        for reference in references:
            row = self.sql.one(
                "SELECT r.thread_id, t.tag FROM thread_reference r"
                " JOIN thread t ON t.account_id = r.account_id AND t.thread_id = r.thread_id"
                " WHERE r.reference = ? AND r.account_id = ?",
                (reference, account),
            )
            if row is not None:
                return Conversation(row[0], row[1])
        return None

    # -- shared steps ------------------------------------------------------------------------------------

    def _once_a_change(self, question: Hashable, stamp: Hashable, count: Callable[[], T]) -> T:
        """Answer from memory while nothing changed since it was counted."""
        reader = seen.NOBODY if self._seer is None else self._seer.number
        return self._shared.counted.answer((reader, question), stamp, count)

    def _mailbox_stamp(self, mailbox: MailboxId) -> tuple[int, int]:
        """Different whenever a membership of the mailbox, or what is recent in it, is."""
        row = self.sql.one("SELECT highestmodseq, first_recent FROM mailbox WHERE id = ?", (mailbox,))
        return (0, 0) if row is None else (row[0], row[1])

    def _among(self, column: str, uids: Sequence[int]) -> tuple[str, tuple[Any, ...], set[int] | None]:
        """A condition for these uids, its parameters, and the set to filter by when it may match more."""
        if len(uids) == 1:
            return f"{column} = ?", (uids[0],), None
        low, high = min(uids), max(uids)
        wanted = set(uids)
        span = high - low + 1
        if span == len(wanted):
            return f"{column} BETWEEN ? AND ?", (low, high), None
        if span <= 2 * len(wanted):
            return f"{column} BETWEEN ? AND ?", (low, high), wanted
        return self.sql.listed(column), (self.sql.as_list(uids),), None

    def _cipher(self, account: AccountId) -> Cipher:
        return self._keyring.load(self.sql, account)

    def _account_of(self, mailbox: MailboxId) -> AccountId:
        row = self.sql.one("SELECT account_id FROM mailbox WHERE id = ?", (mailbox,))
        if row is None:
            raise NoSuchMailbox(str(mailbox))
        return row[0]

    def _open_keywords(self, account: AccountId, message: MessageId, stored: bytes) -> frozenset[str]:
        clear = self._cipher(account).open(bytes(stored), bound_column(account, b"keywords", str(message)))
        return frozenset(clear.decode().split("\0"))

    def _seal_keywords(
        self, account: AccountId, message: MessageId, keywords: frozenset[str]
    ) -> bytes | None:
        if not keywords:
            return None
        clear = "\0".join(sorted(keywords)).encode()
        return self._cipher(account).seal(clear, bound_column(account, b"keywords", str(message)))

    def _mailbox(self, row: tuple[Any, ...] | None) -> Mailbox:
        if row is None:
            raise NoSuchMailbox
        number, account, stored, object_id, validity, uidnext, modseq, use, subscribed, recent = row
        stored = bytes(stored)
        names = self._shared.names
        name = names.get(stored)
        if name is None:
            clear = self._cipher(account).open(stored, bound_column(account, b"name", object_id))
            name = clear.decode()
            if len(names) >= _NAMES_KEPT:
                names.clear()
            names[stored] = name
        return Mailbox(
            number,
            account,
            name,
            object_id,
            validity,
            uidnext,
            modseq,
            None if use is None else SpecialUse(use),
            bool(subscribed),
            recent,
        )


def canonical_name(name: str) -> str:
    """INBOX is case-blind (RFC 9051 §5.1), as is the first level of its children."""
    first, slash, rest = name.partition("/")
    return "INBOX" + slash + rest if first.upper() == "INBOX" else name
