"""Systems, profiles and extensions that the national directory's FHIR interface names (reference/mssante.md §5.1)."""

from __future__ import annotations

IDNPS = "urn:oid:1.2.250.1.71.4.2.1"  # of persons: "8" and RPPS, "0" and ADELI
IDNST = "urn:oid:1.2.250.1.71.4.2.2"  # of structures: "1" and FINESS, "3" and SIRET, "4" and RPPS with a rank
RPPS = "https://rpps.esante.gouv.fr"
FINESS = "https://finess.esante.gouv.fr"
SIRENE = "https://sirene.fr"  # SIREN and SIRET, told apart by their type
IDENTIFIER_TYPE = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203"

_TABLES = "https://mos.esante.gouv.fr/NOS"
PROFESSION = f"{_TABLES}/TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante"
SPECIALITY = f"{_TABLES}/TRE_R38-SpecialiteOrdinale/FHIR/TRE-R38-SpecialiteOrdinale"
CATEGORY = f"{_TABLES}/TRE_R09-CategorieProfessionnelle/FHIR/TRE-R09-CategorieProfessionnelle"
MODE = f"{_TABLES}/TRE_R23-ModeExercice/FHIR/TRE-R23-ModeExercice"
COMMUNE = f"{_TABLES}/TRE_R13-Commune/FHIR/TRE-R13-Commune"
MAIL_SERVICE = f"{_TABLES}/TRE_R256-TypeMessagerie/FHIR/TRE-R256-TypeMessagerie"
MAILBOX_KIND = f"{_TABLES}/TRE_R257-TypeBAL/FHIR/TRE-R257-TypeBAL"
MAILBOX_KINDS = f"{_TABLES}/JDV_J139-TypeBAL-RASS/FHIR/JDV-J139-TypeBAL-RASS"
MSSANTE = "MSSANTE"

KIND_SYSTEMS = frozenset({MAILBOX_KIND, MAIL_SERVICE, MAILBOX_KINDS})
"""Published texts disagree on the system of a mailbox's kind: one is emitted (the first), all are understood."""

EMAIL_TYPE = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-contact-point-email-type"
METADATA = "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-ext-mailbox-mss-metadata"
INSEE_CODE = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-address-insee-code"

SUBSETTED = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
SPECIAL_VALUES = "http://hl7.org/fhir/special-values"

ROOT = "/fhir/v2"
MEDIA_TYPE = "application/fhir+json"
