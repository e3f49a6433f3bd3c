"""Read receipts to professionals (reference/mssante.md §3.2, row 39; RFC 8098).

A professional's letter that asks for one is noted when it is filed; the patient's first opening, by whatever way the
body is read, is written down before the body is answered; then the receipt leaves, sealed like any letter.

Who wrote from another operator's is told there: the receipt leaves by the queue, from nobody, sealed where they have a
certificate.

Invariants: once for each letter and patient: the row says it left in the transaction that files it, or lays it into the
queue; a receipt goes to where the letter came from and nowhere else (RFC 8098 §2.1), holds nothing of it but its
Message-ID, and is asked for by no automatic mail; the patient cannot hold it back; what a professional opens is never
told by the server; an address of another operator's is wrapped at rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mail_server import mime
from mail_server.accounts.interface import Account, Accounts, Kind, Peer
from mail_server.conversations.conversations import Conversations
from mail_server.conversations.roots import LetterIds
from mail_server.delivery.examine import Letter
from mail_server.delivery.exchanges import Note, is_automatic
from mail_server.delivery.gate import Gate, domain_of
from mail_server.delivery.interface import Abroad, Envelope, Recipient, Road, Sender
from mail_server.keys.interface import KeyUnavailable, KeyWrapper
from mail_server.mime import Field
from mail_server.outbound.interface import Notify, PeerKeys
from mail_server.store.interface import AlreadyFiled, Reader, Store, StoreError, Transaction
from mail_server.store.model import AccountId, Filed
from policies.interface import AuditTrail, Event
from policies.refusal import Refusal

ASKS = "disposition-notification-to"
_PURPOSE = b"receipt message-id"
_ADDRESS_PURPOSE = b"receipt address"
_RETRIES_MS = (60_000, 300_000, 900_000, 3_600_000)  # then every six hours
_LAST_MS = 21_600_000
_GIVE_UP_MS = 7 * 86_400_000
_TOGETHER = 20
_LONGEST_SLEEP = 60.0
_log = logging.getLogger("vaguemestre.delivery")


class Notifies(Protocol):
    """The part of delivery that files what the node itself says."""

    async def notify(self, envelope: Envelope, message: bytes, fingerprint: bytes, note: Note) -> None: ...


@dataclass(frozen=True, slots=True)
class _Owed:
    patient: AccountId
    letter: bytes = field(repr=False)
    sender: AccountId  # "": somebody of another operator
    message_id: bytes = field(repr=False)  # wrapped
    opened_at: int
    attempts: int
    address: bytes | None = field(default=None, repr=False)  # of them, wrapped


class ReceiptsAsked:
    """What a letter asks for, noted when it is filed; and whether one is still owed."""

    def __init__(
        self, *, accounts: Accounts, gate: Gate, conversations: Conversations, keys: KeyWrapper
    ) -> None:
        self._accounts = accounts
        self._gate = gate
        self._conversations = conversations
        self._keys = keys

    def note(self, envelope: Envelope, letter: Letter) -> Note | None:
        asked = next((found for found in letter.fields if found.name == ASKS), None)
        if asked is None:
            return None
        author, own = self._gate.author(envelope.sender), LetterIds.of(letter.fields).own
        from_here = author is not None and author.kind is not Kind.PATIENT
        if not (from_here or self._from_abroad(envelope.sender)) or own is None or is_automatic(letter):
            return None
        named = [address.spec.lower() for address in mime.mailboxes(asked.value)]
        came_from = (author.address, author.shown) if author is not None else (envelope.sender.mail_from,)
        if len(named) != 1 or named[0] not in {one.lower() for one in came_from}:
            return None  # RFC 8098 §2.1: to who sent the letter, or a person is to be asked; nobody is here
        patients = [
            found.id
            for recipient in envelope.recipients
            if (found := self._accounts.by_id(recipient.account)) is not None and found.kind is Kind.PATIENT
        ]
        if not patients:
            return None
        mark, wrapped = self._conversations.mark(own), self._keys.wrap(own, _PURPOSE)
        sender, address = (author.id, None) if author is not None else ("", self._wrapped(envelope.sender))

        def write(transaction: Transaction, _: Sequence[Filed], at: int) -> None:
            for patient in patients:
                transaction.sql.run(
                    "INSERT INTO receipt (patient, letter, sender, message_id, asked_at, attempts, address)"
                    " VALUES (?, ?, ?, ?, ?, 0, ?) ON CONFLICT DO NOTHING",
                    (patient, mark, sender, wrapped, at, address),
                )

        return write

    def _from_abroad(self, sender: Sender) -> bool:
        """A professional of another operator; a report has the null sender, and asks for nothing."""
        return (
            sender.road is Road.OPERATOR
            and bool(sender.mail_from)
            and not self._gate.writer(sender).from_patient
        )

    def _wrapped(self, sender: Sender) -> bytes:
        return self._keys.wrap(sender.mail_from.encode(), _ADDRESS_PURPOSE)

    def requested(self, reader: Reader, account: Account, fields: Sequence[Field]) -> bool:
        """Whether the first opening of this letter will be told to who sent it."""
        if account.kind is not Kind.PATIENT or not any(found.name == ASKS for found in fields):
            return False
        own = LetterIds.of(fields).own
        return own is not None and (
            reader.sql.one(
                "SELECT 1 FROM receipt WHERE patient = ? AND letter = ? AND opened_at IS NULL",
                (account.id, self._conversations.mark(own)),
            )
            is not None
        )


class Receipts:
    """Openings written down, receipts sent."""

    def __init__(
        self,
        *,
        store: Store,
        accounts: Accounts,
        conversations: Conversations,
        keys: KeyWrapper,
        delivery: Notifies,
        trail: AuditTrail,
        domain: str,
        clock: Callable[[], int],
        peer_keys: PeerKeys | None = None,
    ) -> None:
        """`peer_keys`: certificates of other operators' people; None where letters do not leave."""
        self._peer_keys = peer_keys
        self._store = store
        self._accounts = accounts
        self._conversations = conversations
        self._keys = keys
        self._delivery = delivery
        self._trail = trail
        self._domain = domain
        self._clock = clock
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # -- opening

    def may_ask(self, account: AccountId, header: bytes) -> bool:
        """A cheap look, so that a listing of letters that ask for nothing costs nothing."""
        found = self._accounts.by_id(account)
        return found is not None and found.kind is Kind.PATIENT and ASKS.encode() in header.lower()

    async def opened(self, account: AccountId, headers: Iterable[bytes]) -> None:
        """Bodies are about to be shown. Durable on return; raises StoreError, and then nothing is shown."""
        marks = [
            self._conversations.mark(own)
            for header in headers
            if self.may_ask(account, header) and (own := LetterIds.of(mime.fields(header)).own) is not None
        ]
        if not marks:
            return
        now = self._clock()

        def write(transaction: Transaction) -> int:
            return sum(
                transaction.sql.run(
                    "UPDATE receipt SET opened_at = ?, due = ?"
                    " WHERE patient = ? AND letter = ? AND opened_at IS NULL",
                    (now, now, account, mark),
                )
                for mark in marks
            )

        if await self._store.read(lambda reader: self._unopened(reader, account, marks)) and (
            await self._store.write(write)
        ):
            self._wake.set()

    def _unopened(self, reader: Reader, account: AccountId, marks: Sequence[bytes]) -> bool:
        return any(
            reader.sql.one(
                "SELECT 1 FROM receipt WHERE patient = ? AND letter = ? AND opened_at IS NULL",
                (account, mark),
            )
            for mark in marks
        )

    # -- sending

    def start(self) -> None:
        """What was opened and not told when the node stopped is told now."""
        self._task = asyncio.create_task(self._run(), name="receipts")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self.send_due()
            except StoreError as failure:
                _log.error("receipts wait (%s)", type(failure).__name__)
            except Exception as failure:  # one bad row must not end the sending of all others
                _log.error("receipts failed: %s", type(failure).__name__)
            with contextlib.suppress(TimeoutError):
                # Not wait_for, which may swallow a cancellation on Python 3.11.
                async with asyncio.timeout(_LONGEST_SLEEP):
                    await self._wake.wait()

    async def send_due(self) -> int:
        """Send what is due; how many left."""
        sent = 0
        while found := await self._store.read(self._due):
            for owed in found:
                sent += await self._send(owed)
        return sent

    def _due(self, reader: Reader) -> list[_Owed]:
        rows = reader.sql.all(
            "SELECT patient, letter, sender, message_id, opened_at, attempts, address FROM receipt"
            " WHERE due IS NOT NULL AND due <= ? ORDER BY due LIMIT ?",
            (self._clock(), _TOGETHER),
        )
        return [
            _Owed(
                AccountId(patient),
                bytes(letter),
                AccountId(sender),
                bytes(name),
                opened_at,
                attempts,
                None if address is None else bytes(address),
            )
            for patient, letter, sender, name, opened_at, attempts, address in rows
        ]

    async def _send(self, owed: _Owed) -> bool:
        patient = self._accounts.by_id(owed.patient)
        if patient is None or not self._somebody_is_told(owed):
            await self._postpone(owed, None)
            return False

        def note(transaction: Transaction, filed: Sequence[Filed], at: int) -> None:
            left = transaction.sql.run(
                "UPDATE receipt SET sent_at = ?, due = NULL WHERE patient = ? AND letter = ? AND sent_at IS NULL",
                (at, owed.patient, owed.letter),
            )
            if not left:
                raise AlreadyFiled  # another node was quicker
            detail = {"account": owed.sender} if owed.sender else {"domain": domain_of(told)}
            event = Event("receipt", at, owed.patient, subject=owed.patient, detail=detail)
            self._trail.append(transaction.sql, [event])

        told = ""
        try:
            envelope, told = await self._addressed(owed)
            message = self._message(owed, patient, told)
            fingerprint = self._store.submission_fingerprint(b"receipt", owed.patient.encode(), owed.letter)
            await self._delivery.notify(envelope, message, fingerprint, note)
        except (Refusal, StoreError, KeyUnavailable, OSError) as failure:
            _log.warning("a receipt waits (%s)", type(failure).__name__)
            await self._postpone(owed, self._next(owed))
            return False
        return True

    def _somebody_is_told(self, owed: _Owed) -> bool:
        if owed.address is not None:
            return self._peer_keys is not None
        sender = self._accounts.by_id(owed.sender)
        return sender is not None and not sender.closed

    async def _addressed(self, owed: _Owed) -> tuple[Envelope, str]:
        """The envelope, from nobody (RFC 8098 §3); and the address that the receipt names."""
        envelope = Envelope(Sender(Road.OPERATOR, "", _NODE))
        if owed.address is not None and self._peer_keys is not None:
            address = self._keys.unwrap(owed.address, _ADDRESS_PURPOSE).decode()
            found = await self._peer_keys.find(address)
            # Nothing is told of a receipt (RFC 8098 §3): NOTIFY=NEVER.
            envelope.add(Abroad(address, domain_of(address), found, notify=Notify.NEVER))
            return envelope, address
        sender = self._accounts.by_id(owed.sender)
        if sender is None:
            raise Refusal(451, "4.2.1", "A mailbox was closed meanwhile", "recipient-gone")
        envelope.add(Recipient(sender.address, sender.id))
        return envelope, sender.shown

    def _next(self, owed: _Owed) -> int | None:
        now = self._clock()
        if now - owed.opened_at > _GIVE_UP_MS:
            return None
        return now + (_RETRIES_MS[owed.attempts] if owed.attempts < len(_RETRIES_MS) else _LAST_MS)

    async def _postpone(self, owed: _Owed, due: int | None) -> None:
        await self._store.write(
            lambda transaction: transaction.sql.run(
                "UPDATE receipt SET due = ?, attempts = attempts + 1"
                " WHERE patient = ? AND letter = ? AND sent_at IS NULL",
                (due, owed.patient, owed.letter),
            )
        )

    def _message(self, owed: _Owed, patient: Account, to: str) -> bytes:
        """RFC 8098 §3: what a person reads, then what a program reads. The same bytes at each attempt."""
        original = self._keys.unwrap(owed.message_id, _PURPOSE)
        name = owed.letter.hex()
        boundary = f"receipt-{name}"
        report = b"".join(
            (
                mime.header_field("Reporting-UA", f"{self._domain}; Vaguemestre"),
                mime.header_field("Final-Recipient", f"rfc822; {patient.shown}"),
                mime.header_field("Original-Message-ID", original),
                # The patient opened it; that it is told was not theirs to decide (RFC 8098 §3.2.6).
                b"Disposition: manual-action/MDN-sent-automatically; displayed\r\n",
            )
        )
        header = b"".join(
            (
                mime.header_field("Date", mime.date_text(owed.opened_at)),
                mime.address_field("From", [("", patient.shown)]),
                mime.address_field("To", [("", to)]),
                mime.header_field("Subject", "Accusé de lecture / Read receipt"),
                mime.header_field("Message-ID", f"<receipt.{name}@{self._domain}>"),
                mime.header_field("In-Reply-To", original),
                mime.header_field("References", original),
                b"Auto-Submitted: auto-replied\r\n",
                b"MIME-Version: 1.0\r\n",
                b"Content-Type: multipart/report; report-type=disposition-notification;\r\n"
                b' boundary="' + boundary.encode() + b'"\r\n',
            )
        )
        when = datetime.datetime.fromtimestamp(owed.opened_at // 1000, datetime.UTC)
        parts = (
            mime.text_part(
                f"Votre patient a ouvert votre message le {when:%d/%m/%Y à %H:%M} (UTC).\r\n"
                "Cet accusé dit que le message a été affiché, non qu’il a été lu ou compris.\r\n\r\n"
                f"Your patient opened your message on {when:%Y-%m-%d at %H:%M} (UTC).\r\n"
                "This receipt says that it was shown, not that it was read or understood.\r\n"
            ),
            b"Content-Type: message/disposition-notification\r\n\r\n" + report,
        )
        marker = b"--" + boundary.encode()
        body = b"".join(marker + b"\r\n" + part.rstrip(b"\r\n") + b"\r\n" for part in parts)
        return header + b"\r\n" + body + marker + b"--\r\n"


_NODE = Peer("", 0, "", "", tls=True)
