"""What producers really send, odd and harmless: it must be read."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace

from mail_server.payloads.record.model import PatientId
from tests.mail_server.payloads.record.archives import (
    CDA,
    JEANNE,
    SUBMISSION,
    SUBSET,
    TRAITS,
    entry,
    good,
    members,
    metadata,
)
from tests.mail_server.payloads.record.hostile import Case
from tests.mail_server.payloads.record.zips import FULL32, Member, deflated, packed, wide_extra


def cases() -> Iterator[Case]:
    for group in (_zips, _folders, _metadata):
        for name, data in group():
            yield Case(f"odd: {name}", "archive", data)
    for name, data in _xml():
        yield Case(f"odd xml: {name}", "xml", data)


def _zips() -> Iterator[tuple[str, bytes]]:
    yield "as ours", good()
    yield "line ends behind it", good() + b"\r\n\r\n"
    yield "a comment", packed(members(), {"comment": b"Made by a laboratory"})
    yield "stored", packed([replace(one, method=0) for one in members()])
    yield "ZIP64", packed(members(), zip64=True)
    document = members()[-1]
    told: dict[str, int | bytes] = {"size": FULL32, "packed": FULL32}
    wide = wide_extra(len(document.data), len(document.packed()))
    yield (
        "ZIP64 for one file",
        packed(
            [
                *members()[:-1],
                replace(document, local=told, local_extra=wide, central=told, central_extra=wide),
            ]
        ),
    )
    for shown, signature, form in (
        ("", b"PK\x07\x08", "<III"),
        (" without their signature", b"", "<III"),
        (" in eight octets", b"PK\x07\x08", "<IQQ"),
    ):
        yield f"sizes that follow{shown}", packed([_streamed(one, signature, form) for one in members()])
    kept = [replace(one, flags=8) for one in members()]
    yield "sizes said to follow that stand in the header", packed(kept)
    yield (
        "extra fields of a date",
        packed([replace(one, local_extra=b"UT\x05\0\x01\0\0\0\0") for one in members()]),
    )
    yield (
        "permissions of Unix",
        packed([replace(one, central={"attributes": 0o100644 << 16}) for one in members()]),
    )
    empty = Member(b"EMPTY.TXT", b"", raw=deflated(b""))
    yield "an empty file", packed([*members(), empty, Member(b"EMPTY2.TXT", b"", method=0)])
    yield "a name in the letters of DOS", packed([*members(), Member(b"r\x82sum\x82.txt", b"x")])
    yield "a name in UTF-8", packed([*members(), Member("résumé.txt".encode(), b"x", flags=0x0800)])
    yield "a closed archive inside", packed([*members(), Member(b"images.zip", good())])
    yield (
        "a document of a word processor inside",
        packed([*members(), Member(b"letter.docx", packed([Member(b"word/document.xml", b"<a/>")]))]),
    )
    yield "a large file packed well", packed([*members(), Member(b"log.txt", _dull())])


def _dull() -> bytes:
    """1.5 MB of text that packs to a hundredth."""
    return b"".join(b"%08d une ligne comme une autre, et encore une autre\r\n" % one for one in range(26_000))


def _streamed(one: Member, signature: bytes, form: str) -> Member:
    figures = struct.pack(form, zlib.crc32(one.data), len(one.packed()), len(one.data))
    zero: dict[str, int | bytes] = {"crc": 0, "packed": 0, "size": 0}
    return replace(one, flags=8, local=zero, after=signature + figures)


def _folders() -> Iterator[tuple[str, bytes]]:
    def named(change: dict[str, str]) -> bytes:
        made: list[Member] = []
        for one in members():
            name = one.name.decode()
            for old, new in change.items():
                name = name.replace(old, new)
            made.append(replace(one, name=name.encode()))
        return packed(made)

    yield "small letters", packed([replace(one, name=one.name.lower()) for one in members()])
    yield "a SUBSET in small letters", named({"SUBSET01": "Subset01"})
    yield "backslashes", packed([replace(one, name=one.name.replace(b"/", b"\\")) for one in members()])
    yield "a folder around all", packed([replace(one, name=b"export 12/" + one.name) for one in members()])
    yield "dots before names", packed([replace(one, name=b"./" + one.name) for one in members()])
    yield "double slashes", named({"/": "//"})
    yield (
        "folders of their own",
        packed([Member(b"IHE_XDM/", b"", method=0), Member(SUBSET.encode(), b"", method=0), *members()]),
    )
    yield "no README.TXT and no INDEX.HTM", packed(members()[2:])
    yield "everything at the top", packed(members(folder=""))
    yield (
        "what macOS adds",
        packed([*members(), Member(b"__MACOSX/IHE_XDM/SUBSET01/._METADATA.XML", b"\0\5\x16\7")]),
    )
    yield (
        "a style sheet and a picture",
        packed(
            [*members(), Member(b"IHE_XDM/cda.xsl", b"<x/>"), Member(b"IHE_XDM/logo.png", b"\x89PNG\r\n")]
        ),
    )
    second = [
        Member(b"IHE_XDM/SUBSET02/METADATA.XML", metadata(entry(2, uri="DOC0001.XML"))),
        Member(b"IHE_XDM/SUBSET02/DOC0001.XML", CDA),
    ]
    yield "two SUBSETs", packed([*members(), *second])
    both = metadata(entry(), entry(2))
    yield "two documents", packed([*members(both), Member(f"{SUBSET}DOC0002.XML".encode(), CDA)])


def _metadata() -> Iterator[tuple[str, bytes]]:
    whole = metadata()

    def told(data: bytes) -> bytes:
        return packed(members(data))

    yield "a mark before METADATA.XML", told(b"\xef\xbb\xbf" + whole)
    yield "METADATA.XML in UTF-16", told(whole.decode().replace("UTF-8", "UTF-16").encode("utf-16"))
    yield "METADATA.XML that says UTF-16 and is UTF-8", told(whole.replace(b"UTF-8", b"UTF-16"))
    latin = whole.decode().replace("UTF-8", "ISO-8859-1").encode("cp1252", "xmlcharrefreplace")
    yield "METADATA.XML in Latin-1", told(latin)
    yield "METADATA.XML in Latin-1 that says nothing of it", told(latin.replace(b"ISO-8859-1", b"UTF-8"))
    yield "METADATA.XML without its declaration", told(whole.partition(b"\n")[2])
    yield "METADATA.XML after white lines", told(b"\r\n\r\n" + whole)
    yield (
        "METADATA.XML of ebRIM 2.1",
        told(whole.replace(b"xsd:lcm:3.0", b"registry:xsd:2.1").replace(b"xsd:rim:3.0", b"rim:xsd:2.1")),
    )
    inner = whole.partition(b"\n")[2]
    wrapped = b'<x:ProvideAndRegisterDocumentSetRequest xmlns:x="urn:ihe:iti:xds-b:2007">%b</x:ProvideAnd%b>'
    yield "a ProvideAndRegister around it", told(wrapped % (inner, b"RegisterDocumentSetRequest"))
    yield (
        "an instruction for a style sheet",
        told(whole.replace(b"<lcm:Sub", b'<?xml-stylesheet href="http://127.0.0.1:9/a.xsl"?><lcm:Sub', 1)),
    )
    yield (
        "a place of schemas",
        told(
            whole.replace(
                b" xmlns:rim=",
                b' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
                b'xsi:schemaLocation="urn:x http://127.0.0.1:9/a.xsd" xmlns:rim=',
            )
        ),
    )
    yield "a hash in capitals", told(metadata(entry(hash=entry().hash.upper())))
    yield (
        "no hash and no size",
        told(whole.replace(b'name="hash"', b'name="h"').replace(b'name="size"', b'name="s"')),
    )
    yield "a URI from the top", told(metadata(entry(uri=f"{SUBSET}DOC0001.XML")))
    yield "a URI in other letters", told(metadata(entry(uri="doc0001.xml")))
    yield "a URI with escapes", told(metadata(entry(uri="DOC%30001.XML")))
    yield "a URI with a backslash", told(metadata(entry(uri=".\\DOC0001.XML")))
    pieces = b"<rim:Value>2|0001.XML</rim:Value><rim:Value>1|DOC</rim:Value>"
    yield "a URI in pieces", told(whole.replace(b"<rim:Value>DOC0001.XML</rim:Value>", pieces))
    yield "no submission set", told(whole.replace(b"RegistryPackage", b"RegistryThing"))
    yield "no identifier of the patient", told(whole.replace(b"urn:uuid:58a6f841", b"urn:uuid:00000000"))
    keyless = PatientId(JEANNE.root, JEANNE.extension[:13])
    yield (
        "a matricule without its key",
        told(metadata(entry(patient_id=keyless), submission=replace(SUBMISSION, patient_id=JEANNE))),
    )
    test = PatientId("1.2.250.1.213.1.4.10", JEANNE.extension)
    yield "a matricule in the namespace of tests", told(metadata(entry(patient_id=test)))
    signs = replace(TRAITS, family_name="D'ORVAL|^~\\&<>\"é\\", given_name="Ève")
    yield "names with every sign", told(metadata(entry(traits=signs, title="a & b < c > \"d\" 'e'")))
    usual = whole.replace(b"PID-5|DURAND^Jeanne^^^^^L", b"PID-5|USUEL^Jeanne^^^^^D~DURAND^Jeanne^^^^^L")
    yield "a name in use before the name at birth", told(usual)
    yield (
        "a title over two lines",
        told(whole.replace(b'value="Lettre de liaison"', b'value="Lettre\n de liaison"')),
    )
    yield "a replacement", told(metadata(entry(replaces=("urn:uuid:old-1", "urn:uuid:old-2"))))


def _xml() -> Iterator[tuple[str, bytes]]:
    for name, text in {
        "one element": "<a/>",
        "the five entities": '<a b="&amp;&lt;&gt;&quot;&apos;">&amp;&lt;&gt;&quot;&apos;&#233;&#x1F600;</a>',
        "CDATA that looks like a DOCTYPE": "<a><![CDATA[<!DOCTYPE x [<!ENTITY y 'z'>]>&y;]]></a>",
        "a comment that looks like one": "<!-- <!DOCTYPE x> --><a>x<!-- y -->z</a>",
        "an instruction that looks like one": "<?x <!DOCTYPE x> ?><a/>",
        "version 1.1": '<?xml version="1.1"?><a/>',
        "standing alone": '<?xml version="1.0" standalone="yes"?><a/>',
        "a hundred deep": "<a>" * 100 + "</a>" * 100,
        "a hundred attributes": f"<a {' '.join(f'b{n}={chr(39)}{chr(39)}' for n in range(100))}/>",
        "XInclude, left alone": '<a xmlns:x="http://www.w3.org/2001/XInclude"><x:include href="file:///etc/passwd"/></a>',
        "spaces in attributes": '<a b=" x\ty\r\nz "> \r\n x </a>',
        "namespaces inside one another": '<a xmlns="u"><b xmlns="v" c="1"/><d xmlns:e="w" e:f="2"/></a>',
        "a namespace put off": '<a xmlns="u"><b xmlns=""/></a>',
        "names with accents": '<élément à="1"/>',
    }.items():
        yield name, text.encode("utf-8")
    yield "the euro in Latin-1", b'<?xml version="1.0" encoding="iso-8859-1"?><a>\x80\x81\x92\xe9</a>'
    yield "the euro in Latin-9", b'<?xml version="1.0" encoding="ISO-8859-15"?><a>\xa4\xe9</a>'
    yield "no UTF-8 where it is said", b'<?xml version="1.0" encoding="UTF-8"?><a>caf\xe9</a>'
    yield "UTF-16 of the other end", "<a>\u00e9</a>".encode("utf-16-be").join([b"\xfe\xff", b""])
    yield "two marks of UTF-8", b"\xef\xbb\xbf<a>\xef\xbb\xbf</a>"
