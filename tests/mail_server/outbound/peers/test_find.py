"""A certificate for an addressee elsewhere: asked of their operator, remembered, kept through a silence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.pki import TestAuthority
from directory.openpgp.gate import OPERATOR_HELD_NOTATION
from directory.openpgp.signatures import Sub
from mail_server.outbound.peers import circuit, keys
from mail_server.outbound.peers.wkd import Silent, WkdClient, tls_of
from policies.refusal import Refusal
from tests.mail_server.outbound.peers.conftest import ADDRESS, DOMAIN, SILENT, Node


async def test_a_published_certificate_is_found_for_the_very_address(node: Node, forge: Any) -> None:
    made = forge.Forge()
    node.site.publish(ADDRESS, made.certificate(ADDRESS))
    found = await node.peers.find(f"Zoe.Martin@{DOMAIN}".replace("mss", "MSS"))
    assert found is not None
    assert found.certificate.fingerprint == made.primary.fingerprint
    assert found.certificate.address == ADDRESS
    assert not found.operator_held
    (asked,) = node.site.asked
    assert asked.startswith(f"openpgpkey.{DOMAIN}/.well-known/openpgpkey/{DOMAIN}/hu/")
    assert asked.endswith("?l=zoe.martin")


async def test_a_certificate_that_says_so_is_held_by_the_operator(node: Node, forge: Any) -> None:
    name = OPERATOR_HELD_NOTATION.encode()
    notation = b"\x80\0\0\0" + len(name).to_bytes(2, "big") + b"\0\x01" + name + b"1"
    made = forge.Forge()
    certificate = made.head + made.user_id(ADDRESS, says=[(Sub.NOTATION, notation)]) + made.bind()
    node.site.publish(ADDRESS, certificate)
    found = await node.peers.find(ADDRESS)
    assert found is not None
    assert found.operator_held


async def test_an_address_of_which_nothing_is_published_has_none(node: Node) -> None:
    assert await node.peers.find(ADDRESS) is None
    assert len(node.site.asked) == 1


async def test_a_certificate_of_somebody_else_is_none(node: Node, forge: Any) -> None:
    node.site.publish(ADDRESS, forge.Forge().certificate(f"other@{DOMAIN}"))
    assert await node.peers.find(ADDRESS) is None
    assert (await node.peers.show(ADDRESS)).reason == "user-id-of-another"


@pytest.mark.parametrize("data", [b"<html>", b"\x99", bytes(100), b"\xc6\x7f" + b"a" * 500])
async def test_what_is_no_certificate_is_none(node: Node, data: bytes) -> None:
    node.site.publish(ADDRESS, data)
    assert await node.peers.find(ADDRESS) is None


@pytest.mark.parametrize(
    "address",
    [
        f"285017512345678@{DOMAIN}",
        f"285017512345678+sealed@{DOMAIN}",
        f"1850175123456@{DOMAIN}",
        "somebody@elsewhere.example",
        f"@{DOMAIN}",
        "nobody",
        f"a@{DOMAIN}/../",
    ],
)
async def test_nobody_is_asked_about_a_patient_number_nor_outside_the_trust_list(
    node: Node, address: str
) -> None:
    assert await node.peers.find(address) is None
    assert node.site.asked == []


async def test_an_answer_is_used_for_an_hour(node: Node, forge: Any) -> None:
    node.site.publish(ADDRESS, forge.Forge().certificate(ADDRESS))
    first = await node.peers.find(ADDRESS)
    node.pass_time(hours=0.99)
    assert await node.peers.find(ADDRESS) == first
    assert len(node.site.asked) == 1
    node.pass_time(hours=0.02)
    assert await node.peers.find(ADDRESS) == first
    assert len(node.site.asked) == 2


async def test_that_there_is_none_is_remembered_for_half_an_hour(node: Node, forge: Any) -> None:
    assert await node.peers.find(ADDRESS) is None
    node.site.publish(ADDRESS, forge.Forge().certificate(ADDRESS))
    node.pass_time(hours=0.49)
    assert await node.peers.find(ADDRESS) is None
    node.pass_time(hours=0.02)
    assert await node.peers.find(ADDRESS) is not None


async def test_an_answer_outlives_a_restart(node: Node, forge: Any) -> None:
    node.site.publish(ADDRESS, forge.Forge().certificate(ADDRESS))
    first = await node.peers.find(ADDRESS)
    await node.peers.settled()
    assert await (await node.again()).find(ADDRESS) == first
    assert len(node.site.asked) == 1


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
async def test_nothing_at_rest_names_the_addressee(node: Node, forge: Any) -> None:
    node.site.publish(ADDRESS, forge.Forge().certificate(ADDRESS))
    assert await node.peers.find(ADDRESS) is not None
    await node.peers.settled()
    rows = await node.store.read(
        lambda reader: reader.sql.all("SELECT mark, domain, sealed FROM peer_certificate")
    )
    assert len(rows) == 1
    assert ADDRESS.partition("@")[0].encode() not in bytes(rows[0][0]) + bytes(rows[0][2])
    assert rows[0][1] == DOMAIN
    assert await (await node.again()).find(ADDRESS) is not None
    assert len(node.site.asked) == 1
    node.pass_time(days=9)
    assert await node.peers.sweep() == 1


async def test_while_the_operator_is_silent_a_known_certificate_goes_on_for_a_week(
    node: Node, forge: Any
) -> None:
    node.site.publish(ADDRESS, forge.Forge().certificate(ADDRESS))
    first = await node.peers.find(ADDRESS)
    node.site.status = 503
    node.pass_time(days=6.9)
    assert await node.peers.find(ADDRESS) == first
    assert node.peers.counters.graced == 1
    node.pass_time(days=0.2)
    assert await node.peers.find(ADDRESS) is None


async def test_a_silent_operator_has_none_for_an_address_never_seen(node: Node) -> None:
    node.site.status = 503
    assert await node.peers.find(ADDRESS) is None
    assert (await node.peers.show(ADDRESS)).state == "unknown"


async def test_when_the_operator_answers_that_there_is_none_any_more_it_is_believed_and_told(
    node: Node, forge: Any
) -> None:
    made = forge.Forge()
    node.site.publish(ADDRESS, made.certificate(ADDRESS))
    await node.peers.find(ADDRESS)
    node.site.published.clear()
    node.pass_time(hours=2)
    assert await node.peers.find(ADDRESS) is None
    (event,) = node.events
    assert (event.action, event.outcome) == ("peer-key", "withdrawn")
    assert event.detail == {"domain": DOMAIN, "before": made.primary.fingerprint, "after": ""}


async def test_another_key_in_place_of_the_one_known_is_told_in_the_trace(node: Node, forge: Any) -> None:
    old, new = forge.Forge(), forge.Forge()
    node.site.publish(ADDRESS, old.certificate(ADDRESS))
    await node.peers.find(ADDRESS)
    node.site.publish(ADDRESS, new.certificate(ADDRESS))
    node.pass_time(hours=2)
    found = await node.peers.find(ADDRESS)
    assert found is not None
    assert found.certificate.fingerprint == new.primary.fingerprint
    (event,) = node.events
    assert (event.outcome, event.detail["before"], event.detail["after"]) == (
        "changed",
        old.primary.fingerprint,
        new.primary.fingerprint,
    )
    assert "zoe" not in repr(event)


async def test_a_revoked_certificate_without_another_is_refused(
    node: Node, forge: Any, revoked: Callable[[Any, str], bytes]
) -> None:
    made = forge.Forge()
    node.site.publish(ADDRESS, made.certificate(ADDRESS))
    await node.peers.find(ADDRESS)
    node.site.publish(ADDRESS, revoked(made, ADDRESS))
    node.pass_time(hours=2)
    for _ in range(2):
        with pytest.raises(Refusal) as refused:
            await node.peers.find(ADDRESS)
        assert (refused.value.code, refused.value.reason) == (550, "peer-certificate-revoked")
    assert len(node.site.asked) == 2
    assert [event.outcome for event in node.events] == ["revoked"]
    node.site.status = 503  # silence does not make it good again, nor absent, however long it lasts
    for days in (0.1, 8, 30):
        node.pass_time(days=days)
        await node.peers.sweep()
        with pytest.raises(Refusal):
            await (await node.again()).find(ADDRESS)


async def test_a_revoked_certificate_beside_its_successor_is_left_aside(
    node: Node, forge: Any, revoked: Callable[[Any, str], bytes]
) -> None:
    old, new = forge.Forge(), forge.Forge()
    node.site.publish(ADDRESS, revoked(old, ADDRESS) + new.certificate(ADDRESS))
    found = await node.peers.find(ADDRESS)
    assert found is not None
    assert found.certificate.fingerprint == new.primary.fingerprint


async def test_a_certificate_that_ends_meanwhile_is_used_no_more_and_asked_for_again(
    node: Node, forge: Any
) -> None:
    made = forge.Forge()
    ends = (Sub.KEY_EXPIRES_AFTER, (2 * 3600).to_bytes(4, "big"))  # an hour from now
    node.site.publish(ADDRESS, made.head + made.user_id(ADDRESS, says=[ends]) + made.bind())
    assert await node.peers.find(ADDRESS) is not None
    node.pass_time(hours=0.5)
    assert await node.peers.find(ADDRESS) is not None
    node.pass_time(hours=0.6)
    assert await node.peers.find(ADDRESS) is None
    assert len(node.site.asked) == 2


async def test_questions_about_one_address_are_one_question(node: Node, forge: Any) -> None:
    node.site.publish(ADDRESS, forge.Forge().certificate(ADDRESS))
    node.site.wait = lambda: asyncio.sleep(0.05)
    found = await asyncio.gather(*(node.peers.find(ADDRESS) for _ in range(50)))
    assert all(one == found[0] for one in found)
    assert found[0] is not None
    assert len(node.site.asked) == 1


async def test_nobody_waits_longer_than_patience_allows_and_the_answer_is_there_the_next_time(
    node: Node, forge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_PATIENCE", 0.1)
    go_on = asyncio.Event()
    node.site.wait = go_on.wait
    node.site.publish(ADDRESS, forge.Forge().certificate(ADDRESS))
    assert await node.peers.find(ADDRESS) is None
    assert node.peers.counters.late == 1
    go_on.set()
    async with asyncio.timeout(60):
        while await node.peers.find(ADDRESS) is None:
            await asyncio.sleep(0.01)
    assert len(node.site.asked) == 1


async def test_one_silent_domain_holds_no_other_up(node: Node, forge: Any) -> None:
    node.site.publish(ADDRESS, forge.Forge().certificate(ADDRESS))
    node.peers._directory._seconds = 3
    waiting = [asyncio.create_task(node.peers.find(f"someone{one}@{SILENT}")) for one in range(40)]
    await asyncio.sleep(0)
    assert await node.peers.find(ADDRESS) is not None
    assert not any(task.done() for task in waiting)
    assert await asyncio.gather(*waiting) == [None] * 40
    # Those who stood behind the first ones were let go with their silence.
    assert node.peers.counters.asked < 10


async def test_a_domain_that_is_silent_is_left_alone_for_a_while(node: Node, forge: Any) -> None:
    node.site.status = 503
    for one in range(5):
        await node.peers.find(f"someone{one}@{DOMAIN}")
    assert len(node.site.asked) == 2
    assert node.peers.counters.spared == 3
    assert node.peers.circuit.open == 1
    node.site.status = 200
    node.site.publish(ADDRESS, forge.Forge().certificate(ADDRESS))
    assert await node.peers.find(ADDRESS) is None
    node.pass_time(hours=circuit.LONGEST_PAUSE / 3_600_000)
    assert await node.peers.find(ADDRESS) is not None
    assert node.peers.circuit.open == 0


async def test_an_administrator_may_ask_now(node: Node, forge: Any) -> None:
    assert await node.peers.find(ADDRESS) is None
    made = forge.Forge()
    node.site.publish(ADDRESS, made.certificate(ADDRESS))
    shown = await node.peers.refresh(ADDRESS)
    assert (shown.state, shown.fingerprint) == ("valid", made.primary.fingerprint)
    node.site.status = 503
    with pytest.raises(Silent):
        await node.peers.refresh(ADDRESS)


async def test_new_authorities_count_from_the_next_question_on(
    node: Node, forge: Any, tmp_path: Path
) -> None:
    node.site.publish(ADDRESS, forge.Forge().certificate(ADDRESS))
    foreign = TestAuthority.create("ETRANGERE").write(tmp_path / "foreign")
    node.peers.use(
        WkdClient(tls_of(foreign), {DOMAIN: f"127.0.0.1:{node.site.port}"}, seconds=60, connections=1)
    )
    assert await node.peers.find(ADDRESS) is None
    assert node.site.asked == []
    await node.peers.settled()


async def test_what_its_operator_says_an_address_takes_comes_with_the_certificate_and_is_remembered(
    node: Node, forge: Any
) -> None:
    node.site.publish(ADDRESS, forge.Forge().certificate(ADDRESS))
    node.site.head = b"Vaguemestre-Largest: 26214400\r\n"
    found = await node.peers.find(ADDRESS)
    assert found is not None
    assert found.largest == 26_214_400
    await node.peers.settled()
    kept = await (await node.again()).find(ADDRESS)
    assert kept is not None
    assert kept.largest == 26_214_400
    assert len(node.site.asked) == 1


@pytest.mark.parametrize("said", [b"", b"much", b"-1", b"9" * 13, b"1.5", b"\xb2"])
async def test_a_size_that_is_no_number_limits_nothing(node: Node, forge: Any, said: bytes) -> None:
    node.site.publish(ADDRESS, forge.Forge().certificate(ADDRESS))
    node.site.head = b"Vaguemestre-Largest: " + said + b"\r\n"
    found = await node.peers.find(ADDRESS)
    assert found is not None
    assert found.largest == 0
