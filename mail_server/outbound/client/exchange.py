"""A transaction carried over a connection, within its time limits.

Invariants: whatever the peer does, every recipient of the transaction has an outcome afterwards; the letter is
opened after 354 and not before; its bytes are held for this hand-over alone.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from mail_server.outbound.client import outcomes
from mail_server.outbound.client.connection import Broken, PeerConnection, RefusedEarly, Unfit
from mail_server.outbound.client.replies import Reply
from mail_server.outbound.client.transaction import Step, Transaction
from mail_server.outbound.interface import Content, NotOpened, Phase, Verdict


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds of each wait, and when (loop time) the hand-over ends whatever happens."""

    connect: float
    reply: float
    content: float
    deadline: float


class Opened:
    """The letter, opened once for all the transactions of one hand-over."""

    __slots__ = ("_bytes", "_content")

    def __init__(self, content: Content) -> None:
        self._content = content
        self._bytes: bytes | None = None

    async def bytes(self) -> bytes:
        """Raises NotOpened."""
        if self._bytes is None:
            self._bytes = await self._content()
        return self._bytes


async def carry(connection: PeerConnection, transaction: Transaction, letter: Opened, limits: Limits) -> None:
    """To the end, or as far as the peer lets it."""
    try:
        while (step := transaction.step) is not Step.DONE:
            if step is Step.SEND:
                connection.peer.ask(transaction.to_send, transaction.owed)
                transaction.sent()
            elif step is Step.WAIT:
                transaction.take(await _reply(connection, transaction.phase, limits))
            else:
                await _content(connection, transaction, letter, limits)
    except TimeoutError:
        transaction.lost("timeout")
    except Broken as broken:
        transaction.lost(broken.slug)
    if transaction.closing:
        connection.cut()
    connection.dirty = transaction.dirty


async def _reply(connection: PeerConnection, phase: Phase, limits: Limits) -> Reply:
    peer = connection.peer
    if peer.early() is not None:  # they came together
        return await peer.reply()
    wait = limits.content if phase is Phase.CONTENT else limits.reply
    async with asyncio.timeout_at(min(asyncio.get_running_loop().time() + wait, limits.deadline)):
        return await peer.reply()


async def _content(
    connection: PeerConnection, transaction: Transaction, letter: Opened, limits: Limits
) -> None:
    octets = await _opened(transaction, letter, limits)
    if octets is None:
        return
    try:
        async with asyncio.timeout_at(limits.deadline):
            await connection.send_content(octets, limits.reply)
    except Unfit as unfit:
        transaction.not_opened(outcomes.ours(Verdict.FAILED, Phase.CONTENT, unfit.slug, connection.host))
    except RefusedEarly as refused:
        transaction.refused_early(refused.reply)
    except Broken:
        early = connection.peer.early()  # who hangs up in the middle may have said why
        if early is None:
            raise
        transaction.refused_early(early)
    else:
        transaction.content_sent()


async def _opened(transaction: Transaction, letter: Opened, limits: Limits) -> bytes | None:
    try:
        async with asyncio.timeout_at(limits.deadline):
            return await letter.bytes()
    except NotOpened as failed:
        verdict = Verdict.FAILED if failed.lasting else Verdict.LATER
        transaction.not_opened(outcomes.ours(verdict, Phase.OPEN, failed.slug))
    except Exception:  # the gate's own failure must neither end the dispatcher nor be told to anybody
        transaction.not_opened(outcomes.ours(Verdict.LATER, Phase.OPEN, "not-opened"))
    return None
