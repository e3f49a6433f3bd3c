"""Entries of coded sections, written under the templates that receiving software looks for (IHE, CI-SIS)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final

from mail_server.payloads.record.cda import names
from mail_server.payloads.record.cda.model import ClinicalEntry, Result
from mail_server.payloads.record.cda.writing_header import Element, add, add_code, add_id, add_time
from mail_server.payloads.record.model import Code

# The section that an entry of each kind stands in, by LOINC code.
_SECTIONS: Final = {
    "medication": "10160-0",
    "allergy": "48765-2",
    "problem": "11450-4",
    "history": "11348-0",
    "vaccination": "11369-6",
    "procedure": "47519-4",
    "device": "46264-8",
    "family": "10157-6",
    "risk": "46467-3",
    "plan": "18776-5",
    "wish": "42348-3",
    "contact": "81970-6",
}
_VITAL_SIGNS: Final = "8716-3"
_STATUS: Final = {"active": "active", "completed": "completed", "stopped": "aborted", "planned": "active"}
_UNDER: Final = {  # the templates of a plain observation of each kind
    "problem": (names.PROBLEM,),
    "history": (names.PROBLEM,),
    "family": (names.SIMPLE, names.FAMILY_OBSERVATION),
    "risk": (names.SIMPLE, names.SOCIAL),
    "plan": (names.SIMPLE,),
    "wish": (names.SIMPLE,),
    "contact": (names.SIMPLE,),
}


def section_for(entry: ClinicalEntry) -> str:
    return _SECTIONS[entry.kind]


def add_entries(section: Element, entries: Sequence[ClinicalEntry]) -> None:
    for entry in entries:
        held = add(section, "entry", typeCode="COMP")
        if entry.kind in ("medication", "vaccination"):
            _substance(held, entry)
        elif entry.kind == "allergy":
            _observed(_concern(held, names.ALLERGY_CONCERN, entry), entry, (names.PROBLEM, names.ALLERGY))
        elif entry.kind in ("problem", "history"):
            _observed(_concern(held, names.PROBLEM_CONCERN, entry), entry, _UNDER[entry.kind])
        elif entry.kind == "procedure":
            _procedure(held, entry)
        elif entry.kind == "device":
            _device(held, entry)
        else:
            _observed(held, entry, _UNDER[entry.kind])


def _head(made: Element, entry: ClinicalEntry, templates: Sequence[str]) -> None:
    for template in templates:
        add(made, "templateId", root=template)
    add_id(
        made,
        "id",
        str(uuid.uuid5(uuid.NAMESPACE_OID, f"{entry.kind}{entry.name}{entry.start}{entry.detail}")),
    )


def _negation(entry: ClinicalEntry) -> str:
    return "true" if entry.negated else ""


def _substance(held: Element, entry: ClinicalEntry) -> None:
    vaccine = entry.kind == "vaccination"
    mood = "INT" if entry.status == "planned" else "EVN"
    made = add(
        held, "substanceAdministration", classCode="SBADM", moodCode=mood, negationInd=_negation(entry)
    )
    _head(made, entry, [names.IMMUNIZATION] if vaccine else [names.MEDICATION, names.MEDICATION_CI_SIS])
    if entry.detail:
        add(made, "text", entry.detail)
    add(made, "statusCode", code=_STATUS.get(entry.status, "completed"))
    if vaccine:
        add_time(made, "effectiveTime", entry.start)
    elif entry.start or entry.end:
        _interval(made, entry, kind="IVL_TS")
    product = add(add(add(made, "consumable"), "manufacturedProduct"), "manufacturedMaterial")
    add_code(product, "code", entry.code)
    add(product, "name", entry.name)


def _interval(made: Element, entry: ClinicalEntry, kind: str = "") -> None:
    when = add(made, "effectiveTime")
    if kind:
        when.set("xsi:type", kind)
    add_time(when, "low", entry.start)
    if entry.end:
        add_time(when, "high", entry.end)


def _concern(held: Element, template: str, entry: ClinicalEntry) -> Element:
    act = add(held, "act", classCode="ACT", moodCode="EVN")
    _head(act, entry, [names.CONCERN, template])
    add(act, "code", nullFlavor="NA")
    add(act, "statusCode", code=_STATUS.get(entry.status, "active"))
    _interval(act, entry)
    return add(act, "entryRelationship", typeCode="SUBJ", inversionInd="false")


def _observed(held: Element, entry: ClinicalEntry, templates: Sequence[str]) -> None:
    mood = "INT" if entry.status == "planned" or entry.kind == "plan" else "EVN"
    made = add(held, "observation", classCode="OBS", moodCode=mood, negationInd=_negation(entry))
    _head(made, entry, templates)
    add(made, "code", code="ASSERTION", codeSystem="2.16.840.1.113883.5.4")
    if entry.detail:
        add(made, "text", entry.detail)
    add(made, "statusCode", code="completed")
    if entry.start or entry.end:
        _interval(made, entry)
    value = add_code(made, "value", _named(entry))
    value.set("xsi:type", "CD")
    if entry.severity:
        inner = add(
            add(made, "entryRelationship", typeCode="SUBJ", inversionInd="true"),
            "observation",
            classCode="OBS",
            moodCode="EVN",
        )
        add(inner, "templateId", root=names.SEVERITY)
        add(inner, "code", code="SEV", codeSystem="2.16.840.1.113883.5.4")
        add(inner, "statusCode", code="completed")
        told = add(inner, "value", nullFlavor="OTH")
        told.set("xsi:type", "CD")
        add(told, "originalText", entry.severity)


def _named(entry: ClinicalEntry) -> Code:
    """The code of an entry with its own name; a name alone is an original text."""
    code = entry.code or Code("")
    return Code(code.code, code.system, entry.name)


def _procedure(held: Element, entry: ClinicalEntry) -> None:
    mood = "INT" if entry.status == "planned" else "EVN"
    made = add(held, "procedure", classCode="PROC", moodCode=mood, negationInd=_negation(entry))
    _head(made, entry, [names.PROCEDURE])
    add_code(made, "code", _named(entry))
    if entry.detail:
        add(made, "text", entry.detail)
    add(made, "statusCode", code=_STATUS.get(entry.status, "completed"))
    if entry.start or entry.end:
        _interval(made, entry)


def _device(held: Element, entry: ClinicalEntry) -> None:
    made = add(held, "supply", classCode="SPLY", moodCode="EVN")
    _head(made, entry, ["1.2.250.1.213.1.1.3.20"])
    if entry.detail:
        add(made, "text", entry.detail)
    if entry.start or entry.end:
        _interval(made, entry, kind="IVL_TS")
    role = add(add(made, "participant", typeCode="DEV"), "participantRole", classCode="MANU")
    device = add(role, "playingDevice", classCode="DEV")
    add_code(device, "code", _named(entry))


def add_results(section: Element, code: str, results: list[Result]) -> None:
    """Those of this section, taken out of `results`: vital signs in theirs, laboratory results in the section of a
    laboratory whose title their `group` is; a section without a title takes whatever is left."""
    if code == _VITAL_SIGNS:
        mine = results[:]
    elif code in names.LAB_SECTIONS:
        title = section.findtext("title") or ""
        mine = [one for one in results if not title or not one.group or one.group == title]
    else:
        return
    results[:] = [one for one in results if one not in mine]
    if mine:
        held = add(section, "entry", typeCode="DRIV")
        _vital_signs(held, mine) if code == _VITAL_SIGNS else _laboratory(held, mine)


def _vital_signs(held: Element, results: Sequence[Result]) -> None:
    organizer = add(held, "organizer", classCode="CLUSTER", moodCode="EVN")
    add(organizer, "templateId", root=names.VITAL_SIGNS)
    add(organizer, "code", code="46680005", codeSystem=names.SNOMED, displayName="Signes vitaux")
    add(organizer, "statusCode", code="completed")
    add_time(organizer, "effectiveTime", results[0].at)
    for result in results:
        _result(add(organizer, "component"), result, (names.SIMPLE, names.VITAL_SIGN))


def _laboratory(held: Element, results: Sequence[Result]) -> None:
    """One act per section; a battery per specimen, with its sampling first; earlier values under their own result."""
    add(held, "templateId", root=names.LAB_DATA)
    act = add(held, "act", classCode="ACT", moodCode="EVN")
    add(act, "code", code="26436-6", codeSystem=names.LOINC)
    add(act, "statusCode", code="completed")
    for specimen in dict.fromkeys(one.specimen for one in results):
        organizer = add(
            add(act, "entryRelationship", typeCode="COMP"), "organizer", classCode="BATTERY", moodCode="EVN"
        )
        add(organizer, "templateId", root=names.LAB_BATTERY)
        add(organizer, "statusCode", code="completed")
        if specimen:
            _specimen(add(organizer, "component"), specimen)
        mine = [one for one in results if one.specimen == specimen]
        for result in (one for one in mine if not one.previous):
            made = _result(add(organizer, "component"), result, (names.LAB_OBSERVATION,))
            for earlier in (one for one in mine if one.previous and one.code == result.code):
                _result(add(made, "entryRelationship", typeCode="REFR"), earlier, (names.LAB_OBSERVATION,))
            _range(made, result)


def _specimen(held: Element, specimen: str) -> None:
    made = add(held, "procedure", classCode="PROC", moodCode="EVN")
    add(made, "templateId", root=names.LAB_SPECIMEN)
    add(made, "code", code="33882-2", codeSystem=names.LOINC, displayName="Prélèvement")
    role = add(add(made, "participant", typeCode="PRD"), "participantRole", classCode="SPEC")
    add_code(add(role, "playingEntity"), "code", Code("", "", specimen))


def _result(held: Element, result: Result, templates: Sequence[str]) -> Element:
    made = add(held, "observation", classCode="OBS", moodCode="EVN")
    for template in templates:
        add(made, "templateId", root=template)
    add_code(made, "code", Code(result.code, names.LOINC, result.name))
    add(made, "statusCode", code="completed")
    add_time(made, "effectiveTime", result.at)
    number = "" if result.number is None else f"{result.number:.12g}"
    if number:
        add(made, "value", value=number, unit=result.unit).set("xsi:type", "PQ")
    elif result.value:
        add(made, "value", result.value).set("xsi:type", "ST")
    if result.flag:
        add(made, "interpretationCode", code=result.flag, codeSystem="2.16.840.1.113883.5.83")
    if result.comment:
        act = add(
            add(made, "entryRelationship", typeCode="SUBJ", inversionInd="true"),
            "act",
            classCode="ACT",
            moodCode="EVN",
        )
        add(act, "templateId", root=names.COMMENT)
        add(act, "code", code="48767-8", codeSystem=names.LOINC, displayName="Commentaire")
        add(act, "text", result.comment)
    if result.previous or names.VITAL_SIGN in templates:
        _range(made, result)
    return made


def _range(made: Element, result: Result) -> None:
    if result.low is None and result.high is None and not result.reference:
        return
    found = add(add(made, "referenceRange", typeCode="REFV"), "observationRange")
    if result.low is None and result.high is None:
        add(found, "text", result.reference)
        return
    value = add(found, "value")
    value.set("xsi:type", "IVL_PQ")
    for tag, bound in (("low", result.low), ("high", result.high)):
        if bound is not None:
            add(value, tag, value=f"{bound:.12g}", unit=result.unit)
