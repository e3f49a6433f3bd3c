"""Makes `manifests.json` and `life_cycle.json`: run it only where a rule changes on purpose, and read what it changed.

python tests/webmail/vectors/make_record_vectors.py
"""

# ruff: noqa: E501 - a history reads on one line

from __future__ import annotations

import base64
import json
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[2])]

import record_letters as made  # noqa: E402

from mail_server import mime  # noqa: E402
from mail_server.payloads import manifest  # noqa: E402
from mail_server.payloads.drawing import draw  # noqa: E402
from mail_server.payloads.manifest import Item, Manifest  # noqa: E402
from mail_server.payloads.record.life_cycle import Arrival, life_cycle  # noqa: E402
from mail_server.payloads.record.refusal import RecordRefused  # noqa: E402

A, B, C = "1.2.250.1.999.1.1", "1.2.250.1.999.1.2", "1.2.250.1.999.1.3"
MASKED, INVISIBLE = made.confidential("MASQUE_PS"), made.confidential("INVISIBLE_PATIENT")


def fhir(patients: int = 1, **more: object) -> bytes:
    entries: list[dict[str, object]] = [
        {
            "fullUrl": "urn:uuid:c0",
            "resource": {
                "resourceType": "Composition", "id": "c0", "status": "final", "date": "2026-11-20T09:00:00+01:00",
                "title": "Synthèse médicale",
                "type": {"coding": [{"system": "http://loinc.org", "code": "60591-5", "display": "Synthèse"}]},
                "subject": {"reference": "Patient/p0"}, "author": [{"reference": "Practitioner/d"}], "section": [],
            },
        },
        {"resource": {"resourceType": "Practitioner", "id": "d", "name": [{"family": "MARTIN", "given": ["Claire"]}]}},
    ]  # fmt: skip
    for at in range(patients):
        number = {
            "system": f"urn:oid:{made.INS}",
            "value": made.PATIENT.extension if at == 0 else made.OTHER.extension,
        }
        entries.append({"resource": {"resourceType": "Patient", "id": f"p{at}", "identifier": [number]}})
    whole = {
        "resourceType": "Bundle", "type": "document", "timestamp": "2026-11-20T09:00:00+01:00",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": "urn:uuid:5e2b3a44-0000-4000-8000-000000000001"},
        "entry": entries,
    } | more  # fmt: skip
    return json.dumps(whole, ensure_ascii=False).encode()


def fhir_part(data: bytes) -> bytes:
    return mime.attachment_part(data, "application/fhir+json", "synthese.json")


def plain_zip() -> bytes:
    held = BytesIO()
    with zipfile.ZipFile(held, "w") as out:
        out.writestr(zipfile.ZipInfo("photos/chat.txt"), "un chat")
    return held.getvalue()


def two(first: str, second: str, **changes: object) -> bytes:
    return made.archive(
        (made.entry(first), made.cda(first)),
        (made.entry(second, uri="DOC0002.XML", **changes), made.cda(second, title="Suite", replaces=[first])),
    )


def file_part(data: bytes = made.PDF) -> bytes:
    return mime.attachment_part(data, "application/pdf", "ordonnance.pdf")


def letters() -> Iterator[tuple[str, bytes]]:
    one = made.zip_part(made.one_document())
    yield "an ordinary letter", made.letter(mime.text_part("Bonjour\r\n"))
    yield (
        "an ordinary letter with a PDF and a ZIP",
        made.letter(file_part(), made.zip_part(plain_zip(), "photos.zip")),
    )
    yield "one document", made.letter(one)
    yield (
        "an archive without a name, as octets",
        made.letter(made.zip_part(made.one_document(), "x", "application/octet-stream")),
    )
    yield "the letter is the archive", made.letter(one, subject="XDM/1.0/DDM+Bilan")
    yield "two documents, the second replaces the first", made.letter(made.zip_part(two(A, B)))
    yield (
        "a document that replaces one of another letter",
        made.letter(made.zip_part(made.archive((made.entry(B), made.cda(B, replaces=[A], version=2))))),
    )
    yield "two archives of one person", made.letter(one, made.zip_part(made.one_document(B)))
    yield (
        "two archives of two people",
        made.letter(
            one,
            made.zip_part(
                made.archive(
                    (made.entry(B, patient_id=made.OTHER), made.cda(B, patient=made.OTHER)),
                    patient=made.OTHER,
                )
            ),
        ),
    )
    yield (
        "a CDA about another person than its metadata",
        made.letter(made.zip_part(made.archive((made.entry(A), made.cda(A, patient=made.OTHER))))),
    )
    yield (
        "a CDA with another id than its metadata",
        made.letter(made.zip_part(made.archive((made.entry(A), made.cda(C))))),
    )
    yield (
        "a document that is no CDA though it says so",
        made.letter(made.zip_part(made.archive((made.entry(A), b"<?xml version='1.0'?><note>x</note>")))),
    )
    yield (
        "a document that is not well formed",
        made.letter(made.zip_part(made.archive((made.entry(A), b"<ClinicalDocument>")))),
    )
    yield (
        "a DOCTYPE in a document",
        made.letter(
            made.zip_part(
                made.archive(
                    (made.entry(A), b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>')
                )
            )
        ),
    )
    yield (
        "a program in the archive",
        made.letter(made.zip_part(_with(made.one_document(), "IHE_XDM/setup.exe", b"MZ\x90"))),
    )
    yield "a hash that METADATA.XML forged", made.letter(made.zip_part(_forged()))
    yield (
        "masked from professionals",
        made.letter(made.zip_part(made.one_document(confidentiality=(made.NORMAL, MASKED)))),
    )
    yield (
        "not to be seen by the patient yet",
        made.letter(made.zip_part(made.one_document(confidentiality=(made.NORMAL, INVISIBLE)))),
    )
    right = "X-MSS-NIL: DEV000000\r\nX-MSS-CODECDA: 11502-2\r\nX-MSS-INS: O\r\n"
    yield "the fields X-MSS as they should be", made.letter(one, more=right)
    yield "X-MSS-CODECDA of another document", made.letter(one, more=right.replace("11502-2", "34112-3"))
    yield (
        "X-MSS-INS of a document without the traits",
        made.letter(made.zip_part(made.one_document(traits=made.Traits("VASARELY"))), more=right),
    )
    yield "X-MSS without any document", made.letter(file_part(), more=right)
    yield (
        "a subject that announces an archive, and none",
        made.letter(file_part(), subject="XDM/1.0/DDM+Bilan"),
    )
    yield "a FHIR document", made.letter(fhir_part(fhir()))
    yield "a FHIR bundle that is no document", made.letter(fhir_part(fhir(type="collection")))
    yield "a FHIR document of two people", made.letter(fhir_part(fhir(2)))
    yield "JSON that is none", made.letter(fhir_part(b"{"))
    yield "a FHIR document and an archive", made.letter(one, fhir_part(fhir()))
    yield "an invitation", made.letter(made.calendar_part(made.calendar(made.event())))
    yield (
        "an invitation in the text and beside it",
        made.letter(
            made.alternative(mime.text_part("Rendez-vous"), made.calendar_part(made.calendar(made.event()))),
            made.calendar_part(made.calendar(made.event()), name="invite.ics"),
        ),
    )
    yield (
        "a cancellation of one occurrence",
        made.letter(
            made.calendar_part(
                made.calendar(
                    made.event("rdv-2@x", "SEQUENCE:2", "RECURRENCE-ID;TZID=Europe/Paris:20261210T103000"),
                    method="CANCEL",
                ),
                method="CANCEL",
            )
        ),
    )
    yield (
        "a whole day, folded, escaped",
        made.letter(
            made.calendar_part(
                made.calendar(
                    made.event("j@x", start="20261224", title="Veille\\, de No\r\n ël\\; midi\\nici")
                )
            )
        ),
    )
    yield (
        "two components in one calendar",
        made.letter(
            made.calendar_part(
                made.calendar(
                    made.event("s@x", "RRULE:FREQ=WEEKLY"),
                    made.event("s@x", "RECURRENCE-ID:20261210T093000Z"),
                )
            )
        ),
    )
    yield (
        "a calendar that says its method in its type alone",
        made.letter(made.calendar_part(made.calendar(made.event(), method=""), method="reply")),
    )
    yield (
        "a calendar whose type says another method",
        made.letter(made.calendar_part(made.calendar(made.event(), method="CANCEL"), method="REQUEST")),
    )
    yield (
        "a calendar too large to be carried whole",
        made.letter(made.calendar_part(made.calendar(made.event("g@x", "DESCRIPTION:" + "mot " * 1200)))),
    )
    yield "no calendar at all, though it says so", made.letter(made.calendar_part("Bonjour"))
    yield (
        "more appointments than a letter has",
        made.letter(made.calendar_part(made.calendar(*(made.event(f"m{at}@x") for at in range(104))))),
    )
    yield (
        "a withdrawal",
        made.letter(
            made.manifest_part({"kind": "withdrawal", "withdraws": [A, B], "title": "Envoyé par erreur"})
        ),
    )
    yield (
        "a decision, with bytes it has not",
        made.letter(
            made.manifest_part(
                {
                    "kind": "decision",
                    "decision": "mask",
                    "targets": [A],
                    "stamp": "2026-11-20T09:00:00.000Z",
                    "hash": "f" * 64,
                    "part": "2",
                }
            )
        ),
    )
    digest = manifest.hash_of(made.PDF)
    yield (
        "a file of the patient",
        made.letter(
            file_part(),
            made.manifest_part(
                {
                    "kind": "file",
                    "id": "urn:uuid:1",
                    "type": "DOCPAT01",
                    "hash": digest,
                    "size": 75,
                    "part": "9",
                }
            ),
        ),
    )
    yield (
        "a file whose hash is of no part",
        made.letter(
            file_part(),
            made.manifest_part({"kind": "file", "id": "urn:uuid:1", "hash": "0" * 64, "part": "2"}),
        ),
    )
    yield (
        "a forged document in the manifest part",
        made.letter(
            one, made.manifest_part({"kind": "document", "id": C, "hash": "0" * 64}, patient="f" * 64)
        ),
    )
    yield (
        "a kind of a later version",
        made.letter(made.manifest_part({"kind": "implant", "id": "x-1", "title": "Prothèse"})),
    )
    yield (
        "a profile entry",
        made.letter(
            made.manifest_part(
                {"kind": "entry", "id": "urn:uuid:2", "resource": '{"resourceType":"AllergyIntolerance"}'},
                patient="a" * 64,
            )
        ),
    )
    yield (
        "a manifest part that is none",
        made.letter(made.manifest_part(), file_part(), more="").replace(b'{"v": 1', b'{"v": 2'),
    )
    yield (
        "too many items in the manifest part",
        made.letter(
            made.manifest_part(*({"kind": "entry", "id": f"e{at}", "title": "x" * 40} for at in range(140)))
        ),
    )
    yield (
        "masked, after more codes than a manifest keeps",
        made.letter(made.zip_part(_classified(*map(str, range(30)), "MASQUE_PS"))),
    )
    yield (
        "masked, in small letters",
        made.letter(made.zip_part(_classified(" masque_ps"))),
    )
    yield (
        "masked by a word beside the document",
        made.letter(made.zip_part(_classified("MASQUE_PS", apart=True))),
    )
    yield (
        "masked by a section of the CDA alone",
        made.letter(
            made.zip_part(
                made.archive(
                    (
                        made.entry(A),
                        made.cda(A).replace(
                            b"<component>", b'<confidentialityCode code="MASQUE_PS"/><component>', 1
                        ),
                    )
                )
            )
        ),
    )
    yield (
        "a CDA of another patient under a type with parameters",
        made.letter(
            made.zip_part(
                made.archive(
                    (
                        made.entry(A, mime_type="text/xml; charset=UTF-8"),
                        made.cda(A, patient=made.OTHER),
                    )
                )
            )
        ),
    )
    yield (
        "one document named twice",
        made.letter(made.zip_part(made.archive((made.entry(A), made.cda(A)), (made.entry(B), made.cda(A))))),
    )
    many = b'<ClinicalDocument xmlns="urn:hl7-org:v3">' + b"<a/>" * 200_000 + b"</ClinicalDocument>"
    yield (
        "documents that are too much together",
        made.letter(
            made.zip_part(
                made.archive(*((made.entry(f"{A}.{at}", uri=f"D{at}.XML"), many) for at in range(3)))
            )
        ),
    )
    labelled = fhir(meta={"security": [{"code": "INVISIBLE_PATIENT"}]})
    yield "a FHIR document whose label keeps it from the patient", made.letter(fhir_part(labelled))
    inside = made.letter(one)
    forwarded = b"Content-Type: message/rfc822\r\n\r\n" + inside
    yield "a letter inside the letter", made.letter(forwarded, file_part())
    yield (
        "a document deeper in the letter",
        made.letter(made.alternative(mime.text_part("x"), one), file_part()),
    )


def _with(data: bytes, name: str, content: bytes) -> bytes:
    held = BytesIO(data)
    with zipfile.ZipFile(held, "a") as out:
        out.writestr(zipfile.ZipInfo(name), content)
    return held.getvalue()


def _forged() -> bytes:
    """The archive of one document, whose bytes were changed behind METADATA.XML's back."""
    return _changed("DOC0001.XML", lambda content: content.replace(b"Bilan sanguin", b"Bilan renal  "))


def _classified(*codes: str, apart: bool = False) -> bytes:
    """The archive of one document that METADATA.XML says these codes of, in it or `apart` from it."""
    scheme = "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f"
    entry = made.entry("1.2.250.1.999.1.1").entry_uuid
    told = "".join(
        f'<rim:Classification id="c{at}" classificationScheme="{scheme}" classifiedObject="{entry}" '
        f'nodeRepresentation="{code}"/>'
        for at, code in enumerate(codes)
    ).encode()
    end = b"</rim:ExtrinsicObject>"
    return _changed(
        "METADATA.XML", lambda content: content.replace(end, end + told if apart else told + end, 1)
    )


def _changed(ending: str, change: Callable[[bytes], bytes]) -> bytes:
    found = zipfile.ZipFile(BytesIO(made.one_document()))
    held = BytesIO()
    with zipfile.ZipFile(held, "w") as out:
        for name in found.namelist():
            content = found.read(name)
            out.writestr(zipfile.ZipInfo(name), change(content) if name.endswith(ending) else content)
    return held.getvalue()


def drawn(letter: bytes) -> dict[str, Any]:
    try:
        found = draw(letter, mime.parse(letter))
    except RecordRefused as refused:
        return {"refused": {"code": int(refused.code), "slug": refused.slug}}
    return {
        "manifest": json.loads(manifest.written(found.manifest)),
        "confidentiality": sorted(found.confidentiality),
    }


TEXTS = (
    '{"v":1,"items":[]}',
    '{"v":1.0,"items":[{"kind":"document","id":"a","version":2.0,"size":1.5}]}',
    '{"v":true,"items":[]}',
    '{"v":2,"items":[]}',
    '{"v":1}',
    "[]",
    "",
    "null",
    '{"v":1,"items":[{}]}',
    '{"v":1,"items":[1,"x",null,{"kind":"implant","colour":"red"}],"cut":3,"flags":["a",1]}',
    '{"v":1,"items":[{"kind":"document","title":null,"replaces":"x","size":-1,"version":true,"sequence":2147483648}]}',
    '{"v":1,"items":[{"kind":"document","title":"é\\u0000\\u2028\\ud800x","author":"\\ud83e\\ude7a"}],"patient":"p"}',
    '{"v":1,"items":[{"kind":"file","size":NaN}]}',
    '\ufeff{"v":1,"items":[]}',
    '{"v":1,"items":[{"kind":"x","id":"' + "é" * 1200 + '"}]}',
    '{"v":1,"items":[{"kind":"x","id":"' + "🩺" * 1200 + '"}]}',
    '{"v":1,"items":[{"kind":"appointment","ics":"' + "c" * 5000 + '"}]}',
    json.dumps({"v": 1, "items": [{"kind": "appointment", "id": f"u{n}", "ics": "c" * 3000} for n in range(8)]}),
    json.dumps({"v": 1, "items": [{"kind": "x", "title": "t" * 400} for _ in range(60)]}),
    '{"v":1,"items":[' + ",".join('{"kind":"x"}' for _ in range(120)) + "]}",
    '{"v":1,"items":[{"kind":"x","targets":[' + ",".join(f'"{n}"' for n in range(30)) + "]}]}",
    '{"v":1,"items":[{"kind":"x"}],"more":' + "[" * 80 + "]" * 80 + "}",
    '{"v":1,"items":[{"kind":"x","title":"' + "x" * 66_000 + '"}]}',
)  # fmt: skip


def codecs() -> Iterator[dict[str, Any]]:
    for text in TEXTS:
        found = manifest.read(text.encode("utf-8", "surrogatepass"))
        yield {"text": text, "written": None if found is None else manifest.written(found).decode()}


# -- what becomes of documents

P, Q = "a" * 64, "b" * 64
LAB, GP, OWN = "labo@chu.example", "dr.martin@chu.example", "moi@patient.example"


def doc(id_: str, letter: str, *, by: str = LAB, patient: str = P, hash_: str = "", own: bool = False, kind: str = "document",
        **more: Any) -> Arrival:  # fmt: skip
    item = Item(
        kind, id_, hash=hash_ or manifest.hash_of(id_.encode()), made=more.pop("made", "2026-11-20"), **more
    )
    return Arrival(letter, by, item, patient, own)


def takes_back(*ids: str, letter: str, by: str = LAB, patient: str = "") -> Arrival:
    return Arrival(letter, by, Item("withdrawal", withdraws=ids), patient)


def decides(what: str, *ids: str, stamp: str, own: bool = True, letter: str = "D") -> Arrival:
    return Arrival(letter, OWN, Item("decision", decision=what, targets=ids, stamp=stamp), "", own)


HISTORIES: dict[str, tuple[Arrival, ...]] = {
    "nothing": (),
    "one document": (doc("1", "L1"),),
    "the same by two ways is one": (doc("1", "L1"), doc("1", "L2", by=GP)),
    "the same letter twice": (doc("1", "L1"), doc("1", "L1")),
    "the same id with other bytes is two, and told": (doc("1", "L1"), doc("1", "L2", hash_="c" * 64)),
    "a version replaces the one before": (doc("1", "L1"), doc("2", "L2", made="2026-11-21", replaces=("1",))),
    "a chain of three": (doc("1", "L1"), doc("2", "L2", replaces=("1",)), doc("3", "L3", replaces=("2",))),
    "the replacement came first": (doc("2", "L2", replaces=("1",)), doc("1", "L1")),
    "it replaces what is not here": (doc("2", "L2", replaces=("1",)),),
    "two replace one": (doc("1", "L1"), doc("2", "L2", replaces=("1",)), doc("3", "L3", replaces=("1",))),
    "one replaces two": (doc("1", "L1"), doc("2", "L2"), doc("3", "L3", replaces=("1", "2"))),
    "a stranger's replacement changes nothing": (doc("1", "L1"), doc("2", "L2", by=GP, replaces=("1",))),
    "who sent it on may replace it": (doc("1", "L1"), doc("1", "L2", by=GP), doc("2", "L3", by=GP, replaces=("1",))),
    "a replacement about another person changes nothing": (doc("1", "L1"), doc("2", "L2", patient=Q, replaces=("1",))),
    "the sender's address in other capitals": (doc("1", "L1"), doc("2", "L2", by="Labo@CHU.example", replaces=("1",))),
    "a circle supersedes nothing": (doc("1", "L1", replaces=("2",)), doc("2", "L2", replaces=("1",))),
    "a document that replaces itself": (doc("1", "L1", replaces=("1",)),),
    "a circle, and one that replaces it": (
        doc("1", "L1", replaces=("2",)), doc("2", "L2", replaces=("1",)), doc("3", "L3", replaces=("1",)),
    ),
    "of two with one id, that of the sender is replaced": (
        doc("1", "L1"), doc("1", "L2", by=GP, hash_="c" * 64), doc("2", "L3", replaces=("1",)),
    ),
    "a withdrawal leaves a tombstone": (doc("1", "L1"), takes_back("1", letter="L2")),
    "the withdrawal came first": (takes_back("1", letter="L2"), doc("1", "L1")),
    "a stranger's withdrawal changes nothing": (doc("1", "L1"), takes_back("1", letter="L2", by=GP)),
    "a withdrawal about another person changes nothing": (doc("1", "L1"), takes_back("1", letter="L2", patient=Q)),
    "the newest is withdrawn, the one before stays history": (
        doc("1", "L1"), doc("2", "L2", replaces=("1",)), takes_back("2", letter="L3"),
    ),
    "what was withdrawn and sent again stays withdrawn": (
        doc("1", "L1"), takes_back("1", letter="L2"), doc("1", "L3"),
    ),
    "masked": (doc("1", "L1"), decides("mask", "1", stamp="2026-11-20T09:00:00.000Z")),
    "masked, then not": (
        doc("1", "L1"), decides("mask", "1", stamp="2026-11-20T09:00:00.000Z"), decides("unmask", "1", stamp="2026-11-20T09:00:01.000Z"),
    ),
    "the later word counts, whichever came first": (
        decides("unmask", "1", stamp="2026-11-20T09:00:00.000Z"), doc("1", "L1"), decides("mask", "1", stamp="2026-11-20T09:00:00.500Z"),
    ),
    "at one instant the word that hides more counts": (
        doc("1", "L1"), decides("mask", "1", stamp="2026-11-20T09:00:00Z"), decides("unmask", "1", stamp="2026-11-20T09:00:00Z"),
    ),
    "anybody else's decision counts for nothing": (
        doc("1", "L1"), decides("mask", "1", stamp="2026-11-20T09:00:00Z", own=False), decides("archive", "1", stamp="2026", own=False),
    ),
    "archived": (doc("1", "L1"), decides("archive", "1", stamp="2026-11-20T09:00:00Z")),
    "archived, then superseded": (
        doc("1", "L1"), decides("archive", "1", stamp="2026-11-20T09:00:00Z"), doc("2", "L2", replaces=("1",)),
    ),
    "a mask holds for all that bear the id": (
        doc("1", "L1"), doc("1", "L2", hash_="c" * 64), decides("mask", "1", stamp="2026-11-20T09:00:00Z"),
    ),
    "own file, without an id": (doc("", "L1", by=OWN, own=True, kind="file", hash_="d" * 64),),
    "own entry, changed": (
        doc("e1", "L1", by=OWN, own=True, kind="entry"), doc("e2", "L2", by=OWN, own=True, kind="entry", replaces=("e1",)),
    ),
    "kinds without a life are no documents": (doc("u1", "L1", kind="appointment"), doc("x", "L2", kind="implant")),
}  # fmt: skip


def arrival_json(one: Arrival) -> dict[str, Any]:
    item = manifest.as_json(Manifest((one.item,)))["items"][0]
    return {"letter": one.letter, "sender": one.sender, "patient": one.patient, "own": one.own, "item": item}


def standing_json(arrivals: tuple[Arrival, ...]) -> list[dict[str, Any]]:
    return [
        {
            "key": one.key, "id": one.id, "hash": one.hash, "state": one.state, "masked": one.masked,
            "archived": one.archived, "letters": list(one.letters), "replacedBy": list(one.replaced_by),
            "history": list(one.history), "withdrawnIn": list(one.withdrawn_in), "flags": list(one.flags),
        }
        for one in life_cycle(arrivals)
    ]  # fmt: skip


def main() -> None:
    cases = [
        {"name": name, "letter": base64.b64encode(zlib.compress(data, 9)).decode()} | drawn(data)
        for name, data in letters()
    ]
    _write("manifests.json", {"letters": cases, "texts": list(codecs())})
    histories = [
        {
            "name": name,
            "arrivals": [arrival_json(one) for one in arrivals],
            "standing": standing_json(arrivals),
        }
        for name, arrivals in HISTORIES.items()
    ]
    _write("life_cycle.json", histories)


def _write(name: str, value: object) -> None:
    (HERE / name).write_text(json.dumps(value, ensure_ascii=True, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
