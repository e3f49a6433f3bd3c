"""How letters that leave stand: for the metrics, `doctor` and `check`.

Invariants: numbers and slugs alone, no address, no reference; the queue is counted when somebody asks, in the store's
own threads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prometheus_client.core import CounterMetricFamily, Metric

from deploy.node.composition import Node
from deploy.node.control import CommandFailed, NodeDown, ask
from deploy.node.finding import Finding
from deploy.node.home import Home
from mail_server.outbound import administration
from mail_server.outbound.client.counters import Connections
from mail_server.outbound.rows import Wraps
from mail_server.store.interface import Reader

SHOWN: Mapping[str, str] = {
    "outbound_waiting": "Letters that wait to leave.",
    "outbound_leased": "Letters being handed over, or next.",
    "outbound_held": "Letters held by an administrator.",
    "outbound_oldest_seconds": "Age of the oldest letter that has not left.",
    "outbound_domains_failing": "Domains whose servers give no connection now.",
}
_SUBJECT = "outbound queue"
_PATIENCE = 4 * 3_600_000  # ms
_STUCK = 15 * 60_000


async def shown(node: Node, now: int) -> Mapping[str, float]:
    depth = await node.store.read(lambda reader: administration.depth(reader.sql))
    dispatcher = node.outbound.dispatcher
    return {
        "outbound_waiting": float(depth.waiting),
        "outbound_leased": float(depth.leased),
        "outbound_held": float(depth.held),
        "outbound_oldest_seconds": 0.0 if depth.oldest is None else max(0.0, (now - depth.oldest) / 1000),
        "outbound_domains_failing": float(dispatcher.domains_failing if dispatcher is not None else 0),
    }


def connections(node: Node) -> Connections:
    client = node.outbound.client
    return client.connections if client is not None else Connections()


def families(node: Node) -> Iterator[Metric]:
    """What the dispatcher and the client counted by word."""
    counters, client = node.outbound.counters, node.outbound.client
    yield _family(
        "deliveries", "Recipients reached, by who can read the letter.", "readable", counters.delivered
    )
    yield _family("refusals", "Recipients refused for good, by reason.", "reason", counters.refused)
    yield _family("deferrals", "Recipients put off, by reason.", "reason", counters.deferred)
    if client is not None:
        yield _family(
            "connection_failures",
            "Connections that did not come about, by reason.",
            "reason",
            client.connections.failures,
        )


def _family(name: str, words: str, label: str, counted: Counter[str]) -> Metric:
    family = CounterMetricFamily(f"vaguemestre_outbound_{name}", words, labels=[label])
    for value, many in sorted(counted.items()):
        family.add_metric([value], many)
    return family


# -- doctor


async def running_queue(home: Path) -> Finding:
    try:
        found: dict[str, Any] = await ask(Home(home).control_socket, "queue_standing", {})
    except (NodeDown, CommandFailed):
        return Finding(_SUBJECT, "warning", "It could not be asked whether letters leave.")
    return standing_finding(found)


def standing_finding(found: dict[str, Any]) -> Finding:
    many = found["waiting"] + found["leased"] + found["held"]
    age = 0 if found["oldest"] is None else found["now"] - found["oldest"]
    if not many:
        return Finding(_SUBJECT, "good", "Nothing waits to leave.")
    if not found["dispatching"]:
        return Finding(
            _SUBJECT,
            "failed",
            f"{many} letters wait and nothing hands them over: is [outbound] enabled, with certificate and client_ca?",
        )
    overdue = 0 if found["due"] is None else found["now"] - found["due"]
    if overdue > _STUCK:
        return Finding(
            _SUBJECT,
            "failed",
            f"{many} letters wait, and one is due since {_hours(overdue)}: the node's log says what stands in the way.",
        )
    words = f"{many} letters wait, the oldest for {_hours(age)}"
    if found["failing"]:
        words += f"; {found['failing']} domains do not answer"
    if found["held"]:
        words += f"; {found['held']} are held"
    return Finding(_SUBJECT, "warning" if age > _PATIENCE else "good", words + ".")


def _hours(ms: int) -> str:
    minutes = ms // 60_000
    return f"{minutes // 60} h {minutes % 60:02d}"


# -- check


async def faults(node: Node) -> list[dict[str, Any]]:
    """What `check` says of the queue's rows, in its form."""

    wraps = Wraps(node.keys)

    def read(reader: Reader) -> list[dict[str, Any]]:
        rows = [(f"letter {number}", words) for number, words in administration.check(reader.sql, wraps)]
        rows += [(f"queued {name}", "waits for no letter") for name in administration.nobody_s(reader.sql)]
        return [
            {"kind": "queue", "where": where, "sentence": words, "harmless": False} for where, words in rows
        ]

    return await node.store.read(read)
