"""The queue of letters that leave, from the console: seen without naming a person, tried, cancelled, held, released."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.node.administrators import this_user
from deploy.node.cli import app
from deploy.node.composition import Node, now, opened
from deploy.node.config import load
from deploy.node.console import Console
from deploy.node.control import CommandFailed
from deploy.node.home import Home
from deploy.node.queue_standing import SHOWN, families, shown, standing_finding
from deploy.node.recovery import check_node, restore_home
from mail_server.accounts.interface import Kind
from mail_server.outbound import leases
from mail_server.outbound.interface import Form, Outgoing, OutgoingRecipient, Readable
from mail_server.outbound.leases import Lease
from mail_server.outbound.rows import Wraps
from tests.worlds import new_home

DOMAIN = "mss.essai.test"
PATIENT = "176129900112345@patient.autre.test"
HOUR = 3_600_000


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return new_home(tmp_path, DOMAIN)


@pytest.fixture
async def node(home: Path) -> AsyncIterator[Node]:
    async with opened(Home(home), load(home / "vaguemestre.toml")) as found:
        yield found


@pytest.fixture
def ask(node: Node) -> Any:
    console = Console(node, this_user())

    async def asking(command: str, **arguments: Any) -> Any:
        return await console.handle(command, arguments)

    return asking


async def lay(node: Node, address: str = PATIENT, sender: str = "martin", reference: str = "ref1") -> int:
    whose = f"{sender}@{DOMAIN}"
    account = node.accounts.by_address(whose) or await node.accounts.add(whose, Kind.PER)
    content = await node.store.stage(None, b"sealed", compress=False)
    letter = Outgoing(
        account=account.id,
        mail_from=whose,
        domain=address.rpartition("@")[2],
        recipients=(OutgoingRecipient(address),),
        content=content,
        form=Form.WIRE,
        egress="",
        readable=Readable.SEALED,
        size=6,
        head=b"From: x\r\n",
        reference=reference,
        accepted_at=now(),
    )
    return await node.store.write(lambda tx: node.outbound.queue.lay(tx, letter))


async def states(node: Node) -> list[tuple[int, int, int]]:
    return [
        tuple(row)
        for row in await node.store.read(
            lambda reader: reader.sql.all("SELECT id, state, held FROM outbound_letter ORDER BY id")
        )
    ]


async def acts(node: Node, action: str) -> list[Any]:
    await node.trace.settle()
    return await node.store.read(
        lambda reader: reader.sql.all(
            "SELECT actor, subject, detail FROM audit_entry WHERE action = ? ORDER BY seq", (action,)
        )
    )


async def test_a_list_tells_of_domains_times_and_reasons_and_of_no_person(node: Node, ask: Any) -> None:
    number = await lay(node)
    found = await ask("queue_list")
    assert [line["id"] for line in found["letters"]] == [number]
    assert found["letters"][0]["domain"] == "patient.autre.test"
    seen = json.dumps([found, await ask("queue_show", number=number), await ask("queue_domains")])
    assert "17612990" not in seen
    assert "martin" not in seen


async def test_addresses_are_shown_to_who_asks_for_them_and_that_is_traced(node: Node, ask: Any) -> None:
    number = await lay(node)
    told = await ask("queue_addresses", number=number)
    assert told["recipients"][0]["address"] == PATIENT
    assert told["mail_from"] == f"martin@{DOMAIN}"
    assert len(await acts(node, "queue-show")) == 1


async def test_the_power_over_the_machine_is_not_one_to_see_addresses(home: Path) -> None:
    text = (home / "vaguemestre.toml").read_text()
    named = text.replace(
        "[administrators]", f'[administrators]\npeople = {{ {this_user().name} = ["operation"] }}'
    )
    (home / "vaguemestre.toml").write_text(named)
    async with opened(Home(home), load(home / "vaguemestre.toml")) as node:
        console = Console(node, this_user())
        number = await lay(node)
        assert (await console.handle("queue_show", {"number": number}))["id"] == number
        with pytest.raises(CommandFailed, match="spaces"):
            await console.handle("queue_addresses", {"number": number})


async def test_letters_are_chosen_by_domain_account_and_number(node: Node, ask: Any) -> None:
    one = await lay(node, "a@un.test", "martin")
    two = await lay(node, "b@deux.test", "martin")
    three = await lay(node, "c@deux.test", "durand")

    async def numbers(**chosen: Any) -> list[int]:
        return [line["id"] for line in (await ask("queue_list", **chosen))["letters"]]

    assert await numbers() == [one, two, three]
    assert await numbers(domain="DEUX.test") == [two, three]
    assert await numbers(account=f"martin@{DOMAIN}", domain="deux.test") == [two]
    assert await numbers(after=one, limit=1) == [two]
    with pytest.raises(CommandFailed, match="no account"):
        await numbers(account="nobody@x.test")
    with pytest.raises(CommandFailed, match="Say which"):
        await ask("queue_cancel")


@pytest.mark.parametrize("number", [-1, 0, 9_999, 1 << 63, 10**30])
async def test_a_number_that_no_letter_has_is_told_in_words(node: Node, ask: Any, number: int) -> None:
    await lay(node)
    for command in ("queue_show", "queue_addresses"):
        with pytest.raises(CommandFailed, match="There is no letter"):
            await ask(command, number=number)
    assert (await ask("queue_list", after=number))["total"] == 1
    if not 0 < number < 1 << 63:
        for command in ("queue_retry", "queue_cancel", "queue_hold"):
            with pytest.raises(CommandFailed, match="There is no letter"):
                await ask(command, numbers=[number])


async def test_what_is_cancelled_is_gone_with_its_bytes_and_who_was_in_hand_is_let_finish(
    node: Node, ask: Any
) -> None:
    leaving, waiting = await lay(node, "a@un.test"), await lay(node, "b@deux.test")
    other = await lay(node, "c@deux.test", "durand")
    await node.store.write(
        lambda tx: leases.claim(tx.sql, Wraps(node.keys), "un.test", now(), 9, Lease("me", now() + HOUR))
    )
    assert await ask("queue_cancel", account=f"martin@{DOMAIN}") == {"letters": 1, "finishing": 1}
    assert await states(node) == [(leaving, 1, 0), (waiting, 2, 0), (other, 0, 0)]
    kept = await node.store.read(lambda reader: reader.sql.all("SELECT count(*) FROM queued"))
    assert kept == [(2,)]
    assert [detail["count"] for _, _, detail in map(_loaded, await acts(node, "queue-cancel"))] == ["1"]
    assert len(await acts(node, "send-cancelled")) == 1
    owed = await node.store.read(lambda reader: reader.sql.all("SELECT count(*) FROM report_owed"))
    assert owed == [(1,)]  # its sender is told


def _loaded(row: Any) -> Any:
    return row[0], row[1], json.loads(row[2])


async def test_what_was_accepted_leaves_though_its_account_is_closed_unless_it_is_cancelled(
    node: Node, ask: Any
) -> None:
    number = await lay(node)
    await ask("account_close", address=f"martin@{DOMAIN}", reason="left")
    assert await states(node) == [(number, 0, 0)]
    assert (await ask("queue_cancel", account=f"martin@{DOMAIN}"))["letters"] == 1
    assert await states(node) == [(number, 2, 0)]


async def test_a_held_letter_and_a_held_domain_wait_until_they_are_released(node: Node, ask: Any) -> None:
    one, two = await lay(node, "a@un.test"), await lay(node, "b@deux.test")
    await ask("queue_hold", numbers=[one])
    assert (await ask("queue_hold", domain="deux.test", reason="broken"))["changed"] is True
    assert (await ask("queue_hold", domain="deux.test"))["changed"] is False

    async def claimed(domain: str) -> int:
        lease = Lease("me", now() + HOUR)
        found = await node.store.write(
            lambda tx: leases.claim(tx.sql, Wraps(node.keys), domain, now() + HOUR, 9, lease)
        )
        return len(found.letters)

    assert [await claimed("un.test"), await claimed("deux.test")] == [0, 0]
    held = (await ask("queue_list", state="held"))["letters"]
    assert [line["id"] for line in held] == [one, two]
    assert [row["held_reason"] for row in await ask("queue_domains") if row["held"]] == ["broken"]
    await ask("queue_release", numbers=[one])
    await ask("queue_release", domain="deux.test")
    assert [await claimed("un.test"), await claimed("deux.test")] == [1, 1]
    assert len(await acts(node, "queue-hold")) == 2
    assert len(await acts(node, "queue-release")) == 2


async def test_a_retry_makes_due_what_waits_and_wakes_its_domain(node: Node, ask: Any) -> None:
    number = await lay(node)
    await node.store.write(
        lambda tx: (
            tx.sql.run("UPDATE outbound_letter SET due = due + ?", (HOUR,)),
            tx.sql.run("UPDATE outbound_domain SET failures = 3, retry_at = ?", (now() + HOUR,)),
        )
    )
    assert await ask("queue_retry", domain="patient.autre.test") == {"letters": 1}
    row = await node.store.read(
        lambda reader: reader.sql.one(
            "SELECT l.due, d.retry_at FROM outbound_letter l, outbound_domain d WHERE l.id = ?", (number,)
        )
    )
    assert row is not None
    assert row[0] <= now()
    assert row[1] == 0


async def test_a_long_walk_tells_how_far_it_is(node: Node) -> None:
    for count in range(120):
        await lay(node, f"p{count}@un.test", reference=f"r{count}")
    steps: list[tuple[str, int, int]] = []
    console = Console(node, this_user())
    await console.handle("queue_cancel", {"domain": "un.test"}, lambda *step: steps.append(step))
    assert steps == [("cancelled", done, 120) for done in (50, 100, 120)]


async def test_check_finds_a_letter_without_its_bytes_and_bytes_without_a_letter(node: Node) -> None:
    number = await lay(node)
    assert (await check_node(node, lambda *_: None))["faults"] == []
    await node.store.write(lambda tx: tx.sql.run("UPDATE outbound_letter SET content = 'Qgone'"))
    found = (await check_node(node, lambda *_: None))["faults"]
    assert {(one["where"].split()[0], one["sentence"]) for one in found} == {
        ("letter", "waits to leave without its bytes"),
        ("queued", "waits for no letter"),
    }
    assert f"letter {number}" in [one["where"] for one in found]
    await node.store.write(lambda tx: tx.sql.run("UPDATE outbound_recipient SET address = ?", (b"\x01x",)))
    found = (await check_node(node, lambda *_: None))["faults"]
    assert (f"letter {number}", "does not open under this node's key") in {
        (one["where"], one["sentence"]) for one in found
    }


async def test_what_comes_out_of_a_backup_is_held_for_it_may_have_left_since(
    home: Path, tmp_path: Path
) -> None:
    async with opened(Home(home), load(home / "vaguemestre.toml")) as node:
        number = await lay(node)
        await node.store.write(
            lambda tx: leases.claim(
                tx.sql, Wraps(node.keys), "patient.autre.test", now(), 9, Lease("me", now() + HOUR)
            )
        )
        await Console(node, this_user()).handle("backup", {"to": str(tmp_path / "copy"), "keystore_to": None})
    restored = await restore_home(tmp_path / "copy", tmp_path / "again", None)
    assert restored["held"] == 1
    async with opened(Home(tmp_path / "again"), load(tmp_path / "again" / "vaguemestre.toml")) as node:
        assert await states(node) == [(number, 0, 1)]
        console = Console(node, this_user())
        assert (await console.handle("queue_standing", {}))["held"] == 1
        assert (await check_node(node, lambda *_: None))["faults"] == []


async def test_the_metrics_show_depth_age_and_deliveries(node: Node) -> None:
    await lay(node)
    found = await shown(node, now() + HOUR)
    assert set(found) == set(SHOWN)
    assert found["outbound_waiting"] == 1
    assert 3600 <= found["outbound_oldest_seconds"] < 3700
    node.outbound.counters.delivered["gated"] = 2
    samples = [sample for family in families(node) for sample in family.samples]
    assert [(s.labels, s.value) for s in samples if s.name.endswith("deliveries_total")] == [
        ({"readable": "gated"}, 2)
    ]


@pytest.mark.parametrize(
    ("changes", "verdict", "words"),
    [
        ({"waiting": 0}, "good", "Nothing waits"),
        ({"dispatching": False}, "failed", "nothing hands them over"),
        ({}, "good", "0 h 10"),
        ({"oldest": -HOUR}, "good", "1 h 10"),
        ({"oldest": -5 * HOUR}, "warning", "5 h 10"),
        ({"due": -HOUR}, "failed", "due since 1 h 10"),
        ({"due": None}, "good", "0 h 10"),
        ({"oldest": -5 * HOUR, "failing": 2}, "warning", "2 domains do not answer"),
        ({"held": 3}, "good", "3 are held"),
    ],
)
def test_doctor_says_how_the_queue_stands(changes: dict[str, Any], verdict: str, words: str) -> None:
    found: dict[str, Any] = {
        "waiting": 4,
        "leased": 0,
        "held": 0,
        "failing": 0,
        "oldest": 0,
        "due": 300_000,
        "now": 600_000,
        "dispatching": True,
    }
    finding = standing_finding(found | changes)
    assert (finding.verdict, words in finding.sentence) == (verdict, True), finding.sentence


def test_the_command_line_lists_shows_and_holds(home: Path) -> None:
    async def fill() -> int:
        async with opened(Home(home), load(home / "vaguemestre.toml")) as node:
            return await lay(node)

    number = asyncio.run(fill())

    def run(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, ["queue", *words, "--home", str(home)])
        assert result.exit_code == code, result.output
        return result.output

    assert "patient.autre.test" in run("list")
    assert json.loads(run("list", "--json"))["total"] == 1
    assert PATIENT in run("show", str(number), "--addresses")
    assert "1 letter held." in run("hold", str(number))
    assert "held" in run("list", "--state", "held")
    assert "1 letter cancelled." in run("cancel", str(number), "--yes")
    assert "Nothing waits." in run("list")
    assert "cancelled" in run("show", str(number))
