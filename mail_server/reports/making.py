"""From an order and its document to a letter that can lie in the spool.

Invariants: what cannot be made is refused with its reason before anything is kept; the document's own identifiers are
drawn once, and are those of every later letter about it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from mail_server.payloads.record import confidentiality, letter, value_sets
from mail_server.payloads.record.letter import FORMAT_OTHER, FORMAT_PDF, Earlier, Report, Withdrawal
from mail_server.payloads.record.model import Author, Code, PatientId
from mail_server.reports import documents
from mail_server.reports.documents import Documents, Source
from mail_server.reports.order import Order, read_order
from mail_server.reports.refusal import ReportRefused
from mail_server.reports.settings import HospitalSettings
from mail_server.reports.spool import About, Entry, Errand, Row, State, new_reference

# Codes that a document without an archive must bear itself. One that is not announced yet is kept here, and needs none.
_TOLD_BY_IT: Final = frozenset({confidentiality.MASKED, confidentiality.NOT_REPRESENTATIVES, "R", "V"})


class Maker:
    """Makes letters; no disk, no network. Safe in several threads."""

    def __init__(
        self, settings: HospitalSettings, clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> None:
        self._settings, self._clock = settings, clock

    def report(self, told: object, source: Source, find: Callable[[str], Row | None]) -> list[Entry]:
        """The entries that taking this report takes: one, or two when it is held. Raises ReportRefused."""
        found = documents.look(source, self._settings.limits)
        order = read_order(found.complete(told), self._settings)
        found.about(order.patient)
        if order.reference and find(order.reference) is not None:
            raise ReportRefused("reference-taken", "reference")
        earlier = self._earlier(order, find)
        made = self._report(order, order.reference or new_reference(), earlier)
        made = replace(_under_its_own_name(made, found), author=_author(made, order, found))
        if not order.held:
            return [self._entry(made, order, source.name, _letter(made, found))]
        own = self._settings.account.address
        reference = made.message_id.partition("@")[0].strip("<")
        whole = _letter(made, found)
        held = self._entry(made, order, source.name, whole, State.HELD)
        # The author keeps it: a copy lies in the sending account, which nobody reads but who made it.
        mine = replace(made, recipient=own, message_id=self._message_id(f"{reference}.held"), receipt=False)
        copy = Entry(
            f"{reference}.held",
            About(message_id=mine.message_id, recipient=own, of=reference),
            _letter(mine, found),
            Errand.COPY,
        )
        return [held, copy]

    def announced(self, row: Row, held: bytes) -> tuple[bytes, About]:
        """A held report, now for its patient: the same document, metadata of its own. Raises ReportRefused."""
        told = dict(row.about.order or {})
        codes = told.get("confidentiality") or ["N"]
        codes = [codes] if isinstance(codes, str) else list(codes)
        told["confidentiality"] = [one for one in codes if one != "INVISIBLE_PATIENT"] or ["N"]
        told["hold"] = False
        order = read_order(told, self._settings)
        found, about = documents.again(held), row.about
        if confidentiality.INVISIBLE in found.codes:
            raise ReportRefused("document-invisible")  # its bytes are its author's to change, not ours
        made = self._report(order, row.reference, self._earlier_of(told))
        made = replace(
            made,
            unique_id=about.unique_id,
            set_id=about.set_id,
            version=about.version,
            format=_format_of(found),
            archive=not found.fhir_alone,
            author=_author(made, order, found),
        )
        entry = self._entry(made, order, about.source, _letter(made, found))
        assert entry.letter is not None
        return entry.letter, replace(entry.about, order=None)

    def withdrawal(self, row: Row) -> Entry:
        """That the report of this row is taken back."""
        about, account = row.about, self._settings.account
        reference = new_reference()
        made = Withdrawal(
            message_id=self._message_id(reference),
            at=self._clock(),
            sender=account.address,
            sender_name=account.name,
            recipient=about.recipient,
            reply_to=account.reply_to,
            product=account.product,
            patient=PatientId(about.patient_root, about.patient),
            withdrawn=_earlier_row(row),
            subject=about.subject,
        )
        told = About(message_id=made.message_id, recipient=about.recipient, of=row.reference)
        return Entry(reference, told, letter.withdrawal_letter(made), Errand.WITHDRAWAL)

    # -- inside

    def _report(self, order: Order, reference: str, earlier: Earlier | None) -> Report:
        account, place = self._settings.account, self._settings.establishment
        return Report(
            message_id=self._message_id(reference),
            at=self._clock(),
            sender=account.address,
            sender_name=account.name,
            recipient=order.recipient,
            reply_to=order.reply_to,
            product=account.product,
            receipt=account.receipts,
            patient=order.patient,
            traits=order.traits,
            type=order.type,
            class_=order.class_,
            title=order.title,
            act=order.act,
            act_end=order.act_end,
            unique_id=_new_oid(),
            set_id=(earlier.set_id if earlier else "") or _new_oid(),
            version=earlier.version + 1 if earlier else 1,
            entry_uuid=f"urn:uuid:{uuid.uuid4()}",
            confidentiality=order.confidentiality,
            author=order.author,
            facility=value_sets.facility(place.facility) or Code(place.facility),
            setting=value_sets.setting(place.setting) or Code(place.setting),
            replaces=earlier,
            words=order.words,
        )

    def _entry(
        self, made: Report, order: Order, name: str, whole: bytes, state: State = State.WAITING
    ) -> Entry:
        reference = made.message_id.partition("@")[0].strip("<")
        about = About(
            message_id=made.message_id,
            recipient=made.recipient,
            unique_id=made.unique_id,
            set_id=made.set_id,
            version=made.version,
            entry_uuid=made.entry_uuid,
            patient_root=made.patient.root,
            patient=made.patient.extension,
            subject=letter.subject_of(made),
            source=name,
            order=_kept(order, made.replaces) if state is State.HELD else None,
        )
        return Entry(reference, about, whole, Errand.REPORT, state)

    def _earlier(self, order: Order, find: Callable[[str], Row | None]) -> Earlier | None:
        if not order.replaces:
            return None
        row = find(order.replaces)
        if row is None or row.errand is not Errand.REPORT or not row.about.unique_id:
            raise ReportRefused("replaced-unknown")
        if (row.about.patient_root, row.about.patient) != (order.patient.root, order.patient.extension):
            raise ReportRefused("replaced-unknown")  # another patient's document is none to be replaced
        return _earlier_row(row)

    def _earlier_of(self, told: dict[str, Any]) -> Earlier | None:
        kept = told.pop("earlier", None)
        return Earlier(**kept) if kept else None

    def _message_id(self, reference: str) -> str:
        return f"<{reference}@{self._settings.account.domain}>"


def _kept(order: Order, earlier: Earlier | None) -> dict[str, Any]:
    told = dict(order.told)
    if earlier is not None:
        told["earlier"] = {name: getattr(earlier, name) for name in Earlier.__dataclass_fields__}
        told.pop("replaces", None)
    return told


def _earlier_row(row: Row) -> Earlier:
    about = row.about
    return Earlier(about.unique_id, about.set_id, about.version, about.entry_uuid, about.message_id)


def _under_its_own_name(made: Report, found: Documents) -> Report:
    """The report under the identifiers that its document has already. Raises ReportRefused."""
    header = found.header
    if header is None:
        return made
    if header.type.code != made.type.code:
        raise ReportRefused("type-disagrees", "type")
    if found.fhir_alone and made.replaces and made.replaces.unique_id not in header.replaces:
        raise ReportRefused("replaced-unknown")  # there is no archive to say it: the document must
    if found.fhir_alone and not found.codes.issuperset(
        {one.code for one in made.confidentiality} & _TOLD_BY_IT
    ):
        raise ReportRefused("confidentiality-wrong")
    replaced = made.replaces or (Earlier(header.replaces[0]) if header.replaces else None)
    return replace(
        made,
        unique_id=header.id,
        set_id=header.set_id or made.set_id,
        version=header.version or made.version,
        format=_format_of(found),
        replaces=replaced,
        archive=not found.fhir_alone,
    )


def _author(made: Report, order: Order, found: Documents) -> Author:
    """Who wrote the document, when the order names nobody: as the document says it, at this establishment."""
    authors = found.header.authors if found.header is not None else ()
    if order.told.get("author") or not authors or not authors[0].family_name:
        return made.author
    first = authors[0]
    return replace(
        made.author,
        family_name=first.family_name,
        given_name=first.given_name,
        identifier=first.identifier,
        role=first.role,
        specialty=first.specialty,
    )


def _letter(made: Report, found: Documents) -> bytes:
    cda = found.cda
    if not cda and not found.fhir_alone:
        cda = letter.level_one(made, found.pdf)
    return letter.report_letter(made, cda, found.pdf, found.fhir)


def _format_of(found: Documents) -> str:
    return FORMAT_PDF if found.wraps_pdf else FORMAT_OTHER


def _new_oid() -> str:
    """An object identifier of our own: 2.25 and a UUID as a number (ITU-T X.667)."""
    return f"2.25.{uuid.uuid4().int}"
