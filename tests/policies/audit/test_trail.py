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
from policies.audit.classes import Retention
from policies.audit.query import Filter, count, find
from policies.audit.trail import ChainedTrail
from policies.audit.verify import chains, verify
from policies.interface import Event


def event(action: str = "deliver", at: int = 1_700_000_000_000, **more: Any) -> Event:
    return Event(action, at, more.pop("actor", "operator:CN=mx,C=FR"), **more)


def test_entries_are_numbered_and_each_class_has_its_own_links(sql: Any) -> None:
    trail = ChainedTrail("node")
    trail.append(sql, [event(), event("refuse", outcome="relay")])
    trail.append(sql, [event("login"), event("keep")])
    found = find(sql, Filter())
    assert [(each.seq, each.action, each.retention) for each in found] == [
        (1, "deliver", Retention.FUNCTIONAL),
        (2, "refuse", Retention.TECHNICAL),
        (3, "login", Retention.TECHNICAL),
        (4, "keep", Retention.FUNCTIONAL),
    ]
    links = {each.seq: each.link for each in found}
    assert entry.link_of(links[1], entry.leaf_of(found[3].salt, found[3][: entry.FIELDS])) == links[4]
    assert entry.link_of(links[2], entry.leaf_of(found[2].salt, found[2][: entry.FIELDS])) == links[3]
    assert verify(sql, "node").whole


def test_the_leaf_is_over_a_mark_the_salt_and_the_fields_as_json_and_the_link_over_what_was_before(
    sql: Any,
) -> None:
    at = 1_700_000_000_000
    ChainedTrail("node").append(
        sql, [event(subject="é", detail={"size": "3"}, behalf="b", kind="k", door="imap")]
    )
    (found,) = find(sql, Filter())
    day = at // 86_400_000
    text = (
        f'["node",1,1,{day},{at},"deliver","operator:CN=mx,C=FR","\\u00e9","b","k","imap","done","","","",'
        '"{\\"size\\":\\"3\\"}"]'
    )
    leaf = hashlib.sha256(b"vaguemestre audit leaf 2\n" + found.salt + text.encode()).digest()
    opening = b"vaguemestre audit day 2\n" + bytes(32) + f'["node",1,{day}]'.encode()
    opened = hashlib.sha256(opening).digest()
    assert len(found.salt) == 16
    assert found.link == hashlib.sha256(b"vaguemestre audit link 2\n" + opened + leaf).digest()


def test_each_day_begins_with_the_head_of_the_day_before_of_its_class(sql: Any) -> None:
    trail, day = ChainedTrail("node"), 86_400_000
    trail.append(
        sql, [event("deliver", 5), event("login", 6), event("deliver", day + 1), event("login", 3 * day)]
    )
    one, two, three, four = find(sql, Filter())
    assert [each.day for each in (one, two, three, four)] == [0, 0, 1, 3]
    leaf = entry.leaf_of(three.salt, three[: entry.FIELDS])
    assert three.link == entry.link_of(entry.opening_of("node", Retention.FUNCTIONAL, 1, one.link), leaf)
    leaf = entry.leaf_of(four.salt, four[: entry.FIELDS])
    assert four.link == entry.link_of(entry.opening_of("node", Retention.TECHNICAL, 3, two.link), leaf)
    assert verify(sql, "node").whole


def test_what_a_clock_put_back_dates_earlier_goes_on_in_the_day_that_has_begun(sql: Any) -> None:
    day = 86_400_000
    ChainedTrail("node").append(
        sql, [event("deliver", 5 * day), event("deliver", 2 * day), event("deliver", 5 * day)]
    )
    assert [(each.seq, each.day, each.at) for each in sorted(find(sql, Filter()))] == [
        (1, 5, 5 * day),
        (2, 5, 2 * day),
        (3, 5, 5 * day),
    ]
    found = verify(sql, "node")
    assert found.whole
    assert [(step.seq, step.at, step.after) for step in found.steps] == [(2, 2 * day, 5 * day)]


def test_the_first_read_of_a_letter_by_a_person_is_told_apart_from_the_next_ones(sql: Any) -> None:
    trail = ChainedTrail("node")
    read = event("read", actor="a", subject="a", reference="M1")
    trail.append(sql, [read, read])
    sql.run("BEGIN")
    trail.append(sql, [event("read", actor="b", subject="a", reference="M1")])
    sql.run("ROLLBACK")
    trail.append(sql, [event("read", actor="b", subject="a", reference="M1"), read])
    assert [each.details.get("first", "") for each in find(sql, Filter())] == ["yes", "", "yes", ""]


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
    event = Event(text, 1, text, text, text, detail=detail, behalf=text, kind=text, door=text)
    row = entry.fields_of("node", 1, Retention.FUNCTIONAL, 0, event)
    json.loads(row[-1])
    assert all("\0" not in value for value in row if isinstance(value, str))
    for value in row:
        str(value).encode("utf-8")
    assert len(entry.leaf_of(bytes(16), row)) == 32


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
