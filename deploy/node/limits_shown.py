"""Every limit of the node in one view: the rates, and what the doors count themselves; for Prometheus and the console.

Invariants: numbers alone: no account, address or operator is named; a limit is shown under the name its key has in
`[limits]`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from deploy.node.composition import Node
from mail_server.accounts.throttle import Throttle
from mail_server.imap.server import ImapDoor
from mail_server.jmap.door import JmapDoor
from mail_server.smtp.server import SmtpDoor
from policies.limits.limits import Limits, Watched


def watch_doors(node: Node, smtp: SmtpDoor, imap: ImapDoor, jmap: JmapDoor) -> None:
    """Once the doors are made."""
    _watch_node(node)
    limits, wanted = node.limits, node.config.limits
    limits.watch(
        "smtp_connections",
        wanted.smtp_connections,
        lambda: Watched(smtp.open_connections, smtp.counters.connections, smtp.counters.connections_refused),
    )
    limits.watch(
        "smtp_connections_of_place",
        wanted.smtp_connections_of_place,
        lambda: Watched(smtp.fullest_place, smtp.counters.connections, smtp.counters.connections_refused),
    )
    limits.watch(
        "imap_connections",
        wanted.imap_connections,
        lambda: Watched(imap.counters.open, imap.counters.accepted, imap.counters.turned_away),
    )
    limits.watch(
        "imap_connections_of_place",
        wanted.imap_connections_of_place,
        lambda: Watched(imap.limits.fullest_place, imap.counters.accepted, imap.counters.turned_away),
    )
    limits.watch(
        "imap_connections_of_account",
        wanted.imap_connections_of_account,
        lambda: Watched(imap.limits.fullest_account, imap.counters.logins, imap.counters.crowded_accounts),
    )
    limits.watch(
        "requests_of_account",
        wanted.requests_of_account,
        lambda: Watched(jmap.busiest, jmap.counters.requests, jmap.counters.crowded_requests),
    )
    limits.watch(
        "uploads_of_account",
        wanted.uploads_of_account,
        lambda: Watched(jmap.busiest_upload, jmap.counters.uploads, jmap.counters.crowded_uploads),
    )
    limits.watch(
        "listeners",
        wanted.listeners,
        lambda: Watched(jmap.counters.listeners, jmap.counters.listeners, jmap.counters.crowded_listeners),
    )


def _watch_node(node: Node) -> None:
    """What several doors share."""
    limits, wanted = node.limits, node.config.limits
    throttles = {"mail": node.authenticator.throttle, **node.page.throttles}
    for name, throttle in throttles.items():
        limits.watch(f"failed_logins_{name}", 0, _failures(throttle))
    limits.watch(
        "lookups_per_minute",
        wanted.lookups_per_minute,
        lambda: Watched(0, node.page.counters.lookups, node.page.counters.crowded_lookups),
    )
    limits.watch(
        "account_quota",
        wanted.account_quota,
        lambda: Watched(node.delivery.quota.fullest, node.delivery.quota.asked, node.delivery.quota.refused),
    )


def _failures(throttle: Throttle) -> Callable[[], Watched]:
    """Here "refused" is who had to wait for the answer."""
    return lambda: Watched(throttle.suspects, throttle.failures, throttle.slowed)


def families(limits: Limits) -> Iterator[Metric]:
    """As Prometheus wants them: one family each, with the limit's name as its label."""
    most = GaugeMetricFamily("vaguemestre_limit", "What a limit allows; 0: no limit.", labels=["limit"])
    used = GaugeMetricFamily(
        "vaguemestre_limit_used", "What the one nearest to a limit has taken of it now.", labels=["limit"]
    )
    taken = CounterMetricFamily("vaguemestre_limit_taken", "What was taken in all.", labels=["limit"])
    refused = CounterMetricFamily(
        "vaguemestre_limit_refused", "Refused for the time being, or made to wait.", labels=["limit"]
    )
    for one in limits.standings():
        most.add_metric([one.name], one.limit)
        used.add_metric([one.name], one.fullest)
        taken.add_metric([one.name], one.taken)
        refused.add_metric([one.name], one.refused)
    return iter((most, used, taken, refused))
