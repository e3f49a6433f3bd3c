"""Draws the manifest of a letter from its content: archives, FHIR documents, calendars, and what a manifest part adds.

It reads files of strangers, so it runs in a worker process of its own (`payloads.worker`), for letters in which `find`
saw something structured and no others. The page draws the same of what it opens (`webmail/ui/src/worker/record/
drawing.ts`); `tests/webmail/vectors/manifests.json` holds both to one answer. Items are named by the section number of
their part; a letter inside the letter is somebody else's, and stays an attachment: of what it carries only the
confidentiality is told, since who forwards a document hands it on.

Invariants: pure; an item's hash is of bytes that are in the letter; a manifest part adds only what content cannot tell
(withdrawals, decisions, entries, files, kinds of a later version) and never speaks for bytes that are not there; what
is hostile or about two people is a `RecordRefused`; whatever else is odd becomes a flag.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from mail_server import mime
from mail_server.mime import Part
from mail_server.payloads import manifest as codec
from mail_server.payloads.calendar_items import appointments
from mail_server.payloads.documents import Allowance, archive_documents, fhir_document
from mail_server.payloads.manifest import ITEMS, MEDIA_TYPE, Item, Manifest
from mail_server.payloads.record import mss_fields
from mail_server.payloads.record.executables import is_program
from mail_server.payloads.record.model import PatientId
from mail_server.payloads.record.refusal import AnsCode, RecordRefused
from mail_server.payloads.record.xdm import one_patient
from mail_server.payloads.xdm import is_xdm, is_zip

SUBJECT: Final = "XDM/1.0/DDM"
FHIR_TYPES: Final = frozenset({"application/fhir+json", "application/json+fhir"})
_DRAWN: Final = frozenset({codec.DOCUMENT, codec.FHIR, codec.APPOINTMENT})  # content tells these by itself
_BYTELESS: Final = frozenset({codec.WITHDRAWAL, codec.DECISION})


@dataclass(frozen=True, slots=True)
class Drawn:
    manifest: Manifest = field(repr=False)
    confidentiality: frozenset[str] = frozenset()  # codes of all documents together
    handed_on: frozenset[str] = frozenset()  # codes of documents in letters inside this one
    cda: tuple[str, ...] = ()  # types of the CDA in its archives, in their order: what X-MSS-CODECDA tells
    identified: bool = False  # all of these name a qualified INS: what X-MSS-INS tells


@dataclass(slots=True)
class _Drawing:
    items: list[Item] = field(default_factory=list[Item])
    patients: list[PatientId] = field(default_factory=list[PatientId])
    flags: set[str] = field(default_factory=set[str])
    types: dict[str, None] = field(default_factory=dict[str, None])  # of the CDA in archives, in their order
    archives: int = 0
    allowance: Allowance = field(default_factory=Allowance)
    identified: bool = True  # every document of an archive has what X-MSS-INS promises
    hashes: dict[str, str] = field(default_factory=dict[str, str])  # section → hash, of parts looked at
    said: list[Manifest] = field(default_factory=list[Manifest])


def draw(message: bytes, tree: Part) -> Drawn:
    """Everything structured in this letter. Raises RecordRefused."""
    found = _Drawing()
    parts = list(leaves(tree))
    for section, part in parts:
        _look(found, message, section, part)
    if found.archives:
        _no_programs(message, parts)
    one_patient(found.patients)
    _headers(found, message, tree)
    for one in found.said:
        _add(found, message, parts, one)
    items = [codec.bounded(one) for one in found.items]
    cut = max(len(items) - ITEMS, 0) + sum(one.cut for one in found.said)
    patient = next((codec.patient_hash(one.root, one.extension) for one in found.patients), "")
    patient = patient or next((one.patient for one in found.said if one.patient), "")
    made = Manifest(tuple(items[:ITEMS]), patient, tuple(sorted(found.flags)), cut)
    # Of items as they were found: nothing that was cut from them is carried for that reason.
    codes = frozenset(code for item in found.items for code in item.confidentiality)
    types = tuple(found.types)
    return Drawn(made, codes, _handed_on(found, message, parts), types, bool(types) and found.identified)


def _handed_on(found: _Drawing, message: bytes, parts: Sequence[tuple[str, Part]]) -> frozenset[str]:
    """Codes of the documents in letters inside this one. What cannot be read there is not judged here: it may be a
    letter that comes back because it could not."""
    inside = _Drawing(allowance=found.allowance)
    for _, part in parts:
        for one in (each for each in part.walk() if each is not part):
            if one.children or one.content_type == MEDIA_TYPE or is_calendar(one):
                continue
            try:
                _look(inside, message, "", one)
            except RecordRefused as refused:
                if refused.slug == "xml-too-many":
                    raise
    return frozenset(code for item in inside.items for code in item.confidentiality)


def leaves(tree: Part, number: str = "") -> Iterator[tuple[str, Part]]:
    """Parts without parts, each by its section number (RFC 9051 §6.4.5)."""
    if not tree.is_multipart:
        yield number or "1", tree
        return
    for at, child in enumerate(tree.children, 1):
        yield from leaves(child, f"{number}.{at}" if number else str(at))


def is_calendar(part: Part) -> bool:
    """By its type; by its name where the type says nothing (reading the name costs)."""
    if part.content_type in ("text/calendar", "application/ics"):
        return True
    return part.content_type in ("application/octet-stream", "text/plain") and (
        (part.filename or "").lower().endswith(".ics")
    )


def _look(found: _Drawing, message: bytes, section: str, part: Part) -> None:
    if is_zip(message, part):
        if is_xdm(message, part):
            _archive(found, _content(message, part), section)
    elif part.content_type in FHIR_TYPES:
        made = fhir_document(_content(message, part), section)
        if made is not None:
            found.items.append(made.item)
            found.patients.extend(made.patients)
    elif part.content_type == MEDIA_TYPE:
        said = codec.read(_content(message, part))
        if said is None:
            found.flags.add("manifest-unreadable")
        else:
            found.said.append(said)
    elif is_calendar(part):
        named = next((value for name, value in part.params if name.lower() == b"method"), b"")
        for item in appointments(_content(message, part), section, named.decode("latin-1")):
            # Programs put the same invitation into the text and beside it: what comes by two ways is shown once.
            if not any(_same(item, other) for other in found.items):
                found.items.append(item)


def _archive(found: _Drawing, content: bytes, section: str) -> None:
    found.archives += 1
    if found.archives > 1:
        found.flags.add("several-archives")
    for made in archive_documents(content, section, found.allowance):
        found.items.append(made.item)
        found.patients.extend(made.patients)
        if made.cda:
            found.types[made.item.type] = None
            found.identified = found.identified and made.identified


def _same(one: Item, other: Item) -> bool:
    return other.kind == codec.APPOINTMENT and (
        (one.id, one.method, one.sequence, one.stamp, one.recurrence)
        == (other.id, other.method, other.sequence, other.stamp, other.recurrence)
    )


def _no_programs(message: bytes, parts: Sequence[tuple[str, Part]]) -> None:
    """Nothing that runs travels with documents (reference/mssante.md §9, row 51)."""
    for _, part in parts:
        if part.type in ("text", "multipart") and part.filename is None:
            continue
        if is_program(part.filename or "", _content(message, part)):
            raise RecordRefused(AnsCode.OTHER, "program", "The letter carries a program or macros")


def _headers(found: _Drawing, message: bytes, tree: Part) -> None:
    """What the letter's header says of its archive, where it says otherwise than the archive."""
    subject = mime.decoded(tree.fields.get(b"subject", b"")[:4096]).strip()
    if subject.startswith(SUBJECT) and not found.archives:
        found.flags.add("no-archive")
    told = {one.name: one.value for one in reversed(mime.fields(message[: tree.body_start]))}
    found.flags |= mss_fields.disagreements(
        told, found.types.keys(), bool(found.archives) and found.identified
    )


def _add(found: _Drawing, message: bytes, parts: Sequence[tuple[str, Part]], said: Manifest) -> None:
    """What a manifest part tells, as far as it may."""
    for item in said.items:
        if item.kind in _DRAWN:
            continue
        if item.kind in _BYTELESS or not item.hash:
            found.items.append(replace(item, hash="", part="", entry=""))
            continue
        section = next((one for one, part in parts if _hash(found, message, one, part) == item.hash), None)
        if section is None:
            found.flags.add("hash-mismatch")
        else:
            found.items.append(replace(item, part=section))


def _hash(found: _Drawing, message: bytes, section: str, part: Part) -> str:
    known = found.hashes.get(section)
    if known is None:
        known = found.hashes[section] = codec.hash_of(_content(message, part))
    return known


def _content(message: bytes, part: Part) -> bytes:
    try:
        return mime.decoded_body(message, part)
    except mime.UnknownEncoding:
        return part.body(message)
