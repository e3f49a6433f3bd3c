"""EventSource: that something changed, never what, to who may still know (RFC 8620 §7.3)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import pytest

from mail_server.jmap import events as events_module
from mail_server.jmap.settings import JmapSettings
from tests.mail_server.jmap.conftest import ALICE, BOB, PATIENT, WARD, build, file_verbatim


class Stream:
    """One open event source, read event by event."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.leave = asyncio.Event()
        self.takes = asyncio.Event()
        self.takes.set()
        self.status = 0
        self.buffer = ""
        self.ended = False

    async def receive(self) -> dict[str, Any]:
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        await self.takes.wait()
        self.sent.put_nowait(message)

    async def piece(self, seconds: float) -> None:
        message = await asyncio.wait_for(self.sent.get(), seconds)
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.buffer += message.get("body", b"").decode()
            self.ended = self.ended or not message.get("more_body", False)

    async def event(self, seconds: float = 60) -> dict[str, str]:
        """The next event's fields."""
        while True:
            block, found, rest = self.buffer.partition("\n\n")
            if found:
                self.buffer = rest
                if not block.startswith(":"):
                    return dict(line.split(": ", 1) for line in block.split("\n"))
            else:
                assert not self.ended, "the stream ended"
                await self.piece(seconds)

    async def changed(self) -> dict[str, dict[str, str]]:
        event = await self.event()
        assert event["event"] == "state"
        told = json.loads(event["data"])
        assert told["@type"] == "StateChange"
        return told["changed"]

    async def silence(self, seconds: float = 0.3) -> None:
        with pytest.raises(TimeoutError):
            await self.event(seconds)

    async def end(self, seconds: float = 60) -> None:
        while not self.ended:
            await self.piece(seconds)


@asynccontextmanager
async def listening(
    world: Any, client: Any, headers: dict[str, str] | None = None, **query: str
) -> AsyncIterator[Stream]:
    before = world.door.counters.listeners
    stream, task = opened(world, client, headers, **query)
    await stream.piece(60)
    while stream.status == 200 and world.door.counters.listeners == before and not task.done():
        await asyncio.sleep(0.005)
    try:
        yield stream
    finally:
        stream.leave.set()
        await asyncio.wait_for(task, 60)


def opened(
    world: Any, client: Any, headers: dict[str, str] | None = None, **query: str
) -> tuple[Stream, asyncio.Task[None]]:
    stream = Stream()
    asked = urlencode({"types": "*", "closeafter": "no", "ping": "0"} | query)
    sent = client.headers if headers is None else headers
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "https",
        "path": "/jmap/events", "raw_path": b"/jmap/events", "query_string": asked.encode(), "root_path": "",
        "headers": [(b"host", b"mail.example"), *((k.encode(), v.encode()) for k, v in sent.items())],
        "client": ("192.0.2.7", 4711), "server": ("mail.example", 443),
    }  # fmt: skip
    return stream, asyncio.create_task(world.app(scope, stream.receive, stream.send))


async def test_a_new_letter_is_told_by_its_states(world: Any, alice: Any):
    async with listening(world, alice) as stream:
        await world.file(ALICE)
        changed = await stream.changed()
        assert set(changed) == {ALICE}
        assert set(changed[ALICE]) == {"Email", "Thread", "Mailbox", "EmailDelivery"}
        assert changed[ALICE]["Email"] == (await alice("Email/get", ids=[]))["state"]
        assert changed[ALICE]["Mailbox"] == (await alice("Mailbox/get", ids=[]))["state"]


async def test_who_has_seen_the_answer_begin_is_told_of_every_letter_from_then_on(
    world: Any, alice: Any, monkeypatch: pytest.MonkeyPatch
):
    """However long the node takes to look how the account stands."""
    go, look = asyncio.Event(), world.door.events._states

    async def late(account: Any, before: Any) -> Any:
        await go.wait()
        return await look(account, before)

    monkeypatch.setattr(world.door.events, "_states", late)
    stream, task = opened(world, alice)
    for _ in range(20):
        await asyncio.sleep(0.01)
        if not stream.sent.empty():
            break
    else:
        go.set()
    await stream.piece(60)
    await world.file(ALICE)
    go.set()
    assert set((await stream.changed())[ALICE]) == {"Email", "Thread", "Mailbox", "EmailDelivery"}
    stream.leave.set()
    await asyncio.wait_for(task, 60)


async def test_a_keyword_is_no_delivery(world: Any, alice: Any):
    email = await world.file(ALICE)
    async with listening(world, alice) as stream:
        await alice("Email/set", update={email: {"keywords/$seen": True}})
        assert set((await stream.changed())[ALICE]) == {"Email", "Thread", "Mailbox"}


async def test_only_the_types_asked_for_are_told(world: Any, alice: Any):
    email = await world.file(ALICE)
    async with listening(world, alice, types="EmailDelivery,Nonsense") as stream:
        await alice("Email/set", update={email: {"keywords/$seen": True}})
        await stream.silence()
        await world.file(ALICE)
        assert set((await stream.changed())[ALICE]) == {"EmailDelivery"}


async def test_shared_accounts_are_told_and_others_are_not(world: Any, alice: Any):
    async with listening(world, alice) as stream:
        await world.file(BOB)
        await stream.silence()
        await world.file(WARD)
        assert set(await stream.changed()) == {WARD}


async def test_a_submission_is_told(world: Any, alice: Any):
    email = await world.file(ALICE)
    envelope = {
        "mailFrom": {"email": "alice@example.org", "parameters": {"HOLDFOR": "600"}},
        "rcptTo": [{"email": "bob@example.org"}],
    }
    async with listening(world, alice) as stream:
        wanted = {"identityId": ALICE, "emailId": email, "envelope": envelope}
        await alice("EmailSubmission/set", create={"k": wanted})
        assert set((await stream.changed())[ALICE]) == {"EmailSubmission"}


async def test_a_change_of_the_used_octets_is_told(world: Any, alice: Any):
    world.post.limit = 1000
    async with listening(world, alice, types="Quota") as stream:
        world.post.used = 500
        await world.file(ALICE)
        assert (await stream.changed())[ALICE] == {"Quota": "1000-500"}


async def test_many_changes_at_once_are_told_together(world: Any, alice: Any):
    async with listening(world, alice) as stream:
        await asyncio.gather(*(world.file(ALICE) for _ in range(20)))
        last: dict[str, Any] = {}
        count = 0
        state = (await alice("Email/get", ids=[]))["state"]
        while last.get(ALICE, {}).get("Email") != state:
            last = await stream.changed()
            count += 1
        assert count < 10


async def test_closing_after_the_first_state(world: Any, alice: Any):
    async with listening(world, alice, closeafter="state") as stream:
        await world.file(ALICE)
        await stream.changed()
        await stream.end()


async def test_what_was_missed_is_told_to_who_comes_back(world: Any, alice: Any):
    async with listening(world, alice) as stream:
        await world.file(ALICE)
        last = (await stream.event())["id"]
    again = {**alice.headers, "last-event-id": last}
    async with listening(world, alice, again) as stream:
        await stream.silence()
    await world.file(ALICE)
    async with listening(world, alice, again) as stream:
        assert "Email" in (await stream.changed())[ALICE]


@pytest.mark.parametrize("last", ["x", "!!!", "e30", "bnVsbA", "W10", "eyJhIjoxfQ", "A" * 9000])
async def test_an_event_id_that_is_not_ours_is_none(world: Any, alice: Any, last: str):
    async with listening(world, alice, {**alice.headers, "last-event-id": last}) as stream:
        assert stream.status == 200


async def test_pings_come_by_their_interval(world: Any, alice: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(events_module, "SHORTEST_PING", 1)
    monkeypatch.setattr(events_module, "SWEEP_SECONDS", 0.05)
    await world.door.events.stop()
    world.door.events._stopping = False
    world.door.events.start()
    async with listening(world, alice, ping="1") as stream:
        begun = time.monotonic()
        event = await stream.event()
        assert (event["event"], event["data"]) == ("ping", '{"interval":1}')
        assert time.monotonic() - begun > 0.8


@pytest.mark.parametrize("query", [{"closeafter": "x"}, {"ping": "-1"}, {"ping": "x"}, {"ping": "9" * 10}])
async def test_malformed_questions_are_refused(world: Any, alice: Any, query: dict[str, str]):
    async with listening(world, alice, **query) as stream:
        assert stream.status == 400


# ── who may listen ──


async def test_a_page_listens_without_our_header_by_the_browsers_word(world: Any):
    page = world.page()
    headers = {"cookie": page.headers["cookie"], "sec-fetch-site": "same-origin"}
    async with listening(world, page, headers) as stream:
        assert stream.status == 200
        await world.file(PATIENT)
        assert set(await stream.changed()) == {PATIENT}
    for site in ("cross-site", "same-site", "none"):
        async with listening(world, page, headers | {"sec-fetch-site": site}) as stream:
            assert stream.status == 403
    async with listening(world, page, {"cookie": page.headers["cookie"]}) as stream:
        assert stream.status == 403


async def test_an_event_source_of_nobody_is_refused(world: Any, alice: Any):
    async with listening(world, alice, {}) as stream:
        assert stream.status == 401


@pytest.mark.parametrize("how", ["session", "account", "member"])
async def test_a_listener_is_cut_when_its_right_ends(
    world: Any, alice: Any, monkeypatch: pytest.MonkeyPatch, how: str
):
    monkeypatch.setattr(events_module, "SWEEP_SECONDS", 0.05)
    await world.door.events.stop()
    world.door.events._stopping = False
    world.door.events.start()
    page = world.page()
    headers = {"cookie": page.headers["cookie"], "sec-fetch-site": "same-origin"}
    client, sent = (page, headers) if how == "session" else (alice, alice.headers)
    async with listening(world, client, sent) as stream:
        match how:
            case "session":
                world.cookies.by.clear()
            case "account":
                world.book.change(ALICE, suspended=True)
            case _:
                world.book.change(WARD, members=())
        await stream.end()


async def test_a_revoked_password_ends_its_listeners(world: Any, alice: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(events_module, "SWEEP_SECONDS", 0.05)
    await world.door.events.stop()
    world.door.events._stopping = False
    world.door.events.start()
    async with listening(world, alice) as stream:
        world.book.revoked.add("app-alice@example.org")
        await stream.end()


async def test_listeners_are_counted_and_bounded(store: Any):
    world = build(store, JmapSettings(max_listeners_per_account=2))
    await world.door.start()
    client = world.program()
    async with listening(world, client), listening(world, client):
        async with listening(world, client) as third:
            assert third.status == 429
        async with listening(world, world.program("bob@example.org")) as other:
            assert other.status == 200
        assert world.door.counters.listeners == 2
    assert world.door.counters.listeners == 0
    assert world.door.events._stations == {}
    await world.door.stop()
    await world.http.aclose()


async def test_a_client_that_takes_nothing_holds_up_nobody(world: Any, alice: Any):
    async with listening(world, alice) as slow, listening(world, alice) as quick:
        slow.takes.clear()
        await world.file(ALICE)
        await quick.changed()
        for _ in range(3):
            await file_verbatim(world.store, ALICE, b"Subject: x\r\n\r\n")
            await quick.changed()
        slow.takes.set()
        state = (await alice("Email/get", ids=[]))["state"]
        last: dict[str, Any] = {}
        while last.get(ALICE, {}).get("Email") != state:
            last = await slow.changed()


async def test_stopping_ends_all_listeners(world: Any, alice: Any):
    async with listening(world, alice) as stream:
        await world.door.events.stop()
        await stream.end()


# ── wakes ──


async def test_a_wake_says_that_a_time_has_come_and_nothing_else(world: Any, alice: Any):
    async with listening(world, alice, types="Mailbox") as stream:
        world.door.events.wake([ALICE])
        assert await stream.event() == {"event": "wake", "data": "{}"}


async def test_a_wake_is_for_the_own_pages_of_an_account_not_for_who_reads_along(world: Any, alice: Any):
    async with listening(world, alice) as stream:
        world.door.events.wake([WARD, BOB])
        await stream.silence()


async def test_who_comes_back_after_a_wake_that_was_missed_is_told_at_once(world: Any, alice: Any):
    async def missed(account: Any) -> bool:
        return account == ALICE

    world.door.events.just_passed = missed
    async with listening(world, alice) as stream:
        assert (await stream.event())["event"] == "wake"
