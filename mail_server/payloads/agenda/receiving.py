"""iTIP (RFC 5546) as a state machine without input or output: messages in, events and what is to be kept out.

What a party keeps of a UID is the latest of everything its organiser stated, by SEQUENCE and then DTSTAMP (§2.1.5),
for the whole and for each RECURRENCE-ID, and the latest answer of each attendee. So late, doubled and reordered
messages lead all parties to one state. Invariants: nothing raises; who says something was verified before
(`Message.sender`), and what an organiser says counts from the organiser alone, what an attendee says from that
attendee alone: anybody else changes nothing, and an event tells it; what is held is bounded.

| method | counts from | when | then |
| --- | --- | --- | --- |
| REQUEST, PUBLISH | organiser (below: hearsay) | newer | held: invited, updated, rescheduled, published |
| REQUEST | who delegated to me | nothing better is held | held: delegated-to-me |
| ADD | organiser | follows what is held | added; after a gap: refresh-needed |
| CANCEL | organiser | newer | called off: cancelled, uninvited; of others: others-removed |
| DECLINECOUNTER | organiser | after the proposal | proposal-refused |
| REPLY | attendee | to no earlier SEQUENCE, newer than the last | replied, delegated, party-crasher |
| COUNTER | invited attendee | likewise | countered |
| REFRESH | invited or former attendee | always | refresh-asked |

All else is told as duplicate, late, unknown, not-organiser, not-attendee, not-for-me or refused, and changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, TypeVar

from mail_server.payloads.agenda import standing
from mail_server.payloads.agenda.model import (
    Appointment,
    Attendee,
    Component,
    Event,
    EventKind,
    Held,
    Me,
    Message,
    Proposal,
    Received,
    Reply,
    Role,
    Trust,
)

REPLIES: Final = 1000  # answers kept of one appointment
OVERRIDES: Final = 500  # occurrences with a component of their own
_Said = TypeVar("_Said", Reply, Proposal)
_RANK: Final[dict[Trust, int]] = {"delegator": 0, "sentby": 1, "organiser": 2}


def receive(held: Appointment | None, message: Message, me: Me) -> Received:
    """What a message makes of an appointment. `held`: what is kept under its UID, None when nothing is."""
    if not message.components:
        return Received(held, (Event("refused", reason="empty"),))
    if message.method in ("REPLY", "COUNTER", "REFRESH"):
        return _from_attendee(held, message, me)
    return _from_organiser(held, message, me)


def _told(kind: EventKind, component: Component, who: str, status: str = "", *, reason: str = "") -> Event:
    return Event(kind, component.uid, component.key, who, status, component.comment, reason)


# --------------------------------------------------------------------------------------- what organisers say


def _from_organiser(held: Appointment | None, message: Message, me: Me) -> Received:
    first = message.components[0]
    organisers = {one.organiser.address if one.organiser else "" for one in message.components}
    if len(organisers) != 1 or "" in organisers:
        return Received(held, (_told("refused", first, message.sender, reason="organiser"),))
    trust = _trust(message, me)
    base = None if trust is None else _claimed(held, message, trust, me)
    if base is None:
        return Received(held, (_told("not-organiser", first, message.sender),))
    if message.method == "CANCEL":
        return _cancelled(held, base, message, me)
    if message.method == "ADD":
        return _added(held, base, message, me)
    if message.method == "DECLINECOUNTER":
        return _proposal_refused(held, message, me)
    return _stated(held, base, message, me)


def _trust(message: Message, me: Me) -> Trust | None:
    """Who vouches for what an organiser says. A claimed SENT-BY or delegation counts less than the organiser."""
    component = message.components[0]
    organiser = component.organiser
    assert organiser is not None
    if message.sender == organiser.address or {message.sender, organiser.address} <= set(me.addresses):
        return "organiser"
    if organiser.sentby and message.sender == organiser.sentby:
        return "sentby"
    if message.method == "REQUEST":  # RFC 5546 §3.2.2.3: the delegator forwards the request to the delegate
        by, mine = component.attendee((message.sender,)), component.attendee(me.addresses)
        if (
            by is not None
            and mine is not None
            and by.status == "DELEGATED"
            and set(by.delegates) & set(me.addresses)
            and message.sender in mine.delegators
        ):
            return "delegator"
    return None


def _neighbours(one: str, other: str) -> bool:
    return one.rpartition("@")[2] == other.rpartition("@")[2]


def _claimed(held: Appointment | None, message: Message, trust: Trust, me: Me) -> Appointment | None:
    """What the message is to be laid upon; None when it must change nothing."""
    organiser = message.components[0].organiser
    assert organiser is not None
    role: Role = "organiser" if organiser.address in me.addresses else "attendee"
    fresh = Appointment(message.components[0].uid, role, organiser.address, trust, message.sender)
    if held is None or (held.role == "unknown" and held.organiser != organiser.address):
        # Anybody can write that they speak for somebody, and answers go to that somebody: until the organiser names
        # them, only those of the organiser's own domain are heard.
        return fresh if trust == "organiser" or _neighbours(message.sender, organiser.address) else None
    if held.organiser != organiser.address:
        return None  # RFC 5546 §4.2.11 replaces organisers by agreement outside; a letter alone cannot
    if _RANK[trust] > _RANK[held.trust]:  # the organiser speaks: what others vouched for was hearsay
        return replace(fresh, replies=held.replies, proposals=held.proposals, last=held.last)
    if trust == held.trust:
        return held if trust == "organiser" or message.sender == held.voucher else None
    named = held.master.component.organiser if held.master is not None else None
    return held if trust == "sentby" and named is not None and named.sentby == message.sender else None


def _stated(before: Appointment | None, base: Appointment, message: Message, me: Me) -> Received:
    """REQUEST and PUBLISH: components as the organiser has them now (RFC 5546 §3.2.1, §3.2.2)."""
    if any(one.start is None for one in message.components):
        return Received(before, (_told("refused", message.components[0], message.sender, reason="start"),))
    wholes = [Held(one, one.sequence, one.stamp) for one in message.components if one.recurrence is None]
    whole = max(wholes, key=lambda one: one.revision, default=None)
    after = base if whole is None else _with_master(base, whole)
    for one in message.components:
        if one.recurrence is not None:
            own = (one.sequence, one.stamp)
            after = _with_override(after, Held(one, *(max(own, whole.revision) if whole else own)))
    role: Role = base.role
    if role in ("attendee", "unknown", "published"):
        role = "published" if message.method == "PUBLISH" else "attendee"
    after = _own_upkeep(
        before, replace(after, role=role if _changed(base, after) else base.role), message, me
    )
    if not _changed(base, after):
        kind = "duplicate" if _seen(base, message) else "late"
        return Received(
            before, (_told(kind, whole.component if whole else message.components[0], base.organiser),)
        )
    if len(after.overrides) > OVERRIDES:
        return Received(before, (_told("refused", message.components[0], message.sender, reason="too-many"),))
    shown = [whole.component] if whole else list(message.components)
    return Received(after, tuple(_statement(before, after, one, me, message) for one in shown))


def _statement(
    before: Appointment | None, after: Appointment, component: Component, me: Me, message: Message
) -> Event:
    key = component.key
    status = standing.status_of(after, key, me.addresses)
    kind: EventKind
    if standing.cancelled(after, key):
        kind = "cancelled"  # it was called off before it was heard of
    elif message.method == "PUBLISH":
        kind = "published"
    elif before is None or before.role == "unknown" or standing.governing(before, key) is None:
        kind = "delegated-to-me" if after.trust == "delegator" else "invited"
    elif _schedule(before, key) != _schedule(after, key):
        kind = "rescheduled"
    else:
        kind = "updated"
    return _told(kind, component, after.organiser, status)


def _schedule(appointment: Appointment, key: str) -> object:
    governing = standing.governing(appointment, key)
    parts = [] if governing is None else [standing.schedule(governing.component)]
    if not key:
        parts += [(one.component.key, *standing.schedule(one.component)) for one in appointment.overrides]
    return parts


def _changed(one: Appointment, other: Appointment) -> bool:
    return (one.master, one.overrides, one.added) != (other.master, other.overrides, other.added)


def _seen(appointment: Appointment, message: Message) -> bool:
    """Whether all of a message is held at its very revision."""
    return all(
        (found := standing.override(appointment, one.key) if one.key else appointment.master) is not None
        and found.revision >= (one.sequence, one.stamp)
        and found.component.sequence == one.sequence
        and found.component.stamp == one.stamp
        for one in message.components
    )


def _with_master(base: Appointment, whole: Held) -> Appointment:
    """The series as stated; what belongs to an earlier SEQUENCE of it lapses (§2.1.5)."""
    now = base.master
    if now is not None and whole.revision <= now.revision:
        if now.component.start is None and now.component.status == "CANCELLED":
            # called off before it was heard of: now it is known what
            told = replace(
                whole.component,
                status="CANCELLED",
                sequence=now.sequence,
                stamp=now.stamp,
                comment=now.component.comment,
            )
            return replace(base, master=replace(now, component=told))
        return base
    return replace(
        base,
        master=whole,
        overrides=tuple(one for one in base.overrides if one.sequence >= whole.sequence),
        added=tuple(one for one in base.added if one.sequence >= whole.sequence),
    )


def _with_override(base: Appointment, one: Held) -> Appointment:
    if base.master is not None and one.sequence < base.master.sequence:
        return base
    now = standing.override(base, one.component.key)
    if now is not None and one.revision <= now.revision:
        return base
    others = [other for other in base.overrides if other.component.key != one.component.key]
    return replace(base, overrides=tuple(sorted([*others, one], key=lambda held: held.component.key)))


def _own_upkeep(before: Appointment | None, after: Appointment, message: Message, me: Me) -> Appointment:
    """An organiser's own message, as their other devices sent it: who is not in it any more was taken off."""
    if after.role != "organiser":
        return after
    last = max([after.last, *(one.stamp for one in message.components)])
    gone = {one.address for one in standing.attendees_of(before)} if before is not None else set[str]()
    here = {one.address for one in standing.attendees_of(after)}
    former = (set(after.former) | gone) - here - set(me.addresses)
    return replace(after, former=tuple(sorted(former)), last=last)


def _cancelled(before: Appointment | None, base: Appointment, message: Message, me: Me) -> Received:
    """CANCEL (RFC 5546 §3.2.5): of the whole, of occurrences, of all from one on, or of somebody's invitation."""
    after, events = base, list[Event]()
    for one in message.components:
        held = standing.governing(base, one.key)
        if base.role == "organiser" and one.status != "CANCELLED":
            after = _own_removal(after, one)
            continue
        mine = one.attendee(me.addresses)
        was = held.component.attendee(me.addresses) if held is not None else None
        if one.attendees and mine is None and was is not None:
            events.append(_told("others-removed", one, base.organiser))
            continue
        laid = _with_cancel(after, one)
        if not _changed(after, laid):
            events.append(_told("duplicate" if _seen(base, message) else "late", one, base.organiser))
            continue
        alone = mine is not None and _some_stay(one, held)
        kind: EventKind = "unknown" if held is None else "uninvited" if alone else "cancelled"
        after = laid
        events.append(_told(kind, one, base.organiser))
    if len(after.overrides) > OVERRIDES:
        return Received(before, (_told("refused", message.components[0], message.sender, reason="too-many"),))
    if not _changed(base, after) and after.former == base.former:
        return Received(before, tuple(events))
    if after.role == "attendee" and (before is None or before.role == "unknown"):
        after = replace(after, role="unknown")
    return Received(_own_upkeep(before, after, message, me), tuple(events))


def _some_stay(one: Component, held: Held | None) -> bool:
    """Whether others keep their invitation. Thunderbird calls off without STATUS, and names everybody."""
    if one.status == "CANCELLED" or held is None:
        return False
    gone = {each.address for each in one.attendees} | {
        held.component.organiser.address if held.component.organiser else ""
    }
    return any(each.address not in gone for each in held.component.attendees)


def _own_removal(base: Appointment, one: Component) -> Appointment:
    return replace(base, former=tuple(sorted({*base.former, *(other.address for other in one.attendees)})))


def bare(component: Component) -> Component:
    """A cancelled occurrence: what it was before does not matter any more."""
    return Component(
        component.uid,
        component.recurrence,
        component.future,
        component.sequence,
        component.stamp,
        start=component.recurrence,
        status="CANCELLED",
        comment=component.comment,
        organiser=component.organiser,
    )


def _with_cancel(base: Appointment, one: Component) -> Appointment:
    revision = (one.sequence, one.stamp)
    if one.recurrence is not None:
        return _with_override(base, Held(bare(one), *revision))
    now = base.master
    if now is None:
        whole = replace(one, status="CANCELLED", start=None, end=None, attendees=(), extra=())
        return _with_master(base, Held(whole, *revision))
    # a cancellation that shares its revision with a request came after it
    if revision < now.revision or (now.component.status == "CANCELLED" and revision == now.revision):
        return base
    whole = replace(
        now.component, status="CANCELLED", sequence=one.sequence, stamp=one.stamp, comment=one.comment
    )
    return replace(base, master=Held(whole, *revision))


def _added(before: Appointment | None, base: Appointment, message: Message, me: Me) -> Received:
    """ADD (RFC 5546 §3.2.4): one occurrence, or one series, more; who missed something before must ask again."""
    one = message.components[0]
    if one.recurrence is not None or one.start is None:
        return Received(before, (_told("refused", one, message.sender, reason="add"),))
    if base.master is None or base.master.component.status == "CANCELLED":
        return Received(before, (_told("refresh-needed", one, base.organiser),))
    sequences = standing.top(base)
    if one.sequence > sequences + 1:
        return Received(before, (_told("refresh-needed", one, base.organiser),))
    held = [*base.overrides, *base.added]
    if any((other.component.sequence, other.component.stamp) == (one.sequence, one.stamp) for other in held):
        return Received(before, (_told("duplicate", one, base.organiser),))
    # whatever came after it may be held already; a series stated since says it too
    told = one.sequence <= base.master.sequence or one.stamp <= base.master.stamp
    laid = base if told else with_addition(base, one)
    if not _changed(base, laid):
        return Received(before, (_told("late", one, base.organiser),))
    after = _own_upkeep(before, laid, message, me)
    if len(after.overrides) + len(after.added) > OVERRIDES:
        return Received(before, (_told("refused", one, message.sender, reason="too-many"),))
    key = "" if one.rule else one.start.key
    status = standing.status_of(after, key, me.addresses)
    kind: EventKind = "cancelled" if standing.cancelled(after, key) else "added"
    return Received(after, (replace(_told(kind, one, base.organiser, status), recurrence=key),))


def with_addition(base: Appointment, one: Component) -> Appointment:
    """A single one is a date more of the series (RDATE), with a component of its own; answers to the rest stand."""
    held = base.master
    assert held is not None
    assert one.start is not None
    if one.rule is not None or one.rdates:
        series = Held(one, one.sequence, one.stamp)
        return replace(base, added=(*base.added, series))
    apart = Held(replace(one, recurrence=one.start), one.sequence, one.stamp)
    dates = {date.key: date for date in held.component.rdates}
    if one.start.key in dates:
        return _with_override(base, apart)
    dates[one.start.key] = one.start
    master = replace(held.component, rdates=tuple(dates[key] for key in sorted(dates)))
    return _with_override(replace(base, master=replace(held, component=master)), apart)


def _proposal_refused(before: Appointment | None, message: Message, me: Me) -> Received:
    """DECLINECOUNTER (RFC 5546 §3.2.8)."""
    one = message.components[0]
    mine = [] if before is None else [
        other
        for other in before.proposals
        if other.address in me.addresses and other.recurrence == one.key
        and other.stamp <= one.stamp and not other.settled
    ]  # fmt: skip
    if before is None or not mine:
        return Received(before, (_told("unknown", one, message.sender),))
    kept = tuple(replace(other, settled=True) if other in mine else other for other in before.proposals)
    return Received(replace(before, proposals=kept), (_told("proposal-refused", one, before.organiser),))


# --------------------------------------------------------------------------------------- what attendees say


def _from_attendee(held: Appointment | None, message: Message, me: Me) -> Received:
    """REPLY, COUNTER, REFRESH: to the organiser; or one's own, as another device of one's own sent it."""
    after, events = held, list[Event]()
    for one in message.components:
        own = message.sender in me.addresses
        if held is None or after is None or held.role == "unknown":
            events.append(_told("unknown", one, message.sender))
            continue
        if held.role != "organiser" and not own:
            events.append(_told("not-for-me", one, message.sender))
            continue
        after, event = _said(after, message, one, me, own=own)
        events.append(event)
    return Received(after, tuple(events))


def _said(
    base: Appointment, message: Message, one: Component, me: Me, *, own: bool
) -> tuple[Appointment, Event]:
    who = _speaker(base, message, one, me, own=own)
    if who is None:
        return base, _told("not-attendee", one, message.sender)
    held = standing.governing(base, one.key)
    if held is None or (one.key and not standing.recurring(base)):  # RFC 5546 §4.7.2
        return base, _told("unknown", one, who.address)
    if message.method == "REFRESH":
        known = standing.listed(base, one.key, who.address) or who.address in base.former
        return base, _told("refresh-asked" if known else "not-attendee", one, who.address)
    if one.sequence < held.component.sequence:
        return base, _told("late", one, who.address, who.status)
    if message.method == "COUNTER":
        return _countered(base, one, who, own=own)
    return _replied(base, one, who)


def _speaker(base: Appointment, message: Message, one: Component, me: Me, *, own: bool) -> Attendee | None:
    """The attendee whose words these are: who sent them, or somebody the organiser listed as sent by them."""
    if own:
        return one.attendee(me.addresses)
    found = one.attendee((message.sender,))
    if found is not None or (message.method == "REFRESH" and not one.attendees):
        return found or Attendee(message.sender)
    for other in one.attendees:
        known = next(
            (held for held in standing.attendees_of(base, one.key) if held.address == other.address), None
        )
        if known is not None and known.sentby and known.sentby == message.sender:
            return other
    return None


def _replied(base: Appointment, one: Component, who: Attendee) -> tuple[Appointment, Event]:
    made = Reply(
        who.address, who.name, one.key, one.sequence, one.stamp, who.status, one.comment, who.delegates, who.delegators
    )  # fmt: skip
    last = _same(base.replies, made)
    if last is not None and made.revision <= last.revision:
        kind: EventKind = "duplicate" if made.revision == last.revision else "late"
        return base, _told(kind, one, who.address, who.status)
    if last is None and len(base.replies) >= REPLIES:
        return base, _told("refused", one, who.address, reason="too-many")
    after = replace(base, replies=_sorted(base.replies, made))
    if base.role == "organiser" and not standing.listed(after, one.key, who.address):
        kind = "party-crasher"
    else:
        kind = "delegated" if who.status == "DELEGATED" else "replied"
    return after, _told(kind, one, who.address, who.status)


def _countered(base: Appointment, one: Component, who: Attendee, *, own: bool) -> tuple[Appointment, Event]:
    if one.start is None:
        return base, _told("refused", one, who.address, reason="start")
    if not own and not standing.listed(base, one.key, who.address):
        return base, _told("not-attendee", one, who.address)
    made = Proposal(who.address, one.key, one.sequence, one.stamp, one.start, one.end, one.comment)
    last = _same(base.proposals, made)
    if last is not None and made.revision <= last.revision:
        return base, _told("duplicate" if made.revision == last.revision else "late", one, who.address)
    return replace(base, proposals=_sorted(base.proposals, made)), _told(
        "countered", one, who.address, who.status
    )


def _same(every: tuple[_Said, ...], made: _Said) -> _Said | None:
    """The last word of the same person about the same occurrence."""
    return next(
        (one for one in every if (one.address, one.recurrence) == (made.address, made.recurrence)), None
    )


def _sorted(every: tuple[_Said, ...], made: _Said) -> tuple[_Said, ...]:
    others = [one for one in every if (one.address, one.recurrence) != (made.address, made.recurrence)]
    return tuple(sorted([*others, made], key=lambda one: (one.address, one.recurrence)))
