"""The one transaction of a letter: its copies here, its letters of the queue, what it does beside, its trace.

Invariants: all of it or nothing; what was sent again after a crash is answered like the first time and neither filed
nor queued twice; the trace says who wrote, in whose name, to which account or domain, never to which address.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mail_server.accounts.interface import Accounts
from mail_server.delivery import common_sent
from mail_server.delivery.departing import Departures, Leave
from mail_server.delivery.exchanges import Note
from mail_server.delivery.interface import Envelope, Sender
from mail_server.delivery.keeping import no_space
from mail_server.delivery.plan import Plan
from mail_server.delivery.software import software_event
from mail_server.outbound.interface import Outgoing
from mail_server.store.interface import AlreadyFiled, NoSpace, Store, Transaction
from mail_server.store.model import AccountId, Filed, NewMessage, SpecialUse
from policies.interface import AuditTrail, Event


@dataclass(frozen=True, slots=True)
class Composed:
    """Everything that one letter lays down."""

    fingerprint: bytes
    plans: Sequence[Plan]
    copies: Sequence[NewMessage] = field(repr=False)
    message_id: bytes = field(repr=False)
    note: Note | None = None
    leave: Leave | None = None
    outgoing: Sequence[Outgoing] = field(default=(), repr=False)
    kind: str = ""  # coarse class
    flags: tuple[str, ...] = ()  # what its header says otherwise than its archive


class Filing:
    def __init__(
        self,
        *,
        accounts: Accounts,
        store: Store,
        trail: AuditTrail,
        audit: Callable[[Sequence[Event]], None],
        departures: Departures | None = None,
    ) -> None:
        self._accounts = accounts
        self._store = store
        self._trail = trail
        self._audit = audit
        self._departures = departures

    async def file(self, envelope: Envelope, letter: Composed) -> str:
        """The id for the 250 line. Raises Refusal, TagTaken."""
        now = now_ms()
        software = {plan.account.id: plan.copy_of for plan in letter.plans if plan.copy_of is not None}
        sent = [copy for copy in letter.copies if copy.mailbox is SpecialUse.SENT]
        doubled = [copy for copy in letter.copies if copy.account in software]
        copies = [
            copy
            for copy in letter.copies
            if copy.mailbox is not SpecialUse.SENT and copy.account not in software
        ]
        behalf = self._behalf(envelope.sender)

        def operation(transaction: Transaction) -> str:
            transaction.remember_submission(letter.fingerprint, now)
            filed = [transaction.file(copy) for copy in copies]
            if letter.note is not None:
                letter.note(transaction, filed, now)
            done = [("deliver", copy, one) for copy, one in zip(copies, filed, strict=True)]
            for copy in sent:
                one = common_sent.file_sent(transaction, copy, letter.message_id, now)
                done += [("keep", copy, one)] if one is not None else []
            for copy in doubled:
                one = transaction.file(copy)
                made = software_event(software[copy.account], one, now, copy)
                self._trail.append(transaction.sql, [made])
            events = [
                _event(action, envelope.sender, now, copy, one, behalf, letter.flags)
                for action, copy, one in done
            ]
            if self._departures is not None and letter.leave is not None and letter.outgoing:
                self._departures.lay(transaction, letter.outgoing)
                events += _sent_events(letter.outgoing, letter.leave, envelope, behalf, letter.kind)
            self._trail.append(transaction.sql, events)
            if letter.leave is not None:
                return letter.leave.reference
            return filed[0].email_id

        try:
            reference = await self._store.write(operation)
        except AlreadyFiled:
            # Sent again after we had answered, or would have: it lies there once already.
            return self._answered_again(envelope.sender, [copy.account for copy in copies], letter, now)
        except NoSpace:
            raise no_space() from None
        if self._departures is not None and letter.outgoing:
            self._departures.wake()
        return reference

    def _behalf(self, sender: Sender) -> str:
        """In whose name a member or a delegate writes; "" in one's own."""
        if sender.identity is None:
            return ""
        named = self._accounts.by_address(sender.mail_from)
        return named.id if named is not None and named.id != sender.identity.account else ""

    def _answered_again(
        self, sender: Sender, accounts: Sequence[AccountId], letter: Composed, now: int
    ) -> str:
        """The id of the answer, which the trace knows like any other; of what left, that of the first time."""
        reference = letter.leave.reference if letter.leave is not None else "R" + secrets.token_hex(12)
        acts = [("deliver", account) for account in accounts]
        acts += [("send-out", one.account or "") for one in letter.outgoing]
        self._audit(
            [
                Event(
                    action=action,
                    at=now,
                    actor=actor_of(sender),
                    subject=subject,
                    outcome="already-filed",
                    reference=reference,
                    session=sender.peer.session,
                    network=sender.peer.address,
                )
                for action, subject in acts
            ]
        )
        return reference


def _event(
    action: str,
    sender: Sender,
    at: int,
    copy: NewMessage,
    filed: Filed,
    behalf: str,
    flags: tuple[str, ...],
) -> Event:
    return Event(
        action=action,
        at=at,
        actor=actor_of(sender),
        subject=filed.account,
        outcome=copy.state.name.lower().replace("_", "-"),
        reference=filed.email_id,
        session=sender.peer.session,
        network=sender.peer.address,
        detail={"flags": " ".join(flags)} if flags else {},
        behalf=behalf,
        kind=copy.findings.coarse_class.name.lower(),
        door=sender.peer.protocol,
    )


def _sent_events(
    letters: Sequence[Outgoing], leave: Leave, envelope: Envelope, behalf: str, kind: str
) -> list[Event]:
    """What the trace has of letters that were laid into the queue."""
    peer = envelope.sender.peer
    return [
        Event(
            action="send-out",
            at=leave.at,
            actor=leave.actor,
            subject=one.account or "",
            outcome=one.readable.value,
            reference=one.reference,
            session=peer.session,
            network=peer.address,
            behalf=behalf,
            kind=kind,
            door=peer.protocol,
            detail={"domain": one.domain, "recipients": str(len(one.recipients))},
        )
        for one in letters
    ]


def actor_of(sender: Sender) -> str:
    if sender.identity is not None:
        return sender.identity.account
    return f"operator:{sender.operator_dn}" if sender.operator_dn else "node"


def now_ms() -> int:
    return time.time_ns() // 1_000_000
