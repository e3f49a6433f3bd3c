"""Opening a space: what the browser made becomes the account's, in an order that survives a kill anywhere.

1. Wrapped secret, slots and their generation, marked pending: durable in the mail database.
2. The certificate is published: durable in the directory.
3. The generation logs in, the account is activated, the code is used, its session begins: one transaction.

Invariants: a certificate is published only when its wrapped secret is durable; until step 3 the code still
serves, and beginning again with it finishes; what a kill left of an earlier try is dropped, unless its certificate was
published: then letters may have been sealed to it, and it stays as an older generation whose sheet opens them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from directory.openpgp.certificate import Certificate, CertificateRefused
from mail_server.accounts.interface import Account, Kind
from mail_server.keys.slots import AccountKey, KeyState
from mail_server.store.interface import Sql, Transaction
from mail_server.store.model import MessageId, State
from webmail.login.changes import NewPassword, NewRecovery, password_slot, recovery_slot
from webmail.login.ground import Ground, Visitor
from webmail.login.problems import Problem
from webmail.login.sessions import Drawn, PageSession, Renew, SessionKind, Way
from webmail.spaces.challenges import Challenges, key_refused
from webmail.spaces.reseal import Reseal

_COUNTED = 100_000


@dataclass(frozen=True, slots=True)
class NewKey:
    """A certificate that its holder proves to open; the secret wrapped by the account key, unless kept elsewhere."""

    certificate: bytes = field(repr=False)
    challenge: str
    nonce: str = field(repr=False)
    wrapped_secret: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Proven:
    gated: Certificate
    certificate: bytes = field(repr=False)
    wrapped_secret: bytes | None = field(repr=False)


class Activation:
    def __init__(self, ground: Ground, challenges: Challenges, reseal: Reseal) -> None:
        self._ground = ground
        self._challenges = challenges
        self._reseal = reseal

    async def complete(
        self,
        session: PageSession,
        password: NewPassword,
        recovery: NewRecovery,
        key: NewKey | None,
        visitor: Visitor,
    ) -> Drawn:
        """The full session that takes the enrolment's place. Raises Problem."""
        ground = self._ground
        account = ground.account(session)
        async with ground.turn(account.id):
            await self._needs_live_code(session)
            proven = await self._proven(account, session, key)
            generation = await self._keep(account, password, recovery, proven)
            if proven is not None:
                await self._publish(account, proven)
            drawn = await self._open(account, session, generation, proven, visitor)
        if account.kind is Kind.PATIENT:
            opened = ground.account(drawn.session)
            if not await self._reseal.left(opened):
                await self._reseal.settle(opened)
        elif proven is not None:
            ground.resealing(account)
        return drawn

    async def _needs_live_code(self, session: PageSession) -> None:
        if not await self._ground.store.read(lambda reader: _code_lives(reader.sql, session)):
            raise Problem("code-dead")

    async def _proven(self, account: Account, session: PageSession, key: NewKey | None) -> _Proven | None:
        if account.kind is Kind.PATIENT and (key is None or key.wrapped_secret is None):
            raise Problem("bad-request")
        if key is None:
            return None
        gated = await self._challenges.answered(
            account, session.id, key.certificate, key.challenge, key.nonce
        )
        return _Proven(gated, key.certificate, key.wrapped_secret)

    async def _keep(
        self, account: Account, password: NewPassword, recovery: NewRecovery, proven: _Proven | None
    ) -> int:
        """Step 1. The generation that was laid down."""
        ground, slots = self._ground, self._ground.slots
        published = self._published(account)

        def write(tx: Transaction) -> int:
            state = slots.state(tx.sql, account.id)
            if state.pending and state.pending_fingerprint != published:
                slots.forget(tx.sql, account.id, state.pending)
            generation = state.next
            slots.put(tx.sql, password_slot(ground, account, generation, password))
            slots.put(tx.sql, recovery_slot(ground, account, generation, recovery))
            fingerprint = ""
            if proven is not None:
                fingerprint = proven.gated.fingerprint
                slots.put_key(tx.sql, account.id, account_key(ground, generation, proven))
            made = KeyState(state.generation, generation, fingerprint, state.waiting)
            slots.set_state(tx.sql, account.id, made)
            return generation

        return await ground.store.write(write)

    def _published(self, account: Account) -> str | None:
        found = self._ground.directory.certificate(account.address, self._ground.clock())
        return found.certificate.fingerprint if found.certificate is not None else None

    async def _publish(self, account: Account, proven: _Proven) -> None:
        """Step 2."""
        ground = self._ground
        try:
            await asyncio.to_thread(
                ground.directory.publish, account.address, proven.certificate, ground.clock()
            )
        except CertificateRefused as refused:
            raise key_refused(refused) from None

    async def _open(
        self,
        account: Account,
        session: PageSession,
        generation: int,
        proven: _Proven | None,
        visitor: Visitor,
    ) -> Drawn:
        """Step 3."""
        ground, slots = self._ground, self._ground.slots
        drawn = ground.sessions.draw(
            account,
            SessionKind.FULL,
            Way.CODE,
            session.slot,
            label=visitor.label,
            network=visitor.network,
            renew=Renew.TOTP if ground.needs_totp(account) else Renew.NOTHING,
        )
        events = [ground.event("activate", account.id, visitor, session=drawn.session.id)]
        if proven is not None:
            published = proven.gated.fingerprint
            events.append(ground.event("key-publish", account.id, visitor, reference=published))

        def write(tx: Transaction) -> None:
            if not _code_lives(tx.sql, session):
                raise Problem("code-dead")
            waiting = tx.messages_in_state(account.id, (State.WAITING,), MessageId(0), _COUNTED)
            slots.set_state(tx.sql, account.id, KeyState(generation, 0, "", len(waiting)))
            slots.supersede(tx.sql, account.id, generation)
            # Who enrols anew has lost the telephone too, often enough; the code was given to a person that was seen.
            ground.factors.remove(tx.sql, account.id)
            tx.sql.run("UPDATE enrolment_code SET ended = 'used' WHERE id = ?", (session.slot,))
            ground.sessions.delete(tx.sql, account.id)
            ground.sessions.write(tx.sql, drawn)
            if account.kind is Kind.PATIENT:
                ground.accounts.mark_activated(tx, account.id)
            ground.trail.append(tx.sql, events)

        await ground.store.write(write)
        ground.sessions.forget(account.id)
        ground.sessions.adopt(drawn)
        if account.kind is Kind.PATIENT:
            ground.accounts.note_activated(account.id)
        ground.counters.activations += 1
        return drawn


def account_key(ground: Ground, generation: int, proven: _Proven) -> AccountKey:
    return AccountKey(
        proven.gated.fingerprint,
        generation,
        ground.clock(),
        proven.certificate,
        proven.wrapped_secret,
    )


def _code_lives(sql: Sql, session: PageSession) -> bool:
    """Not used, not replaced. One that expired while its holder was choosing a password still serves."""
    row = sql.one("SELECT ended FROM enrolment_code WHERE id = ?", (session.slot,))
    return row is not None and row[0] == ""
