"""Appointments as values, the same in Python and in the page (`webmail/ui/src/worker/agenda/model.ts`).

Fields are one word each, so that JSON of either side is JSON of the other; `tests/webmail/vectors/itip/` holds both to
one answer. Invariants: values only, nothing changes in place; addresses are lower case, without "mailto:"; whatever
tells of a person or of a time is hidden from repr.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Freq = Literal["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]
Method = Literal["PUBLISH", "REQUEST", "REPLY", "ADD", "CANCEL", "REFRESH", "COUNTER", "DECLINECOUNTER"]
Role = Literal[
    "organiser", "attendee", "published", "unknown"
]  # unknown: only a cancellation was seen so far
Trust = Literal["organiser", "sentby", "delegator"]
EventKind = Literal[
    # what an organiser did
    "invited", "updated", "rescheduled", "cancelled", "uninvited", "added", "published", "delegated-to-me",
    "proposal-refused",
    # what an attendee did
    "replied", "delegated", "party-crasher", "countered", "refresh-asked",
    # what changed nothing
    "duplicate", "late", "refresh-needed", "others-removed", "unknown",
    # what is not to be believed, or not to be understood
    "not-organiser", "not-attendee", "not-for-me", "refused",
]  # fmt: skip


class AgendaRefused(Exception):
    """A calendar that cannot be used; `slug` says why, without a word of it."""

    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.slug = slug


@functools.lru_cache(maxsize=256)
def zone_named(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@dataclass(frozen=True, slots=True)
class When:
    """A whole day ("2026-11-20"), or "2026-11-20T10:00:00" in `zone` (IANA name, "UTC", "" when it floats)."""

    local: str = field(repr=False)
    zone: str = ""

    @property
    def day(self) -> bool:
        return len(self.local) == 10

    @property
    def naive(self) -> datetime:
        """What a clock on the wall shows."""
        return datetime.fromisoformat(self.local)

    def value(self) -> date | datetime:
        """As `icalendar` and its friends want it."""
        if self.day:
            return date.fromisoformat(self.local)
        if not self.zone:
            return self.naive
        return self.naive.replace(tzinfo=UTC if self.zone == "UTC" else zone_named(self.zone))

    def instant(self, here: str) -> int:
        """Milliseconds since 1970; days and floating times are taken where the reader is.

        A time that the clocks skip counts with the offset from before the gap, one that comes twice is its first
        (RFC 5545 §3.3.5), as `zoneinfo` has it with fold 0.
        """
        zone = self.zone or here
        there = self.naive.replace(tzinfo=UTC if zone == "UTC" else zone_named(zone))
        return round(there.timestamp() * 1000)

    @property
    def key(self) -> str:
        """By which occurrences are told apart: the instant where there is one, else the local time."""
        if self.day or not self.zone:
            return self.local
        return stamp_text(self.instant("UTC"))

    def moved(self, seconds: int) -> When:
        """Later by so much on the wall; whole days for a day."""
        if self.day:
            return When((date.fromisoformat(self.local) + timedelta(days=seconds // 86400)).isoformat(), "")
        return When((self.naive + timedelta(seconds=seconds)).isoformat(), self.zone)


def stamp_text(milliseconds: int) -> str:
    """ "2026-11-20T10:00:00Z"."""
    return f"{datetime.fromtimestamp(milliseconds // 1000, UTC):%Y-%m-%dT%H:%M:%S}Z"


@dataclass(frozen=True, slots=True)
class Rule:
    """A repetition (RFC 5545 §3.3.10), daily or slower."""

    freq: Freq
    interval: int = 1
    count: int = 0  # 0: not said
    until: When | None = None
    byday: tuple[str, ...] = ()  # "MO", "-1SU"
    bymonthday: tuple[int, ...] = ()
    byyearday: tuple[int, ...] = ()
    byweekno: tuple[int, ...] = ()
    bymonth: tuple[int, ...] = ()
    bysetpos: tuple[int, ...] = ()
    wkst: str = ""


@dataclass(frozen=True, slots=True)
class Organiser:
    address: str = field(repr=False)
    name: str = field(default="", repr=False)
    sentby: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Attendee:
    address: str = field(repr=False)
    name: str = field(default="", repr=False)
    status: str = "NEEDS-ACTION"  # PARTSTAT
    role: str = "REQ-PARTICIPANT"
    kind: str = "INDIVIDUAL"  # CUTYPE
    rsvp: bool = False
    delegates: tuple[str, ...] = field(default=(), repr=False)  # DELEGATED-TO
    delegators: tuple[str, ...] = field(default=(), repr=False)  # DELEGATED-FROM
    sentby: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Property:
    """A property that the model has no field for, kept as it came: parameters, value as written."""

    name: str
    params: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    value: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Component:
    """One VEVENT: a whole appointment or series (`recurrence` None), or one occurrence of it."""

    uid: str = field(repr=False)
    recurrence: When | None = None
    future: bool = False  # RANGE=THISANDFUTURE
    sequence: int = 0
    stamp: str = ""  # DTSTAMP, "2026-11-20T10:00:00Z"
    start: When | None = None
    end: When | None = None
    rule: Rule | None = field(default=None, repr=False)
    rdates: tuple[When, ...] = ()
    exdates: tuple[When, ...] = ()
    status: str = ""  # "", "TENTATIVE", "CONFIRMED", "CANCELLED"
    title: str = field(default="", repr=False)
    place: str = field(default="", repr=False)
    description: str = field(default="", repr=False)
    comment: str = field(default="", repr=False)
    organiser: Organiser | None = None
    attendees: tuple[Attendee, ...] = ()
    extra: tuple[Property, ...] = ()

    @property
    def key(self) -> str:
        return "" if self.recurrence is None else self.recurrence.key

    def attendee(self, addresses: tuple[str, ...]) -> Attendee | None:
        return next((one for one in self.attendees if one.address in addresses), None)


@dataclass(frozen=True, slots=True)
class Message:
    """An iTIP message about one UID. `sender`: the address that the server verified (outer From)."""

    method: Method
    components: tuple[Component, ...]
    sender: str = field(default="", repr=False)
    received: int = 0  # milliseconds


@dataclass(frozen=True, slots=True)
class Held:
    """A component with the revision it counts as: one sent along with its series counts at least as the series."""

    component: Component
    sequence: int
    stamp: str

    @property
    def revision(self) -> tuple[int, str]:
        """RFC 5546 §2.1.5: SEQUENCE, then DTSTAMP."""
        return self.sequence, self.stamp


@dataclass(frozen=True, slots=True)
class Reply:
    """What somebody answered, to the whole ("") or to one occurrence (`When.key` of its RECURRENCE-ID)."""

    address: str = field(repr=False)
    name: str = field(repr=False)
    recurrence: str
    sequence: int
    stamp: str
    status: str
    comment: str = field(default="", repr=False)
    delegates: tuple[str, ...] = field(default=(), repr=False)
    delegators: tuple[str, ...] = field(default=(), repr=False)

    @property
    def revision(self) -> tuple[int, str]:
        return self.sequence, self.stamp


@dataclass(frozen=True, slots=True)
class Proposal:
    """Another time that somebody proposes."""

    address: str = field(repr=False)
    recurrence: str
    sequence: int
    stamp: str
    start: When
    end: When | None = None
    comment: str = field(default="", repr=False)
    settled: bool = False  # declined: kept, so that it does not come back

    @property
    def revision(self) -> tuple[int, str]:
        return self.sequence, self.stamp


@dataclass(frozen=True, slots=True)
class Appointment:
    """All that one party knows of one UID."""

    uid: str = field(repr=False)
    role: Role
    organiser: str = field(repr=False)
    trust: Trust = "organiser"  # who vouched for what is held
    voucher: str = field(default="", repr=False)  # that address
    master: Held | None = None
    overrides: tuple[Held, ...] = ()  # by key of their RECURRENCE-ID
    added: tuple[Held, ...] = ()  # further series under the same UID (ADD with a rule)
    replies: tuple[Reply, ...] = ()  # organiser: of everybody; attendee: one's own
    proposals: tuple[Proposal, ...] = ()  # likewise
    former: tuple[str, ...] = field(default=(), repr=False)  # organiser: who was taken off
    last: str = ""  # latest DTSTAMP made here: the next is later


@dataclass(frozen=True, slots=True)
class Event:
    """What a message came to."""

    kind: EventKind
    uid: str = field(default="", repr=False)
    recurrence: str = ""  # key, "": the whole
    who: str = field(default="", repr=False)  # organiser, attendee, or whoever claimed to be one
    status: str = ""  # PARTSTAT of an answer
    comment: str = field(default="", repr=False)
    reason: str = ""  # slug of a refusal


@dataclass(frozen=True, slots=True)
class Me:
    """Who one is: all own addresses, lower case; the first is written into what one sends."""

    addresses: tuple[str, ...] = field(repr=False)
    name: str = field(default="", repr=False)

    @property
    def address(self) -> str:
        return self.addresses[0]


@dataclass(frozen=True, slots=True)
class Received:
    appointment: Appointment | None  # to be kept in place of the one given
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Outgoing:
    to: tuple[str, ...] = field(repr=False)
    message: Message


@dataclass(frozen=True, slots=True)
class Made:
    """What an own act made: the appointment to keep, and what is to be sent."""

    appointment: Appointment
    outgoing: tuple[Outgoing, ...] = ()
