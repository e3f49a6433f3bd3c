"""What a holder changes in their ways in: password, sheet, passkeys, second factor.

Invariants: a change is durable, with its trace, before it shows; whoever changes the password puts every other
session out; a session gets a new cookie whenever it may do more than before; a password and a sheet are replaced, never
removed; nothing is changed on the word of a session alone where the password can be asked; a way in is added or a
second factor taken away only by who has just proved who they are; what ends is durable before memory forgets it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mail_server.accounts.interface import Account, Kind
from mail_server.keys.slots import Slot, SlotKind, Stretching
from mail_server.store.interface import Sql, Transaction
from policies.interface import Event
from webmail.login import totp
from webmail.login.ground import Ground, Visitor
from webmail.login.once import Once
from webmail.login.passkeys import Passkeys
from webmail.login.pressure import Pressure
from webmail.login.problems import Problem
from webmail.login.sessions import Drawn, PageSession, Renew, Way
from webmail.login.tries import CodeTries

_TOTP_LIFETIME = 10 * 60_000
_MOST_PASSKEYS = 10


@dataclass(frozen=True, slots=True)
class NewPassword:
    """What the browser made of a password."""

    stretching: Stretching
    login: bytes = field(repr=False)
    wrapped: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewRecovery:
    login: bytes = field(repr=False)
    wrapped: bytes = field(repr=False)


class Changes:
    def __init__(
        self, ground: Ground, pressure: Pressure, passkeys: Passkeys, operator: str, tries: CodeTries
    ) -> None:
        self._ground = ground
        self._tries = tries
        self._pressure = pressure
        self._passkeys = passkeys
        self._operator = operator
        self._totp: Once[tuple[str, bytes]] = Once(ground.clock, _TOTP_LIFETIME)
        self._totp_of: dict[str, str] = {}  # session → what it is setting up

    # -- password and sheet

    async def password(
        self, session: PageSession, current: bytes | None, new: NewPassword, visitor: Visitor
    ) -> Drawn:
        """Every other session ends."""
        account = self._ground.account(session)
        await self._confirm(session, account, current, Renew.PASSWORD, visitor)
        drawn = self._ground.sessions.redraw(session, session.renew & ~Renew.PASSWORD)

        def change(sql: Sql, generation: int) -> None:
            slot = password_slot(self._ground, account, generation, new)
            self._ground.slots.replace(sql, slot)
            self._ground.sessions.delete(sql, account.id, keep=session.id)

        await self._change(
            session, account, change, self._ground.event("password-change", account.id, visitor), drawn
        )
        self._ground.sessions.forget(account.id, keep=session.id)
        return drawn

    async def recovery(
        self, session: PageSession, current: bytes | None, new: NewRecovery, visitor: Visitor
    ) -> Drawn | None:
        """From now on the sheet before opens nothing of this generation."""
        account = self._ground.account(session)
        await self._confirm(session, account, current, Renew.RECOVERY, visitor)
        drawn = self._risen(session, Renew.RECOVERY)
        cut = [each for each, _ in self._ground.sessions.of(account.id) if each.way is Way.RECOVERY]
        others = [each.id for each in cut if each.id != session.id]

        def change(sql: Sql, generation: int) -> None:
            self._ground.slots.replace(sql, recovery_slot(self._ground, account, generation, new))
            for other in others:
                self._ground.sessions.delete_one(sql, account.id, other)

        await self._change(
            session, account, change, self._ground.event("recovery-change", account.id, visitor), drawn
        )
        for other in others:
            self._ground.sessions.forget_one(other)
        return drawn

    async def _confirm(
        self, session: PageSession, account: Account, current: bytes | None, due: Renew, visitor: Visitor
    ) -> None:
        """The password must be told, unless the session came to renew this very thing."""
        if session.renew & due:
            return
        if session.must_renew and current is None:
            raise Problem("renew-first")
        if current is None:
            raise Problem("password-needed")
        self._pressure.enter(visitor.network, account.id)
        ground = self._ground

        def query(sql: Sql) -> Slot | None:
            state = ground.slots.state(sql, account.id)
            return ground.slots.of_kind(sql, account.id, state.generation, SlotKind.PASSWORD)

        slot = await ground.store.read(lambda reader: query(reader.sql))
        if slot is None or not ground.secrets.proves(current, slot.verifier):
            problem = Problem("password-refused")
            event = ground.event(
                "login-failed",
                account.id,
                visitor,
                outcome="wrong-password",
                reference=problem.reference,
                mechanism="password",
                protocol="page",
            )
            ground.audit([event])
            await self._pressure.failed(visitor.network, account.id)
            raise problem
        self._pressure.succeeded(visitor.network, account.id)

    # -- passkeys

    async def passkey_options(self, session: PageSession, visitor: Visitor) -> tuple[str, dict[str, Any]]:
        account = self._ground.account(session)
        self._needs_fresh(session)  # what is asked now is answered within minutes, in this session
        known = [slot.passkey for slot in await self.slots(account) if slot.passkey is not None]
        if len(known) >= _MOST_PASSKEYS:
            raise Problem("forbidden")
        return self._passkeys.creation_options(
            visitor.origin, session.id, account.id, self._name_for_device(account), known
        )

    def _name_for_device(self, account: Account) -> str:
        """What the device will show beside the passkey. Never a patient's number: devices copy it to a cloud."""
        if account.kind is not Kind.PATIENT:
            return account.address
        first_name = self._ground.accounts.patient_identity(account.id).first_name
        return f"{first_name}, {self._operator}"

    async def passkey_add(
        self,
        session: PageSession,
        asked: str,
        credential: Mapping[str, Any],
        label: str,
        wrapped: bytes | None,
        visitor: Visitor,
    ) -> None:
        ground = self._ground
        account = ground.account(session)
        made = await self._passkeys.created(credential, asked, session.id, prf=wrapped is not None)
        mark = ground.secrets.credential_mark(made.credential)
        slot_id = secrets.token_hex(8)

        def change(sql: Sql, generation: int) -> None:
            if ground.slots.by_credential(sql, mark) is not None:
                raise Problem("passkey-refused")
            slot = Slot(
                slot_id,
                account.id,
                generation,
                SlotKind.PASSKEY,
                ground.clock(),
                label=label,
                wrapped=wrapped,
                passkey=made,
            )
            ground.slots.put(sql, slot, mark)

        event = ground.event("passkey-add", account.id, visitor, credential=slot_id)
        await self._change(session, account, change, event, None)

    async def remove_slot(self, session: PageSession, slot: str, visitor: Visitor) -> None:
        """A passkey goes, and the sessions it opened. Raises Problem slot-needed, unknown-slot."""
        ground = self._ground
        account = ground.account(session)
        self._needs_fresh(session)
        ended = [each for each in ground.sessions.opened_by(account.id, slot) if each != session.id]

        def change(sql: Sql, generation: int) -> None:
            known = ground.slots.all(sql, account.id, generation)
            found = next((each for each in known if each.id == slot), None)
            if found is None:
                raise Problem("unknown-slot")
            left = [each for each in known if each.id != slot and each.wrapped is not None]
            if found.kind is not SlotKind.PASSKEY or not left:
                raise Problem("slot-needed")
            ground.slots.remove(sql, account.id, slot)
            for each in ended:
                ground.sessions.delete_one(sql, account.id, each)

        event = ground.event("passkey-remove", account.id, visitor, credential=slot)
        await self._change(session, account, change, event, None)
        for each in ended:
            ground.sessions.forget_one(each)

    async def slots(self, account: Account) -> list[Slot]:
        ground = self._ground

        def query(sql: Sql) -> list[Slot]:
            return ground.slots.all(sql, account.id, ground.slots.state(sql, account.id).generation)

        return await ground.store.read(lambda reader: query(reader.sql))

    # -- the second factor

    def totp_start(self, session: PageSession) -> tuple[str, str]:
        """Secret and URI, to be confirmed by a code within ten minutes."""
        account = self._ground.account(session)
        if not session.renew & Renew.TOTP:
            self._needs_fresh(session)
        secret = totp.new_secret()
        if (before := self._totp_of.pop(session.id, None)) is not None:
            self._totp.take(before)
        if len(self._totp_of) > 10_000:
            self._totp_of.clear()
        self._totp_of[session.id] = self._totp.put((session.id, secret), account.id)
        # An authenticator program may show its list to others: no patient's number stands in it.
        name = account.address if account.kind is not Kind.PATIENT else "espace"
        return totp.shown(secret), totp.uri(secret, name, self._operator)

    async def totp_confirm(self, session: PageSession, code: str, visitor: Visitor) -> Drawn:
        ground = self._ground
        account = ground.account(session)
        key = self._totp_of.get(session.id, "")
        found = self._totp.take(key)
        if found is None:
            raise Problem("challenge-refused")
        secret = found[1]
        step = totp.step_of(secret, code, ground.clock(), -1)
        if step is None:
            self._totp_of[session.id] = self._totp.put(found, account.id)
            raise Problem("totp-refused")
        self._totp_of.pop(session.id, None)
        left = replace(session, renew=session.renew & ~Renew.TOTP)
        drawn = ground.sessions.step_up(left, strong=True)

        def change(sql: Sql, generation: int) -> None:
            if session.renew & Renew.TOTP and ground.factors.has(sql, account.id):
                # Set up meanwhile elsewhere: a session that never showed it does not replace it.
                raise Problem("totp-needed")
            ground.factors.put(sql, account.id, secret, step, ground.clock())

        await self._change(session, account, change, ground.event("totp-on", account.id, visitor), drawn)
        return drawn

    async def totp_stop(self, session: PageSession, code: str, visitor: Visitor) -> None:
        ground = self._ground
        account = ground.account(session)
        if ground.needs_totp(account):
            raise Problem("totp-required")
        self._needs_fresh(session)
        self._pressure.enter(visitor.network, account.id)
        self._tries.enter(account.id, visitor.network, session.id)
        factor = await ground.store.read(lambda reader: ground.factors.of(reader.sql, account.id))
        step = totp.step_of(factor.secret, code, ground.clock(), factor.last_step) if factor else None
        if step is None:
            self._tries.wrong(account.id, visitor.network, session.id)
            await self._pressure.failed(visitor.network, account.id)
            raise Problem("totp-refused")
        self._tries.right(account.id, visitor.network, session.id)

        def change(sql: Sql, generation: int) -> None:
            if not ground.factors.use(sql, account.id, step):
                raise Problem("totp-refused")
            ground.factors.remove(sql, account.id)

        await self._change(session, account, change, ground.event("totp-off", account.id, visitor), None)

    # -- inside

    def _needs_fresh(self, session: PageSession) -> None:
        """Raises Problem step-up-needed."""
        if not self._ground.sessions.fresh(session):
            raise Problem("step-up-needed", detail="fresh")

    def _risen(self, session: PageSession, done: Renew) -> Drawn | None:
        """The session under a new cookie, when it may do more from now on."""
        if not session.renew & done:
            return None
        return self._ground.sessions.redraw(session, session.renew & ~done)

    async def _change(
        self,
        session: PageSession,
        account: Account,
        change: Callable[[Sql, int], None],
        event: Event,
        drawn: Drawn | None,
    ) -> None:
        """One transaction: the change, the session's new cookie, the trace. A session that ended meanwhile changes
        nothing."""
        ground = self._ground

        def write(tx: Transaction) -> None:
            alive = tx.sql.one("SELECT digest FROM page_session WHERE id = ?", (session.id,))
            if alive is None or bytes(alive[0]) != session.digest:
                raise Problem("no-session")
            change(tx.sql, ground.slots.state(tx.sql, account.id).generation)
            if drawn is not None:
                ground.sessions.write(tx.sql, drawn)
            ground.trail.append(tx.sql, [event])

        async with ground.turn(account.id):
            await ground.store.write(write)
            if drawn is not None:
                ground.sessions.adopt(drawn)


def password_slot(ground: Ground, account: Account, generation: int, new: NewPassword) -> Slot:
    return Slot(
        secrets.token_hex(8),
        account.id,
        generation,
        SlotKind.PASSWORD,
        ground.clock(),
        wrapped=new.wrapped,
        verifier=ground.secrets.verifier(new.login),
        stretching=new.stretching,
    )


def recovery_slot(ground: Ground, account: Account, generation: int, new: NewRecovery) -> Slot:
    return Slot(
        secrets.token_hex(8),
        account.id,
        generation,
        SlotKind.RECOVERY,
        ground.clock(),
        wrapped=new.wrapped,
        verifier=ground.secrets.verifier(new.login),
    )
