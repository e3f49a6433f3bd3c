"""The JMAP door: everything put together, and the routes in front of it (RFC 8620 §2, §3, §6, §7.3).

Invariants: every route knows who speaks before it does anything; an answer is never kept by a cache; the door keeps
nothing of a request but what is counted.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from mail_server.accounts.access import Access
from mail_server.accounts.interface import Account, Accounts, Authenticator, PageSessions
from mail_server.delivery.interface import Delivery
from mail_server.jmap import methods, problems, session_object
from mail_server.jmap.departed import Departed
from mail_server.jmap.dispatcher import Dispatcher
from mail_server.jmap.encoding import encode, encode_session
from mail_server.jmap.entrance import Entrance, Guest, site_of
from mail_server.jmap.events import Events
from mail_server.jmap.exchanges import Exchanges
from mail_server.jmap.interface import Capability, Turn
from mail_server.jmap.problems import Refused
from mail_server.jmap.protocol import RequestError, parse_request
from mail_server.jmap.protocol.request import Request as Calls
from mail_server.jmap.quotas import QuotaMethods
from mail_server.jmap.services import Audit, Counters, Services
from mail_server.jmap.settings import JmapSettings
from mail_server.jmap.submission_queue import SubmissionQueue
from mail_server.jmap.submission_rows import SubmissionRows
from mail_server.jmap.transfers import Transfers
from mail_server.keys.interface import KeyWrapper
from mail_server.store.interface import NoSuchAccount, NoSuchMailbox, Reader, Store, StoreError, Transaction
from mail_server.store.model import AccountId, SpecialUse
from policies.limits.limits import Limits, unlimited

_PARSED_INLINE = 16_384  # octets of a request read on the loop; larger ones in a thread


class JmapDoor:
    """`router` to mount at the root; `start` sends what is due and lets listeners in, `stop` ends both."""

    def __init__(
        self,
        settings: JmapSettings,
        *,
        store: Store,
        delivery: Delivery,
        accounts: Accounts,
        authenticator: Authenticator,
        sessions: PageSessions,
        keys: KeyWrapper,
        audit: Audit,
        capabilities: Sequence[Capability] = (),
        trace_full: Callable[[], bool] = lambda: False,
        display_name: Callable[[Account], str] = lambda _: "",
        limits: Limits | None = None,
        exchanges: Exchanges | None = None,
        access: Access | None = None,
    ) -> None:
        self.settings = settings
        self._services = Services(
            settings, store, delivery, accounts, audit, trace_full, display_name, limits or unlimited()
        )
        self._services.exchanges = exchanges
        self.entrance = Entrance(settings, accounts, authenticator, sessions, self.counters, access)
        rows = SubmissionRows(keys)
        self.queue = SubmissionQueue(self._services, rows)
        quotas = QuotaMethods(self._services)
        self.events = Events(self._services, self.entrance, quotas)
        self._services.submissions_changed = self.events.changed
        self.departed = Departed(rows, self.events.changed)
        offered = [*methods.capabilities(self._services, rows, self.queue, quotas), *capabilities]
        self._dispatcher = Dispatcher(offered, self.counters)
        self._transfers = Transfers(self._services)
        self._answering: Counter[AccountId] = Counter()
        self._opened: set[AccountId] = set()
        self.router = self._routes()

    @property
    def counters(self) -> Counters:
        return self._services.counters

    @property
    def busiest(self) -> int:
        """Requests of one account at this moment, of the one that has most."""
        return max(self._answering.values(), default=0)

    @property
    def busiest_upload(self) -> int:
        return self._transfers.busiest

    async def start(self) -> None:
        await self.queue.start()
        self.events.start()

    async def stop(self) -> None:
        await self.events.stop()
        await self.queue.stop()

    # ── who ──

    async def _admit(self, request: Request, *, header_needed: bool = True) -> Guest:
        guest = await self.entrance.admit(request, header_needed=header_needed)
        await self._open(guest)
        return guest

    async def _open(self, guest: Guest) -> None:
        """An account whose first visit comes before its first letter has no mailboxes yet."""
        new = [each for each in self.entrance.reached(guest.identity) if each not in self._opened]
        if not new:
            return
        store = self._services.store

        def unopened(reader: Reader) -> list[AccountId]:
            return [each for each in new if not _is_open(reader, each)]

        def open_them(transaction: Transaction) -> None:
            for account in missing:
                transaction.open_account(account)

        try:
            missing = await store.read(unopened)
            if missing:
                await store.write(open_them)
        except StoreError:
            raise Refused("unavailable") from None
        self._opened.update(new)

    # ── API ──

    async def _api(self, request: Request, guest: Guest) -> Response:
        speaker = guest.identity.account
        if self._answering[speaker] >= self.settings.max_concurrent_requests:
            self.counters.crowded_requests += 1
            raise RequestError.beyond("maxConcurrentRequests")
        self._answering[speaker] += 1
        try:
            calls = await self._calls(request)
            turn = self.entrance.turn(guest, calls.using)
            turn.created.update(calls.created or {})
            responses = await self._dispatcher.run(calls, turn)
            state = self._session_state(request, guest)
            created = turn.created if calls.created is not None else None
            body = await encode(responses, state, created)
            return Response(body, 200, {"Cache-Control": "no-store"}, "application/json")
        finally:
            self._answering[speaker] -= 1
            if not self._answering[speaker]:
                del self._answering[speaker]

    async def _calls(self, request: Request) -> Calls:
        """Raises RequestError, Refused."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise RequestError.not_json()
        caps = self.settings.caps
        body = bytearray()
        try:
            async with asyncio.timeout(self.settings.request_seconds):
                async for piece in request.stream():
                    body += piece
                    if len(body) > caps.size_request:
                        raise RequestError.beyond("maxSizeRequest")
        except TimeoutError:
            raise Refused("too-slow") from None
        known = self._dispatcher.capabilities
        if len(body) <= _PARSED_INLINE:
            return parse_request(bytes(body), caps, known)
        return await asyncio.to_thread(parse_request, bytes(body), caps, known)

    def _session(self, request: Request, guest: Guest) -> dict[str, Any]:
        return session_object.session_object(
            guest.identity,
            (turn := self.entrance.turn(guest, frozenset())).accounts,
            self._dispatcher.capabilities.values(),
            site_of(request, self.settings).origin,
            turn.rights,
        )

    def _session_state(self, request: Request, guest: Guest) -> str:
        return self._session(request, guest)["state"]

    # ── routes ──

    def _routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)

        @router.get("/.well-known/jmap")
        @router.get("/jmap/session")
        async def session(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
            async def answer() -> Response:
                guest = await self._admit(request)
                body = encode_session(self._session(request, guest))
                return Response(body, 200, {"Cache-Control": "no-store"}, "application/json")

            return await self._answered(answer)

        @router.post("/jmap/api")
        async def api(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
            async def answer() -> Response:
                self.counters.requests += 1
                return await self._api(request, await self._admit(request))

            return await self._answered(answer)

        @router.post("/jmap/upload/{account}/")
        async def upload(request: Request, account: str) -> Response:  # pyright: ignore[reportUnusedFunction]
            async def answer() -> Response:
                guest = await self._admit(request)
                return await self._transfers.upload(request, self._turn(guest), guest, account)

            return await self._answered(answer)

        @router.get("/jmap/download/{account}/{blob}/{name:path}")
        async def download(request: Request, account: str, blob: str, name: str) -> Response:  # pyright: ignore[reportUnusedFunction]
            async def answer() -> Response:
                turn = self._turn(await self._admit(request))
                wanted = request.query_params.get("type", "")
                return await self._transfers.download(turn, account, blob, name, wanted)

            return await self._answered(answer)

        @router.get("/jmap/events")
        async def events(request: Request) -> Any:  # pyright: ignore[reportUnusedFunction]
            async def answer() -> Any:
                # EventSource sends no header of ours: the browser's own word must do.
                guest = await self._admit(request, header_needed=False)
                asked = request.query_params
                return self.events.admit(
                    guest,
                    asked.get("types", "*"),
                    asked.get("closeafter", "no"),
                    asked.get("ping", "0"),
                    request.headers.get("last-event-id"),
                )

            return await self._answered(answer)

        return router

    def _turn(self, guest: Guest) -> Turn:
        return self.entrance.turn(guest, frozenset())

    async def _answered(self, answer: Callable[[], Any]) -> Any:
        try:
            return await answer()
        except RequestError as error:
            self.counters.refused_requests += 1
            return problems.of_request(error)
        except Refused as refused:
            self.counters.refused_requests += 1
            return refused.response()
        except ClientDisconnect:
            return Response(status_code=400)


def _is_open(reader: Reader, account: AccountId) -> bool:
    try:
        reader.mailbox_by_use(account, SpecialUse.INBOX)
    except (NoSuchAccount, NoSuchMailbox):
        return False
    return True
