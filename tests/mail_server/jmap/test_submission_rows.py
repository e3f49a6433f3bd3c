"""Submissions in the database say the same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from mail_server.jmap.interface import MethodError
from mail_server.jmap.submission_rows import (
    Addressed,
    Outcome,
    Submission,
    SubmissionRows,
    Undo,
    new_id,
    submission_changes,
    submission_state,
)
from mail_server.jmap.tables import metadata as jmap_metadata
from mail_server.keys.interface import KeyUnavailable
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.store.interface import Reader, Store, Transaction
from mail_server.store.settings import StoreSettings
from mail_server.store.store import LocalStore
from mail_server.store.tables import metadata as store_metadata
from tests.mail_server.jmap.conftest import ALICE, BOB, KEYS

pytestmark = pytest.mark.parametrize("where", ["sqlite", "postgresql"])


@pytest.fixture
async def both(where: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    settings = StoreSettings(free_space_floor=0)
    url = f"sqlite:///{tmp_path / 'mail.db'}"
    if where == "postgresql":
        make: Callable[[], str] = request.getfixturevalue("make_postgresql_database")
        settings = StoreSettings(free_space_floor=0, database=make())
        url = settings.url(tmp_path)
    engine = create_engine(url)
    store_metadata.create_all(engine)
    jmap_metadata.create_all(engine)
    engine.dispose()
    store = LocalStore(settings, tmp_path, KEYS)
    await store.start()
    await store.write(lambda transaction: transaction.open_account(ALICE))
    yield store
    await store.stop()


def submission(due: int = 1000) -> Submission:
    to = Addressed("alice@example.org", {"HOLDFOR": "15"}, ["a@x", "b@x"], given=True)
    to.outcomes = {each: Outcome("250 2.1.5 Waiting", "queued") for each in to.recipients}
    return Submission(
        new_id(), ALICE, ALICE, ALICE, "M1", "T1", to, "U1", due, Undo.PENDING, due, network="::1"
    )


async def test_a_submission_lives(both: Store):
    rows = SubmissionRows(KEYS)
    one = submission()
    await both.write(lambda transaction: rows.make(transaction.sql, one))
    assert await both.read(lambda reader: rows.of(reader.sql, ALICE)) == {one.id: one}
    assert await both.read(lambda reader: rows.of(reader.sql, BOB, [one.id])) == {}
    assert await both.read(lambda reader: rows.due(reader.sql, 999, 9)) == []
    assert await both.read(lambda reader: rows.next_due(reader.sql)) == 1000
    [due] = await both.read(lambda reader: rows.due(reader.sql, 1000, 9))
    assert await both.write(lambda transaction: rows.claim(transaction.sql, due, 5000))
    due.addressed.outcomes["a@x"] = Outcome("250 2.0.0 Accepted", "yes")
    await both.write(lambda transaction: rows.settle(transaction.sql, due, None))
    [told] = (await both.read(lambda reader: rows.of(reader.sql, ALICE, [one.id]))).values()
    assert (told.undo, told.due, told.attempts, told.addressed.waiting) == (Undo.FINAL, None, 1, ["b@x"])
    assert await both.write(lambda transaction: rows.destroy(transaction.sql, ALICE, one.id))
    assert await both.read(lambda reader: rows.of(reader.sql, ALICE)) == {}


async def test_two_nodes_never_claim_the_same(both: Store):
    rows = SubmissionRows(KEYS)
    one = submission()
    await both.write(lambda transaction: rows.make(transaction.sql, one))
    [first] = await both.read(lambda reader: rows.due(reader.sql, 1000, 9))
    [second] = await both.read(lambda reader: rows.due(reader.sql, 1000, 9))
    assert await both.write(lambda transaction: rows.claim(transaction.sql, first, 5000))
    assert not await both.write(lambda transaction: rows.claim(transaction.sql, second, 5000))


async def test_what_is_called_back_is_not_claimed_and_what_is_claimed_is_not_called_back(both: Store):
    rows = SubmissionRows(KEYS)
    one, two = submission(), submission()
    for each in (one, two):
        await both.write(lambda transaction, each=each: rows.make(transaction.sql, each))
    assert not await both.write(lambda transaction: rows.cancel(transaction.sql, BOB, one.id))
    assert await both.write(lambda transaction: rows.cancel(transaction.sql, ALICE, one.id))
    assert not await both.write(lambda transaction: rows.claim(transaction.sql, one, 5000))
    assert await both.write(lambda transaction: rows.claim(transaction.sql, two, 5000))
    assert not await both.write(lambda transaction: rows.cancel(transaction.sql, ALICE, two.id))


async def test_what_was_under_way_is_due_again_at_once(both: Store):
    rows = SubmissionRows(KEYS)
    claimed, waiting = submission(), submission(9000)
    for each in (claimed, waiting):
        await both.write(lambda transaction, each=each: rows.make(transaction.sql, each))
    await both.write(lambda transaction: rows.claim(transaction.sql, claimed, 700_000))
    await both.write(lambda transaction: rows.again(transaction.sql, 2000))
    due = await both.read(lambda reader: rows.due(reader.sql, 2000, 9))
    assert [each.id for each in due] == [claimed.id]


async def test_states_are_told_step_by_step_until_they_are_forgotten(both: Store):
    rows = SubmissionRows(KEYS)
    start = await both.read(lambda reader: submission_state(reader, ALICE))
    made = [submission() for _ in range(3)]
    for each in made:
        await both.write(lambda transaction, each=each: rows.make(transaction.sql, each))

    async def changes(state: str, limit: int = 9) -> Any:
        return await both.read(lambda reader: submission_changes(reader, ALICE, state, limit))

    first = await changes(start, 2)
    assert (first.created, first.more) == ([each.id for each in made[:2]], True)
    state = await both.read(lambda reader: submission_state(reader, ALICE))
    await both.write(lambda transaction: rows.cancel(transaction.sql, ALICE, made[0].id))
    await both.write(lambda transaction: rows.destroy(transaction.sql, ALICE, made[1].id))
    told = await changes(state)
    assert (told.created, told.updated, told.destroyed) == ([], [made[0].id], [made[1].id])

    def forget(transaction: Transaction) -> int:
        return rows.forget(transaction.sql, 2000)

    assert await both.write(forget) == 1, "the one that was called back; the others are still to leave"
    with pytest.raises(MethodError):
        await changes(start)


async def test_what_does_not_open_stands_in_nobodys_way(both: Store):
    other, rows = SubmissionRows(AesKeyWrapper(b"x" * 32)), SubmissionRows(KEYS)
    bad, good = submission(1), submission(2)
    await both.write(lambda transaction: other.make(transaction.sql, bad))
    await both.write(lambda transaction: rows.make(transaction.sql, good))

    def due(reader: Reader) -> list[str]:
        return [each.id for each in rows.due(reader.sql, 10, 9)]

    with pytest.raises(KeyUnavailable):
        await both.read(due)
    await both.write(lambda transaction: rows.set_aside(transaction.sql, 10, 900))
    assert await both.read(due) == [good.id]


async def test_recipients_lie_sealed(both: Store):
    rows = SubmissionRows(KEYS)
    await both.write(lambda transaction: rows.make(transaction.sql, submission()))
    stored = await both.read(lambda reader: reader.sql.all("SELECT * FROM jmap_submission"))
    assert "a@x" not in repr(stored)
