"""What a letter does to conversations, worked out before the transaction that files it.

Invariants: mail in which no patient has a part costs one look at its recipients and no statement; a thread that one
of its addressees has closed takes no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mail_server import mime
from mail_server.accounts.interface import Account, Accounts, Kind
from mail_server.conversations.conversations import Conversations, Standing
from mail_server.delivery.examine import Letter
from mail_server.delivery.gate import Gate, Writer, conversation_closed
from mail_server.delivery.interface import Envelope
from mail_server.store.interface import Store, Transaction
from mail_server.store.model import AccountId, Filed

Note = Callable[[Transaction, Sequence[Filed], int], None]
_MOST_NAMED = 10  # addresses of a Reply-To


class Exchanges:
    def __init__(self, *, store: Store, accounts: Accounts, gate: Gate, conversations: Conversations) -> None:
        self._store = store
        self._accounts = accounts
        self._gate = gate
        self._conversations = conversations

    async def standing(self, writer: Writer, address: str) -> Standing:
        """How a patient of ours stands with who has this address; NONE for all others, who need none."""
        patient, account = writer.patient, self._accounts.by_address(address)
        if patient is None or account is None or account.kind is Kind.PATIENT:
            return Standing.NONE
        return await self._store.read(
            lambda reader: self._conversations.standing(reader, patient.id, account.id)
        )

    async def require_open(self, envelope: Envelope, letter: Letter) -> None:
        """A patient's answer goes into a thread that none of its addressees has closed. Raises Refusal."""
        patient = self._patient(envelope)
        if patient is None or not letter.answers:
            return
        to = [recipient.account for recipient in envelope.recipients]
        if await self._store.read(
            lambda reader: self._conversations.closed_thread(reader, patient.id, to, letter.message_ids)
        ):
            raise conversation_closed()

    def note(self, envelope: Envelope, letter: Letter) -> Note | None:
        """What to write once the letter is filed; None when no patient is involved."""
        if (patient := self._patient(envelope)) is not None:
            return self._answer(patient, envelope, letter)
        patients = {
            recipient.account for recipient in envelope.recipients if self._is_patient(recipient.account)
        }
        if not patients or not envelope.sender.mail_from or _is_automatic(letter):
            return None
        written = self._conversations.written(
            envelope.sender.mail_from,
            _reply_to(letter),
            closes=letter.findings.closes_exchange,
            closes_all=letter.findings.closes_exchange and _subject(letter) == "[FIN]",
        )
        if written is None:
            return None

        def record(transaction: Transaction, filed: Sequence[Filed], at: int) -> None:
            threads = {one.account: one.thread_id for one in filed if one.account in patients}
            self._conversations.record(transaction, written, threads, at)

        return record

    def _answer(self, patient: Account, envelope: Envelope, letter: Letter) -> Note:
        to = tuple(recipient.account for recipient in envelope.recipients)

        def record(transaction: Transaction, _: Sequence[Filed], at: int) -> None:
            self._conversations.answered(transaction, patient.id, to, letter.message_ids, at)

        return record

    def _patient(self, envelope: Envelope) -> Account | None:
        author = self._gate.author(envelope.sender)
        return author if author is not None and author.kind is Kind.PATIENT else None

    def _is_patient(self, account: AccountId) -> bool:
        found = self._accounts.by_id(account)
        return found is not None and found.kind is Kind.PATIENT


def _is_automatic(letter: Letter) -> bool:
    """An automatic answer (RFC 3834 §5.1) or a receipt (RFC 8098): nobody wrote it, nobody awaits an answer."""
    if letter.tree.type == "multipart" and letter.tree.subtype == "report":
        return True
    return any(
        found.name == "auto-submitted" and found.value.strip().lower().startswith(b"auto-replied")
        for found in letter.fields
    )


def _reply_to(letter: Letter) -> list[str]:
    return [
        address.spec
        for found in letter.fields
        if found.name == "reply-to"
        for address in mime.mailboxes(found.value)
    ][:_MOST_NAMED]


def _subject(letter: Letter) -> str:
    found = next((one for one in letter.fields if one.name == "subject"), None)
    return mime.decoded(found.value).strip() if found else ""
