"""What an appointment held says at this moment: which component governs, who answered what, what is still open.

All of it is worked out when asked, from the latest of everything seen, so that the order in which messages came
changes nothing. Invariants: pure; a cancelled occurrence is a bare component, whatever was known of it before.
"""

from __future__ import annotations

from dataclasses import replace

from mail_server.payloads.agenda.model import Appointment, Attendee, Component, Held, Proposal, Reply


def override(appointment: Appointment, key: str) -> Held | None:
    return next((one for one in appointment.overrides if one.component.key == key), None)


def governing(appointment: Appointment, key: str) -> Held | None:
    """What rules one occurrence: its own component, else the latest "this and future" before it, else the series."""
    own = override(appointment, key) if key else None
    if own is not None:
        return own
    if key:
        earlier = [one for one in appointment.overrides if one.component.future and one.component.key <= key]
        if earlier:
            return max(earlier, key=lambda one: one.component.key)
    return appointment.master


def top(appointment: Appointment) -> int:
    """The highest SEQUENCE of anything held."""
    every = [*appointment.overrides, *appointment.added]
    if appointment.master is not None:
        every.append(appointment.master)
    return max((one.sequence for one in every), default=-1)


def recurring(appointment: Appointment) -> bool:
    master = appointment.master
    return master is not None and bool(
        master.component.rule or master.component.rdates or appointment.overrides or appointment.added
    )


def cancelled(appointment: Appointment, key: str = "") -> bool:
    """Whether the whole, or what governs one occurrence, is called off."""
    if appointment.master is not None and appointment.master.component.status == "CANCELLED":
        return True
    held = governing(appointment, key)
    return held is None or held.component.status == "CANCELLED"


def answer_in_force(appointment: Appointment, key: str, addresses: tuple[str, ...]) -> Reply | None:
    """The newest answer that still holds: one given to an earlier SEQUENCE was to something else (RFC 5546 §2.1.5)."""
    held = governing(appointment, key)
    if held is None:
        return None
    good = [
        one
        for one in appointment.replies
        if one.address in addresses
        and one.recurrence in ("", key)
        and one.sequence >= held.component.sequence
    ]
    return max(good, key=lambda one: (one.revision, one.recurrence), default=None)


def status_of(appointment: Appointment, key: str, addresses: tuple[str, ...]) -> str:
    """PARTSTAT of somebody for one occurrence; "" for who was not invited and did not answer."""
    given = answer_in_force(appointment, key, addresses)
    if given is not None:
        return given.status
    held = governing(appointment, key)
    found = None if held is None else held.component.attendee(addresses)
    return "" if found is None else found.status


def attendees_of(appointment: Appointment, key: str = "") -> tuple[Attendee, ...]:
    """Who is invited, with what each answered; who was delegated to stands among them (RFC 5546 §3.2.2.3)."""
    held = governing(appointment, key)
    if held is None:
        return ()
    waiting = list(held.component.attendees)
    made: dict[str, Attendee] = {}
    while waiting:
        one = waiting.pop(0)
        if one.address in made:
            continue
        given = answer_in_force(appointment, key, (one.address,))
        if given is not None:
            one = replace(one, status=given.status, delegates=given.delegates, rsvp=False)
        made[one.address] = one
        if one.status == "DELEGATED":
            waiting += [
                Attendee(other, rsvp=True, delegators=(one.address,), role=one.role)
                for other in one.delegates
            ]
    return tuple(made.values())


def listed(appointment: Appointment, key: str, address: str) -> bool:
    return any(one.address == address for one in attendees_of(appointment, key))


def crashers(appointment: Appointment) -> tuple[Reply, ...]:
    """Answers of people whom nobody invited (RFC 5546 §3.2.3): kept apart, counted nowhere."""
    return tuple(one for one in appointment.replies if not listed(appointment, one.recurrence, one.address))


def open_proposals(appointment: Appointment) -> tuple[Proposal, ...]:
    """Other times proposed that no later SEQUENCE has answered."""
    found: list[Proposal] = []
    for one in appointment.proposals:
        held = governing(appointment, one.recurrence)
        if one.settled or held is None or cancelled(appointment, one.recurrence):
            continue
        if one.sequence >= held.component.sequence:
            found.append(one)
    return tuple(found)


def schedule(component: Component) -> tuple[object, ...]:
    """What makes another SEQUENCE when it changes, and what an answer was given to (RFC 5546 §2.1.4)."""
    return (
        component.start,
        component.end,
        component.rule,
        tuple(sorted(one.key for one in component.rdates)),
        tuple(sorted(one.key for one in component.exdates)),
        component.status == "CANCELLED",
    )
