"""What the hospital says of one document (JSON, a row of CSV, options), checked against what everybody must know of it.

    {"patient": {"ins": "…", "family_name": "…", "given_name": "…", "birth_date": "1951-03-14", "sex": "F",
                 "birth_place": "69381"},
     "type": "34112-3", "title": "Compte rendu d'hospitalisation", "date": "2026-11-20"}

Invariants: an order that is checked can be made into a letter; what is wrong raises `ReportRefused` with the field's
name and never its value; a patient's number stands in no repr.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from mail_server.accounts import ins
from mail_server.accounts.addresses import parsed
from mail_server.payloads.record import confidentiality, value_sets
from mail_server.payloads.record.model import Author, Code, PatientId, Traits
from mail_server.reports.refusal import ReportRefused
from mail_server.reports.settings import HospitalSettings

_FIELDS: Final = frozenset(
    {
        "patient", "to", "type", "title", "date", "end_date", "confidentiality", "author", "replaces", "reference",
        "reply_to", "message", "hold",
    }
)  # fmt: skip
_PATIENT: Final = frozenset({"ins", "oid", "family_name", "given_name", "birth_date", "sex", "birth_place"})
_AUTHOR: Final = frozenset({"family_name", "given_name", "identifier", "specialty", "role"})
_REFERENCE: Final = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9._-]{0,62}[a-zA-Z0-9])?")
_MANY_DIGITS: Final = re.compile(r"[0-9]{13}")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PLACE: Final = re.compile(r"[0-9]{5}|2[AB][0-9]{3}")
_OLDEST: Final = dt.date(1890, 1, 1)
_LONGEST_TITLE: Final = 200
_LONGEST_NAME: Final = 100
_LONGEST_WORDS: Final = 4000
_NO_TEXT: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})  # controls, halves of characters, separators of lines


@dataclass(frozen=True, slots=True)
class Order:
    """A report as it was ordered, checked."""

    patient: PatientId
    traits: Traits
    recipient: str = field(repr=False)
    type: Code
    class_: Code
    title: str = field(repr=False)
    act: str
    act_end: str
    confidentiality: tuple[Code, ...]
    author: Author
    reply_to: str
    replaces: str  # a reference of this sender, or a uniqueId
    reference: str
    words: str = field(repr=False)
    hold: bool
    told: Mapping[str, Any] = field(repr=False)  # as it came

    @property
    def held(self) -> bool:
        """Whether it stays with its author until it is announced."""
        return self.hold or any(one.code == "INVISIBLE_PATIENT" for one in self.confidentiality)


def read_order(told: object, settings: HospitalSettings) -> Order:
    """Raises ReportRefused."""
    order = _mapping(told, _FIELDS, "")
    patient, traits = _patient(_mapping(order.get("patient"), _PATIENT, "patient"), settings)
    document_type = value_sets.document_type(_text(order, "type", 60))
    if document_type is None:
        raise ReportRefused("type-unknown")
    act = _date(order, "date", past=True)
    end = _date(order, "end_date", past=True) if order.get("end_date") else ""
    if (end and end < act) or act < traits.birth_date:
        raise ReportRefused("date-wrong", "end_date" if end and end < act else "date")
    to = _address(order, "to") or f"{patient.extension.lower()}@{settings.account.patients}"
    return Order(
        patient=patient,
        traits=traits,
        recipient=to,
        type=document_type,
        class_=value_sets.class_of(document_type.code),
        title=_text(order, "title", _LONGEST_TITLE),
        act=act,
        act_end=end,
        confidentiality=_confidentiality(order, to, settings),
        author=_author(order.get("author"), settings),
        reply_to=_address(order, "reply_to") or settings.account.reply_to,
        replaces=_optional(order, "replaces", 200),
        reference=_reference(order),
        words=_optional(order, "message", _LONGEST_WORDS, lines=True),
        hold=_flag(order, "hold"),
        told=order,
    )


def _patient(told: Mapping[str, Any], settings: HospitalSettings) -> tuple[PatientId, Traits]:
    number = _text(told, "ins", 64, slug="ins-wrong")
    try:
        found = ins.parse(number)
    except ins.InsRefused as wrong:
        raise ReportRefused(wrong.reason, "patient.ins") from None
    if len(re.sub(r"\s", "", number)) != len(found.number):
        raise ReportRefused("ins-without-key", "patient.ins")  # without it, nothing shows a mistyped digit
    oid = str(told.get("oid") or ins.INS_NIR)
    allowed = ins.KNOWN_RANGES if settings.limits.test_identities else ins.KNOWN_RANGES - ins.TEST_RANGES
    if oid not in allowed:
        raise ReportRefused("ins-range", "patient.oid")
    for name in ("family_name", "given_name", "birth_date", "sex", "birth_place"):
        if not str(told.get(name) or "").strip():
            raise ReportRefused("traits-missing", f"patient.{name}")
    sex = _text(told, "sex", 1, "patient.")
    place = _text(told, "birth_place", 5, "patient.").upper()
    if sex not in ("F", "M") or not _PLACE.fullmatch(place):
        raise ReportRefused("field-wrong", "patient.sex" if sex not in ("F", "M") else "patient.birth_place")
    traits = Traits(
        family_name=_text(told, "family_name", _LONGEST_NAME, "patient."),
        given_name=_text(told, "given_name", _LONGEST_NAME, "patient."),
        birth_date=_date(told, "birth_date", past=True, prefix="patient."),
        sex=sex,
        birth_place=place,
    )
    if (found.number[0], sex) in (("1", "F"), ("2", "M")) or found.number[1:3] != traits.birth_date[2:4]:
        raise ReportRefused("traits-disagree")
    return PatientId(oid, found.number), traits


def _confidentiality(order: Mapping[str, Any], to: str, settings: HospitalSettings) -> tuple[Code, ...]:
    given = order.get("confidentiality") or ["N"]
    codes: object = [given] if isinstance(given, str) else given
    if not isinstance(codes, Sequence) or not all(
        isinstance(one, str) for one in cast("Sequence[Any]", codes)
    ):
        raise ReportRefused("field-wrong", "confidentiality")
    found = [value_sets.confidentiality(one) for one in cast("Sequence[str]", codes)]
    known = [one for one in found if one is not None]
    if len(known) != len(found) or len({one.code for one in known}) != len(known):
        raise ReportRefused("confidentiality-wrong")
    if not any(one.code in ("N", "R", "V") for one in known):
        normal = value_sets.confidentiality("N")
        known = [normal, *known] if normal else known
    names = {one.code for one in known}
    if len(names & {"N", "R", "V"}) != 1 or confidentiality.wrong(names):
        raise ReportRefused("confidentiality-wrong")
    to_patient = to.rpartition("@")[2] == settings.account.patients
    if "MASQUE_PS" in names and not to_patient:
        raise ReportRefused("carry-masked-to-professional")
    return tuple(sorted(known, key=lambda one: one.code not in ("N", "R", "V")))


def _author(given: object, settings: HospitalSettings) -> Author:
    place = settings.establishment
    organisation, identifier = place.name, place.identifier
    if not given:
        specialty = place.author_specialty
        return Author(
            place.author_family_name,
            place.author_given_name,
            place.author_identifier,
            specialty=Code(specialty, "1.2.250.1.213.1.1.4.5") if specialty else None,
            organisation=organisation,
            organisation_id=identifier,
        )
    told = _mapping(given, _AUTHOR, "author")
    specialty = _optional(told, "specialty", 60)
    return Author(
        _text(told, "family_name", _LONGEST_NAME, "author."),
        _optional(told, "given_name", _LONGEST_NAME),
        _optional(told, "identifier", 40),
        _optional(told, "role", 40),
        Code(specialty, "1.2.250.1.213.1.1.4.5") if specialty else None,
        organisation,
        identifier,
    )


def _reference(order: Mapping[str, Any]) -> str:
    reference = _optional(order, "reference", 64)
    if reference and (not _REFERENCE.fullmatch(reference) or _MANY_DIGITS.search(reference)):
        raise ReportRefused("field-wrong", "reference")  # it stands in Message-IDs: no patient's number
    return reference


def _mapping(told: object, known: frozenset[str], where: str) -> dict[str, Any]:
    if not isinstance(told, Mapping):
        raise ReportRefused("field-missing" if told is None else "field-wrong", where)
    found = {str(key): value for key, value in cast("Mapping[Any, Any]", told).items()}
    if not known.issuperset(found):
        raise ReportRefused("field-unknown", where)
    return found


def _text(
    told: Mapping[str, Any], name: str, most: int, prefix: str = "", slug: str = "field-missing"
) -> str:
    value = told.get(name)
    if value is None or (isinstance(value, str) and not value.strip()):
        raise ReportRefused(slug, prefix + name)
    return _checked(value, most, prefix + name)


def _optional(told: Mapping[str, Any], name: str, most: int, *, lines: bool = False) -> str:
    value = told.get(name)
    return "" if value is None or value == "" else _checked(value, most, name, lines=lines)


def _checked(value: object, most: int, name: str, *, lines: bool = False) -> str:
    if not isinstance(value, str) or len(value) > most:
        raise ReportRefused("field-wrong", name)
    plain = value.replace("\r\n", "\n").replace("\n", "").replace("\t", "") if lines else value
    if any(unicodedata.category(one) in _NO_TEXT for one in plain):
        raise ReportRefused("field-wrong", name)
    return value.strip()


def _address(told: Mapping[str, Any], name: str) -> str:
    value = _optional(told, name, 254)
    if not value:
        return ""
    found = parsed(value)
    if found is None:
        raise ReportRefused("recipient-wrong" if name == "to" else "field-wrong", name)
    return "@".join(found)


def _date(told: Mapping[str, Any], name: str, *, past: bool, prefix: str = "") -> str:
    value = _text(told, name, 10, prefix)
    try:
        found = dt.date.fromisoformat(value)
    except ValueError:
        raise ReportRefused("date-wrong", prefix + name) from None
    tomorrow = dt.datetime.now(dt.UTC).date() + dt.timedelta(
        days=1
    )  # it may be tomorrow already where they write
    if not _DAY.fullmatch(value) or not found >= _OLDEST or (past and found > tomorrow):
        raise ReportRefused("date-wrong", prefix + name)
    return value


def _flag(told: Mapping[str, Any], name: str) -> bool:
    value = told.get(name, False)
    if value in (True, False):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in ("", "yes", "oui", "true", "no", "non", "false"):
        return value.strip().lower() in ("yes", "oui", "true")
    raise ReportRefused("field-wrong", name)
