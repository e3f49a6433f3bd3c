"""The node's counters for Prometheus, on this machine only.

Invariants: counting costs the doors an integer, read when somebody asks; labels and values never name a person,
an address or a message; a listener that others could reach is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from deploy.node.https import Listener, WebServer, application
from deploy.node.metric_words import words_of
from mail_server.accounts.networks import is_this_machine

_log = logging.getLogger("vaguemestre.node")
_PREFIX = "vaguemestre"


class Metrics(Collector):
    """Callables that read counters, turned into Prometheus families when asked.

    metrics.counters("smtp", lambda: door.counters)
    metrics.counters("imap", lambda: door.counters, gauges={"open"})
    metrics.gauge("smtp_bytes_in_flight", "Mail held in memory now.", lambda: door.bytes_in_flight)
    metrics.looked_up({"held": "Letters that wait for their time."}, look)  # what must be asked of the database
    """

    def __init__(self) -> None:
        self._readers: list[Callable[[], Iterator[Metric]]] = []
        self._lookups: list[Callable[[], Awaitable[None]]] = []
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def counters(self, part: str, read: Callable[[], Any], gauges: Iterable[str] = ()) -> None:
        """Show every integer of the dataclass that `read` gives: `vaguemestre_<part>_<field>_total`.

        Fields named in `gauges` can fall: they are shown as gauges.
        """
        falling = frozenset(gauges)

        def families() -> Iterator[Metric]:
            values = read()
            if not is_dataclass(values):
                raise TypeError(f"counters of {part} are not a dataclass")
            for field in fields(values):
                value = getattr(values, field.name)
                if isinstance(value, bool) or not isinstance(value, int | float):
                    continue
                name, words = f"{_PREFIX}_{part}_{field.name}", words_of(part, field.name)
                if field.name in falling:
                    yield GaugeMetricFamily(name, words, value)
                else:
                    yield CounterMetricFamily(name, words, value)

        self._readers.append(families)

    def gauge(self, name: str, words: str, read: Callable[[], float]) -> None:
        """Show one number that may fall."""
        self._readers.append(lambda: iter((GaugeMetricFamily(f"{_PREFIX}_{name}", words, read()),)))

    def families(self, read: Callable[[], Iterator[Metric]]) -> None:
        """Show what `read` makes: families with labels."""
        self._readers.append(read)

    def looked_up(self, words: Mapping[str, str], look: Callable[[], Awaitable[Mapping[str, float]]]) -> None:
        """Show what `look` finds, at each scrape; what it cannot find is left out, rather than shown as it was."""
        found: dict[str, float] = {}

        async def again() -> None:
            found.clear()
            found.update(await look())

        def families() -> Iterator[Metric]:
            for name, value in found.items():
                yield GaugeMetricFamily(f"{_PREFIX}_{name}", words[name], value)

        self._lookups.append(again)
        self._readers.append(families)

    async def refresh(self) -> None:
        """Look up what no counter knows. A part that cannot be asked now keeps the others from nobody."""
        for look in self._lookups:
            try:
                await look()
            except Exception as failure:  # its words may hold what was asked for
                _log.error("a part of the metrics cannot be read: %s", type(failure).__name__)

    def collect(self) -> Iterator[Metric]:
        for families in self._readers:
            yield from families()

    def text(self) -> bytes:
        """The exposition, as Prometheus scrapes it: the doors, then what packages count themselves, and the process."""
        return generate_latest(self._registry) + generate_latest(REGISTRY)

    def router(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)

        @router.get("/metrics")
        async def metrics() -> Response:  # pyright: ignore[reportUnusedFunction]
            await self.refresh()
            return Response(self.text(), headers={"content-type": CONTENT_TYPE_LATEST})

        return router

    def server(self, port: int, host: str = "127.0.0.1") -> WebServer:
        """What serves `/metrics`. Raises ValueError for an address that others could reach."""
        if not is_this_machine(host):
            raise ValueError(f"metrics are for this machine only, not for {host}")
        return WebServer(application([self.router()]), Listener(host, port))
