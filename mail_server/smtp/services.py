"""What the sessions of one door share.

Invariants: events and log lines carry ids and slugs, never an address, a subject or a byte of a message.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mail_server.accounts.interface import Accounts, Authenticator
from mail_server.delivery.interface import Delivery, Road
from mail_server.smtp.limits import ByteBudget, ConnectionGate
from mail_server.smtp.settings import SmtpSettings

log = logging.getLogger("vaguemestre.smtp")


_EVERYDAY = frozenset({"connected", "secured", "authenticated", "accepted", "closed"})


@dataclass(slots=True)
class Counters:
    """What the door has done since it opened; `deploy` exports them."""

    connections: int = 0
    connections_refused: int = 0
    handshakes_failed: int = 0
    logins: int = 0
    logins_failed: int = 0
    messages_accepted: int = 0
    messages_refused: int = 0
    recipients_accepted: int = 0
    recipients_refused: int = 0
    bytes_received: int = 0
    malformed_messages: int = 0
    oversize_messages: int = 0
    memory_refusals: int = 0
    slow_senders: int = 0
    timeouts: int = 0
    out_of_turn: int = 0
    internal_errors: int = 0


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """One thing that happened to a session:

    `connected`, `secured`, `authenticated`, `accepted`, `refused`, `closed`.
    """

    session: str
    road: Road
    name: str
    detail: str = ""  # a slug or an opaque id


class Watched(Protocol):
    """A live session, as the door's clock and its stop see it."""

    def watch(self, now: float) -> None: ...
    def retire(self) -> None: ...
    def interrupt(self) -> None: ...
    async def finished(self) -> None: ...


@dataclass(slots=True)
class Services:
    settings: SmtpSettings
    delivery: Delivery
    authenticator: Authenticator
    accounts: Accounts
    tls: Mapping[Road, ssl.SSLContext]
    gate: ConnectionGate
    budget: ByteBudget
    counters: Counters = field(default_factory=Counters)
    on_event: Callable[[SessionEvent], None] | None = None
    stopping: bool = False
    sessions: set[Watched] = field(default_factory=set[Watched])

    def event(self, event: SessionEvent) -> None:
        # Each letter and each session is in the trace already; the log is for what an administrator must see.
        level = logging.DEBUG if event.name in _EVERYDAY else logging.INFO
        if log.isEnabledFor(level):
            log.log(level, "session %s %s %s %s", event.session, event.road.value, event.name, event.detail)
        if self.on_event is not None:
            self.on_event(event)
