"""The egress gate and other operators' certificates, put together for a node.

Invariants: the gate's process is told where the keystore and the KEK lie, never a secret; certificates are asked for
under the authorities of the configuration alone, and not at all where it names none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path

from deploy.node import logs
from deploy.node.config import Config
from deploy.node.failures import StartError
from deploy.node.home import Home
from mail_server.keys.interface import KeyWrapper
from mail_server.outbound.client.security import PeerSecurity
from mail_server.outbound.egress.gate import EgressGate, Place
from mail_server.outbound.interface import NotOpened
from mail_server.outbound.peers.book import Book
from mail_server.outbound.peers.keys import PublishedCertificates
from mail_server.outbound.peers.restricted import RestrictedDirectory
from mail_server.outbound.peers.wkd import WkdClient, tls_of
from mail_server.outbound.reach import Reach
from mail_server.store.interface import Store
from policies.interface import Event, PeerTrust

_log = logging.getLogger("vaguemestre.node")
_LOCAL_PART = "egress"
_SECONDS = 5.0  # of one question; who asks waits less (`peers.keys`)
_CONNECTIONS = 64
_HOUR = 3600.0
Audit = Callable[[Sequence[Event]], None]


def gate_of(
    config: Config,
    home: Home,
    *,
    named: Callable[[], Awaitable[frozenset[str]]],
    audit: Audit,
    clock: Callable[[], int],
) -> EgressGate:
    address = f"{_LOCAL_PART}@{config.accounts.domains[0]}"
    place = Place(home.path, home.egress_keystore, config.keys, address)
    return EgressGate(
        place,
        config.sealing,
        named=named,
        alone=not config.store.is_postgresql(),
        audit=audit,
        clock=clock,
    )


async def peer_keys_of(
    config: Config,
    *,
    store: Store,
    keys: KeyWrapper,
    trust: PeerTrust,
    names_of: Callable[[str], Collection[str]],
    audit: Audit,
    clock: Callable[[], int],
) -> PublishedCertificates | None:
    """None where other operators are not to be asked. `names_of`: what the trust list has of the operator of a domain.
    Raises StartError, KeyUnavailable, StoreError."""
    try:
        client = await asyncio.to_thread(asking_of, config)
    except OSError:
        raise StartError(
            f"The authorities of other operators' certificates cannot be read: {_authorities(config)}"
        ) from None
    if client is None:
        return None
    book = Book(store, keys)
    await book.open()
    found = PublishedCertificates(
        config.outbound, book=book, directory=client, listed=trust.listed, audit=audit, clock=clock
    )
    found.restricted = await asyncio.to_thread(_restricted, config, trust, found, names_of)
    return found


def _restricted(
    config: Config,
    trust: PeerTrust,
    found: PublishedCertificates,
    names_of: Callable[[str], Collection[str]],
) -> RestrictedDirectory | None:
    """What is told to operators alone is asked with the certificate that letters leave with; None without one."""
    settings, tls = config.outbound, config.tls
    certificate, key = settings.certificate or tls.certificate, settings.key or tls.key
    if certificate is None or key is None or tls.client_ca is None:
        return None
    try:
        security = PeerSecurity(certificate, key, tls.client_ca)
    except OSError:
        if (
            settings.certificate is not None
        ):  # the doors, whose certificate it else is, do not open without it
            _log.warning(
                "the certificate shown to other operators cannot be used: their patients are not asked for"
            )
        return None
    return RestrictedDirectory(
        security,
        trust,
        found.policy,
        seconds=_SECONDS,
        ports=settings.peers_ports,
        reach=Reach(settings.inside),
        names_of=names_of,
    )


def asking_of(config: Config) -> WkdClient | None:
    """Raises OSError, ssl.SSLError (one of them)."""
    settings, authorities = config.outbound, _authorities(config)
    if not (settings.enabled and settings.wkd) or authorities is None:
        return None
    return WkdClient(
        tls_of(authorities),
        settings.wkd_routes,
        seconds=_SECONDS,
        connections=_CONNECTIONS,
        reach=Reach(settings.inside),
    )


def _authorities(config: Config) -> Path | None:
    return config.outbound.certificates_ca or config.tls.client_ca


async def keep_tidy(gate: EgressGate, peer_keys: PublishedCertificates | None) -> None:
    """By the hour: destroy egress keys that no letter needs, forget answers that nobody confirmed."""
    while True:
        try:
            for fingerprint in await gate.sweep() if gate.alive else ():
                _log.info("egress key %s was destroyed: no letter waits for it", fingerprint)
            if peer_keys is not None:
                await peer_keys.sweep()
        except NotOpened as failure:
            _log.warning("the egress gate was not swept (%s); tried again in an hour", failure.slug)
        except Exception as failure:  # a key that is not destroyed today is tomorrow
            _log.error("upkeep of what leaves failed (%s); tried again in an hour", logs.told(failure))
        await asyncio.sleep(_HOUR)
