"""A PDF of the hospital's, looked at before it goes to a patient: whole, in clear, and nothing but a document.

Invariants: never raises but `ReportRefused`; whatever acts (JavaScript, launch, submission), and whatever carries other
files, is refused wherever it stands in the file; nothing of the text is read.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any, Final

from pypdf import PdfReader
from pypdf.errors import PyPdfError
from pypdf.generic import ArrayObject, DictionaryObject, IndirectObject

from mail_server.reports.refusal import ReportRefused

# It prints what it finds odd, which may be text of the document (DESIGN §6).
logging.getLogger("pypdf").setLevel(logging.CRITICAL)

_ACTS: Final = frozenset(
    {"/JavaScript", "/Launch", "/SubmitForm", "/ImportData", "/Rendition", "/RichMediaExecute"}
)
_CARRIES: Final = ("/EF", "/EmbeddedFiles", "/RichMediaContent")
_OBJECTS: Final = 200_000
_HEAD: Final = 1024


def check_pdf(data: bytes, most_octets: int, most_pages: int) -> None:
    """Raises ReportRefused."""
    if len(data) > most_octets:
        raise ReportRefused("pdf-too-large")
    if b"%PDF-" not in data[:_HEAD]:
        raise ReportRefused("pdf-unreadable")
    try:
        _check(data, most_pages)
    except ReportRefused:
        raise
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OSError):
        raise ReportRefused("pdf-unreadable") from None


def _check(data: bytes, most_pages: int) -> None:
    reader = PdfReader(io.BytesIO(data), strict=False)
    if reader.is_encrypted:
        raise ReportRefused("pdf-encrypted")
    pages = len(reader.pages)
    if pages == 0:
        raise ReportRefused("pdf-unreadable")
    if pages > most_pages:
        raise ReportRefused("pdf-too-long")
    for found in _dictionaries(reader):
        if "/JS" in found or ("/S" in found and found["/S"] in _ACTS):
            raise ReportRefused("pdf-active")
        if any(name in found for name in _CARRIES) or (
            "/Type" in found and str(found["/Type"]) == "/EmbeddedFile"
        ):
            raise ReportRefused("pdf-embeds")


def _dictionaries(reader: PdfReader) -> Iterator[DictionaryObject]:
    """Every dictionary that the trailer leads to, once; the walk is bounded."""
    waiting: list[Any] = [reader.trailer]
    seen: set[tuple[int, int]] = set()
    looked = 0
    while waiting:
        found = waiting.pop()
        looked += 1
        if looked > _OBJECTS:
            raise ReportRefused("pdf-unreadable")
        if isinstance(found, IndirectObject):
            name = (found.idnum, found.generation)
            if name in seen:
                continue
            seen.add(name)
            found = found.get_object()
        if isinstance(found, DictionaryObject):
            yield found
            waiting += [found.raw_get(key) for key in found]
        elif isinstance(found, ArrayObject):
            waiting += list(found)
