"""The names that CDA documents of France go by: object identifiers of systems, templates of documents and entries.

Public identifiers of HL7, IHE and the ANS (CI-SIS); the LOINC codes are those of sections.
"""

from __future__ import annotations

from typing import Final

from mail_server.payloads.record.cda.model import EntryKind

HL7: Final = "urn:hl7-org:v3"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"

LOINC: Final = "2.16.840.1.113883.6.1"
SNOMED: Final = "2.16.840.1.113883.6.96"
CONFIDENTIALITY: Final = "2.16.840.1.113883.5.25"
MASKING: Final = "1.2.250.1.213.1.1.4.13"  # MASQUE_PS, INVISIBLE_PATIENT...
LOCAL_TYPES: Final = "1.2.250.1.213.1.1.4.12"  # document types that LOINC has not
PROFESSIONAL: Final = "1.2.250.1.71.4.2.1"  # IdNat_PS
STRUCTURE: Final = "1.2.250.1.71.4.2.2"  # IdNat_Struct
PRESCRIPTION: Final = "1.2.250.1.215.500.1.1"  # number of a unified electronic prescription
SETTING: Final = "1.2.250.1.213.1.1.4.9"
FACILITY: Final = "1.2.250.1.71.4.2.4"

INS: Final = ("1.2.250.1.213.1.4.8", "1.2.250.1.213.1.4.9", "1.2.250.1.213.1.4.10", "1.2.250.1.213.1.4.11")

# Templates of documents
FRANCE: Final = "2.16.840.1.113883.2.8.2.1"
CI_SIS: Final = "1.2.250.1.213.1.1.1.1"
XDS_SD: Final = "1.3.6.1.4.1.19376.1.2.20"

# Templates of entries (IHE PCC, LAB, PHARM)
MEDICATION: Final = "1.3.6.1.4.1.19376.1.5.3.1.4.7"
MEDICATION_CI_SIS: Final = "1.2.250.1.213.1.1.3.42"
IMMUNIZATION: Final = "1.3.6.1.4.1.19376.1.5.3.1.4.12"
DISPENSE: Final = "1.3.6.1.4.1.19376.1.9.1.3.4"
ALLERGY: Final = "1.3.6.1.4.1.19376.1.5.3.1.4.6"
PROBLEM: Final = "1.3.6.1.4.1.19376.1.5.3.1.4.5"
CONCERN: Final = "1.3.6.1.4.1.19376.1.5.3.1.4.5.1"
PROBLEM_CONCERN: Final = "1.3.6.1.4.1.19376.1.5.3.1.4.5.2"
ALLERGY_CONCERN: Final = "1.3.6.1.4.1.19376.1.5.3.1.4.5.3"
SEVERITY: Final = "1.3.6.1.4.1.19376.1.5.3.1.4.1"
PROCEDURE: Final = "1.3.6.1.4.1.19376.1.5.3.1.4.19"
FAMILY: Final = "1.3.6.1.4.1.19376.1.5.3.1.4.15"
FAMILY_OBSERVATION: Final = "1.3.6.1.4.1.19376.1.5.3.1.4.13.3"
SOCIAL: Final = "1.3.6.1.4.1.19376.1.5.3.1.4.13.4"
SIMPLE: Final = "1.3.6.1.4.1.19376.1.5.3.1.4.13"
VITAL_SIGNS: Final = "1.3.6.1.4.1.19376.1.5.3.1.4.13.1"
VITAL_SIGN: Final = "1.3.6.1.4.1.19376.1.5.3.1.4.13.2"
COMMENT: Final = "1.3.6.1.4.1.19376.1.5.3.1.4.2"
LAB_DATA: Final = "1.3.6.1.4.1.19376.1.3.1"
LAB_SPECIMEN: Final = "1.3.6.1.4.1.19376.1.3.1.2"
LAB_BATTERY: Final = "1.3.6.1.4.1.19376.1.3.1.4"
LAB_OBSERVATION: Final = "1.3.6.1.4.1.19376.1.3.1.6"

# Sections of a laboratory's report: the specialities of LOINC, and the studies as a whole.
LAB_SECTIONS: Final = frozenset(
    {
        *("18717-9", "18718-7", "18719-5", "18720-3", "18721-1", "18722-9", "18723-7", "18724-5", "18725-2"),
        *("18727-8", "18728-6", "18729-4", "18767-4", "18768-2", "26435-8", "26436-6", "26437-4", "26438-2"),
        *("11502-2", "30954-2"),
    }
)
VITAL_SECTIONS: Final = frozenset({"8716-3", "29274-8"})

# What the entries of a section are, by its LOINC code.
SECTION_KINDS: Final[dict[str, EntryKind]] = {
    "10160-0": "medication",
    "10183-2": "medication",  # at discharge
    "42346-7": "medication",  # at admission
    "29549-3": "medication",  # given
    "57828-6": "medication",  # prescribed
    "57833-6": "medication",
    "60590-7": "medication",  # dispensed
    "60593-1": "medication",
    "48765-2": "allergy",
    "11450-4": "problem",
    "11535-2": "problem",  # at discharge
    "46241-6": "problem",  # at admission
    "11348-0": "history",
    "11369-6": "vaccination",
    "41291-6": "vaccination",
    "87273-9": "vaccination",
    "47519-4": "procedure",
    "10167-5": "procedure",  # surgical history
    "29554-3": "procedure",
    "46264-8": "device",
    "101881-1": "device",
    "57080-8": "device",
    "10157-6": "family",
    "46467-3": "risk",
    "29762-2": "risk",  # habits
    "10161-8": "risk",  # occupation
    "18776-5": "plan",
    "56447-6": "plan",
    "42348-3": "wish",
    "81970-6": "contact",
}

# "Nothing known of this kind": SNOMED CT, and the codes of the International Patient Summary.
NOTHING_KNOWN: Final = frozenset(
    {
        *("716186003", "160244002", "409137002", "428607008", "160245001", "787481004", "787480003"),
        *("no-known-allergies", "no-known-medications", "no-known-problems", "no-known-immunizations"),
        *("no-known-procedures", "no-known-devices"),
    }
)
