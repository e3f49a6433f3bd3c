"""Hand letters over to other operators: a route, a connection whose certificate is judged, a transaction.

Invariants: `hand_over` ends within its time and with an outcome for each recipient, whatever the other side does;
nothing of a letter is said before the certificate was judged for its domain, on a kept connection too; the next
server of a domain is tried when one gives no connection, never when it answered about the letter; a letter is said
twice in one call only when its first connection turned out to be closed before any answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from mail_server.outbound.client import outcomes, transaction
from mail_server.outbound.client.connection import NotConnected, PeerConnection
from mail_server.outbound.client.counters import Connections
from mail_server.outbound.client.exchange import Limits, Opened, carry
from mail_server.outbound.client.names import DnsNames, Names
from mail_server.outbound.client.pool import Pool
from mail_server.outbound.client.routes import Host, NoRoute, Routes
from mail_server.outbound.client.security import PeerSecurity
from mail_server.outbound.client.transaction import Transaction
from mail_server.outbound.interface import Content, Leaving, Outcome, Phase, Verdict
from mail_server.outbound.reach import Reach
from mail_server.outbound.settings import OutboundSettings
from policies.interface import PeerTrust

_log = logging.getLogger("vaguemestre.outbound")
_SHARE_OF_LEASE = 0.9  # so that another node never takes up what this one still hands over
_MOST_TRIES = 8  # addresses tried for one letter


class SmtpClient:
    """Implements `mail_server.outbound.interface.Handover`. `own_name` is said in EHLO."""

    def __init__(
        self,
        settings: OutboundSettings,
        own_name: str,
        trust: PeerTrust,
        security: PeerSecurity,
        names: Names | None = None,
    ) -> None:
        self._settings = settings
        self._own_name = own_name
        self._trust = trust
        self._security = security
        self._routes = Routes(
            settings.routes,
            trust,
            names or DnsNames(settings.resolver),
            use_mx=settings.use_mx,
            port=settings.port,
            reach=Reach(settings.inside),
        )
        self._pool = Pool(
            idle_seconds=settings.idle_seconds,
            letters=settings.letters_of_connection,
            most=settings.connections,
        )
        self.connections = Connections()

    async def hand_over(self, domain: str, letter: Leaving, content: Content) -> Sequence[Outcome]:
        """One outcome per recipient, in their order. Never raises but for its own cancellation."""
        if self._pool.closed:
            return _all(letter, outcomes.ours(Verdict.LATER, Phase.CONNECT, "stopping"))
        settings = self._settings
        deadline = asyncio.get_running_loop().time() + _SHARE_OF_LEASE * settings.lease_seconds
        limits = Limits(settings.connect_seconds, settings.reply_seconds, settings.content_seconds, deadline)
        try:
            return await self._to_some_host(domain, letter, Opened(content), limits)
        except NoRoute as none:
            return _all(letter, none.outcome)
        except Exception as error:  # one letter never stops the others
            _log.error("hand-over of %s failed unexpectedly (%s)", letter.reference, type(error).__name__)
            return _all(letter, outcomes.ours(Verdict.LATER, Phase.MAIL, "unexpected"))

    def reload(self) -> None:
        """Certificates and authorities anew, for connections from now on. Raises OSError; then nothing changes."""
        self._security.reload()
        self._pool.retire()

    async def close(self) -> None:
        """QUIT what is idle, cut what is not: their letters stay queued."""
        await self._pool.close()

    # --- which host

    async def _to_some_host(
        self, domain: str, letter: Leaving, content: Opened, limits: Limits
    ) -> Sequence[Outcome]:
        hosts = await self._routes.of(domain)
        failed = outcomes.ours(Verdict.LATER, Phase.ROUTE, "no-host")
        tries = 0
        for host in self._routes.ordered(hosts, self._pool.open_now):
            done = await self._over_kept(host, domain, letter, content, limits)
            if done is not None:
                return done
            try:
                addresses = await self._routes.addresses(host)
            except NoRoute as none:
                failed = none.outcome
                continue
            for address in addresses:
                tries += 1
                if tries > _MOST_TRIES:
                    return _all(letter, failed)
                if self._pool.closed:
                    return _all(letter, outcomes.ours(Verdict.LATER, Phase.CONNECT, "stopping"))
                try:
                    connection = await self._connected(host, address, domain, limits)
                except NotConnected as none:
                    failed = none.outcome
                    self._tell(domain, failed)
                    continue
                self._routes.was_there(host)
                done = await self._hand(connection, host, letter, content, limits)
                if done is not None:
                    return done
            self._routes.was_absent(host)
        return _all(letter, failed)

    def _tell(self, domain: str, outcome: Outcome) -> None:
        """Why no connection came about, once for each try: reasons and names only."""
        self.connections.failed(outcome.reason)
        _log.warning(
            "no connection to %s for %s: %s at %s", outcome.host, domain, outcome.reason, outcome.phase.value
        )

    # --- which connection

    async def _over_kept(
        self, host: Host, domain: str, letter: Leaving, content: Opened, limits: Limits
    ) -> Sequence[Outcome] | None:
        """Over connections kept from letters before; None when none of them is good any more."""
        while (connection := self._pool.take((host.name, host.port))) is not None:
            try:
                refused = await self._judged(connection, domain)
            except BaseException:
                self._pool.drop(connection)
                raise
            if refused is not None:
                self._pool.drop(connection)
                continue
            self.connections.reused += 1
            done = await self._hand(connection, host, letter, content, limits, kept=True)
            if done is not None:
                return done
        return None

    async def _connected(self, host: Host, address: str, domain: str, limits: Limits) -> PeerConnection:
        """A new connection, inside TLS, to a server that may receive for this domain. Raises NotConnected."""
        connection = PeerConnection(host.name, address, host.port, self._own_name, self._security.context)
        self._pool.enter(connection)
        try:
            async with asyncio.timeout_at(limits.deadline):
                await connection.secure(limits.connect, limits.reply)
                refused = await self._judged(connection, domain)
                if refused is not None:
                    await connection.leave()
                    raise NotConnected(refused)
                await connection.hello(limits.reply)
        except TimeoutError:
            self._pool.drop(connection)
            raise NotConnected(outcomes.ours(Verdict.LATER, Phase.CONNECT, "too-slow", host.name)) from None
        except BaseException:
            self._pool.drop(connection)
            raise
        self.connections.opened += 1
        return connection

    async def _judged(self, connection: PeerConnection, domain: str) -> Outcome | None:
        """Why the other side must not have this domain's letters; None when it may."""
        try:
            async with asyncio.timeout(self._settings.connect_seconds):
                standing = await self._trust.judge(connection.chain, domain)
        except Exception as error:  # what cannot be judged is refused
            _log.error(
                "the certificate of %s could not be judged (%s)", connection.host, type(error).__name__
            )
            return outcomes.ours(Verdict.LATER, Phase.TRUST, "not-judged", connection.host)
        if standing.allowed:
            return None
        # The judgement's sentence speaks to who shows the certificate; ours is for who waits for the letter.
        reason = standing.reason or "not-judged"
        return outcomes.ours(Verdict.LATER, Phase.TRUST, reason, connection.host)

    # --- the letter

    async def _hand(
        self,
        connection: PeerConnection,
        host: Host,
        letter: Leaving,
        content: Opened,
        limits: Limits,
        *,
        kept: bool = False,
    ) -> Sequence[Outcome] | None:
        """All its transactions. None: a kept connection was closed before it answered anything."""
        try:
            done = await _transactions(connection, letter, content, limits, kept=kept)
        except BaseException:
            self._pool.drop(connection)
            raise
        connection.letters += 1
        self._pool.give_back(
            (host.name, host.port), connection, current=connection.context is self._security.context
        )
        return done


async def _transactions(
    connection: PeerConnection, letter: Leaving, content: Opened, limits: Limits, *, kept: bool
) -> Sequence[Outcome] | None:
    offers = connection.offers
    unfit = transaction.refused_before(letter, offers, connection.host)
    if unfit is not None:
        return _all(letter, unfit)
    found: dict[int, Outcome] = {}
    waiting = list(range(len(letter.recipients)))
    while waiting:
        batch, waiting = waiting[: offers.recipients], waiting[offers.recipients :]
        one = Transaction(letter, batch, offers, connection.host, reset=connection.dirty)
        await carry(connection, one, content, limits)
        if kept and one.stale:
            return None
        kept = False
        found |= one.outcomes
        waiting = one.left_over + waiting
        if one.closing:
            rest = one.closed_by or outcomes.ours(Verdict.LATER, Phase.MAIL, "cut", connection.host)
            found |= dict.fromkeys(waiting, rest)
            break
    return [found[place] for place in range(len(letter.recipients))]


def _all(letter: Leaving, outcome: Outcome) -> Sequence[Outcome]:
    return [outcome] * len(letter.recipients)
