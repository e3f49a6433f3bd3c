"""How much, how often, by which way: the dosage of a treatment in words. The page's twin is `cda_doses.ts`.

French, as the documents are. Invariants: never raises; what is not known adds no word.
"""

from __future__ import annotations

from typing import Final

from mail_server.payloads.record.cda.values import Narrative, cut, number_of, period, quantity, type_of
from mail_server.payloads.record.xml import Element

EVENTS: Final = {
    "HS": "au coucher",
    "WAKE": "au réveil",
    "AC": "avant le repas",
    "ACM": "avant le petit déjeuner",
    "ACD": "avant le déjeuner",
    "ACV": "avant le dîner",
    "C": "au repas",
    "IC": "entre les repas",
    "CM": "au petit déjeuner",
    "CD": "au déjeuner",
    "CV": "au dîner",
    "PC": "après le repas",
    "PCM": "après le petit déjeuner",
    "PCD": "après le déjeuner",
    "PCV": "après le dîner",
    "MORN": "le matin",
    "MORN.early": "tôt le matin",
    "NOON": "à midi",
    "AFT": "l’après-midi",
    "EVE": "le soir",
    "NIGHT": "la nuit",
}
# Words for the unit of a period: several of it, once in it, and how many of them a day has.
_UNITS: Final = {
    "s": ("secondes", "par seconde"),
    "min": ("minutes", "par minute"),
    "h": ("heures", "par heure"),
    "d": ("jours", "par jour"),
    "wk": ("semaines", "par semaine"),
    "mo": ("mois", "par mois"),
    "a": ("ans", "par an"),
}


def dosage(statement: Element, narrative: Narrative) -> str:
    """ "1 comprimé, 3 fois par jour, voie orale"."""
    dose = quantity(statement.child("doseQuantity"))
    rhythms = [told for one in statement.elements("effectiveTime") for told in _rhythms(one)]
    route = narrative.name_of(statement.child("routeCode"))
    parts = [dose, *dict.fromkeys(rhythms), route]
    return ", ".join(part for part in parts if part)


def interval(statement: Element) -> tuple[str, str]:
    """From when until when: the times that are no rhythm."""
    for one in statement.elements("effectiveTime"):
        if (
            type_of(one) not in ("PIVL_TS", "EIVL_TS", "SXPR_TS", "PIVL_PPD_TS")
            and one.child("period") is None
        ):
            start, end = period(one)
            if start or end:
                return start, end
        for inner in one.elements("comp"):
            start, end = period(inner)
            if start or end:
                return start, end
    return "", ""


def every(number: float, unit: str) -> str:
    """A period in words: 8 h is "3 fois par jour", 2 d is "tous les 2 jours"."""
    if number <= 0 or unit not in _UNITS:
        return ""
    if unit == "h" and number <= 24 and (24 / number).is_integer():
        return f"{24 / number:.0f} fois par jour"
    if number == 1:
        return f"1 fois {_UNITS[unit][1]}"
    article = "toutes les" if unit in ("s", "min", "h", "wk") else "tous les"
    return f"{article} {written(number)} {_UNITS[unit][0]}"


def written(number: float) -> str:
    """A number as French writes it, without zeros that say nothing."""
    return f"{number:.3f}".rstrip("0").rstrip(".").replace(".", ",")


def _rhythms(time: Element) -> list[str]:
    told: list[str] = []
    event = time.child("event")
    if event is not None:
        told.append(EVENTS.get(cut(event.get("code")), ""))
    gap = time.child("period")
    if gap is not None:
        number = number_of(cut(gap.get("value")))
        told.append("" if number is None else every(number, cut(gap.get("unit"))))
    for inner in time.elements("comp"):
        told += _rhythms(inner)
    return told
