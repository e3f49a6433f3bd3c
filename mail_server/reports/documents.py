"""The documents a hospital hands in, looked at before a letter is made of them: a PDF, a CDA or a FHIR document, and
the copy that people look at.

Invariants: what a document says of itself (patient, confidentiality, what it replaces) is never overruled by an order;
its bytes travel as they came; what cannot be read, or does more than show itself, is refused before anything is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from mail_server import mime
from mail_server.payloads.record import confidentiality, fhir, pdf_copy, xdm, xml
from mail_server.payloads.record.cda import reading
from mail_server.payloads.record.cda.header import marks_of
from mail_server.payloads.record.cda.model import Document, Header
from mail_server.payloads.record.letter import FHIR_TYPE
from mail_server.payloads.record.model import PatientId
from mail_server.payloads.record.refusal import RecordRefused
from mail_server.reports.pdf_checks import check_pdf
from mail_server.reports.refusal import ReportRefused
from mail_server.reports.settings import ReportLimits

_PDF: Final = "application/pdf"
_LEVELS: Final = ("N", "R", "V")
_KEPT_BACK: Final = (confidentiality.INVISIBLE, confidentiality.MASKED, confidentiality.NOT_REPRESENTATIVES)


@dataclass(frozen=True, slots=True)
class Source:
    """What the hospital hands in: a PDF or a CDA, with a FHIR document beside if wanted; or a FHIR document alone."""

    pdf: bytes = field(default=b"", repr=False)
    cda: bytes = field(default=b"", repr=False)
    name: str = field(default="", repr=False)  # of the hospital's file
    fhir: bytes = field(default=b"", repr=False)

    @property
    def parts(self) -> tuple[bytes, ...]:
        return tuple(one for one in (self.pdf, self.cda, self.fhir) if one)


@dataclass(frozen=True, slots=True)
class Documents:
    """What a letter will carry."""

    pdf: bytes = field(repr=False)
    cda: bytes = field(default=b"", repr=False)  # empty: to be made of the PDF, or there is FHIR alone
    fhir: bytes = field(default=b"", repr=False)
    header: Header | None = field(default=None, repr=False)  # of the CDA, else of FHIR alone
    beside: Header | None = field(default=None, repr=False)  # of FHIR beside another
    wraps_pdf: bool = True
    codes: frozenset[str] = frozenset()  # confidentiality that they bear themselves

    @property
    def fhir_alone(self) -> bool:
        return bool(self.fhir) and self.beside is None

    def about(self, patient: PatientId) -> None:
        """Raises ReportRefused when one of them is about somebody else."""
        if self.header is not None and not _names(self.header, patient):
            raise ReportRefused("fhir-another-patient" if self.fhir_alone else "cda-another-patient")
        if self.beside is not None and not _names(self.beside, patient):
            raise ReportRefused("fhir-another-patient")

    def complete(self, told: object) -> object:
        """An order, with what the document says itself where the order is silent, and the codes it bears anyway."""
        if not isinstance(told, Mapping):
            return told
        order = {str(key): value for key, value in cast("Mapping[Any, Any]", told).items()}
        header = self.header
        if header is not None:
            day = (header.service_start or header.at)[:10]
            for name, value in (("type", header.type.code), ("title", header.title), ("date", day)):
                if not order.get(name):
                    order[name] = value
        own = [code for code in _KEPT_BACK if code in self.codes]
        if header is not None and not order.get("confidentiality") and header.confidentiality.code in _LEVELS:
            own.append(header.confidentiality.code)
        given: Any = order.get("confidentiality") or []
        given = [given] if isinstance(given, str) else given
        if own and isinstance(given, Sequence):
            order["confidentiality"] = [*given, *(code for code in own if code not in given)]
        return order


def look(source: Source, limits: ReportLimits) -> Documents:
    """Raises ReportRefused."""
    if not source.parts or (source.pdf and source.cda):
        raise ReportRefused("document-missing")
    if max(len(source.cda), len(source.fhir)) > 2 * limits.pdf_octets:
        raise ReportRefused("pdf-too-large")
    if source.pdf:
        check_pdf(source.pdf, limits.pdf_octets, limits.pdf_pages)
        return _with_fhir(Documents(source.pdf), source.fhir)
    if source.cda:
        return _with_fhir(_of_cda(source.cda, limits), source.fhir)
    document, codes = _fhir(source.fhir)
    return Documents(
        _drawn(document, "fhir-refused"),
        fhir=source.fhir,
        header=document.header,
        wraps_pdf=False,
        codes=codes,
    )


def carried(letter: bytes) -> Source:
    """The documents of a letter that was made here."""
    tree = mime.parse(letter)
    pdf = cda = found = b""
    for part in tree.walk():
        if part.content_type == _PDF:
            pdf = mime.decoded_body(letter, part)
        elif part.content_type == FHIR_TYPE:
            found = mime.decoded_body(letter, part)
        elif part.content_type == "application/zip":
            try:
                (cda,) = xdm.read(mime.decoded_body(letter, part)).documents.values()
            except (RecordRefused, ValueError):
                raise ReportRefused("cda-refused") from None
    return Source(pdf, cda, fhir=found)


def again(letter: bytes) -> Documents:
    """The documents of a letter that was made here: they were looked at, and are not drawn again."""
    source = carried(letter)
    if not source.cda:
        document, codes = _fhir(source.fhir)
        return Documents(source.pdf, fhir=source.fhir, header=document.header, wraps_pdf=False, codes=codes)
    document, codes = _cda(source.cda)
    made = Documents(source.pdf, source.cda, header=document.header, wraps_pdf=_wraps(document), codes=codes)
    return _with_fhir(made, source.fhir)


def _of_cda(data: bytes, limits: ReportLimits) -> Documents:
    document, codes = _cda(data)
    copy = b""
    if document.body_type == _PDF and document.body:
        try:
            check_pdf(document.body, limits.pdf_octets, limits.pdf_pages)
            copy = document.body
        except ReportRefused as refused:
            # Beside a document that says everything in sections, a copy that is merely broken is drawn anew.
            if document.level == 1 or refused.slug != "pdf-unreadable":
                raise
    return Documents(
        copy or _drawn(document), data, header=document.header, wraps_pdf=_wraps(document), codes=codes
    )


def _with_fhir(made: Documents, data: bytes) -> Documents:
    if not data:
        return made
    document, codes = _fhir(data)
    return replace(made, fhir=data, beside=document.header, codes=made.codes | codes)


def _wraps(document: Document) -> bool:
    return document.level == 1 and document.body_type == _PDF


def _cda(data: bytes) -> tuple[Document, frozenset[str]]:
    try:
        document = reading.read(data)
        return document, _codes(marks_of(xml.parse(data)), document)
    except RecordRefused:
        raise ReportRefused("cda-refused") from None


def _fhir(data: bytes) -> tuple[Document, frozenset[str]]:
    try:
        bundle = fhir.parsed(data)
        document = fhir.document_of(bundle)
        return document, _codes(fhir.labels_of(bundle), document)
    except RecordRefused:
        raise ReportRefused("fhir-refused") from None


def _codes(marks: Sequence[str], document: Document) -> frozenset[str]:
    return frozenset(one.strip().upper() for one in (*marks, document.header.confidentiality.code) if one)


def _drawn(document: Document, slug: str = "cda-refused") -> bytes:
    try:
        return pdf_copy.draw(document)
    except RecordRefused:
        raise ReportRefused(slug) from None


def _names(header: Header, patient: PatientId) -> bool:
    return any(
        (one.root, one.extension.upper()) == (patient.root, patient.extension) for one in header.patient_ids
    )
