"""What became of each record a system handed in: one row a letter and recipient, for the letter of the morning.

Rows are written by a note in the transaction that files the letter or lays it into the queue, by the queue when it
settles, by the refusal of an admitted sender, by what the sender itself tells (`suivi@<domain>`, which acts and is laid
down nowhere), and by what receiving software answers, here and at other operators.

Invariants: one letter and recipient is one row, however often it is sent or told of; a refusal is durable before the
peer hears it; what was told in a letter is changed no more, it is told as learned later; a Message-ID or address is
wrapped at rest and in no log; ordinary letters of ordinary accounts cost one look in memory.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mail_server import mime
from mail_server.accounts.interface import Account, Accounts, Kind
from mail_server.conversations.conversations import Conversations
from mail_server.conversations.roots import LetterIds
from mail_server.delivery.examine import Letter, examine
from mail_server.delivery.exchanges import Note
from mail_server.delivery.feedback_ledger import DELIVERED, REFUSED, WAITING, Ledger, Line
from mail_server.delivery.feedback_told import Failure, bounces, failures
from mail_server.delivery.gate import Gate, domain_of
from mail_server.delivery.interface import Envelope, Recipient, Road, Sender
from mail_server.keys.interface import KeyUnavailable, KeyWrapper
from mail_server.outbound.reports.interface import Fate, Settled, Told
from mail_server.payloads.record import causes, integration
from mail_server.store.interface import Sql, Store, StoreError, Transaction
from mail_server.store.model import AccountId, CoarseClass, Filed
from policies.interface import AuditTrail, Event
from policies.refusal import Refusal

_log = logging.getLogger("vaguemestre.delivery")
FOLLOWED_LOCAL = "suivi"  # suivi@<domain>: no account ever has it
FOLLOWED = AccountId("followed-address")  # its recipient, in an envelope
REFERENCE_PURPOSE = b"report ledger reference"
ADDRESS_PURPOSE = b"report ledger address"
_CLAIMED_DAYS = 2
_DAY_MS = 86_400_000


@dataclass(slots=True)
class FeedbackCounters:
    delivered: int = 0
    waiting: int = 0
    refused: int = 0
    told_by_senders: int = 0
    integration_failures: int = 0
    morning_letters: int = 0


class Feedback:
    def __init__(
        self,
        *,
        store: Store,
        accounts: Accounts,
        gate: Gate,
        conversations: Conversations,
        keys: KeyWrapper,
        trail: AuditTrail,
        systems: bool,
        clock: Callable[[], int],
    ) -> None:
        """`systems`: systems are told unless one wishes otherwise."""
        self._store, self._accounts, self._gate = store, accounts, gate
        self._conversations, self._keys, self._trail = conversations, keys, trail
        self._systems, self._clock = systems, clock
        self._ledger = Ledger(store)
        self._wishes: dict[str, bool] = {}
        self.counters = FeedbackCounters()

    async def load(self) -> None:
        rows = await self._store.read(
            lambda reader: reader.sql.all("SELECT account, wanted FROM report_wish")
        )
        self._wishes = {account: bool(wanted) for account, wanted in rows}

    async def wish(self, account: AccountId, wanted: bool, by: str) -> None:
        """Who is told, whatever they are; durable on return."""
        event = Event("morning-letter", self._clock(), by, account, outcome="on" if wanted else "off")

        def write(transaction: Transaction) -> None:
            transaction.sql.run(
                "INSERT INTO report_wish (account, wanted) VALUES (?, ?)"
                " ON CONFLICT (account) DO UPDATE SET wanted = excluded.wanted",
                (account, int(wanted)),
            )
            self._trail.append(transaction.sql, [event])

        await self._store.write(write)
        self._wishes[account] = wanted

    def wished(self, account: AccountId) -> bool | None:
        return self._wishes.get(account)

    def followed(self, sender: Sender) -> Account | None:
        """The account that is told of this sender's letters; None: nobody is."""
        if sender.identity is None or not sender.mail_from:
            return None
        account = self._gate.author(sender)
        if account is None or account.kind is Kind.PATIENT:
            return None
        told = self._wishes.get(account.id, self._systems and sender.identity.mechanism == "EXTERNAL")
        return account if told else None

    # -- letters that are filed

    def note(self, envelope: Envelope, letter: Letter) -> Note | None:
        """What to write when the letter is filed: where it went, and what it answers about earlier ones."""
        answer = integration.read(letter.data, letter.tree) if _may_answer(letter) else None
        answered = self._answered(envelope, answer) or self._bounced(envelope, letter)
        account = self.followed(envelope.sender)
        # What software answers gives the document back with it, and is no document handed in.
        if account is None or answer is not None or letter.findings.coarse_class is not CoarseClass.RECORD:
            return answered
        lines = [
            self._line(account, letter, recipient.address, found)
            for recipient in envelope.recipients
            if (found := self._accounts.by_id(recipient.account)) is not None and found.id != account.id
        ]
        lines += [self._line_abroad(account, letter, one.address) for one in envelope.abroad]

        def write(transaction: Transaction, filed: Sequence[Filed], at: int) -> None:
            for line in lines:
                self._ledger.settle(transaction.sql, line, at)
            if answered is not None:
                answered(transaction, filed, at)

        self.counters.delivered += sum(line.outcome == DELIVERED for line in lines)
        self.counters.waiting += sum(line.outcome == WAITING for line in lines)
        return write

    # -- letters that left (`mail_server.outbound.reports.interface.Owing`)

    def owe(self, transaction: Transaction, letter: Told, settled: Sequence[Settled], at: int) -> None:
        """What another operator made of a letter, noted when the queue settles it."""
        account = self._accounts.by_id(letter.account) if letter.account else None
        if account is None or not (account.kind is Kind.APP or self._wishes.get(account.id)):
            return
        own = mime.message_ids(mime.first(letter.head, "message-id") or b"")
        for one in settled if own else ():
            if one.fate is Fate.DELAYED:
                continue
            mark = self._ledger.mark(account.id, own[0], one.recipient.address)
            if one.fate in (Fate.RELAYED, Fate.DELIVERED):
                self._ledger.change(transaction.sql, account.id, mark, DELIVERED, "")
            else:
                self._ledger.change(transaction.sql, account.id, mark, REFUSED, _cause(one))

    def wake(self) -> None:
        """Nobody waits for it: it is told in the morning."""

    # -- letters that are refused

    async def refused_recipient(self, sender: Sender, address: str, refusal: Refusal) -> None:
        """At RCPT TO: which letter it would have been is not known. Durable on return."""
        account = self.followed(sender)
        if account is None or refusal.temporary or _local(address) == FOLLOWED_LOCAL:
            return
        found = self._accounts.by_address(address)
        line = Line(
            account.id,
            secrets.token_bytes(16),
            None,
            self._ledger.whom(account.id, found.shown if found else address),
            found.id if found else "",
            None if found else self._keys.wrap(address.encode(), ADDRESS_PURPOSE),
            None,
            REFUSED,
            refusal.reason,
        )
        self.counters.refused += 1
        await self._written([line])

    async def refused(self, envelope: Envelope, message: bytes, refusal: Refusal, large: int) -> None:
        """At the end of data. Durable on return."""
        account = self.followed(envelope.sender)
        if account is None or refusal.temporary or envelope.kept_in is not None:
            return
        if any(recipient.account == FOLLOWED for recipient in envelope.recipients):
            return
        try:
            letter = await examine(message, large)
        except Refusal:
            return
        if letter.findings.coarse_class is not CoarseClass.RECORD:
            return
        lines = [
            self._line(account, letter, recipient.address, found, refusal.reason)
            for recipient in envelope.recipients
            if (found := self._accounts.by_id(recipient.account)) is not None and found.id != account.id
        ]
        self.counters.refused += len(lines)
        await self._written(lines)

    async def _written(self, lines: Sequence[Line]) -> None:
        def write(transaction: Transaction) -> None:
            at = self._clock()
            for line in lines:
                self._ledger.settle(transaction.sql, line, at)

        try:
            await self._store.write(write)
        except StoreError as failure:  # the peer hears its refusal all the same, and tells of it itself
            _log.error("a refusal could not be noted for the morning (%s)", type(failure).__name__)

    # -- what the sender tells

    def acting(self, envelope: Envelope, address: str) -> Recipient | None:
        """`suivi@<domain>`, for who is told of their letters; None for any other address. Raises Refusal."""
        if _local(address) != FOLLOWED_LOCAL or not self._accounts.is_local_domain(domain_of(address)):
            return None
        if self._accounts.by_address(address) is not None or self.followed(envelope.sender) is None:
            return None  # an account from before the name was reserved; or nobody who is told
        if envelope.recipients:
            raise Refusal(452, "4.5.3", "This address takes a letter of its own", "followed-address-alone")
        return Recipient(address, FOLLOWED)

    def acts(self, envelope: Envelope) -> bool:
        return any(recipient.account == FOLLOWED for recipient in envelope.recipients)

    async def told(self, envelope: Envelope, letter: Letter) -> None:
        """What the sender tells of its own failures. Durable on return; raises Refusal."""
        account = self.followed(envelope.sender)
        found = failures(letter.data, letter.tree)
        if account is None or len(envelope.recipients) > 1 or not found:
            raise Refusal(
                550,
                "5.6.0",
                "This address takes reports of failures alone (RFC 3464)",
                "followed-address-unread",
            )
        actor = envelope.sender.identity.account if envelope.sender.identity else account.id
        event = Event("report-failures", self._clock(), actor, account.id, detail={"count": str(len(found))})

        def write(transaction: Transaction) -> None:
            at = self._clock()
            for one in found:
                self._claim(transaction.sql, account, one, at)
            self._trail.append(transaction.sql, [event])

        await self._store.write(write)
        self.counters.told_by_senders += len(found)

    def _claim(self, sql: Sql, account: Account, told: Failure, at: int) -> None:
        """One row for one failure: the refusals of the same address that had no letter are this one's."""
        line = self._told_line(account, told)
        if self._ledger.known(sql, line) is not None:
            self._ledger.settle(sql, line, at)
            return
        unnamed = sql.all(
            "SELECT mark, cause, told_day FROM report_ledger WHERE account = ? AND whom = ? AND letter IS NULL"
            " AND at > ? ORDER BY at",
            (account.id, line.whom, at - _CLAIMED_DAYS * _DAY_MS),
        )
        if unnamed and told.by_server:
            # The one that a morning letter told of, if there is one: it must not be counted a second time.
            first = next((row for row in unnamed if row[2] is not None), unnamed[0])
            for row in unnamed:
                if row[2] is None and row[0] != first[0]:
                    sql.run(
                        "DELETE FROM report_ledger WHERE account = ? AND mark = ?",
                        (account.id, bytes(row[0])),
                    )
            sql.run(
                "UPDATE report_ledger SET mark = ?, letter = ?, reference = ?,"
                " withdrawal = CASE WHEN told_day IS NULL THEN ? ELSE withdrawal END WHERE account = ? AND mark = ?",
                (line.mark, line.letter, line.reference, int(line.withdrawal), account.id, bytes(first[0])),
            )
            return
        if told.by_server:
            line = replace(line, cause=self._ledger.cause_of_address(sql, line) or line.cause)
        self._ledger.settle(sql, line, at)

    # -- what receiving software answers

    def _answered(self, envelope: Envelope, answer: integration.IntegrationAnswer | None) -> Note | None:
        """An integration that failed (ANS 900 to 906), told to who sent the document by who received it: the
        addressee, or the software that gets a copy of their documents."""
        sender = envelope.sender
        author = self._gate.author(sender)
        if answer is None or not answer.failed or not answer.original_message_id:
            return None
        if author is None and sender.road is not Road.OPERATOR:
            return None
        senders = [recipient.account for recipient in envelope.recipients]
        mark = self._conversations.mark(answer.original_message_id.encode())
        cause = str(int(answer.code)) if answer.code else "906"

        def write(transaction: Transaction, _: Sequence[Filed], at: int) -> None:
            for account in senders:
                rows = transaction.sql.all(
                    "SELECT mark, recipient, address FROM report_ledger WHERE account = ? AND letter = ?",
                    (account, mark),
                )
                for found, recipient, address in rows:
                    speaks = (
                        self._speaks_for(author, recipient)
                        if author is not None
                        else address is not None and self._speaks_for_abroad(sender, bytes(address))
                    )
                    if not speaks:
                        continue
                    self.counters.integration_failures += 1
                    self._ledger.change(transaction.sql, account, bytes(found), REFUSED, cause)

        return write

    def _speaks_for(self, author: Account, recipient: str) -> bool:
        if author.id == recipient:
            return True
        holder = self._accounts.by_id(AccountId(recipient)) if recipient else None
        return holder is not None and holder.copy_to_software and holder.software == author.id

    def _bounced(self, envelope: Envelope, letter: Letter) -> Note | None:
        """What another operator had taken and could not lay down after all: its report, from nobody (RFC 3461 §6.1)."""
        sender = envelope.sender
        if sender.road is not Road.OPERATOR or sender.mail_from or not _may_answer(letter):
            return None
        found = [
            one
            for one in bounces(letter.data, letter.tree)
            if self._gate.trusts_domain(sender, domain_of(one.address))
        ]
        if not found:
            return None
        accounts = [recipient.account for recipient in envelope.recipients]

        def write(transaction: Transaction, _: Sequence[Filed], at: int) -> None:
            for account in accounts:
                for one in found:
                    mark = self._ledger.mark(account, one.message_id, one.address)
                    self._ledger.change(transaction.sql, account, mark, REFUSED, one.cause)

        return write

    def _speaks_for_abroad(self, sender: Sender, address: bytes) -> bool:
        """Software of another operator, for anybody of that operator's domains."""
        try:
            domain = domain_of(self._keys.unwrap(address, ADDRESS_PURPOSE).decode())
        except KeyUnavailable:
            return False
        return self._gate.trusts_domain(sender, domain)

    # -- rows

    def _line_abroad(self, account: Account, letter: Letter, address: str) -> Line:
        """Of somebody at another operator: it waits until that operator has taken it."""
        own = LetterIds.of(letter.fields).own
        return Line(
            account.id,
            self._ledger.mark(account.id, own, address) if own else secrets.token_bytes(16),
            self._conversations.mark(own) if own else None,
            self._ledger.whom(account.id, address),
            "",
            self._keys.wrap(address.encode(), ADDRESS_PURPOSE),
            self._keys.wrap(own, REFERENCE_PURPOSE) if own else None,
            WAITING,
            "",
            _withdraws(letter),
        )

    def _line(
        self, account: Account, letter: Letter, address: str, recipient: Account, cause: str = ""
    ) -> Line:
        own = LetterIds.of(letter.fields).own
        waiting = recipient.kind is Kind.PATIENT and not recipient.activated
        return Line(
            account.id,
            self._ledger.mark(account.id, own, address) if own else secrets.token_bytes(16),
            self._conversations.mark(own) if own else None,
            self._ledger.whom(account.id, recipient.shown),
            recipient.id,
            None,
            self._keys.wrap(own, REFERENCE_PURPOSE) if own else None,
            REFUSED if cause else WAITING if waiting else DELIVERED,
            cause,
            _withdraws(letter),
        )

    def _told_line(self, account: Account, told: Failure) -> Line:
        recipient = self._accounts.by_address(told.address) if told.address else None
        address = recipient.address if recipient is not None else told.address
        return Line(
            account.id,
            self._ledger.mark(account.id, told.message_id, address),
            self._conversations.mark(told.message_id),
            self._ledger.whom(account.id, recipient.shown if recipient is not None else told.address),
            recipient.id if recipient is not None else "",
            self._keys.wrap(told.address.encode(), ADDRESS_PURPOSE) if recipient is None else None,
            self._keys.wrap(told.message_id, REFERENCE_PURPOSE),
            REFUSED,
            told.cause,
            told.withdrawal,
        )


def _may_answer(letter: Letter) -> bool:
    """A cheap look, so that ordinary letters cost nothing."""
    if letter.tree.content_type == "multipart/report":
        return True
    subject = letter.tree.fields.get(b"subject", b"")
    return bool(subject) and "[KO " in mime.decoded(subject[:2000])


def _withdraws(letter: Letter) -> bool:
    """A letter of ours that brings no document, and says which one is taken back."""
    found = letter.findings
    return found.has_manifest and not (found.has_xdm or found.has_fhir or found.announces_xdm)


def _cause(one: Settled) -> str:
    """Why another operator did not take it, as a slug that the letter of the morning has words for."""
    if one.fate is Fate.CANCELLED:
        return "cancelled"
    if one.last is not None and one.last.code:
        return causes.of_answer(one.last.code, one.last.enhanced)
    if one.fate is Fate.EXPIRED or one.last is None or not causes.is_slug(one.last.reason):
        return "expired"
    return one.last.reason


def _local(address: str) -> str:
    return address.rpartition("@")[0].lower()
