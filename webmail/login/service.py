"""Logging in on the page: by password, by recovery code, by passkey; the second factor; what the trace says of it.

The browser makes a login secret and an unlock secret of what was typed, and sends the first alone; here an HMAC of it
is compared. A login gives a session; whether the page can open letters is between the browser and the slots.

Invariants: somebody unknown, somebody without such a slot and a wrong secret cost the same steps and read the same;
what is still missing (a second factor) is told to who proved the first alone; every attempt is audited, with the
reference that is shown; a login is durable, with its trace, before its cookie leaves.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mail_server.accounts.entities import account_entity
from mail_server.accounts.interface import Account
from mail_server.keys.slots import KeyState, Slot, SlotKind, Stretching
from mail_server.store.interface import Sql, Transaction
from mail_server.store.model import AccountId
from policies import questions
from policies.interface import Event
from webmail.login import totp
from webmail.login.ground import Ground, Visitor
from webmail.login.passkeys import Passkeys, credential_id
from webmail.login.pressure import Pressure
from webmail.login.problems import Problem
from webmail.login.sessions import Drawn, PageSession, Renew, SessionKind, Vouched, Way
from webmail.login.tries import CodeTries

_NOBODY = AccountId("")
_REFUSALS = {"log-in-closed": "closed", "log-in-not-practising": "not-practising"}


@dataclass(frozen=True, slots=True)
class _Proof:
    """A first factor that held."""

    account: Account
    slot: Slot
    way: Way
    who: str


class LoginService:
    def __init__(self, ground: Ground, pressure: Pressure, passkeys: Passkeys, tries: CodeTries) -> None:
        self._ground = ground
        self._tries = tries
        self._pressure = pressure
        self._passkeys = passkeys
        # Opened and compared against where there is nothing, so that the steps are the same.
        stranger = Slot("", "", 0, SlotKind.PASSWORD, 0, verifier=secrets.token_bytes(32))
        self._stranger = stranger
        self._stranger_sealed = ground.slots.sealed(replace(stranger, stretching=Stretching(bytes(16))))

    # -- what a browser must know to begin

    async def parameters(self, user: str) -> Stretching:
        """How to stretch this person's password; as steady an answer for somebody unknown."""
        account = self._ground.find(user)
        false_salt = self._ground.secrets.false_salt(self._ground.accounts.spelt(user))
        slot = await self._slot(account, SlotKind.PASSWORD)
        found = slot.stretching if slot.account else None
        return found or Stretching(false_salt)

    # -- by a secret

    async def by_password(
        self, user: str, login: bytes, code: str | None, shared: bool, visitor: Visitor
    ) -> Drawn:
        proof = await self._by_secret(user, login, SlotKind.PASSWORD, Way.PASSWORD, visitor)
        step = await self._second_factor(proof, code, visitor)
        return await self._enter(proof, visitor, step, shared=shared)

    async def by_recovery(self, user: str, login: bytes, code: str | None, visitor: Visitor) -> Drawn:
        """The sheet serves until a new password and a new sheet replace it: the session can do nothing else."""
        proof = await self._by_secret(user, login, SlotKind.RECOVERY, Way.RECOVERY, visitor)
        step = await self._second_factor(proof, code, visitor)
        return await self._enter(proof, visitor, step, renew=Renew.PASSWORD | Renew.RECOVERY)

    async def _by_secret(self, user: str, login: bytes, kind: SlotKind, way: Way, visitor: Visitor) -> _Proof:
        self._needs_trace()
        account = self._ground.find(user)
        who = (
            account.id
            if account is not None
            else self._ground.secrets.tried_mark(self._ground.accounts.spelt(user))
        )
        self._pressure.enter(visitor.network, who)
        slot = await self._slot(account, kind)
        proven = self._ground.secrets.proves(login, slot.verifier)
        if not proven or account is None or not slot.account:
            raise await self._refused("login-refused", f"wrong-{kind.value}", account, who, way, visitor)
        await self._admit(account, way, who, visitor)
        return _Proof(account, slot, way, who)

    async def _slot(self, account: Account | None, kind: SlotKind) -> Slot:
        """The account's slot of this kind, or a stranger's; the same reads and one opening either way."""
        name = account.id if account is not None else _NOBODY
        slots = self._ground.slots

        def query(sql: Sql) -> Slot:
            state = slots.state(sql, name)
            found = slots.of_kind(sql, name, state.generation, kind) if state.generation else None
            if found is not None:
                return found
            if not state.generation:
                slots.of_kind(sql, name, 0, kind)
            return slots.opened(self._stranger, self._stranger_sealed)

        return await self._ground.store.read(lambda reader: query(reader.sql))

    async def _admit(self, account: Account, way: Way, who: str, visitor: Visitor, acr: int = 0) -> None:
        """Ask the policy. Raises Problem suspended, closed, not-practising."""
        asked = questions.may_log_in(account_entity(account), way.value.upper(), "page", acr=acr)
        decision = self._ground.decisions.decide(asked)
        if not decision.allowed:
            reason = _REFUSALS.get(decision.rule, "suspended")
            raise await self._refused(reason, decision.rule, account, who, way, visitor)

    async def _second_factor(self, proof: _Proof, code: str | None, visitor: Visitor) -> int | None:
        """The step that the code is of; None where the account has no second factor."""
        ground, account = self._ground, proof.account
        factor = await ground.store.read(lambda reader: ground.factors.of(reader.sql, account.id))
        if factor is None:
            return None
        if not code:
            raise Problem("totp-needed")
        guessing = (account.id, visitor.network, visitor.session.id if visitor.session is not None else "")
        self._tries.enter(*guessing)
        step = totp.step_of(factor.secret, code, ground.clock(), factor.last_step)
        if step is None:
            self._tries.wrong(*guessing)
            raise await self._refused("totp-refused", "wrong-totp", account, proof.who, proof.way, visitor)
        self._tries.right(*guessing)
        return step

    # -- by passkey

    def passkey_options(self, visitor: Visitor) -> tuple[str, dict[str, Any]]:
        return self._passkeys.login_options(visitor.origin, visitor.network)

    async def by_passkey(
        self, asked: str, credential: Mapping[str, Any], shared: bool, visitor: Visitor
    ) -> Drawn:
        """A passkey whose device verified its holder is both factors."""
        ground = self._ground
        self._needs_trace()
        challenge = self._passkeys.login_challenge(asked)
        if challenge is None:
            raise Problem("challenge-refused")
        mark = ground.secrets.credential_mark(credential_id(credential))
        who = mark.hex()[:24]
        self._pressure.enter(visitor.network, who)
        slot, state = await ground.store.read(lambda reader: self._by_credential(reader.sql, mark))
        account = ground.accounts.by_id(AccountId(slot.account)) if slot is not None else None
        current = slot is not None and slot.generation == state.generation
        if slot is None or slot.passkey is None or account is None or not current:
            raise await self._refused(
                "passkey-refused", "unknown-passkey", account, who, Way.PASSKEY, visitor
            )
        try:
            count = await self._passkeys.proven(credential, challenge, slot.passkey)
        except Problem:
            raise await self._refused(
                "passkey-refused", "wrong-passkey", account, who, Way.PASSKEY, visitor
            ) from None
        await self._admit(account, Way.PASSKEY, who, visitor)
        counted = replace(slot, passkey=replace(slot.passkey, sign_count=count))
        return await self._enter(_Proof(account, counted, Way.PASSKEY, who), visitor, None, shared=shared)

    # -- by an identity provider

    async def by_provider(self, account: Account, vouched: Vouched, shared: bool, visitor: Visitor) -> Drawn:
        """`account` is the person whom a provider vouched for, after every check of its answer."""
        ground = self._ground
        self._needs_trace()
        await self._admit(account, Way.PROVIDER, account.id, visitor, vouched.acr)
        drawn = ground.sessions.draw(
            account,
            SessionKind.FULL,
            Way.PROVIDER,
            vouched.provider,
            label=visitor.label,
            network=visitor.network,
            shared=shared,
            strong=True,
            vouched=vouched,
        )
        event = ground.event(
            "login",
            account.id,
            visitor,
            session=drawn.session.id,
            mechanism=Way.PROVIDER.value,
            protocol="page",
            issuer=vouched.provider,
            acr=str(vouched.acr),
        )

        def write(tx: Transaction) -> None:
            ground.sessions.write(tx.sql, drawn)
            ground.trail.append(tx.sql, [event])

        await ground.store.write(write)
        ground.sessions.adopt(drawn)
        ground.counters.logins += 1
        ground.accounts.came(account.id, ground.clock())
        return drawn

    async def provider_refused(
        self, reason: str, outcome: str, account: Account | None, provider: str, visitor: Visitor
    ) -> Problem:
        """Traced like every failed login; who it was for is known to few of them."""
        return await self._refused(
            reason, outcome, account, f"provider {provider}", Way.PROVIDER, visitor, issuer=provider
        )

    def stranger_at_return(self, provider: str, visitor: Visitor) -> None:
        """Before an answer to nothing is traced: anybody may make such answers up. Raises Problem too-many."""
        self._pressure.enter(visitor.network, f"provider {provider}")

    # -- again, by who is in already

    async def step_up(self, session: PageSession, login: bytes, code: str | None, visitor: Visitor) -> Drawn:
        """By the password, and the second factor where there is one."""
        ground = self._ground
        account = ground.account(session)
        self._needs_trace()
        self._pressure.enter(visitor.network, account.id)
        slot = await self._slot(account, SlotKind.PASSWORD)
        proof = _Proof(account, slot, Way.PASSWORD, account.id)
        if not slot.account or not ground.secrets.proves(login, slot.verifier):
            raise await self._refused(
                "password-refused", "wrong-password", account, account.id, Way.PASSWORD, visitor
            )
        step = await self._second_factor(proof, code, visitor)
        self._pressure.succeeded(visitor.network, account.id)
        drawn = ground.sessions.step_up(session, strong=step is not None)
        return await self._risen(session, drawn, Way.PASSWORD, visitor, slot, step)

    async def step_up_by_passkey(
        self, session: PageSession, asked: str, credential: Mapping[str, Any], visitor: Visitor
    ) -> Drawn:
        ground = self._ground
        account = ground.account(session)
        self._needs_trace()
        challenge = self._passkeys.login_challenge(asked)
        if challenge is None:
            raise Problem("challenge-refused")
        self._pressure.enter(visitor.network, account.id)
        mark = ground.secrets.credential_mark(credential_id(credential))
        slot, state = await ground.store.read(lambda reader: self._by_credential(reader.sql, mark))
        theirs = slot is not None and slot.account == account.id and slot.generation == state.generation
        try:
            if slot is None or slot.passkey is None or not theirs:
                raise Problem("passkey-refused")
            count = await self._passkeys.proven(credential, challenge, slot.passkey)
        except Problem:
            raise await self._refused(
                "passkey-refused", "wrong-passkey", account, account.id, Way.PASSKEY, visitor
            ) from None
        counted = replace(slot, passkey=replace(slot.passkey, sign_count=count))
        drawn = ground.sessions.step_up(session, strong=True)
        return await self._risen(session, drawn, Way.PASSKEY, visitor, counted, None)

    async def step_up_by_provider(self, session: PageSession, vouched: Vouched, visitor: Visitor) -> Drawn:
        """`vouched` is of the session's own account: the caller has compared them."""
        self._needs_trace()
        drawn = self._ground.sessions.step_up(session, strong=True, vouched=vouched)
        return await self._risen(session, drawn, Way.PROVIDER, visitor, None, None)

    async def _risen(
        self,
        session: PageSession,
        drawn: Drawn,
        way: Way,
        visitor: Visitor,
        slot: Slot | None,
        step: int | None,
    ) -> Drawn:
        """Durable, with its trace. Raises Problem when the session, or what proved it, ended meanwhile."""
        ground = self._ground
        account = ground.account(session)
        event = ground.event("step-up", account.id, visitor, session=session.id, mechanism=way.value)

        def write(tx: Transaction) -> str:
            if not ground.sessions.unchanged(tx.sql, session):
                return "no-session"
            if slot is not None and not self._still(tx.sql, slot):
                return "login-refused"
            if step is not None and not ground.factors.use(tx.sql, account.id, step):
                return "totp-refused"
            if slot is not None:
                ground.slots.used(tx.sql, slot, ground.clock())
            ground.sessions.write(tx.sql, drawn)
            ground.trail.append(tx.sql, [event])
            return ""

        async with ground.turn(account.id):
            if reason := await ground.store.write(write):
                raise Problem(reason)
            ground.sessions.adopt(drawn)
        return drawn

    def _by_credential(self, sql: Sql, mark: bytes) -> tuple[Slot | None, KeyState]:
        slot = self._ground.slots.by_credential(sql, mark)
        return slot, self._ground.slots.state(sql, slot.account if slot is not None else _NOBODY)

    # -- in, or not

    async def _enter(
        self,
        proof: _Proof,
        visitor: Visitor,
        step: int | None,
        *,
        shared: bool = False,
        renew: Renew = Renew.NOTHING,
    ) -> Drawn:
        ground, account = self._ground, proof.account
        strong = proof.way is Way.PASSKEY or step is not None
        if not strong and ground.needs_totp(account):
            renew |= Renew.TOTP
        drawn = ground.sessions.draw(
            account,
            SessionKind.FULL,
            proof.way,
            proof.slot.id,
            label=visitor.label,
            network=visitor.network,
            shared=shared,
            renew=renew,
            strong=strong,
        )
        event = ground.event(
            "login",
            account.id,
            visitor,
            session=drawn.session.id,
            mechanism=proof.way.value,
            protocol="page",
            credential=proof.slot.id,
        )

        def write(tx: Transaction) -> bool:
            # Read again: the slot may have been replaced, the step used, while we looked.
            if not self._still(tx.sql, proof.slot):
                return False
            if step is not None and not ground.factors.use(tx.sql, account.id, step):
                return False
            ground.slots.used(tx.sql, proof.slot, ground.clock())
            ground.sessions.write(tx.sql, drawn)
            ground.trail.append(tx.sql, [event])
            return True

        if not await ground.store.write(write):
            raise await self._refused(
                "login-refused", "changed-meanwhile", account, proof.who, proof.way, visitor
            )
        self._pressure.succeeded(visitor.network, proof.who)
        ground.sessions.adopt(drawn)
        ground.accounts.came(account.id, ground.clock())
        ground.counters.logins += 1
        return drawn

    def _still(self, sql: Sql, slot: Slot) -> bool:
        state = self._ground.slots.state(sql, slot.account)
        if slot.generation != state.generation:
            return False
        known = self._ground.slots.all(sql, slot.account, slot.generation)
        found = next((each for each in known if each.id == slot.id), None)
        if found is None:
            return False
        if slot.passkey is not None and found.passkey is not None:
            # The same answer of a device must not be spent twice where it counts.
            return slot.passkey.sign_count == 0 or slot.passkey.sign_count > found.passkey.sign_count
        return True

    async def _refused(
        self,
        reason: str,
        outcome: str,
        account: Account | None,
        who: str,
        way: Way,
        visitor: Visitor,
        **detail: str,
    ) -> Problem:
        problem = Problem(reason)
        subject = account.id if account is not None else "unknown"
        event: Event = self._ground.event(
            "login-failed",
            subject,
            visitor,
            actor="unknown",
            outcome=outcome,
            reference=problem.reference,
            mechanism=way.value,
            protocol="page",
            **detail,
        )
        self._ground.audit([event])
        self._ground.counters.refused_logins += 1
        await self._pressure.failed(visitor.network, who)
        return problem

    def _needs_trace(self) -> None:
        """Nobody comes in while their coming could not be told."""
        if self._ground.trace_full():
            raise Problem("busy")
