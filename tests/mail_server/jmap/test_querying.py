"""Email/query, queryChanges and changes: by what needs no clear text (RFC 8621 §4.3 to §4.5)."""

from __future__ import annotations

from typing import Any

import pytest

from mail_server.jmap.emails import MAIL_VENDOR as VENDOR
from mail_server.store.model import CoarseClass, Flag, SpecialUse
from tests.mail_server.jmap.conftest import letter

HOUR = 3_600_000
START = 1_700_000_000_000  # 2023-11-14T22:13:20Z


async def five(world: Any) -> list[str]:
    """Oldest first: seen, flagged, custom keyword, an answer to the first, one in Archive."""
    how: list[dict[str, Any]] = [
        {"message": letter(Message_ID="<a@x>"), "flags": Flag.SEEN},
        {"message": letter(text="x" * 5000), "flags": Flag.FLAGGED | Flag.SEEN},
        {"message": letter("three"), "keywords": frozenset({"urgent"})},
        {"message": letter(Message_ID="<d@x>", References="<a@x>")},
        {"message": letter("five"), "mailbox": SpecialUse.ARCHIVE},
    ]
    return [await world.file(received_at=START + n * HOUR, **each) for n, each in enumerate(how)]


async def ids(client: Any, **arguments: Any) -> list[str]:
    told = await client("Email/query", **arguments)
    assert "ids" in told, told
    return told["ids"]


async def test_newest_first_unless_asked_otherwise(world: Any, alice: Any):
    letters = await five(world)
    assert await ids(alice) == letters[::-1]
    assert await ids(alice, sort=[{"property": "receivedAt"}]) == letters
    assert await ids(alice, sort=[{"property": "receivedAt", "isAscending": False}]) == letters[::-1]


@pytest.mark.parametrize("name", ["subject", "from", "sentAt", "size", "hasKeyword"])
async def test_other_sorts_are_unsupported(alice: Any, name: str):
    assert (await alice("Email/query", sort=[{"property": name}]))["type"] == "unsupportedSort"


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ({"before": "2023-11-15T00:13:20Z"}, [0, 1]),
        ({"after": "2023-11-15T00:13:20Z"}, [2, 3, 4]),
        ({"minSize": 4000}, [1]),
        ({"maxSize": 4000}, [0, 2, 3, 4]),
        ({"hasKeyword": "$flagged"}, [1]),
        ({"hasKeyword": "$Seen"}, [0, 1]),
        ({"notKeyword": "$seen"}, [2, 3, 4]),
        ({"hasKeyword": "urgent"}, [2]),
        ({"hasKeyword": "URGENT"}, [2]),
        ({"notKeyword": "urgent"}, [0, 1, 3, 4]),
        ({"notKeyword": "$seen", "before": "2023-11-15T01:00:00Z"}, [2]),
        ({"inMailbox": "Fnone"}, []),
        ({}, [0, 1, 2, 3, 4]),
        ({"someInThreadHaveKeyword": "$seen"}, [0, 1, 3]),
        ({"allInThreadHaveKeyword": "$seen"}, [1]),
        ({"noneInThreadHaveKeyword": "$seen"}, [2, 4]),
        ({"operator": "OR", "conditions": [{"hasKeyword": "$flagged"}, {"hasKeyword": "urgent"}]}, [1, 2]),
        ({"operator": "AND", "conditions": [{"hasKeyword": "$seen"}, {"maxSize": 4000}]}, [0]),
        ({"operator": "AND", "conditions": []}, [0, 1, 2, 3, 4]),
        ({"operator": "OR", "conditions": []}, []),
        ({"operator": "NOT", "conditions": [{"hasKeyword": "$seen"}, {"hasKeyword": "urgent"}]}, [3, 4]),
        (
            {
                "operator": "AND",
                "conditions": [
                    {"notKeyword": "urgent"},
                    {"operator": "NOT", "conditions": [{"hasKeyword": "$flagged"}]},
                    {
                        "operator": "OR",
                        "conditions": [{"hasKeyword": "$seen"}, {"someInThreadHaveKeyword": "$seen"}],
                    },
                ],
            },
            [0, 3],
        ),
    ],
)
async def test_filters(world: Any, alice: Any, condition: dict[str, Any], found: list[int]):
    letters = await five(world)
    told = await alice(
        "Email/query", filter=condition, sort=[{"property": "receivedAt"}], calculateTotal=True
    )
    assert told["ids"] == [letters[n] for n in found]
    assert told["total"] == len(found)


async def test_filters_by_mailbox(world: Any, alice: Any):
    letters = await five(world)
    inbox, archive = await alice.folder("inbox"), await alice.folder("archive")
    assert await ids(alice, filter={"inMailbox": archive}) == [letters[4]]
    assert await ids(alice, filter={"inMailboxOtherThan": [inbox]}) == [letters[4]]
    both = {"operator": "AND", "conditions": [{"inMailbox": inbox}, {"inMailbox": archive}]}
    assert await ids(alice, filter=both) == []
    neither = {"operator": "NOT", "conditions": [{"inMailbox": inbox}]}
    assert await ids(alice, filter=neither) == [letters[4]]


@pytest.mark.parametrize(
    "name", ["text", "from", "to", "cc", "bcc", "subject", "body", "header", "hasAttachment"]
)
async def test_what_would_need_sealed_text_is_unsupported(alice: Any, name: str):
    told = await alice("Email/query", filter={"operator": "AND", "conditions": [{name: "x"}]})
    assert told["type"] == "unsupportedFilter"


@pytest.mark.parametrize(
    "condition",
    [
        {"before": "yesterday"},
        {"minSize": -1},
        {"hasKeyword": "a b"},
        {"inMailbox": 5},
        {"inMailboxOtherThan": "F"},
        {"nothing": 1},
        {"operator": "XOR", "conditions": []},
        {"operator": "AND"},
        {"operator": "AND", "conditions": [5]},
    ],
)
async def test_malformed_filters_are_invalid(alice: Any, condition: dict[str, Any]):
    assert (await alice("Email/query", filter=condition))["type"] == "invalidArguments"


@pytest.mark.parametrize("condition", [None, {"operator": "OR", "conditions": [{"minSize": 0}]}])
async def test_pages(world: Any, alice: Any, condition: Any):
    letters = (await five(world))[::-1]

    async def page(**arguments: Any) -> tuple[int, list[str]]:
        told = await alice("Email/query", filter=condition, **arguments)
        return told["position"], told["ids"]

    assert await page(position=1, limit=2) == (1, letters[1:3])
    assert await page(position=-2) == (3, letters[3:])
    assert await page(position=-9, limit=1) == (0, letters[:1])
    assert await page(position=9) == (9, [])
    assert await page(limit=0) == (0, [])
    assert await page(anchor=letters[2], limit=2) == (2, letters[2:4])
    assert await page(anchor=letters[2], anchorOffset=-1, limit=2) == (1, letters[1:3])
    assert await page(anchor=letters[2], anchorOffset=1, limit=1) == (3, letters[3:4])
    assert await page(anchor=letters[0], anchorOffset=-5, limit=1) == (0, letters[:1])
    assert (await alice("Email/query", filter=condition, anchor="Mnone"))["type"] == "anchorNotFound"


async def test_a_negative_limit_is_invalid(alice: Any):
    assert (await alice("Email/query", limit=-1))["type"] == "invalidArguments"


@pytest.mark.parametrize("condition", [None, {"operator": "OR", "conditions": [{"minSize": 0}]}])
async def test_threads_are_collapsed_to_their_first_letter(world: Any, alice: Any, condition: Any):
    letters = await five(world)
    told = await alice("Email/query", filter=condition, collapseThreads=True, calculateTotal=True)
    assert told["ids"] == [letters[4], letters[3], letters[2], letters[1]]
    assert (told["total"], told["canCalculateChanges"]) == (4, False)


# ── changes ──


async def test_changes_of_letters(world: Any, alice: Any):
    old = await world.file()
    doomed = await world.file()
    state = (await alice("Email/get", ids=[]))["state"]
    new = await world.file()
    await alice("Email/set", update={old: {"keywords/$seen": True}}, destroy=[doomed])
    told = await alice("Email/changes", sinceState=state)
    assert (told["created"], told["updated"], told["destroyed"]) == ([new], [old], [doomed])
    assert (told["oldState"], told["hasMoreChanges"]) == (state, False)
    again = await alice("Email/changes", sinceState=told["newState"])
    assert (again["created"], again["updated"], again["destroyed"]) == ([], [], [])


async def test_changes_in_several_steps(world: Any, alice: Any):
    state = (await alice("Email/get", ids=[]))["state"]
    letters = [await world.file() for _ in range(5)]
    found: list[str] = []
    more = True
    while more:
        told = await alice("Email/changes", sinceState=state, maxChanges=2)
        assert len(told["created"]) <= 2
        found += told["created"]
        state, more = told["newState"], told["hasMoreChanges"]
    assert found == letters


async def test_a_letter_marked_deleted_over_imap_is_told_as_destroyed(world: Any, alice: Any):
    email = await world.file()
    state = (await alice("Email/get", ids=[]))["state"]

    def mark(transaction: Any) -> None:
        from mail_server.store.model import FlagChange

        box = transaction.mailbox_by_use(alice.account, SpecialUse.INBOX)
        transaction.set_flags(box.id, [1], FlagChange.ADD, Flag.DELETED, frozenset())

    await world.store.write(mark)
    assert (await alice("Email/changes", sinceState=state))["destroyed"] == [email]


@pytest.mark.parametrize("state", ["", "0", "x.y", "1.1", "99999999999.1", "1" * 50])
@pytest.mark.parametrize("method", ["Email", "Thread", "Mailbox", "EmailSubmission", "Identity"])
async def test_a_state_that_is_not_ours_cannot_be_told_from(alice: Any, method: str, state: str):
    assert (await alice(f"{method}/changes", sinceState=state))["type"] == "cannotCalculateChanges"


async def test_a_state_of_the_future_cannot_be_told_from(alice: Any):
    state = (await alice("Email/get", ids=[]))["state"]
    later = state + "0"
    assert (await alice("Email/changes", sinceState=later))["type"] == "cannotCalculateChanges"


@pytest.mark.parametrize("condition", [None, {"operator": "OR", "conditions": [{"notKeyword": "$seen"}]}])
async def test_query_changes_take_the_old_list_to_the_new_one(world: Any, alice: Any, condition: Any):
    letters = await five(world)
    before = await alice("Email/query", filter=condition)
    new = await world.file(received_at=START + HOUR + 1)
    await alice("Email/set", update={letters[2]: {"keywords/$seen": True}}, destroy=[letters[4]])
    told = await alice(
        "Email/queryChanges", filter=condition, sinceQueryState=before["queryState"], calculateTotal=True
    )
    after = await alice("Email/query", filter=condition)
    shown = [each for each in before["ids"] if each not in told["removed"]]
    for added in told["added"]:
        shown.insert(added["index"], added["id"])
    assert shown == after["ids"]
    assert new in shown
    assert (told["newQueryState"], told["total"]) == (after["queryState"], len(after["ids"]))


async def test_more_changes_than_wanted_are_too_many(world: Any, alice: Any):
    state = (await alice("Email/query"))["queryState"]
    for _ in range(3):
        await world.file()
    told = await alice("Email/queryChanges", sinceQueryState=state, maxChanges=2)
    assert told["type"] == "tooManyChanges"


async def test_collapsed_queries_tell_no_changes_but_none(world: Any, alice: Any):
    state = (await alice("Email/query", collapseThreads=True))["queryState"]
    told = await alice("Email/queryChanges", sinceQueryState=state, collapseThreads=True)
    assert (told["removed"], told["added"]) == ([], [])
    await world.file()
    told = await alice("Email/queryChanges", sinceQueryState=state, collapseThreads=True)
    assert told["type"] == "cannotCalculateChanges"


async def test_letters_are_asked_for_by_their_class_where_the_client_knows_of_it(world: Any, alice: Any):
    using = [*alice.using, VENDOR]
    plain, appointment = await world.file(), await world.file(coarse=CoarseClass.AGENDA)
    assert await ids(alice, using=using, filter={"class": "agenda"}) == [appointment]
    assert await ids(alice, using=using, filter={"class": "record"}) == []
    both = {"operator": "OR", "conditions": [{"class": "agenda"}, {"class": "message"}]}
    assert set(await ids(alice, using=using, filter=both)) == {plain, appointment}
    told = await alice("Email/query", using=using, filter={"class": "agenda"}, calculateTotal=True)
    assert told["total"] == 1
    got = await alice("Email/get", using=using, ids=[appointment], properties=["class"])
    assert got["list"][0]["class"] == "agenda"
    assert (await alice("Email/query", filter={"class": "agenda"}))["type"] == "invalidArguments"
    assert (await alice("Email/query", using=using, filter={"class": "x"}))["type"] == "invalidArguments"
