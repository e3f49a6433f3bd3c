"""The trace: chained, without a gap after a rollback, without content."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.audit import entry
from policies.audit.query import Filter, count, find
from policies.audit.trail import ChainedTrail
from policies.audit.verify import Head, chains, verify
from policies.interface import Event


def event(action: str = "deliver", at: int = 1_700_000_000_000, **more: Any) -> Event:
    return Event(action, at, more.pop("actor", "operator:CN=mx,C=FR"), **more)


def test_entries_are_numbered_and_each_holds_the_hash_of_the_one_before(sql: Any) -> None:
    trail = ChainedTrail("node")
    trail.append(sql, [event(), event("refuse", outcome="relay")])
    trail.append(sql, [event("login")])
    found = find(sql, Filter())
    assert [(each.seq, each.action) for each in found] == [(1, "deliver"), (2, "refuse"), (3, "login")]
    assert found[0].previous == bytes(32)
    assert [each.previous for each in found[1:]] == [each.hash for each in found[:-1]]
    assert verify(sql, "node").whole


def test_the_hash_is_over_a_mark_the_hash_before_and_the_fields_as_json(sql: Any) -> None:
    ChainedTrail("node").append(sql, [event(subject="é", detail={"size": "3"})])
    (found,) = find(sql, Filter())
    text = '["node",1,1700000000000,"deliver","operator:CN=mx,C=FR","\\u00e9","done","","","","{\\"size\\":\\"3\\"}"]'
    assert found.hash == hashlib.sha256(b"vaguemestre audit 1\n" + bytes(32) + text.encode()).digest()


def test_many_events_of_one_act_follow_each_other(sql: Any) -> None:
    trail = ChainedTrail("node")
    trail.append(sql, [event(subject=str(number)) for number in range(100)])
    assert verify(sql, "node").entries == 100
    assert [each.subject for each in find(sql, Filter(last=2))] == ["98", "99"]


def test_nothing_is_written_for_no_event(sql: Any) -> None:
    ChainedTrail("node").append(sql, [])
    assert chains(sql) == []


# -- rollback and restart -------------------------------------------------------------------------------------


def test_a_rollback_leaves_no_gap(sql: Any) -> None:
    trail = ChainedTrail("node")
    trail.append(sql, [event("a")])
    sql.run("BEGIN")
    trail.append(sql, [event("lost"), event("lost")])
    sql.run("ROLLBACK")
    trail.append(sql, [event("b")])
    assert [(each.seq, each.action) for each in find(sql, Filter())] == [(1, "a"), (2, "b")]
    assert verify(sql, "node").whole


def test_an_operation_run_again_in_the_same_transaction_is_written_once(sql: Any) -> None:
    trail = ChainedTrail("node")
    sql.run("BEGIN")
    trail.append(sql, [event("neighbour")])
    sql.run("SAVEPOINT one")
    trail.append(sql, [event("again"), event("again")])
    sql.run("ROLLBACK TO one")
    trail.append(sql, [event("again"), event("again")])
    sql.run("COMMIT")
    assert [each.action for each in find(sql, Filter())] == ["neighbour", "again", "again"]
    assert verify(sql, "node").whole


def test_the_very_first_entry_may_be_rolled_back_too(sql: Any) -> None:
    trail = ChainedTrail("node")
    sql.run("BEGIN")
    trail.append(sql, [event("lost")])
    sql.run("ROLLBACK")
    trail.append(sql, [event("a")])
    assert [(each.seq, each.action) for each in find(sql, Filter())] == [(1, "a")]


def test_a_chain_goes_on_after_a_restart_and_chains_do_not_mix(sql: Any) -> None:
    ChainedTrail("one").append(sql, [event("a")])
    ChainedTrail("two").append(sql, [event("b")])
    ChainedTrail("one").append(sql, [event("c")])
    assert chains(sql) == ["one", "two"]
    assert [each.action for each in find(sql, Filter(chain="one"))] == ["a", "c"]
    assert verify(sql, "one").whole
    assert verify(sql, "two").whole


@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=12))
def test_whatever_is_rolled_back_the_chain_is_whole(new_sql: Any, acts: list[tuple[int, bool]]) -> None:
    sql = new_sql()
    trail = ChainedTrail("node")
    kept = 0
    for number, commits in acts:
        sql.run("BEGIN")
        trail.append(sql, [event(str(number))] * number)
        sql.run("COMMIT" if commits else "ROLLBACK")
        kept += number if commits else 0
    outcome = verify(sql, "node")
    assert outcome.whole
    assert outcome.entries == kept


# -- tampering ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tampering", "seq", "reason"),
    [
        ("UPDATE audit_entry SET outcome = 'done' WHERE seq = 3", 3, "altered"),
        ('UPDATE audit_entry SET detail = \'{"size":"9"}\' WHERE seq = 3', 3, "altered"),
        ("UPDATE audit_entry SET at = at + 1 WHERE seq = 5", 5, "altered"),
        ("UPDATE audit_entry SET hash = zeroblob(32) WHERE seq = 2", 2, "altered"),
        ("UPDATE audit_entry SET previous = zeroblob(32) WHERE seq = 2", 2, "unlinked"),
        ("DELETE FROM audit_entry WHERE seq = 2", 2, "missing"),
        ("DELETE FROM audit_entry WHERE seq = 1", 1, "missing"),
        ("UPDATE audit_entry SET seq = 0 WHERE seq = 1", 1, "missing"),
        ("UPDATE audit_entry SET seq = 99 WHERE seq = 2", 2, "missing"),
    ],
)
def test_the_first_break_is_found(sql: Any, tampering: str, seq: int, reason: str) -> None:
    ChainedTrail("node").append(sql, [event(outcome="relay", subject=str(number)) for number in range(6)])
    sql.run(tampering)
    outcome = verify(sql, "node")
    assert outcome.broken is not None
    assert (outcome.broken.seq, outcome.broken.reason) == (seq, reason)


def test_a_cut_at_the_end_shows_against_a_head_noted_elsewhere(sql: Any) -> None:
    ChainedTrail("node").append(sql, [event()] * 4)
    noted = Head.parse(str(verify(sql, "node").head))
    assert verify(sql, "node", noted).whole
    sql.run("DELETE FROM audit_entry WHERE seq = 4")
    assert verify(sql, "node").whole, "the chain alone cannot tell"
    outcome = verify(sql, "node", noted)
    assert outcome.broken is not None
    assert outcome.broken.reason == "head-missing"


def test_a_chain_written_anew_shows_against_a_head_noted_elsewhere(sql: Any) -> None:
    ChainedTrail("node").append(sql, [event()] * 4)
    noted = verify(sql, "node").head
    sql.run("DELETE FROM audit_entry")
    ChainedTrail("node").append(sql, [event("other")] * 5)
    outcome = verify(sql, "node", noted)
    assert outcome.broken is not None
    assert (outcome.broken.seq, outcome.broken.reason) == (4, "head-differs")


# -- no content -----------------------------------------------------------------------------------------------


def test_a_detail_that_is_not_permitted_is_dropped_and_told_without_its_value(
    sql: Any, caplog: pytest.LogCaptureFixture
) -> None:
    trail = ChainedTrail("node")
    with caplog.at_level(logging.ERROR, "vaguemestre.policies"):
        trail.append(sql, [event(detail={"message_subject": "Grossesse", "size": "3"})] * 2)
    found = find(sql, Filter())[0]
    assert found.details == {"size": "3", "dropped": "1"}
    assert len(caplog.records) == 1, "told once"
    assert "Grossesse" not in caplog.text
    assert "Grossesse" not in str(sql.all("SELECT * FROM audit_entry"))


def test_the_id_shown_to_a_peer_is_found_whichever_way_it_came(sql: Any) -> None:
    ChainedTrail("node").append(sql, [event("refuse", detail={"reference": "3f0c", "cause": "size"})])
    (found,) = find(sql, Filter(reference="3f0c"))
    assert found.details == {"cause": "size"}


def test_values_are_capped_and_freed_of_control_characters(sql: Any) -> None:
    ChainedTrail("node").append(sql, [event(session="a\x1b[2J\r\nb", detail={"address": "x" * 5000})])
    (found,) = find(sql, Filter())
    assert found.session == "a\ufffd[2J\ufffd\ufffdb"
    assert len(found.details["address"]) == entry.LONGEST


@given(st.text(), st.dictionaries(st.sampled_from(sorted(entry.DETAIL_KEYS)), st.text(), max_size=3))
def test_any_text_is_stored_and_hashed_alike(text: str, detail: dict[str, str]) -> None:
    row = entry.row_of("node", 1, Event(text, 1, text, text, text, detail=detail), entry.GENESIS)
    json.loads(row[10])
    assert all("\0" not in value for value in row if isinstance(value, str))
    for value in row[:11]:
        str(value).encode("utf-8")


# -- queries --------------------------------------------------------------------------------------------------


def test_entries_are_found_by_what_they_tell(sql: Any) -> None:
    ChainedTrail("node").append(
        sql,
        [
            event("deliver", 10, actor="a", subject="b", reference="m1"),
            event("refuse", 20, actor="a", outcome="relay", reference="r1", network="::1"),
            event("login", 30, actor="b", subject="b", session="s"),
        ],
    )

    def actions(**wanted: Any) -> list[str]:
        assert count(sql, Filter(**wanted)) == len(find(sql, Filter(**wanted)))
        return [each.action for each in find(sql, Filter(**wanted))]

    assert actions() == ["deliver", "refuse", "login"]
    assert actions(actor="a") == ["deliver", "refuse"]
    assert actions(party="b") == ["deliver", "login"]
    assert actions(refused_only=True) == ["refuse"]
    assert actions(reference="r1") == ["refuse"]
    assert actions(network="::1") == ["refuse"]
    assert actions(since=20, until=30) == ["refuse"]
    assert actions(action="login", session="s") == ["login"]
    assert actions(subject="' OR 1=1 --") == []
    assert [each.action for each in find(sql, Filter(last=1))] == ["login"]
