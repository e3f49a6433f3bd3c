"""HL7 version 3 data types, read for people: codes, quantities, ranges, intervals, ratios, names.

A value is read by its shape, and `xsi:type` only settles what the shape leaves open: foreign producers name the wrong
type. The page has the same functions (`webmail/ui/src/worker/record/cda_values.ts`).

Invariants: never raises; text is collapsed on spaces, tabs and line ends, and cut at `LONGEST` characters.
"""

from __future__ import annotations

import math
import re
from typing import Final

from mail_server.payloads.record.cda.names import XSI
from mail_server.payloads.record.cda.times import day_of, iso_of
from mail_server.payloads.record.model import Code
from mail_server.payloads.record.xml import Element

LONGEST: Final = 4000
_SPACES: Final = re.compile(r"[ \t\r\n]+")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,20}(?:[.,][0-9]{1,20})?(?:[eE][+-]?[0-9]{1,3})?")
_WORD: Final = re.compile(r"\{([^{}]*)\}")
_APART: Final = frozenset(
    ("td", "th", "tr", "item", "li", "paragraph", "p", "br", "list", "table", "caption", "div")
)


class Narrative:
    """What the document says in words, by the IDs that entries point at."""

    def __init__(self, root: Element) -> None:
        self._by_id: dict[str, Element] = {}
        self._told: dict[str, str] = {}
        for one in root.descendants(ns="*"):
            name = one.get("ID") or one.get("id")
            if name and name not in self._by_id:
                self._by_id[name] = one

    def element(self, reference: str) -> Element | None:
        return self._by_id.get(reference.removeprefix("#"))

    def said(self, reference: str) -> str:
        """The words at an ID, read once."""
        if reference not in self._told:
            found = self.element(reference)
            self._told[reference] = "" if found is None else plain(found)
        return self._told[reference]

    def text_of(self, element: Element | None) -> str:
        """What stands in an element, or where its `reference` points."""
        if element is None:
            return ""
        pointed = element.child("reference")
        here = plain(element)
        return here if here or pointed is None else self.said(pointed.get("value"))

    def name_of(self, coded: Element | None) -> str:
        """The words for a coded value: its own, those of a translation, or the code itself."""
        if coded is None:
            return ""
        original = self.text_of(coded.child("originalText"))
        told = cut(coded.get("displayName")) or original
        if told:
            return told
        for other in coded.elements("translation"):
            if other.get("displayName"):
                return cut(other.get("displayName"))
        return cut(coded.get("code"))


def cut(text: str) -> str:
    """Collapsed and bounded."""
    return _SPACES.sub(" ", text).strip(" ")[:LONGEST].rstrip(" ")


def plain(element: Element) -> str:
    """All words under it, cells and lines apart by a space."""
    pieces: list[str] = []
    _gather(element, pieces)
    return cut("".join(pieces))


def _gather(element: Element, pieces: list[str]) -> None:
    for one in element.children:
        if isinstance(one, str):
            pieces.append(one)
            continue
        apart = one.name in _APART
        if apart:
            pieces.append(" ")
        _gather(one, pieces)
        if apart:
            pieces.append(" ")


def code_of(coded: Element | None, narrative: Narrative) -> Code | None:
    """A code with its words; a translation where the code itself is missing; None where there is neither."""
    if coded is None:
        return None
    if coded.get("code"):
        return Code(cut(coded.get("code")), cut(coded.get("codeSystem")), narrative.name_of(coded))
    for other in coded.elements("translation"):
        if other.get("code"):
            words = cut(other.get("displayName")) or narrative.name_of(coded)
            return Code(cut(other.get("code")), cut(other.get("codeSystem")), words)
    return None


def number_of(text: str) -> float | None:
    """A number as it stands alone, with a point or a comma; None for what is none or is beyond a float."""
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text.replace(",", "."))
    return number if math.isfinite(number) else None


def unit_of(quantity: Element | None) -> str:
    return "" if quantity is None else unit(quantity.get("unit"))


def unit(told: str) -> str:
    """As people write it: UCUM's "1" is none, and "{comprimé}" a word that is no unit of its own."""
    word = _WORD.fullmatch(cut(told))
    found = word[1] if word else cut(told)
    return "" if found == "1" else found


def quantity(element: Element | None) -> str:
    """A quantity with its unit: "5 mg", "1 – 2 comprimé"."""
    if element is None:
        return ""
    value = cut(element.get("value"))
    if not value:
        low, high = element.child("low"), element.child("high")
        if low is not None and high is not None and low.get("value") != high.get("value"):
            first = cut(low.get("value")) if unit_of(low) == unit_of(high) else quantity(low)
            return f"{first} – {quantity(high)}".strip(" –")
        return quantity(low if low is not None else high)
    return f"{value} {unit_of(element)}".strip(" ")


def type_of(value: Element) -> str:
    return value.get("type", XSI).rpartition(":")[2]


def shown(value: Element | None, narrative: Narrative) -> str:
    """A value as a person reads it, without its unit where it is one quantity."""
    if value is None:
        return ""
    numerator, denominator = value.child("numerator"), value.child("denominator")
    if numerator is not None and denominator is not None:
        return f"{quantity(numerator)} / {quantity(denominator)}".strip(" /")
    kind = type_of(value)
    low, high = value.child("low"), value.child("high")
    if low is not None or high is not None:
        return _between(low, high, dated=kind.endswith("TS"))
    told = cut(value.get("value"))
    if told:
        if kind == "BL":
            return {"true": "oui", "false": "non"}.get(told, told)
        return day_of(iso_of(told)) or told if kind == "TS" else told
    if (
        value.get("code")
        or value.get("displayName")
        or value.child("originalText")
        or value.child("translation")
    ):
        return narrative.name_of(value)
    return narrative.text_of(value)


def _between(low: Element | None, high: Element | None, *, dated: bool) -> str:
    first = "" if low is None else cut(low.get("value"))
    last = "" if high is None else cut(high.get("value"))
    if dated:
        first, last = day_of(iso_of(first)), day_of(iso_of(last))
    if first and last:
        return f"{first} – {last}"
    if first:
        return f"{'>' if low is not None and low.get('inclusive') == 'false' else '≥'} {first}"
    if last:
        return f"{'<' if high is not None and high.get('inclusive') == 'false' else '≤'} {last}"
    return ""


def period(element: Element | None) -> tuple[str, str]:
    """Beginning and end of an interval of time; a moment is its own beginning."""
    if element is None:
        return "", ""
    low, high = element.child("low"), element.child("high")
    start = iso_of(element.get("value")) or ("" if low is None else iso_of(low.get("value")))
    return start, "" if high is None else iso_of(high.get("value"))


def templates(element: Element) -> frozenset[str]:
    return frozenset(one.get("root") for one in element.elements("templateId"))
