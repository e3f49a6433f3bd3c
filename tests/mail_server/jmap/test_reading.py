"""Mailboxes, threads and letters, as a client reads them."""

from __future__ import annotations

from typing import Any


async def test_smoke(world: Any, alice: Any) -> None:
    one = await world.file()
    session = await alice.http.get("/.well-known/jmap", headers=alice.headers)
    assert session.status_code == 200, session.text
    answers = await alice.calls(
        ("Mailbox/get", {}),
        ("Email/query", {"calculateTotal": True}),
        (
            "Email/get",
            {"#ids": {"resultOf": "1", "name": "Email/query", "path": "/ids"}, "fetchTextBodyValues": True},
        ),
        ("Thread/get", {"#ids": {"resultOf": "2", "name": "Email/get", "path": "/list/*/threadId"}}),
    )
    for each in answers:
        print(each)
    assert answers[2][1]["list"][0]["id"] == one
