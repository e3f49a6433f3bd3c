"""What the national directory should tell of one of our mailboxes, and how that stands.

A state is kept as text, and two states are the same where their texts are: what was published is compared with what is
wanted, so that it does not matter how often or in which order things changed meanwhile.

Invariants: pure values; a mailbox without an identifier of its holder cannot be published; kinds and addresses never
change; `responsible` is hidden from repr.
"""

from __future__ import annotations

import enum
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from directory.model import Kind, Mailbox

PRACTITIONER, ORGANISATION = "Practitioner", "Organization"


@dataclass(frozen=True, slots=True)
class Entry:
    """One mailbox as it should be published."""

    address: str
    kind: Kind
    holder: str  # idNat_PS (PER; CAB: of the responsible), idNat_Struct (ORG, APP); "" where nobody said
    co_holders: tuple[str, ...] = ()  # CAB
    red_list: bool = False
    rank: int = 1
    description: str = ""
    service: str = ""
    responsible: str = field(default="", repr=False)
    digitization: bool = False

    @property
    def carrier(self) -> str:
        """The resource that carries it (reference/mssante.md §3.1)."""
        return PRACTITIONER if self.kind in (Kind.PER, Kind.CAB) else ORGANISATION

    def as_text(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def entry_for(mailbox: Mailbox) -> Entry:
    """What of a mailbox of ours the national directory is told."""
    people = tuple(holder.national_id for holder in mailbox.holders)
    structure = mailbox.organisation.national_id if mailbox.organisation is not None else ""
    of_people = mailbox.kind in (Kind.PER, Kind.CAB)
    return Entry(
        address=mailbox.address,
        kind=mailbox.kind,
        holder=(people[0] if people else "") if of_people else structure,
        co_holders=people[1:] if mailbox.kind is Kind.CAB else (),
        red_list=mailbox.red_list,
        rank=mailbox.rank,
        description=mailbox.description,
        service=mailbox.service,
        responsible=mailbox.responsible,
        digitization=mailbox.digitization,
    )


def entry_of(text: str) -> Entry | None:
    """None for "": not published."""
    if not text:
        return None
    values: dict[str, Any] = json.loads(text)
    values["kind"], values["co_holders"] = Kind(values["kind"]), tuple(values["co_holders"])
    return Entry(**values)


class Step(enum.StrEnum):
    """What is asked of the national directory next."""

    INSERT = "insert"
    REPLACE = "replace"
    DELETE = "delete"


class Shown(enum.StrEnum):
    """How a mailbox stands, for people."""

    PUBLISHED = "published"
    PENDING = "pending"  # what is published is not, or not yet, what is wanted
    REFUSED = "refused"  # the national directory said no to what is wanted; asked again when that changes
    ABSENT = "absent"  # as wanted: closed, suspended, withdrawn
    NOWHERE = "nowhere"  # no national directory is configured


@dataclass(frozen=True, slots=True)
class Standing:
    """One mailbox in the queue. Times are ms."""

    address: str
    wanted: str = field(default="", repr=False)
    published: str = field(default="", repr=False)
    attempted: str = field(default="", repr=False)  # sent, and no answer yet known
    published_at: int | None = None
    refused_for: str | None = field(default=None, repr=False)  # the wanted state that was refused
    reason: str = ""  # slug of the refusal, or of the last failure
    words: str = ""  # the same for people
    tries: int = 0
    next_at: int = 0
    withdrawn_at: int | None = None
    withdrawn_reason: str = ""

    @property
    def refused(self) -> bool:
        return self.refused_for is not None and self.refused_for == self.wanted

    @property
    def settled(self) -> bool:
        return self.wanted == self.published and not self.attempted

    @property
    def shown(self) -> Shown:
        if self.settled:
            return Shown.PUBLISHED if self.published else Shown.ABSENT
        return Shown.REFUSED if self.refused else Shown.PENDING

    def step(self) -> tuple[Step, Entry] | None:
        """What to ask for; None where nothing is to be done, or nothing helps until something changes."""
        if self.settled or self.refused:
            return None
        wanted, there = entry_of(self.wanted), entry_of(self.published)
        tried = entry_of(self.attempted)
        if there is None and tried is not None:
            # It may have been taken, and the answer lost: replacing it tells, and never makes a second one.
            there = tried
        if wanted is None:
            return (Step.DELETE, there) if there is not None else None
        if there is None:
            return Step.INSERT, wanted
        if (there.carrier, there.holder) != (wanted.carrier, wanted.holder):
            return Step.DELETE, there  # of somebody else: taken from them first
        return Step.REPLACE, wanted
