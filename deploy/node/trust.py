"""The trust space of a node put together: the list, what is known of revocation, who was met, the one judgement.

Invariants: a node that was given nothing to check revocation with says so (`doctor`), and lets operators in all the
same; one that was given something lets nobody in whom it cannot check. A responder that a certificate names is the word
of another, and leads into none of our networks that `[outbound] inside` does not name; addresses of the configuration
are followed as they stand.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from deploy.node.config import Config
from deploy.node.failures import StartError
from deploy.node.tls import load_authorities
from mail_server.outbound.reach import Reach, ReachTransport, led_inside
from mail_server.store.interface import Store
from policies.interface import Event, SqlConnection
from policies.trust_list import fetching, standing
from policies.trust_list.fetching import ListServer
from policies.trust_list.kept import Folder
from policies.trust_list.peers import Peers
from policies.trust_list.revocation.chain import Authorities
from policies.trust_list.revocation.checker import RevocationCheck, Wanted
from policies.trust_list.revocation.crl import LARGEST as LARGEST_LIST
from policies.trust_list.revocation.crl import ListUnusable
from policies.trust_list.revocation.ocsp import LARGEST as LARGEST_ANSWER
from policies.trust_list.revocation.ocsp import NotAnswered, Responders
from policies.trust_list.space import TrustSpace
from policies.trust_list.standing import HOUR_MS, KnownPeers

FOLDER = "trust-list"
_LIST_SECONDS = 60.0
_FIRST_SECONDS = 5.0
_ANSWER_SECONDS = 5.0  # somebody waits for it, at the first letter of an operator


@dataclass(slots=True)
class Trust:
    """What a node knows of other operators."""

    space: TrustSpace
    peers: Peers
    revocation: RevocationCheck
    known: KnownPeers
    _beginning: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Keep it up to date from now on. Waits a moment for the first answers, so that who comes with the opening
        of the doors is not sent away; authorities that do not answer hold the start up no longer."""
        self._beginning = asyncio.create_task(self._begin())
        await asyncio.wait([self._beginning], timeout=_FIRST_SECONDS)

    async def _begin(self) -> None:
        """Revocation first: it is asked about the list's server."""
        self.revocation.start()
        await self.revocation.begun.wait()
        self.space.start()
        await self.space.begun.wait()

    async def reload(self) -> list[str]:
        """Ask for all of it anew; a sentence for each part that stays as it was."""
        return [*await self.revocation.refresh(), *await self.space.reload()]

    async def stop(self) -> None:
        if self._beginning is not None:
            self._beginning.cancel()
            await asyncio.wait([self._beginning])
        await self.space.stop()
        await self.revocation.stop()
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
    """Raises StartError, StateDamaged."""
    if config.tls.client_ca is not None:  # said once, and before anybody logs that nothing can be checked
        load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), config.tls.client_ca)

    async def write(work: Callable[[SqlConnection], None]) -> None:
        await store.write(lambda transaction: work(transaction.sql))

    known = KnownPeers(await store.read(lambda reader: standing.read(reader.sql)), write)
    folder = home / FOLDER
    revocation = _revocation(config, folder, audit, clock)
    await revocation.open()
    fetch = _list_server(config, revocation)
    space = TrustSpace(config.policies, Folder(folder), ours=ours, audit=audit, clock=clock, fetch=fetch)
    await space.open()
    return Trust(space, Peers(space, revocation, known, blocked=blocked, clock=clock), revocation, known)


def _list_server(config: Config, revocation: RevocationCheck) -> ListServer | None:
    wanted = config.policies
    if not wanted.trust_list_url:
        return None
    authorities = wanted.trust_list_ca or config.tls.client_ca
    if authorities is None:
        raise StartError("A trust list is fetched under authorities: set `trust_list_ca` in [policies].")
    return ListServer(wanted.trust_list_url, authorities, wanted.trust_list_dn, revocation)


def _revocation(
    config: Config, folder: Path, audit: Callable[[Sequence[Event]], None], clock: Callable[[], int]
) -> RevocationCheck:
    settings = config.policies
    grace, every = int(settings.revocation_grace_hours * HOUR_MS), settings.revocation_every_minutes * 60
    responders = None
    if settings.ocsp != "off":
        responders = Responders(
            partial(_ask, config), settings.ocsp_url, grace_ms=grace, every_ms=int(every * 1000), clock=clock
        )
    return RevocationCheck(
        Wanted(settings.revocation_lists, grace, every, settings.ocsp),
        partial(_authorities, config),
        folder,
        fetch=partial(_fetch_list, config),
        responders=responders,
        audit=audit,
        clock=clock,
    )


def _authorities(config: Config) -> Authorities:
    """Where paths end: the authorities of operators and of the list's server. Raises OSError, ValueError.

    Intermediates may be missing there: this node's own certificates come with theirs.
    """
    anchors = dict.fromkeys(
        path for path in (config.tls.client_ca, config.policies.trust_list_ca) if path is not None
    )
    own = dict.fromkeys(
        path
        for path in (config.tls.certificate, config.outbound.certificate)
        if path is not None and path.exists()
    )
    return Authorities.read(anchors, own)


async def _fetch_list(config: Config, url: str) -> bytes:
    try:
        return await fetching.fetch_signed(
            url, tls=_tls(config, url), largest=LARGEST_LIST, seconds=_LIST_SECONDS
        )
    except fetching.NotFetched as failure:
        raise ListUnusable(failure.reason, failure.sentence) from None


async def _ask(config: Config, url: str, request: bytes) -> bytes:
    try:
        tls = _tls(config, url)
        return await fetching.ask_responder(
            url,
            request,
            tls=tls,
            largest=LARGEST_ANSWER,
            seconds=_ANSWER_SECONDS,
            transport=None if url == config.policies.ocsp_url else _Outward(tls, config.outbound.inside),
        )
    except fetching.NotFetched as failure:
        raise NotAnswered(failure.reason) from None


class _Outward(ReachTransport):
    def __init__(self, tls: ssl.SSLContext | None, inside: Sequence[str]) -> None:
        super().__init__(tls or fetching.without_anchors(), Reach(inside), (), connections=1, idle=0)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except httpx.ConnectError as failure:
            if not led_inside(failure):
                raise
            raise fetching.NotFetched(
                "inside",
                "A responder's address leads into a network that `inside` of [outbound] does not name.",
            ) from None


def _tls(config: Config, url: str) -> ssl.SSLContext | None:
    """For an address over HTTPS: under the authorities of operators, as everything else."""
    if not url.startswith("https://"):
        return None
    authorities = config.tls.client_ca or config.policies.trust_list_ca
    if authorities is None:
        raise fetching.NotFetched("no-authority", "No authorities are configured (client_ca in [tls]).")
    try:
        return fetching.anchored_in(authorities)
    except (OSError, ValueError):
        raise fetching.NotFetched("no-authority", f"The authorities {authorities} cannot be read.") from None
