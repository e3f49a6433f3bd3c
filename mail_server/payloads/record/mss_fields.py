"""What a letter with documents says of them outside its archive: its subject, its `X-MSS-*` fields, the name of its PDF
(reference/mssante.md §4.1; ECO.2.1.3, ECO.2.1.6, ECO.2.4.1 to 3).

Invariants: pure; whatever a foreign subject or field holds, reading it never raises; who the patient is comes from the
archive, never from a subject.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from mail_server.payloads.record import ebrim
from mail_server.payloads.record.model import DocumentEntry, PatientId, Traits, XdmArchive
from mail_server.payloads.record.refusal import AnsCode

PREFIX: Final = "XDM/1.0/DDM"
REPLACES: Final = "[Annule et remplace]"
FAILED: Final = "[KO Intégration système !]"
LABEL: Final = 40  # characters of a label
_CDA_TYPES: Final = frozenset({"text/xml", "application/xml"})

CODECDA_MISMATCH: Final = "mss-codecda-mismatch"
INS_MISMATCH: Final = "mss-ins-mismatch"

# What stands before the label: answers, marks in brackets, the prefix itself, in any order a program left them in.
_MARK: Final = re.compile(
    r"\s*(?:(?P<answer>(?:re|fw|fwd|tr|ref)\s?:)"
    r"|(?P<replaces>\[\s*annule\s+et\s+remplace\s*\])"
    r"|(?P<failed>\[\s*(?:ko\s+int[eé]gration(?:\s+syst[eè]me)?|erreur\s+d.int[eé]gration)\s*!?\s*\])"
    r"|\[\s*(?P<code>90[0-6]|code)\s*\]"
    r"|(?P<prefix>xdm/1\.0/ddm)\s?\+?)",
    re.IGNORECASE,
)
_BIRTH: Final = re.compile(r"\s([0-9]{2})/([0-9]{2})/([0-9]{4})$")
_SPACE: Final = re.compile(r"\s+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
_OUT_OF_NAMES: Final = re.compile(r"[/\\:*?\"<>|\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject taken apart. `text` is what people are shown: no prefix, no mark."""

    text: str = field(repr=False)
    structured: bool = False  # it says `XDM/1.0/DDM`
    replaces: bool = False
    failed: bool = False
    code: AnsCode | None = None
    birth_date: str = field(default="", repr=False)  # YYYY-MM-DD, when it ends with one


def subject(label: str, documents: int, family_name: str, given_name: str, birth_date: str = "") -> str:
    """ECO.2.1.3: `XDM/1.0/DDM+<label> <NOM> <prénom> <JJ/MM/AAAA>`; `birth_date` is YYYY-MM-DD, "" when unknown."""
    told = f"{documents} documents" if documents > 1 else shortened(label)
    day = "/".join(reversed(birth_date.split("-"))) if birth_date else ""
    words = [told, capitals(family_name), _plain(given_name), day]
    return f"{PREFIX}+{' '.join(word for word in words if word)}"


def shortened(label: str) -> str:
    """A label of at most 40 characters, cut between words where it can be."""
    text = _plain(label)
    if len(text) <= LABEL:
        return text
    cut = text[: LABEL + 1].rpartition(" ")[0]
    return (cut if len(cut) > LABEL // 2 else text[:LABEL]).rstrip(" ,;:-–")


def capitals(name: str) -> str:
    """A family name in capitals without accents."""
    spelled = _plain(name).replace("œ", "oe").replace("æ", "ae").replace("Œ", "OE").replace("Æ", "AE")
    letters = unicodedata.normalize("NFD", spelled.replace("’", "'"))
    return "".join(one for one in letters if not unicodedata.combining(one)).upper()


def _plain(text: str) -> str:
    return _SPACE.sub(" ", _CONTROL.sub(" ", text)).strip()


def parsed(text: str) -> Subject:
    """A decoded subject, whoever wrote it."""
    rest = _plain(text[:2000])
    found: set[str] = set()
    code = ""
    while (mark := _MARK.match(rest)) and mark.end():
        found |= {name for name, value in mark.groupdict().items() if value}
        code = mark["code"] or code
        rest = rest[mark.end() :]
    rest = rest.strip()
    structured = "prefix" in found
    birth = _BIRTH.search(rest) if structured else None
    if not found & {"prefix", "replaces", "failed"}:
        return Subject(text.strip())
    return Subject(
        text=rest,
        structured=structured,
        replaces="replaces" in found,
        failed="failed" in found,
        code=AnsCode(int(code)) if code.isdigit() else None,
        birth_date=f"{birth[3]}-{birth[2]}-{birth[1]}" if birth else "",
    )


def shown(text: str) -> str:
    """A subject as people read it: without the prefix; that it replaces or failed stays in sight."""
    told = parsed(text)
    marks = [REPLACES] if told.replaces else []
    if told.failed:
        marks.append(FAILED + (f"[{int(told.code)}]" if told.code else ""))
    return " ".join([*marks, told.text]).strip()


def qualified(patient: PatientId | None, traits: Traits) -> bool:
    """Whether an identity is an INS that may be called one: a matricule as NIR, and the four traits (ECO.2.4.2)."""
    known = (traits.family_name, traits.given_name, traits.birth_date, traits.sex)
    return patient is not None and patient.root == ebrim.INS_NIR and bool(patient.extension) and all(known)


def cda_entries(archive: XdmArchive) -> tuple[DocumentEntry, ...]:
    """The documents of an archive that are CDA."""
    return tuple(one for one in archive.entries if one.mime_type in _CDA_TYPES)


def header_values(archive: XdmArchive | None, product: str) -> Sequence[tuple[str, str]]:
    """The `X-MSS-*` fields of a letter of ours; those on the CDA only when there is one."""
    values = [("X-MSS-NIL", product)] if product else []
    entries = cda_entries(archive) if archive is not None else ()
    if entries:
        sure = all(qualified(one.patient_id, one.traits) for one in entries)
        codes = dict.fromkeys(one.type.code for one in entries)
        values += [("X-MSS-CODECDA", ",".join(codes)), ("X-MSS-INS", "O" if sure else "N")]
    return values


def disagreements(told: Mapping[str, bytes], types: AbstractSet[str], identified: bool) -> frozenset[str]:
    """Flags for fields (by lower-case name) that say otherwise than the archive.

    `types` are the codes of its CDA, none when there is no archive; `identified` says that all name a qualified INS.
    A field that is not there says nothing: many senders do not know them. Nor does N: whether an identity was verified
    is for its hospital to say.
    """
    found: set[str] = set()
    codes = told.get("x-mss-codecda")
    if codes is not None and _codes(codes) != set(types):
        found.add(CODECDA_MISMATCH)
    if told.get("x-mss-ins", b"").strip().upper() == b"O" and not (types and identified):
        found.add(INS_MISMATCH)
    return frozenset(found)


def _codes(value: bytes) -> set[str]:
    return {one.strip() for one in value.decode("latin-1").split(",") if one.strip()}


def pdf_name(act: str, type_label: str, family_name: str, given_name: str, number: int = 0) -> str:
    """ECO.2.1.6: `<act date>_<type>_<NOM>_<prénom>_<number>.pdf`; `act` is YYYY-MM-DD, the number only when several."""
    kept = [act[:10].replace("-", ""), _in_name(type_label)[:80], _in_name(capitals(family_name))]
    kept.append(_in_name(given_name))
    if number:
        kept.append(str(number))
    return "_".join(one for one in kept if one) + ".pdf"


def _in_name(text: str) -> str:
    """As part of a file's name: no underscore of its own, for that is what stands between."""
    return _plain(_OUT_OF_NAMES.sub(" ", text).replace("_", " ")).strip(". ")


def numbered(names: Iterable[str]) -> list[str]:
    """Names of which none is another's: a second of the same gets a number."""
    taken: dict[str, int] = {}
    made: list[str] = []
    for name in names:
        taken[name] = taken.get(name, 0) + 1
        stem, dot, ending = name.rpartition(".")
        made.append(name if taken[name] == 1 else f"{stem}_{taken[name]}{dot}{ending}")
    return made
