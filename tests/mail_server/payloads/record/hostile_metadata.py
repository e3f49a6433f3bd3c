"""Archives whose ZIP and XML are sound, and that lie about their documents or their patient, or carry a program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mail_server.payloads.record.model import PatientId
from tests.mail_server.payloads.record.archives import (
    CDA,
    JEANNE,
    PAUL,
    SUBMISSION,
    SUBSET,
    entry,
    members,
    metadata,
)
from tests.mail_server.payloads.record.hostile import Case
from tests.mail_server.payloads.record.zips import Member, packed

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
IHE = PatientId("1.2.250.1.213.1.4.9", PAUL.extension)  # another person, as NIA


def cases() -> Iterator[Case]:
    for group in (_hostile_xml, _untrue, _patients, _programs):
        for name, data in group():
            yield Case(name, "archive", data)


def _told(told: bytes) -> bytes:
    return packed(members(told))


def _hostile_xml() -> Iterator[tuple[str, bytes]]:
    whole = metadata()
    head, _, rest = whole.partition(b"\n")
    yield "METADATA.XML with a DOCTYPE", _told(head + b"<!DOCTYPE x>" + rest)
    outside = b'<!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]>'
    yield "METADATA.XML that reads a file", _told(head + outside + rest.replace(b"DURAND", b"&y;"))
    yield "METADATA.XML cut in the middle", _told(whole[: len(whole) // 2])
    yield "METADATA.XML that is empty", _told(b"")
    yield "METADATA.XML that is a PDF", _told(b"%PDF-1.7\n")
    yield "METADATA.XML of another kind", _told(b'<?xml version="1.0"?><html xmlns="urn:x"><p/></html>')
    yield (
        "METADATA.XML without objects",
        _told(b'<lcm:SubmitObjectsRequest xmlns:lcm="urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"/>'),
    )
    yield "METADATA.XML nested too deep", _told(whole.replace(b"DURAND", b"<x>" * 120 + b"</x>" * 120))
    many = b"".join(b'<rim:ExtrinsicObject id="%d"/>' % one for one in range(201))
    yield (
        "METADATA.XML of 201 documents",
        _told(whole.replace(b"</rim:RegistryObjectList>", many + b"</rim:RegistryObjectList>")),
    )
    yield "no METADATA.XML", packed([Member(b"README.TXT", b"x"), Member(b"DOC0001.XML", CDA)])
    yield (
        "a second SUBSET with a DOCTYPE",
        packed([*members(), Member(b"IHE_XDM/SUBSET02/METADATA.XML", b"<!DOCTYPE a><a/>")]),
    )


def _untrue() -> Iterator[tuple[str, bytes]]:
    yield "a document other than its hash", packed(members(document=CDA.replace(b"liaison", b"sortie!")))
    yield "a document longer than its size", packed(members(document=CDA + b"\n"))
    yield "a hash of another form", _told(metadata(entry(hash="not-a-hash")))
    yield "a hash of SHA-256", _told(metadata(entry(hash="ab" * 32)))
    yield (
        "a size that is none",
        _told(metadata(entry()).replace(b"<rim:Value>%d<" % len(CDA), b"<rim:Value>many<")),
    )
    yield (
        "a size below zero",
        _told(metadata(entry()).replace(b"<rim:Value>%d<" % len(CDA), b"<rim:Value>-5<")),
    )
    yield "a right hash with a wrong size", _told(metadata(entry(size=len(CDA) + 1)))
    for shown, uri in {
        "to a file that is not there": "DOC0009.XML",
        "above its folder": "../SUBSET02/DOC0001.XML",
        "far above its folder": "../../../../etc/passwd",
        "above its folder by backslashes": "..\\..\\DOC0001.XML",
        "above its folder by escapes": "%2e%2e/DOC0001.XML",
        "to the top of a disk": "/DOC0001.XML",
        "to the network": "http://127.0.0.1/DOC0001.XML",
    }.items():
        yield f"a URI {shown}", _told(metadata(entry(uri=uri)))
    without = metadata().replace(b'name="URI"', b'name="URL"')
    yield "a document without a URI", _told(without)
    second = entry(2)
    yield "a second document that is not there", _told(metadata(entry(), second))
    sound = [*members(metadata(entry(), second)), Member(f"{SUBSET}DOC0002.XML".encode(), CDA + b" ")]
    yield "a second document other than its hash", packed(sound)


def _patients() -> Iterator[tuple[str, bytes]]:
    both = [Member(f"{SUBSET}DOC0002.XML".encode(), CDA)]

    def two(second: PatientId) -> bytes:
        return packed([*members(metadata(entry(), entry(2, patient_id=second))), *both])

    yield "two patients in two documents", two(PAUL)
    yield "two patients, one by a test number", two(PatientId("1.2.250.1.213.1.4.10", PAUL.extension))
    yield "two patients, one by a NIA", two(IHE)
    yield "two patients who differ in one digit", two(PatientId(JEANNE.root, "248053523814862"))
    submission = replace(SUBMISSION, patient_id=PAUL)
    yield "a submission about another patient", packed(members(metadata(submission=submission)))
    other = [
        Member(b"IHE_XDM/SUBSET02/METADATA.XML", metadata(entry(patient_id=PAUL))),
        Member(b"IHE_XDM/SUBSET02/DOC0001.XML", CDA),
    ]
    yield "two patients in two SUBSETs", packed([*members(), *other])
    own = PatientId("1.2.250.1.999.2", "1")
    local = [entry(patient_id=own), entry(2, patient_id=replace(own, extension="2"))]
    submission = replace(SUBMISSION, patient_id=own)
    yield (
        "two patients by a hospital's numbers",
        packed([*members(metadata(*local, submission=submission)), *both]),
    )


def _programs() -> Iterator[tuple[str, bytes]]:
    for shown, (name, content) in {
        "a program of Windows by its name": (b"setup.exe", b"x"),
        "a program of Windows by its octets": (b"notes.txt", b"MZ" + bytes(100)),
        "a program behind two endings": (b"report.pdf.scr", b"x"),
        "a program with a space behind its name": (b"a.exe ", b"x"),
        "a program of Linux": (b"DOC2", b"\x7fELF\x02\x01\x01"),
        "a program of macOS": (b"DOC2", b"\xcf\xfa\xed\xfe\x07"),
        "a class of Java": (b"DOC2", b"\xca\xfe\xba\xbe\0\0"),
        "a script of a shell": (b"DOC2.TXT", b"#!/bin/sh\n"),
        "a script of a browser": (b"IHE_XDM/view.js", b"alert(1)"),
        "a script of Windows": (b"a.vbs", b"x"),
        "a shortcut of Windows": (b"a.txt", b"L\0\0\0\x01\x14\x02\0\0"),
        "a document with macros by its name": (b"letter.docm", b"x"),
        "a document with macros": (
            b"letter.docx",
            packed([Member(b"word/document.xml", b"<a/>"), Member(b"word/vbaProject.bin", b"x")]),
        ),
        "an old document with macros": (b"letter.doc", _OLE + bytes(50) + "_VBA_PROJECT".encode("utf-16-le")),
    }.items():
        yield shown, packed([*members(), Member(name, content)])
