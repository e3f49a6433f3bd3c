"""Transcripts about who may speak for an organiser, and what lapses by it; `make_transcripts` writes them."""

from __future__ import annotations

from tests.webmail.vectors.itip import playing
from tests.webmail.vectors.itip.make_transcripts import (
    ANNE,
    K1,
    K2,
    K3,
    UID,
    WEEKLY,
    Story,
    address,
    itip,
    people,
    sends,
)

BILAN = ("DTSTART:20261120T120000Z", "DTEND:20261120T130000Z", "SUMMARY:Bilan")
OFFICE, STRANGER = "secretariat@example.com", "secretariat@ailleurs.example"


def sent_by(sender: str) -> str:
    return f'ORGANIZER;SENT-BY="mailto:{sender}":mailto:{ANNE}'


def stranger_first() -> Story:
    story = Story(
        "§2.1.3: of a first invitation on behalf, only who shares the organiser's domain is heard", "bruno"
    )
    # a domain that ends like the organiser's, or begins like it, is another domain
    for sender in (STRANGER, "secretariat@bexample.com", "secretariat@example.com.ailleurs.example"):
        told = itip("REQUEST", sent_by(sender), "DTSTAMP:20261001T090000Z", *BILAN, *people("bruno"))
        story.hear("bruno", told, sender, f"not-organiser {sender}")
        if UID in story.engines["bruno"].appointments:
            raise AssertionError(f"{story.title}: {sender} was heard")
    # what somebody called off in their own name gives them no voice in hers
    own = itip(
        "CANCEL", f"ORGANIZER:mailto:{STRANGER}", "DTSTAMP:20261001T091000Z", "SEQUENCE:1", "STATUS:CANCELLED"
    )
    story.hear("bruno", own, STRANGER, f"unknown {STRANGER}", role="unknown", organiser=STRANGER)
    told = itip("REQUEST", sent_by(STRANGER), "DTSTAMP:20261001T092000Z", *BILAN, *people("bruno"))
    story.hear("bruno", told, STRANGER, f"not-organiser {STRANGER}", role="unknown", organiser=STRANGER)
    told = itip("REQUEST", sent_by(OFFICE), "DTSTAMP:20261001T090000Z", *BILAN, *people("bruno"))
    story.hear("bruno", told, OFFICE, f"invited {ANNE} NEEDS-ACTION", trust="sentby", organiser=ANNE)
    # once the organiser names them, they speak for her from anywhere
    story.hear(
        "bruno",
        itip(
            "REQUEST", sent_by(STRANGER), "SEQUENCE:1", "DTSTAMP:20261001T093000Z", *BILAN, *people("bruno")
        ),
        ANNE,
        f"updated {ANNE} NEEDS-ACTION",
        trust="organiser",
        sequence=1,
    )
    off = itip(
        "CANCEL", sent_by(STRANGER), "SEQUENCE:2", "DTSTAMP:20261001T094000Z", "STATUS:CANCELLED", BILAN[0]
    )
    story.hear("bruno", off, STRANGER, f"cancelled {ANNE}", cancelled=True, sequence=2)
    return story


def other_secretary() -> Story:
    story = Story(
        "§2.1.3: who first wrote for the organiser is heard again; another who says they do is not", "bruno"
    )
    first = itip("REQUEST", sent_by(OFFICE), "DTSTAMP:20261001T090000Z", *BILAN, *people("bruno"))
    story.hear("bruno", first, OFFICE, f"invited {ANNE} NEEDS-ACTION", trust="sentby")
    for other in ("autre@example.com", STRANGER):
        moved = itip(
            "REQUEST", sent_by(other), "SEQUENCE:1", "DTSTAMP:20261001T100000Z", *BILAN[:2], "SUMMARY:Autre",
            *people("bruno"),
        )  # fmt: skip
        story.hear("bruno", moved, other, f"not-organiser {other}", sequence=0, title="Bilan")
        off = itip(
            "CANCEL", sent_by(other), "SEQUENCE:1", "DTSTAMP:20261001T100000Z", "STATUS:CANCELLED", BILAN[0]
        )
        story.hear("bruno", off, other, f"not-organiser {other}", cancelled=False)
    later = itip(
        "REQUEST", sent_by(OFFICE), "SEQUENCE:1", "DTSTAMP:20261001T110000Z", *BILAN, *people("bruno")
    )
    story.hear("bruno", later, OFFICE, f"updated {ANNE} NEEDS-ACTION", trust="sentby", sequence=1)
    return story


def handing(
    delegator: str, *froms: str, stamp: str = "20261001T090000Z", sequence: int = 0, to: str = "elise"
) -> list[str]:
    """A request as somebody says they hand it on `to` one; `froms`: from whom Elise's own line says it comes."""
    from_ = "".join(f';DELEGATED-FROM="mailto:{one}"' for one in froms)
    return itip(
        "REQUEST", f"ORGANIZER:mailto:{ANNE}", f"SEQUENCE:{sequence}", f"DTSTAMP:{stamp}", *BILAN,
        f'ATTENDEE;PARTSTAT=DELEGATED;DELEGATED-TO="mailto:{address(to)}":mailto:{delegator}',
        f"ATTENDEE;RSVP=TRUE{from_}:mailto:{address('elise')}",
    )  # fmt: skip


def false_delegations() -> Story:
    story = Story(
        "§3.2.2.3: an invitation handed on counts where both lines say so, and from one delegator only",
        "elise",
    )
    bruno, chloe, stranger = address("bruno"), address("chloe"), "bruno@ailleurs.example"
    for told, sender in (
        (handing(bruno), bruno),
        (handing(bruno, chloe), bruno),
        (handing(bruno, bruno, to="david"), bruno),
        (handing(bruno, bruno), chloe),
        (handing(stranger, stranger), stranger),
    ):
        story.hear("elise", told, sender, f"not-organiser {sender}")
        if UID in story.engines["elise"].appointments:
            raise AssertionError(f"{story.title}: {sender} was heard")
    story.hear(
        "elise", handing(bruno, bruno), bruno, f"delegated-to-me {ANNE} NEEDS-ACTION", trust="delegator"
    )
    other = handing(chloe, chloe, stamp="20261001T100000Z", sequence=1)
    story.hear("elise", other, chloe, f"not-organiser {chloe}", sequence=0)
    again = handing(bruno, bruno, stamp="20261001T100000Z", sequence=1)
    story.hear("elise", again, bruno, f"updated {ANNE} NEEDS-ACTION", trust="delegator", sequence=1)
    return story


def added_lapses() -> Story:
    story = Story("§2.1.5: a series stated anew takes the place of what was added to it before", "bruno")
    base = (f"ORGANIZER:mailto:{ANNE}", *people("bruno"))
    whole = itip("REQUEST", *base, "DTSTAMP:20261001T090000Z", *WEEKLY)
    story.hear("bruno", whole, ANNE, f"invited {ANNE} NEEDS-ACTION")
    more = itip(
        "ADD", *base, "SEQUENCE:1", "DTSTAMP:20261001T093000Z", "DTSTART;TZID=Europe/Paris:20261022T090000",
        "DTEND;TZID=Europe/Paris:20261022T093000", "RRULE:FREQ=WEEKLY;COUNT=2", "SUMMARY:Kinésithérapie",
    )  # fmt: skip
    story.hear("bruno", more, ANNE, f"added {ANNE} NEEDS-ACTION", sequence=1)
    shown(story, "bruno", K1, "2026-10-22T07:00:00Z", K2, "2026-10-29T08:00:00Z", K3)
    anew = itip("REQUEST", *base, "SEQUENCE:2", "DTSTAMP:20261001T100000Z", *WEEKLY)
    story.hear("bruno", anew, ANNE, f"updated {ANNE} NEEDS-ACTION", sequence=2)
    shown(story, "bruno", K1, K2, K3, "2026-11-10T08:00:00Z", "2026-11-17T08:00:00Z")
    story.hear("bruno", more, ANNE, f"late {ANNE}", sequence=2)
    return story


def shown(story: Story, who: str, *first: str) -> None:
    view = playing.view(story.engines[who], UID) or {}
    found: list[str] = [one[0] for one in view["times"]]
    if found[: len(first)] != list(first):
        raise AssertionError(f"{story.title}: {found}")


def only_called_off() -> Story:
    story = Story(
        "§4.4.3: who holds only occurrences, all called off, of a series has nothing to answer", "bruno"
    )

    def occurrence(method: str, day: str, stamp: str, *more: str) -> list[str]:
        return itip(
            method, f"ORGANIZER:mailto:{ANNE}", f"RECURRENCE-ID;TZID=Europe/Paris:{day}T090000", f"DTSTAMP:{stamp}",
            f"DTSTART;TZID=Europe/Paris:{day}T090000", f"DTEND;TZID=Europe/Paris:{day}T093000", *WEEKLY[3:],
            *people("bruno"), *more,
        )  # fmt: skip

    def off(key: str, day: str) -> None:
        told = occurrence("CANCEL", day, "20261001T091000Z", "SEQUENCE:1", "STATUS:CANCELLED")
        story.hear("bruno", told, ANNE, f"cancelled {key} {ANNE}")

    days = ((K2, "20261027"), (K3, "20261103"))
    for key, day in days:
        told = occurrence("REQUEST", day, "20261001T090000Z")
        story.hear("bruno", told, ANNE, f"invited {key} {ANNE} NEEDS-ACTION", role="attendee")
    off(*days[0])
    # an answer to all is about the one that stands
    made = story.do(
        "bruno", "answer", "some", {"uid": UID, "status": "ACCEPTED"}, answers=[[K2, ""], [K3, "ACCEPTED"]]
    )
    sends(made, f"{ANNE}: REPLY")
    off(*days[1])
    for status in ("ACCEPTED", "DECLINED", "TENTATIVE"):
        sends(story.do("bruno", "answer", "none", {"uid": UID, "status": status}, refused="cancelled"))
    handed = {"uid": UID, "status": "DELEGATED", "delegate": address("elise")}
    sends(story.do("bruno", "answer", "handed", handed, refused="cancelled"))
    sends(story.do("bruno", "refresh", "ask", {"uid": UID}), f"{ANNE}: REFRESH")
    return story


def stories() -> list[Story]:
    return [stranger_first(), other_secretary(), false_delegations(), added_lapses(), only_called_off()]
