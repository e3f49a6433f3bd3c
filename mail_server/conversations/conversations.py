"""Who talks with whom, open or closed: what lets a patient write, and to whom.

A professional's letter to a patient opens the exchange it belongs to (`roots`), or opens it again; what closes it is
in `How` (reference/mssante.md §3.2). Whom a patient may answer is the letter's Reply-To when it has one, else who
sent it.

Invariants: rows are written in the transaction that files the letter, and only when a patient is involved; a
patient never is another patient's correspondent; one who closes ends what they opened, not what others did; a
patient's own letter opens nothing that lets them write to who never wrote.
"""

# ruff: noqa: S608 - what is put into statements are our own conditions and question marks, never a value

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mail_server.accounts.interface import Account, Accounts, Contact, Kind
from mail_server.conversations.model import (
    Bar,
    Correspondence,
    How,
    Party,
    Stand,
    Standing,
    Written,
)
from mail_server.conversations.recent import recently_written
from mail_server.conversations.roots import LetterIds, known_roots, root_of
from mail_server.keys.interface import KeyUnavailable, KeyWrapper
from mail_server.store.interface import Reader, Sql, Store, Transaction
from mail_server.store.model import AccountId

MOST = 200  # correspondences shown
_MOST_ROWS = 1000  # conversations looked at for them
_PURPOSE = b"conversation address"
_INSERT = (
    "INSERT INTO conversation (patient, correspondent, root, thread_id, opener, address, opened_at, last_at,"
    " closed_at, closed_by, closed_how) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (patient, correspondent, root)"
)
_LETTER = (
    "INSERT INTO conversation_letter (patient, letter, root, no_answer_by, closes) VALUES (?, ?, ?, ?, ?)"
    # What was noted stays: a letter that takes another's Message-ID says nothing about that one.
    " ON CONFLICT (patient, letter) DO NOTHING"
)


class Conversations:
    def __init__(self, *, store: Store, accounts: Accounts, keys: KeyWrapper) -> None:
        self._store = store
        self._accounts = accounts
        self._keys = keys

    # -- who

    def party(self, address: str) -> Party | None:
        """Who is behind an address; None for a patient of ours, for nobody here, for what is no address."""
        account = self._accounts.by_address(address)
        if account is not None:
            return None if account.kind is Kind.PATIENT else Party(account.id)
        _, at, domain = address.rpartition("@")
        if not at or not domain or self._accounts.is_local_domain(domain):
            return None
        return self.stranger(address)

    def stranger(self, address: str) -> Party:
        """Someone who has no account here."""
        address = address.lower()
        return Party(self._foreign(address), self._keys.wrap(address.encode("utf-8", "replace"), _PURPOSE))

    def address_of(self, key: str, wrapped: bytes | None) -> str:
        """As it is shown; "" for who is gone."""
        if wrapped is None:
            found = self._accounts.by_id(AccountId(key))
            return found.shown if found else ""
        try:
            return self._keys.unwrap(bytes(wrapped), _PURPOSE).decode("utf-8", "replace")
        except KeyUnavailable:
            return ""

    def mark(self, message_id: bytes) -> bytes:
        """By which a Message-ID is known here."""
        return self._store.submission_fingerprint(b"conversation letter", message_id)[:16]

    # -- what a letter does

    def written(
        self,
        sender: str,
        reply_to: Iterable[str],
        ids: LetterIds,
        *,
        closes: How | None = None,
        no_answer: bool = False,
    ) -> Written | None:
        """What a letter of `sender` does; None when they are nobody whom a patient could answer."""
        opener = self.party(sender)
        if opener is None:
            return None
        named = {found.key: found for one in reply_to if (found := self.party(one)) is not None}
        return Written(opener, tuple(named.values()) or (opener,), ids, closes, no_answer)

    def record(
        self, transaction: Transaction, written: Written, threads: Mapping[AccountId, str], at: int
    ) -> list[AccountId]:
        """`threads` is where the letter was filed: patient and thread. In the transaction that files it.

        Returns the patients whose exchange it closed.
        """
        closed: list[AccountId] = []
        for patient, thread in threads.items():
            root = root_of(transaction, patient, written.ids, self.mark)
            closes = written.closes or self._closing_letter(transaction.sql, patient, written.ids)
            self._note(transaction.sql, patient, written, root, closes)
            if closes is not None:
                self.close(transaction.sql, patient, root, written, closes, at)
                self._insert_closed(transaction.sql, patient, root, written, closes, at, thread)
                closed.append(patient)
            elif written.no_answer:
                # It opens nothing; and a first letter that takes no answer is known as a closed exchange.
                self._insert_closed(transaction.sql, patient, root, written, How.HEADER, at, thread)
            else:
                for party in written.correspondents:
                    self._open(transaction.sql, patient, root, thread, party, written.opener, at)
        return closed

    def announce_closing(
        self, transaction: Transaction, written: Written, named: Iterable[AccountId], at: int
    ) -> list[AccountId]:
        """A letter that came to `fin@` in an envelope of its own: before or after its patients' copies."""
        sql, patients = transaction.sql, sorted(set(named))
        closed: list[AccountId] = []
        for patient in patients:
            root = root_of(transaction, patient, written.ids, self.mark)
            self._note(sql, patient, written, root, How.ADDRESS)
            if self.close(sql, patient, root, written, How.ADDRESS, at):
                closed.append(patient)
        return closed

    def _closing_letter(self, sql: Sql, patient: AccountId, ids: LetterIds) -> How | None:
        """Its copy for `fin@` came first."""
        if ids.own is None:
            return None
        row = sql.one(
            "SELECT closes FROM conversation_letter WHERE patient = ? AND letter = ?",
            (patient, self.mark(ids.own)),
        )
        return How.ADDRESS if row is not None and row[0] else None

    def _note(self, sql: Sql, patient: AccountId, written: Written, root: bytes, closes: How | None) -> None:
        if written.ids.own is not None:
            by = written.opener.key if written.no_answer else None
            sql.run(_LETTER, (patient, self.mark(written.ids.own), root, by, int(closes is How.ADDRESS)))

    def answered(
        self, transaction: Transaction, patient: AccountId, to: Sequence[Party], ids: LetterIds, at: int
    ) -> None:
        """A patient's letter leaves: the exchange it belongs to is a recent one, or begins."""
        root = root_of(transaction, patient, ids, self.mark)
        if ids.own is not None:
            transaction.sql.run(_LETTER, (patient, self.mark(ids.own), root, None, 0))
        known = transaction.conversations([patient], list(ids.named)).get(patient) if ids.named else None
        for correspondent in to:
            transaction.sql.run(
                # Whose it is stays: only a professional's letter lets the patient write.
                _INSERT + " DO UPDATE SET last_at = excluded.last_at",
                (
                    patient, correspondent.key, root, known.thread_id if known else "", patient,
                    correspondent.address, at, at,
                    None, None, None,
                ),
            )  # fmt: skip

    def _open(
        self, sql: Sql, patient: AccountId, root: bytes, thread: str, party: Party, opener: Party, at: int
    ) -> None:
        sql.run(
            _INSERT + " DO UPDATE SET opener = excluded.opener, thread_id = excluded.thread_id,"
            " last_at = excluded.last_at, closed_at = NULL, closed_by = NULL, closed_how = NULL",
            (patient, party.key, root, thread, opener.key, party.address, at, at, None, None, None),
        )

    def close(self, sql: Sql, patient: AccountId, root: bytes, written: Written, how: How, at: int) -> int:
        """The exchange of this root; a closing that belongs to none of theirs ends all they have. How many."""
        me = written.opener.key
        known = sql.one(
            "SELECT 1 FROM conversation WHERE patient = ? AND root = ? AND (opener = ? OR correspondent = ?)",
            (patient, root, me, me),
        )
        condition, parameters = (" AND root = ?", (root,)) if known else ("", ())
        return sql.run(
            "UPDATE conversation SET closed_at = ?, closed_by = ?, closed_how = ?, last_at = ?"
            f" WHERE patient = ?{condition} AND (opener = ? OR correspondent = ?) AND closed_at IS NULL",
            (at, me, how.value, at, patient, *parameters, me, me),
        )

    def _insert_closed(
        self,
        sql: Sql,
        patient: AccountId,
        root: bytes,
        written: Written,
        how: How,
        at: int,
        thread: str,
    ) -> None:
        me = written.opener.key
        for party in written.correspondents:
            sql.run(
                _INSERT + " DO NOTHING",
                (patient, party.key, root, thread, me, party.address, at, at, at, me, how.value),
            )

    # -- what a patient may do

    def standing(self, reader: Reader, patient: AccountId, correspondent: AccountId) -> Standing:
        """Whether any exchange of the two is open."""
        return self.stand(reader, patient, correspondent).standing

    def stand(self, reader: Reader, patient: AccountId, correspondent: AccountId) -> Stand:
        row = reader.sql.one(
            "SELECT count(*), count(CASE WHEN closed_at IS NULL AND opener <> patient THEN 1 END),"
            " count(closed_at) FROM conversation WHERE patient = ? AND correspondent = ?",
            (patient, correspondent),
        )
        total, opened, closed = row or (0, 0, 0)
        if not total or (not opened and not closed):
            return Stand(Standing.NONE)
        if opened:
            return Stand(Standing.OPEN)
        last = reader.sql.one(
            "SELECT closed_by, address FROM conversation"
            " WHERE patient = ? AND correspondent = ? AND closed_at IS NOT NULL ORDER BY closed_at DESC, root LIMIT 1",
            (patient, correspondent),
        )
        closed_by, address = last or (None, None)
        return Stand(Standing.CLOSED, self.closer(closed_by, correspondent, address))

    def barred(
        self, reader: Reader, patient: AccountId, correspondents: Sequence[str], ids: LetterIds
    ) -> Bar | None:
        """Whether an answer would go to a letter that takes none, or into an exchange that its addressee closed."""
        if ids.answered:
            marks = [self.mark(each) for each in ids.answered]
            places = ", ".join("?" * len(marks))
            row = reader.sql.one(
                "SELECT no_answer_by FROM conversation_letter WHERE patient = ?"
                f" AND letter IN ({places}) AND no_answer_by IS NOT NULL",
                (patient, *marks),
            )
            if row is not None:
                return Bar(True, self.closer(row[0], row[0], None))
        for root in known_roots(reader, patient, ids.named, self.mark):
            for correspondent in correspondents:
                row = reader.sql.one(
                    "SELECT closed_by, address FROM conversation WHERE patient = ? AND correspondent = ?"
                    " AND root = ? AND closed_at IS NOT NULL",
                    (patient, correspondent, root),
                )
                if row is not None:
                    return Bar(False, self.closer(row[0], correspondent, row[1]))
        return None

    def closer(self, closed_by: str | None, correspondent: str, wrapped: bytes | None) -> str:
        """Who closed, as the patient knows them: themselves, or the address the patient would answer."""
        named = self.address_of(closed_by, None) if closed_by else ""
        return named or self.address_of(correspondent, wrapped)

    # -- what the page shows

    def of(self, reader: Reader, account: Account) -> list[Correspondence]:
        """With whom: for a patient every exchange, for a professional the recent ones. Newest first."""
        if account.kind is Kind.PATIENT:
            return self._of_patient(reader, account)
        return self._of_professional(reader, account)

    def _of_patient(self, reader: Reader, account: Account) -> list[Correspondence]:
        found: dict[str, Correspondence] = {}
        open_threads: dict[str, set[str]] = {}
        for key, thread, opener, wrapped, last_at, closed_at in reader.sql.all(
            "SELECT correspondent, thread_id, opener, address, last_at, closed_at FROM conversation"
            " WHERE patient = ? ORDER BY last_at DESC, thread_id LIMIT ?",
            (account.id, _MOST_ROWS),
        ):
            known = found.get(key)
            if known is None:
                address = self.address_of(key, wrapped)
                if not address or len(found) >= MOST:
                    continue
                known = Correspondence(address, open=False, last_at=int(last_at))
            lively = open_threads.setdefault(key, set())
            if closed_at is None:
                lively.add(thread)
            shown = thread and thread not in known.threads
            found[key] = Correspondence(
                known.address,
                known.open or (closed_at is None and (opener != account.id or self._takes_first(key))),
                known.last_at,
                (*known.threads, thread) if shown else known.threads,
                known.closed - lively if thread in lively or not thread else known.closed | {thread},
            )
        return list(found.values())

    def dispensed(self, reader: Reader, account: Account, since: int) -> list[Correspondence]:
        """Organisations that dispensed to this patient since then and take a first letter for it: a prescription may
        go to them though no letter went to and fro yet."""
        if account.kind is not Kind.PATIENT:
            return []
        rows = reader.sql.all(
            "SELECT pharmacy, at FROM dispensing WHERE patient = ? AND at >= ? ORDER BY at DESC LIMIT ?",
            (account.id, since, MOST),
        )
        return [
            Correspondence(address, open=True, last_at=int(at))
            for key, at in rows
            if self._takes_first(key) and (address := self.address_of(key, None))
        ]

    def _takes_first(self, key: str) -> bool:
        account = self._accounts.by_id(AccountId(key))
        return account is not None and account.contact is not Contact.REPLIES_ONLY

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

    def _foreign(self, address: str) -> str:
        mark = self._store.submission_fingerprint(b"correspondent", address.encode("utf-8", "replace"))
        return "h:" + mark[:16].hex()
