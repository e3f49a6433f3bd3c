"""Who talks with whom, open or closed: what lets a patient write, and to whom.

A professional's letter to a patient opens the conversation of its thread, or opens it again; their `[FIN]`, or
`X-MSS-MES: FIN`, closes it (reference/mssante.md §3.1). Whom a patient may answer is the letter's Reply-To when it
has one, else who sent it.

Invariants: rows are written in the transaction that files the letter, and only when a patient is involved; a
patient never is another patient's correspondent; one who closes ends what they opened, not what others did.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mail_server.accounts.interface import Account, Accounts, Kind
from mail_server.conversations.recent import recently_written
from mail_server.keys.interface import KeyUnavailable, KeyWrapper
from mail_server.store.interface import Reader, Sql, Store, Transaction
from mail_server.store.model import AccountId

MOST = 200  # correspondences shown
_MOST_ROWS = 1000  # conversations looked at for them
_PURPOSE = b"conversation address"
_INSERT = (
    "INSERT INTO conversation (patient, correspondent, thread_id, opener, address, opened_at, last_at, closed_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (patient, correspondent, thread_id)"
)


class Standing(enum.Enum):
    """How a patient stands with one correspondent."""

    NONE = "none"
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Party:
    """A correspondent as a row names them."""

    key: str
    address: bytes | None = field(default=None, repr=False)  # wrapped; of another operator alone


@dataclass(frozen=True, slots=True)
class Written:
    """What a professional's letter does to conversations."""

    opener: Party
    correspondents: tuple[Party, ...]  # whom the patient may answer
    closes: bool = False
    closes_all: bool = False  # a subject that is exactly "[FIN]": all of the exchange, whatever the thread


@dataclass(frozen=True, slots=True)
class Correspondence:
    """Someone with whom letters go to and fro."""

    address: str = field(repr=False)
    open: bool
    last_at: int
    threads: tuple[str, ...] = ()  # in the asker's own account, newest first
    closed: frozenset[str] = frozenset()  # those of them that take no answer any more


class Conversations:
    def __init__(self, *, store: Store, accounts: Accounts, keys: KeyWrapper) -> None:
        self._store = store
        self._accounts = accounts
        self._keys = keys

    # -- what a letter does

    def party(self, address: str) -> Party | None:
        """Who is behind an address; None for a patient of ours, for nobody here, for what is no address."""
        account = self._accounts.by_address(address)
        if account is not None:
            return None if account.kind is Kind.PATIENT else Party(account.id)
        _, at, domain = address.rpartition("@")
        if not at or not domain or self._accounts.is_local_domain(domain):
            return None
        address = address.lower()
        return Party(self._foreign(address), self._keys.wrap(address.encode("utf-8", "replace"), _PURPOSE))

    def written(
        self, sender: str, reply_to: Iterable[str], *, closes: bool, closes_all: bool
    ) -> Written | None:
        """What a letter of `sender` does; None when they are nobody whom a patient could answer."""
        opener = self.party(sender)
        if opener is None:
            return None
        named = {found.key: found for one in reply_to if (found := self.party(one)) is not None}
        return Written(opener, tuple(named.values()) or (opener,), closes, closes_all)

    def record(
        self, transaction: Transaction, written: Written, threads: Mapping[AccountId, str], at: int
    ) -> None:
        """`threads` is where the letter was filed: patient and thread. In the transaction that files it."""
        for patient, thread in threads.items():
            if written.closes:
                self._close(transaction.sql, patient, thread, written, at)
            else:
                for party in written.correspondents:
                    self._open(transaction.sql, patient, thread, party, written.opener, at)

    def answered(
        self,
        transaction: Transaction,
        patient: AccountId,
        to: Sequence[AccountId],
        message_ids: Sequence[bytes],
        at: int,
    ) -> None:
        """A patient's letter leaves: the conversations it belongs to are recent ones."""
        known = transaction.conversations([patient], message_ids).get(patient)
        for correspondent in to:
            moved = known and transaction.sql.run(
                "UPDATE conversation SET last_at = ? WHERE patient = ? AND correspondent = ? AND thread_id = ?",
                (at, patient, correspondent, known.thread_id),
            )
            if not moved:
                transaction.sql.run(
                    "UPDATE conversation SET last_at = ? WHERE patient = ? AND correspondent = ? AND closed_at IS NULL",
                    (at, patient, correspondent),
                )

    def _open(self, sql: Sql, patient: AccountId, thread: str, party: Party, opener: Party, at: int) -> None:
        sql.run(
            _INSERT + " DO UPDATE SET opener = excluded.opener, last_at = excluded.last_at, closed_at = NULL",
            (patient, party.key, thread, opener.key, party.address, at, at, None),
        )

    def _close(self, sql: Sql, patient: AccountId, thread: str, written: Written, at: int) -> None:
        me = written.opener.key
        sql.run(
            "UPDATE conversation SET closed_at = coalesce(closed_at, ?), last_at = ?"
            " WHERE patient = ? AND thread_id = ? AND (opener = ? OR correspondent = ?)",
            (at, at, patient, thread, me, me),
        )
        if written.closes_all:
            sql.run(
                "UPDATE conversation SET closed_at = ?, last_at = ?"
                " WHERE patient = ? AND (opener = ? OR correspondent = ?) AND closed_at IS NULL",
                (at, at, patient, me, me),
            )
        for (
            party
        ) in written.correspondents:  # a notice that may not be answered is known as a closed exchange
            sql.run(
                _INSERT + " DO NOTHING",
                (patient, party.key, thread, me, party.address, at, at, at),
            )

    # -- what a patient may do

    def standing(self, reader: Reader, patient: AccountId, correspondent: AccountId) -> Standing:
        """Whether any exchange of the two is open."""
        row = reader.sql.one(
            "SELECT count(*), count(closed_at) FROM conversation WHERE patient = ? AND correspondent = ?",
            (patient, correspondent),
        )
        total, closed = row or (0, 0)
        if not total:
            return Standing.NONE
        return Standing.OPEN if total > closed else Standing.CLOSED

    def closed_thread(
        self,
        reader: Reader,
        patient: AccountId,
        correspondents: Iterable[AccountId],
        message_ids: Sequence[bytes],
    ) -> bool:
        """Whether an answer would go into a thread that one of its addressees has closed."""
        known = reader.conversations([patient], message_ids).get(patient)
        return known is not None and any(
            reader.sql.one(
                "SELECT 1 FROM conversation WHERE patient = ? AND correspondent = ? AND thread_id = ?"
                " AND closed_at IS NOT NULL",
                (patient, correspondent, known.thread_id),
            )
            for correspondent in correspondents
        )

    # -- what the page shows

    def of(self, reader: Reader, account: Account) -> list[Correspondence]:
        """With whom: for a patient every exchange, for a professional the recent ones. Newest first."""
        if account.kind is Kind.PATIENT:
            return self._of_patient(reader, account)
        return self._of_professional(reader, account)

    def _of_patient(self, reader: Reader, account: Account) -> list[Correspondence]:
        found: dict[str, Correspondence] = {}
        for key, thread, wrapped, last_at, closed_at in reader.sql.all(
            "SELECT correspondent, thread_id, address, last_at, closed_at FROM conversation"
            " WHERE patient = ? ORDER BY last_at DESC, thread_id LIMIT ?",
            (account.id, _MOST_ROWS),
        ):
            known = found.get(key)
            if known is None:
                address = self._address(key, wrapped)
                if not address or len(found) >= MOST:
                    continue
                known = Correspondence(address, open=False, last_at=int(last_at))
            found[key] = Correspondence(
                known.address,
                known.open or closed_at is None,
                known.last_at,
                (*known.threads, thread),
                known.closed if closed_at is None else known.closed | {thread},
            )
        return list(found.values())

    def _of_professional(self, reader: Reader, account: Account) -> list[Correspondence]:
        """They write freely: each is open. Patients come from conversations, everyone from recent letters."""
        met: dict[AccountId, tuple[int, tuple[str, ...]]] = {}
        for patient, last_at in reader.sql.all(
            "SELECT patient, max(last_at) AS latest FROM conversation WHERE correspondent = ?"
            " GROUP BY patient ORDER BY latest DESC LIMIT ?",
            (account.id, MOST),
        ):
            met[AccountId(patient)] = (int(last_at), ())
        for letter in recently_written(reader, account.id, MOST):
            for address in letter.addresses:
                other = self._accounts.by_address(address)
                if other is None or other.id == account.id:
                    continue
                last_at, threads = met.get(other.id, (0, ()))
                if letter.thread not in threads:
                    threads = (*threads, letter.thread)
                met[other.id] = (max(last_at, letter.at), threads)
        newest = sorted(met.items(), key=lambda one: -one[1][0])[:MOST]
        return [
            Correspondence(other.shown, open=not other.suspended, last_at=last_at, threads=threads)
            for key, (last_at, threads) in newest
            if (other := self._accounts.by_id(key)) is not None
        ]

    # -- inside

    def _address(self, key: str, wrapped: bytes | None) -> str:
        if wrapped is None:
            found = self._accounts.by_id(AccountId(key))
            return found.shown if found else ""
        try:
            return self._keys.unwrap(bytes(wrapped), _PURPOSE).decode("utf-8", "replace")
        except KeyUnavailable:
            return ""

    def _foreign(self, address: str) -> str:
        mark = self._store.submission_fingerprint(b"correspondent", address.encode("utf-8", "replace"))
        return "h:" + mark[:16].hex()
