"""What the trace no longer may tell is emptied, provably, and no more than that."""

from __future__ import annotations

import datetime as dt
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from policies.audit.classes import Retention
from policies.audit.query import Filter, Place, count, find, of_parties
from policies.audit.tables import metadata
from policies.audit.trail import ChainedTrail, heads_of
from policies.audit.verify import verify
from policies.interface import Event
from policies.retention.periods import Periods, day_of, months_before, number_of
from policies.retention.purge import all_due, due, empty

DAY = 86_400_000
FIRST = 20_000


def fill(sql: Any, days: int = 6) -> ChainedTrail:
    """Each day a login and a reading of Mrs Martin's, and one of somebody else."""
    trail = ChainedTrail("node")
    for day in range(FIRST, FIRST + days):
        at = day * DAY
        trail.append(
            sql,
            [
                Event("login", at, "martin", "martin", network="203.0.113.77", detail={"label": "Telefon"}),
                Event("read", at + 1, "martin", "martin", reference=f"M{day}"),
                Event("login-failed", at + 2, "unknown", "other", "wrong-password"),
            ],
        )
    return trail


def purge(sql: Any, trail: ChainedTrail, retention: Retention, before: int, batch: int = 3) -> int:
    what = due(sql, "node", retention, before)
    told, after, done = what.told((FIRST + 10) * DAY, "node"), what.after, 0
    while after < what.until:
        made = empty(sql, trail, "node", what, after, batch, told)
        told, after, done = None, made.seq, done + made.count
        assert not made.broken
    return done


def test_a_class_is_emptied_of_the_days_before_and_the_chain_still_holds(sql: Any) -> None:
    trail = fill(sql)
    before = heads_of(sql, "node")
    assert purge(sql, trail, Retention.TECHNICAL, FIRST + 4) == 8
    assert count(sql, Filter(action="login")) == 2
    assert count(sql, Filter(action="read")) == 6, "the other class stays"
    verdict = verify(sql, "node", kept_from={0: FIRST + 4, 1: 0})
    assert (verdict.breaks, verdict.purged, verdict.seq) == ([], 8, before.seq + 1)
    assert heads_of(sql, "node").technical == before.technical


def test_nothing_of_what_was_emptied_is_left_in_the_tables(sql: Any) -> None:
    trail = fill(sql)
    purge(sql, trail, Retention.TECHNICAL, FIRST + 10)
    everything = str([sql.all(f"SELECT * FROM {table}") for table in metadata.tables])
    assert "203.0.113.77" not in everything
    assert "Telefon" not in everything
    assert sql.one(
        "SELECT COUNT(*) FROM audit_entry WHERE retention = 0 AND (at <> 0 OR length(salt) > 0)"
    ) == (0,)
    assert [each.action for each in of_parties(sql, ["other"], Place(0, "", 0), 2**60, 10)] == []


def test_nothing_of_what_was_emptied_is_left_in_the_file_of_the_database(tmp_path: Path) -> None:
    class FileSql:
        dialect = "sqlite"

        def __init__(self) -> None:
            self.connection = sqlite3.connect(tmp_path / "mail.db", isolation_level=None)
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA secure_delete = ON")

        def run(self, statement: str, parameters: Any = ()) -> int:
            return self.connection.execute(statement, parameters).rowcount

        def one(self, statement: str, parameters: Any = ()) -> Any:
            return self.connection.execute(statement, parameters).fetchone()

        def all(self, statement: str, parameters: Any = ()) -> Any:
            return self.connection.execute(statement, parameters).fetchall()

    engine = sa.create_engine(f"sqlite:///{tmp_path / 'mail.db'}")
    metadata.create_all(engine)
    engine.dispose()
    sql = FileSql()
    trail = fill(sql, 200)
    assert b"203.0.113.77" in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    purge(sql, trail, Retention.TECHNICAL, FIRST + 300)
    sql.one("PRAGMA wal_checkpoint(TRUNCATE)")
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"203.0.113.77" not in files
    assert b"Telefon" not in files
    assert verify(sql, "node").whole


def test_the_purge_is_itself_told_with_how_much_and_up_to_when(sql: Any) -> None:
    trail = fill(sql)
    purge(sql, trail, Retention.TECHNICAL, FIRST + 4)
    (told,) = find(sql, Filter(action="audit-purge"))
    assert told.retention == Retention.FUNCTIONAL
    assert told.details == {
        "class": "technical",
        "count": "8",
        "before": str(FIRST + 4),
        "since": day_of(FIRST).isoformat(),
        "until": day_of(FIRST + 3).isoformat(),
    }


def test_what_was_emptied_before_its_time_is_found_and_located(sql: Any) -> None:
    trail = fill(sql)
    purge(sql, trail, Retention.TECHNICAL, FIRST + 4)
    verdict = verify(sql, "node", kept_from={0: FIRST + 3, 1: 0})
    assert [(each.seq, each.reason, each.day) for each in verdict.breaks] == [
        (10, "purged-early", FIRST + 3),
        (12, "purged-early", FIRST + 3),
    ]


def test_what_was_emptied_without_a_word_is_found(sql: Any) -> None:
    trail = fill(sql)
    what = due(sql, "node", Retention.FUNCTIONAL, FIRST + 2)
    empty(sql, trail, "node", what, 0, 100, None)
    verdict = verify(sql, "node")
    assert [(each.seq, each.reason) for each in verdict.breaks] == [(5, "purged-untold")]


def test_an_entry_that_was_changed_is_not_emptied_nor_what_follows(sql: Any) -> None:
    trail = fill(sql)
    sql.run("UPDATE audit_entry SET network = '192.0.2.1' WHERE seq = 4")
    what = due(sql, "node", Retention.TECHNICAL, FIRST + 4)
    made = empty(sql, trail, "node", what, 0, 100, what.told(1, "node"))
    assert (made.count, made.seq, made.broken) == (2, 3, 4)
    assert [each.seq for each in verify(sql, "node").breaks] == [4]


def test_a_second_purge_goes_on_where_the_first_ended(sql: Any) -> None:
    trail = fill(sql)
    assert purge(sql, trail, Retention.TECHNICAL, FIRST + 2, batch=1) == 4
    assert due(sql, "node", Retention.TECHNICAL, FIRST + 2).count == 0
    assert due(sql, "node", Retention.TECHNICAL, FIRST + 3).after == 6
    assert purge(sql, trail, Retention.TECHNICAL, FIRST + 3) == 2
    assert purge(sql, trail, Retention.FUNCTIONAL, FIRST + 1) == 1
    assert verify(sql, "node", kept_from={0: FIRST + 3, 1: FIRST + 1}).whole


def test_a_rolled_back_batch_leaves_everything_as_it_was(sql: Any) -> None:
    trail = fill(sql)
    what = due(sql, "node", Retention.TECHNICAL, FIRST + 4)
    sql.run("BEGIN")
    empty(sql, trail, "node", what, 0, 100, what.told(1, "node"))
    sql.run("ROLLBACK")
    trail.append(sql, [Event("keep", (FIRST + 7) * DAY, "martin")])
    assert (verify(sql, "node").whole, verify(sql, "node").purged) == (True, 0)
    assert count(sql, Filter()) == 19


def test_a_letter_first_read_long_ago_leaves_no_line_behind(sql: Any) -> None:
    trail = fill(sql)
    purge(sql, trail, Retention.FUNCTIONAL, FIRST + 5)
    assert sql.all("SELECT message FROM audit_first_read") == [(f"M{FIRST + 5}",)]


@pytest.mark.parametrize(
    ("today", "months", "first"),
    [
        ("2026-11-22", 12, "2025-11-22"),
        ("2024-02-29", 12, "2023-02-28"),
        ("2026-03-31", 1, "2026-02-28"),
        ("2026-01-15", 1, "2025-12-15"),
        ("2026-12-31", 6, "2026-06-30"),
        ("2026-11-22", 240, "2006-11-22"),
    ],
)
def test_periods_are_months_of_the_calendar(today: str, months: int, first: str) -> None:
    assert months_before(dt.date.fromisoformat(today), months) == dt.date.fromisoformat(first)


def test_each_class_has_its_own_period(sql: Any) -> None:
    fill(sql)
    kept = Periods(1, 24).kept_from(int(dt.datetime(2026, 11, 22, 23, 59, tzinfo=dt.UTC).timestamp() * 1000))
    assert kept == {0: number_of(dt.date(2026, 10, 22)), 1: number_of(dt.date(2024, 11, 22))}
    assert [(each.retention, each.count) for each in all_due(sql, "node", kept)] == [
        (Retention.TECHNICAL, 12),
        (Retention.FUNCTIONAL, 6),
    ]
