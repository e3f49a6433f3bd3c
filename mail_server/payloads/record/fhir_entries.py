"""Results and entries from the resources of a FHIR document. The page's twin is `fhir_entries.ts`.

Invariants: never raises; an entry has a name; results keep the unit and the range they came with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from mail_server.payloads.record.cda.doses import EVENTS, every
from mail_server.payloads.record.cda.model import ClinicalEntry, EntryKind, Flag, Result
from mail_server.payloads.record.cda.names import NOTHING_KNOWN
from mail_server.payloads.record.cda.results import FLAGS
from mail_server.payloads.record.cda.times import tidy
from mail_server.payloads.record.cda.values import cut
from mail_server.payloads.record.fhir_values import Node, code_of, codes_of, name_of, quantity, told, unit_of
from mail_server.payloads.record.model import Code

LIMIT: Final = 5000
_STATUS: Final = {
    "active": "active",
    "recurrence": "active",
    "relapse": "active",
    "inactive": "completed",
    "remission": "completed",
    "resolved": "completed",
    "completed": "completed",
    "in-progress": "active",
    "intended": "planned",
    "preparation": "planned",
    "booked": "planned",
    "proposed": "planned",
    "pending": "planned",
    "draft": "planned",
    "on-hold": "stopped",
    "stopped": "stopped",
    "cancelled": "stopped",
    "not-done": "",
    "finished": "completed",
}
_GONE: Final = frozenset({"entered-in-error"})


class Resources:
    """The resources of a bundle, by what refers to them."""

    def __init__(self, bundle: Node) -> None:
        self.all: list[Node] = []
        self._by_name: dict[str, Node] = {}
        for entry in bundle.all("entry"):
            resource = entry.at("resource")
            if not resource.text("resourceType"):
                continue
            self.all.append(resource)
            named = f"{resource.text('resourceType')}/{resource.text('id')}"
            for name in (entry.text("fullUrl"), named if resource.text("id") else ""):
                if name and name not in self._by_name:
                    self._by_name[name] = resource

    def of(self, kind: str) -> list[Node]:
        return [one for one in self.all if one.text("resourceType") == kind]

    def find(self, reference: Node, holder: Node | None = None) -> Node:
        """What a Reference points at: in the bundle, or contained in its holder; nothing when it is elsewhere."""
        name = reference.text("reference")
        if name.startswith("#") and holder is not None:
            held = [one for one in holder.all("contained") if one.text("id") == name[1:]]
            return held[0] if held else Node()
        found = self._by_name.get(name)
        if found is None and "/" in name:  # absolute in one place and relative in the other
            found = self._by_name.get("/".join(name.split("/")[-2:]))
        return found or Node()


def results_of(resources: Resources, groups: dict[str, str]) -> list[Result]:
    """Observations, and the components of those that have some. `groups`: the chapter, by the resource's id."""
    found: list[Result] = []
    for one in resources.of("Observation"):
        if len(found) >= LIMIT:
            break
        if one.text("status") in _GONE or _social(one):
            continue
        group = groups.get(one.text("id"), "")
        specimen = resources.find(one.at("specimen"), one)
        for part in (one, *one.all("component")):
            made = _result(one, part, group, name_of(specimen.at("type")))
            if made.name and (made.value or made.comment):
                found.append(made)
    return found


def _social(one: Node) -> bool:
    return any("social-history" in codes_of(category) for category in one.all("category"))


def _result(one: Node, part: Node, group: str, specimen: str) -> Result:
    value, number, unit = _value(part)
    range_ = part.at("referenceRange")
    low, high = range_.number("low", "value"), range_.number("high", "value")
    flag = _flag(part)
    bound_unit = unit_of(range_.at("low")) or unit_of(range_.at("high"))
    if not flag and number is not None and bound_unit in ("", unit):
        flag = "L" if low is not None and number < low else flag
        flag = "H" if high is not None and number > high else flag
    code = code_of(part.at("code"))
    notes = " ".join(note.text("text") for note in part.all("note"))
    return Result(
        code="" if code is None else code.code,
        name=name_of(part.at("code")),
        value=value,
        number=number,
        unit=unit,
        low=low,
        high=high,
        reference=range_.text("text") or _between(low, high),
        flag=flag,
        at=tidy(one.text("effectiveDateTime") or one.text("effectivePeriod", "start") or one.text("issued")),
        specimen=specimen,
        group=group,
        comment=cut(notes),
    )


def _value(part: Node) -> tuple[str, float | None, str]:
    measured = part.at("valueQuantity")
    if measured:
        number = measured.number("value")
        sign = measured.text("comparator")
        if sign:
            return f"{sign} {told(number)}", None, unit_of(measured)
        return told(number), number, unit_of(measured)
    for name in ("valueInteger", "valueDecimal"):
        number = part.number(name)
        if number is not None:
            return told(number), number, ""
    if part.at("valueRange"):
        range_ = part.at("valueRange")
        words = _between(range_.number("low", "value"), range_.number("high", "value"))
        return words, None, unit_of(range_.at("low")) or unit_of(range_.at("high"))
    if part.at("valueRatio"):
        ratio = part.at("valueRatio")
        return f"{quantity(ratio.at('numerator'))} / {quantity(ratio.at('denominator'))}", None, ""
    for name, words in (("valueBoolean", {True: "oui", False: "non"}),):
        for known, word in words.items():
            if part.holds(name, known):
                return word, None, ""
    return part.text("valueString") or name_of(part.at("valueCodeableConcept")), None, ""


def _between(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"{told(low)} – {told(high)}"
    return f"≥ {told(low)}" if low is not None else f"≤ {told(high)}" if high is not None else ""


def _flag(part: Node) -> Flag:
    for concept in part.all("interpretation"):
        for code in codes_of(concept):
            if code in FLAGS:
                return FLAGS[code]
    return ""


# -- entries


def entries_of(resources: Resources) -> list[ClinicalEntry]:
    found: list[ClinicalEntry] = []
    for one in resources.all:
        reader = _READERS.get(one.text("resourceType"))
        wrong = one.text("status") in _GONE or "entered-in-error" in codes_of(one.at("verificationStatus"))
        if reader is None or wrong or len(found) >= LIMIT:
            continue
        made = reader(one, resources)
        if made is not None and made.name:
            found.append(made)
    return found


def _concept(one: Node, resources: Resources, name: str) -> tuple[str, Code | None]:
    """`medicationCodeableConcept`, or the resource that `medicationReference` points at."""
    concept = one.at(f"{name}CodeableConcept")
    if concept:
        return name_of(concept), code_of(concept)
    pointed = resources.find(one.at(f"{name}Reference"), one)
    words = name_of(pointed.at("code")) or one.text(f"{name}Reference", "display")
    return words, code_of(pointed.at("code"))


def _medication(one: Node, resources: Resources) -> ClinicalEntry:
    name, code = _concept(one, resources, "medication")
    kind = one.text("resourceType")
    dosages = one.all("dosage") or one.all("dosageInstruction")
    details = [_dosage(dosage) for dosage in dosages]
    details += [quantity(one.at("quantity"))] if kind == "MedicationDispense" else []
    bounds = one.at("dosageInstruction", "timing", "repeat", "boundsPeriod")
    start = one.text("effectivePeriod", "start") or one.text("effectiveDateTime") or bounds.text("start")
    start = start or one.text("whenHandedOver") or one.text("authoredOn")
    end = one.text("effectivePeriod", "end") or bounds.text("end")
    status = _STATUS.get(one.text("status"), "")
    return ClinicalEntry(
        "medication", name, code, status, tidy(start), tidy(end), _listed(details), negated=_negated(code)
    )


def _dosage(dosage: Node) -> str:
    if dosage.text("text"):
        return dosage.text("text")
    repeat = dosage.at("timing", "repeat")
    moments = [EVENTS.get(one, "") for one in repeat.texts("when")]
    dose = quantity(dosage.at("doseAndRate", "doseQuantity"))
    return _listed([dose, _rhythm(repeat), *moments, name_of(dosage.at("route"))])


def _rhythm(repeat: Node) -> str:
    period, unit = repeat.number("period"), repeat.text("periodUnit")
    if period is None:
        return ""
    times = repeat.number("frequency") or 1
    if times == 1:
        return every(period, unit)
    words = every(period, unit)
    if period == 1 and words:
        return (
            words.replace("1 fois", f"{told(times)} fois", 1)
            if unit != "h"
            else f"{told(times)} fois par heure"
        )
    return f"{told(times)} fois {words}" if words else ""


def _allergy(one: Node, _: Resources) -> ClinicalEntry:
    code = code_of(one.at("code"))
    reactions = [
        name_of(shown) for reaction in one.all("reaction") for shown in reaction.all("manifestation")
    ]
    severity = one.text("reaction", "severity") or {"high": "severe"}.get(one.text("criticality"), "")
    words = {"mild": "légère", "moderate": "modérée", "severe": "sévère"}.get(severity, "")
    start = one.text("onsetDateTime") or one.text("recordedDate")
    status = _STATUS.get(_first(one.at("clinicalStatus")), "")
    return ClinicalEntry(
        "allergy",
        name_of(one.at("code")),
        code,
        status,
        tidy(start),
        "",
        _listed(reactions),
        words,
        _negated(code) or "refuted" in codes_of(one.at("verificationStatus")),
    )


def _condition(one: Node, _: Resources) -> ClinicalEntry:
    code = code_of(one.at("code"))
    state = _first(one.at("clinicalStatus"))
    kind: EntryKind = "history" if state in ("inactive", "remission", "resolved") else "problem"
    start = one.text("onsetDateTime") or one.text("onsetPeriod", "start") or one.text("recordedDate")
    end = one.text("abatementDateTime") or one.text("abatementPeriod", "end")
    severity = name_of(one.at("severity"))
    negated = _negated(code) or "refuted" in codes_of(one.at("verificationStatus"))
    return ClinicalEntry(
        kind,
        name_of(one.at("code")),
        code,
        _STATUS.get(state, ""),
        tidy(start),
        tidy(end),
        _notes(one),
        severity,
        negated,
    )


def _immunization(one: Node, _: Resources) -> ClinicalEntry:
    code = code_of(one.at("vaccineCode"))
    rank = one.number("protocolApplied", "doseNumberPositiveInt")
    number = told(rank) or one.text("protocolApplied", "doseNumberString")
    lot = one.text("lotNumber")
    parts = [
        f"rang {number}" if number else "",
        f"lot {lot}" if lot else "",
        one.text("manufacturer", "display"),
    ]
    parts += [quantity(one.at("doseQuantity")), name_of(one.at("route")), name_of(one.at("site"))]
    start = tidy(one.text("occurrenceDateTime"))
    status = _STATUS.get(one.text("status"), "")
    negated = _negated(code) or one.text("status") == "not-done"
    name = name_of(one.at("vaccineCode"))
    return ClinicalEntry("vaccination", name, code, status, start, "", _listed(parts), negated=negated)


def _procedure(one: Node, _: Resources) -> ClinicalEntry:
    code = code_of(one.at("code"))
    start = (
        one.text("performedDateTime")
        or one.text("performedPeriod", "start")
        or one.text("occurrenceDateTime")
    )
    end = one.text("performedPeriod", "end")
    planned = one.text("resourceType") == "ServiceRequest"
    return ClinicalEntry(
        "plan" if planned else "procedure",
        name_of(one.at("code")),
        code,
        "planned" if planned and one.text("status") == "active" else _STATUS.get(one.text("status"), ""),
        tidy(start),
        tidy(end),
        _notes(one),
        negated=_negated(code) or one.text("status") == "not-done",
    )


def _device(one: Node, resources: Resources) -> ClinicalEntry:
    device = resources.find(one.at("device"), one)
    code = code_of(device.at("type"))
    name = device.text("deviceName", "name") or name_of(device.at("type")) or one.text("device", "display")
    serial = device.text("serialNumber")
    lot = device.text("lotNumber")
    parts = [f"n° {serial}" if serial else "", f"lot {lot}" if lot else "", device.text("manufacturer")]
    start = one.text("timingDateTime") or one.text("timingPeriod", "start") or one.text("recordedOn")
    status = _STATUS.get(one.text("status"), "")
    return ClinicalEntry(
        "device", name, code, status, tidy(start), "", _listed(parts), negated=_negated(code)
    )


def _family(one: Node, _: Resources) -> ClinicalEntry | None:
    condition = one.at("condition")
    code = code_of(condition.at("code"))
    name, relation = name_of(condition.at("code")), name_of(one.at("relationship"))
    return ClinicalEntry("family", name, code, detail=relation)


def _social_entry(one: Node, _: Resources) -> ClinicalEntry | None:
    if not _social(one):
        return None
    value, _number, unit = _value(one)
    start = tidy(one.text("effectiveDateTime") or one.text("effectivePeriod", "start"))
    code = code_of(one.at("code"))
    return ClinicalEntry("risk", name_of(one.at("code")), code, "", start, "", f"{value} {unit}".strip(" "))


def _appointment(one: Node, _: Resources) -> ClinicalEntry:
    concept = one.at("serviceType") if one.at("serviceType") else one.at("appointmentType")
    name = name_of(concept) or one.text("description")
    status = _STATUS.get(one.text("status"), "")
    return ClinicalEntry(
        "plan", name, code_of(concept), status, tidy(one.text("start")), tidy(one.text("end"))
    )


def _wish(one: Node, _: Resources) -> ClinicalEntry:
    name = name_of(one.at("category")) or name_of(one.at("scope"))
    code = code_of(one.at("category"))
    return ClinicalEntry("wish", name, code, _STATUS.get(one.text("status"), ""), tidy(one.text("dateTime")))


_READERS: Final[dict[str, Callable[[Node, Resources], ClinicalEntry | None]]] = {
    "MedicationStatement": _medication,
    "MedicationRequest": _medication,
    "MedicationAdministration": _medication,
    "MedicationDispense": _medication,
    "AllergyIntolerance": _allergy,
    "Condition": _condition,
    "Immunization": _immunization,
    "Procedure": _procedure,
    "ServiceRequest": _procedure,
    "DeviceUseStatement": _device,
    "FamilyMemberHistory": _family,
    "Observation": _social_entry,
    "Appointment": _appointment,
    "Consent": _wish,
}


def _notes(one: Node) -> str:
    return cut(" ".join(note.text("text") for note in one.all("note")))


def _first(concept: Node) -> str:
    codes = codes_of(concept)
    return codes[0] if codes else ""


def _listed(parts: Sequence[str]) -> str:
    return ", ".join(part for part in parts if part)


def _negated(code: Code | None) -> bool:
    return code is not None and code.code in NOTHING_KNOWN
