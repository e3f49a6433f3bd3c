# ruff: noqa: E501  (marks and sentences of documents, as they are)
"""Documents as others write them, by hand: prefixes, odd encodings, wrong types, missing parts; and what is refused."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Final

_INS: Final = '<id extension="250033523804241" root="1.2.250.1.213.1.4.10"/>'
_HEAD: Final = """<realmCode code="FR"/><typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
<templateId root="2.16.840.1.113883.2.8.2.1"/><templateId root="1.2.250.1.213.1.1.1.1"/>
<templateId root="1.2.250.1.213.1.1.1.55" extension="2022.01"/>
<id root="1.2.250.1.999.2" extension="{n}"/>
<code code="{code}" codeSystem="2.16.840.1.113883.6.1" displayName="{title}"/><title>{title}</title>
<effectiveTime value="20260910113000.000+0200"/>
<confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25" displayName="Normal"/><languageCode code="fr-FR"/>
<setId root="1.2.250.1.999.2.1" extension="{n}"/><versionNumber value="1"/>
<recordTarget><patientRole>{ins}<id root="1.2.250.1.999.3" extension="IPP 4411"/><addr><city>RENNES</city></addr>
<patient><name><given>JEANNE MARIE</given><given qualifier="BR">JEANNE</given><family qualifier="SP">LE BIHAN</family>
<family qualifier="BR">MORVAN</family></name><administrativeGenderCode code="F" codeSystem="2.16.840.1.113883.5.1"/>
<birthTime value="19500312"/><birthplace><place><addr><county>35238</county></addr></place></birthplace></patient>
</patientRole></recordTarget>
<author><functionCode code="PCP" displayName="Médecin traitant" codeSystem="2.16.840.1.113883.5.88"/>
<time value="20260910"/><assignedAuthor><id root="1.2.3.4" extension="local"/>
<id root="1.2.250.1.71.4.2.1" extension="899700300018"/>
<assignedPerson><name><prefix>DR</prefix><given>Claire</given><family>MARTIN</family></name></assignedPerson>
<representedOrganization><id root="1.2.250.1.71.4.2.2" extension="499700300018001"/><name>Cabinet des Tilleuls</name>
</representedOrganization></assignedAuthor></author>
<author><time value="20260910"/><assignedAuthor><id nullFlavor="NI"/><assignedAuthoringDevice>
<softwareName>Logiciel Pluvier 4</softwareName></assignedAuthoringDevice></assignedAuthor></author>
<custodian><assignedCustodian><representedCustodianOrganization><id root="1.2.250.1.71.4.2.2" extension="35000"/>
<name>Cabinet des Tilleuls</name></representedCustodianOrganization></assignedCustodian></custodian>
<participant typeCode="IND"><associatedEntity classCode="ECON"><code code="DAU" displayName="Fille"/>
<telecom value="tel:0600000000"/><associatedPerson><name><given>Anne</given><family>LE BIHAN</family></name>
</associatedPerson></associatedEntity></participant>
<documentationOf><serviceEvent><code code="{code}"/><effectiveTime><low value="20260910"/></effectiveTime></serviceEvent>
</documentationOf>""".replace("{ins}", _INS)

_BLOOD: Final = """<component><section><templateId root="1.3.6.1.4.1.19376.1.3.3.2.1"/>
<code code="18719-5" codeSystem="2.16.840.1.113883.6.1"/><title>Biochimie</title>
<component><section><code code="1920-8"/><title>Enzymes</title>
<text><table><tbody><tr ID="asat"><td>ASAT</td><td>48 UI/L</td></tr></tbody></table></text>
<entry><templateId root="1.3.6.1.4.1.19376.1.3.1"/><act classCode="ACT" moodCode="EVN"><code code="26436-6"/>
<statusCode code="completed"/>
<entryRelationship typeCode="COMP"><procedure classCode="PROC" moodCode="EVN">
<templateId root="1.3.6.1.4.1.19376.1.3.1.2"/><code code="33882-2"/><effectiveTime value="202609100730"/>
<participant typeCode="PRD"><participantRole classCode="SPEC"><playingEntity><code code="119364003"
displayName="Sérum"/></playingEntity></participantRole></participant></procedure></entryRelationship>
<entryRelationship typeCode="COMP"><organizer classCode="BATTERY" moodCode="EVN"><effectiveTime value="20260910"/>
%s</organizer></entryRelationship></act></entry></section></component></section></component>"""


def _observed(code: str, name: str, value: str, rest: str = "") -> str:
    return (
        '<component><observation classCode="OBS" moodCode="EVN"><templateId root="1.3.6.1.4.1.19376.1.3.1.6"/>'
        f'<code code="{code}" codeSystem="2.16.840.1.113883.6.1" displayName="{name}"/>'
        f'<text><reference value="#asat"/></text>{value}{rest}</observation></component>'
    )


def _range(inner: str, kind: str = "IVL_PQ") -> str:
    return f'<referenceRange><observationRange><value xsi:type="{kind}">{inner}</value></observationRange></referenceRange>'


_VALUES: Final = "".join(
    (
        _observed(
            "1920-8",
            "ASAT",
            '<value xsi:type="PQ" value="48" unit="U/L"/><interpretationCode code="H"/>',
            '<entryRelationship typeCode="REFR"><observation classCode="OBS" moodCode="EVN">'
            '<code code="1920-8" displayName="ASAT"/><effectiveTime value="20250101"/>'
            '<value xsi:type="PQ" value="31" unit="U/L"/></observation></entryRelationship>'
            '<entryRelationship typeCode="SUBJ"><act classCode="ACT" moodCode="EVN"><code code="48767-8"/>'
            "<text>Sérum légèrement hémolysé</text></act></entryRelationship>"
            + _range('<low value="5" unit="U/L"/><high value="34" unit="U/L"/>'),
        ),
        # No flag: it is told by the bounds, in the same unit only.
        _observed(
            "2823-3",
            "Potassium",
            '<value xsi:type="PQ" value="5.9" unit="mmol/L"/>',
            _range('<low value="3.5" unit="mmol/L"/><high value="5.1" unit="mmol/L"/>'),
        ),
        _observed(
            "2951-2",
            "Sodium",
            '<value xsi:type="PQ" value="3.2" unit="g/L"/>',
            _range('<low value="136" unit="mmol/L"/><high value="145" unit="mmol/L"/>'),
        ),
        # A number as a text with a comma, and a type that is not the value's.
        _observed(
            "14647-2", "Cholestérol", '<value xsi:type="ST">5,32</value>', _range('<high value="5.2"/>')
        ),
        _observed("2160-0", "Créatinine", '<value xsi:type="CD" value="82" unit="umol/L"/>'),
        _observed("2157-6", "CPK", '<value value="210" unit="U/L"/>'),
        _observed(
            "2039-6",
            "ACE",
            '<value xsi:type="IVL_PQ"><high value="0.5" unit="ug/L" inclusive="false"/></value>',
        ),
        _observed(
            "5130-4",
            "Anticorps anti-ADN",
            '<value xsi:type="RTO_PQ_PQ"><numerator value="1"/><denominator value="80"/></value>',
        ),
        _observed("882-1", "Groupe", '<value xsi:type="CD" code="A" displayName="A Rhésus positif"/>'),
        _observed("32167-9", "Clarté", '<value xsi:type="CE"><originalText>trouble</originalText></value>'),
        _observed("5195-3", "Antigène HBs", '<value xsi:type="BL" value="false"/>'),
        _observed("8665-2", "Dernières règles", '<value xsi:type="TS" value="20260901"/>'),
        _observed("1-1", "Immense", f'<value xsi:type="PQ" value="{"9" * 20}e999" unit="1"/>'),
        _observed("1-2", "Très long", f'<value xsi:type="PQ" value="{"1" * 400}" unit="mmol/L"/>'),
        _observed("1-3", "Sans valeur", '<value xsi:type="PQ" nullFlavor="NASK"/>'),
        _observed("1-4", "Pas un nombre", '<value xsi:type="PQ" value="NaN" unit="mmol/L"/>'),
    )
)

_TREATMENTS: Final = """<component><section><code code="10160-0"/><title>Traitements</title>
<text><list><item><content ID="t1">DOLIPRANE si douleur</content></item><item><content ID="t2">LEVOTHYROX</content></item>
</list></text>
<entry><substanceAdministration classCode="SBADM" moodCode="INT"><templateId root="1.3.6.1.4.1.19376.1.5.3.1.4.7"/>
<statusCode code="completed"/><effectiveTime xsi:type="IVL_TS"><low value="20260901"/><high value="20260930"/>
</effectiveTime><effectiveTime xsi:type="PIVL_TS" operator="A"><period value="8" unit="h"/></effectiveTime>
<routeCode code="PO" displayName="Voie orale"/><doseQuantity><low value="1" unit="{comprimé}"/>
<high value="2" unit="{comprimé}"/></doseQuantity><consumable><manufacturedProduct><manufacturedMaterial>
<code code="N02BE01" codeSystem="2.16.840.1.113883.6.73" displayName="Paracétamol"/>
<name>DOLIPRANE 1000 mg, comprimé</name></manufacturedMaterial></manufacturedProduct></consumable>
<entryRelationship typeCode="SUBJ"><act classCode="ACT" moodCode="INT"><text>sans dépasser 3 g par jour</text></act>
</entryRelationship></substanceAdministration></entry>
<entry><substanceAdministration classCode="SBADM" moodCode="EVN"><text><reference value="#t2"/></text>
<statusCode code="active"/><effectiveTime xsi:type="SXPR_TS"><comp xsi:type="IVL_TS"><low value="2011"/></comp>
<comp xsi:type="EIVL_TS"><event code="ACM"/></comp><comp xsi:type="PIVL_TS"><period value="1" unit="d"/></comp>
</effectiveTime><doseQuantity value="75" unit="ug"/><consumable><manufacturedProduct><manufacturedMaterial>
<code nullFlavor="UNK"><originalText><reference value="#t2"/></originalText><translation code="H03AA01"
codeSystem="2.16.840.1.113883.6.73" displayName="Lévothyroxine"/></code></manufacturedMaterial></manufacturedProduct>
</consumable></substanceAdministration></entry>
<entry><substanceAdministration classCode="SBADM" moodCode="EVN"><statusCode code="aborted"/>
<effectiveTime xsi:type="PIVL_TS"><period value="2" unit="wk"/></effectiveTime><consumable><manufacturedProduct>
<manufacturedMaterial><name>MÉTHOTREXATE</name></manufacturedMaterial></manufacturedProduct></consumable>
</substanceAdministration></entry>
<entry><supply classCode="SPLY" moodCode="EVN"><templateId root="1.3.6.1.4.1.19376.1.9.1.3.4"/>
<effectiveTime value="20260905"/><quantity value="2" unit="{boîte}"/><product><manufacturedProduct>
<manufacturedMaterial><name>DOLIPRANE 1000 mg</name></manufacturedMaterial></manufacturedProduct></product></supply>
</entry></section></component>"""

_PEOPLE: Final = """<component><section><code code="10157-6"/><title>Antécédents familiaux</title>
<entry><organizer classCode="CLUSTER" moodCode="EVN"><templateId root="1.3.6.1.4.1.19376.1.5.3.1.4.15"/>
<subject><relatedSubject classCode="PRS"><code code="MTH" displayName="Mère"/></relatedSubject></subject>
<component><observation classCode="OBS" moodCode="EVN"><templateId root="1.3.6.1.4.1.19376.1.5.3.1.4.13.3"/>
<code code="ASSERTION"/><value xsi:type="CD" code="C50" displayName="Cancer du sein"/></observation></component>
</organizer></entry></section></component>
<component><section><code code="29762-2"/><title>Habitudes</title><entry><observation classCode="OBS" moodCode="EVN">
<templateId root="1.3.6.1.4.1.19376.1.5.3.1.4.13.4"/><code code="229819007" displayName="Tabac"/>
<effectiveTime><low value="1970"/><high value="1998"/></effectiveTime>
<value xsi:type="PQ" value="20" unit="{paquets-années}"/></observation></entry></section></component>
<component><section><code code="48765-2"/><title>Allergies</title><entry><act classCode="ACT" moodCode="EVN">
<templateId root="1.3.6.1.4.1.19376.1.5.3.1.4.5.3"/><statusCode code="active"/><effectiveTime><low value="1974"/>
</effectiveTime><entryRelationship typeCode="SUBJ"><observation classCode="OBS" moodCode="EVN">
<templateId root="1.3.6.1.4.1.19376.1.5.3.1.4.6"/><code code="ALG"/><value xsi:type="CD" code="419199007"
displayName="Allergie à une substance"/><participant typeCode="CSM"><participantRole><playingEntity>
<code code="111088007" displayName="Latex"/><name>gants en latex</name></playingEntity></participantRole></participant>
<entryRelationship typeCode="MFST"><observation classCode="OBS" moodCode="EVN"><value xsi:type="CD" code="39579001"
displayName="Choc anaphylactique"/></observation></entryRelationship><entryRelationship typeCode="SUBJ">
<observation classCode="OBS" moodCode="EVN"><code code="SEV"/><value xsi:type="CD" code="H" displayName="Élevée"/>
</observation></entryRelationship></observation></entryRelationship></act></entry></section></component>
<component><section><code code="11369-6"/><title>Vaccins</title><entry>
<substanceAdministration classCode="SBADM" moodCode="EVN"><templateId root="1.3.6.1.4.1.19376.1.5.3.1.4.12"/>
<statusCode code="completed"/><effectiveTime value="20260110"/><approachSiteCode displayName="Bras gauche"/>
<doseQuantity value="0.5" unit="mL"/><consumable><manufacturedProduct><manufacturedMaterial>
<code code="J07AL02" displayName="Pneumocoque"/><name>PREVENAR 20</name><lotNumberText>LK77</lotNumberText>
</manufacturedMaterial><manufacturerOrganization><name>Maison inventée</name></manufacturerOrganization>
</manufacturedProduct></consumable><entryRelationship typeCode="SUBJ"><observation classCode="OBS" moodCode="EVN">
<code code="30973-2"/><value xsi:type="INT" value="1"/></observation></entryRelationship></substanceAdministration>
</entry></section></component>
<component><section><code code="46264-8"/><title>Dispositifs</title><entry>
<procedure classCode="PROC" moodCode="EVN"><code code="NEKA020" displayName="Prothèse de hanche"/>
<effectiveTime value="20190305"/><participant typeCode="DEV"><participantRole classCode="MANU">
<id root="1.2.250.1.999" extension="SN-9"/><playingDevice><manufacturerModelName>Cotyle B</manufacturerModelName>
</playingDevice><scopingEntity><desc>Maison inventée</desc></scopingEntity></participantRole></participant></procedure>
</entry></section></component>
<component><section><code code="18776-5"/><title>À venir</title><entry><encounter classCode="ENC" moodCode="APT">
<code code="185389009" displayName="Consultation de suivi"/><effectiveTime value="20261210093000+0100"/></encounter>
</entry><entry><act classCode="ACT" moodCode="RQO"><code code="310861008" displayName="Kinésithérapie"/></act></entry>
</section></component>"""

_WORDS: Final = """<component><section><title>Mise  en
 forme</title><text>Texte nu, <content styleCode="Bold">gras <content styleCode="Italics">et italique</content></content>
<br/>puis H<sub>2</sub>O et m<sup>2</sup>.<paragraph><caption>Légende</caption> <linkHtml href="javascript:alert(1)">un
lien</linkHtml> &lt;script&gt;alert(1)&lt;/script&gt;</paragraph><![CDATA[<b>CDATA & autre</b>]]>
<list listType="ordered"><caption>Liste</caption><item>un<list><item>un et demi</item></list></item><item>deux</item>
<item> </item></list>
<table border="1"><caption>Tableau</caption><colgroup><col width="20%%"/></colgroup>
<thead><tr><th colspan="2">Deux</th><th rowspan="2">Haut</th></tr><tr><th>a</th><th>b</th></tr></thead>
<tfoot><tr><td>pied</td></tr></tfoot>
<tbody><tr><td styleCode="Bold">1<br/>2</td><td><list><item>x</item><item>y</item></list></td><td colspan="9999">
<paragraph>p1</paragraph><paragraph>p2</paragraph></td></tr><tr><td><table><tbody><tr><td>in</td><td>terne</td></tr>
</tbody></table></td><td/><td><renderMultiMedia referencedObject="IMG"/></td></tr></tbody></table>
<script>alert(1)</script><footnote>Note de bas de page</footnote></text>
<entry><observationMedia classCode="OBS" moodCode="EVN" ID="IMG"><value mediaType="image/png" representation="B64">
iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==</value>
</observationMedia></entry>
<entry><observationMedia classCode="OBS" moodCode="EVN" ID="BAD"><value mediaType="image/png" representation="B64">
PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+</value></observationMedia></entry>
<component><section><code code="1"/><title>Dessous</title><text><div xmlns="http://www.w3.org/1999/xhtml"><p>En
XHTML <b>gras</b></p><ul><li>puce</li></ul></div></text></section></component></section></component>"""


def _document(n: str, code: str, title: str, body: str, head: str = _HEAD, prefix: str = "") -> str:
    told = head.replace("{n}", n).replace("{code}", code).replace("{title}", title)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<?xml-stylesheet type="text/xsl" href="cda.xsl"?>\n'
        f'<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        f"{told}{body}</ClinicalDocument>"
    )


def _structured(inner: str) -> str:
    return f"<component><structuredBody>{inner}</structuredBody></component>"


def _deep(levels: int) -> str:
    cell = "fond"
    for _ in range(levels):
        cell = f"<table><tbody><tr><td>{cell}</td></tr></tbody></table>"
    return f"<component><section><title>Profond</title><text>{cell}</text></section></component>"


def documents() -> Iterator[tuple[str, bytes]]:
    """Names and octets."""
    yield from _read()
    yield from _refused()


def _read() -> Iterator[tuple[str, bytes]]:
    blood = _structured(_BLOOD % _VALUES)
    plain = _document("F1", "11502-2", "Biologie étrangère", blood)
    yield "etranger-biologie", plain.encode()
    # Every element under a prefix, as some frameworks write; Windows-1252 under the name of Latin-1.
    prefixed = plain.replace("xmlns=", "xmlns:n1=").replace("UTF-8", "ISO-8859-1")
    prefixed = (
        prefixed.replace("</", "\x00").replace("<", "<n1:").replace("\x00", "</n1:").replace("<n1:?", "<?")
    )
    yield "etranger-prefixe", prefixed.replace("Créatinine", "Créatinine – œ").encode("cp1252")
    yield "etranger-utf16", plain.replace("UTF-8", "UTF-16").encode("utf-16")
    yield "etranger-sans-espace", plain.replace('xmlns="urn:hl7-org:v3" ', "").encode()
    yield "etranger-traitements", _document("F2", "60591-5", "Traitements", _structured(_TREATMENTS)).encode()
    yield "etranger-donnees", _document("F3", "60591-5", "Données sans texte", _structured(_PEOPLE)).encode()
    yield "etranger-mise-en-forme", _document("F4", "11488-4", "Mise en forme", _structured(_WORDS)).encode()
    yield "etranger-profond", _document("F5", "11488-4", "Tableaux profonds", _structured(_deep(15))).encode()
    nobody = _HEAD[: _HEAD.index("<recordTarget>")] + _HEAD[_HEAD.index("<author>") :]
    yield (
        "etranger-sans-patient",
        _document("F6", "11488-4", "Sans patient", _structured(_deep(1)), nobody).encode(),
    )
    bare = (
        '<ClinicalDocument xmlns="urn:hl7-org:v3"><component><structuredBody><component><section><text>Rien '
        "d'autre.</text></section></component></structuredBody></component></ClinicalDocument>"
    )
    yield "etranger-nu", bare.encode()
    dates = _HEAD.replace("20260910113000.000+0200", "20261345").replace("19500312", "195003")
    yield "etranger-dates", _document("F7", "11488-4", "Dates", _structured(_deep(1)), dates).encode()
    copy = base64.b64encode(b"%PDF-1.4 copie").decode()
    media = (
        '<component><section><code code="55108-5"/><title>Copie</title><text>Voir la copie.</text><entry>'
        f'<observationMedia classCode="OBS" moodCode="EVN"><value mediaType="application/pdf" representation="B64">{copy}'
        "</value></observationMedia></entry></section></component>"
    )
    yield "etranger-copie", _document("F8", "11502-2", "Avec copie", _structured(media)).encode()
    spaced = "\n".join(copy[at : at + 8] for at in range(0, len(copy), 8))
    wrapped = f'<component><nonXMLBody><text mediaType="application/pdf" representation="B64">\n{spaced}\n</text></nonXMLBody></component>'
    yield "etranger-n1", _document("F9", "34112-3", "Corps en lignes", wrapped).encode()
    text = '<component><nonXMLBody><text mediaType="text/plain">Texte tel quel &amp; court.</text></nonXMLBody></component>'
    yield "etranger-n1-texte", _document("F10", "34112-3", "Texte tel quel", text).encode()


def _refused() -> Iterator[tuple[str, bytes]]:
    body = _structured(_deep(1))
    whole = _document("R1", "11488-4", "Refusé", body)
    target = _HEAD[_HEAD.index("<recordTarget>") : _HEAD.index("<author>")]
    yield (
        "refuse-deux-patients",
        _document("R2", "11488-4", "Deux", body, _HEAD.replace(target, target * 2)).encode(),
    )
    yield "refuse-sans-corps", _document("R3", "11488-4", "Sans corps", "").encode()
    yield (
        "refuse-doctype",
        whole.replace("<ClinicalDocument", "<!DOCTYPE ClinicalDocument>\n<ClinicalDocument", 1).encode(),
    )
    yield "refuse-coupe", whole[:-40].encode()
    yield "refuse-autre", b'<feed xmlns="http://www.w3.org/2005/Atom"><title>Rien</title></feed>'
    broken = '<component><nonXMLBody><text mediaType="application/pdf" representation="B64">JVBE*</text></nonXMLBody></component>'
    yield "refuse-base64", _document("R4", "34112-3", "Corps abîmé", broken).encode()
    program = broken.replace("application/pdf", "application/x-msdownload")
    yield "refuse-type", _document("R5", "34112-3", "Programme", program).encode()
    yield "refuse-trop-profond", _document("R6", "11488-4", "Sans fond", _structured(_deep(40))).encode()
