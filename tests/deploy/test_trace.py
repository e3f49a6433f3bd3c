"""Events wait in memory while the store takes none: up to a bound, before which the doors are told."""

from __future__ import annotations

from typing import Any, cast

import pytest

from deploy.node import trace
from deploy.node.trace import Trace
from mail_server.store.interface import NoSpace
from policies.interface import Event


class Store:
    """Takes nothing until it has space."""

    def __init__(self) -> None:
        self.space = False
        self.written: list[Event] = []

    async def write(self, operation: Any) -> None:
        if not self.space:
            raise NoSpace
        operation(cast(Any, self))

    @property
    def sql(self) -> Any:
        return self


class Trail:
    def append(self, sql: Store, events: list[Event]) -> None:
        sql.written += events


async def test_a_trace_that_nears_its_bound_says_so_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(trace, "_FULL", 5)
    monkeypatch.setattr(trace, "_MOST_WAITING", 7)
    store = Store()
    found = Trace(cast(Any, store), cast(Any, Trail()))
    events = [Event("read", number, "a") for number in range(9)]
    for number, event in enumerate(events[:7]):
        assert found.full() is (number >= 5)
        found.note([event])
    assert found.lost == 0
    found.note(events[7:])
    assert found.lost == 2
    store.space = True
    await found.stop()
    assert store.written == events[:7]
    assert not found.full()


async def test_who_asks_finds_what_was_noted_before_the_question() -> None:
    store = Store()
    store.space = True
    found = Trace(cast(Any, store), cast(Any, Trail()))
    found.note([Event("refuse", 1, "a")])
    assert store.written == []
    await found.settle()
    assert store.written == [Event("refuse", 1, "a")]
