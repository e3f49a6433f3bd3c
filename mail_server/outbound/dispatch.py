"""Hands letters of the queue over: who is due, one turn after another, each outcome durable before the next turn.

Where a letter can arrive twice, and nowhere else. The bytes of an attempt are opened, then the row says durably that
they go out (`handed_at`, under a lease that is still ours), then they are sent, the peer answers the end of content,
and a commit settles it. Between the peer taking the letter and that commit lies the window:

 1. the connection is cut after the end of content and before its reply arrives (RFC 5321 §4.5.3.2.6, RFC 1047): the
    outcome is `unsure`, and the letter is tried again;
 2. this process ends (kill -9, power) between `handed_at` and the commit that settles it: the letter is taken up
    again, at the next start, or by another node when the lease ends (PostgreSQL);
 3. the database cannot take the settling commit: it is tried until it does, or the process ends (case 2);
 4. PostgreSQL: this node is cut off from the database for longer than a lease while the peer reads the content: the
    next node takes the letter up (case 2 seen from the other side). The nodes' clocks must agree by far better than
    a lease.

Each is counted (`Counters.possibly_twice`) and noted on the recipient (`unsure`). Everything else is once: what was
not yet marked `handed_at` was not sent, what is settled is never tried again. A queue that comes out of a backup is
held until an administrator releases it, for its letters may have left since (`administration.hold_all`).

Invariants: no letter is held in memory but those being handed over; a lease is extended for as long as its letter is
in hand; a domain whose connection fails is left alone as a whole; nothing that a peer or the gate does ends the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mail_server.outbound import leases
from mail_server.outbound.content import WireBytes
from mail_server.outbound.counters import Counters
from mail_server.outbound.interface import Egress, Handover, Outcome, Phase, Verdict
from mail_server.outbound.lanes import Lane, Lanes, found
from mail_server.outbound.leases import Lease, Taken
from mail_server.outbound.memory import Memory
from mail_server.outbound.queue import Queue
from mail_server.outbound.reports.interface import Fate, Owing
from mail_server.outbound.settings import OutboundSettings
from mail_server.outbound.settling import Attempt, Settlement, Settling
from mail_server.store.interface import Store, StoreError, Transaction

_log = logging.getLogger("vaguemestre.outbound")
Blocked = Callable[[str], bool]

TURN = 20  # letters of one domain before the others have their turn
STREAK = 10  # letters in a row put off at MAIL FROM: the server takes none at present
_TURN_MS = 30_000  # after that a slow server gives its place to others
_SWEEP_ROWS = 50  # of one commit: those of the doors wait for it
_REFRESH_MS = 30_000  # what other nodes laid, and leases that ended
_LONGEST_NAP = 5.0
_SETTLE_AGAIN = 2.0


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What the dispatcher works with."""

    store: Store
    queue: Queue
    settling: Settling
    handover: Handover
    egress: Egress | None
    clock: Callable[[], int]
    owing: Sequence[Owing] = ()
    blocked: Blocked = lambda _domain: False  # whether an administrator blocked the domain's operator
    several_nodes: bool = False  # they share the database
    home: str = (
        ""  # names this node among them, the same after a restart: no two that run at once may share it
    )


class Dispatcher:
    def __init__(
        self, settings: OutboundSettings, needs: Dependencies, rng: random.Random | None = None
    ) -> None:
        self._settings = settings
        self._needs = needs
        self._random = rng or random.Random()  # noqa: S311 - jitter
        self._owner = leases.owner_of(needs.home, secrets.token_hex(8))
        self._lanes = Lanes(settings.connections, settings.connections_of_domain)
        self._memory = Memory(settings.memory_megabytes * 1_000_000)
        self._turns: set[asyncio.Task[None]] = set()
        self._sweeping: asyncio.Task[None] | None = None
        self._in_hand: dict[int, Taken] = {}  # leased by this node
        self._wake = asyncio.Event()
        self._stopping = False
        self._stopped_at = 0.0
        self._napping = False
        self._loop: asyncio.Task[None] | None = None
        self._refreshed_at = 0
        self._swept_at = 0
        self._leased_at = 0
        self.counters = Counters()

    # -- life --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take up what the last run had in hand, and begin."""
        if not self._needs.several_nodes:
            await self._take_back(None)
        elif self._needs.home:
            await self._take_back(None, self._needs.home)
        await self._refresh()
        self._needs.queue.on_wake = self.wake
        self._loop = asyncio.create_task(self._run(), name="outbound")

    async def stop(self, grace: float = 20.0) -> None:
        """What is being handed over may end within the grace, counted from `begin_stop`; the rest is given back."""
        self.begin_stop()
        grace = max(0.0, grace - (time.monotonic() - self._stopped_at))
        if self._loop is not None:
            await self._loop
            self._loop = None
        if self._sweeping is not None:
            await self._sweeping
        if self._turns:
            _, late = await asyncio.wait(self._turns, timeout=grace)
            for turn in late:
                turn.cancel()
            if late:
                await asyncio.wait(late)
        await self._needs.handover.close()
        self._in_hand.clear()
        with contextlib.suppress(StoreError):  # then the leases end by themselves
            await self._needs.store.write(lambda tx: leases.release_all(tx.sql, self._owner))

    def begin_stop(self) -> None:
        """From now on nothing more is handed over than what is being handed over."""
        if not self._stopping:
            self._stopping, self._stopped_at = True, time.monotonic()
            self.wake()

    def wake(self) -> None:
        """Something may be due; cheap, and may come as often as letters do."""
        self._wake.set()

    async def learn(self) -> None:
        """An administrator changed holds, dues or waits: look again."""
        await self._refresh()
        self.wake()

    @property
    def idle(self) -> bool:
        """Whether all that is due was done, and the next thing is waited for."""
        ready = self._wake.is_set() or self._lanes.any_ready(self._needs.clock())
        sweeping = self._sweeping is not None and not self._sweeping.done()
        return self._napping and not self._turns and not ready and not sweeping

    @property
    def domains_failing(self) -> int:
        return self._lanes.failing

    # -- the loop ----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self._stopping:
            try:
                await self._upkeep()
                self._fill()
            except StoreError as failure:
                _log.error("the queue cannot be read (%s); tried again", type(failure).__name__)
                await self._nap(_SETTLE_AGAIN)
            except Exception as failure:  # whatever it is, letters must go on leaving
                _log.error("the dispatcher stumbled (%s); it goes on", type(failure).__name__)
                await self._nap(_SETTLE_AGAIN)
            else:
                waiting = self._lanes.until_next(self._needs.clock())
                await self._nap(
                    _LONGEST_NAP if waiting is None else min(max(waiting / 1000, 0.01), _LONGEST_NAP)
                )

    async def _nap(self, seconds: float) -> None:
        self._napping = True
        with contextlib.suppress(TimeoutError):
            # Not wait_for, which may swallow a cancellation on Python 3.11.
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()
        self._napping = False

    def _fill(self) -> None:
        """Give free places to domains in turn."""
        now = self._needs.clock()
        for domain in self._needs.queue.laid():
            self._lanes.due(domain, now)
        for lane in self._lanes.turns(now):
            if self._needs.blocked(lane.domain):
                self._lanes.leave(lane)
                self._lanes.due(lane.domain, now + _REFRESH_MS)
                continue
            turn = asyncio.create_task(self._turn(lane), name="outbound turn")
            self._turns.add(turn)
            turn.add_done_callback(self._turns.discard)

    # -- one turn ----------------------------------------------------------------------------------------

    async def _turn(self, lane: Lane) -> None:
        taken: tuple[Taken, ...] = ()
        settling: asyncio.Task[None] | None = None
        try:
            taken = await self._claim(lane)
            until = self._needs.clock() + _TURN_MS
            for place, one in enumerate(taken):
                now = self._needs.clock()
                if self._stopping or (place and (lane.held or lane.retry_at > now or now >= until)):
                    break
                outcomes = await self._hand_over(one)
                if outcomes is None:
                    break
                if settling is not None:
                    await settling
                # The next letter goes over the connection while this one's outcome goes to the disk.
                settling = asyncio.create_task(self._settle(lane, one, outcomes))
                if all(outcome.phase in _STOPS_A_TURN for outcome in outcomes):
                    await settling
        except StoreError as failure:
            self._lanes.due(lane.domain, self._needs.clock() + _REFRESH_MS)
            _log.error("a turn of the queue ended early: %s", type(failure).__name__)
        finally:
            if settling is not None:
                await asyncio.wait([settling])
            self._lanes.leave(lane)
            if await asyncio.shield(self._give_back([one.letter.id for one in taken])):
                self._lanes.due(lane.domain, self._needs.clock())
            self.wake()

    async def _claim(self, lane: Lane) -> tuple[Taken, ...]:
        needs, now = self._needs, self._needs.clock()
        lease = Lease(self._owner, now + self._lease_ms)
        got = await needs.store.write(
            lambda tx: leases.claim(tx.sql, needs.settling.wraps, lane.domain, now, TURN, lease)
        )
        lane.held, lane.failures, lane.retry_at = got.held, got.failures, got.retry_at
        if got.next_due is not None:
            self._lanes.due(lane.domain, got.next_due)
        for one in got.letters:
            self._in_hand[one.letter.id] = one
        if got.damaged:
            _log.error("%d queued letters do not open under this node's key: held", got.damaged)
        if got.next_due is not None and got.letters:
            self.wake()  # more is due: another connection may take it
        return got.letters

    async def _hand_over(self, taken: Taken) -> Sequence[Outcome] | None:
        """One outcome for each recipient; None: it was not tried."""
        needs, many = self._needs, len(taken.recipients)
        if taken.letter.cancelled:  # asked for while a run that is gone had it
            return [Outcome(Verdict.LATER, Phase.OPEN, "cancelled")] * many
        content = WireBytes(needs.store, needs.egress, taken, self._owner, needs.clock)
        leaving = taken.letter.leaving([each.recipient for each in taken.recipients])
        try:
            async with self._memory.taken(taken.letter.size):
                if self._stopping:
                    return None
                self.counters.attempts += 1
                outcomes = await needs.handover.hand_over(taken.letter.domain, leaving, content)
            if len(outcomes) == many:
                return outcomes
            _log.error("an attempt told of %d recipients out of %d", len(outcomes), many)
        except asyncio.CancelledError:
            # The grace is over. Cut off after its bytes went out, a letter may have arrived.
            return [Outcome(Verdict.LATER, Phase.CONTENT, "stopped", unsure=content.went_out)] * many
        except Exception as failure:  # its words may hold what was sent
            _log.error("an attempt failed in this node: %s", type(failure).__name__)
        return [Outcome(Verdict.LATER, Phase.CONTENT, "internal", unsure=content.went_out)] * many

    async def _settle(self, lane: Lane, taken: Taken, outcomes: Sequence[Outcome]) -> None:
        """Durable before anything else is known of it; a database that fails is waited for."""
        put_off = all(each.verdict is Verdict.LATER and each.phase is Phase.MAIL for each in outcomes)
        lane.streak = lane.streak + 1 if put_off else 0
        attempt = Attempt(
            taken, outcomes, self._owner, self._random.uniform(-1, 1), together=lane.streak >= STREAK
        )
        try:
            done = await self._written(attempt)
        except Exception as failure:  # the row goes on saying that it may have left
            # Not its words: they may hold what was to be written.
            _log.error("what became of a letter cannot be written (%s)", type(failure).__name__)
            return
        if done is None:
            return
        self._in_hand.pop(taken.letter.id, None)
        lane.failures, lane.retry_at = done.failures, done.retry_at
        if attempt.together:
            lane.streak = 0
        if done.due is not None:
            self._lanes.due(lane.domain, done.due)
        self._count(done)

    async def _written(self, attempt: Attempt) -> Settlement | None:
        needs = self._needs

        def write(transaction: Transaction) -> Settlement:
            return needs.settling.attempt(transaction, attempt, needs.clock())

        while True:
            try:
                return await needs.store.write(write)
            except StoreError as failure:
                _log.error("an outcome cannot be written (%s); tried again", type(failure).__name__)
                if self._stopping:
                    return None  # the row says that it may have left: counted at the next start
                await asyncio.sleep(_SETTLE_AGAIN)
            except Exception as failure:
                if not attempt.tell:
                    raise
                # That it left must be known, or it leaves again; that somebody is told of it comes after.
                _log.error("what became of a letter cannot be told: %s", type(failure).__name__)
                attempt = replace(attempt, tell=False)

    # -- upkeep ------------------------------------------------------------------------------------------

    async def _upkeep(self) -> None:
        now = self._needs.clock()
        if not 0 <= now - self._leased_at < self._lease_ms // 3:  # also when the clock was put back
            self._leased_at = now
            await self._extend(now)
        if not 0 <= now - self._refreshed_at < _REFRESH_MS:
            if self._needs.several_nodes:
                await self._take_back(now)
            await self._refresh()
        swept = self._sweeping is None or self._sweeping.done()
        if swept and not 0 <= now - self._swept_at < _REFRESH_MS:
            self._swept_at = now
            # Beside the loop: when 100,000 letters expire at once, others go on leaving.
            self._sweeping = asyncio.create_task(self._sweep_or_say(now), name="outbound sweep")

    async def _refresh(self) -> None:
        self._refreshed_at = self._needs.clock()
        self._lanes.learn(await self._needs.store.read(lambda reader: found(reader.sql)))

    async def _extend(self, now: int) -> None:
        numbers = list(self._in_hand)
        if numbers:
            lease = Lease(self._owner, now + self._lease_ms)
            await self._needs.store.write(lambda tx: leases.extend(tx.sql, numbers, lease))

    async def _take_back(self, now: int | None, home: str = "") -> None:
        all_letters = all_unsure = 0
        letters = _SWEEP_ROWS
        while letters == _SWEEP_ROWS:
            letters, unsure = await self._needs.store.write(
                lambda tx: leases.take_back(tx.sql, now, _SWEEP_ROWS, home)
            )
            all_letters, all_unsure = all_letters + letters, all_unsure + unsure
            self.counters.possibly_twice += unsure
        if all_letters:
            _log.warning(
                "%d letters of a node that ended wait again; %d recipients may get one twice",
                all_letters,
                all_unsure,
            )

    async def _sweep_or_say(self, now: int) -> None:
        try:
            await self._sweep(now)
        except Exception as failure:  # it comes again in half a minute
            _log.error("the queue was not swept: %s", type(failure).__name__)

    async def _sweep(self, now: int) -> None:
        """Expire, tell of delays, forget what left long ago: a few rows at a time, so that letters go on."""
        needs = self._needs
        rows = _SWEEP_ROWS
        while rows == _SWEEP_ROWS and not self._stopping:
            rows, done = await needs.store.write(lambda tx: needs.settling.expire(tx, now, _SWEEP_ROWS))
            self._count(done)
        rows = _SWEEP_ROWS
        while rows == _SWEEP_ROWS and not self._stopping:
            rows, late = await needs.store.write(lambda tx: needs.settling.tell_late(tx, now, _SWEEP_ROWS))
            self.counters.delayed += late
            if late:
                self._owed()
        rows, before = _SWEEP_ROWS, now - needs.settling.schedule.keep
        while rows == _SWEEP_ROWS and not self._stopping:
            rows = await needs.store.write(lambda tx: needs.settling.purge(tx, before, _SWEEP_ROWS))

    async def _give_back(self, numbers: list[int]) -> bool:
        """Letters of a turn that were not tried; whether there were any."""
        numbers = [number for number in numbers if self._in_hand.pop(number, None) is not None]
        if numbers:
            with contextlib.suppress(StoreError):  # then the lease ends by itself
                await self._needs.store.write(lambda tx: leases.release(tx.sql, numbers, self._owner))
        return bool(numbers)

    @property
    def _lease_ms(self) -> int:
        return round(self._settings.lease_seconds * 1000)

    def _count(self, done: Settlement) -> None:
        counters = self.counters
        for (fate, of), many in done.fates.items():
            if fate is Fate.RELAYED:
                counters.delivered[of] += many
            elif fate is Fate.FAILED:
                counters.refused[of] += many
            elif fate is Fate.EXPIRED:
                counters.expired += many
            else:
                counters.cancelled += many
        counters.deferred.update(done.deferred)
        counters.possibly_twice += done.unsure
        counters.leases_lost += done.lost
        counters.domain_failures += done.fell
        if done.fates:
            self._owed()

    def _owed(self) -> None:
        for owing in self._needs.owing:
            owing.wake()


_STOPS_A_TURN = frozenset(
    {Phase.ROUTE, Phase.CONNECT, Phase.GREETING, Phase.TLS, Phase.TRUST, Phase.HELLO, Phase.MAIL}
)
