"""Entries of coded sections: treatments, allergies, problems, vaccinations, acts, devices... The page's twin is
`cda_entries.ts`.

Templates of IHE and the CI-SIS tell what an entry is; where a producer left them out, its section does; where that is
not known either, the entry is left to the narrative.

Invariants: never raises; an entry has a name; "nothing known" is an entry that is negated, never one that is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mail_server.payloads.record.cda import names
from mail_server.payloads.record.cda.doses import dosage, interval
from mail_server.payloads.record.cda.model import ClinicalEntry, EntryKind
from mail_server.payloads.record.cda.results import holds_results
from mail_server.payloads.record.cda.values import (
    Narrative,
    code_of,
    cut,
    period,
    plain,
    quantity,
    shown,
    templates,
    unit_of,
)
from mail_server.payloads.record.model import Code
from mail_server.payloads.record.xml import Element

LIMIT: Final = 5000  # entries of one document
_DOSE_NUMBER: Final = ("30973-2", "30980-7")
_ASSERTIONS: Final = frozenset(
    {"", "ASSERTION", "404684003", "55607006", "282291009", "418799008", "64572001"}
)
_STATUS: Final = {
    "active": "active",
    "completed": "completed",
    "aborted": "stopped",
    "cancelled": "stopped",
    "suspended": "stopped",
    "normal": "",
}
_PLANNED: Final = frozenset({"INT", "RQO", "PRMS", "PRP", "ARQ", "APT", "GOL"})


@dataclass(frozen=True, slots=True)
class _Around:
    """What stands around an entry: its section's kind, and the concern that holds it."""

    kind: EntryKind | None = None
    results: bool = False
    status: str = ""
    start: str = ""
    end: str = ""
    relation: str = ""


def entries_of(body: Element, narrative: Narrative) -> list[ClinicalEntry]:
    reader = _Reader(narrative)
    for component in body.elements("component"):
        for section in component.elements("section"):
            reader.section(section, _Around())
    return reader.found


class _Reader:
    def __init__(self, narrative: Narrative) -> None:
        self._narrative = narrative
        self.found: list[ClinicalEntry] = []

    def section(self, section: Element, around: _Around) -> None:
        code = section.child("code")
        kind = names.SECTION_KINDS.get("" if code is None else code.get("code")) or around.kind
        here = _Around(kind, around.results or holds_results(section))
        for entry in section.elements("entry"):
            self._inside(entry, here)
        for component in section.elements("component"):
            for inner in component.elements("section"):
                self.section(inner, here)

    def _inside(self, parent: Element, around: _Around) -> None:
        for one in parent.elements():
            if len(self.found) >= LIMIT:
                return
            match one.name:
                case "substanceAdministration":
                    self._substance(one, around)
                case "supply":
                    self._supply(one, around)
                case "observation":
                    self._observation(one, around)
                case "procedure":
                    self._procedure(one, around)
                case "encounter":
                    self._encounter(one, around)
                case "act":
                    self._act(one, around)
                case "organizer":
                    self._organizer(one, around)
                case _:
                    pass

    def _keep(self, entry: ClinicalEntry) -> None:
        if entry.name:
            self.found.append(entry)

    # -- treatments and vaccinations

    def _substance(self, one: Element, around: _Around) -> None:
        held = templates(one)
        vaccine = names.IMMUNIZATION in held or (
            around.kind == "vaccination" and names.MEDICATION not in held
        )
        product = one.child("consumable", "manufacturedProduct")
        name, code = self._product(product)
        start, end = interval(one)
        status = self._status(one)
        planned = one.get("moodCode") in _PLANNED
        details = self._vaccine(one, product) if vaccine else [dosage(one, self._narrative)]
        details += self._instructions(one)
        detail = ", ".join(part for part in details if part) or self._told(one, name)
        if vaccine:
            status = "planned" if planned else status
        else:  # IHE writes "completed" for each treatment, whether it goes on or not
            status = "active" if planned else "" if status == "completed" else status
        self._keep(
            ClinicalEntry(
                "vaccination" if vaccine else "medication",
                name,
                code,
                status,
                start,
                end,
                detail,
                negated=_negated(one, code),
            )
        )

    def _product(self, product: Element | None) -> tuple[str, Code | None]:
        """A drug by the name on its box, else by its code; devices likewise."""
        material = None
        if product is not None:
            material = product.child("manufacturedMaterial") or product.child("manufacturedLabeledDrug")
        if material is None:
            return "", None
        coded, named = material.child("code"), material.child("name")
        name = "" if named is None else plain(named)
        return name or self._narrative.name_of(coded), code_of(coded, self._narrative)

    def _vaccine(self, one: Element, product: Element | None) -> list[str]:
        told: list[str] = []
        for related in one.elements("entryRelationship"):
            rank = related.child("observation")
            coded = None if rank is None else rank.child("code")
            if rank is not None and coded is not None and coded.get("code") in _DOSE_NUMBER:
                number = shown(rank.child("value"), self._narrative)
                told.append(f"rang {number}" if number else "")
        lot = None if product is None else product.child("manufacturedMaterial", "lotNumberText")
        maker = None if product is None else product.child("manufacturerOrganization", "name")
        told.append(f"lot {plain(lot)}" if lot is not None and plain(lot) else "")
        told.append("" if maker is None else plain(maker))
        told.append(quantity(one.child("doseQuantity")))
        told.append(self._narrative.name_of(one.child("routeCode")))
        told.append(self._narrative.name_of(one.child("approachSiteCode")))
        return told

    def _instructions(self, one: Element) -> list[str]:
        told: list[str] = []
        for related in one.elements("entryRelationship"):
            act = related.child("act")
            if act is not None and related.get("typeCode") in ("SUBJ", "COMP"):
                told.append(self._narrative.text_of(act.child("text")))
        return told

    def _supply(self, one: Element, around: _Around) -> None:
        device = one.child("participant", "participantRole", "playingDevice")
        if device is not None or around.kind == "device":
            self._device(one, around)
            return
        product = one.child("product", "manufacturedProduct")
        name, code = self._product(product)
        start, end = period(one.child("effectiveTime"))
        details = [quantity(one.child("quantity")), *self._instructions(one)]
        for related in one.elements("entryRelationship"):
            given = related.child("substanceAdministration")
            if given is not None:
                details.append(dosage(given, self._narrative))
        detail = ", ".join(part for part in details if part) or self._told(one, name)
        dispensed = "completed" if names.DISPENSE in templates(one) or one.get("moodCode") == "EVN" else ""
        self._keep(ClinicalEntry("medication", name, code, dispensed, start, end, detail))

    # -- devices, acts, meetings

    def _device(self, one: Element, around: _Around) -> None:
        role = one.child("participant", "participantRole")
        device = None if role is None else role.child("playingDevice")
        name, code = "", None
        details: list[str] = []
        if role is not None and device is not None:
            model = device.child("manufacturerModelName")
            coded = device.child("code")
            code = code_of(coded, self._narrative)
            name = self._narrative.name_of(coded) or ("" if model is None else plain(model))
            details.append("" if model is None or plain(model) == name else plain(model))
            identified = role.child("id")
            number = "" if identified is None else cut(identified.get("extension"))
            details.append(f"n° {number}" if number else "")
            maker = role.child("scopingEntity", "desc")
            details.append("" if maker is None else plain(maker))
        else:
            name, code = self._product(one.child("product", "manufacturedProduct"))
        if not name and one.name == "procedure":
            name, code = (
                self._narrative.name_of(one.child("code")),
                code_of(one.child("code"), self._narrative),
            )
        start, end = period(one.child("effectiveTime"))
        details.append(self._told(one, name))
        self._keep(
            ClinicalEntry(
                "device",
                name,
                code,
                around.status,
                start,
                end,
                ", ".join(part for part in details if part),
                negated=_negated(one, code),
            )
        )

    def _procedure(self, one: Element, around: _Around) -> None:
        if names.LAB_SPECIMEN in templates(one) or around.results:
            return
        device = one.child("participant", "participantRole", "playingDevice")
        if around.kind == "device" and device is not None:
            self._device(one, around)
            return
        self._act_like(one, "plan" if around.kind == "plan" else "procedure", around)

    def _encounter(self, one: Element, around: _Around) -> None:
        planned = one.get("moodCode") in _PLANNED
        self._act_like(one, "plan" if planned or around.kind == "plan" else "procedure", around)

    def _act_like(self, one: Element, kind: EntryKind, around: _Around) -> None:
        coded = one.child("code")
        code = code_of(coded, self._narrative)
        name = self._narrative.name_of(coded) or self._narrative.text_of(one.child("text"))
        start, end = period(one.child("effectiveTime"))
        status = "planned" if one.get("moodCode") in _PLANNED else self._status(one)
        detail = self._told(one, name)
        self._keep(ClinicalEntry(kind, name, code, status, start, end, detail, negated=_negated(one, code)))

    def _act(self, one: Element, around: _Around) -> None:
        """A concern hands its state and times to what it holds; an act that holds nothing may itself be planned."""
        start, end = period(one.child("effectiveTime"))
        here = _Around(around.kind, around.results, self._status(one), start, end, around.relation)
        before = len(self.found)
        for related in one.elements("entryRelationship"):
            self._inside(related, here)
        if (
            len(self.found) == before
            and around.kind in ("plan", "procedure")
            and one.child("code") is not None
        ):
            coded = one.child("code")
            if coded is not None and coded.get("code"):
                self._act_like(one, around.kind, around)

    def _organizer(self, one: Element, around: _Around) -> None:
        """Of a family, the organizer names the relative."""
        relative = one.child("subject", "relatedSubject", "code")
        relation = self._narrative.name_of(relative) or around.relation
        family = names.FAMILY in templates(one) or relative is not None
        kind: EntryKind | None = "family" if family else around.kind
        results = around.results or names.VITAL_SIGNS in templates(one) or names.LAB_BATTERY in templates(one)
        here = _Around(kind, results, around.status, around.start, around.end, relation)
        for component in one.elements("component"):
            self._inside(component, here)

    # -- what was observed

    def _observation(self, one: Element, around: _Around) -> None:
        held = templates(one)
        kind = self._kind(held, around)
        if kind is None:
            return
        coded, value = one.child("code"), one.child("value")
        start, end = period(one.child("effectiveTime"))
        code = code_of(value, self._narrative)
        name = shown(value, self._narrative)
        details = [around.relation] if kind == "family" else []
        if kind == "allergy":
            agent, agent_code = self._agent(one)
            name, code = (agent, agent_code) if agent else (name, code)
            details.append(self._reactions(one))
        elif kind not in ("problem", "history", "family") and _code(coded) not in _ASSERTIONS:
            details.append(f"{name} {'' if value is None else unit_of(value)}".strip(" "))
            name, code = self._narrative.name_of(coded), code_of(coded, self._narrative)
        if not name and _code(coded) not in _ASSERTIONS:
            name, code = self._narrative.name_of(coded), code_of(coded, self._narrative)
        if not name:
            name = self._narrative.text_of(one.child("text"))
        details.append(self._told(one, name))
        planned = one.get("moodCode") in _PLANNED
        self._keep(
            ClinicalEntry(
                kind,
                name,
                code,
                "planned" if planned else around.status,
                start or around.start,
                end or around.end,
                ", ".join(dict.fromkeys(part for part in details if part)),
                self._severity(one),
                _negated(one, code),
            )
        )

    def _kind(self, held: frozenset[str], around: _Around) -> EntryKind | None:
        if names.ALLERGY in held:
            return "allergy"
        if names.FAMILY_OBSERVATION in held:
            return "family"
        if names.SOCIAL in held:
            return "risk"
        if held & {names.VITAL_SIGN, names.LAB_OBSERVATION} or around.results:
            return None
        if names.PROBLEM in held:
            return around.kind if around.kind in ("allergy", "history", "family") else "problem"
        known: Final = ("allergy", "problem", "history", "family", "risk", "plan", "wish", "contact")
        return around.kind if around.kind in known else None

    def _agent(self, one: Element) -> tuple[str, Code | None]:
        for participant in one.elements("participant"):
            entity = participant.child("participantRole", "playingEntity")
            if participant.get("typeCode") == "CSM" and entity is not None:
                coded, named = entity.child("code"), entity.child("name")
                name = self._narrative.name_of(coded) or ("" if named is None else plain(named))
                return name, code_of(coded, self._narrative)
        return "", None

    def _reactions(self, one: Element) -> str:
        told: list[str] = []
        for related in one.elements("entryRelationship"):
            inner = related.child("observation")
            if related.get("typeCode") == "MFST" and inner is not None:
                told.append(shown(inner.child("value"), self._narrative))
        return ", ".join(part for part in told if part)

    def _severity(self, one: Element) -> str:
        for related in one.elements("entryRelationship"):
            inner = related.child("observation")
            if inner is None:
                continue
            if names.SEVERITY in templates(inner) or _code(inner.child("code")) == "SEV":
                return shown(inner.child("value"), self._narrative)
        return ""

    def _told(self, one: Element, name: str) -> str:
        """What the statement says in words beyond its name."""
        told = self._narrative.text_of(one.child("text"))
        return "" if told == name else told

    def _status(self, one: Element) -> str:
        return _STATUS.get(_code(one.child("statusCode")), "")


def _negated(one: Element, code: Code | None) -> bool:
    return one.get("negationInd") == "true" or (code is not None and code.code in names.NOTHING_KNOWN)


def _code(element: Element | None) -> str:
    return "" if element is None else element.get("code")
