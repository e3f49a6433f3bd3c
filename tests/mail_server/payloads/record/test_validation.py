"""Documents held to a schema and a schematron of our own writing, small but of every shape the official ones use."""

from __future__ import annotations

from pathlib import Path

import pytest

from mail_server.payloads.record.schematron import RulesUnusable
from mail_server.payloads.record.validation import Rules

CDA = Path(__file__).parents[3] / "webmail" / "vectors" / "cda"
LETTER = (CDA / "sortie.xml").read_bytes()

XSD = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="urn:hl7-org:v3"
 targetNamespace="urn:hl7-org:v3" elementFormDefault="qualified">
<xs:element name="ClinicalDocument"><xs:complexType><xs:sequence>
<xs:element name="realmCode"><xs:complexType><xs:attribute name="code" fixed="FR" use="required"/></xs:complexType>
</xs:element><xs:any minOccurs="5" maxOccurs="unbounded" processContents="skip"/></xs:sequence></xs:complexType>
</xs:element></xs:schema>"""

SCHEMATRON = """<schema xmlns="http://purl.oclc.org/dsdl/schematron" queryBinding="xslt2">
<ns prefix="cda" uri="urn:hl7-org:v3"/>
<let name="types" value="document('types.xml')//type/@code"/>
<include href="parts/author.sch"/>
<pattern id="type"><rule context="cda:ClinicalDocument/cda:code">
<assert test="@code = $types">The type <value-of select="@code"/> is not of the table</assert></rule></pattern>
<pattern abstract="true" id="one"><rule context="$where"><let name="many" value="count($what)"/>
<assert test="$many = 1">[<name/>] holds <value-of select="$many"/> of $what</assert></rule></pattern>
<pattern is-a="one"><param name="where" value="cda:patient"/><param name="what" value="cda:birthTime"/></pattern>
<pattern><rule abstract="true" id="named"><assert test="cda:name" role="warning">no name</assert></rule>
<rule context="cda:patient"><extends rule="named"/></rule>
<rule context="*[self::cda:patient]"><assert test="false()">a second rule for one node is not looked at</assert></rule>
<rule context="cda:languageCode"><report test="not(@code = 'fr-FR')">not French</report></rule></pattern>
</schema>"""
AUTHOR = """<pattern xmlns="http://purl.oclc.org/dsdl/schematron"><rule context="cda:ClinicalDocument">
<assert test="matches(cda:author[1]/cda:assignedAuthor/cda:id/@extension, '^8[0-9]{11}$')">an author has a national
 identifier</assert>
</rule></pattern>"""


@pytest.fixture
def rules(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "author.sch").write_text(AUTHOR)
    (tmp_path / "types.xml").write_text('<types><type code="11490-0"/></types>')
    (tmp_path / "cda.xsd").write_text(XSD)
    (tmp_path / "cda.sch").write_text(SCHEMATRON)
    return tmp_path / "cda.xsd", tmp_path / "cda.sch"


def test_a_letter_that_follows_schema_and_schematron_is_valid(rules: tuple[Path, Path]) -> None:
    verdict = Rules(*rules).check(LETTER)
    assert verdict.findings == ()
    assert verdict.valid
    assert verdict.checked == ("reading", "xsd", "schematron")


def test_what_breaks_the_schema_is_told_with_its_line(rules: tuple[Path, Path]) -> None:
    [found] = Rules(rules[0]).check(LETTER.replace(b'<realmCode code="FR"', b'<realmCode code="BE"')).findings
    assert (found.source, found.level) == ("xsd", "error")
    assert found.place.startswith("line ")
    assert "realmCode" in found.message


def test_each_assertion_that_fails_is_told_with_its_place_and_its_values(rules: tuple[Path, Path]) -> None:
    broken = LETTER.replace(b'code="11490-0"', b'code="34105-7"', 1).replace(b"899700300026", b"12")
    broken = broken.replace(b'<birthTime value="19500312" />', b"").replace(b'"fr-FR"', b'"en-GB"')
    verdict = Rules(None, rules[1]).check(broken)
    assert not verdict.valid
    assert {one.message for one in verdict.findings} == {
        "an author has a national identifier",
        "The type 34105-7 is not of the table",
        "[patient] holds 0 of cda:birthTime",
        "not French",
    }
    assert any("ClinicalDocument" in one.place and "patient" in one.place for one in verdict.findings)


def test_a_rule_that_only_warns_leaves_the_document_valid(rules: tuple[Path, Path]) -> None:
    start, stop = LETTER.index(b"<patient "), LETTER.index(b"<administrativeGenderCode")
    opened = LETTER[start : LETTER.index(b">", start) + 1]
    verdict = Rules(None, rules[1]).check(LETTER[:start] + opened + LETTER[stop:])
    assert [(one.level, one.message) for one in verdict.findings] == [("warning", "no name")]
    assert verdict.valid


def test_a_stylesheet_made_of_a_schematron_is_run_as_it_is(tmp_path: Path) -> None:
    made = tmp_path / "made.xsl"
    made.write_text(
        '<xsl:stylesheet version="2.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" '
        'xmlns:svrl="http://purl.oclc.org/dsdl/svrl" xmlns:cda="urn:hl7-org:v3"><xsl:template match="/">'
        '<svrl:schematron-output><svrl:failed-assert location="/"><svrl:text>'
        '<xsl:value-of select="count(//cda:section)"/> sections</svrl:text></svrl:failed-assert>'
        "</svrl:schematron-output></xsl:template></xsl:stylesheet>"
    )
    [found] = Rules(None, made).check(LETTER).findings
    assert found.message.endswith("sections")
    assert found.message[0].isdigit()


def test_a_document_that_our_readers_refuse_goes_to_no_other_rule(rules: tuple[Path, Path]) -> None:
    verdict = Rules(*rules).check((CDA / "refuse-doctype.xml").read_bytes())
    assert verdict.checked == ("reading",)
    assert [one.place for one in verdict.findings] == ["xml-doctype"]


INTO_ITSELF = '<schema xmlns="http://purl.oclc.org/dsdl/schematron"><include href="cda.sch"/></schema>'


@pytest.mark.parametrize("text", ["not XML", "<other/>", INTO_ITSELF])
def test_rules_that_cannot_be_used_are_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "cda.sch").write_text(text)
    with pytest.raises(RulesUnusable):
        Rules(None, tmp_path / "cda.sch").check(LETTER)


def test_a_schema_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RulesUnusable, match=r"none\.xsd"):
        Rules(tmp_path / "none.xsd")


def test_a_fhir_document_is_held_to_the_models_of_its_resources() -> None:
    good = Rules().check((CDA / "fhir-ordonnance.json").read_bytes())
    assert good.checked == ("reading", "fhir")
    assert good.findings == ()
    odd = Rules().check((CDA / "fhir-etranger.json").read_bytes())
    assert not odd.valid
    assert any("entry" in one.place for one in odd.findings)
