"""What an XDS submission says of its documents (IHE ITI TF-3 §4.2, reduced to what MSSanté letters carry).

Values only. Times are HL7 timestamps as they came (YYYYMMDDHHMMSS±ZZZZ).
Invariants: whatever names or tells of a person is hidden from repr.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Code:
    """A coded value: `code` in the system `system` (an OID), with the words to show."""

    code: str
    system: str = ""
    display: str = ""


@dataclass(frozen=True, slots=True)
class PatientId:
    """An identifier of a person: `extension` (the matricule) in the namespace `root` (an OID)."""

    root: str
    extension: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Traits:
    """The five traits of an INS identity; "" is not known. `birth_date` is YYYY-MM-DD, `sex` M or F."""

    family_name: str = field(default="", repr=False)  # at birth
    given_name: str = field(default="", repr=False)  # the first of the birth certificate
    birth_date: str = field(default="", repr=False)
    sex: str = field(default="", repr=False)
    birth_place: str = field(default="", repr=False)  # INSEE code


@dataclass(frozen=True, slots=True)
class Author:
    """Who made a document: a person (`identifier` is a national identifier, IdNat_PS) and where."""

    family_name: str = field(default="", repr=False)
    given_name: str = field(default="", repr=False)
    identifier: str = ""
    role: str = ""
    specialty: Code | None = None
    organisation: str = ""
    organisation_id: str = ""  # IdNat_Struct


@dataclass(frozen=True, slots=True)
class DocumentEntry:
    """One XDS DocumentEntry."""

    entry_uuid: str
    unique_id: str  # of the author; the same in the CDA, the mail and the DMP
    uri: str  # path in the archive, relative to its SUBSET folder
    mime_type: str
    hash: str  # SHA-1, lower-case hex
    size: int
    title: str = field(repr=False)
    patient_id: PatientId | None
    source_patient_id: PatientId | None
    traits: Traits
    type: Code
    class_: Code
    format: Code
    facility: Code
    setting: Code
    confidentiality: tuple[Code, ...]
    authors: tuple[Author, ...]
    legal_authenticator: Author | None = None
    language: str = "fr-FR"
    creation_time: str = ""
    service_start: str = ""
    service_stop: str = ""
    logical_id: str = ""
    status: str = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
    replaces: tuple[str, ...] = ()  # entryUUIDs that this one replaces (association RPLC)
    path: str = ""  # where it lies in the archive that it was read from


@dataclass(frozen=True, slots=True)
class SubmissionSet:
    unique_id: str
    source_id: str
    patient_id: PatientId | None
    submission_time: str
    content_type: Code
    title: str = field(default="", repr=False)
    author: Author | None = None


@dataclass(frozen=True, slots=True)
class XdmArchive:
    """An IHE_XDM archive, read and checked, or about to be written."""

    submission: SubmissionSet
    entries: tuple[DocumentEntry, ...]
    documents: Mapping[str, bytes] = field(repr=False)  # by `uri`
    beside: Mapping[str, bytes] = field(default_factory=dict[str, bytes], repr=False)  # other files, by path
