"""The names that CDA documents of France go by: object identifiers of systems, templates of documents and entries.

Public identifiers of HL7, IHE and the ANS (CI-SIS); the LOINC codes are those of sections.
"""

from __future__ import annotations

from typing import Final

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
    [
        "18717-9",
        "18718-7",
        "18719-5",
        "18720-3",
        "18721-1",
        "18722-9",
        "18723-7",
        "18724-5",
        "18725-2",
        "18727-8",
        "18728-6",
        "18729-4",
        "18767-4",
        "18768-2",
        "26435-8",
        "26436-6",
        "26437-4",
        "26438-2",
        "11502-2",
    ]
)
