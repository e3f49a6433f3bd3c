"""Email/set, Email/import and Email/set create: what changes, what is refused, object by object."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from mail_server import mime
from mail_server.store.model import Flag, SpecialUse
from policies.refusal import Refusal
from tests.mail_server.jmap.conftest import PATIENT, PKESK, SEIPD, SIMPLE, VENDOR, pgp_mime


async def keywords(client: Any, email: str) -> set[str]:
    return set((await client("Email/get", ids=[email], properties=["keywords"]))["list"][0]["keywords"])


async def folders(client: Any, email: str) -> set[str]:
    return set((await client("Email/get", ids=[email], properties=["mailboxIds"]))["list"][0]["mailboxIds"])


async def test_a_keyword_is_set_and_taken_away(world: Any, alice: Any):
    email = await world.file(keywords=frozenset({"$Forwarded"}))
    told = await alice("Email/set", update={email: {"keywords/$seen": True, "keywords/$FLAGGED": True}})
    assert told["updated"] == {email: None}
    assert told["oldState"] != told["newState"]
    assert await keywords(alice, email) == {"$seen", "$flagged", "$forwarded"}
    await alice("Email/set", update={email: {"keywords/$seen": None}})
    assert await keywords(alice, email) == {"$flagged", "$forwarded"}
    await alice("Email/set", update={email: {"keywords": {"urgent": True}}})
    assert await keywords(alice, email) == {"urgent"}
    await alice("Email/set", update={email: {"keywords": None}})
    assert await keywords(alice, email) == set()


async def test_a_letter_moves_and_lies_in_two_places(world: Any, alice: Any):
    email = await world.file()
    inbox, archive = await alice.folder("inbox"), await alice.folder("archive")
    await alice("Email/set", update={email: {f"mailboxIds/{archive}": True}})
    assert await folders(alice, email) == {inbox, archive}
    await alice("Email/set", update={email: {f"mailboxIds/{inbox}": None}})
    assert await folders(alice, email) == {archive}
    await alice("Email/set", update={email: {"mailboxIds": {inbox: True}}})
    assert await folders(alice, email) == {inbox}


@pytest.mark.parametrize(
    ("patch", "error"),
    [
        ({"keywords": {"$seen": False}}, "invalidProperties"),
        ({"keywords": {"a b": True}}, "invalidProperties"),
        ({"keywords": 5}, "invalidProperties"),
        ({"mailboxIds": {}}, "invalidProperties"),
        ({"mailboxIds": None}, "invalidProperties"),
        ({"mailboxIds": {"Fnone": True}}, "invalidProperties"),
        ({"mailboxIds/Fnone": True}, "invalidProperties"),
        ({"subject": "new"}, "invalidProperties"),
        ({"id": "M1"}, "invalidProperties"),
        ({"keywords": {}, "keywords/$seen": True}, "invalidPatch"),
        ({"keywords/a/b": True}, "invalidPatch"),
    ],
)
async def test_what_cannot_be_is_refused_and_changes_nothing(
    world: Any, alice: Any, patch: dict[str, Any], error: str
):
    email, other = await world.file(flags=Flag.FLAGGED), await world.file()
    told = await alice("Email/set", update={email: patch, other: {"keywords/$seen": True}})
    assert told["notUpdated"][email]["type"] == error
    assert told["updated"] == {other: None}
    assert await keywords(alice, email) == {"$flagged"}


async def test_a_letter_is_destroyed_everywhere(world: Any, alice: Any):
    email = await world.file()
    told = await alice("Email/set", destroy=[email, "Mnone"])
    assert told["destroyed"] == [email]
    assert told["notDestroyed"] == {"Mnone": {"type": "notFound"}}
    assert (await alice("Email/get", ids=[email]))["notFound"] == [email]


async def test_what_is_destroyed_is_not_updated_before(world: Any, alice: Any):
    email = await world.file()
    told = await alice("Email/set", update={email: {"keywords/$seen": True}}, destroy=[email])
    assert told["notUpdated"][email]["type"] == "willDestroy"
    assert told["destroyed"] == [email]


async def test_the_state_must_match_when_asked(world: Any, alice: Any):
    email = await world.file()
    state = (await alice("Email/get", ids=[]))["state"]
    await world.file()
    told = await alice("Email/set", ifInState=state, destroy=[email])
    assert told["type"] == "stateMismatch"
    assert await keywords(alice, email) == set()


async def test_deleted_places_of_imap_are_left_alone(world: Any, alice: Any):
    email = await world.file()
    inbox, archive = await alice.folder("inbox"), await alice.folder("archive")
    await alice("Email/set", update={email: {f"mailboxIds/{archive}": True}})

    def mark(transaction: Any) -> None:
        from mail_server.store.model import FlagChange

        box = transaction.mailbox_by_use(alice.account, SpecialUse.INBOX)
        transaction.set_flags(box.id, [1], FlagChange.ADD, Flag.DELETED, frozenset())

    await world.store.write(mark)
    assert await folders(alice, email) == {archive}
    await alice("Email/set", update={email: {"keywords/$seen": True}})
    row = (await world.store.read(lambda reader: reader.emails(alice.account, [email])))[0]
    assert len(row.placements) == 2, inbox


# ── import ──


async def test_an_upload_becomes_a_letter_byte_for_byte(world: Any, alice: Any):
    blob, sent = await alice.blob(SIMPLE), await alice.folder("sent")
    wanted = {
        "blobId": blob,
        "mailboxIds": {sent: True},
        "keywords": {"$seen": True},
        "receivedAt": "2026-01-01T00:00:00Z",
    }
    told = await alice("Email/import", emails={"k": wanted})
    made = told["created"]["k"]
    assert made["size"] == len(SIMPLE)
    assert made["blobId"] == "B" + made["id"]
    assert told["oldState"] != told["newState"]
    assert (await alice.download(made["blobId"])).content == SIMPLE
    got = (await alice("Email/get", ids=[made["id"]], properties=["receivedAt", "keywords", "mailboxIds"]))[
        "list"
    ][0]
    assert (got["receivedAt"], got["keywords"], got["mailboxIds"]) == (
        "2026-01-01T00:00:00Z", {"$seen": True}, {sent: True},
    )  # fmt: skip


async def test_a_letter_is_imported_into_several_mailboxes(world: Any, alice: Any):
    both = {await alice.folder("sent"): True, await alice.folder("archive"): True}
    told = await alice("Email/import", emails={"k": {"blobId": await alice.blob(SIMPLE), "mailboxIds": both}})
    assert await folders(alice, told["created"]["k"]["id"]) == set(both)


async def test_a_sealed_summary_is_kept_with_it(world: Any, alice: Any):
    summary = base64.b64encode(PKESK + SEIPD).decode()
    wanted = {
        "blobId": await alice.blob(pgp_mime()),
        "mailboxIds": {await alice.folder("sent"): True},
        "sealedSummary": summary,
    }
    using = [*alice.using, VENDOR]
    made = (await alice("Email/import", using=using, emails={"k": wanted}))["created"]["k"]
    got = await alice("Email/get", using=using, ids=[made["id"]], properties=["sealedSummary"])
    assert got["list"][0]["sealedSummary"] == summary
    without = await alice("Email/import", emails={"k": wanted})
    assert without["notCreated"]["k"]["properties"] == ["sealedSummary"]


@pytest.mark.parametrize(("said", "told"), [("record", "record"), ("agenda", "agenda"), (None, "message")])
async def test_of_a_sealed_letter_its_holder_says_which_class_it_is(
    world: Any, alice: Any, said: str | None, told: str
):
    using = [*alice.using, VENDOR]
    wanted = {"blobId": await alice.blob(pgp_mime()), "mailboxIds": {await alice.folder("archive"): True}}
    made = (await alice("Email/import", using=using, emails={"k": wanted | {"class": said}}))["created"]["k"]
    got = await alice("Email/get", using=using, ids=[made["id"]], properties=["class"])
    assert got["list"][0]["class"] == told


async def test_of_a_letter_in_clear_what_lies_in_it_decides_and_an_unknown_class_is_refused(
    world: Any, alice: Any
):
    using = [*alice.using, VENDOR]
    wanted = {"blobId": await alice.blob(SIMPLE), "mailboxIds": {await alice.folder("archive"): True}}
    made = (await alice("Email/import", using=using, emails={"k": wanted | {"class": "record"}}))["created"][
        "k"
    ]
    got = await alice("Email/get", using=using, ids=[made["id"]], properties=["class"])
    assert got["list"][0]["class"] == "message"
    refused = await alice("Email/import", using=using, emails={"k": wanted | {"class": "secret"}})
    assert refused["notCreated"]["k"]["properties"] == ["class"]


@pytest.mark.parametrize(
    ("change", "properties"),
    [
        ({"blobId": "Unone"}, ["blobId"]),
        ({"blobId": None}, ["blobId"]),
        ({"mailboxIds": {}}, ["mailboxIds"]),
        ({"mailboxIds": {"Fnone": True}}, ["mailboxIds"]),
        ({"keywords": {"$seen": 1}}, ["keywords"]),
        ({"receivedAt": "now"}, ["receivedAt"]),
        ({"subject": "x"}, ["subject"]),
    ],
)
async def test_a_malformed_import_names_its_property(
    alice: Any, change: dict[str, Any], properties: list[str]
):
    wanted = {"blobId": await alice.blob(SIMPLE), "mailboxIds": {await alice.folder("inbox"): True}} | change
    told = await alice("Email/import", emails={"k": wanted})
    error = told["notCreated"]["k"]
    assert (error["type"], error["properties"]) == ("invalidProperties", properties)


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (Refusal(552, "5.3.4", "Too large", "too-large"), "tooLarge"),
        (Refusal(552, "5.2.2", "Full", "over-quota"), "overQuota"),
        (Refusal(452, "4.3.1", "No space", "no-space"), "overQuota"),
        (Refusal(552, "5.3.4", "Header", "header-too-large"), "invalidEmail"),
        (Refusal(550, "5.7.1", "Not yours", "mailbox-not-yours"), "forbidden"),
        (Refusal(554, "5.6.0", "No", "summary-refused"), "invalidProperties"),
    ],
)
async def test_what_delivery_refuses_to_keep_is_told_with_its_reason(
    world: Any, alice: Any, refusal: Refusal, error: str
):
    world.post.refuses_keeping = refusal
    wanted = {"blobId": await alice.blob(SIMPLE), "mailboxIds": {await alice.folder("inbox"): True}}
    told = (await alice("Email/import", emails={"k": wanted}))["notCreated"]["k"]
    assert (told["type"], told["reason"], told["reference"]) == (error, refusal.reason, refusal.id)


async def test_nothing_is_kept_below_the_floor(world: Any, alice: Any, monkeypatch: pytest.MonkeyPatch):
    wanted = {"blobId": await alice.blob(SIMPLE), "mailboxIds": {await alice.folder("inbox"): True}}
    monkeypatch.setattr(type(world.store), "writable", property(lambda _: False))
    assert (await alice("Email/import", emails={"k": wanted}))["type"] == "accountReadOnly"
    assert (await alice("Email/set", create={"k": {}}))["type"] == "accountReadOnly"


# ── a patient's space ──


async def test_clear_content_is_forbidden_in_a_patients_space(world: Any):
    page = world.page(PATIENT)
    inbox = await page.folder("inbox")
    assert (await page.upload(SIMPLE)).status_code == 403
    email = await world.file(PATIENT, pgp_mime())
    told = await page("Email/set", create={"k": {"mailboxIds": {inbox: True}, "from": [{"email": "a@b"}]}})
    assert told["notCreated"]["k"]["type"] == "forbidden"
    # A part of a letter is clear to nobody here, but it is no sealed letter either.
    part = (await page("Email/get", ids=[email], properties=["attachments"]))["list"][0]["attachments"][0]
    told = await page("Email/import", emails={"k": {"blobId": part["blobId"], "mailboxIds": {inbox: True}}})
    assert told["notCreated"]["k"]["type"] == "forbidden"
    assert told["notCreated"]["k"]["reason"] == "clear-content-refused"


async def test_a_patient_imports_what_the_browser_sealed(world: Any):
    page = world.page(PATIENT)
    wanted = {"blobId": await page.blob(pgp_mime()), "mailboxIds": {await page.folder("sent"): True}}
    assert "id" in (await page("Email/import", emails={"k": wanted}))["created"]["k"]


# ── create ──

DRAFT: dict[str, Any] = {
    "from": [{"name": "Alice", "email": "alice@example.org"}],
    "to": [{"name": "Zoé Q.", "email": "zoe@example.org"}, {"name": None, "email": "bob@example.org"}],
    "subject": "Résultat\r\nBcc: x@example.org",
    "inReplyTo": ["a@x"],
    "keywords": {"$draft": True},
    "header:X-Mine:asText": "yes",
    "textBody": [{"partId": "t", "type": "text/plain"}],
    "bodyValues": {"t": {"value": "Bonjour à tous\nfin"}},
}


async def made(client: Any, wanted: dict[str, Any]) -> bytes:
    told = await client(
        "Email/set", create={"k": {"mailboxIds": {await client.folder("drafts"): True}, **wanted}}
    )
    assert told["created"], told["notCreated"]
    return (await client.download(told["created"]["k"]["blobId"])).content


async def test_a_draft_is_composed(alice: Any):
    message = await made(alice, DRAFT)
    tree = mime.parse(message)
    assert mime.decoded(mime.first(message, "subject") or b"") == "Résultat Bcc: x@example.org"
    assert mime.first(message, "bcc") is None
    assert [one.spec for one in mime.mailboxes(mime.first(message, "to") or b"")] == [
        "zoe@example.org",
        "bob@example.org",
    ]
    assert mime.first(message, "in-reply-to") == b"<a@x>"
    assert mime.first(message, "x-mine") == b"yes"
    assert mime.message_ids(mime.first(message, "message-id") or b"")
    assert mime.first(message, "date")
    assert mime.decoded_body(message, tree).decode() == "Bonjour à tous\r\nfin\r\n"


async def test_text_html_and_attachments_make_a_tree(alice: Any):
    blob = await alice.blob(b"\x00\x01binary" * 30)
    message = await made(
        alice,
        DRAFT
        | {
            "htmlBody": [{"partId": "h", "type": "text/html"}],
            "bodyValues": {"t": {"value": "text"}, "h": {"value": "<b>html</b>"}},
            "attachments": [{"blobId": blob, "type": "application/pdf", "name": "Été.pdf"}],
        },
    )
    tree = mime.parse(message)
    assert [part.content_type for part in tree.walk()] == [
        "multipart/mixed", "multipart/alternative", "text/plain", "text/html", "application/pdf",
    ]  # fmt: skip
    attached = tree.children[1]
    assert (attached.filename, attached.disposition) == ("Été.pdf", "attachment")
    assert mime.decoded_body(message, attached) == b"\x00\x01binary" * 30


async def test_a_body_structure_is_taken_as_it_is(alice: Any):
    structure = {
        "type": "multipart/related",
        "subParts": [{"partId": "t", "type": "text/html"}, {"partId": "c", "type": "text/css", "cid": "c1"}],
    }
    wanted = {name: value for name, value in DRAFT.items() if name != "textBody"}
    values = {"t": {"value": "<p>"}, "c": {"value": "p{}"}}
    message = await made(alice, wanted | {"bodyStructure": structure, "bodyValues": values})
    tree = mime.parse(message)
    assert [part.content_type for part in tree.walk()] == ["multipart/related", "text/html", "text/css"]
    assert tree.children[1].id == b"<c1>"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"from": None}, "invalidProperties"),
        ({"to": [{"email": "no address"}]}, "invalidProperties"),
        ({"to": [{"email": "a@b\r\nX: y"}]}, "invalidProperties"),
        ({"to": "a@b"}, "invalidProperties"),
        ({"messageId": ["a>\r\nX: y"]}, "invalidProperties"),
        ({"sentAt": "yesterday"}, "invalidProperties"),
        ({"header:Content-Type": "x"}, "invalidProperties"),
        ({"header:Received": "x"}, "invalidProperties"),
        ({"header:From:asText": "x@y"}, "invalidProperties"),
        ({"header:Vaguemestre-State": "sealed"}, "invalidProperties"),
        ({"header:X\r\nY": "x"}, "invalidProperties"),
        ({"textBody": [{"partId": "none"}]}, "invalidProperties"),
        ({"textBody": [{"partId": "t", "charset": "utf-8"}]}, "invalidProperties"),
        ({"textBody": [{"partId": "t"}, {"partId": "t"}]}, "invalidProperties"),
        ({"textBody": [{"partId": "t", "blobId": "U1"}]}, "invalidProperties"),
        ({"htmlBody": [{"partId": "t", "type": "text/plain"}]}, "invalidProperties"),
        ({"bodyStructure": {"partId": "t"}}, "invalidProperties"),
        ({"bodyValues": {"t": {"value": "x", "isTruncated": True}}}, "invalidProperties"),
        ({"attachments": [{"blobId": "Unone"}]}, "blobNotFound"),
        ({"headers": []}, "invalidProperties"),
        ({"threadId": "T1"}, "invalidProperties"),
        ({"mailboxIds": {}}, "invalidProperties"),
    ],
)
async def test_a_draft_that_says_nothing_exact_is_refused(alice: Any, change: dict[str, Any], error: str):
    wanted = {"mailboxIds": {await alice.folder("drafts"): True}} | DRAFT | change
    told = await alice("Email/set", create={"k": wanted})
    assert told["created"] is None
    assert told["notCreated"]["k"]["type"] == error


async def test_what_was_created_can_be_named_at_once(alice: Any):
    drafts = await alice.folder("drafts")
    answers = await alice.calls(
        ("Email/set", {"create": {"k": DRAFT | {"mailboxIds": {drafts: True}}}}),
        ("Email/set", {"update": {"#k": {"keywords/$seen": True}}}),
        ("Email/get", {"ids": ["#k"], "properties": ["keywords"]}),
    )
    assert answers[1][1]["updated"] == {"#k": None}
    assert answers[2][1]["list"][0]["keywords"] == {"$seen": True, "$draft": True}
