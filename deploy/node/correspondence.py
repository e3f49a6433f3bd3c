"""Who writes to whom, put together: conversations, their closing, blocks, dispensings, receipts, morning letters.

Invariants: nothing runs before `start`; what was started is ended by `stop`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from deploy.node.clock import now
from deploy.node.config import Config
from mail_server.accounts.interface import Accounts
from mail_server.conversations.blocks import Blocks, Dispensings
from mail_server.conversations.closing_keys import ClosingCertificates
from mail_server.conversations.closings import Closings
from mail_server.conversations.conversations import Conversations
from mail_server.delivery.exchanges import CLOSING_LOCAL, Exchanges
from mail_server.delivery.feedback import Feedback
from mail_server.delivery.feedback_morning import MorningLetters
from mail_server.delivery.gate import Gate
from mail_server.delivery.receipts import Notifies, Receipts, ReceiptsAsked
from mail_server.keys.interface import KeyWrapper
from mail_server.outbound.interface import PeerKeys
from mail_server.store.interface import Store
from policies.interface import AuditTrail


@dataclass(slots=True)
class Correspondence:
    conversations: Conversations
    closings: Closings
    blocks: Blocks
    dispensings: Dispensings
    exchanges: Exchanges
    asked: ReceiptsAsked
    certificates: ClosingCertificates
    feedback: Feedback
    receipts: Receipts = field(init=False)
    mornings: MorningLetters = field(init=False)
    _making: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Behind the doors: receipts that are due, the closing addresses' certificates."""
        self.receipts.start()
        self.mornings.start()
        self._making = asyncio.create_task(self.certificates.make(), name="closing-certificates")

    async def stop(self) -> None:
        await self.receipts.stop()
        await self.mornings.stop()
        if self._making is not None:
            self._making.cancel()
            await asyncio.gather(self._making, return_exceptions=True)


def correspondence(
    config: Config, *, store: Store, accounts: Accounts, keys: KeyWrapper, gate: Gate, trail: AuditTrail
) -> Correspondence:
    """Without what sends receipts: delivery is made of this, and sends them (`add_receipts`)."""
    conversations = Conversations(store=store, accounts=accounts, keys=keys)
    closings = Closings(
        store=store,
        accounts=accounts,
        conversations=conversations,
        trail=trail,
        may_close=gate.may_close,
        clock=now,
    )
    blocks = Blocks(accounts=accounts, conversations=conversations, trail=trail)
    dispensings = Dispensings()
    exchanges = Exchanges(
        store=store,
        accounts=accounts,
        gate=gate,
        conversations=conversations,
        closings=closings,
        blocks=blocks,
        dispensings=dispensings,
        trail=trail,
        clock=now,
    )
    return Correspondence(
        conversations=conversations,
        closings=closings,
        blocks=blocks,
        dispensings=dispensings,
        exchanges=exchanges,
        asked=ReceiptsAsked(accounts=accounts, gate=gate, conversations=conversations, keys=keys),
        certificates=ClosingCertificates(store, config.keys, CLOSING_LOCAL, tuple(config.accounts.domains)),
        feedback=Feedback(
            store=store,
            accounts=accounts,
            gate=gate,
            conversations=conversations,
            keys=keys,
            trail=trail,
            systems=config.reports.morning_letter,
            clock=now,
        ),
    )


def add_receipts(
    made: Correspondence,
    config: Config,
    *,
    store: Store,
    accounts: Accounts,
    keys: KeyWrapper,
    delivery: Notifies,
    trail: AuditTrail,
    peer_keys: PeerKeys | None = None,
) -> None:
    made.receipts = Receipts(
        store=store,
        accounts=accounts,
        conversations=made.conversations,
        keys=keys,
        delivery=delivery,
        trail=trail,
        domain=config.accounts.domains[0],
        clock=now,
        peer_keys=peer_keys,
    )
    made.mornings = MorningLetters(
        config.reports,
        store=store,
        accounts=accounts,
        feedback=made.feedback,
        keys=keys,
        delivery=delivery,
        trail=trail,
        domain=config.accounts.domains[0],
        clock=now,
    )
