"""The keys of an account as its page sees them: current, older, held elsewhere; bringing and renewing one.

Invariants: a secret comes and goes wrapped by the account key, in the browser; a certificate is published only when
its wrapped secret is durable; a key of an older generation is given with the recovery slot that opens it, never
with another way in.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from directory.openpgp.certificate import CertificateRefused
from mail_server.accounts.interface import Account, Kind
from mail_server.keys.slots import AccountKey, KeyState, Slot
from mail_server.store.interface import Sql, Transaction
from webmail.login.ground import Ground, Visitor
from webmail.login.problems import Problem
from webmail.login.sessions import PageSession
from webmail.spaces.activation import NewKey
from webmail.spaces.challenges import Challenges, key_refused


@dataclass(frozen=True, slots=True)
class ShownKey:
    fingerprint: str
    certificate: bytes = field(repr=False)
    wrapped_secret: bytes | None = field(repr=False)
    current: bool


@dataclass(frozen=True, slots=True)
class OldKey:
    """A key whose account key is lost, unless an older sheet turns up."""

    fingerprint: str
    wrapped_secret: bytes = field(repr=False)
    recovery: bytes = field(repr=False)  # that generation's account key, wrapped by its recovery code


class Keys:
    def __init__(self, ground: Ground, challenges: Challenges) -> None:
        self._ground = ground
        self._challenges = challenges

    async def shown(self, account: Account) -> tuple[list[ShownKey], list[Slot]]:
        """Every key, oldest first, and the slots of the generation that logs in."""
        ground = self._ground

        def query(sql: Sql) -> tuple[KeyState, list[AccountKey], list[Slot]]:
            state = ground.slots.state(sql, account.id)
            known = ground.slots.keys(sql, account.id)
            # What a try that was killed left behind is not there yet.
            keys = [one for one in known if not state.pending or one.generation != state.pending]
            return state, keys, ground.slots.all(sql, account.id, state.generation)

        state, keys, slots = await ground.store.read(lambda reader: query(reader.sql))
        current = self.current(account, keys)
        shown = [
            ShownKey(
                one.fingerprint,
                one.certificate,
                one.wrapped_secret if one.generation == state.generation else None,
                one.fingerprint == current,
            )
            for one in keys
        ]
        if current and all(one.fingerprint != current for one in keys):
            # Published from elsewhere (the console, a mail program): its holder has the secret.
            certificate = ground.directory.published(account.address)
            if certificate is not None:
                shown.append(ShownKey(current, certificate, None, True))
        return shown, slots

    def current(self, account: Account, keys: list[AccountKey]) -> str:
        """Fingerprint of what letters are sealed to; of the newest key when none is valid now."""
        found = self._ground.directory.certificate(account.address, self._ground.clock()).certificate
        if found is not None:
            return found.fingerprint
        return keys[-1].fingerprint if keys else ""

    async def bring(self, session: PageSession, new: NewKey, visitor: Visitor) -> None:
        """A professional's own key: made, imported, renewed, or its certificate alone. Raises Problem."""
        ground = self._ground
        account = ground.account(session)
        if account.kind is not Kind.PER:
            raise Problem("forbidden")
        async with ground.turn(account.id):
            gated = await self._challenges.answered(
                account, session.id, new.certificate, new.challenge, new.nonce
            )

            def keep(tx: Transaction) -> AccountKey | None:
                state = ground.slots.state(tx.sql, account.id)
                known = {one.fingerprint: one for one in ground.slots.keys(tx.sql, account.id)}
                before = known.get(gated.fingerprint)
                wrapped, generation = new.wrapped_secret, state.generation
                if wrapped is None and before is not None:
                    # The same key, renewed by its certificate alone: its secret stays where it is.
                    wrapped, generation = before.wrapped_secret, before.generation
                key = AccountKey(gated.fingerprint, generation, ground.clock(), new.certificate, wrapped)
                ground.slots.put_key(tx.sql, account.id, key)
                return before

            before = await ground.store.write(keep)
            try:
                await asyncio.to_thread(
                    ground.directory.publish, account.address, new.certificate, ground.clock()
                )
            except CertificateRefused as refused:
                await ground.store.write(
                    lambda tx: self._take_back(tx.sql, account, gated.fingerprint, before)
                )
                raise key_refused(refused) from None
            event = ground.event("key-publish", account.id, visitor, reference=gated.fingerprint)
            await ground.store.write(lambda tx: ground.trail.append(tx.sql, [event]))
        ground.resealing(account)

    def _take_back(self, sql: Sql, account: Account, fingerprint: str, before: AccountKey | None) -> None:
        if before is None:
            self._ground.slots.remove_key(sql, account.id, fingerprint)
        else:
            self._ground.slots.put_key(sql, account.id, before)

    async def rewrap(
        self, session: PageSession, fingerprint: str, wrapped_secret: bytes, visitor: Visitor
    ) -> None:
        """An older key that its holder opened again, wrapped by the account key of now. Raises Problem unknown-key."""
        ground = self._ground
        account = ground.account(session)
        wanted = fingerprint.upper()
        event = ground.event("key-reopened", account.id, visitor, reference=wanted[:40])

        def write(tx: Transaction) -> None:
            state = ground.slots.state(tx.sql, account.id)
            known = {one.fingerprint: one for one in ground.slots.keys(tx.sql, account.id)}
            found = known.get(wanted)
            # One of this generation opens already: nothing may take its place.
            if found is None or found.generation >= state.generation or found.wrapped_secret is None:
                raise Problem("unknown-key")
            ground.slots.put_key(
                tx.sql,
                account.id,
                AccountKey(wanted, state.generation, found.created, found.certificate, wrapped_secret),
            )
            ground.trail.append(tx.sql, [event])

        async with ground.turn(account.id):
            await ground.store.write(write)

    async def old(self, session: PageSession) -> list[OldKey]:
        ground = self._ground
        account = ground.account(session)

        def query(sql: Sql) -> list[OldKey]:
            state = ground.slots.state(sql, account.id)
            keys = [
                one
                for one in ground.slots.keys(sql, account.id)
                if one.generation < state.generation and one.wrapped_secret is not None
            ]
            sheets = ground.slots.recovery_of(sql, account.id, sorted({one.generation for one in keys}))
            return [
                OldKey(one.fingerprint, one.wrapped_secret, sheet.wrapped)
                for one in keys
                if (sheet := sheets.get(one.generation)) is not None
                and sheet.wrapped is not None
                and one.wrapped_secret is not None
            ]

        return await ground.store.read(lambda reader: query(reader.sql))
