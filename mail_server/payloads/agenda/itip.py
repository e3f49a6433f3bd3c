"""The engine of iTIP (RFC 5546) for one person: appointments by UID, messages in, events and messages out.

The rules stand in `receiving` (a table of them), `standing` (what is held says), `attending` and `organising` (what
is sent), as pure functions; here is who holds what. No input, no output, no clock. Invariant: an appointment changes by
`receive` and by one's own acts alone, and each act's messages are those that bring the others to the same state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from mail_server.payloads.agenda import attending, organising
from mail_server.payloads.agenda.model import (
    AgendaRefused,
    Appointment,
    Component,
    Event,
    Made,
    Me,
    Message,
    Outgoing,
    When,
)
from mail_server.payloads.agenda.receiving import receive

APPOINTMENTS = 20_000


class Engine:
    """One person's appointments. `now` is always milliseconds since 1970."""

    def __init__(self, me: Me, appointments: Iterable[Appointment] = ()) -> None:
        self.me = me
        self._held = {one.uid: one for one in appointments}

    @property
    def appointments(self) -> Mapping[str, Appointment]:
        return MappingProxyType(self._held)

    def receive(self, message: Message) -> tuple[Event, ...]:
        """What a message came to; never raises."""
        if not message.components:
            return (Event("refused", reason="empty"),)
        uid = message.components[0].uid
        if any(one.uid != uid for one in message.components):
            return (Event("refused", uid, reason="uids"),)
        held = self._held.get(uid)
        if held is None and len(self._held) >= APPOINTMENTS:
            return (Event("refused", uid, reason="too-many"),)
        made = receive(held, message, self.me)
        if made.appointment is not None:
            self._held[uid] = made.appointment
        return made.events

    def organise(self, component: Component, now: int) -> tuple[Outgoing, ...]:
        if component.uid in self._held:
            raise AgendaRefused("uid")
        return self._done(organising.organise(component, self.me, now))

    def change(self, component: Component, now: int) -> tuple[Outgoing, ...]:
        return self._done(organising.change(self._of(component.uid), component, self.me, now))

    def add(self, component: Component, now: int) -> tuple[Outgoing, ...]:
        return self._done(organising.add(self._of(component.uid), component, self.me, now))

    def cancel(self, uid: str, now: int, **how: Any) -> tuple[Outgoing, ...]:
        return self._done(organising.cancel(self._of(uid), self.me, now, **how))

    def answer(self, uid: str, status: str, now: int, **how: Any) -> tuple[Outgoing, ...]:
        return self._done(attending.answer(self._of(uid), status, self.me, now, **how))

    def propose(self, uid: str, start: When, end: When | None, now: int, **how: Any) -> tuple[Outgoing, ...]:
        return self._done(attending.propose(self._of(uid), start, end, self.me, now, **how))

    def decline_counter(self, uid: str, address: str, now: int, **how: Any) -> tuple[Outgoing, ...]:
        return self._done(organising.decline_counter(self._of(uid), address, self.me, now, **how))

    def accept_counter(self, uid: str, address: str, now: int, **how: Any) -> tuple[Outgoing, ...]:
        return self._done(organising.accept_counter(self._of(uid), address, self.me, now, **how))

    def admit(self, uid: str, address: str, now: int) -> tuple[Outgoing, ...]:
        return self._done(organising.admit(self._of(uid), address, self.me, now))

    def refreshed(self, uid: str, address: str, now: int) -> tuple[Outgoing, ...]:
        return self._done(organising.refreshed(self._of(uid), address, self.me, now))

    def refresh(self, uid: str, now: int, *, organiser: str = "") -> tuple[Outgoing, ...]:
        """Asks for all of an appointment; `organiser` tells whom, where nothing of it is held."""
        held = self._held.get(uid) or attending.unheard(uid, organiser)
        made = attending.refresh(held, self.me, now)
        if uid in self._held:
            self._held[uid] = made.appointment
        return made.outgoing

    def _of(self, uid: str) -> Appointment:
        held = self._held.get(uid)
        if held is None:
            raise AgendaRefused("unknown")
        return held

    def _done(self, made: Made) -> tuple[Outgoing, ...]:
        self._held[made.appointment.uid] = made.appointment
        return made.outgoing
