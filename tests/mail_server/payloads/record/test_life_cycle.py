"""What becomes of documents, whoever says so and in whatever order letters come."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mail_server.payloads import manifest
from mail_server.payloads.manifest import DECISION, WITHDRAWAL, Item
from mail_server.payloads.record.life_cycle import LIVING, Arrival, identity, life_cycle

FILE = Path(__file__).parents[3] / "webmail" / "vectors" / "life_cycle.json"
HISTORIES: list[dict[str, Any]] = json.loads(FILE.read_text("utf-8"))


def arrival(told: dict[str, Any]) -> Arrival:
    found = manifest.of_json({"v": 1, "items": [told["item"]]})
    assert found is not None
    return Arrival(told["letter"], told["sender"], found.items[0], told["patient"], told["own"])


@pytest.mark.parametrize("history", HISTORIES, ids=lambda one: one["name"])
def test_documents_stand_as_the_page_says(history: dict[str, Any]) -> None:
    found = life_cycle([arrival(one) for one in history["arrivals"]])
    told = [
        {
            "key": one.key, "id": one.id, "hash": one.hash, "state": one.state, "masked": one.masked,
            "archived": one.archived, "letters": list(one.letters), "replacedBy": list(one.replaced_by),
            "history": list(one.history), "withdrawnIn": list(one.withdrawn_in), "flags": list(one.flags),
        }
        for one in found
    ]  # fmt: skip
    assert told == history["standing"]


ids = st.sampled_from(["1", "2", "3", "4", ""])
several = st.lists(ids, max_size=3, unique=True).map(tuple)
documents = st.builds(
    Item, st.sampled_from(["document", "fhir", "file", "entry"]), ids, hash=st.sampled_from(["a", "b", ""]),
    made=st.sampled_from(["2026-11-20", "2026-11-21", ""]), replaces=several,
)  # fmt: skip
withdrawals = st.builds(lambda given: Item(WITHDRAWAL, withdraws=given), several)
decisions = st.builds(
    lambda what, targets, stamp: Item(DECISION, decision=what, targets=targets, stamp=stamp),
    st.sampled_from(["mask", "unmask", "archive", "unarchive", "refuse"]),
    several,
    st.sampled_from(["2026-11-20T09:00:00Z", "2026-11-20T09:00:00.5Z", "2026-11-21", ""]),
)
arrivals = st.lists(
    st.builds(
        Arrival,
        st.sampled_from(["L1", "L2", "L3"]),
        st.sampled_from(["lab@x", "LAB@x", "gp@x", "stranger@x"]),
        st.one_of(documents, documents, withdrawals, decisions),
        st.sampled_from(["p", "q", ""]),
        st.booleans(),
    ),
    max_size=14,
)


@given(arrivals, st.randoms())
@settings(max_examples=300, deadline=None)
def test_the_order_of_arrival_never_matters_nor_how_often(given_: list[Arrival], chance: Any) -> None:
    shuffled = given_ + [one for one in given_ if chance.random() < 0.3]
    chance.shuffle(shuffled)
    assert life_cycle(shuffled) == life_cycle(given_)


@given(arrivals)
@settings(max_examples=300, deadline=None)
def test_nothing_is_dropped_and_some_version_of_each_chain_stands_at_its_head(given_: list[Arrival]) -> None:
    found = {one.key: one for one in life_cycle(given_)}
    living = [one.item for one in given_ if one.item.kind in LIVING and (one.item.id or one.item.hash)]
    came = {identity(one) for one in living}
    assert {one.id for one in found.values()} == came
    for one in found.values():
        assert set(one.replaced_by) <= set(one.history)
        chain = [found[key] for key in (one.key, *one.history)]
        assert any(not other.replaced_by for other in chain)


@given(arrivals)
@settings(max_examples=300, deadline=None)
def test_a_stranger_s_letter_changes_no_document_that_they_did_not_send(given_: list[Arrival]) -> None:
    # The holder's own letters come from the holder's address, never from a stranger's.
    given_ = [replace(one, own=False) if one.sender == "stranger@x" else one for one in given_]
    theirs = [one for one in given_ if one.sender == "stranger@x"]
    sent = {(identity(one.item), one.item.hash) for one in theirs}
    others = [one for one in given_ if one not in theirs]
    before = {(one.id, one.hash): one for one in life_cycle(others)}
    after = {(one.id, one.hash): one for one in life_cycle(given_)}
    for who, one in before.items():
        if who not in sent:
            assert (after[who].state, after[who].masked) == (one.state, one.masked)
