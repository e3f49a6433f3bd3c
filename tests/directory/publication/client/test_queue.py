"""The queue of publication, on both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from directory.certificates.service import open_database
from directory.publication.client.queue import PublicationQueue
from directory.publication.client.states import Shown, Step
from tests.directory.publication.client.conftest import BASE, PAUL, ZOE, entry

TEXT, OTHER = entry().as_text(), entry(rank=2).as_text()


@pytest.fixture
def queue(either: str) -> Iterator[PublicationQueue]:
    made = PublicationQueue(open_database(either), "one", BASE)
    yield made
    made.close()


def test_what_is_wanted_is_due_at_once_and_the_longest_waiting_comes_first(queue: PublicationQueue) -> None:
    queue.want({ZOE: TEXT}, 20)
    queue.want({PAUL: TEXT}, 10)
    assert queue.due(9) == []
    assert queue.due(20) == [PAUL, ZOE]
    assert queue.due(20, limit=1) == [PAUL]
    assert queue.wanted() == {ZOE: TEXT, PAUL: TEXT}


def test_a_row_goes_through_its_life(queue: PublicationQueue) -> None:
    queue.want({ZOE: TEXT}, 1)
    claimed = queue.claim(ZOE, 1, 100)
    assert claimed is not None
    assert claimed.step() == (Step.INSERT, entry())
    queue.attempting(ZOE, TEXT)
    queue.failed(ZOE, "timeout", "silence", 60)
    assert queue.due(59) == []
    assert queue.due(60) == [ZOE]
    again = queue.claim(ZOE, 60, 160)
    assert again is not None
    assert (again.tries, again.reason, again.step()) == (1, "timeout", (Step.REPLACE, entry()))
    queue.confirmed(ZOE, TEXT, 61)
    queue.release(ZOE)
    assert queue.counts() == (1, 0, 0)
    queue.want({ZOE: OTHER}, 70)
    queue.refused(ZOE, OTHER, "no", "no, it says")
    assert queue.counts() == (0, 0, 1)
    assert queue.due(1000) == []
    (standing,) = queue.all()
    assert (standing.shown, standing.published_at, standing.words) == (Shown.REFUSED, 61, "no, it says")
    queue.allow([ZOE], 80)
    assert queue.due(80) == [ZOE]
    queue.want({ZOE: ""}, 90)
    queue.confirmed(ZOE, "", 91)
    assert queue.counts() == (0, 0, 0)
    (standing,) = queue.all()
    assert (standing.shown, standing.published_at) == (Shown.ABSENT, None)


def test_two_nodes_never_have_the_same_row(queue: PublicationQueue, either: str) -> None:
    other = PublicationQueue(open_database(either), "two", BASE)
    queue.want({ZOE: TEXT}, 1)
    assert queue.claim(ZOE, 1, 100) is not None
    assert other.claim(ZOE, 50, 150) is None
    assert other.due(50) == []
    assert queue.claim(ZOE, 50, 150) is not None, "who was killed has its own rows back at once"
    assert other.claim(ZOE, 151, 250) is not None, "and others have them when its time is over"
    other.close()


def test_a_withdrawal_and_what_follows_it(queue: PublicationQueue) -> None:
    queue.withdraw(ZOE, 5, "asked for it")
    assert queue.withdrawn() == {ZOE}
    queue.want({ZOE: ""}, 6)
    assert queue.withdrawn() == {ZOE}
    queue.allow([ZOE, "unknown@x.y"], 7)
    assert queue.withdrawn() == frozenset()


def test_thousands_are_wanted_in_one_go(queue: PublicationQueue) -> None:
    queue.want({f"p{number}@x.y": TEXT for number in range(1203)}, 1)
    assert queue.counts() == (0, 1203, 0)
    assert queue.settle() == 0
