"""What a search finds, and what it never shows."""

from __future__ import annotations

from typing import Any

import pytest

from directory.ldap.protocol.controls import Page
from directory.listings.interface import Results
from tests.directory.ldap.asking import BASE
from tests.directory.ldap.listed import person

ZOE = "uid=zoe.martin@hopital.mssante.fr,ou=people,dc=mssante,dc=fr"


async def names_of(door: Any, what: str, **more: Any) -> list[str]:
    caller = await door.call()
    entries, _ = await caller.look(what, attributes=("mail",), **more)
    await caller.close()
    return [entry.texts("mail")[0].split("@")[0] for entry in entries]


@pytest.mark.parametrize(
    ("what", "found"),
    [
        ("(sn=martin)", ["zoe.martin", "marie.martin"]),
        ("(sn=MARTIN)", ["zoe.martin", "marie.martin"]),
        ("(surname=Martin)", ["zoe.martin", "marie.martin"]),
        ("(2.5.4.4=Martin)", ["zoe.martin", "marie.martin"]),
        ("(givenName=zoe)", ["zoe.martin"]),
        ("(givenName=Jerome)", ["jerome.coeur"]),
        ("(sn=coeur)", ["jerome.coeur"]),
        ("(cn=*dupont*)", ["jean.dupont", "jean-pierre.dupont-martin"]),
        ("(cn=jean dup*)", ["jean.dupont"]),
        ("(cn=*pierre*martin)", ["jean-pierre.dupont-martin"]),
        ("(mail=zoe.martin@hopital.mssante.fr)", ["zoe.martin"]),
        ("(mail=ZOE.Martin@hopital.mssante.fr)", ["zoe.martin"]),
        ("(mail=mar*)", ["marie.martin"]),
        ("(mail=*cabinet*)", ["marie.martin", "cabinet.lilas"]),
        ("(uid=marie.martin@cabinet.mssante.fr)", ["marie.martin"]),
        ("(&(l=st etienne)(sn=c*))", ["jerome.coeur"]),
        ("(l=Saint-Étienne)", ["jerome.coeur"]),
        ("(st=2a)", ["marie.martin"]),
        ("(&(st=Rhône)(sn=martin))", ["zoe.martin"]),
        ("(&(sn=martin)(!(givenName=marie)))", ["zoe.martin"]),
        ("(|(sn=cœur)(givenName=zoé))", ["jerome.coeur", "zoe.martin"]),
        ("(businessCategory=infirmier)", ["jean-pierre.dupont-martin"]),
        ("(title=*cardio*)", ["zoe.martin"]),
        ("(vaguemestreSpeciality=SM04)", ["zoe.martin"]),
        ("(ou=Service de cardiologie)", ["cardiologie"]),
        ("(&(o=hôpital*)(vaguemestreKind=ORG))", ["cardiologie"]),
        ("(employeeNumber=810000000003)", ["jean.dupont"]),
        ("(cn~=Martim)", ["zoe.martin", "jean-pierre.dupont-martin", "marie.martin"]),
        ("(sn:caseIgnoreMatch:=MARTIN)", ["zoe.martin", "marie.martin"]),
        ("(sn:2.5.13.2:=MARTIN)", ["zoe.martin", "marie.martin"]),
        ("(&(sn=martin)(modifyTimestamp>=20231114221325Z))", ["marie.martin"]),
        ("(&(sn=martin)(modifyTimestamp<=20231114221324Z))", ["zoe.martin"]),
        ("(&(sn=martin)(userCertificate=*))", ["zoe.martin"]),
        ("(&(sn=martin)(ou:dn:=people))", ["zoe.martin", "marie.martin"]),
        ("(entryDN=" + ZOE + ")", ["zoe.martin"]),
        ("(name=zoé martin)", ["zoe.martin"]),
        # undefined or empty: nobody
        ("(favouriteColour=blue)", []),
        ("(!(favouriteColour=blue))", []),
        ("(telephoneNumber=04*)", []),
        ("(sn>=m)", []),
        ("(sn:caseExactMatch:=Martin)", []),
        ("(cn=Sansadresse*)", []),
        ("(&(sn=martin)(sn=dupont))", []),
        ("(|)", []),
    ],
)
async def test_a_filter_finds(door: Any, what: str, found: list[str]) -> None:
    assert sorted(await names_of(door, what)) == sorted(found)


async def test_thunderbird_completes_an_address(door: Any) -> None:
    template = "(|(cn=*{0}*)(mail=*{0}*)(givenName=*{0}*)(sn=*{0}*))"
    assert "zoe.martin" in await names_of(door, template.format("zo"))
    assert "jerome.coeur" in await names_of(door, template.format("jérô"))
    # All of it was found by one question.
    assert len(door.listed.asked) == 2


async def test_apple_contacts_gives_no_base(door: Any) -> None:
    what = "(|(givenName=martin*)(sn=martin*)(cn=martin*)(mail=martin*))"
    assert await names_of(door, what, base="") == ["zoe.martin", "marie.martin"]


async def test_outlook_asks_with_presence_around_it(door: Any) -> None:
    what = "(&(mail=*)(|(mail=martin*)(|(cn=martin*)(|(sn=martin*)(givenName=martin*)))))"
    assert await names_of(door, what) == ["zoe.martin", "marie.martin"]


@pytest.mark.parametrize(
    "what",
    [
        "(objectClass=*)",
        "(mail=*)",
        "(&(objectClass=person)(cn=*))",
        "(!(sn=martin))",
        "(&)",
        "(cn=*)",
        "(c=FR)",
    ],
)
async def test_the_whole_directory_is_never_listed(door: Any, what: str) -> None:
    caller = await door.call()
    entries, done = await caller.look(what)
    assert done.code == 11
    assert not [entry for entry in entries if "mail" in entry.attributes]
    await caller.close()


async def test_more_than_may_be_shown_is_said(opening: Any) -> None:
    async with opening(largest_anonymous_answer=2) as door:
        caller = await door.call()
        entries, done = await caller.look("(o=hopital*)")
        assert (len(entries), done.code) == (2, 4)
        entries, done = await caller.look("(o=hopital*)", size=1)
        assert (len(entries), done.code) == (1, 4)
        entries, done = await caller.look("(sn=martin)", size=2)
        assert (len(entries), done.code) == (2, 0)
        await caller.close()


@pytest.mark.parametrize(
    ("base", "scope", "found"),
    [
        (BASE, 0, [BASE]),
        (BASE, 1, ["ou=people," + BASE, "ou=organisations," + BASE]),
        ("DC=MSSante, DC=fr", 0, [BASE]),
        ("ou=people," + BASE, 0, ["ou=people," + BASE]),
        (ZOE, 0, [ZOE]),
        (ZOE.replace("uid=", "mail=").upper(), 0, [ZOE]),
        (ZOE, 2, [ZOE]),
        (ZOE, 1, []),
        ("cn=subschema", 0, ["cn=subschema"]),
        ("", 0, [""]),
    ],
)
async def test_a_name_and_a_scope_find(door: Any, base: str, scope: int, found: list[str]) -> None:
    caller = await door.call()
    entries, done = await caller.look("(objectClass=*)", base=base, scope=scope)
    assert ([entry.name for entry in entries], done.code) == (found, 0)
    await caller.close()


@pytest.mark.parametrize(
    ("base", "matched"),
    [
        ("dc=example,dc=org", ""),
        ("uid=nobody@x.fr,ou=people," + BASE, "ou=people," + BASE),
        ("uid=zoe.martin@hopital.mssante.fr,ou=organisations," + BASE, "ou=organisations," + BASE),
        ("ou=elsewhere," + BASE, BASE),
    ],
)
async def test_what_has_no_such_name_is_said_with_what_has(door: Any, base: str, matched: str) -> None:
    caller = await door.call()
    _, done = await caller.look("(objectClass=*)", base=base, scope=0)
    assert (done.code, done.matched) == (32, matched)
    await caller.close()


async def test_a_base_that_is_no_name_is_refused(door: Any) -> None:
    caller = await door.call()
    _, done = await caller.look("(sn=martin)", base="people")
    assert done.code == 34
    await caller.close()


async def test_each_branch_holds_its_own(door: Any) -> None:
    assert await names_of(door, "(l=lyon)", base="ou=organisations," + BASE) == [
        "cardiologie",
        "cabinet.lilas",
    ]
    people = await names_of(door, "(l=lyon)", base="ou=people," + BASE, scope=1)
    assert "cardiologie" not in people
    assert "zoe.martin" in people


async def test_listings_that_give_up_are_told_as_too_wide(door: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door.listed, "search", lambda _: Results(more=True))
    caller = await door.call()
    entries, done = await caller.look("(sn=martin)")
    assert (entries, done.code) == ([], 11)
    entries, done = await caller.look("(sn=martin)", page=Page(5, b""))
    assert (entries, done.code, done.cookie) == ([], 11, b"")
    await caller.close()


async def test_what_was_found_before_it_got_too_wide_is_shown_as_cut_short(door: Any) -> None:
    """Thunderbird shows nothing of a search that ends as adminLimitExceeded."""
    door.listed.cards = [person(1, "Zoé", "Martin"), *(person(n, "Luc", "Durand") for n in range(100, 5_000))]
    caller = await door.call()
    entries, done = await caller.look("(&(o=hopital*)(!(sn=durand)))")
    assert (len(entries), done.code) == (1, 4)
    await caller.close()
