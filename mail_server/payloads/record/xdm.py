"""An IHE_XDM archive read and checked, or written (IHE ITI-32; "volet échange de documents de santé").

What is read from a stranger: the documents that METADATA.XML names, each with the hash and the size it states, all of
one patient. Producers differ: case, folders, missing README.TXT and INDEX.HTM, several SUBSETs, absent hashes are
taken.
Invariants: `read` raises `RecordRefused` and nothing else; every document that it gives is octet for octet the file of
the archive; `write` of the same archive gives the same octets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import unquote

from mail_server.payloads.record import ebrim, xdm_writing
from mail_server.payloads.record.archive import folded, read_zip
from mail_server.payloads.record.executables import is_program
from mail_server.payloads.record.metadata import read_metadata
from mail_server.payloads.record.metadata_writing import written_metadata
from mail_server.payloads.record.model import DocumentEntry, PatientId, SubmissionSet, XdmArchive
from mail_server.payloads.record.refusal import AnsCode, RecordRefused


def read(data: bytes) -> XdmArchive:
    """The archive's submission and its documents. Raises `RecordRefused`."""
    files = read_zip(data)
    for name, content in files.items():
        if is_program(name, content):
            raise _refused("program", "The archive holds a program, or a document that carries one")
    sets = [name for name in files if folded(name.rpartition("/")[2]) == "metadata.xml"]
    if not sets:
        raise _refused("xdm-no-metadata", "The archive holds no METADATA.XML")
    paths = {folded(name): name for name in files}
    submission: SubmissionSet | None = None
    entries: list[DocumentEntry] = []
    documents: dict[str, bytes] = {}
    patients: list[PatientId | None] = []
    for metadata in sets:
        folder = metadata.rpartition("/")[0]
        found, listed = read_metadata(files[metadata])
        patients.append(found.patient_id)
        # A document of the second SUBSET and after is told from one of the first by its folder.
        prefix = "" if metadata == sets[0] else folder.rpartition("/")[2] + "/"
        for entry in listed:
            path = _path(entry.uri, folder, paths)
            if any(other.path == path for other in entries):
                raise _refused("xdm-document-twice", "METADATA.XML names one document twice")
            entry = _checked(entry, files[path])
            uri = prefix + path.removeprefix(folder + "/" if folder else "")
            entries.append(replace(entry, uri=uri, path=path))
            documents[uri] = files[path]
            patients.append(entry.patient_id)
        submission = submission or found
    one_patient(patients)
    used = {entry.path for entry in entries} | set(sets)
    beside = {name: content for name, content in files.items() if name not in used}
    assert submission is not None
    return XdmArchive(submission, tuple(entries), documents, beside)


def write(archive: XdmArchive) -> bytes:
    """The archive's octets: hash and size of each document are taken from its octets, whatever its entry says."""
    entries = [_weighed(entry, archive.documents[entry.uri]) for entry in archive.entries]
    whole = replace(archive, entries=tuple(entries))
    files = {
        "README.TXT": archive.beside.get("README.TXT") or xdm_writing.readme(whole),
        "INDEX.HTM": archive.beside.get("INDEX.HTM") or xdm_writing.index(whole),
        f"{xdm_writing.SUBSET}METADATA.XML": written_metadata(archive.submission, entries),
        **{xdm_writing.SUBSET + entry.uri: archive.documents[entry.uri] for entry in entries},
    }
    files |= {name: content for name, content in archive.beside.items() if name not in files}
    return xdm_writing.packed(files)


def check_patient(archive: XdmArchive, cda_patient_ids: Mapping[str, Sequence[PatientId]]) -> None:
    """Whether each CDA, by its `uri`, is about whom METADATA.XML says; code 904 when one is not.

    Only identifiers of one namespace can tell: a hospital's own number says nothing of a matricule.
    """
    said = [entry.patient_id for entry in archive.entries] + [archive.submission.patient_id]
    for entry in archive.entries:
        known = cda_patient_ids.get(entry.uri, ())
        for outer in (entry.patient_id, entry.source_patient_id):
            if outer is not None and _differs(outer, known):
                raise RecordRefused(
                    AnsCode.INS_MISMATCH,
                    "patient-mismatch",
                    "A document is about another patient than METADATA.XML says (ANS 904)",
                )
    one_patient([*said, *(one for ids in cda_patient_ids.values() for one in _national(ids))])


def _path(uri: str, folder: str, paths: Mapping[str, str]) -> str:
    """The file that a URI names: from its SUBSET's folder, or, as some write it, from the top."""
    if not uri:
        raise _refused("xdm-no-uri", "METADATA.XML does not say where a document is")
    for told in (uri, unquote(uri)):
        told = told.replace("\\", "/")
        parts = [part for part in told.split("/") if part not in ("", ".")]
        if ".." in parts or told.startswith("/"):
            raise _refused("xdm-uri", "METADATA.XML leads outside the archive")
        plain = "/".join(parts)
        for place in (f"{folder}/{plain}" if folder else plain, plain):
            if folded(place) in paths:
                return paths[folded(place)]
    raise _refused("xdm-document-missing", "The archive lacks a document that METADATA.XML names")


def _checked(entry: DocumentEntry, content: bytes) -> DocumentEntry:
    """The entry with the hash and size of its file; refused when it states others."""
    weighed = _weighed(entry, content)
    if entry.hash and entry.hash != weighed.hash:
        raise _refused("xdm-hash-mismatch", "A document is not the one whose hash METADATA.XML states")
    if entry.size and entry.size != weighed.size:
        raise _refused("xdm-size-mismatch", "A document has not the size that METADATA.XML states")
    return weighed


def _weighed(entry: DocumentEntry, content: bytes) -> DocumentEntry:
    # SHA-1, as XDS asks: it tells damage, not forgery.
    found = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return replace(entry, hash=found, size=len(content))


def one_patient(patients: Iterable[PatientId | None]) -> None:
    """One patient in one message (ECO.2.1.1), whatever namespaces name them."""
    seen: list[PatientId] = []
    for patient in patients:
        if patient is None:
            continue
        if _differs(patient, seen):
            raise RecordRefused(
                AnsCode.INS_MISMATCH, "two-patients", "The archive names two patients (ANS 904)"
            )
        seen.append(patient)


def _differs(patient: PatientId, others: Iterable[PatientId]) -> bool:
    """Whether identifiers of the same namespace are known, and none of them is this one."""
    same = [other for other in others if _namespace(other) == _namespace(patient)]
    return bool(same) and all(_number(other) != _number(patient) for other in same)


def _national(ids: Iterable[PatientId]) -> list[PatientId]:
    return [one for one in ids if one.root in ebrim.INS_ROOTS]


def _namespace(patient: PatientId) -> str:
    return "INS" if patient.root in ebrim.INS_ROOTS else patient.root


def _number(patient: PatientId) -> str:
    """A matricule without its key, which some leave out."""
    told = "".join(patient.extension.upper().split())
    return told[:13] if patient.root in ebrim.INS_ROOTS else told


def _refused(slug: str, sentence: str) -> RecordRefused:
    return RecordRefused(AnsCode.OTHER, slug, sentence)
