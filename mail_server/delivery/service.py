"""The heart: envelope and bytes from any door → decide, find, seal, store, audit → one durable commit.

Invariants:
* `deliver` returns only after the commit that holds every recipient's copy and the audit entries is durable.
* No copy is ever stored in clear because sealing failed: that is 451, and nothing is filed.
* Every refusal is in the audit, under the id the peer was shown.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace

from mail_server.accounts.interface import HELD, PAGE, Accounts, Identity, Kind, Peer
from mail_server.accounts.life import in_service
from mail_server.delivery import autocrypt, common_sent, outer
from mail_server.delivery.abroad import AbroadAdmission
from mail_server.delivery.authenticity import Authenticity
from mail_server.delivery.certificates_made import CertificatesMade
from mail_server.delivery.compose import Composer
from mail_server.delivery.departing import Departures, Leave
from mail_server.delivery.examine import Letter, check_identity, check_receipt, examine
from mail_server.delivery.exchanges import Exchanges, Note
from mail_server.delivery.feedback import Feedback
from mail_server.delivery.filing import Composed, Filing, actor_of, now_ms
from mail_server.delivery.forwarding import NOWHERE, Forwarding, sent_on_plans
from mail_server.delivery.gate import Gate, domain_of
from mail_server.delivery.integration_answers import IntegrationAnswers
from mail_server.delivery.interface import (
    NOTHING_ASKED,
    Abroad,
    Accepted,
    Asked,
    Envelope,
    MailParameters,
    Recipient,
    Road,
    Sender,
)
from mail_server.delivery.keeping import Keeping, refusal_event
from mail_server.delivery.links import LinkLimits
from mail_server.delivery.peer_certificates import PeerCertificates, named
from mail_server.delivery.plan import Plan, Planner
from mail_server.delivery.quota import Quota
from mail_server.delivery.rates import Rates
from mail_server.delivery.receipts import ReceiptsAsked
from mail_server.delivery.settings import DeliverySettings
from mail_server.delivery.software import software_plans
from mail_server.delivery.structured import Structured
from mail_server.delivery.suggestions import Suggestions
from mail_server.keys.interface import OperatorKeys
from mail_server.outbound.interface import Outgoing, Readable
from mail_server.store.interface import Store, TagTaken, Transaction
from mail_server.store.model import AccountId, Filed
from policies.interface import AuditTrail, Event
from policies.limits.limits import unlimited
from policies.refusal import Refusal

_ATTEMPTS = 5


class DeliveryService(Keeping):
    """See `mail_server.delivery.interface.Delivery`; `keep` is `Keeping`'s."""

    def __init__(
        self,
        *,
        settings: DeliverySettings,
        accounts: Accounts,
        store: Store,
        trail: AuditTrail,
        audit: Callable[[Sequence[Event]], None],
        gate: Gate,
        planner: Planner,
        composer: Composer,
        operator_keys: OperatorKeys,
        exchanges: Exchanges,
        receipts: ReceiptsAsked,
        structured: Structured,
        rates: Rates | None = None,
        authenticity: Authenticity | None = None,
        forwarding: Forwarding | None = None,
        feedback: Feedback | None = None,
        integration: IntegrationAnswers | None = None,
        peer_certificates: PeerCertificates | None = None,
        abroad: AbroadAdmission | None = None,
        departures: Departures | None = None,
        suggestions: Suggestions | None = None,
        more_notes: Sequence[Callable[[Envelope, Letter], Note | None]] = (),
    ) -> None:
        """`abroad`, `departures`: letters leave for other operators; None: they are refused at RCPT TO."""
        super().__init__(
            settings=settings,
            accounts=accounts,
            store=store,
            trail=trail,
            audit=audit,
            composer=composer,
            quota=Quota(store.used, settings.account_quota),
            departures=departures,
        )
        self._gate = gate
        self._links = LinkLimits(settings.largest_of_domain)
        self._planner = planner
        self._operator_keys = operator_keys
        self._exchanges = exchanges
        self._receipts = receipts
        self._structured = structured
        self._authenticity = authenticity
        self._forwarding = forwarding
        self._feedback = feedback
        self._integration = integration
        self._rates = rates or Rates(unlimited(), accounts)
        self._peer_certificates = peer_certificates or PeerCertificates()
        self._more_notes = more_notes
        self._certificates = CertificatesMade(operator_keys, audit)
        self._abroad = abroad
        self._suggestions = suggestions
        self._filing = Filing(accounts=accounts, store=store, trail=trail, audit=audit, departures=departures)

    async def admit_sender(
        self, road: Road, mail_from: str, parameters: MailParameters, peer: Peer, identity: Identity | None
    ) -> Sender:
        try:
            await self._peer_certificates.require(road, mail_from, peer, identity)
            sender = self._gate.sender(road, mail_from, parameters, peer, identity)
            self._links.require_sender(sender, parameters.size)
            self._rates.require_sender(sender)
            return sender
        except Refusal as refusal:
            self._audit([refusal_event(refusal, peer, identity.account if identity else named(peer))])
            raise

    async def admit_recipient(
        self, envelope: Envelope, address: str, asked: Asked = NOTHING_ASKED
    ) -> Recipient | Abroad:
        try:
            self._rates.require_recipient(envelope)
            self._rates.require_patient(envelope.sender, address)
            writer = self._gate.writer(envelope.sender)
            closing = self._exchanges.closing_recipient(writer, envelope.sender, address)
            if closing is not None:
                return closing
            acting = self._feedback.acting(envelope, address) if self._feedback else None
            if acting is not None:
                return acting
            if self._leaves(envelope.sender, address):
                if self._abroad is None:
                    raise Refusal(
                        550, "5.7.1", "This server sends no letters to other operators", "relay-refused"
                    )
                self._links.require_recipient(domain_of(address), envelope.parameters.size)
                return await self._abroad.admit(envelope, writer, address, asked)
            recipient = self._gate.recipient(writer, address, await self._exchanges.facts(writer, address))
            self._quota.require(recipient.account, envelope.parameters.size or 0)
            return replace(recipient, notify=asked.notify, orcpt=asked.orcpt)
        except Refusal as refusal:
            events = [refusal_event(refusal, envelope.sender.peer, actor_of(envelope.sender))]
            if self._rates.tried(envelope.sender, address, refusal):
                events.append(probing_event(envelope.sender.peer, actor_of(envelope.sender)))
            self._audit(events)
            if self._feedback is not None:
                await self._feedback.refused_recipient(envelope.sender, address, refusal)
            who = envelope.sender.identity
            if self._suggestions is not None and who is not None:
                raise await self._suggestions.told(refusal, who.account, address) from None
            raise

    def _leaves(self, sender: Sender, address: str) -> bool:
        """A listed operator never relays through us: only who is here writes to other operators."""
        return sender.road is Road.CLIENT and self._gate.is_elsewhere(address)

    async def deliver(self, envelope: Envelope, message: bytes) -> Accepted:
        try:
            return await self._deliver(envelope, message)
        except Refusal as refusal:
            self._audit([refusal_event(refusal, envelope.sender.peer, actor_of(envelope.sender))])
            if self._feedback is not None:
                await self._feedback.refused(envelope, message, refusal, self._settings.large_message)
            if self._integration is not None:
                await self._integration.refused(self, envelope, message, refusal)
            raise

    async def _deliver(self, envelope: Envelope, message: bytes) -> Accepted:
        if len(message) > self._settings.max_message_size:
            raise Refusal(552, "5.3.4", "Message is larger than this server accepts", "too-large")
        self._links.require_letter(envelope, len(message))
        if self._feedback is not None and self._feedback.acts(envelope):
            return await self._told(self._feedback, envelope, message)
        kept = self._exchanges.without_closing(envelope)
        self._quota.require_all([recipient.account for recipient in kept.recipients], len(message))
        self._rates.take_letter(envelope)
        letter = await self._signed_as_shown(message, envelope)
        fingerprint = await self._fingerprint(envelope, message)
        await self._exchanges.require_from_nobody(envelope, letter)
        await self._exchanges.require_open(envelope, letter)
        if not kept.recipients and not kept.abroad:
            return await self._close(envelope, letter)
        kept, letter = await self._for_the_road(kept, letter)
        letter = await self._carried(kept, letter)
        sent_on = await self._forwarding.sent_on(kept, letter) if self._forwarding else NOWHERE
        letter = replace(letter, sent_on=sent_on.copies)
        notes = (
            sent_on.note,
            self._exchanges.note(envelope, letter),
            self._receipts.note(kept, letter),
            self._feedback.note(kept, letter) if self._feedback else None,
            *(note(kept, letter) for note in self._more_notes),
        )
        accepted = await self._compose_and_file(kept, letter, fingerprint, _together(notes))
        await self._exchanges.filed(kept)
        if sent_on.leaves and self._forwarding is not None:
            self._forwarding.wake()
        return accepted

    async def _for_the_road(self, envelope: Envelope, letter: Letter) -> tuple[Envelope, Letter]:
        """No copy names the gate's key but its own; what leaves has a Message-ID and a Date. Raises Refusal."""
        if self._departures is None:
            return envelope, letter
        if letter.ciphertext is not None:
            letter, packet = await self._departures.apart(letter)
            envelope = replace(envelope, gate_packet=packet or envelope.gate_packet)
        if envelope.abroad:
            letter = await self._departures.completed(letter, now_ms())
            self._departures.require(envelope, letter)
        return envelope, letter

    async def _told(self, feedback: Feedback, envelope: Envelope, message: bytes) -> Accepted:
        """A letter to `suivi@`: what failed at its sender's is noted, and it is laid down nowhere."""
        self._rates.take_letter(envelope)
        await feedback.told(envelope, await self._signed_as_shown(message, envelope))
        return Accepted("R" + secrets.token_hex(12))

    async def _close(self, envelope: Envelope, letter: Letter) -> Accepted:
        """A letter to `fin@` and nobody else: it acts, and is laid down nowhere."""
        await self._store.write(self._exchanges.closing(envelope, letter))
        return Accepted("R" + secrets.token_hex(12))

    async def _carried(self, envelope: Envelope, letter: Letter) -> Letter:
        """With its manifest, once its documents may go to everyone it is addressed to. Raises Refusal."""
        who = envelope.sender.identity
        if who is not None and who.mechanism in (PAGE, HELD):
            letter = letter.classed(outer.said_class(letter.fields))
        letter = await self._structured.drawn(letter, actor_of(envelope.sender))
        named = [self._accounts.by_id(one.account) for one in envelope.recipients]
        writer = self._gate.writer(envelope.sender).entity
        self._structured.require_carried(writer, letter, [one for one in named if one is not None])
        self._structured.require_carried_abroad(writer, letter, [one.patient for one in envelope.abroad])
        return letter

    async def notify(self, envelope: Envelope, message: bytes, fingerprint: bytes, note: Note) -> None:
        """What the node itself says (a receipt), sealed and filed like any letter; `note` in the same transaction.

        Raises Refusal, and StoreError; a notice that was filed already is not filed again.
        """
        letter = await examine(message, self._settings.large_message)
        await self._compose_and_file(envelope, letter, fingerprint, note)

    async def _signed_as_shown(self, message: bytes, envelope: Envelope) -> Letter:
        """The letter, once it is sure whose it is; correspondents see a patient's alias alone. Raises Refusal."""
        sender = envelope.sender
        letter = await examine(message, self._settings.large_message)
        if self._authenticity is not None:
            letter = await self._authenticity.told(letter, envelope)
            message = letter.data
        speaking = self._speaking(letter, envelope)
        check_identity(letter, speaking, self._gate.trusts_domain, self._gate.names_of(speaking))
        author = self._gate.author(sender)
        if author is None or author.kind is not Kind.PATIENT:
            return letter
        shown = outer.without(message, letter.fields, outer.NOT_FROM_PATIENTS)
        shown = outer.shown_as(shown, letter.fields, author.address, author.shown)
        certificate = self._planner.certificate(author)
        if certificate is not None:
            told = autocrypt.told(letter.fields, author.shown, certificate, now_ms())
            shown = autocrypt.field(author.shown, told.minimised) + shown
        if shown is not message:
            letter = await examine(shown, self._settings.large_message)
        return letter.closing_nothing()

    def _speaking(self, letter: Letter, envelope: Envelope) -> Sender:
        """Who a letter is from. A receipt of somebody here comes without a sender: then its From says it.

        Raises Refusal.
        """
        sender = envelope.sender
        if sender.road is not Road.CLIENT or sender.mail_from:
            return sender
        author = check_receipt(letter, len(envelope.recipients) + len(envelope.abroad))
        if not self._gate.may_send_as(sender, author):
            raise Refusal(550, "5.7.1", "From must be an address that you may send as", "from-forged")
        return replace(sender, mail_from=author)

    async def _compose_and_file(
        self, envelope: Envelope, letter: Letter, fingerprint: bytes, note: Note | None
    ) -> Accepted:
        leave, outgoing = await self._leaving(envelope, letter, fingerprint)
        gated = any(one.readable is Readable.GATED for one in outgoing)
        plans = self._plans(envelope, letter, gated)
        for attempt in range(_ATTEMPTS):
            keys = self._key_changes(plans)
            copies = await self._composer.copies(letter, envelope, plans, now_ms(), again=attempt > 0)
            # Sealing took its time: a key may have been published meanwhile (and the waiting key destroyed),
            # a member removed, an account suspended. Nothing is awaited between this look and the hand-over
            # to the writer, which works in order: whoever acts on such a change finds the letter filed.
            before, plans = plans, self._plans(envelope, letter, gated)
            if plans != before or self._key_changes(plans) != keys:
                continue
            self._gate.require_still(envelope.sender)
            composed = Composed(
                fingerprint,
                plans,
                copies,
                common_sent.own_id(letter),
                note,
                leave,
                outgoing,
                letter.findings.coarse_class.name.lower(),
                letter.disagreements,
            )
            try:
                reference = await self._filing.file(envelope, composed)
            except TagTaken:
                continue  # two new conversations drew the same four letters at once: draw again
            self._certificates.make(plans)
            leaving = {one.address: letter.readable for letter in outgoing for one in letter.recipients}
            return Accepted(reference, leaving)
        raise Refusal(451, "4.3.0", "Temporary failure, please try again", "would-not-settle")

    async def _leaving(
        self, envelope: Envelope, letter: Letter, fingerprint: bytes
    ) -> tuple[Leave | None, list[Outgoing]]:
        """What the queue will hold. Raises Refusal.

        Its reference follows from the letter: whoever hands it over again, not knowing that it was taken (a crash
        between our commit and theirs), hears the reference that the queue knows it by.
        """
        if not envelope.abroad:
            return None, []
        if self._departures is None:
            raise Refusal(451, "4.3.0", "Letters do not leave at the moment", "outbound-off")
        sender = envelope.sender
        account = self._gate.author(sender)
        if account is None and sender.identity is not None:
            account = self._accounts.by_id(sender.identity.account)
        leave = Leave(account, "R" + fingerprint.hex()[:24], now_ms(), actor_of(sender))
        return leave, await self._departures.ready(envelope, letter, leave)

    def _plans(self, envelope: Envelope, letter: Letter, gated: bool) -> list[Plan]:
        """One plan per account, decided now; the same account named twice gets one copy."""
        plans: dict[AccountId, Plan] = {}
        for recipient in envelope.recipients:
            account = self._accounts.by_id(recipient.account)
            if account is None or not in_service(account):
                raise Refusal(
                    451, "4.2.1", "A mailbox was closed while the message came in", "recipient-gone"
                )
            plans[account.id] = self._planner.plan(account)
        sent = common_sent.sent_plan(envelope, self._accounts, self._planner, gated=gated)
        copies = software_plans(letter, [plan.account for plan in plans.values()], self._accounts)
        copies += sent_on_plans(letter, self._accounts, self._planner, [*plans.values(), *copies])
        return [*plans.values(), *([sent] if sent is not None else []), *copies]

    def _key_changes(self, plans: Sequence[Plan]) -> list[int]:
        return [self._operator_keys.changes(plan.account.id) for plan in plans]

    async def _fingerprint(self, envelope: Envelope, message: bytes) -> bytes:
        """By which a letter sent again is known; beside the loop when it is large (1 ms for each 2 MB)."""
        parts = (
            envelope.sender.mail_from.encode(),
            b"\0".join(sorted(recipient.account.encode() for recipient in envelope.recipients)),
            *(address.encode() for address in sorted(one.address for one in envelope.abroad)),
            message,
        )
        if len(message) < self._settings.large_message:
            return self._store.submission_fingerprint(*parts)
        return await asyncio.to_thread(self._store.submission_fingerprint, *parts)

    @property
    def quota(self) -> Quota:
        return self._quota

    def quota_of(self, account: AccountId) -> tuple[int, int]:
        return self._quota.of(account)

    def refused(
        self, road: Road, peer: Peer, refusal_reason: str, detail: Sequence[tuple[str, str]] = ()
    ) -> None:
        self._audit(
            [
                Event(
                    action="refuse",
                    at=now_ms(),
                    actor=f"{road.value}-road",
                    outcome=refusal_reason,
                    session=peer.session,
                    network=peer.address,
                    detail=dict(detail),
                )
            ]
        )

    async def stop(self) -> None:
        """What is made behind answers is ended."""
        await self._certificates.stop()


def _together(notes: Sequence[Note | None]) -> Note | None:
    asked = [note for note in notes if note is not None]
    if not asked:
        return None

    def write(transaction: Transaction, filed: Sequence[Filed], at: int) -> None:
        for note in asked:
            note(transaction, filed, at)

    return write


def probing_event(peer: Peer, actor: str) -> Event:
    """Someone tries patients' addresses that nobody has: told once, when their limit is reached."""
    return Event(
        action="probing",
        at=now_ms(),
        actor=actor or "unknown",
        outcome="limit-unknown-patients",
        session=peer.session,
        network=peer.address,
    )
