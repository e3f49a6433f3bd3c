"""Writes the transcripts of this folder: `python -m tests.webmail.vectors.itip.make_transcripts`.

What each step must come to is said here by hand (events, and what matters of what its person then sees); the rest of
what they see, and the calendars sent, are written down as Python made them, for the page to make the same.
Exchanges named by a section are those of RFC 5546 §4, with words of our own.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from mail_server.payloads.agenda.itip import Engine
from mail_server.payloads.agenda.model import Me
from mail_server.payloads.agenda.reading import read_calendar
from tests.webmail.vectors.itip import playing

UID = "rendez-vous-1@chu.example"
PEOPLE = {name: [f"{name}@example.com"] for name in ("anne", "bruno", "chloe", "david", "elise")}
ANNE = "anne@example.com"


def address(name: str) -> str:
    return PEOPLE[name][0]


def event(*lines: str, uid: str = UID) -> list[str]:
    """A calendar of one event, as its author gives it to the engine."""
    return [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "BEGIN:VEVENT",
        f"UID:{uid}",
        *lines,
        "END:VEVENT",
        "END:VCALENDAR",
    ]


def itip(method: str, *lines: str, more: tuple[str, ...] = ()) -> list[str]:
    """A message as another program writes it."""
    return [
        "BEGIN:VCALENDAR", "PRODID:-//Autre//FR", f"METHOD:{method}", "VERSION:2.0", *more,
        "BEGIN:VEVENT", f"UID:{UID}", *lines, "END:VEVENT", "END:VCALENDAR",
    ]  # fmt: skip


def people(*names: str) -> list[str]:
    return [f"ATTENDEE;CN={one.title()};RSVP=TRUE:mailto:{address(one)}" for one in names]


class Story:
    """One transcript in the making; says what is wrong where the engine comes to something else."""

    def __init__(self, title: str, *who: str, uid: str = UID) -> None:
        self.title, self.who, self.uid = title, who, uid
        self.engines = {name: Engine(Me(tuple(PEOPLE[name]), name.title())) for name in who}
        self.steps: list[dict[str, Any]] = []
        self.sent: dict[str, str] = {}
        self.clock = datetime.fromisoformat("2026-10-01T08:00:00+00:00")

    def step(self, who: str, seen: dict[str, Any], **said: Any) -> playing.Step:
        self.clock += timedelta(minutes=5)
        wanted = said.pop("events", None)
        refused = said.pop("refused", "")
        step = {"who": who, "at": f"{self.clock:%Y-%m-%dT%H:%M:%SZ}", **said}
        made = playing.play(self.engines[who], step, self.sent)
        where = f"{self.title}, step {len(self.steps)}"
        if wanted is not None and made.events != wanted:
            raise AssertionError(f"{where}: events {made.events} instead of {wanted}")
        if made.refused != refused:
            raise AssertionError(f"{where}: refused {made.refused!r} instead of {refused!r}")
        view = playing.view(self.engines[who], self.uid)
        for name, value in seen.items():
            found = None if view is None else view[name]
            if found != value:
                raise AssertionError(f"{where}: {name} is {found} instead of {value}")
        step |= {"events": made.events} if made.events else {}
        step |= {"sends": made.sends} if made.sends else {}
        step |= {"refused": made.refused} if made.refused else {}
        self.steps.append({**step, "view": view})
        return made

    def do(self, who: str, deed: str, name: str, given: dict[str, Any], **seen: Any) -> list[str]:
        """Somebody acts; gives to whom each message goes, as "bruno@example.com: REQUEST"."""
        refused = seen.pop("refused", "")
        made = self.step(who, seen, do=deed, given=given, refused=refused, **{"as": name})
        return [f"{' '.join(one['to'])}: {self._method(one['ics'])}" for one in made.sends]

    def take(self, who: str, name: str, sender: str, *events: str, **seen: Any) -> None:
        self.step(who, seen, take=name, events=list(events), **{"from": address(sender)})

    def hear(self, who: str, ics: list[str], sender: str, *events: str, **seen: Any) -> None:
        refused = seen.pop("refused", "")
        self.step(who, seen, ics=ics, events=list(events), refused=refused, **{"from": sender})

    @staticmethod
    def _method(lines: list[str]) -> str:
        return next(one.partition(":")[2] for one in lines if one.startswith("METHOD:"))

    @property
    def told(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "uid": self.uid,
            "people": {name: PEOPLE[name] for name in self.who},
            "steps": self.steps,
        }


def sends(found: list[str], *wanted: str) -> None:
    if found != list(wanted):
        raise AssertionError(f"sends {found} instead of {list(wanted)}")


MEETING = (
    "DTSTART;TZID=Europe/Paris:20261120T100000", "DTEND;TZID=Europe/Paris:20261120T110000",
    "SUMMARY:Consultation de suivi", "LOCATION:Bâtiment B",
)  # fmt: skip
WEEKLY = (
    "DTSTART;TZID=Europe/Paris:20261020T090000", "DTEND;TZID=Europe/Paris:20261020T093000",
    "RRULE:FREQ=WEEKLY;COUNT=5", "SUMMARY:Kinésithérapie", "LOCATION:Cabinet",
)  # fmt: skip
K1, K2, K3 = "2026-10-20T07:00:00Z", "2026-10-27T08:00:00Z", "2026-11-03T08:00:00Z"


def invited(story: Story, *guests: str, lines: tuple[str, ...] = MEETING) -> None:
    """Anne invites, and all have it."""
    made = story.do(
        "anne", "organise", "request", {"ics": event(*lines, *people(*guests))}, role="organiser", sequence=0
    )
    sends(made, f"{' '.join(address(one) for one in guests)}: REQUEST")
    for one in guests:
        if one in story.engines:
            story.take(one, "request", "anne", f"invited {ANNE} NEEDS-ACTION", mine="NEEDS-ACTION")


def minimal_published() -> Story:
    story = Story("§4.1.1 to §4.1.3: an event is published, changed, called off", "bruno")
    base = (f"ORGANIZER:mailto:{ANNE}", "DTSTART:20261101T200000Z", "SUMMARY:Journée portes ouvertes")
    first = itip("PUBLISH", *base, "DTSTAMP:20261001T070000Z")
    story.hear("bruno", first, ANNE, f"published {ANNE}", role="published", mine="")
    later = itip(
        "PUBLISH", *base[:1], "DTSTART:20261101T220000Z", "SEQUENCE:1", "DTSTAMP:20261001T080000Z", base[2]
    )
    story.hear("bruno", later, ANNE, f"published {ANNE}", sequence=1)
    story.do("bruno", "answer", "a", {"uid": UID, "status": "ACCEPTED"}, refused="not-invited")
    story.hear("bruno", first, ANNE, f"late {ANNE}", sequence=1)
    off = itip(
        "CANCEL", base[0], "SEQUENCE:2", "STATUS:CANCELLED", "DTSTAMP:20261001T090000Z", "COMMENT:Salle prise"
    )
    story.hear("bruno", off, ANNE, f"cancelled {ANNE}", cancelled=True)
    story.hear("bruno", off, ANNE, f"duplicate {ANNE}", cancelled=True)
    return story


def rich_published() -> Story:
    story = Story(
        "§4.1.4 and §4.1.5: an event with all there may be, and one of whole days each year", "bruno"
    )
    rich = itip(
        "PUBLISH", f"ORGANIZER;CN=Anne:mailto:{ANNE}", "DTSTAMP:20261001T070000Z", "DTSTART;VALUE=DATE:20261224",
        "RRULE:FREQ=YEARLY", "SUMMARY;LANGUAGE=fr:Fermeture\\, comme chaque année", "CLASS:PUBLIC", "PRIORITY:2",
        "CATEGORIES:FERMETURE,RAPPEL", "STATUS:CONFIRMED", "TRANSP:TRANSPARENT", "GEO:45.18;5.72",
        "ATTACH;FMTTYPE=text/plain:https://chu.example/plan.txt", "X-CHU-ETAGE:2",
        "BEGIN:VALARM", "TRIGGER:-PT30M", "ACTION:DISPLAY", "DESCRIPTION:Rappel", "END:VALARM",
    )  # fmt: skip
    days = [
        [
            f"{year}-12-24",
            f"{year}-12-23T23:00:00Z",
            f"{year}-12-24T23:00:00Z",
            "Fermeture, comme chaque année",
            "",
        ]
        for year in (2026, 2027, 2028)
    ]
    story.hear("bruno", rich, ANNE, f"published {ANNE}", times=days)
    return story


def group_request() -> Story:
    story = Story(
        "§4.2.1 and §4.2.2: a group is invited; one accepts, one declines", "anne", "bruno", "chloe"
    )
    invited(story, "bruno", "chloe", "david")
    made = story.do(
        "bruno", "answer", "yes", {"uid": UID, "status": "ACCEPTED", "comment": "J'y serai"}, mine="ACCEPTED"
    )
    sends(made, f"{ANNE}: REPLY")
    story.take("anne", "yes", "bruno", "replied bruno@example.com ACCEPTED")
    story.do("chloe", "answer", "no", {"uid": UID, "status": "DECLINED"}, mine="DECLINED")
    told = [
        ["bruno@example.com", "ACCEPTED"],
        ["chloe@example.com", "DECLINED"],
        ["david@example.com", "NEEDS-ACTION"],
    ]
    story.take("anne", "no", "chloe", "replied chloe@example.com DECLINED", attendees=told)
    story.take("anne", "no", "chloe", "duplicate chloe@example.com DECLINED", attendees=told)
    story.do("bruno", "answer", "no2", {"uid": UID, "status": "TENTATIVE"}, mine="TENTATIVE")
    story.take("anne", "no2", "bruno", "replied bruno@example.com TENTATIVE")
    story.take("anne", "yes", "bruno", "late bruno@example.com ACCEPTED")
    return story


def update() -> Story:
    story = Story(
        "§4.2.3: an event is moved; answers given before are to another time", "anne", "bruno", "chloe"
    )
    invited(story, "bruno", "chloe")
    story.do("bruno", "answer", "yes", {"uid": UID, "status": "ACCEPTED"})
    story.take("anne", "yes", "bruno", "replied bruno@example.com ACCEPTED")
    story.do("chloe", "answer", "slow", {"uid": UID, "status": "ACCEPTED"})
    moved = (MEETING[0].replace("T10", "T14"), MEETING[1].replace("T11", "T15"), *MEETING[2:])
    told = [["bruno@example.com", "NEEDS-ACTION"], ["chloe@example.com", "NEEDS-ACTION"]]
    story.do(
        "anne",
        "change",
        "moved",
        {"ics": event(*moved, *people("bruno", "chloe"))},
        sequence=1,
        attendees=told,
    )
    story.take("anne", "slow", "chloe", "late chloe@example.com ACCEPTED", attendees=told)
    story.take("bruno", "moved", "anne", f"rescheduled {ANNE} NEEDS-ACTION", mine="NEEDS-ACTION", sequence=1)
    story.take("chloe", "moved", "anne", f"rescheduled {ANNE} NEEDS-ACTION", mine="NEEDS-ACTION")
    story.take("bruno", "request", "anne", f"late {ANNE}", sequence=1)
    story.take("bruno", "moved", "anne", f"duplicate {ANNE}", sequence=1)
    story.do("bruno", "answer", "again", {"uid": UID, "status": "ACCEPTED"}, mine="ACCEPTED")
    story.take("anne", "again", "bruno", "replied bruno@example.com ACCEPTED")
    renamed = (*moved[:2], "SUMMARY:Consultation (apporter les analyses)", moved[3])
    story.do("anne", "change", "renamed", {"ics": event(*renamed, *people("bruno", "chloe"))}, sequence=1)
    story.take("bruno", "renamed", "anne", f"updated {ANNE} ACCEPTED", mine="ACCEPTED")
    return story


def reordered() -> Story:
    story = Story("§2.1.5: the update comes before the invitation", "anne", "bruno")
    story.do("anne", "organise", "request", {"ics": event(*MEETING, *people("bruno"))})
    moved = (MEETING[0].replace("T10", "T14"), MEETING[1].replace("T11", "T15"), *MEETING[2:])
    story.do("anne", "change", "moved", {"ics": event(*moved, *people("bruno"))}, sequence=1)
    story.take("bruno", "moved", "anne", f"invited {ANNE} NEEDS-ACTION", sequence=1)
    story.take("bruno", "request", "anne", f"late {ANNE}", sequence=1)
    return story


def countering() -> Story:
    story = Story(
        "§4.2.4: another time is proposed, refused, proposed again, taken", "anne", "bruno", "chloe"
    )
    invited(story, "bruno", "chloe")
    at = {"start": "2026-11-20T16:00:00[Europe/Paris]", "end": "2026-11-20T17:00:00[Europe/Paris]"}
    open_ = [["bruno@example.com", "", "2026-11-20T15:00:00Z"]]
    made = story.do(
        "bruno", "propose", "counter", {"uid": UID, **at, "comment": "Plutôt l'après-midi"}, proposals=open_
    )
    sends(made, f"{ANNE}: COUNTER")
    story.take("anne", "counter", "bruno", "countered bruno@example.com TENTATIVE", proposals=open_)
    made = story.do(
        "anne",
        "decline_counter",
        "no",
        {"uid": UID, "address": address("bruno"), "comment": "Complet"},
        proposals=[],
    )
    sends(made, "bruno@example.com: DECLINECOUNTER")
    story.take("anne", "counter", "bruno", "duplicate bruno@example.com", proposals=[])
    story.take("bruno", "no", "anne", f"proposal-refused {ANNE}", proposals=[])
    story.take("bruno", "no", "anne", f"unknown {ANNE}", proposals=[])
    at = {"start": "2026-11-20T17:00:00[Europe/Paris]", "end": "2026-11-20T18:00:00[Europe/Paris]"}
    story.do(
        "bruno",
        "propose",
        "counter2",
        {"uid": UID, **at},
        proposals=[["bruno@example.com", "", "2026-11-20T16:00:00Z"]],
    )
    story.take(
        "bruno",
        "no",
        "anne",
        f"unknown {ANNE}",
        proposals=[["bruno@example.com", "", "2026-11-20T16:00:00Z"]],
    )
    story.take("anne", "counter2", "bruno", "countered bruno@example.com TENTATIVE")
    made = story.do(
        "anne", "accept_counter", "moved", {"uid": UID, "address": address("bruno")}, sequence=1, proposals=[]
    )
    sends(made, "bruno@example.com chloe@example.com: REQUEST")
    times = [["", "2026-11-20T16:00:00Z", "2026-11-20T17:00:00Z", "Consultation de suivi", "Bâtiment B"]]
    story.take("bruno", "moved", "anne", f"rescheduled {ANNE} NEEDS-ACTION", proposals=[], times=times)
    story.take("chloe", "moved", "anne", f"rescheduled {ANNE} NEEDS-ACTION", times=times)
    story.take("anne", "counter2", "bruno", "late bruno@example.com TENTATIVE", proposals=[])
    return story


def delegating() -> Story:
    story = Story(
        "§4.2.5 to §4.2.7: an invitation is handed on; the delegate accepts, then declines",
        "anne",
        "bruno",
        "elise",
    )
    invited(story, "bruno")
    made = story.do(
        "bruno",
        "answer",
        "handed",
        {"uid": UID, "status": "DELEGATED", "delegate": address("elise")},
        mine="DELEGATED",
    )
    sends(made, f"{ANNE}: REPLY", "elise@example.com: REQUEST")
    story.take(
        "elise", "handed1", "bruno", f"delegated-to-me {ANNE} NEEDS-ACTION", trust="delegator", organiser=ANNE
    )
    made = story.do("elise", "answer", "yes", {"uid": UID, "status": "ACCEPTED"}, mine="ACCEPTED")
    sends(made, f"{ANNE}: REPLY")
    story.take(
        "anne",
        "yes",
        "elise",
        "party-crasher elise@example.com ACCEPTED",
        crashers=[["elise@example.com", "ACCEPTED"]],
    )
    told = [["bruno@example.com", "DELEGATED"], ["elise@example.com", "ACCEPTED"]]
    story.take(
        "anne", "handed", "bruno", "delegated bruno@example.com DELEGATED", attendees=told, crashers=[]
    )
    story.do("elise", "answer", "no", {"uid": UID, "status": "DECLINED"})
    story.take(
        "anne",
        "no",
        "elise",
        "replied elise@example.com DECLINED",
        attendees=[told[0], ["elise@example.com", "DECLINED"]],
    )
    renamed = (*MEETING[:2], "SUMMARY:Consultation", MEETING[3])
    made = story.do("anne", "change", "told", {"ics": event(*renamed, *people("bruno", "elise"))})
    sends(made, "bruno@example.com elise@example.com: REQUEST")
    story.take(
        "elise",
        "told",
        "anne",
        f"updated {ANNE} DECLINED",
        trust="organiser",
        mine="DECLINED",
        title="Consultation",
    )
    story.take("elise", "handed1", "bruno", "not-organiser bruno@example.com", title="Consultation")
    return story


def forwarding() -> Story:
    story = Story("§4.2.8: an invitation is passed on to somebody not invited", "anne", "bruno", "elise")
    invited(story, "bruno")
    story.take("elise", "request", "bruno", "not-organiser bruno@example.com")
    story.take("elise", "request", "anne", f"invited {ANNE}", mine="")
    made = story.do("elise", "answer", "yes", {"uid": UID, "status": "ACCEPTED"}, mine="ACCEPTED")
    sends(made, f"{ANNE}: REPLY")
    story.take(
        "anne",
        "yes",
        "elise",
        "party-crasher elise@example.com ACCEPTED",
        attendees=[["bruno@example.com", "NEEDS-ACTION"]],
    )
    told = [["bruno@example.com", "NEEDS-ACTION"], ["elise@example.com", "ACCEPTED"]]
    made = story.do(
        "anne",
        "admit",
        "admitted",
        {"uid": UID, "address": address("elise")},
        attendees=told,
        crashers=[],
        sequence=0,
    )
    sends(made, "bruno@example.com elise@example.com: REQUEST")
    story.take("elise", "admitted", "anne", f"updated {ANNE} ACCEPTED", mine="ACCEPTED")
    story.do(
        "anne", "admit", "nobody", {"uid": UID, "address": "personne@example.com"}, refused="not-attendee"
    )
    return story


def cancelling() -> Story:
    story = Story("§4.2.9: a group event is called off", "anne", "bruno", "chloe")
    invited(story, "bruno", "chloe")
    made = story.do(
        "anne", "cancel", "off", {"uid": UID, "comment": "Médecin absent"}, cancelled=True, sequence=1
    )
    sends(made, "bruno@example.com chloe@example.com: CANCEL")
    story.take("bruno", "off", "anne", f"cancelled {ANNE}", cancelled=True, sequence=1)
    story.take("bruno", "off", "anne", f"duplicate {ANNE}", cancelled=True)
    story.take("bruno", "request", "anne", f"late {ANNE}", cancelled=True)
    story.do("bruno", "answer", "too-late", {"uid": UID, "status": "ACCEPTED"}, refused="cancelled")
    return story


def cancelled_first() -> Story:
    story = Story("§2.1.5: the cancellation comes before the invitation", "anne", "bruno")
    story.do("anne", "organise", "request", {"ics": event(*MEETING, *people("bruno"))})
    story.do("anne", "cancel", "off", {"uid": UID})
    story.take("bruno", "off", "anne", f"unknown {ANNE}", role="unknown", cancelled=True)
    story.take(
        "bruno",
        "request",
        "anne",
        f"cancelled {ANNE} NEEDS-ACTION",
        role="attendee",
        cancelled=True,
        title="Consultation de suivi",
    )
    return story


def removing() -> Story:
    story = Story("§4.2.10: one attendee is taken off; the others are told", "anne", "bruno", "chloe")
    invited(story, "bruno", "chloe")
    made = story.do(
        "anne",
        "change",
        "less",
        {"ics": event(*MEETING, *people("chloe"))},
        former=["bruno@example.com"],
        sequence=0,
    )
    sends(made, "chloe@example.com: REQUEST", "bruno@example.com: CANCEL")
    story.take(
        "chloe",
        "less",
        "anne",
        f"updated {ANNE} NEEDS-ACTION",
        attendees=[["chloe@example.com", "NEEDS-ACTION"]],
    )
    story.take("chloe", "less1", "anne", f"others-removed {ANNE}", cancelled=False)
    story.take("bruno", "less1", "anne", f"uninvited {ANNE}", cancelled=True)
    story.take("bruno", "request", "anne", f"late {ANNE}", cancelled=True)
    story.do("bruno", "refresh", "again", {"uid": UID})
    story.take("anne", "again", "bruno", "refresh-asked bruno@example.com")
    made = story.do("anne", "refreshed", "sorry", {"uid": UID, "address": address("bruno")})
    sends(made, "bruno@example.com: CANCEL")
    made = story.do("anne", "change", "more", {"ics": event(*MEETING, *people("bruno", "chloe"))}, former=[])
    story.take("bruno", "more", "anne", f"rescheduled {ANNE} NEEDS-ACTION", cancelled=False)
    return story


def replacing_organiser() -> Story:
    story = Story(
        "§4.2.11: somebody else claims to be the organiser: nothing changes, and it is told", "anne", "bruno"
    )
    invited(story, "bruno")
    lines = ("DTSTART:20261120T120000Z", "DTEND:20261120T130000Z", "SUMMARY:Autre", *people("bruno"))
    other = itip(
        "REQUEST", "ORGANIZER:mailto:david@example.com", "SEQUENCE:5", "DTSTAMP:20261101T100000Z", *lines
    )
    story.hear(
        "bruno", other, address("david"), "not-organiser david@example.com", title="Consultation de suivi"
    )
    forged = itip("REQUEST", f"ORGANIZER:mailto:{ANNE}", "SEQUENCE:5", "DTSTAMP:20261101T100000Z", *lines)
    story.hear("bruno", forged, address("david"), "not-organiser david@example.com", sequence=0)
    for method in ("CANCEL", "ADD", "DECLINECOUNTER", "PUBLISH"):
        told = itip(method, f"ORGANIZER:mailto:{ANNE}", "SEQUENCE:1", "DTSTAMP:20261101T100000Z", *lines)
        story.hear(
            "bruno", told, address("david"), "not-organiser david@example.com", sequence=0, cancelled=False
        )
    shouting = itip(
        "REQUEST",
        f"ORGANIZER;CN=Anne:MailTo:{ANNE.upper()}",
        "SEQUENCE:1",
        "DTSTAMP:20261101T100000Z",
        *lines,
    )
    story.hear("bruno", shouting, ANNE, f"rescheduled {ANNE} NEEDS-ACTION", sequence=1)
    nobody = itip("REQUEST", "SEQUENCE:9", "DTSTAMP:20261101T100000Z", *lines)
    story.hear("bruno", nobody, address("david"), "refused david@example.com organiser", sequence=1)
    return story


def on_behalf() -> Story:
    story = Story(
        "§2.1.3: a secretary writes for the organiser; the organiser's own word counts more", "bruno"
    )
    lines = ("DTSTART:20261120T120000Z", "DTEND:20261120T130000Z", "SUMMARY:Bilan", *people("bruno"))
    sent_by = f'ORGANIZER;SENT-BY="mailto:secretariat@example.com":mailto:{ANNE}'
    first = itip("REQUEST", sent_by, "DTSTAMP:20261001T090000Z", *lines)
    story.hear("bruno", first, "secretariat@example.com", f"invited {ANNE} NEEDS-ACTION", trust="sentby")
    story.hear(
        "bruno",
        itip("CANCEL", sent_by, "SEQUENCE:1", "DTSTAMP:20261001T100000Z", "STATUS:CANCELLED"),
        "autre@example.com",
        "not-organiser autre@example.com",
        cancelled=False,
    )
    own = itip("REQUEST", f"ORGANIZER:mailto:{ANNE}", "DTSTAMP:20261001T093000Z", *lines)
    story.hear("bruno", own, ANNE, f"updated {ANNE} NEEDS-ACTION", trust="organiser")
    later = itip("REQUEST", sent_by, "SEQUENCE:3", "DTSTAMP:20261001T110000Z", *lines)
    story.hear("bruno", later, "secretariat@example.com", "not-organiser secretariat@example.com", sequence=0)
    named = itip("REQUEST", sent_by, "SEQUENCE:1", "DTSTAMP:20261001T120000Z", *lines)
    story.hear("bruno", named, ANNE, f"updated {ANNE} NEEDS-ACTION", trust="organiser", sequence=1)
    story.hear("bruno", later, "secretariat@example.com", f"updated {ANNE} NEEDS-ACTION", sequence=3)
    return story


def spanning_zones() -> Story:
    story = Story(
        "§4.4.1: a series whose attendees live in several zones, over both changes of the clocks",
        "anne",
        "bruno",
    )
    lines = (
        "DTSTART;TZID=Europe/Paris:20261018T160000", "DTEND;TZID=Europe/Paris:20261018T170000",
        "RRULE:FREQ=WEEKLY;BYDAY=SU;UNTIL=20261101T235959Z", "RDATE;TZID=America/New_York:20270314T020000",
        "SUMMARY:Réunion des deux rives",
    )  # fmt: skip
    invited(story, "bruno", lines=lines)
    starts = [one[1] for one in playing.view(story.engines["bruno"], UID)["times"]]
    if starts != [
        "2026-10-18T14:00:00Z",
        "2026-10-25T15:00:00Z",
        "2026-11-01T15:00:00Z",
        "2027-03-14T07:00:00Z",
    ]:
        raise AssertionError(starts)
    return story


def instance_moved() -> Story:
    story = Story("§4.4.2: one occurrence of a series is moved", "anne", "bruno", "chloe")
    invited(story, "bruno", "chloe", lines=WEEKLY)
    story.do("bruno", "answer", "yes", {"uid": UID, "status": "ACCEPTED"})
    story.take("anne", "yes", "bruno", "replied bruno@example.com ACCEPTED")
    one = (
        "RECURRENCE-ID;TZID=Europe/Paris:20261027T090000", "DTSTART;TZID=Europe/Paris:20261028T143000",
        "DTEND;TZID=Europe/Paris:20261028T150000", *WEEKLY[3:], *people("bruno", "chloe"),
    )  # fmt: skip
    story.do("anne", "change", "moved", {"ics": event(*one)}, sequence=1)
    story.take(
        "bruno",
        "moved",
        "anne",
        f"rescheduled {K2} {ANNE} NEEDS-ACTION",
        mine="ACCEPTED",
        answers=[[K2, "NEEDS-ACTION"]],
    )
    story.do(
        "bruno",
        "answer",
        "one",
        {"uid": UID, "status": "DECLINED", "recurrence": K2},
        answers=[[K2, "DECLINED"]],
        mine="ACCEPTED",
    )
    story.take("anne", "one", "bruno", f"replied {K2} bruno@example.com DECLINED")
    story.take("anne", "one", "bruno", f"duplicate {K2} bruno@example.com DECLINED")
    # the exception before the series
    fresh = Story("§4.4.2: the moved occurrence comes before its series", "anne", "bruno")
    fresh.do("anne", "organise", "request", {"ics": event(*WEEKLY, *people("bruno"))})
    fresh.do("anne", "change", "moved", {"ics": event(*one[:-2], *people("bruno"))})
    fresh.take("bruno", "moved", "anne", f"invited {K2} {ANNE} NEEDS-ACTION")
    fresh.take("bruno", "request", "anne", f"invited {ANNE} NEEDS-ACTION")
    starts = [one[1] for one in playing.view(fresh.engines["bruno"], UID)["times"]]
    if starts[1] != "2026-10-28T13:30:00Z":
        raise AssertionError(starts)
    STORIES.append(fresh)
    return story


def instance_cancelled() -> Story:
    story = Story("§4.4.3: one occurrence is called off", "anne", "bruno", "chloe")
    invited(story, "bruno", "chloe", lines=WEEKLY)
    made = story.do(
        "anne",
        "cancel",
        "off",
        {"uid": UID, "recurrence": K2, "comment": "Férié"},
        sequence=1,
        cancelled=False,
    )
    sends(made, "bruno@example.com chloe@example.com: CANCEL")
    story.take("bruno", "off", "anne", f"cancelled {K2} {ANNE}", cancelled=False)
    story.do(
        "bruno", "answer", "x", {"uid": UID, "status": "ACCEPTED", "recurrence": K2}, refused="cancelled"
    )
    story.do("bruno", "answer", "yes", {"uid": UID, "status": "ACCEPTED"}, mine="ACCEPTED")
    story.take("chloe", "off", "anne", f"cancelled {K2} {ANNE}")
    story.do("chloe", "refresh", "ask", {"uid": UID})
    story.take("anne", "ask", "chloe", "refresh-asked chloe@example.com")
    made = story.do("anne", "refreshed", "all", {"uid": UID, "address": address("chloe")})
    story.take("chloe", "all", "anne", f"rescheduled {ANNE} NEEDS-ACTION")
    return story


def series_cancelled() -> Story:
    story = Story("§4.4.4: a whole series is called off", "anne", "bruno")
    invited(story, "bruno", lines=WEEKLY)
    story.do("anne", "cancel", "off", {"uid": UID}, cancelled=True)
    story.take("bruno", "off", "anne", f"cancelled {ANNE}", cancelled=True)
    return story


def future_changed() -> Story:
    story = Story("§4.4.5: all occurrences from one on are changed, then called off", "anne", "bruno")
    invited(story, "bruno", lines=WEEKLY)
    later = itip(
        "REQUEST", f"ORGANIZER:mailto:{ANNE}", "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Paris:20261103T090000",
        "SEQUENCE:1", "DTSTAMP:20261001T093000Z", "DTSTART;TZID=Europe/Paris:20261103T110000",
        "DTEND;TZID=Europe/Paris:20261103T114500", "SUMMARY:Kinésithérapie", "LOCATION:Piscine", *people("bruno"),
    )  # fmt: skip
    story.hear("bruno", later, ANNE, f"rescheduled {K3} {ANNE} NEEDS-ACTION")
    found = [(one[1], one[2], one[4]) for one in playing.view(story.engines["bruno"], UID)["times"]]
    if found[1:4] != [
        (K2, "2026-10-27T08:30:00Z", "Cabinet"),
        ("2026-11-03T10:00:00Z", "2026-11-03T10:45:00Z", "Piscine"),
        ("2026-11-10T10:00:00Z", "2026-11-10T10:45:00Z", "Piscine"),
    ]:
        raise AssertionError(found)
    off = itip(
        "CANCEL", f"ORGANIZER:mailto:{ANNE}", "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Paris:20261110T090000",
        "SEQUENCE:2", "STATUS:CANCELLED", "DTSTAMP:20261001T094500Z",
    )  # fmt: skip
    story.hear("bruno", off, ANNE, f"cancelled 2026-11-10T08:00:00Z {ANNE}")
    off_too = [one[0] for one in playing.view(story.engines["bruno"], UID)["times"] if one[5:]]
    if off_too != ["2026-11-10T08:00:00Z", "2026-11-17T08:00:00Z"]:
        raise AssertionError(off_too)
    return story


def adding() -> Story:
    story = Story("§4.4.6: an occurrence is added to a series", "anne", "bruno", "chloe")
    invited(story, "bruno", "chloe", lines=WEEKLY)
    story.do("bruno", "answer", "yes", {"uid": UID, "status": "ACCEPTED"})
    story.take("anne", "yes", "bruno", "replied bruno@example.com ACCEPTED")
    more = (
        "DTSTART;TZID=Europe/Paris:20261022T170000",
        "DTEND;TZID=Europe/Paris:20261022T173000",
        *WEEKLY[3:],
    )
    key = "2026-10-22T15:00:00Z"
    made = story.do("anne", "add", "added", {"ics": event(*more)}, sequence=1)
    sends(made, "bruno@example.com chloe@example.com: ADD")
    story.take(
        "bruno",
        "added",
        "anne",
        f"added {key} {ANNE} NEEDS-ACTION",
        mine="ACCEPTED",
        answers=[[key, "NEEDS-ACTION"]],
    )
    story.take("bruno", "added", "anne", f"duplicate {ANNE}")
    story.do(
        "bruno",
        "answer",
        "also",
        {"uid": UID, "status": "ACCEPTED", "recurrence": key},
        answers=[[key, "ACCEPTED"]],
    )
    story.take("anne", "also", "bruno", f"replied {key} bruno@example.com ACCEPTED")
    again = (
        "DTSTART;TZID=Europe/Paris:20261024T170000",
        "DTEND;TZID=Europe/Paris:20261024T173000",
        *WEEKLY[3:],
    )
    story.do("anne", "add", "added2", {"ics": event(*again)}, sequence=2)
    story.take("chloe", "added2", "anne", f"refresh-needed {ANNE}", sequence=0)
    story.do("chloe", "refresh", "ask", {"uid": UID})
    story.take("anne", "ask", "chloe", "refresh-asked chloe@example.com")
    story.do("anne", "refreshed", "all", {"uid": UID, "address": address("chloe")})
    story.take("chloe", "all", "anne", f"rescheduled {ANNE} NEEDS-ACTION", sequence=2)
    story.take("chloe", "added", "anne", f"late {ANNE}", sequence=2)
    return story


def adding_series() -> Story:
    story = Story("§4.4.7: a series is added to a series", "anne", "bruno")
    invited(story, "bruno", lines=WEEKLY)
    more = itip(
        "ADD", f"ORGANIZER:mailto:{ANNE}", "SEQUENCE:1", "DTSTAMP:20261001T093000Z",
        "DTSTART;TZID=Europe/Paris:20261022T090000", "DTEND;TZID=Europe/Paris:20261022T093000",
        "RRULE:FREQ=WEEKLY;COUNT=2", "SUMMARY:Kinésithérapie", *people("bruno"),
    )  # fmt: skip
    story.hear("bruno", more, ANNE, f"added {ANNE} NEEDS-ACTION", sequence=1)
    keys = [one[0] for one in playing.view(story.engines["bruno"], UID)["times"]]
    if keys[:4] != [K1, "2026-10-22T07:00:00Z", K2, "2026-10-29T08:00:00Z"]:
        raise AssertionError(keys)
    return story


def refreshing() -> Story:
    story = Story("§4.4.8 and §4.7.1: all of a series is asked for and given", "anne", "bruno", "chloe")
    story.do("anne", "organise", "request", {"ics": event(*WEEKLY, *people("bruno", "chloe"))})
    one = (
        "RECURRENCE-ID;TZID=Europe/Paris:20261027T090000", "DTSTART;TZID=Europe/Paris:20261028T143000",
        "DTEND;TZID=Europe/Paris:20261028T150000", *WEEKLY[3:], *people("bruno", "chloe"),
    )  # fmt: skip
    story.do("anne", "change", "moved", {"ics": event(*one)})
    story.do("anne", "cancel", "off", {"uid": UID, "recurrence": K3})
    story.do(
        "anne",
        "cancel",
        "future",
        {"uid": UID, "recurrence": "2026-11-17T08:00:00Z", "future": True},
        sequence=3,
    )
    made = story.do("bruno", "refresh", "ask", {"uid": UID, "organiser": ANNE})
    sends(made, f"{ANNE}: REFRESH")
    story.take("anne", "ask", "bruno", "refresh-asked bruno@example.com")
    made = story.do("anne", "refreshed", "all", {"uid": UID, "address": address("bruno")})
    sends(made, "bruno@example.com: REQUEST")
    story.take("bruno", "all", "anne", f"invited {ANNE} NEEDS-ACTION")
    starts = [one[1] for one in playing.view(story.engines["bruno"], UID)["times"]]
    if starts != [K1, "2026-10-28T13:30:00Z", "2026-11-10T08:00:00Z"]:
        raise AssertionError(starts)
    story.step(
        "anne", {}, take="ask", events=["not-attendee david@example.com"], **{"from": address("david")}
    )
    return story


def countering_instance() -> Story:
    story = Story("§4.4.9: another time is proposed for one occurrence", "anne", "bruno", "chloe")
    invited(story, "bruno", "chloe", lines=WEEKLY)
    at = {"start": "2026-10-27T11:00:00[Europe/Paris]", "end": "2026-10-27T11:30:00[Europe/Paris]"}
    story.do("bruno", "propose", "counter", {"uid": UID, "recurrence": K2, **at})
    story.take("anne", "counter", "bruno", f"countered {K2} bruno@example.com TENTATIVE")
    made = story.do(
        "anne",
        "accept_counter",
        "moved",
        {"uid": UID, "recurrence": K2, "address": address("bruno")},
        sequence=1,
        proposals=[],
    )
    sends(made, "bruno@example.com chloe@example.com: REQUEST")
    story.take("bruno", "moved", "anne", f"rescheduled {K2} {ANNE} NEEDS-ACTION", proposals=[])
    story.take("chloe", "moved", "anne", f"rescheduled {K2} {ANNE} NEEDS-ACTION")
    return story


def errors() -> Story:
    story = Story(
        "§4.4.10 and §4.7.2: answers and requests that make no sense change nothing", "anne", "bruno", "chloe"
    )
    invited(story, "bruno", "chloe")
    reply = (
        "DTSTAMP:20261001T093000Z",
        f"ORGANIZER:mailto:{ANNE}",
        "ATTENDEE;PARTSTAT=ACCEPTED:mailto:bruno@example.com",
    )
    story.hear(
        "anne",
        itip("REPLY", "RECURRENCE-ID:20261027T080000Z", *reply),
        address("bruno"),
        f"unknown {K2} bruno@example.com",
    )
    story.hear(
        "anne",
        itip("REPLY", *reply),
        address("chloe"),
        "not-attendee chloe@example.com",
        attendees=[["bruno@example.com", "NEEDS-ACTION"], ["chloe@example.com", "NEEDS-ACTION"]],
    )
    story.hear("bruno", itip("REPLY", *reply), address("chloe"), "not-for-me chloe@example.com")
    story.hear(
        "anne",
        itip("REPLY", "REQUEST-STATUS:3.8;Pas de droit", *reply),
        address("bruno"),
        "replied bruno@example.com ACCEPTED",
    )
    story.hear("anne", itip("COUNTER", *reply), address("bruno"), "refused bruno@example.com start")
    story.hear("bruno", itip("REQUEST", *reply), ANNE, f"refused {ANNE} start")
    story.hear("bruno", itip("FROBNICATE", *reply), ANNE, refused="method")
    story.hear(
        "bruno",
        itip("REQUEST", *reply, "DTSTART:20261120T100000Z", "RRULE:FREQ=SECONDLY"),
        ANNE,
        refused="sub-daily",
    )
    return story


def outlook() -> Story:
    story = Story("Outlook's zone names, Google's habits: read all the same", "bruno")
    zone = (
        "BEGIN:VTIMEZONE", "TZID:Fuseau maison", "BEGIN:STANDARD", "DTSTART:16010101T030000", "TZOFFSETFROM:+0200",
        "TZOFFSETTO:+0100", "RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10", "END:STANDARD", "BEGIN:DAYLIGHT",
        "DTSTART:16010101T020000", "TZOFFSETFROM:+0100", "TZOFFSETTO:+0200",
        "RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3", "END:DAYLIGHT", "END:VTIMEZONE",
    )  # fmt: skip
    base = (
        f'ORGANIZER;CN="Martin, Anne":MAILTO:{ANNE}',
        "ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE;CN=bruno@example.com;X-NUM-GUESTS=0:mailto:",
        " bruno@example.com",
        "X-MICROSOFT-CDO-BUSYSTATUS:TENTATIVE",
    )
    at = "2026-11-20T09:00:00Z"
    for number, (name, more) in enumerate(
        [
            ("Romance Standard Time", ()),
            ('"Romance Standard Time"', ()),
            ("/mozilla.org/20050126_1/Europe/Paris", ()),
            ("Fuseau maison", zone),
        ]
    ):
        told = itip(
            "REQUEST", *base, f"SEQUENCE:{number}", "DTSTAMP:20261001T070000Z", f"DTSTART;TZID={name}:20261120T100000",
            f"DTEND;TZID={name}:20261120T110000", "SUMMARY:Bilan", more=more,
        )  # fmt: skip
        kind = "updated" if number else "invited"
        story.hear(
            "bruno",
            told,
            ANNE,
            f"{kind} {ANNE} NEEDS-ACTION",
            times=[["", at, "2026-11-20T10:00:00Z", "Bilan", ""]],
        )
    told = itip(
        "REQUEST", *base, "SEQUENCE:9", "DTSTAMP:20261001T070000Z", "DTSTART;TZID=Nulle part:20261120T100000"
    )
    story.hear("bruno", told, ANNE, refused="zone")
    # Google cancels under the SEQUENCE of its request
    off = itip("CANCEL", base[0], "SEQUENCE:3", "DTSTAMP:20261001T070000Z", "STATUS:CANCELLED", *base[1:3])
    story.hear("bruno", off, ANNE, f"cancelled {ANNE}", cancelled=True)
    return story


def whole_days() -> Story:
    story = Story(
        "Whole days and floating times: a series of days, one day moved, one left out", "anne", "bruno"
    )
    lines = (
        "DTSTART;VALUE=DATE:20261102",
        "DTEND;VALUE=DATE:20261103",
        "RRULE:FREQ=DAILY;COUNT=4",
        "SUMMARY:Jeûne",
    )
    invited(story, "bruno", lines=lines)
    one = (
        "RECURRENCE-ID;VALUE=DATE:20261103",
        "DTSTART;VALUE=DATE:20261110",
        "DTEND;VALUE=DATE:20261111",
        lines[3],
        *people("bruno"),
    )
    story.do("anne", "change", "moved", {"ics": event(*one)})
    story.take("bruno", "moved", "anne", f"rescheduled 2026-11-03 {ANNE} NEEDS-ACTION")
    story.do("anne", "cancel", "off", {"uid": UID, "recurrence": "2026-11-04"})
    story.take("bruno", "off", "anne", f"cancelled 2026-11-04 {ANNE}")
    story.do("bruno", "answer", "yes", {"uid": UID, "status": "ACCEPTED", "recurrence": "2026-11-05"})
    story.take("anne", "yes", "bruno", "replied 2026-11-05 bruno@example.com ACCEPTED")
    floating = (
        "DTSTART:20261102T080000",
        "DURATION:PT30M",
        "RRULE:FREQ=DAILY;COUNT=2;BYHOUR=8",
        "SUMMARY:Prise de sang",
    )
    other = Story("Floating times are the reader's own", "anne", "bruno")
    invited(other, "bruno", lines=floating)
    if playing.view(other.engines["bruno"], UID)["times"][0][:2] != [
        "2026-11-02T08:00:00",
        "2026-11-02T07:00:00Z",
    ]:
        raise AssertionError(other.title)
    STORIES.append(other)
    return story


def own_devices() -> Story:
    story = Story("What one's other devices sent is one's own word", "anne", "bruno")
    invited(story, "bruno")
    reply = (
        "DTSTAMP:20261001T093000Z",
        f"ORGANIZER:mailto:{ANNE}",
        "ATTENDEE;PARTSTAT=ACCEPTED:mailto:bruno@example.com",
    )
    story.hear(
        "bruno",
        itip("REPLY", *reply),
        address("bruno"),
        "replied bruno@example.com ACCEPTED",
        mine="ACCEPTED",
    )
    moved = (
        MEETING[0].replace("T10", "T14"),
        MEETING[1].replace("T11", "T15"),
        "SUMMARY:Suivi",
        *people("chloe"),
    )
    own = itip("REQUEST", f"ORGANIZER:mailto:{ANNE}", "SEQUENCE:1", "DTSTAMP:20261001T093000Z", *moved)
    story.hear("anne", own, ANNE, f"rescheduled {ANNE}", role="organiser", former=["bruno@example.com"])
    return story


RECORDED = Path(__file__).parent / "thunderbird"


def thunderbird() -> Story:
    """What Thunderbird 153 wrote, recorded from the running program by tests/peers/test_thunderbird_invites.py."""
    first, moved, off = (
        (RECORDED / f"{name}.ics").read_bytes().decode().split("\r\n")
        for name in ("request", "moved", "cancelled")
    )
    (component,) = read_calendar("\r\n".join(first)).components
    assert component.organiser is not None
    sender = component.organiser.address
    PEOPLE["aurore"] = [component.attendees[0].address]
    story = Story("Thunderbird invites, moves, calls off", "aurore", uid=component.uid)
    story.hear("aurore", first, sender, f"invited {sender} NEEDS-ACTION", title="Contrôle tensionnel")
    story.do("aurore", "answer", "yes", {"uid": component.uid, "status": "ACCEPTED"}, mine="ACCEPTED")
    times = [["", "2026-12-11T09:30:00Z", "2026-12-11T10:00:00Z", "Contrôle tensionnel", "Cabinet"]]
    story.hear(
        "aurore", moved, sender, f"rescheduled {sender} NEEDS-ACTION", mine="NEEDS-ACTION", times=times
    )
    story.hear("aurore", off, sender, f"cancelled {sender}", cancelled=True)
    story.hear("aurore", first, sender, f"late {sender}", cancelled=True)
    return story


STORIES: list[Story] = []


def main() -> None:
    makers = [
        minimal_published, rich_published, group_request, update, reordered, countering, delegating, forwarding,
        cancelling, cancelled_first, removing, replacing_organiser, on_behalf, spanning_zones, instance_moved,
        instance_cancelled, series_cancelled, future_changed, adding, adding_series, refreshing, countering_instance,
        errors, outlook, whole_days, own_devices, thunderbird,
    ]  # fmt: skip
    from tests.webmail.vectors.itip import speaking  # it tells its stories with what is defined here

    STORIES.extend([make() for make in makers])
    STORIES.extend(speaking.stories())
    whole = json.dumps(
        [one.told for one in sorted(STORIES, key=lambda one: one.title)], ensure_ascii=False, indent=1
    )
    (Path(__file__).parent / "exchanges.json").write_text(whole + "\n")


if __name__ == "__main__":
    main()
