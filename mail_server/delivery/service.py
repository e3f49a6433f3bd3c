"""The heart: envelope and bytes from any door → decide, find, seal, store, audit → one durable commit.

Invariants:
* `deliver` returns only after the commit that holds every recipient's copy and the audit entries is durable.
* No copy is ever stored in clear because sealing failed: that is 451, and nothing is filed.
* Every refusal is in the audit, under the id the peer was shown.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from mail_server.accounts.interface import HELD, PAGE, Accounts, Identity, Kind, Peer
from mail_server.accounts.life import in_service
from mail_server.delivery import autocrypt, common_sent, outer
from mail_server.delivery.compose import Composer
from mail_server.delivery.examine import Letter, check_identity, examine
from mail_server.delivery.exchanges import Exchanges, Note
from mail_server.delivery.feedback import Feedback
from mail_server.delivery.gate import Gate
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
from mail_server.delivery.keeping import Keeping, no_space, refusal_event
from mail_server.delivery.plan import Plan, Planner, Treatment
from mail_server.delivery.quota import Quota
from mail_server.delivery.rates import Rates
from mail_server.delivery.receipts import ReceiptsAsked
from mail_server.delivery.settings import DeliverySettings
from mail_server.delivery.software import software_event, software_plans
from mail_server.delivery.structured import Structured
from mail_server.keys.interface import KeyUnavailable, OperatorKeys
from mail_server.store.interface import AlreadyFiled, NoSpace, Store, TagTaken, Transaction
from mail_server.store.model import AccountId, Filed, NewMessage, SpecialUse
from policies.interface import AuditTrail, Event
from policies.limits.limits import unlimited
from policies.refusal import Refusal

_log = logging.getLogger("vaguemestre.delivery")
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
        feedback: Feedback | None = None,
    ) -> None:
        super().__init__(
            settings=settings,
            accounts=accounts,
            store=store,
            trail=trail,
            audit=audit,
            composer=composer,
            quota=Quota(store.used, settings.account_quota),
        )
        self._gate = gate
        self._planner = planner
        self._operator_keys = operator_keys
        self._exchanges = exchanges
        self._receipts = receipts
        self._structured = structured
        self._feedback = feedback
        self._rates = rates or Rates(unlimited(), accounts)
        self._key_makers: dict[AccountId, asyncio.Task[None]] = {}
        self._one_key_at_a_time = asyncio.Semaphore(1)  # GnuPG takes a processor for each

    async def admit_sender(
        self, road: Road, mail_from: str, parameters: MailParameters, peer: Peer, identity: Identity | None
    ) -> Sender:
        try:
            sender = self._gate.sender(road, mail_from, parameters, peer, identity)
            self._rates.require_sender(sender)
            return sender
        except Refusal as refusal:
            self._audit([refusal_event(refusal, peer, identity.account if identity else "")])
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
            recipient = self._gate.recipient(writer, address, await self._exchanges.facts(writer, address))
            self._quota.require(recipient.account, envelope.parameters.size or 0)
            return replace(recipient, notify=asked.notify, orcpt=asked.orcpt)
        except Refusal as refusal:
            events = [refusal_event(refusal, envelope.sender.peer, _actor(envelope.sender))]
            if self._rates.tried(envelope.sender, address, refusal):
                events.append(probing_event(envelope.sender.peer, _actor(envelope.sender)))
            self._audit(events)
            if self._feedback is not None:
                await self._feedback.refused_recipient(envelope.sender, address, refusal)
            raise

    async def deliver(self, envelope: Envelope, message: bytes) -> Accepted:
        try:
            return await self._deliver(envelope, message)
        except Refusal as refusal:
            self._audit([refusal_event(refusal, envelope.sender.peer, _actor(envelope.sender))])
            if self._feedback is not None:
                await self._feedback.refused(envelope, message, refusal, self._settings.large_message)
            raise

    async def _deliver(self, envelope: Envelope, message: bytes) -> Accepted:
        if len(message) > self._settings.max_message_size:
            raise Refusal(552, "5.3.4", "Message is larger than this server accepts", "too-large")
        if self._feedback is not None and self._feedback.acts(envelope):
            return await self._told(self._feedback, envelope, message)
        kept = self._exchanges.without_closing(envelope)
        self._quota.require_all([recipient.account for recipient in kept.recipients], len(message))
        self._rates.take_letter(envelope)
        letter = await self._signed_as_shown(message, envelope.sender)
        await self._exchanges.require_open(envelope, letter)
        if not kept.recipients:
            return await self._close(envelope, letter)
        letter = await self._carried(kept, letter)
        notes = (
            self._exchanges.note(envelope, letter),
            self._receipts.note(kept, letter),
            self._feedback.note(kept, letter) if self._feedback else None,
        )
        fingerprint = await self._fingerprint(envelope, letter.data)
        accepted = await self._compose_and_file(kept, letter, fingerprint, _together(notes))
        await self._exchanges.filed(kept)
        return accepted

    async def _told(self, feedback: Feedback, envelope: Envelope, message: bytes) -> Accepted:
        """A letter to `suivi@`: what failed at its sender's is noted, and it is laid down nowhere."""
        self._rates.take_letter(envelope)
        await feedback.told(envelope, await self._signed_as_shown(message, envelope.sender))
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
        letter = await self._structured.drawn(letter, _actor(envelope.sender))
        named = [self._accounts.by_id(one.account) for one in envelope.recipients]
        self._structured.require_carried(
            self._gate.writer(envelope.sender).entity, letter, [one for one in named if one is not None]
        )
        return letter

    async def notify(self, envelope: Envelope, message: bytes, fingerprint: bytes, note: Note) -> None:
        """What the node itself says (a receipt), sealed and filed like any letter; `note` in the same transaction.

        Raises Refusal, and StoreError; a notice that was filed already is not filed again.
        """
        letter = await examine(message, self._settings.large_message)
        await self._compose_and_file(envelope, letter, fingerprint, note)

    async def _signed_as_shown(self, message: bytes, sender: Sender) -> Letter:
        """The letter, once it is sure whose it is; correspondents see a patient's alias alone. Raises Refusal."""
        letter = await examine(message, self._settings.large_message)
        check_identity(letter, sender, self._gate.trusts_domain, self._gate.names_of(sender))
        author = self._gate.author(sender)
        if author is None or author.kind is not Kind.PATIENT:
            return letter
        shown = outer.without(message, letter.fields, outer.NOT_FROM_PATIENTS)
        shown = outer.shown_as(shown, letter.fields, author.address, author.shown)
        certificate = self._planner.certificate(author)
        if certificate is not None:
            told = autocrypt.told(letter.fields, author.shown, certificate, _now())
            shown = autocrypt.field(author.shown, told.minimised) + shown
        if shown is not message:
            letter = await examine(shown, self._settings.large_message)
        return letter.closing_nothing()

    async def _compose_and_file(
        self, envelope: Envelope, letter: Letter, fingerprint: bytes, note: Note | None
    ) -> Accepted:
        plans = self._plans(envelope, letter)
        for attempt in range(_ATTEMPTS):
            keys = self._key_changes(plans)
            copies = await self._composer.copies(letter, envelope, plans, _now(), again=attempt > 0)
            # Sealing took its time: a key may have been published meanwhile (and the waiting key destroyed),
            # a member removed, an account suspended. Nothing is awaited between this look and the hand-over
            # to the writer, which works in order: whoever acts on such a change finds the letter filed.
            before, plans = plans, self._plans(envelope, letter)
            if plans != before or self._key_changes(plans) != keys:
                continue
            self._gate.require_still(envelope.sender)
            try:
                accepted = Accepted(
                    await self._file(envelope, fingerprint, plans, copies, note, common_sent.own_id(letter))
                )
            except TagTaken:
                continue  # two new conversations drew the same four letters at once: draw again
            self._make_certificates(plans)
            return accepted
        raise Refusal(451, "4.3.0", "Temporary failure, please try again", "would-not-settle")

    def _plans(self, envelope: Envelope, letter: Letter) -> list[Plan]:
        """One plan per account, decided now; the same account named twice gets one copy."""
        plans: dict[AccountId, Plan] = {}
        for recipient in envelope.recipients:
            account = self._accounts.by_id(recipient.account)
            if account is None or not in_service(account):
                raise Refusal(
                    451, "4.2.1", "A mailbox was closed while the message came in", "recipient-gone"
                )
            plans[account.id] = self._planner.plan(account)
        sent = common_sent.sent_plan(envelope, self._accounts, self._planner)
        copies = software_plans(letter, [plan.account for plan in plans.values()], self._accounts)
        return [*plans.values(), *([sent] if sent is not None else []), *copies]

    def _key_changes(self, plans: Sequence[Plan]) -> list[int]:
        return [self._operator_keys.changes(plan.account.id) for plan in plans]

    async def _fingerprint(self, envelope: Envelope, message: bytes) -> bytes:
        """By which a letter sent again is known; beside the loop when it is large (1 ms for each 2 MB)."""
        parts = (
            envelope.sender.mail_from.encode(),
            b"\0".join(sorted(recipient.account.encode() for recipient in envelope.recipients)),
            message,
        )
        if len(message) < self._settings.large_message:
            return self._store.submission_fingerprint(*parts)
        return await asyncio.to_thread(self._store.submission_fingerprint, *parts)

    async def _file(
        self,
        envelope: Envelope,
        fingerprint: bytes,
        plans: Sequence[Plan],
        composed: Sequence[NewMessage],
        note: Note | None,
        message_id: bytes,
    ) -> str:
        now = _now()
        sender = envelope.sender
        behalf = self._behalf(sender)
        software = {plan.account.id: plan.copy_of for plan in plans if plan.copy_of is not None}
        copies = [
            copy for copy in composed if copy.mailbox is not SpecialUse.SENT and copy.account not in software
        ]
        kept = [copy for copy in composed if copy.mailbox is SpecialUse.SENT]
        doubled = [copy for copy in composed if copy.account in software]

        def operation(transaction: Transaction) -> str:
            transaction.remember_submission(fingerprint, now)
            filed = [transaction.file(copy) for copy in copies]
            if note is not None:
                note(transaction, filed, now)
            done = [("deliver", copy, one) for copy, one in zip(copies, filed, strict=True)]
            for copy in kept:
                one = common_sent.file_sent(transaction, copy, message_id, now)
                done += [("keep", copy, one)] if one is not None else []
            for copy in doubled:
                one = transaction.file(copy)
                made = software_event(software[copy.account], one, now, copy)
                self._trail.append(transaction.sql, [made])
            self._trail.append(
                transaction.sql,
                [
                    Event(
                        action=action,
                        at=now,
                        actor=_actor(sender),
                        subject=one.account,
                        outcome=copy.state.name.lower().replace("_", "-"),
                        reference=one.email_id,
                        session=sender.peer.session,
                        network=sender.peer.address,
                        behalf=behalf,
                        kind=copy.findings.coarse_class.name.lower(),
                        door=sender.peer.protocol,
                    )
                    for action, copy, one in done
                ],
            )
            return filed[0].email_id

        try:
            return await self._store.write(operation)
        except AlreadyFiled:
            # Sent again after we had answered, or would have: it lies there once already.
            return self._answered_again(sender, [copy.account for copy in copies], now)
        except NoSpace:
            raise no_space() from None

    def _behalf(self, sender: Sender) -> str:
        """In whose name a member or a delegate writes; "" in one's own."""
        if sender.identity is None:
            return ""
        named = self._accounts.by_address(sender.mail_from)
        return named.id if named is not None and named.id != sender.identity.account else ""

    def _answered_again(self, sender: Sender, accounts: Sequence[AccountId], now: int) -> str:
        """The id of the answer, which the trace knows like any other."""
        reference = "R" + secrets.token_hex(12)
        self._audit(
            [
                Event(
                    action="deliver",
                    at=now,
                    actor=_actor(sender),
                    subject=account,
                    outcome="already-filed",
                    reference=reference,
                    session=sender.peer.session,
                    network=sender.peer.address,
                )
                for account in accounts
            ]
        )
        return reference

    def _make_certificates(self, plans: Sequence[Plan]) -> None:
        """Every account has a certificate from its first message on (DESIGN §4); made behind the answer."""
        for plan in plans:
            account = plan.account
            if plan.treatment is not Treatment.CUSTODY or account.id in self._key_makers:
                continue
            if self._operator_keys.existing(account.id) is not None:
                continue
            task = asyncio.create_task(self._make_certificate(account.id, account.address))
            self._key_makers[account.id] = task
            task.add_done_callback(lambda _, made=account.id: self._key_makers.pop(made, None))

    async def _make_certificate(self, account: AccountId, address: str) -> None:
        async with self._one_key_at_a_time:
            try:
                held = await self._operator_keys.certificate_for(account, address)
            except (KeyUnavailable, OSError, subprocess.SubprocessError) as failure:
                # The next letter tries again; this one lies in custody already.
                _log.warning(
                    "no operator-held certificate could be made for an account (%s)", type(failure).__name__
                )
                return
        self._audit(
            [
                Event(
                    action="operator-key-made",
                    at=_now(),
                    actor="node",
                    subject=account,
                    reference=held.fingerprint,
                )
            ]
        )

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
                    at=_now(),
                    actor=f"{road.value}-road",
                    outcome=refusal_reason,
                    session=peer.session,
                    network=peer.address,
                    detail=dict(detail),
                )
            ]
        )

    async def stop(self) -> None:
        """Those whose turn has not come are dropped: the next letter asks again. The key being made is made."""
        makers = list(self._key_makers.values())
        for maker in makers:
            maker.cancel()
        await asyncio.gather(*makers, return_exceptions=True)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _actor(sender: Sender) -> str:
    if sender.identity is not None:
        return sender.identity.account
    return f"operator:{sender.operator_dn}" if sender.operator_dn else "node"


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
        at=_now(),
        actor=actor or "unknown",
        outcome="limit-unknown-patients",
        session=peer.session,
        network=peer.address,
    )
