"""How the directory stands: in the metrics, and as `doctor` says it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.node.administrators import this_user
from deploy.node.composition import Node, now, opened
from deploy.node.config import Config, load
from deploy.node.console import Console
from deploy.node.directory_standing import directory_findings, standing_findings, watch
from deploy.node.doctor_ldap import ldap_answers
from deploy.node.finding import Finding
from deploy.node.home import Home
from deploy.node.ldap import ldap_door
from deploy.node.metrics import Metrics
from directory.harvest import TooMuch
from directory.ldap.settings import LdapSettings
from directory.listings.writing import put_mailboxes
from directory.model import Kind, Mailbox, Professional
from mail_server.accounts.interface import Kind as AccountKind
from policies.audit.query import Filter, find
from tests.worlds import new_home

DOMAIN = "mss.essai.test"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_home(tmp_path_factory.mktemp("standing"), DOMAIN)


def configured(**sections: Mapping[str, Any]) -> Config:
    given: dict[str, Any] = {
        "accounts": {"domains": [DOMAIN]},
        "smtp": {"hostname": "localhost"},
        "imap": {},
        **sections,
    }
    return Config.model_validate(given)


def found(**changes: Any) -> list[Finding]:
    day = 86_400_000
    whole: dict[str, Any] = {
        "mailboxes": {"own": 3, "national": 400},
        "cards": 400,
        "imports": [{"source": "mssante", "at": 100 * day, "state": "done"}],
        "done": 100 * day,
        "struck_off_here": [],
        "held_back_here": [],
        "kept": 0,
        "held_here": [],
        "now": 101 * day,
    }
    return list(standing_findings(whole | changes))


def shown(node: Node, names: Iterable[str]) -> None:
    node.harvest.shown("net:192.0.2.1", [f"{name}@x.test" for name in names], door="ldap")


async def test_what_is_held_and_shown_is_counted(home: Path) -> None:
    async with opened(Home(home), load(home / "vaguemestre.toml")) as node:
        await node.accounts.add(f"zoe@{DOMAIN}", AccountKind.PER)
        box = Mailbox("eve@ailleurs.test", Kind.PER, (Professional("899700245667", "", "Dumas", "Ève"),))
        red = Mailbox("rouge@ailleurs.test", Kind.PER, family="Rouge", red_list=True)
        node.listings_database.write(lambda sql: put_mailboxes(sql, [box, red], at=now()))
        await node.own_listings.sync()
        for number in range(29):
            shown(node, [f"{number}.{each}" for each in range(20)])
        shown(node, map(str, range(30)))  # 610 in all: above what one asker is shown
        with pytest.raises(TooMuch):
            shown(node, "z")
        metrics = Metrics()
        watch(metrics, node)
        await metrics.refresh()
        lines = metrics.text().decode().splitlines()
        answer = await Console(node, this_user()).handle("directory_standing", {})
        await node.trace.settle()
        told = await node.store.read(lambda reader: list(find(reader.sql, Filter(action="harvest"))))
    for line in (
        'vaguemestre_directory_mailboxes{origin="national"} 2.0',
        'vaguemestre_directory_mailboxes{origin="own"} 1.0',
        "vaguemestre_directory_cards 2.0",
        "vaguemestre_directory_red_list 1.0",
        "vaguemestre_directory_struck_off_here 0.0",
        "vaguemestre_directory_held 0.0",
        "vaguemestre_directory_harvest_different_total 610.0",
        "vaguemestre_directory_harvest_refused_total 1.0",
        'vaguemestre_directory_answers_total{door="ldap"} 30.0',
        "vaguemestre_directory_harvest_sweeps_slowed_total 1.0",
    ):
        assert line in lines
    assert not any("import_age" in line for line in lines)
    assert (answer["cards"], answer["mailboxes"]) == (2, {"national": 2, "own": 1})
    assert [(one.outcome, one.network, one.details) for one in told] == [
        ("slowed", "192.0.2.1", {"protocol": "ldap", "count": "320"}),
        ("refused", "192.0.2.1", {"protocol": "ldap", "count": "610"}),
    ]


def test_a_directory_that_is_kept_up_is_good() -> None:
    assert [one.verdict for one in found()] == ["good"]
    assert "400 listings are shown; of mailboxes there are 400 national, 3 own." in found()[0].sentence


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"imports": [], "done": None}, "No national file was imported"),
        ({"now": 109 * 86_400_000}, "9 days ago"),
        ({"imports": [{"source": "mssante", "at": 1, "state": "refused"}]}, "was refused"),
        ({"kept": 3, "held_here": [f"lou@{DOMAIN}"]}, f"may be theirs. Of ours: lou@{DOMAIN}"),
        ({"kept": 3}, "3 listings are kept as they were"),
        ({"struck_off_here": [f"eve@{DOMAIN}"]}, f"gone from the national directory: eve@{DOMAIN}"),
    ],
)
def test_what_an_administrator_must_see_is_a_warning(changes: Mapping[str, Any], words: str) -> None:
    last = found(**changes)[-1]
    assert last.verdict == "warning"
    assert words in last.sentence


def test_many_of_ours_gone_at_once_is_a_failure() -> None:
    last = found(held_back_here=[f"eve@{DOMAIN}", f"lou@{DOMAIN}"])[-1]
    assert last.verdict == "failed"
    assert "2 accounts are gone" in last.sentence


def test_several_nodes_need_a_directory_in_common() -> None:
    letters = {"database": "postgresql://localhost/letters"}
    apart = {"database": "postgresql://localhost/directory"}
    assert "directory.database" in next(directory_findings(configured(store=letters))).sentence
    assert list(directory_findings(configured(store=letters, directory=apart))) == []
    assert "only one node" in next(directory_findings(configured(directory=apart))).sentence
    assert list(directory_findings(configured())) == []


async def test_doctor_tells_which_ldap_port_answers_and_which_does_not(home: Path) -> None:
    async def no_directory(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK IMAP4rev1\r\n")
        await reader.read(1)
        writer.close()

    alone = LdapSettings(host="127.0.0.1", port=0, tls_port=None)
    async with opened(Home(home), load(home / "vaguemestre.toml").model_copy(update={"ldap": alone})) as node:
        door = ldap_door(node, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        await door.start()
        other = await asyncio.start_server(no_directory, "127.0.0.1", 0)
        try:
            ours, theirs = door.ports[0], other.sockets[0].getsockname()[1]
            found = await ldap_answers(configured(ldap={"host": "127.0.0.1", "port": ours, "tls_port": None}))
            assert found == [Finding("ldap", "good", f"Port {ours} answers.")]
            found = await ldap_answers(configured(ldap={"host": "127.0.0.1", "port": theirs, "tls_port": 1}))
            assert [one.verdict for one in found] == ["failed", "failed"]
            assert "does not answer as a directory" in found[0].sentence
            assert "Nothing answers on port 1." in found[1].sentence
        finally:
            other.close()
            await door.stop()


def test_doctor_finds_authorities_of_smime_certificates_that_cannot_be_read(tmp_path: Path) -> None:
    found = list(directory_findings(configured(directory={"x509_authorities": str(tmp_path / "nobody.pem")})))
    assert [one.verdict for one in found] == ["failed"]
    assert "x509_authorities" in found[0].sentence
