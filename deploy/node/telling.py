"""What senders are told, put together: reports owed by queue and delivery, filed by delivery or laid into the queue.

Invariants: made before delivery, which it tells through; told only while the doors are open.
"""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from deploy.node.config import Config
from deploy.node.outbound import Outbound
from mail_server.accounts.interface import Accounts
from mail_server.delivery.receipts import Notifies
from mail_server.delivery.reported import FiledReports
from mail_server.keys.interface import KeyWrapper
from mail_server.outbound.reports.owed import Reports, Sign
from mail_server.store.interface import Store
from mail_server.store.model import AccountId
from policies.interface import AuditTrail


def reports_of(
    config: Config,
    outbound: Outbound,
    *,
    store: Store,
    accounts: Accounts,
    keys: KeyWrapper,
    trail: AuditTrail,
    clock: Callable[[], int],
    meant: Callable[[AccountId, str], tuple[str, ...]],
) -> Reports:
    """The queue tells them what became of letters from now on."""
    made = Reports(
        store=store,
        accounts=accounts,
        keys=keys,
        trail=trail,
        domain=config.accounts.domains[0],
        clock=clock,
        zone=ZoneInfo(config.reports.time_zone),
        meant=meant,
    )
    outbound.owing.append(made)
    outbound.reports = made
    return made


def tell_through(reports: Reports, outbound: Outbound, delivery: Notifies, sign: Sign) -> None:
    reports.tell_through(FiledReports(delivery), outbound.queue, sign)
