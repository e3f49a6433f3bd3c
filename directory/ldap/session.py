"""One connection: what is asked is done, several things at a time, and each is answered once.

Invariants: nothing that a client sends raises through `run`; before TLS no password is looked at; a request that was
abandoned is not answered; while a bind runs nothing else does (RFC 4511 §4.2.1); whose credentials were withdrawn is
told so and cut off at the next request.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

from directory.harvest import Harvest, TooMuch
from directory.ldap import schema
from directory.ldap.binding import Binder
from directory.ldap.entries import Entry, Tree
from directory.ldap.interface import Bound, Client, Logins
from directory.ldap.limits import Limits
from directory.ldap.matching import predicate
from directory.ldap.paging import Pages
from directory.ldap.protocol import (
    Connection,
    ProtocolError,
    Refused,
    Requested,
    ResultCode,
    State,
    ber,
    responses,
)
from directory.ldap.protocol.codes import CANCEL, START_TLS, WHO_AM_I
from directory.ldap.protocol.controls import paged
from directory.ldap.protocol.filters import Equal, Present
from directory.ldap.protocol.messages import Abandon, Bind, Change, Compare, Extended, Scope, Search, Unbind
from directory.ldap.protocol.names import BadName
from directory.ldap.searching import Bounds, Found, Searcher
from directory.ldap.settings import LdapSettings
from directory.ldap.shell import Link

Work = Callable[[], Awaitable[None]]
log = logging.getLogger("vaguemestre.ldap")
_YIELD_AFTER = 0.001  # seconds of requests in a row before others get their turn
_READ_ONLY = "This directory is read only"
_LOG_IN = "Log in first, with your address and an app password"


@dataclass(frozen=True, slots=True)
class Services:
    """What all connections share."""

    settings: LdapSettings
    tree: Tree
    searcher: Searcher
    logins: Logins
    harvest: Harvest
    limits: Limits


class Refusal(Exception):
    """A request ends with this."""

    def __init__(self, code: ResultCode, words: str) -> None:
        super().__init__(words)
        self.code, self.words = code, words


class Session:
    def __init__(
        self, services: Services, link: Link, client: Client, start_tls: Callable[[Session], Awaitable[None]]
    ) -> None:
        self.client = client
        self.link = link
        self._services = services
        self._start_tls = start_tls
        self._core = Connection()
        self._binder = Binder(services.logins)
        self._bound: Bound | None = None
        self._pages = Pages()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._turns = asyncio.Semaphore(services.settings.searches_of_connection)

    @property
    def idle(self) -> bool:
        return not self._tasks and self._core.state is State.OPEN

    async def run(self) -> None:
        """Until the client leaves, or must."""
        try:
            await self._serve()
        except ProtocolError as wrong:
            self._services.limits.counters.protocol_errors += 1
            self.link.write(wrong.notice)
        except ConnectionError:
            pass
        finally:
            for task in self._tasks.values():
                task.cancel()
            self.link.close()

    def dismiss(self, code: ResultCode, words: str) -> None:
        """End the connection with a notice (RFC 4511 §4.4.1)."""
        self.link.write(responses.notice(code, words))
        self.link.close()

    async def _serve(self) -> None:
        since = time.monotonic()
        while self._core.state is not State.CLOSED:
            event = self._core.next_event()
            if event is None:
                data = await self.link.read()
                if not data:
                    return
                self._core.receive(data)
                since = time.monotonic()
                continue
            await self.link.drained()  # who reads no answers is not read either
            if isinstance(event, Refused):
                self._services.limits.counters.busy += event.code is ResultCode.BUSY
                self.link.write(event.answer)
            else:
                await self._take(event)
            if time.monotonic() - since > _YIELD_AFTER:
                await asyncio.sleep(0)
                since = time.monotonic()

    # ── what is asked ──

    async def _take(self, asked: Requested) -> None:
        self._services.limits.counters.requests += 1
        request = asked.request
        if self._bound is not None and not self._bound.stands() and not isinstance(request, Bind | Unbind):
            # RFC 4511 §4.4.1: what the connection was trusted for is no more.
            self.dismiss(ResultCode.STRONGER_AUTH_REQUIRED, "Your access was withdrawn: log in again")
            raise ConnectionResetError
        match request:
            case Search():
                self._begin(asked, partial(self._search, asked, request))
            case Abandon(operation):
                self._abandon(operation)
            case Bind():
                await self._bind(asked.message_id, request)
            case Extended(name):
                await self._extended(asked, name, request.value)
            case Compare():
                self._begin(asked, partial(self._compare, asked.message_id, request))
            case Change():
                self._answer(asked, ResultCode.UNWILLING_TO_PERFORM, _READ_ONLY)
            case Unbind():
                pass

    def _answer(self, asked: Requested, code: ResultCode, words: str) -> None:
        if self._core.answered(asked.message_id):
            self.link.write(responses.result(asked.message_id, asked.tag, code, words))

    def _begin(self, asked: Requested, work: Work) -> None:
        message_id = asked.message_id
        task = asyncio.get_running_loop().create_task(self._guarded(asked, work))
        self._tasks[message_id] = task

        def ended(task: asyncio.Task[None]) -> None:
            if self._tasks.get(message_id) is task:
                del self._tasks[message_id]

        task.add_done_callback(ended)

    async def _guarded(self, asked: Requested, work: Work) -> None:
        counters = self._services.limits.counters
        try:
            await work()
        except Refusal as refusal:
            self._answer(asked, refusal.code, refusal.words)
        except TimeoutError:
            counters.limited += 1
            self._answer(asked, ResultCode.TIME_LIMIT_EXCEEDED, "This search takes too long")
        except TooMuch as much:
            counters.harvest_refused += 1
            words = f"Too many different people were looked up: try again in {much.retry_after} seconds"
            self._answer(asked, ResultCode.ADMIN_LIMIT_EXCEEDED, words)
        except ConnectionError:
            self.link.abort()
        except Exception as failure:  # its words may hold what was looked for
            counters.failures += 1
            log.error("session %s: %s in a request", self.client.session, type(failure).__name__)
            self._answer(asked, ResultCode.OTHER, "An error of ours; it was noted")

    # ── searching ──

    def _asker(self) -> tuple[str, bool]:
        if self._bound is not None:
            return f"account:{self._bound.account}", True
        return self._services.limits.asker(self.client.address), False

    def _root(self) -> Entry:
        return self._services.tree.root(self._services.logins.mechanisms(self.client), tls=self.client.tls)

    def _require(self) -> tuple[str, bool]:
        """Whether anything but the root and the schema may be looked at. Raises Refusal, TooMuch."""
        asker, trusted = self._asker()
        if not trusted and not self._services.settings.anonymous:
            raise Refusal(ResultCode.INSUFFICIENT_ACCESS_RIGHTS, _LOG_IN)
        self._services.harvest.require(asker, trusted=trusted, door="ldap")
        return asker, trusted

    async def _search(self, asked: Requested, request: Search) -> None:
        services = self._services
        services.limits.counters.searches += 1
        if request.scope is Scope.BASE and request.base.strip().lower() in ("", schema.SUBSCHEMA):
            await self._show(asked.message_id, await self._of_server(asked.message_id, request), ())
            return
        asker, trusted = self._require()
        found, controls = await self._looked_up(asked, request, asker, trusted=trusted)
        if found.keys and (
            delay := services.harvest.shown(asker, list(found.keys), trusted=trusted, door="ldap")
        ):
            services.limits.counters.harvest_slowed += 1
            await asyncio.sleep(delay)
        await self._show(asked.message_id, found, controls)

    async def _of_server(self, message_id: int, request: Search) -> Found:
        """The root, or the schema: at once for the filter that all programs ask with, which costs nothing to read."""
        bounds = Bounds(1, time.monotonic() + 1)
        search = partial(self._services.searcher.search, message_id, request, bounds, self._root())
        if isinstance(request.filter, Present):
            return search()
        asker, _ = self._asker()
        return await self._found(asker, search, self._services.settings.longest_search)

    async def _looked_up(
        self, asked: Requested, request: Search, asker: str, *, trusted: bool
    ) -> tuple[Found, tuple[bytes, ...]]:
        """What is found, and the controls of the answer. Raises Refusal, TimeoutError."""
        settings = self._services.settings
        most = settings.largest_answer if trusted else settings.largest_anonymous_answer
        seconds = min(settings.longest_search, request.time_limit or settings.longest_search)
        bounds = Bounds(min(most, request.size_limit or most), time.monotonic() + seconds)
        search = partial(self._services.searcher.search, asked.message_id, request, bounds, self._root())
        if (page := asked.page) is None:
            return await self._found(asker, search, seconds), ()
        place = self._pages.take(page.cookie, request, asker)
        if place is None:
            raise Refusal(ResultCode.UNWILLING_TO_PERFORM, "These pages are over: search again")
        if page.size == 0:
            # RFC 2696 §3: no more pages are wanted.
            return Found(), (paged(0, b""),)
        # RFC 2696 §3: the limits of the client are of the whole, ours too.
        found = await self._found(asker, partial(search, (page.size, place)), seconds)
        cookie = self._pages.keep(found.go_on, request, asker) if found.go_on else b""
        return found, (paged(0, cookie),)

    async def _found(self, asker: str, work: Callable[[], Found], seconds: float) -> Found:
        async with asyncio.timeout(seconds + 0.5), self._turns:
            await self.link.drained()  # what nobody reads is not looked for: it would lie here meanwhile
            return await self._services.limits.in_thread(asker, work)

    async def _show(self, message_id: int, found: Found, controls: tuple[bytes, ...]) -> None:
        counters = self._services.limits.counters
        if not self._core.answered(message_id):
            return
        counters.entries += len(found.entries)
        counters.limited += found.code is not ResultCode.SUCCESS
        last = responses.done(message_id, found.code, found.words, matched=found.matched, controls=controls)
        await self.link.send((*found.entries, last))

    async def _compare(self, message_id: int, request: Compare) -> None:
        """RFC 4511 §4.10"""
        attribute = schema.attribute(request.attribute)
        if attribute is None:
            raise Refusal(ResultCode.UNDEFINED_ATTRIBUTE_TYPE, "This attribute is not known here")
        asker, trusted = self._require()
        root, searcher = self._root(), self._services.searcher

        def compared() -> tuple[ResultCode, str]:
            try:
                entry = searcher.one(request.entry, root)
            except BadName:
                return ResultCode.INVALID_DN_SYNTAX, ""
            if entry is None:
                return ResultCode.NO_SUCH_OBJECT, ""
            if not entry.has(attribute):
                return ResultCode.NO_SUCH_ATTRIBUTE, entry.key
            same = predicate(Equal(request.attribute, request.value))(entry)
            return ResultCode.COMPARE_TRUE if same else ResultCode.COMPARE_FALSE, entry.key

        async with asyncio.timeout(self._services.settings.longest_search), self._turns:
            code, key = await self._services.limits.in_thread(asker, compared)
        if key:
            await asyncio.sleep(self._services.harvest.shown(asker, [key], trusted=trusted, door="ldap"))
        if self._core.answered(message_id):
            self.link.write(responses.result(message_id, 0x6E, code))

    # ── giving up ──

    def _abandon(self, operation: int) -> None:
        """RFC 4511 §4.11: never answered, and neither is what was abandoned."""
        task = self._tasks.get(operation)
        if task is not None and self._core.abandoned(operation):
            self._services.limits.counters.abandoned += 1
            task.cancel()

    def _cancel(self, value: bytes | None) -> ResultCode:
        """RFC 3909: as abandoned, and both are answered."""
        try:
            data = value or b""
            at, end = ber.expect(data, 0, len(data), ber.SEQUENCE)
            begin, stop = ber.expect(data, at, end, ber.INTEGER)
            operation = ber.integer(data, begin, stop)
        except ber.Undecodable:
            return ResultCode.PROTOCOL_ERROR
        tag, task = self._core.tag_of(operation), self._tasks.get(operation)
        if tag is None or task is None:
            return ResultCode.NO_SUCH_OPERATION
        if not self._core.answered(operation):
            return ResultCode.TOO_LATE
        self._services.limits.counters.abandoned += 1
        task.cancel()
        self.link.write(responses.result(operation, tag, ResultCode.CANCELED))
        return ResultCode.SUCCESS

    # ── who, and by which way ──

    async def _bind(self, message_id: int, request: Bind) -> None:
        counters = self._services.limits.counters
        counters.binds += 1
        # RFC 4511 §4.2.1: what still runs is abandoned; RFC 4513 §4: until it succeeds, the client is nobody.
        for operation, task in list(self._tasks.items()):
            self._core.answered(operation)
            task.cancel()
        self._bound = None
        self._pages.clear()
        outcome = await self._binder.bind(request, self.client)
        self._bound = outcome.bound
        failed = outcome.code not in (ResultCode.SUCCESS, ResultCode.SASL_BIND_IN_PROGRESS)
        counters.bind_failures += failed
        self._core.answered(message_id)
        self._core.bind_answered()
        self.link.write(responses.bound(message_id, outcome.code, outcome.words, outcome.credentials))
        if outcome.give_up:
            self.dismiss(ResultCode.UNAVAILABLE, "Too many failed logins")
            raise ConnectionResetError

    async def _extended(self, asked: Requested, name: str, value: bytes | None) -> None:
        message_id = asked.message_id
        if name == START_TLS:
            await self._secure(message_id)
            return
        self._core.answered(message_id)
        if name == WHO_AM_I:
            who = f"u:{self._bound.address}".encode() if self._bound is not None else b""
            self.link.write(responses.extended(message_id, ResultCode.SUCCESS, value=who))
        elif name == CANCEL:
            self.link.write(responses.extended(message_id, self._cancel(value)))
        else:
            # RFC 4511 §4.12
            words = "This extended operation is not known here"
            self.link.write(responses.extended(message_id, ResultCode.PROTOCOL_ERROR, words))

    async def _secure(self, message_id: int) -> None:
        """RFC 4511 §4.14"""
        self._core.receive(self.link.take())  # a protocol error where anything came behind it
        self._core.answered(message_id)
        if self.client.tls or self._tasks:
            words = "TLS is there already" if self.client.tls else "Wait for your other requests first"
            self.link.write(
                responses.extended(message_id, ResultCode.OPERATIONS_ERROR, words, name=START_TLS)
            )
            self._core.secured()
            return
        self.link.write(responses.extended(message_id, ResultCode.SUCCESS, name=START_TLS))
        await self._start_tls(self)
        self.client = replace(self.client, tls=True, certificate=self.link.certificate)
        self._core.secured()
