"""Lays letters of 4 kB into a node's queue, as delivery does, while the node is down: `python -m … HOME NUMBER`."""

from __future__ import annotations

import asyncio
import secrets
import sys
from pathlib import Path

from deploy.node.composition import Node, now, opened
from deploy.node.config import load
from deploy.node.home import Home
from mail_server.outbound.interface import Form, Outgoing, OutgoingRecipient, Readable
from mail_server.store.interface import Transaction

DOMAIN = "there.test"
_TOGETHER = 500


async def fill(path: Path, number: int) -> None:
    home = Home(path)
    async with opened(home, load(home.config)) as node:
        for first in range(0, number, _TOGETHER):
            letters = [await _letter(node, each) for each in range(first, min(first + _TOGETHER, number))]

            def lay(transaction: Transaction, letters: list[Outgoing] = letters) -> None:
                for letter in letters:
                    node.outbound.queue.lay(transaction, letter)

            await node.store.write(lay)


async def _letter(node: Node, number: int) -> Outgoing:
    text = (
        f"From: robot@here.test\r\nTo: r{number}@{DOMAIN}\r\nSubject: [...] abcd\r\n"
        f"Message-ID: <fill.{number}@here.test>\r\n\r\n"
    ).encode()
    wire = text + (secrets.token_hex(31).encode() + b"\r\n") * ((4096 - len(text)) // 64)
    staged = await node.store.stage(None, wire, compress=False)
    return Outgoing(
        account=None,
        mail_from="robot@here.test",
        domain=DOMAIN,
        recipients=(OutgoingRecipient(f"r{number}@{DOMAIN}"),),
        content=staged,
        form=Form.WIRE,
        egress="",
        readable=Readable.SEALED,
        size=len(wire),
        head=text[:-2],
        reference=f"fill{number}",
        accepted_at=now(),
    )


if __name__ == "__main__":
    asyncio.run(fill(Path(sys.argv[1]), int(sys.argv[2])))
