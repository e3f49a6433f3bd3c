# ruff: noqa: E501  (marks and sentences of documents, as they are)
"""Invented people, and the pieces that documents about them are made of. Numbers are of the test range."""

from __future__ import annotations

import base64
import zlib
from typing import Any

from mail_server.accounts.ins import key_of
from mail_server.payloads.record.cda import names
from mail_server.payloads.record.cda.model import Block, Cell, ClinicalEntry, Header, Result, Run, Section
from mail_server.payloads.record.model import Author, Code, PatientId, Traits
from mail_server.payloads.record.value_sets import document_type

TEST_NIR = "1.2.250.1.213.1.4.10"
IDS = "1.2.250.1.999.1"


def person(body: str, family: str, given: str, birth: str, sex: str, place: str) -> tuple[PatientId, Traits]:
    return PatientId(TEST_NIR, body + key_of(body)), Traits(family, given, birth, sex, place)


JEANNE = person("2500335238042", "MORVAN", "JEANNE", "1950-03-12", "F", "35238")
PAUL = person("1820675114023", "KERVELLA", "PAUL", "1982-06-21", "M", "75114")
LINA = person("2190292050117", "BENALI", "LINA", "2019-02-08", "F", "92050")
ANGE = person("160022A004059", "SANTONI", "ANGE", "1960-02-14", "M", "2A004")

CHU = ("CHU de Brocéliande", "1350000018")
MARTIN = Author(
    "MARTIN",
    "Claire",
    "899700300018",
    "",
    Code("G15_10/SM26", "1.2.250.1.213.1.1.4.5", "Médecin généraliste"),
    "Cabinet des Tilleuls",
    "499700300018001",
)
ROUX = Author(
    "ROUX", "Antoine", "899700300026", "", Code("G15_10/SM04", "1.2.250.1.213.1.1.4.5", "Cardiologue"), *CHU
)
LABO = Author(
    "LE GOFF",
    "Nolwenn",
    "899700300034",
    "",
    Code("G15_21/SM03", "1.2.250.1.213.1.1.4.5", "Biologiste"),
    "Laboratoire de la Vilaine",
    "1350000026",
)
RADIO = Author(
    "NGUYEN",
    "Minh",
    "899700300042",
    "",
    Code("G15_10/SM44", "1.2.250.1.213.1.1.4.5", "Radiologue"),
    "Imagerie du Mail",
    "1350000034",
)
PHARMA = Author(
    "DIALLO",
    "Aminata",
    "899700300059",
    "",
    Code("G15_21", "1.2.250.1.213.1.1.4.5", "Pharmacien"),
    "Pharmacie du Parc",
    "1350000042",
)


def header(
    n: int, kind: str, title: str, at: str, who: tuple[PatientId, Traits], by: Author, **more: Any
) -> Header:
    known = document_type(kind)
    assert known is not None, kind
    hospital = by.organisation == CHU[0]
    given: dict[str, Any] = {
        "version": 1,
        "confidentiality": Code("N", names.CONFIDENTIALITY, "Normal"),
        "service_start": at,
        "setting": Code(
            "ETABLISSEMENT" if hospital else "AMBULATOIRE",
            names.SETTING,
            "Établissement de santé" if hospital else "Ambulatoire",
        ),
        "facility": Code(
            "SA01" if hospital else "SA07",
            names.FACILITY,
            "Établissement public de santé" if hospital else "Cabinet individuel",
        ),
        **more,
    }
    return Header(
        id=f"{IDS}.{n}",
        set_id=f"{IDS}.{given.pop('set', n)}.1",
        type=known,
        title=title,
        at=at,
        language="fr-FR",
        patient_ids=(who[0],),
        traits=who[1],
        authors=(by,),
        custodian=by.organisation,
        custodian_id=by.organisation_id,
        legal_authenticator=by,
        **given,
    )


def p(text: str, *more: Run) -> Block:
    return Block("paragraph", (Run(text), *more))


def bullets(*lines: str, ordered: bool = False) -> Block:
    return Block("list", ordered=ordered, items=tuple((p(line),) for line in lines))


def table(head: str, *rows: str, caption: str = "") -> Block:
    """Cells apart by a bar."""

    def cells(row: str, header: bool) -> tuple[Cell, ...]:
        return tuple(Cell((Run(one.strip()),) if one.strip() else (), header) for one in row.split("|"))

    return Block(
        "table", caption=caption, head=(cells(head, True),), rows=tuple(cells(row, False) for row in rows)
    )


def sec(code: str, title: str, *blocks: Block, sections: tuple[Section, ...] = ()) -> Section:
    return Section(code, title, blocks, sections)


def snomed(code: str, words: str) -> Code:
    return Code(code, names.SNOMED, words)


def drug(name: str, atc: str, detail: str, start: str, end: str = "") -> ClinicalEntry:
    return ClinicalEntry(
        "medication", name, Code(atc, "2.16.840.1.113883.6.73", name), "active", start, end, detail
    )


def lab(
    code: str,
    name: str,
    value: float,
    unit: str,
    low: float | None,
    high: float | None,
    at: str,
    group: str,
    flag: Any = "",
    **more: Any,
) -> Result:
    return Result(code, name, f"{value:g}", value, unit, low, high, "", flag, at, "Sang", group, **more)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def picture(wide: int, high: int) -> str:
    """A small PNG of squares, as the code of a prescription is drawn."""
    rows = b"".join(
        b"\x00" + bytes(255 if (x // 4 + y // 4 + x * y // 32) % 2 else 0 for x in range(wide))
        for y in range(high)
    )
    head = wide.to_bytes(4) + high.to_bytes(4) + bytes([8, 0, 0, 0, 0])
    return base64.b64encode(
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", head)
        + _chunk(b"IDAT", zlib.compress(rows, 9))
        + _chunk(b"IEND", b"")
    ).decode()


def biology(at: str, factor: float) -> tuple[Result, ...]:
    before = "2026-05-04T08:10:00+02:00"
    return (
        lab(
            "2345-7",
            "Glucose",
            round(5.1 * factor, 2),
            "mmol/L",
            3.9,
            5.8,
            at,
            "Biochimie",
            "H" if factor > 1.14 else "N",
        ),
        lab("2345-7", "Glucose", 6.4, "mmol/L", 3.9, 5.8, before, "Biochimie", "H", previous=True),
        lab(
            "4548-4",
            "Hémoglobine glyquée (HbA1c)",
            round(6.2 * factor, 1),
            "%",
            4.0,
            6.0,
            at,
            "Biochimie",
            "H",
        ),
        lab(
            "2160-0",
            "Créatinine",
            78.0,
            "umol/L",
            45.0,
            84.0,
            at,
            "Biochimie",
            "N",
            comment="Méthode enzymatique",
        ),
        lab("718-7", "Hémoglobine", 12.9, "g/dL", 11.5, 16.0, at, "Hématologie", "N"),
        lab("777-3", "Plaquettes", 412.0, "10*9/L", 150.0, 400.0, at, "Hématologie", "H"),
        Result("5778-6", "Aspect du plasma", "limpide", at=at, specimen="Sang", group="Biochimie"),
    )


def chapters(*results: Result) -> tuple[Section, ...]:
    codes = {"Biochimie": "18719-5", "Hématologie": "18723-7", "Microbiologie": "18725-2"}
    made: list[Section] = []
    for group in dict.fromkeys(one.group for one in results):
        rows = [
            f"{one.name} | {one.value} {one.unit} | {'' if one.low is None else one.low} – {'' if one.high is None else one.high}"
            for one in results
            if one.group == group and not one.previous
        ]
        made.append(sec(codes[group], group, table("Analyse | Résultat | Valeurs de référence", *rows)))
    return tuple(made)


def vitals(at: str, weight: float, systolic: float) -> tuple[Result, ...]:
    told = (
        ("29463-7", "Poids", weight, "kg"),
        ("8302-2", "Taille", 162.0, "cm"),
        ("8480-6", "Pression artérielle systolique", systolic, "mm[Hg]"),
        ("8462-4", "Pression artérielle diastolique", 82.0, "mm[Hg]"),
        ("8867-4", "Fréquence cardiaque", 71.0, "/min"),
        ("8310-5", "Température", 36.8, "Cel"),
    )
    return tuple(Result(code, name, f"{value:g}", value, unit, at=at) for code, name, value, unit in told)


def pdf(words: str) -> bytes:
    """The smallest file that readers of PDF open."""
    content = f"BT /F1 14 Tf 60 780 Td ({words}) Tj ET".encode("latin-1")
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out, places = b"%PDF-1.4\n", []
    for at, one in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (at, one)
    start = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % at for at in places)
    return out + b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % start
