"""Completeness of the trace at the JMAP door: whatever takes the text of a letter out of the store writes an entry."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mail_server.jmap.conftest import ALICE, VENDOR, file_sealed

WITH_ATTACHMENT = (
    b"From: bob@example.org\r\nTo: alice@example.org\r\nSubject: two\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\nLe dosage est normal\r\n"
    b"--b\r\nContent-Type: application/pdf\r\n"
    b'Content-Disposition: attachment; filename="x.pdf"\r\n\r\n%PDF-\r\n--b--\r\n'
)


def told(world: Any) -> list[tuple[str, str, str, str]]:
    return [(event.action, event.actor, event.subject, event.kind) for event in world.events]


@pytest.mark.parametrize(
    ("properties", "more"),
    [
        (["bodyValues"], {"fetchTextBodyValues": True}),
        (["bodyValues"], {"fetchHTMLBodyValues": True}),
        (["bodyValues"], {"fetchAllBodyValues": True}),
        (["bodyValues"], {"fetchAllBodyValues": True, "maxBodyValueBytes": 1}),
        (["preview"], {}),
        (None, {}),
    ],
)
async def test_a_body_or_a_preview_is_told(world: Any, alice: Any, properties: Any, more: Any) -> None:
    email = await world.file(message=WITH_ATTACHMENT)
    await alice("Email/get", ids=[email], properties=properties, **more)
    assert told(world) == [("read", ALICE, ALICE, "message")]
    assert world.events[0].reference == email


async def test_a_letter_taken_whole_is_told(world: Any, alice: Any) -> None:
    email = await world.file(message=WITH_ATTACHMENT)
    await alice.download("B" + email)
    assert told(world) == [("read", ALICE, ALICE, "message")]


async def test_an_attachment_that_is_taken_is_told_apart_from_the_reading(world: Any, alice: Any) -> None:
    email = await world.file(message=WITH_ATTACHMENT)
    found = (await alice("Email/get", ids=[email], properties=["attachments"]))["list"][0]
    assert world.events == [], "a list of attachments is no reading"
    await alice.download(found["attachments"][0]["blobId"])
    await alice("Email/get", ids=[email], properties=["preview"])
    assert told(world) == [("download", ALICE, ALICE, "attachment"), ("read", ALICE, ALICE, "message")]
    assert "x.pdf" not in repr(world.events)


async def test_sealed_summaries_are_told_once_with_how_many(world: Any, alice: Any) -> None:
    await file_sealed(world.store, ALICE, b"sealed summary")
    asked = {"ids": None, "properties": ["sealedSummary"], "using": [*alice.using, VENDOR]}
    await alice("Email/get", **asked)
    await alice("Email/get", **asked)
    assert told(world) == [("summary", ALICE, ALICE, "message")]
    assert world.events[0].detail == {"count": "1"}
