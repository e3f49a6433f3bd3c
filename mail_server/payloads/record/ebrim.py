"""Names of ebRIM and XDS that the reader and the writer of METADATA.XML share (IHE ITI TF-3 §4.2), and the HL7 v2 forms
inside its slots (§4.2.3.1.7).

Invariants: constants and pure functions; whatever an HL7 text holds, taking it apart never raises.
"""

from __future__ import annotations

from typing import Final

from mail_server.payloads.record.model import Author, Code, PatientId, Traits

LCM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
RIM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
STABLE: Final = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"  # objectType of a document
APPROVED: Final = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
HAS_MEMBER: Final = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
REPLACES: Final = "urn:ihe:iti:2007:AssociationType:RPLC"

# Classification schemes of a DocumentEntry
AUTHOR: Final = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
CLASS: Final = "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a"
CONFIDENTIALITY: Final = "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f"
FACILITY: Final = "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1"
FORMAT: Final = "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d"
SETTING: Final = "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead"
TYPE: Final = "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983"
# External identifiers of a DocumentEntry
ENTRY_PATIENT: Final = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"
ENTRY_UNIQUE: Final = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"

# A SubmissionSet: what it is, its author and content type, its external identifiers
SUBMISSION: Final = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
SUBMISSION_AUTHOR: Final = "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d"
SUBMISSION_CONTENT: Final = "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500"
SUBMISSION_PATIENT: Final = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446"
SUBMISSION_SOURCE: Final = "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832"
SUBMISSION_UNIQUE: Final = "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8"

PERSONS: Final = "1.2.250.1.71.4.2.1"  # national identifiers of professionals (IdNat_PS)
STRUCTURES: Final = "1.2.250.1.71.4.2.2"  # of structures (IdNat_Struct)

# Of the INS: NIR, NIA, and the two for tests. One person has one matricule under whichever of them.
INS_NIR: Final = "1.2.250.1.213.1.4.8"
INS_ROOTS: Final = frozenset(f"1.2.250.1.213.1.4.{last}" for last in (8, 9, 10, 11))

# HL7 v2 §2.7.1
_ESCAPES: Final = {"F": "|", "S": "^", "R": "~", "T": "&", "E": "\\"}
_ESCAPED: Final = {ord(sign): f"\\{letter}\\" for letter, sign in _ESCAPES.items()}


def escaped(text: str) -> str:
    """Text inside an HL7 v2 field, on one line."""
    return " ".join(text.split()).translate(_ESCAPED)


def unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    pieces = text.split("\\")
    made = [pieces[0]]
    at = 1
    while at < len(pieces):
        if at + 1 < len(pieces) and pieces[at] in _ESCAPES:
            made.append(_ESCAPES[pieces[at]] + pieces[at + 1])
            at += 2
        else:
            made.append("\\" + pieces[at])
            at += 1
    return "".join(made)


def _part(text: str, number: int, sign: str = "^") -> str:
    """The nth component (from 1); "" when there are fewer."""
    parts = text.split(sign)
    return parts[number - 1].strip() if number <= len(parts) else ""


def patient_of(text: str) -> PatientId | None:
    """CX: `matricule^^^&oid&ISO^NH`."""
    extension = unescaped(_part(text, 1))
    return PatientId(unescaped(_part(_part(text, 4), 2, "&")), extension) if extension else None


def written_patient(patient: PatientId | None, kind: str) -> str:
    if patient is None:
        return ""
    return f"{escaped(patient.extension)}^^^&{escaped(patient.root)}&ISO^{kind}"


def person_of(text: str) -> tuple[str, str, str]:
    """XCN: identifier, family name, given name."""
    return unescaped(_part(text, 1)), unescaped(_part(text, 2)), unescaped(_part(text, 3))


def written_person(author: Author) -> str:
    """XCN with its authority; D is a name as it is shown."""
    named = f"{escaped(author.identifier)}^{escaped(author.family_name)}^{escaped(author.given_name)}"
    if not author.identifier:
        return f"{named}^^^^^^^D" if author.family_name else ""
    return f"{named}^^^^^^&{PERSONS}&ISO^D^^^IDNPS"


def organisation_of(text: str) -> tuple[str, str]:
    """XON: name, identifier."""
    return unescaped(_part(text, 1)), unescaped(_part(text, 10))


def written_organisation(author: Author) -> str:
    name = escaped(author.organisation)
    if not author.organisation_id:
        return name
    return f"{name}^^^^^&{STRUCTURES}&ISO^IDNST^^^{escaped(author.organisation_id)}"


def specialty_of(text: str) -> Code | None:
    """`code^words^oid`; some write words alone."""
    if not text.strip():
        return None
    if "^" not in text:
        return Code("", "", unescaped(text.strip()))
    return Code(unescaped(_part(text, 1)), unescaped(_part(text, 3)), unescaped(_part(text, 2)))


def written_specialty(code: Code) -> str:
    return f"{escaped(code.code)}^{escaped(code.display)}^{escaped(code.system)}"


def traits_of(values: list[str]) -> Traits:
    """sourcePatientInfo: one PID field in each value. Of several names, the one at birth (type L)."""
    names: list[str] = []
    birth = sex = place = ""
    for value in values:
        field, _, told = value.partition("|")
        if field == "PID-5":
            names.extend(told.split("~"))
        elif field == "PID-7":
            digits = told.strip()[:8]
            if len(digits) == 8 and digits.isascii() and digits.isdigit():
                birth = f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"
        elif field == "PID-8":
            sex = told.strip().upper()[:1]
        elif field == "PID-11":
            # XAD: an address of type BDL is the place of birth, its INSEE code in the ninth component.
            places = [_part(one, 9) for one in told.split("~") if _part(one, 7) == "BDL"]
            place = places[0] if places else place
    name = next((one for one in names if _part(one, 7) == "L"), names[0] if names else "")
    family, given = unescaped(_part(name, 1)), unescaped(_part(name, 2))
    return Traits(family, given, birth, sex if sex in ("M", "F") else "", place)


def written_traits(traits: Traits) -> list[str]:
    written: list[str] = []
    if traits.family_name or traits.given_name:
        written.append(f"PID-5|{escaped(traits.family_name)}^{escaped(traits.given_name)}^^^^^L")
    if traits.birth_date:
        written.append(f"PID-7|{traits.birth_date.replace('-', '')}")
    if traits.sex:
        written.append(f"PID-8|{traits.sex}")
    if traits.birth_place:
        written.append(f"PID-11|^^^^^^BDL^^{escaped(traits.birth_place)}")
    return written
