"""What an organiser sends: invitations, changes, cancellations, answers to other times proposed (RFC 5546 §3.2).

Invariants: pure; each act gives the appointment to keep and the messages it takes; SEQUENCE grows when an answer given
before would be to something else (RFC 5546 §2.1.4). What cannot be done is refused with a slug (`AgendaRefused`).
"""

from __future__ import annotations

from dataclasses import replace

from mail_server.payloads.agenda import standing
from mail_server.payloads.agenda.composing import (
    component_of,
    next_stamp,
    out,
    when_of,
    whole_of,
)
from mail_server.payloads.agenda.model import (
    AgendaRefused,
    Appointment,
    Attendee,
    Component,
    Held,
    Made,
    Me,
    Method,
    Organiser,
    Outgoing,
    Proposal,
    When,
    stamp_text,
)
from mail_server.payloads.agenda.receiving import bare, with_addition


def organise(component: Component, me: Me, now: int) -> Made:
    """A new appointment, and the REQUEST that invites (RFC 5546 §3.2.2)."""
    if component.start is None or component.recurrence is not None:
        raise AgendaRefused("start")
    stamp = next_stamp("", now)
    made = replace(component, organiser=Organiser(me.address, me.name), sequence=0, stamp=stamp)
    held = Appointment(
        made.uid, "organiser", me.address, voucher=me.address, master=Held(made, 0, stamp), last=stamp
    )
    return Made(held, _invited(held, [made], me, now))


def change(appointment: Appointment, component: Component, me: Me, now: int) -> Made:
    """The whole, or one occurrence (with its `recurrence`), as it shall be; whoever is left out is told so."""
    _organised(appointment)
    key = component.key
    was = component_of(appointment, key)
    stamp = next_stamp(appointment.last, now)
    other = standing.schedule(was) != standing.schedule(component)
    sequence = standing.top(appointment) + 1 if other else was.sequence
    before = {one.address: one for one in standing.attendees_of(appointment, key)}
    people = tuple(_invited_again(one, before, me, asked=other) for one in component.attendees)
    made = replace(
        component,
        organiser=was.organiser,
        sequence=sequence,
        stamp=stamp,
        attendees=people,
    )
    held = Held(made, sequence, stamp)
    gone = tuple(sorted(set(before) - {one.address for one in people} - set(me.addresses)))
    if key:
        others = [one for one in appointment.overrides if one.component.key != key]
        kept = replace(
            appointment,
            overrides=tuple(sorted([*others, held], key=lambda one: one.component.key)),
            last=stamp,
        )
        sent = _invited(kept, [made], me, now)
    else:
        come = tuple(one for one in people if one.address not in before)
        # times that are no more have no occurrences of their own any more
        overrides = () if other else tuple(_among(one, gone, come) for one in appointment.overrides)
        former = tuple(sorted({*appointment.former, *gone} - {one.address for one in people}))
        added = () if other else appointment.added
        kept = replace(appointment, master=held, overrides=overrides, added=added, former=former, last=stamp)
        sent = _invited(kept, stated(kept, stamp), me, now)
    if gone:  # RFC 5546 §3.2.5: uninviting carries no STATUS
        removed = replace(
            bare(made), status="", start=was.start, attendees=tuple(Attendee(one) for one in gone)
        )
        sent = (*sent, out(gone, "CANCEL", [removed], me, now))
    return Made(kept, sent)


def add(appointment: Appointment, component: Component, me: Me, now: int) -> Made:
    """ADD (RFC 5546 §3.2.4): one occurrence more of a series."""
    _organised(appointment)
    whole = whole_of(appointment)
    if component.start is None or component.rule is not None:
        raise AgendaRefused("start")
    stamp, sequence = next_stamp(appointment.last, now), standing.top(appointment) + 1
    made = replace(
        component,
        uid=appointment.uid,
        recurrence=None,
        organiser=whole.organiser,
        sequence=sequence,
        stamp=stamp,
        attendees=component.attendees
        or tuple(_invited_again(one, {}, me, asked=True) for one in whole.attendees),
    )
    kept = replace(with_addition(appointment, made), last=stamp)
    return Made(kept, _invited(kept, [made], me, now, "ADD"))


def cancel(
    appointment: Appointment,
    me: Me,
    now: int,
    *,
    recurrence: str = "",
    future: bool = False,
    comment: str = "",
) -> Made:
    """CANCEL (RFC 5546 §3.2.5) of the whole, of one occurrence, or of all from one on."""
    _organised(appointment)
    was = component_of(appointment, recurrence)
    stamp, sequence = next_stamp(appointment.last, now), standing.top(appointment) + 1
    people = standing.attendees_of(appointment, recurrence)
    called = replace(
        was,
        recurrence=when_of(appointment, recurrence) if recurrence else None,
        future=future and bool(recurrence),
        sequence=sequence,
        stamp=stamp,
        status="CANCELLED",
        comment=comment,
        attendees=people,
    )
    if recurrence:
        held = Held(bare(called), sequence, stamp)
        others = [one for one in appointment.overrides if one.component.key != recurrence]
        kept = replace(
            appointment,
            overrides=tuple(sorted([*others, held], key=lambda one: one.component.key)),
            last=stamp,
        )
        told = replace(bare(called), title=was.title, start=was.start, end=was.end, attendees=people)
    else:
        kept = replace(appointment, master=Held(called, sequence, stamp), last=stamp)
        told = called
    to = _others(people, me)
    return Made(kept, (out(to, "CANCEL", [told], me, now),) if to else ())


def decline_counter(
    appointment: Appointment, address: str, me: Me, now: int, *, recurrence: str = "", comment: str = ""
) -> Made:
    """DECLINECOUNTER (RFC 5546 §3.2.8)."""
    proposal = _proposal(appointment, address, recurrence)
    stamp = next_stamp(max(appointment.last, proposal.stamp), now)
    was = component_of(appointment, recurrence)
    refused = Component(
        appointment.uid,
        was.recurrence,
        sequence=proposal.sequence,
        stamp=stamp,
        organiser=was.organiser,
        attendees=(Attendee(address),),
        comment=comment,
    )
    settled = tuple(replace(one, settled=True) if one is proposal else one for one in appointment.proposals)
    kept = replace(appointment, proposals=settled, last=stamp)
    return Made(kept, (out((address,), "DECLINECOUNTER", [refused], me, now),))


def accept_counter(appointment: Appointment, address: str, me: Me, now: int, *, recurrence: str = "") -> Made:
    """The time proposed becomes the time: all are asked again (RFC 5546 §3.2.7)."""
    proposal = _proposal(appointment, address, recurrence)
    was = component_of(appointment, recurrence)
    return change(appointment, replace(was, start=proposal.start, end=proposal.end), me, now)


def refreshed(appointment: Appointment, address: str, me: Me, now: int) -> Made:
    """The answer to REFRESH: all of it, to who asked; who was taken off, or comes too late, gets the CANCEL again."""
    _organised(appointment)
    stamp = next_stamp(appointment.last, now)
    kept = replace(appointment, last=stamp)
    whole = whole_of(appointment)
    if address in appointment.former:
        removed = replace(
            bare(replace(whole, stamp=stamp)), status="", start=whole.start, attendees=(Attendee(address),)
        )
        return Made(kept, (out((address,), "CANCEL", [removed], me, now),))
    if whole.status == "CANCELLED":
        return Made(kept, (out((address,), "CANCEL", [replace(whole, stamp=stamp)], me, now),))
    return Made(kept, (out((address,), "REQUEST", stated(kept, stamp), me, now),))


def admit(appointment: Appointment, address: str, me: Me, now: int) -> Made:
    """A party crasher is let in: from now on invited like the others, with the answer already given."""
    whole = whole_of(appointment)
    crasher = next((one for one in standing.crashers(appointment) if one.address == address), None)
    if crasher is None:
        raise AgendaRefused("not-attendee")
    people = (*standing.attendees_of(appointment), Attendee(address, crasher.name))
    return change(appointment, replace(whole, attendees=people), me, now)


def stated(appointment: Appointment, stamp: str) -> list[Component]:
    """All of an appointment as REQUEST may say it: cancelled occurrences are dates left out (EXDATE, UNTIL)."""
    held = appointment.master
    assert held is not None
    whole, overrides = held.component, list[Component]()
    for one in appointment.overrides:
        at = one.component.recurrence
        assert at is not None
        if one.component.status == "CANCELLED" and one.component.future:
            whole = _ended(whole, at)
            overrides = [other for other in overrides if other.key < at.key]
        elif one.component.status == "CANCELLED":
            whole = replace(whole, exdates=(*(date for date in whole.exdates if date.key != at.key), at))
        else:
            people = standing.attendees_of(appointment, at.key)
            overrides.append(replace(one.component, sequence=one.sequence, stamp=stamp, attendees=people))
    whole = replace(whole, stamp=stamp, attendees=standing.attendees_of(appointment))
    return [whole, *overrides]


def _ended(whole: Component, at: When) -> Component:
    """The series without what comes at or after `at`."""
    rule = whole.rule
    if rule is not None:
        if at.day:
            last = at.moved(-86400)
        elif at.zone:
            before = stamp_text(at.instant("UTC") - 1000)
            last = When(before.removesuffix("Z"), "UTC")
        else:
            last = at.moved(-1)
        rule = replace(rule, count=0, until=last)
    return replace(whole, rule=rule, rdates=tuple(one for one in whole.rdates if one.key < at.key))


def _organised(appointment: Appointment) -> None:
    if appointment.role != "organiser":
        raise AgendaRefused("not-organiser")


def _proposal(appointment: Appointment, address: str, key: str) -> Proposal:
    _organised(appointment)
    for one in standing.open_proposals(appointment):
        if (one.address, one.recurrence) == (address, key):
            return one
    raise AgendaRefused("no-proposal")


def _invited_again(one: Attendee, before: dict[str, Attendee], me: Me, *, asked: bool) -> Attendee:
    if one.address in me.addresses:
        return replace(one, status="ACCEPTED", rsvp=False)
    if asked and one.status != "DELEGATED":
        return replace(one, status="NEEDS-ACTION", rsvp=True)
    known = before.get(one.address)
    return one if known is None else replace(one, status=known.status, delegates=known.delegates)


def _among(held: Held, gone: tuple[str, ...], come: tuple[Attendee, ...]) -> Held:
    """An occurrence with a component of its own is about who is invited to the whole, too."""
    if held.component.status == "CANCELLED":
        return held
    stay = [one for one in held.component.attendees if one.address not in gone]
    known = {one.address for one in stay}
    people = (*stay, *(one for one in come if one.address not in known))
    return replace(held, component=replace(held.component, attendees=people))


def _others(people: tuple[Attendee, ...], me: Me) -> tuple[str, ...]:
    return tuple(one.address for one in people if one.address not in me.addresses)


def _invited(
    appointment: Appointment, components: list[Component], me: Me, now: int, method: Method = "REQUEST"
) -> tuple[Outgoing, ...]:
    to: dict[str, None] = {}
    for one in components:
        to.update(dict.fromkeys(_others(one.attendees, me)))
    return (out(tuple(to), method, components, me, now),) if to else ()
