"""The trust space of a node put together: the list, what is known of revocation, who was met, the one judgement.

Invariant: a node that was given nothing to check revocation with says so (`doctor`), and lets operators in all the
same; one that was given something lets nobody in whom it cannot check.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.node.config import Config
from deploy.node.failures import StartError
from mail_server.store.interface import Store
from policies.interface import Event, SqlConnection
from policies.trust_list import standing
from policies.trust_list.kept import Folder, StateDamaged
from policies.trust_list.peers import Peers
from policies.trust_list.revocation.interface import NothingToCheckWith, Revocation
from policies.trust_list.space import TrustSpace
from policies.trust_list.standing import KnownPeers

FOLDER = "trust-list"


@dataclass(frozen=True, slots=True)
class Trust:
    """What a node knows of other operators."""

    space: TrustSpace
    peers: Peers
    revocation: Revocation
    known: KnownPeers

    def start(self) -> None:
        """Keep it up to date from now on."""
        self.space.start()

    async def reload(self) -> list[str]:
        """Ask for all of it anew; a sentence for each part that stays as it was."""
        return await self.space.reload()

    async def stop(self) -> None:
        await self.space.stop()
        await self.known.settled()


async def trust_of(
    config: Config,
    home: Path,
    *,
    store: Store,
    ours: Callable[[str], bool],
    blocked: Callable[[str], bool],
    audit: Callable[[Sequence[Event]], None],
    clock: Callable[[], int],
) -> Trust:
    """Raises StartError."""

    async def write(work: Callable[[SqlConnection], None]) -> None:
        await store.write(lambda transaction: work(transaction.sql))

    known = KnownPeers(await store.read(lambda reader: standing.read(reader.sql)), write)
    space = TrustSpace(config.policies, Folder(home / FOLDER), ours=ours, audit=audit, clock=clock)
    try:
        await space.open()
    except StateDamaged as damaged:
        raise StartError(str(damaged)) from None
    revocation = NothingToCheckWith()
    return Trust(space, Peers(space, revocation, known, blocked=blocked, clock=clock), revocation, known)
