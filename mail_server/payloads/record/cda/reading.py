"""A CDA R2 document, read: header, words, results, entries, or the file it wraps. The page's twin is `cda.ts`.

`read` takes what producers really write: sections without narrative, entries without sections' codes, wrong types. It
refuses what is no clinical document, holds no body, or is about two patients.

Invariants: `read` returns or raises `RecordRefused`, nothing else; nothing is fetched; the values hold no markup.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from mail_server.payloads.record import xml
from mail_server.payloads.record.cda import names
from mail_server.payloads.record.cda.entries import entries_of
from mail_server.payloads.record.cda.header import contacts_of, header_of
from mail_server.payloads.record.cda.model import Document, Header
from mail_server.payloads.record.cda.narrative import Narrator
from mail_server.payloads.record.cda.results import results_of
from mail_server.payloads.record.cda.values import Narrative
from mail_server.payloads.record.refusal import AnsCode, RecordRefused
from mail_server.payloads.record.xml import Element

BODY_LIMIT: Final = 24 * 1024 * 1024  # octets of a wrapped file
BODY_TYPES: Final = frozenset(
    {"application/pdf", "image/jpeg", "image/tiff", "image/png", "text/plain", "text/rtf", "application/rtf"}
)
_SPACES: Final = re.compile(r"[ \t\r\n]+")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}")


def read(data: bytes) -> Document:
    """The document in these octets. Raises `RecordRefused`."""
    root = xml.parse(data)
    if root.name != "ClinicalDocument" or root.ns not in (names.HL7, ""):
        raise _refused("cda-none", "A document is no CDA document")
    narrative = Narrative(root)
    header = header_of(root, narrative)
    wrapped = root.child("component", "nonXMLBody", "text")
    if wrapped is not None:
        kind = wrapped.get("mediaType").lower() or "text/plain"
        if kind not in BODY_TYPES:
            raise _refused(
                "cda-body-type", "The file that a CDA document wraps is of a type that is not taken"
            )
        return Document(header, 1, body=_octets(wrapped, wrapped=True), body_type=kind)
    body = root.child("component", "structuredBody")
    if body is None:
        raise _refused("cda-no-body", "A CDA document has no body")
    return _structured(root, header, body, narrative)


def _structured(root: Element, header: Header, body: Element, narrative: Narrative) -> Document:
    narrator = Narrator(narrative)
    sections = tuple(
        narrator.section(section)
        for component in body.elements("component")
        for section in component.elements("section")
    )
    coded = next(body.descendants("entry"), None) is not None
    copy = _copy(body)
    return Document(
        header,
        3 if coded else 2,
        body=copy,
        body_type="application/pdf" if copy else "",
        sections=sections,
        results=results_of(body, narrative),
        entries=(*entries_of(body, narrative), *contacts_of(root, narrative)),
    )


def _copy(body: Element) -> bytes:
    """The copy as a PDF that laboratories put among their entries: the first."""
    for media in body.descendants("observationMedia"):
        value = media.child("value")
        if value is not None and value.get("mediaType").lower() == "application/pdf":
            return _octets(value, wrapped=False)
    return b""


def _octets(value: Element, *, wrapped: bool) -> bytes:
    """A file inside: base64, or text as it stands (a body of `text/plain` may be). A copy that is broken is none."""
    told = value.text()
    if wrapped and value.get("representation") != "B64" and value.get("mediaType").startswith("text/"):
        return told.encode("utf-8", "replace")[:BODY_LIMIT]
    compact = _SPACES.sub("", told)
    if len(compact) % 4 == 0 and _BASE64.fullmatch(compact) and len(compact) <= BODY_LIMIT // 3 * 4:
        try:
            return base64.b64decode(compact, validate=True)
        except binascii.Error:  # padding in the middle cannot be: the shape was looked at
            pass
    if wrapped:
        raise _refused("cda-body-broken", "The file that a CDA document wraps cannot be read")
    return b""


def _refused(slug: str, sentence: str) -> RecordRefused:
    return RecordRefused(AnsCode.OTHER, slug, sentence)
