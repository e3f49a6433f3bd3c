"""What a letter does to conversations, worked out before the transaction that files it.

Invariants: mail in which no patient has a part costs one look at its recipients and no statement; a letter, or an
exchange, that one of its addressees has closed takes no answer; nothing is ever laid down for `fin@<domain>`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from mail_server import mime
from mail_server.accounts import ins
from mail_server.accounts.interface import Account, Accounts, Kind
from mail_server.conversations.blocks import Blocks, Dispensings
from mail_server.conversations.closings import Actor, Closings, closing_event
from mail_server.conversations.conversations import Conversations
from mail_server.conversations.model import How, Party, Written
from mail_server.conversations.roots import LetterIds
from mail_server.delivery.examine import Letter
from mail_server.delivery.gate import (
    NO_FACTS,
    ConversationClosed,
    Facts,
    Gate,
    Writer,
    blocked_by_patient,
    domain_of,
    is_patients,
    not_a_correspondent,
)
from mail_server.delivery.interface import Envelope, Recipient, Road, Sender
from mail_server.store.interface import Reader, Store, Transaction
from mail_server.store.model import AccountId, Filed
from policies.interface import AuditTrail
from policies.refusal import Refusal

Note = Callable[[Transaction, Sequence[Filed], int], None]
CLOSING_LOCAL = "fin"  # fin@<domain>: no account ever has it
CLOSING = AccountId("closing-address")  # its recipients, in an envelope
_MOST_NAMED = 10  # addresses of a Reply-To
_MOST_ADDRESSEES = 200


class Exchanges:
    def __init__(
        self,
        *,
        store: Store,
        accounts: Accounts,
        gate: Gate,
        conversations: Conversations,
        closings: Closings,
        blocks: Blocks,
        dispensings: Dispensings,
        trail: AuditTrail,
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._gate = gate
        self._conversations = conversations
        self._closings = closings
        self._blocks = blocks
        self._dispensings = dispensings
        self._trail = trail
        self._clock = clock

    # -- at RCPT TO

    async def facts(self, writer: Writer, address: str) -> Facts:
        """How a patient and a professional stand; nothing for all others, who need nothing."""
        account, patient = self._accounts.by_address(address), writer.patient
        if account is None:
            return NO_FACTS
        if patient is not None and account.kind is not Kind.PATIENT:
            now = self._clock()

            def of_patient(reader: Reader) -> Facts:
                return Facts(
                    self._conversations.stand(reader, patient.id, account.id),
                    self._blocks.blocked(reader, patient.id, [account.id]),
                    self._dispensings.within_a_year(reader, patient.id, account.id, now),
                )

            return await self._store.read(of_patient)
        if account.kind is Kind.PATIENT and not writer.from_patient:
            if account.closed or account.opposed:
                return NO_FACTS  # answered as soon as for an address that nobody has
            keys = self._keys(writer)
            return await self._store.read(
                lambda reader: Facts(blocked=self._blocks.blocked(reader, account.id, keys))
            )
        return NO_FACTS

    async def facts_abroad(self, writer: Writer, address: str) -> Facts:
        """How a patient of ours stands with an address of another operator; nothing for all others."""
        patient, party = writer.patient, self._conversations.party(address)
        if patient is None or party is None:
            return NO_FACTS
        return await self._store.read(
            lambda reader: Facts(
                self._conversations.stand(reader, patient.id, AccountId(party.key)),
                self._blocks.blocked(reader, patient.id, [party.key]),
            )
        )

    def _keys(self, writer: Writer) -> list[str]:
        """The address that writes, and the person who does: who is blocked is blocked under either name."""
        found = [self._conversations.party(name) for name in dict.fromkeys(writer.names)]
        return list(dict.fromkeys(each.key for each in found if each is not None))

    def closing_recipient(self, writer: Writer, sender: Sender, address: str) -> Recipient | None:
        """`fin@<domain>`, for who may close an exchange; None for any other address. Raises Refusal."""
        if writer.from_patient or not self.closes(address):
            return None
        if sender.road is not Road.CLIENT or sender.identity is None:
            raise Refusal(
                550, "5.7.1", "Only professionals of this operator close an exchange by this address",
                "closing-address-reserved",
            )  # fmt: skip
        return Recipient(address, CLOSING)

    def closes(self, address: str) -> bool:
        """Whether this is a closing address of ours."""
        local, _, _ = address.rpartition("@")
        return local.lower() == CLOSING_LOCAL and self._accounts.is_local_domain(domain_of(address))

    # -- at the end of data

    async def require_open(self, envelope: Envelope, letter: Letter) -> None:
        """A patient's answer goes where it may be answered. Raises Refusal."""
        patient = self._patient(envelope)
        if patient is None or not letter.answers:
            return
        to = [*(one.account for one in envelope.recipients), *(one.key for one in self._parties(envelope))]
        ids = LetterIds.of(letter.fields)
        bar = await self._store.read(lambda reader: self._conversations.barred(reader, patient.id, to, ids))
        if bar is not None:
            raise ConversationClosed(bar)

    async def require_from_nobody(self, envelope: Envelope, letter: Letter) -> None:
        """What another operator hands over without a sender. The rules asked about nobody at RCPT TO: here is whose it
        says it is. A patient hears by it what a program answers, and nothing of whom they blocked; a patient says by
        it that they read something, and nothing to another patient. Raises Refusal.
        """
        sender = envelope.sender
        if sender.road is not Road.OPERATOR or sender.mail_from or sender.operator_dn is None:
            return
        authors, automatic = _named(letter, ("from",)), is_automatic(letter)
        patients, from_patient = self._patients_of(envelope), any(map(self._is_patients, authors))
        if (patients or from_patient) and not automatic:
            raise Refusal(
                550, "5.7.1", "Without a sender (MAIL FROM:<>) only reports and receipts are accepted",
                "null-sender-not-a-report",
            )  # fmt: skip
        if patients and from_patient:
            raise not_a_correspondent()
        keys = [party.key for one in authors if (party := self._conversations.party(one)) is not None]
        if patients and await self._store.read(
            lambda reader: any(self._blocks.blocked(reader, each.id, keys) for each in patients)
        ):
            raise blocked_by_patient()

    def _is_patients(self, address: str) -> bool:
        found = self._accounts.by_address(address)
        return is_patients(address) or (found is not None and found.kind is Kind.PATIENT)

    def without_closing(self, envelope: Envelope) -> Envelope:
        """The envelope with those alone who get a copy."""
        if not any(recipient.account == CLOSING for recipient in envelope.recipients):
            return envelope
        kept = [recipient for recipient in envelope.recipients if recipient.account != CLOSING]
        return replace(envelope, recipients=kept)

    def note(self, envelope: Envelope, letter: Letter) -> Note | None:
        """What to write once the letter is filed; None when no patient is involved."""
        if (patient := self._patient(envelope)) is not None:
            return self._answer(patient, envelope, letter)
        patients = {recipient.account for recipient in envelope.recipients} & {
            account.id for account in self._patients_of(envelope)
        }
        if not patients or not envelope.sender.mail_from or is_automatic(letter):
            return None
        written = self._written(envelope, letter)
        if written is None:
            return None
        actor = _actor(envelope.sender)

        def record(transaction: Transaction, filed: Sequence[Filed], at: int) -> None:
            threads = {one.account: one.thread_id for one in filed if one.account in patients}
            closed = self._conversations.record(transaction, written, threads, at)
            self._tell(transaction, closed, written, written.closes or How.ADDRESS, actor, at)

        return record

    def closing(self, envelope: Envelope, letter: Letter) -> Callable[[Transaction], None]:
        """What a letter to `fin@` alone does: JMAP hands each addressee an envelope of their own. Raises Refusal."""
        patients = [
            each.id for each in self._addressed(letter) if self._gate.may_close(envelope.sender, each)
        ]
        written = self._written(envelope, letter)
        if written is None or not (patients or self._names_a_number(letter)):
            raise Refusal(
                550, "5.7.1", "Nothing to close: the patient is named in To or Cc beside this address",
                "nothing-to-close",
            )  # fmt: skip
        actor = _actor(envelope.sender)

        def write(transaction: Transaction) -> None:
            at = self._clock()
            closed = self._conversations.announce_closing(transaction, written, patients, at)
            self._tell(transaction, closed, written, How.ADDRESS, actor, at)

        return write

    async def filed(self, envelope: Envelope) -> None:
        """A professional of ours who wrote to a patient has a mailbox to close the exchange with."""
        author = self._gate.author(envelope.sender)
        if author is not None and author.kind is not Kind.PATIENT and self._patients_of(envelope):
            await self._closings.offer_mailbox(author)

    # -- inside

    def _written(self, envelope: Envelope, letter: Letter) -> Written | None:
        closes = self._how(envelope, letter)
        patients = self._patients_of(envelope)
        if not all(self._gate.may_close(envelope.sender, each) for each in patients):
            closes, letter = None, letter.closing_nothing()
        return self._conversations.written(
            envelope.sender.mail_from,
            _reply_to(letter),
            LetterIds.of(letter.fields),
            closes=closes,
            no_answer=letter.findings.no_answer,
        )

    def _how(self, envelope: Envelope, letter: Letter) -> How | None:
        if letter.findings.fin_subject:
            return How.SUBJECT
        # What a program says in its header counts too: it may hand each addressee a copy of their own.
        named = any(recipient.account == CLOSING for recipient in envelope.recipients)
        ours = envelope.sender.road is Road.CLIENT
        if named or (ours and any(self.closes(address) for address in _addressees(letter))):
            return How.ADDRESS
        return None

    def _answer(self, patient: Account, envelope: Envelope, letter: Letter) -> Note:
        to = (*(Party(one.account) for one in envelope.recipients), *self._parties(envelope))
        ids = LetterIds.of(letter.fields)

        def record(transaction: Transaction, _: Sequence[Filed], at: int) -> None:
            self._conversations.answered(transaction, patient.id, to, ids, at)

        return record

    def _parties(self, envelope: Envelope) -> list[Party]:
        """Those of other operators among the addressees."""
        return [party for one in envelope.abroad if (party := self._conversations.party(one.address))]

    def _tell(
        self,
        transaction: Transaction,
        closed: Sequence[AccountId],
        written: Written,
        how: How,
        actor: Actor,
        at: int,
    ) -> None:
        if closed:
            events = [
                closing_event(actor, patient, AccountId(written.opener.key), how, at) for patient in closed
            ]
            self._trail.append(transaction.sql, events)

    def _patient(self, envelope: Envelope) -> Account | None:
        author = self._gate.author(envelope.sender)
        return author if author is not None and author.kind is Kind.PATIENT else None

    def _patients_of(self, envelope: Envelope) -> list[Account]:
        found = [self._accounts.by_id(recipient.account) for recipient in envelope.recipients]
        return [each for each in found if each is not None and each.kind is Kind.PATIENT]

    def _names_a_number(self, letter: Letter) -> bool:
        """Whether it may be meant for a patient here: who has a space and who has none is answered alike."""
        return any(_is_number(each, self._accounts.is_local_domain) for each in _addressees(letter))

    def _addressed(self, letter: Letter) -> list[Account]:
        """Patients of ours named in its header."""
        found = {
            account.id: account
            for address in _addressees(letter)
            if (account := self._accounts.by_address(address)) is not None and account.kind is Kind.PATIENT
        }
        return list(found.values())


def _actor(sender: Sender) -> Actor:
    person = sender.identity.account if sender.identity else AccountId(f"operator:{sender.operator_dn}")
    return Actor(person, sender.peer.session, sender.peer.address)


def is_automatic(letter: Letter) -> bool:
    """An automatic answer (RFC 3834 §5.1) or a receipt (RFC 8098): nobody wrote it, nobody awaits an answer."""
    if letter.tree.type == "multipart" and letter.tree.subtype == "report":
        return True
    return any(
        found.name == "auto-submitted" and found.value.strip().lower().startswith(b"auto-replied")
        for found in letter.fields
    )


def _is_number(address: str, is_local: Callable[[str], bool]) -> bool:
    local, _, domain = address.rpartition("@")
    try:
        ins.parse(local)
    except ins.InsRefused:
        return False
    return is_local(domain)


def _reply_to(letter: Letter) -> list[str]:
    return _named(letter, ("reply-to",))[:_MOST_NAMED]


def _addressees(letter: Letter) -> list[str]:
    return _named(letter, ("to", "cc", "bcc"))[:_MOST_ADDRESSEES]


def _named(letter: Letter, names: tuple[str, ...]) -> list[str]:
    return [
        address.spec
        for found in letter.fields
        if found.name in names
        for address in mime.mailboxes(found.value)
    ]
