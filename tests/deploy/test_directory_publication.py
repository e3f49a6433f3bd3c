"""A node's mailboxes at a national directory: the publication server of the FHIR door, at another place, over TLS."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import logging
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from sqlalchemy import create_engine
from typer.testing import CliRunner

from deploy.demo import pki
from deploy.node.administrators import POWER_OF, this_user
from deploy.node.cli import app
from deploy.node.composition import Node, now, opened
from deploy.node.config import Config, load
from deploy.node.console import Console
from deploy.node.control import CommandFailed
from deploy.node.directory_publication import remote_of
from deploy.node.doctor_directory import publication_findings, published
from deploy.node.failures import StartError
from deploy.node.home import Home
from deploy.node.https import application
from deploy.node.migrations.run import migrate_directory, migrate_listings
from directory.fhir.door import FhirDoor
from directory.fhir.keys import ApiKeys, NewKey
from directory.fhir.settings import FhirSettings
from directory.harvest import Allowance
from directory.listings.database import ListingsDatabase
from directory.listings.writing import put_situations
from directory.model import Organisation, Professional, Situation
from directory.publication.client.states import Step
from directory.publication.settings import PublicationSettings
from mail_server.accounts.interface import Account, Kind
from policies.audit.entry import Entry
from policies.audit.query import Filter, find
from policies.questions import Power
from tests.directory.publication.client.conftest import entry
from tests.worlds import new_home

DOMAIN = "mss.essai.test"
RPPS, OTHER, THIRD, UNKNOWN = "899700218896", "899700245667", "899700000112", "899700000005"
FINESS = "1690000013"


@dataclass
class National:
    """The other directory: real FHIR door, real TLS."""

    folder: Path
    base: str
    ca: Path
    keys: ApiKeys
    key: NewKey
    asked: list[int]

    @property
    def key_file(self) -> Path:
        return self.folder / "national.key"

    @property
    def settings(self) -> PublicationSettings:
        return PublicationSettings(
            national_directory=self.base, api_key_file=self.key_file, authority=self.ca, timeout=60
        )

    async def tells(self, address: str) -> dict[str, Any] | None:
        """The contact point that anybody who reads there is shown."""
        tls = ssl.create_default_context(cafile=str(self.ca))
        async with httpx.AsyncClient(verify=tls, trust_env=False, timeout=60) as client:
            for carrier in ("Practitioner", "PractitionerRole", "Organization"):
                answer = await client.get(
                    f"{self.base}/{carrier}",
                    params={"mailbox-mss:exact": address},
                    headers={"ESANTE-API-KEY": self.key.secret},
                )
                assert answer.status_code == 200, answer.text
                for one in answer.json().get("entry", ()):
                    for point in one["resource"].get("telecom", ()):
                        if point["value"] == address:
                            return point
        return None


@pytest.fixture(scope="module")
def national(tmp_path_factory: pytest.TempPathFactory) -> Iterator[National]:
    folder = tmp_path_factory.mktemp("national")
    authority = pki.TestAuthority.create()
    ca = authority.write(folder)
    here = pki.Organisation.with_finess("ANNUAIRE TEST", 7, "Paris (75)")
    leaf = authority.issue_operator("annuaire.test", here, local=True).write(folder, "server")
    migrate_listings(f"sqlite:///{folder / 'listings.db'}")
    migrate_directory(f"sqlite:///{folder / 'directory.db'}")
    database = ListingsDatabase(folder / "listings.db")
    hospital = Organisation(FINESS, "Hôpital d'essai")
    known = [
        Situation(Professional(RPPS, "Dr", "MARTIN", "Zoé"), hospital),
        Situation(Professional(OTHER, "Dr", "LENOIR", "Paul"), hospital),
        Situation(Professional(THIRD, "", "UNUSED", "Léa"), hospital),
    ]
    database.write(lambda sql: put_situations(sql, known, at=now()))
    keys = ApiKeys(create_engine(f"sqlite:///{folder / 'directory.db'}"), now)
    key = keys.add("essai", ["publish", "read"], publisher="Essai", domains=[DOMAIN])
    (folder / "national.key").write_text(key.secret + "\n")
    (folder / "national.key").chmod(0o600)
    door = FhirDoor(
        FhirSettings(calls_per_second=10_000),
        database=database,
        keys=keys,
        harvest=Allowance(10_000, 10_000, clock=now, noted=lambda _: None),
        clock=now,
        told=lambda _: None,
    )
    asked: list[int] = []
    inner = application([door.router])

    async def counted(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "PATCH":
            asked.append(1)
        await inner(scope, receive, send)

    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        counted, log_level="warning", lifespan="off", ssl_certfile=leaf.certificate, ssl_keyfile=leaf.key
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
    thread.start()
    yield National(folder, f"https://localhost:{listening.getsockname()[1]}/fhir/v2", ca, keys, key, asked)
    server.should_exit = True
    thread.join()
    listening.close()
    database.close()
    keys.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_home(tmp_path_factory.mktemp("publishing"), DOMAIN)


def configured(home: Path, publication: PublicationSettings) -> Config:
    return load(home / "vaguemestre.toml").model_copy(update={"publication": publication})


@pytest.fixture
async def node(home: Path, national: National) -> AsyncIterator[Node]:
    async with opened(Home(home), configured(home, national.settings)) as node:
        node.publications.start()
        node.own_listings.start()
        yield node
        await node.own_listings.stop()
        await node.publications.stop()


@pytest.fixture
async def alone(home: Path) -> AsyncIterator[Node]:
    """Without a national directory."""
    async with opened(Home(home), load(home / "vaguemestre.toml")) as node:
        yield node


async def ask(node: Node, command: str, **arguments: Any) -> Any:
    return await Console(node, this_user()).handle(command, arguments)


async def until(what: Callable[[], Awaitable[Any]]) -> Any:
    """Within a minute, says the issue: it takes a fraction of a second."""
    async with asyncio.timeout(60):
        while not (seen := await what()):
            await asyncio.sleep(0.02)
    return seen


async def standing(node: Node, account: Account) -> dict[str, Any]:
    told = await ask(node, "directory_publications")
    return next(one for one in told["mailboxes"] if one["address"] == account.address)


def reaches(node: Node, account: Account, state: str) -> Awaitable[Any]:
    async def there() -> bool:
        return (await standing(node, account))["state"] == state

    return until(there)


async def person(node: Node, local: str, national_id: str, **fields: str) -> Account:
    known = node.accounts.by_address(f"{local}@{DOMAIN}")
    if known is not None:
        return known
    made = await node.accounts.add(f"{local}@{DOMAIN}", Kind.PER)
    if national_id:
        await node.accounts.bind_national_id(made.id, national_id)
    if fields:
        await node.profiles.change(made, fields, "node")
    return made


async def traced(node: Node, action: str, account: Account) -> list[Entry]:
    await node.trace.settle()
    wanted = Filter(action=action, subject=account.id)
    return await node.store.read(lambda reader: find(reader.sql, wanted))


async def test_a_professional_is_published_follows_their_profile_and_goes_with_their_right(
    node: Node, national: National
) -> None:
    zoe = await person(node, "zoe.martin", RPPS, given_name="Zoé", family_name="Martin")
    await reaches(node, zoe, "published")
    assert (await national.tells(zoe.address) or {})["rank"] == 1
    # Another rank.
    await node.profiles.change(zoe, {"rank": "2"}, "node")
    await until(lambda: _ranked(national, zoe, 2))
    # On the red list: kept there, shown to nobody.
    await node.profiles.change(zoe, {"red_list": "yes"}, "node")
    await until(lambda: _hidden(national, zoe))
    assert (await standing(node, zoe))["state"] == "published"
    await node.profiles.change(zoe, {"red_list": "no"}, "node")
    await until(lambda: national.tells(zoe.address))
    # Without the right to practise, then with it again.
    await node.accounts.practice_set(zoe.id, practising=False)
    await reaches(node, zoe, "absent")
    assert await national.tells(zoe.address) is None
    await node.accounts.practice_set(zoe.id, practising=True)
    await reaches(node, zoe, "published")
    assert await national.tells(zoe.address)
    # Suspended.
    await node.accounts.suspend(zoe.id)
    await reaches(node, zoe, "absent")
    await node.accounts.reinstate(zoe.id)
    await reaches(node, zoe, "published")
    assert "done" in [row.outcome for row in await traced(node, "listing-withdrawn", zoe)]


async def _ranked(national: National, account: Account, rank: int) -> bool:
    return (await national.tells(account.address) or {}).get("rank") == rank


async def _hidden(national: National, account: Account) -> bool:
    return await national.tells(account.address) is None


async def test_a_ward_is_published_under_its_hospital(node: Node, national: National) -> None:
    ward = await node.accounts.add(f"cardiologie@{DOMAIN}", Kind.ORG)
    fields = {"service": "Cardiologie", "responsible": "Inès Moreau", "id_nat_struct": FINESS}
    await node.profiles.change(ward, fields, "node")
    await reaches(node, ward, "published")
    told = await national.tells(ward.address)
    assert told is not None
    assert "Cardiologie" in str(told)
    assert "Moreau" not in str(told), "who answers for it is told to the directory, and by it to nobody"


async def test_a_group_practice_is_published_under_its_responsible_with_the_others(
    node: Node, national: National
) -> None:
    practice = await node.accounts.add(f"cabinet.gare@{DOMAIN}", Kind.CAB)
    fields = {"description": "Cabinet de la Gare", "id_pp": f"{RPPS}, {THIRD}"}
    await node.profiles.change(practice, fields, "node")
    await reaches(node, practice, "published")
    told = await national.tells(practice.address)
    assert told is not None
    assert "Cabinet de la Gare" in str(told)
    counted = await node.publications.measured()
    assert counted["publication_mailboxes_published"] >= 1
    assert counted["publication_shut"] == 0.0


async def test_closing_a_mailbox_withdraws_it_everywhere(node: Node, national: National) -> None:
    paul = await person(node, "paul.lenoir", OTHER, given_name="Paul", family_name="Lenoir")
    await reaches(node, paul, "published")
    assert node.directory.is_listed(paul.address)
    await ask(node, "account_close", address=paul.address, reason="retraite")
    await reaches(node, paul, "absent")
    assert await national.tells(paul.address) is None
    assert not node.directory.is_listed(paul.address)
    assert node.listings.mailbox(paul.address) is None
    assert [row.outcome for row in await traced(node, "account-close", paul)] == ["done"]


async def test_a_withdrawn_mailbox_is_shown_nowhere_until_it_is_published_again(
    node: Node, national: National
) -> None:
    zoe = await person(node, "zoe.martin", RPPS, given_name="Zoé", family_name="Martin")
    await reaches(node, zoe, "published")
    told = await ask(
        node, "directory_withdraw", address=zoe.address, reason="Demande de sa part", network="192.0.2.7"
    )
    assert told["withdrawn_reason"] == "Demande de sa part"
    await reaches(node, zoe, "absent")
    assert await national.tells(zoe.address) is None
    assert not node.directory.is_listed(zoe.address)
    assert node.listings.mailbox(zoe.address) is None
    assert node.own_listings.is_red(zoe.address), "so that no certificate of it is shown either"
    await node.own_listings.sync()
    assert not node.directory.is_listed(zoe.address), "it stays so"
    rows = await traced(node, "listing-withdrawn", zoe)
    assert ("192.0.2.7", "Demande de sa part") in [
        (row.network, json.loads(row.detail).get("reason")) for row in rows
    ]
    await ask(node, "directory_publish", address=zoe.address)
    await reaches(node, zoe, "published")
    assert node.directory.is_listed(zoe.address)
    assert await national.tells(zoe.address)


async def test_who_is_unknown_there_is_told_once_and_found_among_what_is_wrong(
    node: Node, national: National
) -> None:
    nobody = await person(node, "sans.annuaire", UNKNOWN, given_name="A", family_name="B")

    async def known_to_nobody() -> bool:
        return (await standing(node, nobody))["reason"] == "not-found"

    await until(known_to_nobody)
    asked = len(national.asked)
    for _ in range(3):
        await node.own_listings.sync()
        await asyncio.sleep(0.05)
    assert len(national.asked) == asked
    rows = await ask(node, "directory_report", wrong=True)
    (row,) = [row for row in rows if row["address"] == nobody.address]
    assert (
        "refused by the national directory: The national directory does not know its holder" in row["wrong"]
    )
    assert "no certificate" in row["wrong"]
    assert {row.outcome for row in await traced(node, "listing-published", nobody)} == {"refused"}
    finding = published(await ask(node, "directory_publications"))
    assert finding.verdict == "warning"
    assert nobody.address in finding.sentence


async def test_a_key_that_was_revoked_refuses_nobody_and_doctor_says_it(
    node: Node, national: National, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    zoe = await person(node, "zoe.martin", RPPS, given_name="Zoé", family_name="Martin")
    await reaches(node, zoe, "published")
    good = national.key_file.read_text()
    national.key_file.write_text("vm_pasuneclef" + "x" * 24 + "\n")
    assert node.publications.reload() == []
    await node.profiles.change(zoe, {"rank": "7"}, "node")

    async def shut() -> Any:
        told = await ask(node, "directory_publications")
        return told if told["key_refused"] else None

    told = await until(shut)
    assert published(told).failed
    assert (await standing(node, zoe))["state"] == "pending"
    national.key_file.write_text(good)
    assert node.publications.reload() == []
    await node.publications.publish([zoe.address])
    await reaches(node, zoe, "published")
    secret = good.strip()
    assert secret not in caplog.text + str(await ask(node, "directory_publications"))
    assert secret.encode() not in (node.home.path / "directory.db").read_bytes()
    national.key_file.unlink()
    assert "cannot be read" in node.publications.reload()[0]
    national.key_file.write_text(good)


async def test_a_directory_under_another_authority_is_not_spoken_to(
    national: National, tmp_path: Path
) -> None:
    other = pki.TestAuthority.create().write(tmp_path)
    asked = len(national.asked)
    remote = remote_of(national.settings.model_copy(update={"authority": other}))
    answer = await remote.ask(Step.INSERT, entry(f"zoe.martin@{DOMAIN}", RPPS))
    await remote.close()
    assert answer.reason == "connect"
    assert len(national.asked) == asked


# -- the command line


async def test_without_a_national_directory_nothing_leaves_and_withdrawing_still_hides(alone: Node) -> None:
    anna = await person(alone, "anna.roy", "", given_name="Anna", family_name="Roy")
    await alone.own_listings.sync()
    assert (await standing(alone, anna))["state"] == "nowhere"
    assert alone.directory.is_listed(anna.address)
    await ask(alone, "directory_withdraw", address=anna.address)
    assert not alone.directory.is_listed(anna.address)
    await ask(alone, "directory_publish", address=anna.address)
    assert alone.directory.is_listed(anna.address)


async def test_what_cannot_be_published_is_said(alone: Node) -> None:
    anna = await person(alone, "anna.roy", "", given_name="Anna", family_name="Roy")
    with pytest.raises(CommandFailed, match="no mailbox"):
        await ask(alone, "directory_publish", address=f"nobody@{DOMAIN}")
    with pytest.raises(CommandFailed, match="Name one"):
        await ask(alone, "directory_publish")
    with pytest.raises(CommandFailed, match="sentence"):
        await ask(alone, "directory_withdraw", address=anna.address, reason="x" * 300)
    await alone.accounts.suspend(anna.id)
    with pytest.raises(CommandFailed, match="reinstate"):
        await ask(alone, "directory_publish", address=anna.address)
    await alone.accounts.reinstate(anna.id)


async def test_the_zone_s_lines_are_those_of_the_configuration(alone: Node) -> None:
    told = await ask(alone, "directory_autoconfig", domain=DOMAIN.upper() + ".")
    lines = {one["name"]: one["port"] for one in told["records"]}
    assert lines[f"_imaps._tcp.{DOMAIN}."] == alone.config.imap.tls_port
    assert lines[f"_submissions._tcp.{DOMAIN}."] == alone.config.smtp.submissions_port
    assert f"_imaps._tcp.{DOMAIN}." in told["zone"]
    with pytest.raises(CommandFailed, match=DOMAIN):
        await ask(alone, "directory_autoconfig", domain=f"patient.{DOMAIN}")


async def test_the_report_is_the_same_at_each_reading_and_safe_in_a_spreadsheet(alone: Node) -> None:
    from deploy.node.directory_report import COLUMNS, as_csv

    odd = await person(alone, "odd.name", "", given_name="=cmd|'/c calc'!A1", family_name="Plus")
    await alone.accounts.add("=x+y@" + DOMAIN, Kind.APP)
    rows = await ask(alone, "directory_report")
    assert rows == await ask(alone, "directory_report")
    assert [(row["kind"], row["address"]) for row in rows] == sorted(
        (row["kind"], row["address"]) for row in rows
    )
    text = as_csv(rows)
    assert text.startswith("\ufeff")
    read = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), delimiter=";"))
    assert tuple(read[0]) == COLUMNS
    cells = [cell for row in read for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    assert any(row["address"] == "'=x+y@" + DOMAIN for row in read)
    (row,) = [row for row in rows if row["address"] == odd.address]
    assert (row["state"], row["shown"], row["national_directory"]) == ("in service", "listed", "")
    assert "no identifier of its holder" in row["wrong"]
    only = await ask(alone, "directory_report", kinds=["app"])
    assert {row["kind"] for row in only} == {"APP"}
    with pytest.raises(CommandFailed, match="--kind"):
        await ask(alone, "directory_report", kinds=["PATIENT"])


async def test_who_keeps_accounts_publishes_and_anybody_may_see_the_zone() -> None:
    assert POWER_OF["directory_withdraw"] is POWER_OF["directory_publish"] is Power.ACCOUNTS
    assert POWER_OF["directory_autoconfig"] is Power.LOOK


# -- doctor, and what cannot be used


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"national_directory": "http://national.example"}, "over TLS"),
        ({"api_key_file": Path("/nonexistent/key")}, "cannot be read"),
        ({"api_key_file": None}, "api_key_file is not"),
        ({"authority": Path("/nonexistent/ca")}, "cannot be read"),
    ],
)
def test_what_is_configured_wrongly_is_said_by_the_start_and_by_doctor(
    national: National, home: Path, change: dict[str, Any], sentence: str
) -> None:
    wrong = national.settings.model_copy(update=change)
    with pytest.raises(StartError, match=sentence):
        remote_of(wrong)
    found = [
        one for one in publication_findings(configured(home, wrong)) if one.subject == "national directory"
    ]
    assert found[0].failed
    assert sentence in found[0].sentence


def test_doctor_warns_of_a_key_that_others_may_read(national: National, home: Path) -> None:
    national.key_file.chmod(0o644)
    found = list(publication_findings(configured(home, national.settings)))
    national.key_file.chmod(0o600)
    assert any("chmod 600" in one.sentence for one in found)


# -- rows 28 and 29: a mailbox that nobody comes to


async def test_a_mailbox_that_nobody_comes_to_is_told_closed_and_published_no_more(
    node: Node, national: National
) -> None:
    lea = await person(node, "lea.unused", THIRD, given_name="Léa", family_name="Unused")
    await reaches(node, lea, "published")
    day = 86_400_000
    long_ago, told = now() - 500 * day, now() - 20 * day
    await _lives(node, lea, long_ago, told)
    rows = await ask(node, "directory_report", kinds=["PER"])
    (row,) = [row for row in rows if row["address"] == lea.address]
    assert row["last_login"] == _day(long_ago)[:7]
    assert (row["notice_sent"], row["closes_on"]) == (_day(told), _day(told + 30 * day))
    assert (row["national_directory"], row["published_since"]) == ("published", _day(now()))
    await _lives(node, lea, long_ago, now() - 31 * day)
    assert (await ask(node, "account_unused_sweep"))["closed"] == [lea.address]
    await reaches(node, lea, "absent")
    assert await national.tells(lea.address) is None
    assert not node.directory.is_listed(lea.address)
    (row,) = [row for row in await ask(node, "directory_report") if row["address"] == lea.address]
    assert (row["state"], row["shown"], row["national_directory"]) == ("closed", "no", "absent")
    (closed,) = await traced(node, "account-close", lea)
    assert json.loads(closed.detail)["means"] == "inactivity"


async def _lives(node: Node, account: Account, last: int, notified: int) -> None:
    statement = "UPDATE account SET created = ?, last_login = ?, notified = ? WHERE id = ?"
    await node.store.write(lambda tx: tx.sql.run(statement, (last, last, notified, account.id)))


def _day(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d}"


# -- typed


def typed(home: Path, *words: str) -> Any:
    return CliRunner().invoke(app, ["directory", *words, "--home", str(home)])


def test_the_command_line_publishes_withdraws_and_reports(home: Path, tmp_path: Path) -> None:
    address = f"typed@{DOMAIN}"
    added = CliRunner().invoke(app, ["account", "add", address, "--kind", "ORG", "--home", str(home)])
    assert added.exit_code == 0, added.output
    withdrawn = typed(home, "withdraw", address, "--reason", "déménagement")
    assert f"{address} is shown to nobody any more." in withdrawn.output
    shown = json.loads(typed(home, "publications", "--json").output)
    (one,) = [one for one in shown["mailboxes"] if one["address"] == address]
    assert one["withdrawn_reason"] == "déménagement"
    file = tmp_path / "report.csv"
    assert typed(home, "report", str(file), "--kind", "ORG").exit_code == 0
    assert file.stat().st_mode & 0o077 == 0
    read = {
        row["address"]: row
        for row in csv.DictReader(io.StringIO(file.read_text(encoding="utf-8-sig")), delimiter=";")
    }
    assert read[address]["shown"] == "withdrawn"
    assert f"{address} is listed." in typed(home, "publish", address).output
    assert "no identifier of its holder; no name" in typed(home, "report", "--wrong").output
    refused = typed(home, "publish", "nobody@elsewhere.example")
    assert refused.exit_code == 1
    assert typed(home, "publish", "--all").exit_code == 0


def test_the_command_line_prints_the_zone(home: Path) -> None:
    plain = typed(home, "autoconfig", DOMAIN, "--srv")
    assert plain.exit_code == 0, plain.output
    assert f"_imaps._tcp.{DOMAIN}." in plain.output
    assert "thunderbird" not in plain.output
    assert f"https://autoconfig.{DOMAIN}/mail/config-v1.1.xml" in typed(home, "autoconfig", DOMAIN).output
    assert json.loads(typed(home, "autoconfig", DOMAIN, "--json").output)["domain"] == DOMAIN
    assert typed(home, "autoconfig", "elsewhere.example").exit_code == 1
