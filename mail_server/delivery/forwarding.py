"""Structured letters of an organisation's account sent on to a program (ORG to APP; reference/mssante.md §9, row 27).

An administrator sets the rule. A letter that comes in clear with an archive, or is announced as one, stays in the
account and goes on besides: to a program of ours as a copy in the letter's transaction; to one of another operator of
the trust space by the queue, byte for byte as it came, under an ARC set of ours, MAIL FROM being the account.

Invariants: nothing goes on to a domain that the trust list does not name, neither when the rule is set nor when a
letter comes; a letter goes on once, however many rules and operators there are; what its author sealed stays where it
is; a letter is accepted when what goes on of it is laid down too; each letter that goes on, and each that does not, is
in the trace.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from directory.openpgp.certificate import Certificate
from mail_server import mime
from mail_server.accounts.interface import Account, Accounts, Kind
from mail_server.accounts.life import in_service
from mail_server.delivery import gated, outer, wire
from mail_server.delivery.abroad import Domains, addressed
from mail_server.delivery.authenticity import author_of, of_a_patient
from mail_server.delivery.examine import Letter
from mail_server.delivery.exchanges import Note
from mail_server.delivery.gate import domain_of
from mail_server.delivery.interface import Envelope
from mail_server.delivery.plan import Plan, Planner
from mail_server.delivery.wire import Wire
from mail_server.keys.interface import KeyUnavailable
from mail_server.outbound.interface import (
    Form,
    NotOpened,
    OutboundQueue,
    Outgoing,
    OutgoingRecipient,
    Readable,
)
from mail_server.sealing.interface import SealingEngine, SealingError
from mail_server.signatures import arc, results
from mail_server.signatures.results import NOTHING
from mail_server.signatures.signer import Signer
from mail_server.store.interface import NoSpace, Reader, Sql, Store, Transaction
from mail_server.store.model import AccountId, Filed
from policies.interface import AuditTrail, Event
from policies.refusal import Refusal

HOP_FIELD = "Vaguemestre-Forwarded"
MOST_HOPS = 25  # Received fields of a letter that still goes on (RFC 5321 §6.3 bears a hundred)
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[a-z0-9.-]{1,253}")
SENDS_ON = frozenset({Kind.ORG, Kind.CAB})


class RuleRefused(Exception):
    """The rule cannot be set; the text is for the administrator."""


@dataclass(frozen=True, slots=True)
class Rule:
    account: AccountId
    address: str = field(repr=False)

    @property
    def domain(self) -> str:
        return domain_of(self.address)


@dataclass(frozen=True, slots=True)
class SentOn:
    """What one letter leads to beside its own copies."""

    copies: tuple[tuple[AccountId, AccountId], ...] = ()  # of whose letter, for which program of ours
    note: Note | None = None  # what is laid into the queue, and what is told
    leaves: bool = False


NOWHERE = SentOn()


class ForwardingRules:
    """The rules as they are stored; read for each structured letter, so that every node sees a change at once."""

    def __init__(
        self,
        *,
        store: Store,
        accounts: Accounts,
        trail: AuditTrail,
        domains: Domains | None,
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._trail = trail
        self._domains = domains
        self._clock = clock

    async def rules(self) -> list[Rule]:
        return await self._store.read(_rules)

    async def of(self, accounts: Iterable[AccountId]) -> list[Rule]:
        wanted = set(accounts)
        return [one for one in await self.rules() if one.account in wanted]

    def objection(self, domain: str) -> str:
        """Why nothing goes on to this domain of another operator; "" for nothing."""
        if self._domains is None:
            return "outbound-off"
        standing = self._domains.standing_of(domain)
        return "" if standing.allowed else standing.reason or "recipient-domain-unlisted"

    async def put(self, account: Account, address: str | None, by: str, *, means: str, network: str) -> None:
        """Set the rule, or take it away. Raises RuleRefused."""
        target = self._checked(account, address) if address is not None else None
        event = Event(
            "forward-set",
            self._clock(),
            by,
            account.id,
            outcome="set" if target else "none",
            network=network,
            detail={"means": means, **self._told(target)},
        )

        def write(transaction: Transaction) -> None:
            sql = transaction.sql
            sql.run("DELETE FROM account_forward WHERE account = ?", (account.id,))
            if target is not None:
                sql.run(
                    "INSERT INTO account_forward (account, address, set_at) VALUES (?, ?, ?)",
                    (account.id, target, event.at),
                )
            self._trail.append(sql, [event])

        await self._store.write(write)

    def _told(self, target: str | None) -> dict[str, str]:
        if target is None:
            return {}
        local = self._accounts.by_address(target)
        return {"account": local.id} if local is not None else {"domain": domain_of(target)}

    def _checked(self, account: Account, address: str) -> str:
        if account.kind not in SENDS_ON:
            raise RuleRefused("Accounts of organisations alone (ORG, CAB) send letters on.")
        to = addressed(address.strip())
        if _ADDRESS.fullmatch(to.address) is None or to.patient:
            raise RuleRefused("Letters are sent on to the address of a program (APP).")
        if self._accounts.is_local_domain(to.domain):
            local = self._accounts.by_address(to.address)
            if local is None or local.kind is not Kind.APP or local.closed:
                raise RuleRefused("On this server, letters are sent on to an account of kind APP alone.")
            return local.address
        reason = self.objection(to.domain)
        if reason == "outbound-off":
            raise RuleRefused("Letters do not leave for other operators: [outbound] is switched off.")
        if reason:
            raise RuleRefused(
                f"{to.domain} is not in the trust space now ({reason}): nothing may be sent on to it."
            )
        if account.sealed_only:
            raise RuleRefused("This account sends sealed letters only: nothing of it leaves readable.")
        return to.address


class Forwarding:
    """Asked for each letter that is accepted: does it go on, and how."""

    def __init__(
        self,
        *,
        rules: ForwardingRules,
        store: Store,
        accounts: Accounts,
        planner: Planner,
        trail: AuditTrail,
        engine: SealingEngine,
        queue: OutboundQueue,
        gate: Callable[[], Certificate],
        signer: Signer,
        authserv_id: str,
        clock: Callable[[], int],
    ) -> None:
        self.rules = rules
        self._store = store
        self._accounts = accounts
        self._planner = planner
        self._trail = trail
        self._engine = engine
        self._queue = queue
        self._gate = gate
        self._signer = signer
        self._authserv_id = authserv_id
        self._clock = clock

    async def sent_on(self, envelope: Envelope, letter: Letter) -> SentOn:
        """Raises Refusal (451, 452) when what would go on cannot be made ready now."""
        if letter.ciphertext is not None or not letter.findings.for_software:
            return NOWHERE
        rules = await self.rules.of(one.account for one in envelope.recipients)
        if not rules:
            return NOWHERE
        outgoing: list[Outgoing] = []
        events: list[Event] = []
        copies: dict[AccountId, AccountId] = {}
        addressed_too = {one.account for one in envelope.recipients}
        sent: set[str] = set()  # two organisations may send on to one program: it gets the letter once
        for rule in rules:
            holder = self._accounts.by_id(rule.account)
            if holder is None or not in_service(holder) or rule.address in sent:
                continue
            reason = self._stopped(rule, envelope, letter)
            if not reason and self._accounts.is_local_domain(rule.domain):
                program = self._program(rule)
                reason = "" if program is not None else "program-gone"
                if program is not None and program.id not in addressed_too:
                    copies.setdefault(program.id, holder.id)
            elif not reason:
                try:
                    outgoing.append(await self._outgoing(envelope, letter, holder, rule))
                    events.append(_event(self._clock(), rule, "sent-on", outgoing[-1].reference))
                except arc.NotSealed:
                    reason = "chain-broken"
            sent.add(rule.address)
            if reason:
                events.append(_event(self._clock(), rule, reason))
        note = self._note(outgoing, events) if outgoing or events else None
        return SentOn(tuple((holder, program) for program, holder in copies.items()), note, bool(outgoing))

    def wake(self) -> None:
        """After the commit of a letter that went on."""
        self._queue.wake()

    def _stopped(self, rule: Rule, envelope: Envelope, letter: Letter) -> str:
        """Why this letter does not go on; "" for nothing."""
        if self._accounts.is_local_domain(rule.domain):
            return ""  # a copy beside the letter goes nowhere from there
        if not envelope.sender.mail_from:
            return "from-nobody"  # in our name it would be answered: the report of one that failed, by another one
        if letter.vouched or any(one.name == HOP_FIELD.lower() for one in letter.fields):
            return "sent-on-before"
        if of_a_patient(author_of(letter), self._accounts):
            return "from-patient"  # to whom a patient may write is decided where they are known
        if sum(one.name == "received" for one in letter.fields) >= MOST_HOPS:
            return "too-many-hops"
        holder = self._accounts.by_id(rule.account)
        if holder is not None and holder.sealed_only:
            return "sealed-only"
        return self.rules.objection(rule.domain)

    def _program(self, rule: Rule) -> Account | None:
        program = self._accounts.by_address(rule.address)
        if program is None or program.kind is not Kind.APP or not in_service(program):
            return None
        try:
            self._planner.plan(program)
        except Refusal:
            return None  # its key is revoked: the organisation has the letter, and the trace says so
        return program

    async def _outgoing(self, envelope: Envelope, letter: Letter, holder: Account, rule: Rule) -> Outgoing:
        try:
            made = await self._wire(envelope, letter, holder)
            certificate = self._gate()
            staged = await gated.staged(self._engine, self._store, certificate, made.data)
        except (SealingError, KeyUnavailable, NotOpened, OSError):
            raise Refusal(
                451, "4.3.0", "The letter could not be sent on now, please try again later", "forward-not-now"
            ) from None
        except NoSpace:
            raise Refusal(
                452, "4.3.1", "Not enough storage at the moment, please try again later", "no-space"
            ) from None
        return Outgoing(
            account=holder.id,
            mail_from=holder.address,
            domain=rule.domain,
            recipients=(OutgoingRecipient(rule.address),),
            content=staged,
            form=Form.GATED,
            egress=certificate.fingerprint,
            readable=Readable.GATED,
            size=len(made.data),
            head=outer.outer_block(letter.fields),
            reference="R" + secrets.token_hex(12),
            accepted_at=self._clock(),
            smtputf8=made.international,
            eight_bit=made.eight_bit,
        )

    async def _wire(self, envelope: Envelope, letter: Letter, holder: Account) -> Wire:
        """The letter as it came, without what leaves for nobody; above it our seal, our hop, and whence it came."""
        data = outer.without(letter.data, letter.fields, outer.never_delivered(letter.fields))
        written_at = domain_of(author_of(letter))
        if self._accounts.is_local_domain(written_at):
            # Written here: nobody has signed it yet, and its own domain must speak for it elsewhere.
            data = await self._signer.signed(data, written_at) + data
        domain = domain_of(holder.address)
        found = letter.verified or NOTHING
        told = results.results(self._authserv_id, found, None)
        at = self._clock()
        seal = await asyncio.to_thread(arc.seal, data, self._signer, domain, told, found, at // 1000)
        hop = mime.header_field(HOP_FIELD, domain)
        return wire.whole(wire.received(envelope.trace, domain, "forwarded", at) + hop + seal, data)

    def _note(self, outgoing: Sequence[Outgoing], events: Sequence[Event]) -> Note:
        def lay(transaction: Transaction, _: Sequence[Filed], at: int) -> None:
            for one in outgoing:
                self._queue.lay(transaction, one)
            self._trail.append(transaction.sql, [replace(event, at=at) for event in events])

        return lay


def sent_on_plans(
    letter: Letter, accounts: Accounts, planner: Planner, planned: Iterable[Plan]
) -> list[Plan]:
    """How the copies for programs of ours are sealed, decided now. Raises Refusal."""
    there = {one.account.id for one in planned}
    return [
        replace(planner.plan(program), copy_of=holder)
        for holder, wanted in letter.sent_on
        if wanted not in there and (program := accounts.by_id(wanted)) is not None and in_service(program)
    ]


def _rules(reader: Reader) -> list[Rule]:
    sql: Sql = reader.sql
    return [
        Rule(AccountId(str(account)), str(address))
        for account, address in sql.all("SELECT account, address FROM account_forward ORDER BY account")
    ]


def _event(at: int, rule: Rule, outcome: str, reference: str = "") -> Event:
    return Event(
        "forward",
        at,
        "node",
        rule.account,
        outcome=outcome,
        reference=reference,
        detail={"domain": rule.domain},
    )
