"""What an entry shows, of what a card has; and to which words of a client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ldap3
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from directory.ldap import schema
from directory.ldap.entries import Tree, entry_of
from directory.ldap.selection import Selection
from directory.model import Card
from tests.directory.ldap.listed import PEOPLE, person

ZOE = "(mail=zoe.martin@hopital.mssante.fr)"


async def shown(door: Any, what: str, *attributes: str, **more: Any) -> dict[str, list[bytes]]:
    caller = await door.call()
    entries, _ = await caller.look(what, attributes=attributes, **more)
    await caller.close()
    return entries[0].attributes


async def test_a_persons_entry_is_what_address_books_read(door: Any) -> None:
    found = await shown(door, ZOE)
    texts = {kind: [value.decode() for value in values] for kind, values in found.items() if ";" not in kind}
    assert texts == {
        "objectClass": ["top", "person", "organizationalPerson", "inetOrgPerson", "vaguemestreMailbox"],
        "cn": ["Zoé MARTIN"],
        "sn": ["Martin"],
        "givenName": ["Zoé"],
        "displayName": ["Dr Zoé MARTIN"],
        "personalTitle": ["Dr"],
        "title": ["Médecin, Cardiologie et maladies vasculaires"],
        "businessCategory": ["Médecin", "Cardiologie et maladies vasculaires"],
        "o": ["Hôpital de la Croix-Bleue"],
        "l": ["Lyon"],
        "st": ["69"],
        "street": ["1 rue des Lilas"],
        "postalCode": ["69003"],
        "postalAddress": ["1 rue des Lilas$69003 Lyon"],
        "c": ["FR"],
        "co": ["France"],
        "mail": ["zoe.martin@hopital.mssante.fr"],
        "uid": ["zoe.martin@hopital.mssante.fr"],
        "employeeNumber": ["810000000001"],
        "vaguemestreKind": ["PER"],
        "vaguemestreProfession": ["10"],
        "vaguemestreSpeciality": ["SM04"],
        "vaguemestreOrganisation": ["1690000001"],
        "vaguemestreCapability": ["profile=openpgp-v4-seipd1", "size=25000000", "payload=ihe-xdm"],
    }
    assert set(found) - set(texts) == {"userCertificate;binary", "userSMIMECertificate;binary"}


async def test_an_organisations_mailbox_has_its_service_for_a_name(door: Any) -> None:
    found = await shown(
        door, "(mail=cardiologie@*)", "cn", "sn", "ou", "o", "description", "givenName", "employeeNumber"
    )
    assert {kind: values[0].decode() for kind, values in found.items()} == {
        "cn": "Service de cardiologie",
        "sn": "Service de cardiologie",
        "ou": "Service de cardiologie",
        "o": "Hôpital de la Croix-Bleue",
        "description": "Rendez-vous et avis",
    }


@pytest.mark.parametrize("asked", ["usercertificate;binary", "userCertificate", "2.5.4.36;binary"])
async def test_a_certificate_is_given_as_it_is_issued(
    door: Any, asked: str, pair: tuple[Path, bytes]
) -> None:
    assert await shown(door, ZOE, asked) == {"userCertificate;binary": [pair[1]]}


async def test_outlooks_certificate_lies_in_pkcs7(door: Any, pair: tuple[Path, bytes]) -> None:
    found = await shown(door, ZOE, "userSMIMECertificate;binary")
    (bundle,) = found["userSMIMECertificate;binary"]
    (read,) = pkcs7.load_der_pkcs7_certificates(bundle)
    assert read.public_bytes(serialization.Encoding.DER) == pair[1]


async def test_who_has_no_certificate_has_no_such_attribute(door: Any) -> None:
    assert await shown(door, "(mail=marie.*)", "userCertificate;binary", "userSMIMECertificate", "mail") == {
        "mail": [b"marie.martin@cabinet.mssante.fr"]
    }


@pytest.mark.parametrize(
    ("asked", "kinds"),
    [
        (("1.1",), set()),
        (("1.1", "sn"), {"sn"}),
        (("surname", "2.5.4.42", "CN"), {"sn", "givenName", "cn"}),
        (("name",), {"cn", "sn", "givenName", "title", "o", "l"}),
        (("favouriteColour", "telephoneNumber", "cn;lang-fr", "userCertificate;lang-fr"), set()),
        (
            ("+",),
            {"modifyTimestamp", "subschemaSubentry", "hasSubordinates", "structuralObjectClass", "entryDN"},
        ),
        (("sn", "modifyTimestamp"), {"sn", "modifyTimestamp"}),
    ],
)
async def test_what_is_asked_for_is_shown_by_its_own_name(
    door: Any, asked: tuple[str, ...], kinds: set[str]
) -> None:
    assert set(await shown(door, ZOE, *asked)) == kinds


async def test_everything_is_user_attributes_alone(door: Any) -> None:
    assert "modifyTimestamp" not in await shown(door, ZOE, "*")
    assert "modifyTimestamp" in await shown(door, ZOE, "*", "+")


async def test_types_alone_come_without_values(door: Any) -> None:
    assert await shown(door, ZOE, "sn", "cn", types_only=True) == {"sn": [], "cn": []}


async def test_the_root_tells_what_the_server_can(door: Any) -> None:
    assert set(await shown(door, "(objectClass=*)", base="", scope=0)) == {"objectClass"}
    found = await shown(door, "(objectClass=*)", "+", base="", scope=0)
    assert found["namingContexts"] == [b"dc=mssante,dc=fr"]
    assert found["supportedLDAPVersion"] == [b"3"]
    assert found["subschemaSubentry"] == [b"cn=subschema"]
    assert found["vendorName"] == [b"Vaguemestre"]
    assert found["supportedControl"] == [b"1.2.840.113556.1.4.319"]
    assert found["supportedExtension"] == [
        *(b"1.3.6.1.4.1.1466.20037", b"1.3.6.1.4.1.4203.1.11.3", b"1.3.6.1.1.8"),
    ]
    assert found["supportedFeatures"] == [b"1.3.6.1.4.1.4203.1.5.1", b"1.3.6.1.4.1.4203.1.5.3"]


async def test_the_schema_describes_what_is_shown(door: Any) -> None:
    caller = await door.call()
    entries, _ = await caller.look("(objectClass=subschema)", base="cn=subschema", scope=0, attributes=("+",))
    told = entries[0]
    read = ldap3.SchemaInfo(
        "cn=subschema",
        {kind: told.texts(kind) for kind in told.attributes},
        {kind: [] for kind in told.attributes},
    )
    known = {name.lower() for each in read.attribute_types.values() for name in each.name}
    everything = await shown(door, ZOE, "*", "+")
    assert {kind.removesuffix(";binary").lower() for kind in everything} <= known
    for name in ("inetOrgPerson", "vaguemestreMailbox", "organizationalUnit", "subschema"):
        described = read.object_classes[name]
        assert {one.lower() for one in (*described.must_contain, *described.may_contain)} <= known


@pytest.mark.parametrize("card", [card for card in PEOPLE if card.kind])
def test_every_attribute_of_an_entry_is_in_the_schema(card: Card) -> None:
    entry = entry_of(card, Tree.at("dc=mssante,dc=fr"), lambda _: (), lambda _: None)
    assert all(schema.attribute(kind) is not None for kind in (*entry.values, *entry.later))
    assert all(all(values) for values in entry.values.values())


def test_signs_that_part_lines_are_kept_apart_in_addresses() -> None:
    card = person(1, "Zoé", "Martin", street="rue $ \\ 3")
    entry = entry_of(card, Tree.at("dc=x"), lambda _: (), lambda _: None)
    (postal,) = dict(Selection(("postalAddress",)).shown(entry))["postalAddress"]
    assert postal == b"rue \\24 \\5C 3$69003 Lyon"
