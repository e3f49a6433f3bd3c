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
from webmail.login.sessions import Drawn, Renew, SessionKind, Way

_NOBODY = AccountId("")


@dataclass(frozen=True, slots=True)
class _Proof:
    """A first factor that held."""

    account: Account
    slot: Slot
    way: Way
    who: str


class LoginService:
    def __init__(self, ground: Ground, pressure: Pressure, passkeys: Passkeys) -> None:
        self._ground = ground
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

    async def _admit(self, account: Account, way: Way, who: str, visitor: Visitor) -> None:
        """Ask the policy. Raises Problem suspended."""
        speaker = questions.account(
            account.id,
            account.address,
            account.kind.value,
            suspended=account.suspended,
            members=account.members,
            activated=account.activated,
        )
        decision = self._ground.decisions.decide(questions.may_log_in(speaker, way.value.upper(), "page"))
        if not decision.allowed:
            raise await self._refused("suspended", decision.rule, account, who, way, visitor)

    async def _second_factor(self, proof: _Proof, code: str | None, visitor: Visitor) -> int | None:
        """The step that the code is of; None where the account has no second factor."""
        ground, account = self._ground, proof.account
        factor = await ground.store.read(lambda reader: ground.factors.of(reader.sql, account.id))
        if factor is None:
            return None
        if not code:
            raise Problem("totp-needed")
        step = totp.step_of(factor.secret, code, ground.clock(), factor.last_step)
        if step is None:
            raise await self._refused("totp-refused", "wrong-totp", account, proof.who, proof.way, visitor)
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
        if proof.way is not Way.PASSKEY and step is None and ground.needs_totp(account):
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
        self, reason: str, outcome: str, account: Account | None, who: str, way: Way, visitor: Visitor
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
        )
        self._ground.audit([event])
        self._ground.counters.refused_logins += 1
        await self._pressure.failed(visitor.network, who)
        return problem

    def _needs_trace(self) -> None:
        """Nobody comes in while their coming could not be told."""
        if self._ground.trace_full():
            raise Problem("busy")
