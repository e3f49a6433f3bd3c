"""Once a holder's certificate is published, what waited or lay in custody is sealed to it (DESIGN §4).

Invariants:
* Resumable: what is left to do is read from the stored states themselves, so a kill at any point loses nothing
  and the next start goes on.
* The operator-held key is destroyed only after a transaction found no letter that names it; that is audited.
* What a mail program itself kept stays as it stored it.
* A patient's letters are left alone: only their browser, which alone gets the waiting key, swaps key packets.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from directory.openpgp.certificate import CertificateRefused
from mail_server.accounts.interface import Account, Kind
from mail_server.delivery import outer
from mail_server.delivery.compose import Composer
from mail_server.delivery.examine import Letter, examine
from mail_server.delivery.plan import Plan, Planner, Treatment
from mail_server.delivery.retirement import OPEN_STATES, retire
from mail_server.delivery.structured import Structured
from mail_server.keys.interface import KeyUnavailable, OperatorKeys
from mail_server.sealing.interface import OpeningError, SealingError
from mail_server.store.interface import NoSuchMessage, Store, StoreError, TagTaken, Transaction
from mail_server.store.model import AccountId, Form, MessageId, MessageOrigin, NewMessage, State
from policies.interface import AuditTrail, Event
from policies.refusal import Refusal

_log = logging.getLogger("vaguemestre.reseal")


class Resealer:
    def __init__(
        self,
        *,
        store: Store,
        trail: AuditTrail,
        planner: Planner,
        composer: Composer,
        operator_keys: OperatorKeys,
        structured: Structured,
        clock: Callable[[], int],
        batch: int,
        large: int,
    ) -> None:
        self._store = store
        self._trail = trail
        self._planner = planner
        self._composer = composer
        self._operator_keys = operator_keys
        self._structured = structured
        self._clock = clock
        self._batch = batch
        self._large = large
        self._running: dict[AccountId, asyncio.Task[int]] = {}

    def begin(self, account: Account) -> asyncio.Task[int]:
        """Start, or join, the work on one account; the task's result is how many letters were re-sealed."""
        running = self._running.get(account.id)
        if running is None or running.done():
            running = asyncio.create_task(self._account(account))
            running.add_done_callback(self._ended)
            self._running[account.id] = running
        return running

    def _ended(self, task: asyncio.Task[int]) -> None:
        if not task.cancelled() and task.exception() is not None:
            _log.error("re-seal stopped (%s); it goes on at the next start", type(task.exception()).__name__)

    async def stop(self) -> None:
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _account(self, account: Account) -> int:
        if account.kind is Kind.PATIENT:
            return 0
        total = 0
        while True:
            done, left = await self._pass(account)
            total += done
            # A letter on its way while the certificate was published is filed behind us: once more.
            if left or await self._destroy_operator_key(account):
                return total

    async def _pass(self, account: Account) -> tuple[int, bool]:
        """How many were sealed; whether some had to be left as they are."""
        done = left = 0
        after = MessageId(0)
        while True:
            plan = self._plan(account)
            if plan is None:
                return done, True  # nobody to seal to (any more): what is left keeps its state
            batch = await self._store.read(
                lambda reader, after=after: reader.messages_in_state(
                    account.id, OPEN_STATES, after, self._batch
                )
            )
            if not batch:
                return done, left > 0
            for message in batch:
                sealed = await self._message(plan, message)
                done += sealed
                left += not sealed
                after = message

    def _plan(self, account: Account) -> Plan | None:
        try:
            plan = self._planner.plan(account)
        except Refusal:
            return None
        return plan if plan.treatment is Treatment.SEAL else None

    async def _message(self, plan: Plan, message: MessageId) -> bool:
        """Re-seal one; False when it must stay (its bytes cannot be opened, or sealing failed for now)."""
        for _ in range(3):
            try:
                origin = await self._store.read(lambda reader: reader.message_origin(message))
                letter, protected = await self._open(plan.account, origin)
                # In custody nobody needed a manifest; from now on its holder's page draws by it.
                letter = await self._structured.drawn_again(letter)
                copy = await self._composer.resealed(letter, plan, origin, protected=protected)
                await self._store.write(self._replacing(plan.account, message, copy))
                return True
            except TagTaken:
                continue
            except NoSuchMessage:
                return True  # its holder removed it meanwhile
            except (
                OpeningError, KeyUnavailable, SealingError, CertificateRefused, StoreError, Refusal, IndexError,
            ) as failure:  # fmt: skip
                # One letter that cannot be done (damaged, a header beyond the cap) keeps no other waiting.
                _log.warning("one letter keeps its state for now (%s)", type(failure).__name__)
                return False
        return False

    def _replacing(
        self, account: Account, message: MessageId, copy: NewMessage
    ) -> Callable[[Transaction], None]:
        def operation(transaction: Transaction) -> None:
            filed = transaction.replace(message, copy)
            self._trail.append(transaction.sql, [self._event(account, filed[0].email_id)])

        return operation

    async def _open(self, account: Account, origin: MessageOrigin) -> tuple[Letter, bool]:
        """The letter in memory; whether it already is a protected inner entity."""
        data = await self._store.read(lambda reader: reader.content(origin.message))
        letter = await examine(data, self._large)
        if origin.state is State.CUSTODY or letter.ciphertext is None:
            return letter, False
        clear = await self._composer.open(account.id, letter.ciphertext)
        if origin.form is Form.VERBATIM:
            # Sealed by its sender: what only stands outside (From, To, Date) is not repeated inside.
            return await examine(outer.opened(letter.fields, clear), self._large), False
        return await examine(clear, self._large), True

    async def _destroy_operator_key(self, account: Account) -> bool:
        """False when a letter came meanwhile that may need it."""
        return await retire(
            account.id,
            store=self._store,
            trail=self._trail,
            operator_keys=self._operator_keys,
            clock=self._clock,
        )

    def _event(self, account: Account, email_id: str) -> Event:
        return Event(
            action="reseal",
            at=self._clock(),
            actor="node",
            subject=account.id,
            outcome="sealed",
            reference=email_id,
        )
