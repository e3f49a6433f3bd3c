"""What an attendee sends: answers, other times proposed, questions for all of it as it is now (RFC 5546 §3.2).

Invariants: pure; each act gives the appointment to keep and the messages it takes. What cannot be done is refused with
a slug (`AgendaRefused`).
"""

from __future__ import annotations

from dataclasses import replace

from mail_server.payloads.agenda import standing
from mail_server.payloads.agenda.composing import (
    component_of,
    next_stamp,
    occurrence_of,
    out,
)
from mail_server.payloads.agenda.model import (
    AgendaRefused,
    Appointment,
    Attendee,
    Component,
    Made,
    Me,
    Organiser,
    Proposal,
    Reply,
    When,
)

STATUSES = ("ACCEPTED", "DECLINED", "TENTATIVE", "DELEGATED")


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
    sent = [out((appointment.organiser,), "REPLY", components, me, now)]
    if delegate:
        sent.append(out((delegate,), "REQUEST", [_handed_on(one, me, delegate) for one in about], me, now))
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
    held = component_of(appointment, recurrence)
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
    return Made(kept, (out((appointment.organiser,), "COUNTER", [component], me, now),))


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
        replace(appointment, last=stamp), (out((appointment.organiser,), "REFRESH", [asked], me, now),)
    )


def unheard(uid: str, organiser: str) -> Appointment:
    """Something of which only a later message came, to `refresh` it."""
    return Appointment(uid, "unknown", organiser)


def _answerable(appointment: Appointment, key: str) -> None:
    if appointment.role != "attendee":
        raise AgendaRefused("own" if appointment.role == "organiser" else "not-invited")
    if standing.cancelled(appointment, key) and (key or appointment.master is not None):
        raise AgendaRefused("cancelled")


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
