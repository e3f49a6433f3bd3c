"""Laboratory results and measures, from the observations of coded sections. The page's twin is `cda_results.ts`.

Invariants: a value is told as it was written; a flag is the producer's, or "L" / "H" where the number stands outside
the bounds it came with, in the same unit; nothing is converted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from mail_server.payloads.record.cda import names
from mail_server.payloads.record.cda.model import Flag, Result
from mail_server.payloads.record.cda.values import (
    Narrative,
    code_of,
    cut,
    number_of,
    period,
    plain,
    shown,
    templates,
    unit_of,
)
from mail_server.payloads.record.model import Code
from mail_server.payloads.record.xml import Element

LIMIT: Final = 5000  # results of one document
_WHOLE: Final = frozenset({"11502-2", "26436-6", "30954-2", "8716-3", "29274-8"})  # no chapter: all of them
FLAGS: Final[dict[str, Flag]] = {
    "N": "N",
    "L": "L",
    "H": "H",
    "LL": "LL",
    "HH": "HH",
    "A": "A",
    "AA": "AA",
    "<": "L",
    ">": "H",
    "LU": "LL",
    "HU": "HH",
}
_OBSERVATIONS: Final = frozenset({names.LAB_OBSERVATION, names.VITAL_SIGN})


@dataclass(frozen=True, slots=True)
class _Around:
    """What the sections, organizers and observations around a result say of it."""

    group: str = ""
    at: str = ""
    specimen: str = ""
    previous: bool = False
    results: bool = False  # whether any observation here is a result


def results_of(body: Element, narrative: Narrative) -> tuple[Result, ...]:
    reader = _Reader(narrative)
    for component in body.elements("component"):
        for section in component.elements("section"):
            reader.section(section, _Around())
    return tuple(reader.found)


def holds_results(section: Element) -> bool:
    code = section.child("code")
    told = "" if code is None else code.get("code")
    return told in names.LAB_SECTIONS or told in names.VITAL_SECTIONS


class _Reader:
    def __init__(self, narrative: Narrative) -> None:
        self._narrative = narrative
        self.found: list[Result] = []

    def section(self, section: Element, around: _Around) -> None:
        code, title = section.child("code"), section.child("title")
        here = replace(around, results=around.results or holds_results(section))
        if here.results and not around.group and (code is None or code.get("code") not in _WHOLE):
            here = replace(here, group="" if title is None else plain(title))
        for entry in section.elements("entry"):
            self._inside(entry, replace(here, results=here.results or names.LAB_DATA in templates(entry)))
        for component in section.elements("component"):
            for inner in component.elements("section"):
                self.section(inner, here)

    def _inside(self, parent: Element, around: _Around) -> None:
        """The statements that stand in an entry, a component or a relationship."""
        for one in parent.elements():
            if len(self.found) >= LIMIT:
                return
            if one.name in ("act", "organizer"):
                here = self._around(one, around)
                for inner in (*one.elements("component"), *one.elements("entryRelationship")):
                    self._inside(inner, here)
            elif one.name == "observation" and (around.results or templates(one) & _OBSERVATIONS):
                self._observation(one, around)

    def _around(self, statement: Element, around: _Around) -> _Around:
        at = period(statement.child("effectiveTime"))[0]
        return replace(
            around,
            at=at or around.at,
            specimen=self._specimen(statement) or around.specimen,
            results=around.results or names.VITAL_SIGNS in templates(statement),
        )

    def _observation(self, one: Element, around: _Around) -> None:
        here = replace(self._around(one, around), results=True)
        made = self._result(one, here)
        if made.name and (made.value or made.comment):
            self.found.append(made)
        for related in one.elements("entryRelationship"):
            earlier = related.get("typeCode") == "REFR"
            self._inside(related, replace(here, previous=here.previous or earlier))
        for component in one.elements("component"):
            self._inside(component, here)

    def _result(self, one: Element, around: _Around) -> Result:
        code = code_of(one.child("code"), self._narrative) or Code("")
        value = one.child("value")
        told = shown(value, self._narrative)
        number, unit = number_of(told), unit_of(value)
        low, high, reference, bound_unit = self._range(one)
        flag = self._flag(one)
        if not flag and number is not None and bound_unit in ("", unit):
            flag = "L" if low is not None and number < low else flag
            flag = "H" if high is not None and number > high else flag
        return Result(
            code=code.code,
            name=self._narrative.name_of(one.child("code")),
            value=told,
            number=number,
            unit=unit or _interval_unit(value),
            low=low,
            high=high,
            reference=reference,
            flag=flag,
            at=around.at,
            specimen=around.specimen,
            group=around.group,
            comment=self._comment(one),
            previous=around.previous,
        )

    def _range(self, one: Element) -> tuple[float | None, float | None, str, str]:
        """Bounds, the range as written, and its unit: the normal one where several stand."""
        held = [
            range_ for each in one.elements("referenceRange") for range_ in each.elements("observationRange")
        ]
        normal = [each for each in held if _code(each.child("interpretationCode")) in ("", "N")]
        if not normal:
            return None, None, "", ""
        range_ = normal[0]
        value = range_.child("value")
        low = None if value is None else value.child("low")
        high = None if value is None else value.child("high")
        written = self._narrative.text_of(range_.child("text")) or shown(value, self._narrative)
        return _number(low), _number(high), written, unit_of(low) or unit_of(high)

    def _flag(self, one: Element) -> Flag:
        for each in one.elements("interpretationCode"):
            if each.get("code") in FLAGS:
                return FLAGS[each.get("code")]
        return ""

    def _comment(self, one: Element) -> str:
        found: list[str] = []
        for related in one.elements("entryRelationship"):
            act = related.child("act")
            if act is None:
                continue
            if names.COMMENT in templates(act) or _code(act.child("code")) == "48767-8":
                found.append(self._narrative.text_of(act.child("text")))
        return cut(" ".join(found))

    def _specimen(self, statement: Element) -> str:
        """Of the sampling that stands among the components, or of the statement itself."""
        own = statement.child("specimen", "specimenRole", "specimenPlayingEntity")
        if own is not None:
            return self._narrative.name_of(own.child("code")) or plain(own)
        for inner in (*statement.elements("component"), *statement.elements("entryRelationship")):
            sampling = inner.child("procedure")
            entity = (
                None
                if sampling is None
                else sampling.child("participant", "participantRole", "playingEntity")
            )
            if entity is not None:
                return self._narrative.name_of(entity.child("code")) or plain(entity)
        return ""


def _interval_unit(value: Element | None) -> str:
    if value is None:
        return ""
    return unit_of(value.child("low")) or unit_of(value.child("high"))


def _number(element: Element | None) -> float | None:
    return None if element is None else number_of(cut(element.get("value")))


def _code(element: Element | None) -> str:
    return "" if element is None else element.get("code")
