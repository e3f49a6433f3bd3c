"""A FHIR R4 document (Bundle of type "document"), read into the values of a CDA document. The page's twin is `fhir.ts`.

The Composition gives the header and the sections, whose XHTML goes through the same blocks and runs as CDA's words;
the other resources give results and entries.

Invariants: `read` returns or raises `RecordRefused`, nothing else; nothing is fetched; the values hold no markup.
"""

from __future__ import annotations

import json
from typing import Any, Final

from mail_server.payloads.record import xml
from mail_server.payloads.record.cda import names
from mail_server.payloads.record.cda.model import Block, Document, Header, Section
from mail_server.payloads.record.cda.narrative import Narrator
from mail_server.payloads.record.cda.times import tidy
from mail_server.payloads.record.fhir_entries import Resources, entries_of, results_of
from mail_server.payloads.record.fhir_values import Node, code_of, name_of, system_of
from mail_server.payloads.record.model import Author, Code, PatientId, Traits
from mail_server.payloads.record.refusal import AnsCode, RecordRefused

LIMIT: Final = 32 * 1024 * 1024  # octets
DEPTH: Final = 20  # of sections
_MANY: Final = 50


def read(data: bytes) -> Document:
    """The document in these octets. Raises `RecordRefused`."""
    return document_of(parsed(data))


def labels_of(bundle: Node) -> list[str]:
    """Codes of confidentiality wherever a document bears them: `meta.security` of the Bundle and of whatever is in it,
    `securityLabel` of a DocumentReference (FHIR R4 §6.1.2)."""
    bearers = [bundle, *Resources(bundle).all]
    return [
        label.text("code")
        for bearer in bearers
        for label in (
            *bearer.at("meta").all("security"),
            *(coding for told in bearer.all("securityLabel") for coding in told.all("coding")),
        )
        if label.text("code")
    ]


def document_of(bundle: Node) -> Document:
    """The document that a Bundle is. Raises `RecordRefused`."""
    if bundle.text("resourceType") != "Bundle" or bundle.text("type") != "document":
        raise _refused("fhir-none", "A document is no FHIR document")
    resources = Resources(bundle)
    composition = resources.all[0] if resources.all else Node()
    if composition.text("resourceType") != "Composition":
        raise _refused("fhir-no-composition", "A FHIR document does not begin with its Composition")
    if len(resources.of("Patient")) > 1:
        raise RecordRefused(AnsCode.INS_MISMATCH, "fhir-two-patients", "A document is about two patients")
    groups: dict[str, str] = {}
    narrator = Narrator(None)
    sections = tuple(_section(one, narrator, resources, groups, 0) for one in composition.all("section"))
    for report in resources.of("DiagnosticReport"):
        _grouped(report.all("result"), name_of(report.at("code")), resources, groups)
    results = tuple(results_of(resources, groups))
    entries = tuple(entries_of(resources))
    return Document(
        _header(bundle, composition, resources),
        3 if results or entries else 2,
        sections=sections,
        results=results,
        entries=entries,
    )


def parsed(data: bytes) -> Node:
    """The JSON of a document, of whatever shape. Raises `RecordRefused`."""
    if len(data) > LIMIT or data.count(b"<") > xml.MARKS:
        raise _refused("fhir-too-large", "A FHIR document is too large")
    try:
        found: Any = json.loads(data.decode("utf-8-sig"), parse_int=float, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise _refused("fhir-malformed", "A FHIR document is not JSON") from None
    return Node(found)


def _no_number(_: str) -> None:
    raise ValueError  # NaN and Infinity: no JSON (RFC 8259 §6)


def _section(
    section: Node, narrator: Narrator, resources: Resources, groups: dict[str, str], depth: int
) -> Section:
    code = code_of(section.at("code"))
    title = section.text("title") or name_of(section.at("code"))
    _grouped(section.all("entry"), title, resources, groups)
    inner = section.all("section") if depth < DEPTH else []
    return Section(
        code="" if code is None else code.code,
        title=title,
        blocks=tuple(_blocks(section.raw("text", "div"), narrator)),
        sections=tuple(_section(one, narrator, resources, groups, depth + 1) for one in inner),
    )


def _grouped(references: list[Node], title: str, resources: Resources, groups: dict[str, str]) -> None:
    for reference in references:
        found = resources.find(reference)
        if found.text("id") and found.text("id") not in groups:
            groups[found.text("id")] = title


def _blocks(div: str, narrator: Narrator) -> list[Block]:
    """XHTML that is not well formed is left out: the resources still say what they say."""
    if not div:
        return []
    try:
        return narrator.blocks(xml.parse(div.replace("&nbsp;", "\u00a0").encode("utf-8", "replace")))
    except RecordRefused:
        return []


def _header(bundle: Node, composition: Node, resources: Resources) -> Header:
    patient = resources.find(composition.at("subject"), composition)
    if patient.text("resourceType") != "Patient":
        patient = resources.of("Patient")[0] if resources.of("Patient") else Node()
    legal = [one for one in composition.all("attester") if one.text("mode") == "legal"]
    custodian = resources.find(composition.at("custodian"), composition)
    confidentiality = composition.text("confidentiality")
    return Header(
        id=_identifier(bundle.at("identifier"))
        or _identifier(composition.at("identifier"))
        or bundle.text("id"),
        set_id=_identifier(composition.at("identifier")),
        version=_version(composition.text("meta", "versionId")),
        type=code_of(composition.at("type")) or Code(""),
        title=composition.text("title") or name_of(composition.at("type")),
        at=tidy(composition.text("date")),
        confidentiality=Code(confidentiality, names.CONFIDENTIALITY) if confidentiality else Code(""),
        language=composition.text("language") or bundle.text("language"),
        patient_ids=tuple(
            PatientId(system_of(one.text("system")), one.text("value"))
            for one in patient.all("identifier")[:_MANY]
            if one.text("value")
        ),
        traits=_traits(patient),
        authors=tuple(_author(one, composition, resources) for one in composition.all("author")[:_MANY]),
        custodian=custodian.text("name") or composition.text("custodian", "display"),
        custodian_id=custodian.text("identifier", "value"),
        legal_authenticator=_author(legal[0].at("party"), composition, resources) if legal else None,
        service_start=tidy(composition.text("event", "period", "start")),
        service_stop=tidy(composition.text("event", "period", "end")),
        replaces=tuple(_replaced(composition)),
        templates=tuple(composition.at("meta").texts("profile")[:_MANY]),
        prescription=_prescription(resources),
    )


def _identifier(identifier: Node) -> str:
    """`urn:oid:1.2.3` is 1.2.3; a value in a system that is an OID is `root^extension`, as CDA has it."""
    value, system = identifier.text("value"), identifier.text("system")
    if value.startswith(("urn:oid:", "urn:uuid:")):
        return value.removeprefix("urn:oid:")
    return f"{system.removeprefix('urn:oid:')}^{value}" if system.startswith("urn:oid:") and value else value


def _traits(patient: Node) -> Traits:
    named = patient.all("name")
    official = [one for one in named if one.text("use") == "official"] or named or [Node()]
    given = official[0].texts("given")
    place = _extension(patient, "patient-birthPlace").at("valueAddress")
    insee = _extension(place, "insee-code")
    return Traits(
        family_name=official[0].text("family"),
        given_name=given[0] if given else "",
        birth_date=tidy(patient.text("birthDate"))[:10],
        sex={"male": "M", "female": "F"}.get(patient.text("gender"), ""),
        birth_place=insee.text("valueCoding", "code") or place.text("city"),
    )


def _extension(node: Node, ending: str) -> Node:
    found = [one for one in node.all("extension") if one.text("url").endswith(ending)]
    return found[0] if found else Node()


def _author(reference: Node, composition: Node, resources: Resources) -> Author:
    found = resources.find(reference, composition)
    role, organisation = Node(), Node()
    if found.text("resourceType") == "PractitionerRole":
        role = found
        organisation = resources.find(role.at("organization"), role)
        found = resources.find(role.at("practitioner"), role)
    if found.text("resourceType") == "Organization":
        organisation, found = found, Node()
    given = found.at("name").texts("given")
    family = found.text("name", "family") or found.text("deviceName", "name")
    if not family and not organisation:
        family = reference.text("display")
    return Author(
        family_name=family,
        given_name=given[0] if given else "",
        identifier=found.text("identifier", "value"),
        role=name_of(role.at("code")),
        specialty=code_of(role.at("specialty")),
        organisation=organisation.text("name"),
        organisation_id=organisation.text("identifier", "value"),
    )


def _replaced(composition: Node) -> list[str]:
    found: list[str] = []
    for one in composition.all("relatesTo")[:_MANY]:
        if one.text("code") == "replaces":
            target = _identifier(one.at("targetIdentifier")) or one.text("targetReference", "reference")
            found += [target.removeprefix("urn:oid:")] if target else []
    return found


def _prescription(resources: Resources) -> str:
    for request in resources.of("MedicationRequest"):
        if system_of(request.text("groupIdentifier", "system")) == names.PRESCRIPTION:
            return request.text("groupIdentifier", "value")
    return ""


def _version(told: str) -> int:
    return int(told) if told.isascii() and told.isdigit() and len(told) <= 6 else 0


def _refused(slug: str, sentence: str) -> RecordRefused:
    return RecordRefused(AnsCode.OTHER, slug, sentence)
