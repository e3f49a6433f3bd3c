"""Accounts of others over JMAP: told with their rights, each act asked for its own, $seen of each reader."""

from __future__ import annotations

from typing import Any

import pytest

from mail_server.accounts.interface import Grant, Role
from tests.mail_server.jmap.conftest import ALICE, BOB, WARD

ALL = "eilprstwx"


def give(world: Any, rights: str) -> None:
    world.book.change(WARD, members=(), grants=(Grant(ALICE, Role.MEMBER, rights, 0),))


async def one_call(client: Any, name: str, **arguments: Any) -> Any:
    (answer,) = await client.calls([name, {"accountId": WARD, **arguments}, "c"])
    return answer


async def folder(client: Any, role: str) -> str:
    _, told, _ = await one_call(client, "Mailbox/get", ids=None)
    return next(each["id"] for each in told["list"] if each["role"] == role)


@pytest.mark.parametrize(("rights", "read_only"), [("lr", True), ("lrs", False), ("lri", False)])
async def test_the_session_tells_whether_one_may_change_anything(
    world: Any, alice: Any, rights: str, read_only: bool
):
    give(world, rights)
    told = (await alice.http.get("/jmap/session", headers=alice.headers)).json()["accounts"]
    assert (told[WARD]["isPersonal"], told[WARD]["isReadOnly"]) == (False, read_only)
    assert (told[ALICE]["isPersonal"], told[ALICE]["isReadOnly"]) == (True, False)


async def test_a_mailbox_tells_the_rights_of_who_asks(world: Any, alice: Any):
    give(world, "lrsp")
    _, told, _ = await one_call(alice, "Mailbox/get", ids=None, properties=["myRights"])
    assert {name for name, has in told["list"][0]["myRights"].items() if has} == {
        "mayReadItems",
        "maySetSeen",
        "maySubmit",
    }


@pytest.mark.parametrize("name", ["Mailbox/get", "Email/query", "Email/get", "Thread/get"])
async def test_without_the_right_to_read_nothing_is_read(world: Any, alice: Any, name: str):
    give(world, "lpi")
    arguments = {} if name == "Email/query" else {"ids": []}
    kind, told, _ = await one_call(alice, name, **arguments)
    assert (kind, told["type"]) == ("error", "forbidden")


@pytest.mark.parametrize(
    ("rights", "patch", "allowed"),
    [
        ("lrs", {"keywords/$seen": True}, True),
        ("lrw", {"keywords/$seen": True}, False),
        ("lrw", {"keywords/$flagged": True}, True),
        ("lrs", {"keywords/$flagged": True}, False),
        ("lrite", {"mailboxIds": "archive"}, True),
        ("lrte", {"mailboxIds": "archive"}, False),
        ("lri", {"mailboxIds": "archive"}, False),
    ],
)
async def test_each_change_needs_its_own_right(
    world: Any, alice: Any, rights: str, patch: dict[str, Any], allowed: bool
):
    email = await world.file(WARD)
    if "mailboxIds" in patch:
        patch = {"mailboxIds": {await folder(alice, "archive"): True}}
    give(world, rights)
    _, told, _ = await one_call(alice, "Email/set", update={email: patch})
    if allowed:
        assert told["updated"] == {email: None}
    else:
        assert told["notUpdated"][email]["type"] == "forbidden"


@pytest.mark.parametrize(("rights", "allowed"), [("lrte", True), ("lre", False), ("lrt", False)])
async def test_a_letter_is_destroyed_with_both_rights(world: Any, alice: Any, rights: str, allowed: bool):
    email = await world.file(WARD)
    give(world, rights)
    _, told, _ = await one_call(alice, "Email/set", destroy=[email])
    assert (told["destroyed"] == [email]) is allowed
    assert bool(told["notDestroyed"]) is not allowed


async def test_one_writes_only_for_those_who_let_one(world: Any, alice: Any):
    for rights, expected in (("lrp", {ALICE, WARD}), ("lr", {ALICE})):
        give(world, rights)
        told = await alice("Identity/get", ids=None)
        assert {each["id"] for each in told["list"]} == expected
    kind, told, _ = await one_call(alice, "EmailSubmission/set", create={})
    assert (kind, told["type"]) == ("error", "forbidden")


async def test_uploads_and_downloads_need_their_rights(world: Any, alice: Any):
    email = await world.file(WARD)
    give(world, "li")
    answer = await alice.http.get(f"/jmap/download/{WARD}/B{email}/x.eml", headers=alice.headers)
    assert (answer.status_code, answer.json()["error"]) == (403, "not-allowed")
    give(world, "lr")
    answer = await alice.http.post(f"/jmap/upload/{WARD}/", content=b"x", headers=alice.headers)
    assert answer.status_code == 403


async def test_each_reader_has_their_own_seen(world: Any, alice: Any):
    email = await world.file(WARD)
    grants = tuple(Grant(each, Role.MEMBER, ALL, 0) for each in (ALICE, BOB))
    world.book.change(WARD, grants=grants, seen_per_person=True)
    await one_call(alice, "Email/set", update={email: {"keywords/$seen": True}})
    bob = world.program("bob@example.org")
    for client, keywords, unread in ((alice, {"$seen": True}, 0), (bob, {}, 1)):
        _, told, _ = await one_call(client, "Email/get", ids=[email], properties=["keywords"])
        assert told["list"][0]["keywords"] == keywords
        _, told, _ = await one_call(client, "Mailbox/get", ids=[await folder(client, "inbox")])
        assert told["list"][0]["unreadEmails"] == unread
        _, told, _ = await one_call(client, "Email/query", filter={"notKeyword": "$seen"})
        assert len(told["ids"]) == unread


def _draft(inbox: str) -> dict[str, Any]:
    return {
        "mailboxIds": {inbox: True},
        "keywords": {"$seen": True, "$flagged": True, "urgent": True},
        "from": [{"email": "ward@example.org"}],
        "subject": "m",
        "bodyValues": {"1": {"value": "x"}},
        "textBody": [{"partId": "1", "type": "text/plain"}],
    }


async def test_a_letter_is_made_only_by_who_may_put_letters_there(world: Any, alice: Any):
    give(world, "lrsw")
    inbox = await folder(alice, "inbox")
    _, told, _ = await one_call(alice, "Email/set", create={"a": _draft(inbox)})
    assert not told.get("created")
    assert told["notCreated"]["a"]["type"] == "forbidden"
    _, told, _ = await one_call(alice, "Email/query")
    assert told["ids"] == []


@pytest.mark.parametrize(
    ("rights", "expected"),
    [("lri", {}), ("lris", {"$seen": True}), ("lriw", {"$flagged": True, "urgent": True})],
)
async def test_a_new_letter_has_only_the_keywords_that_one_may_set(
    world: Any, alice: Any, rights: str, expected: dict[str, bool]
):
    give(world, rights)
    inbox = await folder(alice, "inbox")
    _, told, _ = await one_call(alice, "Email/set", create={"a": _draft(inbox)})
    made = told["created"]["a"]["id"]
    answer = await alice.http.post(
        f"/jmap/upload/{WARD}/", content=b"Subject: m\r\n\r\nx\r\n", headers=alice.headers
    )
    words = {"$seen": True, "$flagged": True, "urgent": True}
    entry = {"blobId": answer.json()["blobId"], "mailboxIds": {inbox: True}, "keywords": words}
    _, told, _ = await one_call(alice, "Email/import", emails={"b": entry})
    ids = [made, told["created"]["b"]["id"]]
    _, told, _ = await one_call(alice, "Email/get", ids=ids, properties=["keywords"])
    assert [each["keywords"] for each in told["list"]] == [expected, expected]


async def test_what_one_may_not_read_one_may_not_send_to_oneself(world: Any, alice: Any):
    email = await world.file(WARD)
    give(world, "lp")
    envelope = {"mailFrom": {"email": "ward@example.org"}, "rcptTo": [{"email": "alice@example.org"}]}
    create = {"a": {"identityId": WARD, "emailId": email, "envelope": envelope}}
    _, told, _ = await one_call(alice, "EmailSubmission/set", create=create)
    assert told["notCreated"]["a"]["type"] == "invalidProperties"
    assert told["notCreated"]["a"]["properties"] == ["emailId"]
