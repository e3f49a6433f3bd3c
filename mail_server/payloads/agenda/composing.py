"""What one sends: the messages of an organiser and of an attendee, with the SEQUENCE and DTSTAMP that RFC 5546 wants.

Invariants: pure; each act gives the appointment to keep and the messages it takes; DTSTAMPs of one party only grow,
also within a second; SEQUENCE grows when an answer given before would be to something else (§2.1.4). What cannot be
done is refused with a slug (`AgendaRefused`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from mail_server.payloads.agenda import standing
from mail_server.payloads.agenda.model import (
    AgendaRefused,
    Appointment,
    Attendee,
    Component,
    Held,
    Made,
    Me,
    Message,
    Method,
    Organiser,
    Outgoing,
    Proposal,
    Reply,
    When,
    stamp_text,
    zone_named,
)
from mail_server.payloads.agenda.receiving import bare, with_addition

STATUSES = ("ACCEPTED", "DECLINED", "TENTATIVE", "DELEGATED")


def next_stamp(last: str, now: int) -> str:
    """Now, or a second after the last: two messages of one second would be told apart by nothing else."""
    stamp = stamp_text(now)
    if stamp > last:
        return stamp
    return stamp_text(round(datetime.fromisoformat(last).timestamp() * 1000) + 1000)


def when_of(appointment: Appointment, key: str) -> When:
    """RECURRENCE-ID of an occurrence, as its organiser writes times."""
    held = standing.override(appointment, key)
    if held is not None and held.component.recurrence is not None:
        return held.component.recurrence
    start = None if appointment.master is None else appointment.master.component.start
    if start is None:
        raise AgendaRefused("no-occurrence")
    if start.day or not start.zone:
        return When(key)
    try:
        there = datetime.fromisoformat(key)
    except ValueError:
        raise AgendaRefused("no-occurrence") from None
    if start.zone == "UTC" or there.tzinfo is None:
        return When(key.removesuffix("Z"), "UTC")
    return When(f"{there.astimezone(zone_named(start.zone)):%Y-%m-%dT%H:%M:%S}", start.zone)


def length(component: Component) -> int:
    """Seconds from start to end on the wall (RFC 5545 §3.6.1: a day without an end lasts one, a time none)."""
    start, end = component.start, component.end
    if start is None or end is None:
        return 86400 if start is not None and start.day else 0
    if start.day or start.zone == end.zone:
        return round((end.naive - start.naive).total_seconds())
    return (end.instant("UTC") - start.instant("UTC")) // 1000


def occurrence_of(appointment: Appointment, key: str) -> Component:
    """The component of one occurrence: its own, or the series' at that time."""
    held = standing.governing(appointment, key)
    if held is None:
        raise AgendaRefused("no-occurrence")
    one = held.component
    if one.key == key:
        return one
    at = when_of(appointment, key)
    # of a "this and future" the distance from its RECURRENCE-ID counts (RFC 5545 §3.8.4.4)
    shift = 0
    if one.recurrence is not None and one.start is not None:
        shift = round((one.start.naive - one.recurrence.naive).total_seconds())
    start = at.moved(shift)
    return replace(
        one,
        recurrence=at,
        future=False,
        start=start,
        end=start.moved(length(one)) if one.end is not None else None,
        rule=None,
        rdates=(),
        exdates=(),
    )


# --------------------------------------------------------------------------------------- attendees


def answer(
    appointment: Appointment,
    status: str,
    me: Me,
    now: int,
    *,
    recurrence: str = "",
    comment: str = "",
    delegate: str = "",
) -> Made:
    """REPLY (RFC 5546 §3.2.3) to the whole, or to the occurrence whose key is given."""
    _answerable(appointment, recurrence)
    if status not in STATUSES or (status == "DELEGATED") != bool(delegate):
        raise AgendaRefused("status")
    stamp = next_stamp(appointment.last, now)
    if recurrence or appointment.master is None:
        about = [occurrence_of(appointment, recurrence)] if recurrence else []
    else:
        about = [appointment.master.component]
    if not recurrence:  # occurrences with a component of their own are asked about apart
        about += [one.component for one in appointment.overrides if one.component.status != "CANCELLED"]
    if not about:  # all that is held of a series is occurrences called off
        raise AgendaRefused("cancelled")
    said, components = list(appointment.replies), list[Component]()
    for one in about:
        mine = _mine(one, me, status, delegate)
        components.append(_about(one, stamp, mine, comment))
        made = Reply(
            mine.address, mine.name, one.key, one.sequence, stamp, status, comment, mine.delegates, mine.delegators
        )  # fmt: skip
        said = [old for old in said if (old.address, old.recurrence) != (made.address, made.recurrence)]
        said.append(made)
    kept = replace(
        appointment, replies=tuple(sorted(said, key=lambda one: (one.address, one.recurrence))), last=stamp
    )
    sent = [_out((appointment.organiser,), "REPLY", components, me, now)]
    if delegate:
        sent.append(_out((delegate,), "REQUEST", [_handed_on(one, me, delegate) for one in about], me, now))
    return Made(kept, tuple(sent))


def propose(
    appointment: Appointment,
    start: When,
    end: When | None,
    me: Me,
    now: int,
    *,
    recurrence: str = "",
    comment: str = "",
) -> Made:
    """COUNTER (RFC 5546 §3.2.7): another time for the whole, or for one occurrence."""
    _answerable(appointment, recurrence)
    held = occurrence_of(appointment, recurrence) if recurrence else _whole(appointment)
    stamp = next_stamp(appointment.last, now)
    mine = _mine(held, me, "TENTATIVE", "")
    made = Proposal(mine.address, recurrence, held.sequence, stamp, start, end, comment)
    others = [
        one
        for one in appointment.proposals
        if (one.address, one.recurrence) != (made.address, made.recurrence)
    ]
    component = replace(
        _about(held, stamp, mine, comment), start=start, end=end, place=held.place, rule=held.rule
    )
    kept = replace(
        appointment,
        proposals=tuple(sorted([*others, made], key=lambda one: (one.address, one.recurrence))),
        last=stamp,
    )
    return Made(kept, (_out((appointment.organiser,), "COUNTER", [component], me, now),))


def refresh(appointment: Appointment, me: Me, now: int) -> Made:
    """REFRESH (RFC 5546 §3.2.6): the organiser is asked for all of it as it is now."""
    if appointment.role == "organiser":
        raise AgendaRefused("own")
    stamp = next_stamp(appointment.last, now)
    asked = Component(
        appointment.uid,
        stamp=stamp,
        organiser=Organiser(appointment.organiser),
        attendees=(Attendee(me.address, me.name),),
    )
    return Made(
        replace(appointment, last=stamp), (_out((appointment.organiser,), "REFRESH", [asked], me, now),)
    )


def unheard(uid: str, organiser: str) -> Appointment:
    """Something of which only a later message came, to `refresh` it."""
    return Appointment(uid, "unknown", organiser)


def _answerable(appointment: Appointment, key: str) -> None:
    if appointment.role != "attendee":
        raise AgendaRefused("own" if appointment.role == "organiser" else "not-invited")
    if standing.cancelled(appointment, key) and (key or appointment.master is not None):
        raise AgendaRefused("cancelled")


def _whole(appointment: Appointment) -> Component:
    if appointment.master is not None:
        return appointment.master.component
    if len(appointment.overrides) == 1:
        return appointment.overrides[0].component
    raise AgendaRefused("no-occurrence")


def _mine(one: Component, me: Me, status: str, delegate: str) -> Attendee:
    """One's own line as the organiser wrote it, so that they know it again; a party crasher brings their own."""
    listed = one.attendee(me.addresses) or Attendee(me.address, me.name)
    return replace(
        listed,
        name=listed.name or me.name,
        status=status,
        rsvp=False,
        delegates=(delegate,) if delegate else (),
    )


def _about(one: Component, stamp: str, mine: Attendee, comment: str) -> Component:
    return Component(
        one.uid,
        one.recurrence,
        sequence=one.sequence,
        stamp=stamp,
        start=one.start,
        end=one.end,
        title=one.title,
        comment=comment,
        organiser=one.organiser,
        attendees=(mine,),
    )


def _handed_on(one: Component, me: Me, delegate: str) -> Component:
    """The request as the delegate gets it from the delegator (RFC 5546 §3.2.2.3)."""
    mine = _mine(one, me, "DELEGATED", delegate)
    others = tuple(
        other for other in one.attendees if other.address not in me.addresses and other.address != delegate
    )
    taken = Attendee(delegate, rsvp=True, role=mine.role, delegators=(mine.address,))
    return replace(one, attendees=(*others, mine, taken))


def _out(to: tuple[str, ...], method: Method, components: list[Component], me: Me, now: int) -> Outgoing:
    return Outgoing(to, Message(method, tuple(components), me.address, now))


# --------------------------------------------------------------------------------------- organisers


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
    was = occurrence_of(appointment, key) if key else _whole(appointment)
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
        sent = (*sent, _out(gone, "CANCEL", [removed], me, now))
    return Made(kept, sent)


def add(appointment: Appointment, component: Component, me: Me, now: int) -> Made:
    """ADD (RFC 5546 §3.2.4): one occurrence more of a series."""
    _organised(appointment)
    whole = _whole(appointment)
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
    was = occurrence_of(appointment, recurrence) if recurrence else _whole(appointment)
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
    return Made(kept, (_out(to, "CANCEL", [told], me, now),) if to else ())


def decline_counter(
    appointment: Appointment, address: str, me: Me, now: int, *, recurrence: str = "", comment: str = ""
) -> Made:
    """DECLINECOUNTER (RFC 5546 §3.2.8)."""
    proposal = _proposal(appointment, address, recurrence)
    stamp = next_stamp(max(appointment.last, proposal.stamp), now)
    was = occurrence_of(appointment, recurrence) if recurrence else _whole(appointment)
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
    return Made(kept, (_out((address,), "DECLINECOUNTER", [refused], me, now),))


def accept_counter(appointment: Appointment, address: str, me: Me, now: int, *, recurrence: str = "") -> Made:
    """The time proposed becomes the time: all are asked again (RFC 5546 §3.2.7)."""
    proposal = _proposal(appointment, address, recurrence)
    was = occurrence_of(appointment, recurrence) if recurrence else _whole(appointment)
    return change(appointment, replace(was, start=proposal.start, end=proposal.end), me, now)


def refreshed(appointment: Appointment, address: str, me: Me, now: int) -> Made:
    """The answer to REFRESH: all of it, to who asked; who was taken off, or comes too late, gets the CANCEL again."""
    _organised(appointment)
    stamp = next_stamp(appointment.last, now)
    kept = replace(appointment, last=stamp)
    whole = _whole(appointment)
    if address in appointment.former:
        removed = replace(
            bare(replace(whole, stamp=stamp)), status="", start=whole.start, attendees=(Attendee(address),)
        )
        return Made(kept, (_out((address,), "CANCEL", [removed], me, now),))
    if whole.status == "CANCELLED":
        return Made(kept, (_out((address,), "CANCEL", [replace(whole, stamp=stamp)], me, now),))
    return Made(kept, (_out((address,), "REQUEST", stated(kept, stamp), me, now),))


def admit(appointment: Appointment, address: str, me: Me, now: int) -> Made:
    """A party crasher is let in: from now on invited like the others, with the answer already given."""
    whole = _whole(appointment)
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
    return (_out(tuple(to), method, components, me, now),) if to else ()
