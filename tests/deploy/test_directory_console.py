"""`vaguemestre directory search` and `show`: what they answer, what they print, how they end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from typer.testing import CliRunner

from deploy.node.cli import app
from deploy.node.clock import now
from deploy.node.composition import Node
from deploy.node.config import load
from deploy.node.console_directory import DirectoryCommands
from deploy.node.control import CommandFailed
from deploy.node.home import Home
from deploy.node.initialise import Wishes, initialise
from directory.certificates.service import DirectoryService
from directory.ldap.entries import Tree, entry_of
from directory.listings import writing
from directory.listings.database import ListingsDatabase
from directory.listings.interface import Query
from directory.listings.service import ListingsService
from directory.model import Coded, Kind, Mailbox, Organisation, Place, Professional, Situation
from tests.directory.smime import own_certificate

DOMAIN = "mss.essai.test"
ZOE = Professional("899700218896", "Dr", "MARTIN", "Zoé", Coded("10", "Médecin"))
LYON = Place(street="1 rue Invent", postcode="69003", commune="Lyon", department="69")
HOSPITAL = Organisation("1690781810", "Hospices inventés", "CHU Inventé", finess="690781810", place=LYON)
ADDRESS = "zoe.martin@ailleurs.mssante.fr"
SECRET = "zoe.rouge@ailleurs.mssante.fr"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("directory")
    wishes = Wishes(
        home=folder / "node",
        config=None,
        domains=(DOMAIN,),
        kek=folder / "kek",
        hostname="localhost",
        sections={"sealing": {"workers": 1}, "store": {"readers": 1}},
    )
    asyncio.run(initialise(wishes))
    place = Home(folder / "node", None)
    database = ListingsDatabase(load(place.config).directory.listings_place(folder / "node"))
    mailboxes = [
        Mailbox(ADDRESS, Kind.PER, (ZOE,), HOSPITAL, Coded("SM04", "Cardiologie"), phone="0400000000"),
        Mailbox(SECRET, Kind.PER, (ZOE,), red_list=True),
        Mailbox(
            "urgences@chu.mssante.fr", Kind.ORG, (), HOSPITAL, service="Urgences", responsible="Ève Caché"
        ),
    ]
    database.write(lambda sql: writing.put_mailboxes(sql, mailboxes, at=1_700_000_000_000))
    situations = [Situation(ZOE, HOSPITAL, Coded("SM04", "Cardiologie"), Coded("S", "Salarié"), LYON)]
    database.write(lambda sql: writing.put_situations(sql, situations, at=1_700_000_000_000))
    database.close()
    return folder / "node"


@pytest.fixture(scope="module")
def commands(home: Path) -> Iterator[DirectoryCommands]:
    """Over the same files as the node's, without the rest of a node."""
    settings = load(Home(home, None).config).directory
    database = ListingsDatabase(settings.listings_place(home))
    service = DirectoryService.open(home / "directory.db")
    node = SimpleNamespace(listings=ListingsService(database, lambda: 0), directory=service)
    yield DirectoryCommands(cast(Node, node), "console:test")
    service.close()
    database.close()


def run(home: Path, *words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["directory", *words, "--home", str(home)])
    assert result.exit_code == code, result.output
    return result.output


def test_a_search_prints_who_where_the_address_and_what_a_word_was_taken_for(home: Path) -> None:
    words = run(home, "search", "zoé", "matrin", "--kind", "per", "--department", "Rhône", "--limit", "3")
    assert "Nobody for matrin; this is for martin." in words
    assert "Name" in words
    assert "Dr Zoé MARTIN" in words
    assert "69003 Lyon" in words
    assert ADDRESS in words


def test_a_machine_reads_json(home: Path) -> None:
    told = json.loads(run(home, "search", "urgences", "--json"))
    assert [card["address"] for card in told["found"]] == ["urgences@chu.mssante.fr"]


def test_nobody_ends_with_code_1_and_one_sentence(home: Path) -> None:
    assert run(home, "search", "quelquun", "dautre", code=1).strip() == "Nobody is found."


def test_what_says_no_more_than_its_address_is_named_by_it_as_in_an_address_book(home: Path) -> None:
    robot = Mailbox("robot.labo@chu.mssante.fr", Kind.APP)
    database = ListingsDatabase(load(Home(home, None).config).directory.listings_place(home))
    database.write(lambda sql: writing.put_mailboxes(sql, [robot], at=1_700_000_000_000))
    try:
        (found,) = json.loads(run(home, "search", robot.address, "--json"))["found"]
        assert found["name"] == robot.address
        (card,) = ListingsService(database, lambda: 0).search(Query(robot.address)).cards
        shown = entry_of(card, Tree.at("dc=mssante,dc=fr"), lambda _: (), lambda _: None).values
        assert (shown["displayName"], shown["cn"]) == ((robot.address,), (robot.address,))
    finally:
        database.write(lambda sql: writing.remove_mailboxes(sql, [robot.address], at=1_700_000_000_001))
        database.close()


def test_a_department_that_is_none_is_told_as_such(home: Path) -> None:
    assert "No department is '999'" in run(home, "search", "zoe", "--department", "999", code=1)


def test_all_that_is_shown_is_printed_and_nothing_private(home: Path) -> None:
    assert "CHU Inventé" in run(home, "show", ADDRESS)
    words = run(home, "show", ZOE.national_id)
    assert "Salarié" in words
    assert SECRET not in words
    words = run(home, "show", HOSPITAL.national_id)
    assert "urgences@chu.mssante.fr" in words
    assert "Caché" not in words


async def test_a_search_is_narrowed_by_kind_profession_and_department(commands: DirectoryCommands) -> None:
    [card] = (await commands.directory_search("inventé", ["org"], department="rhône"))["found"]
    assert card["address"] == "urgences@chu.mssante.fr"
    [card] = (await commands.directory_search("zoe", ["PER"], profession="10", limit=1))["found"]
    assert card["national_id"] == ZOE.national_id
    assert (await commands.directory_search("zoe", department="75"))["found"] == []
    with pytest.raises(CommandFailed, match="PER, ORG, APP and CAB"):
        await commands.directory_search("zoe", ["usager"])


async def test_a_mailbox_has_its_holders_and_certificates_and_nothing_private(
    commands: DirectoryCommands,
) -> None:
    shown = await commands.directory_show(ADDRESS.upper())
    assert [holder["family"] for holder in shown["mailbox"]["holders"]] == ["MARTIN"]
    assert shown["mailbox"]["certificates"] == []
    assert "0400000000" not in json.dumps(shown)


async def test_a_mailbox_shows_each_smime_certificate_it_has_or_had_beside_its_openpgp_keys(
    commands: DirectoryCommands, tmp_path: Path
) -> None:
    directory = commands._node.directory  # pyright: ignore[reportPrivateUsage]
    passed = [
        directory.publish_x509(ADDRESS, own_certificate(tmp_path, ADDRESS).read_bytes(), now())
        for _ in range(2)
    ]
    directory.revoke_x509(ADDRESS, passed[1].fingerprint, now())
    shown = (await commands.directory_show(ADDRESS))["mailbox"]["certificates"]
    assert {one["family"] for one in shown} == {"x509"}
    told = {one["fingerprint"]: one for one in shown}
    assert set(told) == {one.fingerprint for one in passed}
    replaced, revoked = (told[one.fingerprint] for one in passed)
    assert replaced["replaced"]
    assert not replaced["revoked"]
    assert revoked["revoked"]
    assert not revoked["replaced"]
    assert all(one["not_after"] > one["published"] for one in shown)


async def test_a_person_has_situations_and_mailboxes(commands: DirectoryCommands) -> None:
    shown = await commands.directory_show("8 99700218896")
    assert shown["person"]["family"] == "MARTIN"
    assert [one["organisation"] for one in shown["situations"]] == ["CHU Inventé"]
    assert [one["address"] for one in shown["mailboxes"]] == [ADDRESS]


async def test_an_organisation_has_its_mailboxes(commands: DirectoryCommands) -> None:
    shown = await commands.directory_show(HOSPITAL.national_id)
    assert shown["organisation"]["name"] == "Hospices inventés"
    assert "urgences@chu.mssante.fr" in {one["address"] for one in shown["mailboxes"]}


@pytest.mark.parametrize("number", ["99700218896", "690 781 810"])
async def test_a_number_is_found_without_the_digit_that_names_its_register(
    commands: DirectoryCommands, number: str
) -> None:
    shown = await commands.directory_show(number)
    assert {one["address"] for one in shown["mailboxes"]} >= {ADDRESS}


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("899700218897", "The last digit of the RPPS number does not match the others"),
        ("8997", "An RPPS number has 11 characters."),
        ("1690781811", "The last digit of the FINESS number does not match the others"),
        ("Dupont", "A professional is 8 and the RPPS number, or 0 and the ADELI number"),
        ("899700218904", "The directory shows nobody with the identifier 899700218904."),
        ("99700218897", "The last digit of the RPPS number does not match the others"),
        ("690781828", "The directory shows nobody and nothing with the number 690781828."),
        ("73282932000075", "The last digit of the SIRET number does not match the others"),
        ("Dupont-le", "An address has an @."),
        (SECRET, f"The directory shows no mailbox {SECRET}."),
        ("zoe.matrin@ailleurs.mssante.fr", f"Did you mean {ADDRESS}?"),
    ],
)
async def test_what_is_wrong_or_hidden_is_refused_with_the_reason(
    commands: DirectoryCommands, what: str, why: str
) -> None:
    with pytest.raises(CommandFailed) as failure:
        await commands.directory_show(what)
    assert why in str(failure.value)
    assert what != SECRET or str(failure.value).endswith("fr.")
