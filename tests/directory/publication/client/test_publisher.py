"""How the national directory comes to tell what is wanted: whatever fails on the way, once and as it is now."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from directory.publication.client.publisher import NO_HOLDER
from directory.publication.client.queue import PublicationQueue
from directory.publication.client.states import Shown
from tests.directory.publication.client.conftest import OTHER_RPPS, PAUL, RPPS, ZOE, Desk, entry
from tests.directory.publication.client.national import KEY, cut, lost, outcome, status


async def test_a_mailbox_is_published_and_the_trace_is_told(desk: Desk) -> None:
    desk.want(entry())
    assert await desk.round() == [("insert", ZOE)]
    assert desk.national.told[ZOE]["holder"] == RPPS
    assert desk.standing().shown is Shown.PUBLISHED
    assert desk.standing().published_at == desk.time[0]
    assert desk.noted == [(ZOE, "listing-published", "done", "insert")]
    assert set(desk.national.keys) == {KEY}


async def test_what_stands_as_wanted_is_not_asked_again(desk: Desk) -> None:
    desk.want(entry())
    await desk.round()
    desk.want(entry())
    desk.later(600)
    assert await desk.round() == []


async def test_a_change_replaces_and_keeps_since_when_it_is_published(desk: Desk) -> None:
    desk.want(entry())
    await desk.round()
    since = desk.time[0]
    desk.later(5)
    desk.want(entry(red_list=True, rank=2))
    assert await desk.round() == [("replace", ZOE)]
    assert desk.national.told[ZOE]["rank"] == 2
    assert desk.standing().published_at == since


async def test_many_changes_before_its_turn_are_one_question(desk: Desk) -> None:
    for rank in range(1, 20):
        desk.want(entry(rank=rank))
    assert await desk.round() == [("insert", ZOE)]
    assert desk.national.told[ZOE]["rank"] == 19


async def test_what_came_and_went_before_its_turn_is_never_told(desk: Desk) -> None:
    desk.want(entry())
    desk.forget()
    assert await desk.round() == []
    assert desk.standing().shown is Shown.ABSENT


async def test_who_is_gone_here_is_gone_there(desk: Desk) -> None:
    desk.want(entry())
    await desk.round()
    desk.forget()
    assert await desk.round() == [("delete", ZOE)]
    assert desk.national.told == {}
    assert desk.standing().shown is Shown.ABSENT
    assert desk.noted[-1] == (ZOE, "listing-withdrawn", "done", "delete")


async def test_what_is_gone_there_already_is_gone(desk: Desk) -> None:
    desk.want(entry())
    await desk.round()
    desk.forget()
    desk.national.faults.append(lambda _, __: outcome(404, "not-found", "nobody"))
    await desk.round()
    assert desk.standing().shown is Shown.ABSENT


async def test_a_mailbox_of_somebody_else_now_is_taken_from_the_first(desk: Desk) -> None:
    desk.want(entry())
    await desk.round()
    desk.want(entry(holder=OTHER_RPPS))
    assert await desk.round() == [("delete", ZOE), ("insert", ZOE)]
    assert desk.national.told[ZOE]["holder"] == OTHER_RPPS


# -- refused


async def test_a_holder_that_nobody_knows_there_is_refused_once_with_the_reason(desk: Desk) -> None:
    desk.want(entry(holder="800000000000"))
    assert await desk.round() == [("insert", ZOE)]
    standing = desk.standing()
    assert standing.shown is Shown.REFUSED
    assert (standing.reason, standing.words) == (
        "not-found",
        "The national directory does not know its holder. It says: inconnu",
    )
    assert desk.noted == [(ZOE, "listing-published", "refused", "not-found")]
    desk.later(10_000)
    assert await desk.round() == []


@pytest.mark.parametrize("code", [400, 403, 412, 422])
async def test_what_is_refused_is_asked_again_when_it_changes(desk: Desk, code: int) -> None:
    desk.national.faults.append(lambda _, __: outcome(code, "invalid", "non"))
    desk.want(entry())
    await desk.round()
    assert desk.standing().shown is Shown.REFUSED
    desk.later(10_000)
    assert await desk.round() == []
    desk.want(entry(rank=2))
    assert await desk.round() == [("insert", ZOE)]
    assert desk.standing().shown is Shown.PUBLISHED


async def test_what_is_refused_is_asked_again_when_an_administrator_says_so(desk: Desk) -> None:
    desk.want(entry(holder="800000000000"))
    await desk.round()
    desk.national.holders.add("800000000000")
    desk.queue.allow([ZOE], desk.time[0])
    assert await desk.round() == [("insert", ZOE)]
    assert desk.standing().shown is Shown.PUBLISHED


async def test_publishing_again_tells_what_the_other_side_forgot(desk: Desk) -> None:
    """After a backup was restored there, or here."""
    desk.want(entry(), entry(PAUL, OTHER_RPPS))
    await desk.round()
    del desk.national.told[ZOE]
    desk.queue.allow([ZOE, PAUL], desk.time[0])
    asked = await desk.round()
    assert asked == [("replace", PAUL), ("replace", ZOE), ("insert", ZOE)]
    assert set(desk.national.told) == {ZOE, PAUL}
    assert desk.standing().shown is Shown.PUBLISHED


async def test_a_refused_change_leaves_what_is_published_and_says_so(desk: Desk) -> None:
    desk.want(entry())
    await desk.round()
    desk.national.faults.append(lambda _, __: outcome(422, "business-rule", "non"))
    desk.want(entry(rank=2))
    await desk.round()
    assert desk.standing().shown is Shown.REFUSED
    assert desk.national.told[ZOE]["rank"] == 1
    desk.want(entry())  # as it was before: that is what is there
    assert await desk.round() == []
    assert desk.standing().shown is Shown.PUBLISHED


async def test_a_mailbox_of_nobody_is_not_even_asked_about(desk: Desk) -> None:
    desk.want(entry(holder=""))
    assert await desk.round() == []
    assert (desk.standing().shown, desk.standing().reason) == (Shown.REFUSED, NO_HOLDER)


async def test_one_that_is_refused_keeps_no_other_waiting(desk: Desk) -> None:
    desk.want(entry(holder="800000000000"), entry(PAUL, OTHER_RPPS))
    await desk.round()
    assert set(desk.national.told) == {PAUL}


# -- out of order


async def test_a_failure_is_tried_again_later_and_later(desk: Desk) -> None:
    desk.want(entry())
    waited: list[float] = []
    for _ in range(4):
        desk.national.faults.append(status(503))
        await desk.round()
        standing = desk.standing()
        waited.append((standing.next_at - desk.time[0]) / 60_000)
        assert standing.shown is Shown.PENDING
        assert standing.reason == "status-503"
        desk.later(waited[-1] - 0.02)
        assert await desk.round() == []
        desk.later(0.02)
    assert [pytest.approx(minutes, rel=0.11) for minutes in (1, 5, 30, 30)] == waited
    assert await desk.round() == [("replace", ZOE), ("insert", ZOE)]
    assert desk.standing().shown is Shown.PUBLISHED


async def test_too_many_requests_is_heard_by_all(desk: Desk) -> None:
    desk.want(entry(), entry(PAUL, OTHER_RPPS))
    desk.national.faults.append(status(429, retry_after="120"))
    assert await desk.round() == []
    assert len(desk.national.keys) == 1
    desk.later(1.9)
    await desk.round()
    assert len(desk.national.keys) == 1
    desk.later(0.2)
    await desk.round()
    assert set(desk.national.told) == {ZOE, PAUL}
    assert desk.standing().tries == 0


async def test_a_directory_that_is_down_is_left_alone_after_three(desk: Desk) -> None:
    people = [entry(f"p{number}@cabinet.mss.example") for number in range(10)]
    desk.want(*people)
    desk.national.faults.extend([cut] * 50)
    await desk.round()
    assert len(desk.national.keys) == 3
    await desk.round()
    assert len(desk.national.keys) == 3
    desk.national.faults.clear()
    desk.later(2)
    await desk.round()
    assert len(desk.national.told) == 10


async def test_a_key_that_is_not_taken_stops_everything_and_refuses_nobody(desk: Desk) -> None:
    desk.want(entry(), entry(PAUL, OTHER_RPPS))
    desk.national.faults.append(lambda _, __: outcome(401, "login", "clé inconnue"))
    await desk.round()
    assert len(desk.national.keys) == 1
    assert "clé inconnue" in desk.publisher.shut
    assert desk.standing(PAUL).shown is Shown.PENDING
    desk.later(6)
    await desk.round()
    assert set(desk.national.told) == {ZOE, PAUL}
    assert desk.publisher.shut == ""


async def test_an_answer_that_was_lost_makes_no_second_entry(desk: Desk) -> None:
    desk.want(entry())
    desk.national.faults.append(lost)
    await desk.round()
    assert desk.standing().shown is Shown.PENDING
    desk.want(entry(rank=5))
    desk.later(2)
    assert await desk.round() == [("replace", ZOE)]
    assert desk.national.told[ZOE]["rank"] == 5


async def test_what_may_have_been_told_is_taken_back_when_it_is_not_wanted_any_more(desk: Desk) -> None:
    desk.want(entry())
    desk.national.faults.append(lost)
    await desk.round()
    assert ZOE in desk.national.told
    desk.forget()
    desk.later(2)
    assert await desk.round() == [("delete", ZOE)]
    assert desk.national.told == {}


async def test_one_that_is_there_already_is_replaced(desk: Desk) -> None:
    """Somebody put it there before us: another node, or we, before our database was lost."""
    desk.national.told[ZOE] = {"value": ZOE, "rank": 9, "holder": RPPS}
    desk.want(entry())
    assert await desk.round() == [("insert", ZOE), ("replace", ZOE)]
    assert desk.national.told[ZOE]["rank"] == 1


async def test_a_directory_that_says_yes_and_no_in_turn_is_not_asked_for_ever(desk: Desk) -> None:
    desk.want(entry())
    for number in range(20):
        code, slug = ((409, "duplicate"), (422, "not-found"))[number % 2]
        desk.national.faults.append(lambda _, __, code=code, slug=slug: outcome(code, slug, ""))
    await desk.round()
    assert len(desk.national.keys) == 3
    assert desk.standing().reason == "contradiction"


# -- several nodes, and sudden ends


async def test_a_row_is_asked_for_by_one_node_at_a_time(
    desk: Desk, open_queue: Callable[..., PublicationQueue]
) -> None:
    desk.want(entry())
    other, now = open_queue("two"), desk.time[0]
    assert other.claim(ZOE, now, now + 60_000) is not None
    assert await desk.round() == []
    desk.later(1.1)  # the other one died
    assert await desk.round() == [("insert", ZOE)]


async def test_another_national_directory_is_told_everything_anew(
    desk: Desk, open_queue: Callable[..., PublicationQueue]
) -> None:
    desk.want(entry())
    await desk.round()
    moved = open_queue("one", "https://other.example/fhir")
    assert moved.settle() == 1
    assert moved.settle() == 0
    assert moved.due(desk.time[0]) == [ZOE]


async def test_withdrawn_is_durable_and_is_lifted_by_publishing(
    desk: Desk, open_queue: Callable[..., PublicationQueue]
) -> None:
    desk.want(entry())
    await desk.round()
    desk.queue.withdraw(ZOE, desk.time[0], "asked for it")
    assert await desk.round() == [("delete", ZOE)]
    assert open_queue("two").withdrawn() == {ZOE}
    desk.queue.allow([ZOE], desk.time[0])
    assert open_queue("two").withdrawn() == frozenset()


_DIES = """
import asyncio, os, signal, ssl, sys
import httpx
from directory.publication.client import publisher
from directory.publication.client.queue import PublicationQueue
from directory.publication.client.remote import NationalDirectory
from directory.certificates.service import open_database
from tests.directory.publication.client.national import Wire
where, dies_after, log_file = sys.argv[1:4]

async def answer(request):
    with open(log_file, "ab") as log:
        log.write(request.content + b"\\n")
        log.flush()
        os.fsync(log.fileno())
    if dies_after == "asked":
        os.kill(os.getpid(), signal.SIGKILL)
    return httpx.Response(200)

async def main():
    queue = PublicationQueue(open_database(where), "one", "https://national.example/fhir/v2")
    remote = NationalDirectory("https://national.example/fhir/v2", "", ssl.create_default_context(), 60,
                               Wire(answer))
    await publisher.Publisher(queue, remote, retry_minutes=(1,), seconds=5, clock=lambda: 1_800_000_000_000,
                              noted=lambda *_: os.kill(os.getpid(), signal.SIGKILL)).round()

asyncio.run(main())
"""


@pytest.mark.parametrize("dies_after", ["asked", "confirmed"])
async def test_a_sudden_end_loses_nothing_and_doubles_nothing(
    desk: Desk, place: str, dies_after: str, tmp_path: Path
) -> None:
    """Killed between the national directory's word and ours, and just after ours."""
    desk.want(entry())
    script = tmp_path / "dies.py"
    script.write_text(textwrap.dedent(_DIES))
    root = str(Path(__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *sys.path])}
    log = tmp_path / "asked"
    command = [sys.executable, script, place, dies_after, log]
    ended = subprocess.run(command, env=environment, timeout=120, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert log.read_bytes().count(b"insert") == 1
    await desk.round()
    if dies_after == "confirmed":
        assert desk.national.asked == []
    else:  # it may have been taken: what asks first makes no second one
        assert desk.national.asked[0] == ("replace", ZOE)
        assert ZOE in desk.national.told
    assert desk.standing().shown is Shown.PUBLISHED
