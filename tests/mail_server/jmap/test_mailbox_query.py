"""Mailbox/query: folders by role, name and place; in order, and as a tree (RFC 8621 §2.3)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mail_server.jmap.conftest import ALICE

SIX = ["INBOX", "Drafts", "Sent", "Archive", "Junk", "Trash"]


async def folders(world: Any) -> None:
    """Besides the six: a branch of three, and a folder whose name sorts before all."""

    def make(transaction: Any) -> None:
        for name in ("Patients", "Patients/2025", "Patients/2026", "Patients/2026/Suivi", "Abcès"):
            transaction.create_mailbox(ALICE, name)

    await world.store.write(make)


async def names(alice: Any, **arguments: Any) -> list[str]:
    told = await alice("Mailbox/query", **arguments)
    assert "ids" in told, told
    known = {each["id"]: each["name"] for each in (await alice("Mailbox/get", ids=None))["list"]}
    return [known[each] for each in told["ids"]]


async def named(alice: Any, name: str) -> str:
    known = (await alice("Mailbox/get", ids=None))["list"]
    return next(each["id"] for each in known if each["name"] == name)


async def test_the_folder_of_a_role_is_found(world: Any, alice: Any):
    await folders(world)
    assert await names(alice, filter={"role": "sent"}) == ["Sent"]
    assert await names(alice, filter={"name": "inbox"}) == ["INBOX"]


@pytest.mark.parametrize(
    ("filter_", "found"),
    [
        ({"hasAnyRole": True}, SIX),
        ({"hasAnyRole": False, "parentId": None}, ["Abcès", "Patients"]),
        ({"role": None, "name": "20"}, ["2025", "2026"]),
        ({"name": "abcÈS"}, ["Abcès"]),
        ({"role": "none such"}, []),
        ({"parentId": "Fnone"}, []),
        ({"isSubscribed": False, "role": "inbox"}, []),
        ({"operator": "OR", "conditions": [{"role": "junk"}, {"name": "Suivi"}]}, ["Junk", "Suivi"]),
        (
            {"operator": "AND", "conditions": [{"hasAnyRole": True}, {"name": "r"}]},
            ["Drafts", "Archive", "Trash"],
        ),
        (
            {"operator": "NOT", "conditions": [{"hasAnyRole": True}, {"name": "20"}]},
            ["Abcès", "Patients", "Suivi"],
        ),
    ],
)
async def test_filters_say_which(world: Any, alice: Any, filter_: Any, found: list[str]):
    await folders(world)
    assert await names(alice, filter=filter_) == found


async def test_without_a_sort_the_usual_ones_come_first(world: Any, alice: Any):
    await folders(world)
    assert await names(alice) == [*SIX, "2025", "2026", "Abcès", "Patients", "Suivi"]


async def test_by_name_either_way(world: Any, alice: Any):
    await folders(world)
    by_name = await names(alice, sort=[{"property": "name"}])
    assert by_name == sorted(by_name, key=str.casefold)
    assert await names(alice, sort=[{"property": "name", "isAscending": False}]) == by_name[::-1]


async def test_as_a_tree_a_folder_comes_right_before_what_lies_in_it(world: Any, alice: Any):
    await folders(world)
    sort = [{"property": "sortOrder"}, {"property": "name", "isAscending": False}]
    found = await names(alice, sort=sort, sortAsTree=True)
    assert found == [*SIX, "Patients", "2026", "Suivi", "2025", "Abcès"]


async def test_filtered_as_a_tree_a_folder_stays_only_with_all_above_it(world: Any, alice: Any):
    await folders(world)
    some = {"operator": "OR", "conditions": [{"name": "Patients"}, {"name": "Suivi"}]}
    assert await names(alice, filter=some) == ["Patients", "Suivi"]
    assert await names(alice, filter=some, filterAsTree=True) == ["Patients"]


async def test_a_part_of_the_list_is_told_with_its_place(world: Any, alice: Any):
    await folders(world)
    assert await names(alice, position=1, limit=2) == ["Drafts", "Sent"]
    assert await names(alice, position=-2) == ["Patients", "Suivi"]
    sent = await named(alice, "Sent")
    assert await names(alice, anchor=sent, anchorOffset=-1, limit=2) == ["Drafts", "Sent"]
    told = await alice("Mailbox/query", anchor=sent, limit=1, calculateTotal=True)
    assert (told["position"], told["total"], told["canCalculateChanges"]) == (2, 11, False)
    assert (await alice("Mailbox/query", anchor="Fnone"))["type"] == "anchorNotFound"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"sort": [{"property": "totalEmails"}]}, "unsupportedSort"),
        ({"sort": [{"property": 1}]}, "invalidArguments"),
        ({"filter": {"colour": "red"}}, "invalidArguments"),
        ({"filter": {"hasAnyRole": "yes"}}, "invalidArguments"),
        ({"filter": {"role": "inbox", "name": 5}}, "invalidArguments"),
        ({"filter": {"operator": "XOR", "conditions": []}}, "invalidArguments"),
        ({"filter": {"operator": "AND", "conditions": {}}}, "invalidArguments"),
        ({"filter": {"operator": "OR", "conditions": [{"name": "x"}] * 60}}, "unsupportedFilter"),
        ({"nonsense": True}, "invalidArguments"),
    ],
)
async def test_what_cannot_be_understood_is_told(alice: Any, arguments: dict[str, Any], error: str):
    assert (await alice("Mailbox/query", **arguments))["type"] == error


async def test_a_filter_nested_beyond_reason_is_refused(alice: Any):
    filter_: dict[str, Any] = {"role": "inbox"}
    for _ in range(12):
        filter_ = {"operator": "AND", "conditions": [filter_]}
    assert (await alice("Mailbox/query", filter=filter_))["type"] == "invalidArguments"


async def test_its_ids_can_be_referred_to_in_the_same_request(alice: Any):
    told = await alice.calls(
        ("Mailbox/query", {"filter": {"role": "inbox"}}, "q"),
        ("Mailbox/get", {"#ids": {"resultOf": "q", "name": "Mailbox/query", "path": "/ids"}}, "g"),
    )
    assert [each["role"] for each in told[1][1]["list"]] == ["inbox"]
