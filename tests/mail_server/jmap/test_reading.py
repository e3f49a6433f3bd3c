"""Mailboxes, threads and letters, as a client reads them (RFC 8621 §2, §3, §4)."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from mail_server.store.model import Flag, SpecialUse
from tests.mail_server.jmap.conftest import ALICE, PKESK, SEIPD, VENDOR, file_sealed, letter, pgp_mime

RICH = (
    b"From: =?utf-8?q?Zo=C3=A9?= <zoe@example.org>, bob@example.org\r\n"
    b"To: Team: a@example.org, b@example.org;, c@example.org\r\n"
    b"Subject: =?utf-8?q?R=C3=A9sultat?=\r\n folded\r\n"
    b"Date: Mon, 2 Mar 2026 10:00:00 +0100\r\n"
    b"Message-ID: <m1@example.org>\r\nReferences: <r1@example.org> <r2@example.org>\r\n"
    b"List-Unsubscribe: <mailto:x@example.org>, <https://example.org/x>\r\n"
    b"X-Two: first\r\nX-Two: second\r\n"
    b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="x"\r\n\r\n'
    b'--x\r\nContent-Type: multipart/alternative; boundary="y"\r\n\r\n'
    b"--y\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"Bonjour =C3=A0 tous\r\n"
    b"--y\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Bonjour <b>tous</b></p>\r\n--y--\r\n"
    b'--x\r\nContent-Type: application/pdf; name="a.pdf"\r\nContent-Disposition: attachment; filename="a.pdf"\r\n'
    b"Content-ID: <c1@example.org>\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8gd29ybGQ=\r\n"
    b"--x--\r\n"
)


async def one(alice: Any, email: str, *properties: str, using: list[str] | None = None, **more: Any) -> Any:
    told = await alice("Email/get", ids=[email], properties=list(properties), using=using, **more)
    return told["list"][0]


# ── mailboxes ──


async def test_the_special_mailboxes_have_their_roles_and_counts(world: Any, alice: Any):
    await world.file(message=letter("one"))
    await world.file(message=letter("two"), flags=Flag.SEEN)
    told = await alice("Mailbox/get", ids=None)
    by_role = {each["role"]: each for each in told["list"]}
    assert set(by_role) == {"inbox", "drafts", "sent", "trash", "junk", "archive"}
    inbox = by_role["inbox"]
    assert (inbox["totalEmails"], inbox["unreadEmails"]) == (2, 1)
    assert (inbox["totalThreads"], inbox["unreadThreads"]) == (2, 1)
    assert inbox["parentId"] is None


async def test_a_folder_below_another_names_its_parent(world: Any, alice: Any):
    def make(transaction: Any) -> None:
        transaction.create_mailbox(ALICE, "Patients")
        transaction.create_mailbox(ALICE, "Patients/2026")
        transaction.create_mailbox(ALICE, "Loin/Plus loin")

    await world.store.write(make)
    told = (await alice("Mailbox/get", ids=None))["list"]
    by_name = {each["name"]: each for each in told}
    assert by_name["2026"]["parentId"] == by_name["Patients"]["id"]
    assert by_name["Loin/Plus loin"]["parentId"] is None


async def test_what_is_marked_deleted_over_imap_is_not_there(world: Any, alice: Any):
    shown, hidden = await world.file(), await world.file(flags=Flag.DELETED)
    inbox = await alice.folder("inbox")
    told = (await alice("Mailbox/get", ids=[inbox]))["list"][0]
    assert (told["totalEmails"], told["unreadEmails"]) == (1, 1)
    assert (await alice("Email/query"))["ids"] == [shown]
    assert (await alice("Email/get", ids=[hidden]))["notFound"] == [hidden]


async def test_mailbox_changes_name_the_mailboxes_whose_letters_changed(world: Any, alice: Any):
    state = (await alice("Mailbox/get", ids=[]))["state"]
    assert (await alice("Mailbox/changes", sinceState=state))["updatedProperties"] is None
    await world.file()
    changes = await alice("Mailbox/changes", sinceState=state)
    assert changes["updated"] == [await alice.folder("inbox")]
    assert changes["updatedProperties"] == ["totalEmails", "unreadEmails", "totalThreads", "unreadThreads"]
    again = await alice("Mailbox/changes", sinceState=changes["newState"])
    assert (again["updated"], again["hasMoreChanges"]) == ([], False)


async def test_a_new_folder_cannot_be_told_as_a_change(world: Any, alice: Any):
    state = (await alice("Mailbox/get", ids=[]))["state"]
    await world.store.write(lambda transaction: transaction.create_mailbox(ALICE, "New"))
    assert (await alice("Mailbox/changes", sinceState=state))["type"] == "cannotCalculateChanges"


# ── threads ──


async def test_a_thread_lists_its_letters_oldest_first(world: Any, alice: Any):
    first = await world.file(message=letter(Message_ID="<a@x>"), received_at=1000)
    second = await world.file(message=letter(Message_ID="<b@x>", References="<a@x>"), received_at=2000)
    thread = (await one(alice, first, "threadId"))["threadId"]
    told = await alice("Thread/get", ids=[thread, "Tnone"])
    assert told["list"] == [{"id": thread, "emailIds": [first, second]}]
    assert told["notFound"] == ["Tnone"]


async def test_thread_changes(world: Any, alice: Any):
    first = await world.file(message=letter(Message_ID="<a@x>"))
    state = (await alice("Thread/get", ids=[]))["state"]
    await world.file(message=letter(Message_ID="<b@x>", References="<a@x>"))
    other = await world.file(message=letter(Message_ID="<c@x>"))
    changes = await alice("Thread/changes", sinceState=state)
    assert changes["updated"] == [(await one(alice, first, "threadId"))["threadId"]]
    assert changes["created"] == [(await one(alice, other, "threadId"))["threadId"]]


async def test_all_threads_at_once_are_too_many(alice: Any):
    assert (await alice("Thread/get", ids=None))["type"] == "requestTooLarge"


# ── letters ──


async def test_header_properties_are_decoded(world: Any, alice: Any):
    email = await world.file(message=RICH)
    told = await one(
        alice, email, "from", "to", "subject", "sentAt", "messageId", "references", "inReplyTo", "cc"
    )
    assert told == {
        "id": email,
        "from": [{"name": "Zoé", "email": "zoe@example.org"}, {"name": None, "email": "bob@example.org"}],
        "to": [{"name": None, "email": f"{each}@example.org"} for each in "abc"],
        "subject": "Résultat folded",
        "sentAt": "2026-03-02T10:00:00+01:00",
        "messageId": ["m1@example.org"],
        "references": ["r1@example.org", "r2@example.org"],
        "inReplyTo": None,
        "cc": None,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("header:X-Two", " second"),
        ("header:x-two:all", [" first", " second"]),
        ("header:X-Two:asText", "second"),
        ("header:X-None", None),
        ("header:X-None:all", []),
        ("header:Subject", " =?utf-8?q?R=C3=A9sultat?=\r\n folded"),
        ("header:References:asMessageIds", ["r1@example.org", "r2@example.org"]),
        ("header:List-Unsubscribe:asURLs", ["mailto:x@example.org", "https://example.org/x"]),
        ("header:Date:asDate", "2026-03-02T10:00:00+01:00"),
        (
            "header:To:asGroupedAddresses",
            [
                {
                    "name": "Team",
                    "addresses": [
                        {"name": None, "email": "a@example.org"},
                        {"name": None, "email": "b@example.org"},
                    ],
                },
                {"name": None, "addresses": [{"name": None, "email": "c@example.org"}]},
            ],
        ),
    ],
)
async def test_header_forms(world: Any, alice: Any, name: str, value: Any):
    assert (await one(alice, await world.file(message=RICH), name))[name] == value


@pytest.mark.parametrize(
    "name",
    [
        "header:Subject:asAddresses",
        "header:From:asText",
        "header:From:asDate",
        "header:Received:asText",
        "header:X:asNothing",
        "header:",
        "header:X:all:asText",
        "nothing",
        "guard",
    ],
)
async def test_what_is_no_property_is_invalid(alice: Any, name: str):
    assert (await alice("Email/get", ids=[], properties=[name]))["type"] == "invalidArguments"


async def test_the_parts_are_sorted_into_text_html_and_attachments(world: Any, alice: Any):
    email = await world.file(message=RICH)
    told = await one(
        alice, email, "textBody", "htmlBody", "attachments", "hasAttachment", "preview", "bodyValues",
        fetchAllBodyValues=True,
    )  # fmt: skip
    assert [each["partId"] for each in told["textBody"]] == ["1.1"]
    assert [each["partId"] for each in told["htmlBody"]] == ["1.2"]
    attached = told["attachments"][0]
    assert (attached["partId"], attached["name"], attached["size"], attached["cid"], attached["type"]) == (
        "2", "a.pdf", 11, "c1@example.org", "application/pdf",
    )  # fmt: skip
    assert told["hasAttachment"] is True
    assert told["preview"] == "Bonjour à tous"
    assert told["bodyValues"]["1.1"]["value"] == "Bonjour à tous"
    assert told["bodyValues"]["1.2"] == {
        "value": "<p>Bonjour <b>tous</b></p>",
        "isEncodingProblem": False,
        "isTruncated": False,
    }


async def test_body_structure_is_the_whole_tree(world: Any, alice: Any):
    told = await one(
        alice, await world.file(message=RICH), "bodyStructure", bodyProperties=["type", "partId"]
    )
    assert told["bodyStructure"] == {
        "type": "multipart/mixed",
        "partId": None,
        "subParts": [
            {
                "type": "multipart/alternative",
                "partId": None,
                "subParts": [{"type": "text/plain", "partId": "1.1"}, {"type": "text/html", "partId": "1.2"}],
            },
            {"type": "application/pdf", "partId": "2"},
        ],
    }


async def test_body_values_are_cut_between_characters(world: Any, alice: Any):
    email = await world.file(message=letter(text="é" * 10, Content_Type="text/plain; charset=utf-8"))
    told = await one(alice, email, "bodyValues", fetchTextBodyValues=True, maxBodyValueBytes=5)
    assert told["bodyValues"]["1"] == {"value": "éé", "isEncodingProblem": False, "isTruncated": True}


async def test_an_unknown_encoding_is_told_as_a_problem(world: Any, alice: Any):
    email = await world.file(message=letter(Content_Transfer_Encoding="x-nothing"))
    told = await one(alice, email, "bodyValues", fetchTextBodyValues=True)
    assert told["bodyValues"]["1"]["isEncodingProblem"] is True


async def test_of_a_sealed_letter_the_envelope_is_told_and_nothing_is_guessed(world: Any, alice: Any):
    email = (await file_sealed(world.store, ALICE)).email_id
    told = await one(
        alice,
        email,
        "subject",
        "preview",
        "hasAttachment",
        "attachments",
        "bodyValues",
        fetchAllBodyValues=True,
    )
    assert (told["subject"], told["preview"], told["hasAttachment"]) == ("[...] abcd", "", False)
    assert [each["type"] for each in told["attachments"]] == [
        "application/pgp-encrypted",
        "application/octet-stream",
    ]
    assert told["bodyValues"] == {}
    assert world.events == []


async def test_vendor_properties_tell_what_the_page_needs(world: Any, alice: Any):
    summary = PKESK + SEIPD
    split = (await file_sealed(world.store, ALICE, summary)).email_id
    came_sealed = await world.file(message=pgp_mime())
    clear = await world.file()
    using = [*alice.using, VENDOR]
    names = ["guard", "coarseClass", "closesExchange", "keyIds", "sealedSummary"]
    told = (await alice("Email/get", ids=[split, came_sealed, clear], properties=names, using=using))["list"]
    assert told[0] == {
        "id": split,
        "guard": "sealed",
        "coarseClass": "message",
        "closesExchange": False,
        "keyIds": ["0123456789ABCDEF"],
        "sealedSummary": base64.b64encode(summary).decode(),
    }
    assert (told[1]["guard"], told[1]["keyIds"], told[1]["sealedSummary"]) == (
        "custody",
        ["0123456789ABCDEF"],
        None,
    )
    assert told[2]["keyIds"] == []


async def test_keywords_are_those_of_imap_in_lower_case(world: Any, alice: Any):
    email = await world.file(flags=Flag.SEEN | Flag.FLAGGED, keywords=frozenset({"$Forwarded"}))
    told = await one(alice, email, "keywords", "mailboxIds", "receivedAt", "blobId", "size")
    assert told["keywords"] == {"$seen": True, "$flagged": True, "$forwarded": True}
    assert told["mailboxIds"] == {await alice.folder("inbox"): True}
    assert told["blobId"] == "B" + email


async def test_default_properties_are_those_of_the_rfc(world: Any, alice: Any):
    told = (await alice("Email/get", ids=[await world.file()]))["list"][0]
    assert {"id", "threadId", "from", "preview", "textBody", "bodyValues", "hasAttachment"} <= told.keys()
    assert not {"headers", "bodyStructure", "guard"} & told.keys()


async def test_ids_are_answered_in_the_order_asked_each_once(world: Any, alice: Any):
    a, b = await world.file(), await world.file()
    told = await alice("Email/get", ids=[b, "Mnone", a, b], properties=["id"])
    assert told["list"] == [{"id": b}, {"id": a}]
    assert told["notFound"] == ["Mnone"]


async def test_many_letters_with_bodies_are_all_told(world: Any, alice: Any):
    for _ in range(70):
        await world.file(message=letter(text="x" * 40_000))
    found = await alice("Email/get", ids=None, properties=["bodyValues"], fetchAllBodyValues=True)
    assert len(found["list"]) == 70
    assert all(len(each["bodyValues"]["1"]["value"]) == 40_001 for each in found["list"])


# ── the trace ──


async def test_content_is_traced_once_per_letter_and_session(world: Any, alice: Any):
    email = await world.file()
    for _ in range(2):
        await one(alice, email, "bodyValues", fetchAllBodyValues=True)
        await alice.download("B" + email)
    assert [(event.action, event.actor, event.subject, event.reference) for event in world.events] == [
        ("read", ALICE, ALICE, email)
    ]
    await world.program("alice@example.org").download("B" + email)
    assert len(world.events) == 1, "the same program, the same session"


async def test_a_listing_without_content_leaves_no_trace(world: Any, alice: Any):
    email = await world.file()
    await one(alice, email, "subject", "from", "hasAttachment", "attachments")
    assert world.events == []


async def test_nothing_is_read_that_could_not_be_traced(world: Any, alice: Any):
    email = await world.file()
    world.full = True
    told = await alice("Email/get", ids=[email], properties=["bodyValues"], fetchAllBodyValues=True)
    assert told["type"] == "serverUnavailable"
    assert (await alice.download("B" + email)).status_code == 503
    assert world.events == []


async def test_a_message_inside_a_message_is_one_part(world: Any, alice: Any):
    inner = letter("inner")
    outer = letter(Content_Type="message/rfc822", text=inner.decode())
    email = await world.file(message=outer, mailbox=SpecialUse.ARCHIVE)
    told = await one(alice, email, "attachments", bodyProperties=["partId", "type", "blobId"])
    assert [each["type"] for each in told["attachments"]] == ["message/rfc822"]
    got = await alice.download(told["attachments"][0]["blobId"])
    assert b"Subject: inner" in got.content
