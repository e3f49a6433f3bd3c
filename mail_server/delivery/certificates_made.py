"""Every account has a certificate from its first message on (DESIGN §4); made behind the answer, one at a time.

Invariants: a letter never waits for one; whom none could be made for is tried again with the next letter.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
from collections.abc import Callable, Sequence

from mail_server.delivery.filing import now_ms
from mail_server.delivery.plan import Plan, Treatment
from mail_server.keys.interface import KeyUnavailable, OperatorKeys
from mail_server.store.model import AccountId
from policies.interface import Event

_log = logging.getLogger("vaguemestre.delivery")


class CertificatesMade:
    def __init__(self, operator_keys: OperatorKeys, audit: Callable[[Sequence[Event]], None]) -> None:
        self._operator_keys = operator_keys
        self._audit = audit
        self._makers: dict[AccountId, asyncio.Task[None]] = {}
        self._one_at_a_time = asyncio.Semaphore(1)  # GnuPG takes a processor for each

    def make(self, plans: Sequence[Plan]) -> None:
        for plan in plans:
            account = plan.account
            if plan.treatment is not Treatment.CUSTODY or account.id in self._makers:
                continue
            if self._operator_keys.existing(account.id) is not None:
                continue
            task = asyncio.create_task(self._make(account.id, account.address))
            self._makers[account.id] = task
            task.add_done_callback(lambda _, made=account.id: self._makers.pop(made, None))

    async def _make(self, account: AccountId, address: str) -> None:
        async with self._one_at_a_time:
            try:
                held = await self._operator_keys.certificate_for(account, address)
            except (KeyUnavailable, OSError, subprocess.SubprocessError) as failure:
                # The next letter tries again; this one lies in custody already.
                _log.warning(
                    "no operator-held certificate could be made for an account (%s)", type(failure).__name__
                )
                return
        event = Event("operator-key-made", now_ms(), "node", account, reference=held.fingerprint)
        self._audit([event])

    async def stop(self) -> None:
        """Those whose turn has not come are dropped: the next letter asks again. The key being made is made."""
        makers = list(self._makers.values())
        for maker in makers:
            maker.cancel()
        await asyncio.gather(*makers, return_exceptions=True)
