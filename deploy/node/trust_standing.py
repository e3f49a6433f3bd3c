"""How the trust space stands, for the metrics.

Invariant: numbers alone: no operator and no domain is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from deploy.node.composition import Node, now
from policies.trust_list.standing import Age

_AGES = {Age.YOUNG: 0, Age.OLD: 1, Age.DEAD: 2}


def families(node: Node) -> Iterator[Metric]:
    space, peers, revocation = node.trust.space, node.trust.peers, node.trust.revocation
    yield _gauge(
        "trust_list_rows", "Rows of the trust list in force.", len(space.listing.rows) if space.listing else 0
    )
    yield _gauge(
        "trust_list_state", "0: in force; 1: refuses operators never met; 2: refuses all.", _AGES[space.age]
    )
    if space.confirmed_at is not None:
        age = max(0, now() - space.confirmed_at) / 1000
        yield _gauge("trust_list_age_seconds", "Since the authority last confirmed the list.", age)
    held = sum(not each.refused for each in space.held)
    yield _gauge("trust_list_held_changes", "Changes of the list that wait.", held)
    yield _gauge("known_peers", "Operators that were met.", len(node.trust.known))
    yield from _counters("trust_list", space.counters)
    yield from _counters("revocation", revocation.counters)
    if (asked := revocation.asked) is not None:
        yield from _counters("ocsp", asked)
    if (oldest := revocation.oldest()) is not None:
        age = max(0, now() - oldest) / 1000
        yield _gauge("revocation_list_age_seconds", "Since the list read longest ago was read.", age)
    judged = CounterMetricFamily("vaguemestre_peers_judged", "Judgements of other operators.")
    judged.add_metric([], peers.counters.judged)
    yield judged
    refused = CounterMetricFamily(
        "vaguemestre_peers_refused", "Other operators refused, by reason.", labels=["reason"]
    )
    for reason, number in sorted(peers.counters.refused.items()):
        refused.add_metric([reason], number)
    yield refused


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(f"vaguemestre_{name}", words, value)


def _counters(part: str, counters: object) -> Iterator[Metric]:
    for field in fields(counters):  # pyright: ignore[reportArgumentType]
        words = f"{part.replace('_', ' ')}: {field.name.replace('_', ' ')}"
        yield CounterMetricFamily(f"vaguemestre_{part}_{field.name}", words, getattr(counters, field.name))
