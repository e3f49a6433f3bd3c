"""The end of an operator-held key: looked for in every letter, then destroyed (DESIGN §4).

Invariants: the key is hidden before the look, so that no letter can be sealed to it behind the look; it is destroyed
only after a transaction found no letter that names it; that transaction holds the trace of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mail_server.keys.interface import OperatorKeys
from mail_server.store.interface import Store, Transaction
from mail_server.store.model import AccountId, MessageId, State
from policies.interface import AuditTrail, Event

OPEN_STATES = (State.WAITING, State.CUSTODY)  # what an operator-held key opens


async def retire(
    account: AccountId,
    *,
    store: Store,
    trail: AuditTrail,
    operator_keys: OperatorKeys,
    clock: Callable[[], int],
) -> bool:
    """Destroy the account's operator-held key; False when a letter still may need it."""
    held = operator_keys.existing(account)
    if held is None:
        return True

    def operation(transaction: Transaction) -> bool:
        if transaction.messages_in_state(account, OPEN_STATES, MessageId(0), 1):
            return False
        event = Event(
            action="operator-key-destroyed",
            at=clock(),
            actor="node",
            subject=account,
            reference=held.fingerprint,
        )
        trail.append(transaction.sql, [event])
        return True

    with operator_keys.retiring(account):
        if not await store.write(operation):
            return False
        await asyncio.to_thread(operator_keys.destroy, account)
    return True
