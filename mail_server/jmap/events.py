"""Pushed state changes over EventSource (RFC 8620 §7.3): that something changed, never what.

Beside them, `event: wake`: a time has come that the listener's own page asked for (webmail.spaces.wakes).

One task waits for each account that somebody listens to; a listener is its connection and a few numbers. Invariants:
who has seen the answer begin is told of every change from then on; a change while an event is on its way is told
after it; a listener whose session, credential or account has ended is cut within `SWEEP_SECONDS`; a client that takes
nothing holds up nobody else.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mail_server.jmap import states
from mail_server.jmap.email_query import spanned
from mail_server.jmap.entrance import Entrance, Guest
from mail_server.jmap.interface import MethodError
from mail_server.jmap.problems import Refused
from mail_server.jmap.quotas import QuotaMethods
from mail_server.jmap.services import Services
from mail_server.jmap.submission_rows import submission_state
from mail_server.store.interface import Reader, StoreError, Watch
from mail_server.store.model import AccountId

log = logging.getLogger("vaguemestre.jmap")
TYPES = frozenset(["Email", "EmailDelivery", "EmailSubmission", "Mailbox", "Quota", "Thread"])
SWEEP_SECONDS = 2.0
SHORTEST_PING, LONGEST_PING = 15, 900
GATHER_SECONDS = 0.1  # changes that come together are told together
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_WAKE = b"event: wake\ndata: {}\n\n"
States = dict[str, str]  # type → state


@dataclass(slots=True, eq=False)
class Listener:
    """One open event source."""

    guest: Guest
    accounts: tuple[AccountId, ...]
    types: frozenset[str]
    once: bool  # closeafter=state
    ping: int  # seconds; 0: none
    send: Send
    ended: asyncio.Future[None]
    told: dict[AccountId, States] = field(default_factory=dict[AccountId, States])
    last_ping: float = 0.0
    busy: bool = False
    waiting: set[AccountId] = field(default_factory=set[AccountId])  # changed while an event was on its way

    def end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


@dataclass(slots=True)
class _Station:
    """One account that is listened to."""

    watch: Watch
    pump: asyncio.Task[None]
    listeners: set[Listener]
    states: States
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # what was read earlier is not laid over newer


class Events:
    def __init__(self, services: Services, entrance: Entrance, quotas: QuotaMethods) -> None:
        self._services = services
        self._entrance = entrance
        self._quotas = quotas
        self._stations: dict[AccountId, _Station] = {}
        self._by_speaker: Counter[AccountId] = Counter()
        self._listeners: set[Listener] = set()
        self._work: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None
        self._stopping = False
        self.just_passed: Callable[[AccountId], Awaitable[bool]] | None = None
        """Whether a wake was missed by who comes to listen (the node was away, or its line was)."""

    def start(self) -> None:
        self._sweeper = asyncio.create_task(self._sweep(), name="jmap-events")

    async def stop(self) -> None:
        self._stopping = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        for listener in list(self._listeners):
            listener.end()
        for _ in range(50):
            if not self._listeners:
                break
            await asyncio.sleep(0.01)
        for station in list(self._stations.values()):
            await self._close(station)
        self._stations.clear()

    def changed(self, account: AccountId) -> None:
        """Something that the store does not announce (submissions)."""
        if account in self._stations:
            self._spawn(self._look(account))

    def wake(self, accounts: Sequence[AccountId]) -> None:
        """A time has come, for the own pages of these accounts: not for who reads along."""
        wanted = set(accounts)
        for listener in list(self._listeners):
            if listener.guest.identity.account in wanted:
                self._spawn(self._woken(listener))

    # ── one listener ──

    def admit(self, guest: Guest, types: str, close_after: str, ping: str, last: str | None) -> EventSource:
        """Raises Refused."""
        settings, speaker = self._services.settings, guest.identity.account
        if (
            self._stopping
            or len(self._listeners) >= settings.max_listeners
            or self._by_speaker[speaker] >= settings.max_listeners_per_account
        ):
            self._services.counters.crowded_listeners += 1
            raise Refused("too-many")
        wanted = TYPES if types == "*" else frozenset(types.split(",")) & TYPES
        if close_after not in ("state", "no") or not ping.isascii() or not ping.isdigit() or len(ping) > 9:
            raise Refused("bad-request")
        seconds = int(ping)
        if seconds:
            seconds = min(max(seconds, SHORTEST_PING), LONGEST_PING)
        return EventSource(self, guest, wanted, close_after == "state", seconds, read_event_id(last))

    async def listen(
        self,
        listener: Listener,
        receive: Receive,
        begin: Callable[[], Awaitable[None]],
        last: Mapping[AccountId, States],
    ) -> None:
        """Until the client leaves or is cut. `begin` starts the answer: who has seen that misses nothing more."""
        speaker = listener.guest.identity.account
        self._by_speaker[speaker] += 1
        self._services.counters.listeners += 1
        listener.busy = True  # what changes meanwhile is told once the answer has begun
        try:
            for account in listener.accounts:
                await self._join(account, listener)
            await begin()
            listener.busy = False
            self._listeners.add(listener)
            if self._stopping:
                listener.end()
            if changed := listener.waiting:
                listener.waiting = set()
                await self._catch_up(listener, changed)
            if last:
                # What came while it was away (RFC 8620 §7.3, Last-Event-ID).
                missed = {
                    each: self._differing(listener, each, last.get(each, {})) for each in listener.accounts
                }
                await self._tell(listener, {each: what for each, what in missed.items() if what})
            if self.just_passed is not None and await self.just_passed(speaker):
                await self._woken(listener)
            gone = asyncio.ensure_future(_left(receive))
            try:
                await asyncio.wait([gone, listener.ended], return_when=asyncio.FIRST_COMPLETED)
            finally:
                gone.cancel()
        finally:
            self._services.counters.listeners -= 1
            self._listeners.discard(listener)
            self._by_speaker[speaker] -= 1
            if not self._by_speaker[speaker]:
                del self._by_speaker[speaker]
            for account in listener.accounts:
                await self._part(account, listener)

    def _differing(self, listener: Listener, account: AccountId, known: States) -> States:
        now = listener.told.get(account, {})
        return {
            name: state for name, state in now.items() if name in listener.types and known.get(name) != state
        }

    # ── one account ──

    async def _join(self, account: AccountId, listener: Listener) -> None:
        station = self._stations.get(account)
        if station is None:
            watch = self._services.store.watch([account])
            station = _Station(watch, asyncio.create_task(self._pump(account, watch)), set(), {})
            self._stations[account] = station
        station.listeners.add(listener)
        async with station.turn:
            if not station.states:
                station.states = await self._states(account, None)
        listener.told[account] = dict(station.states)

    async def _part(self, account: AccountId, listener: Listener) -> None:
        station = self._stations.get(account)
        if station is not None:
            station.listeners.discard(listener)
            if not station.listeners:
                del self._stations[account]
                await self._close(station)

    async def _close(self, station: _Station) -> None:
        station.pump.cancel()
        station.watch.close()
        await asyncio.gather(station.pump, return_exceptions=True)

    async def _pump(self, account: AccountId, watch: Watch) -> None:
        while True:
            await watch.wait()
            await asyncio.sleep(GATHER_SECONDS)
            await self._look(account)

    async def _look(self, account: AccountId) -> None:
        station = self._stations.get(account)
        if station is None:
            return
        try:
            async with station.turn:
                station.states = await self._states(account, station.states.get("Email"))
        except (StoreError, MethodError) as failure:
            log.error("a change was not told (%s)", type(failure).__name__)
            return
        for listener in list(station.listeners):
            self._nudge(listener, account)

    async def _states(self, account: AccountId, before: str | None) -> States:
        holder = self._services.accounts.by_id(account)

        def read(reader: Reader) -> States:
            email = states.email_state(reader, account)
            found = {
                "Email": email,
                "Thread": email,
                "Mailbox": states.mailbox_state(reader, account, reader.mailboxes(account)),
                "EmailSubmission": submission_state(reader, account),
            }
            if before is None or _delivered(reader, account, before):
                found["EmailDelivery"] = email
            return found

        found = await self._services.store.read(read)
        if holder is not None:
            found["Quota"] = self._quotas.state(holder)
        if "EmailDelivery" not in found:
            station = self._stations.get(account)
            known = station.states.get("EmailDelivery") if station is not None else None
            found["EmailDelivery"] = known or found["Email"]
        return found

    # ── telling ──

    def _nudge(self, listener: Listener, account: AccountId) -> None:
        if listener.busy:
            listener.waiting.add(account)
        else:
            self._spawn(self._catch_up(listener, {account}))

    async def _catch_up(self, listener: Listener, accounts: set[AccountId]) -> None:
        while accounts and not listener.ended.done():
            changed: dict[AccountId, States] = {}
            for account in accounts:
                station = self._stations.get(account)
                if station is None:
                    continue
                known = listener.told.get(account, {})
                listener.told[account] = dict(station.states)
                if different := self._differing(listener, account, known):
                    changed[account] = different
            await self._tell(listener, changed)
            accounts, listener.waiting = listener.waiting, set()

    async def _tell(self, listener: Listener, changed: Mapping[AccountId, States]) -> None:
        if not changed or listener.ended.done():
            return
        told = json.dumps({"@type": "StateChange", "changed": changed})
        event = f"event: state\nid: {event_id(listener.told)}\ndata: {told}\n\n"
        await self._write(listener, event)
        if listener.once:
            listener.end()

    async def _write(self, listener: Listener, event: str) -> None:
        listener.busy = True
        try:
            await listener.send({"type": "http.response.body", "body": event.encode(), "more_body": True})
        except OSError:
            listener.end()
        finally:
            listener.busy = False

    async def _woken(self, listener: Listener) -> None:
        """Whatever else is on its way: a wake is one chunk, and changes no state."""
        try:
            await listener.send({"type": "http.response.body", "body": _WAKE, "more_body": True})
        except OSError:
            listener.end()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = asyncio.get_running_loop().time()
            for number, listener in enumerate(list(self._listeners)):
                if number % 256 == 255:
                    await asyncio.sleep(0)
                if not self._may_go_on(listener):
                    listener.end()
                elif listener.ping and now - listener.last_ping >= listener.ping and not listener.busy:
                    listener.last_ping = now
                    ping = f'event: ping\ndata: {{"interval":{listener.ping}}}\n\n'
                    self._spawn(self._write(listener, ping))

    def _may_go_on(self, listener: Listener) -> bool:
        if not self._entrance.still(listener.guest):
            return False
        reached = self._entrance.listened_to(listener.guest.identity)
        return all(account in reached for account in listener.accounts)

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    def open_to(self, guest: Guest) -> tuple[AccountId, ...]:
        return tuple(self._entrance.listened_to(guest.identity))


class EventSource(Response):
    """The answer to a listener: what it holds is what a listener costs."""

    def __init__(
        self,
        events: Events,
        guest: Guest,
        types: frozenset[str],
        once: bool,
        ping: int,
        last: Mapping[AccountId, States],
    ) -> None:
        super().__init__(media_type="text/event-stream", headers=_HEADERS)
        self._events = events
        self._guest = guest
        self._types = types
        self._once = once
        self._ping = ping
        self._last = last

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [each for each in self.raw_headers if each[0] != b"content-length"]

        async def begin() -> None:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b": hello\n\n", "more_body": True})

        loop = asyncio.get_running_loop()
        listener = Listener(
            self._guest,
            self._events.open_to(self._guest),
            self._types,
            self._once,
            self._ping,
            send,
            loop.create_future(),
            last_ping=loop.time(),
        )
        await self._events.listen(listener, receive, begin, self._last)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _delivered(reader: Reader, account: AccountId, before: str) -> bool:
    """RFC 8621 §1.5: whether a letter came, or only something changed."""
    try:
        since = states.since(reader, account, before)
        return bool(spanned(reader.email_changes(account, since, 256), since).created)
    except MethodError:
        return True


# ── Last-Event-ID ──


def event_id(told: Mapping[AccountId, States]) -> str:
    """What a listener was told, for when it comes back: nothing is remembered here."""
    return base64.urlsafe_b64encode(json.dumps(told, separators=(",", ":")).encode()).decode().rstrip("=")


def read_event_id(value: str | None) -> dict[AccountId, States]:
    """Nothing for what we did not make."""
    if not value or len(value) > 8000:
        return {}
    try:
        told = json.loads(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    if not isinstance(told, dict):
        return {}
    return {
        AccountId(account): cast("States", known)
        for account, known in cast("dict[str, Any]", told).items()
        if isinstance(known, dict)
    }
