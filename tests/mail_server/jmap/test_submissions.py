"""Handing over, holding, calling back; exactly once, whatever happens (RFC 8621 §7)."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from mail_server.accounts.interface import HELD
from mail_server.delivery.interface import Asked
from mail_server.outbound.interface import Notify
from mail_server.store.model import SpecialUse
from policies.refusal import Refusal
from tests.mail_server.jmap.conftest import ALICE, BOB, NUMBER, PATIENT, WARD, build, letter, pgp_mime

UNKNOWN = Refusal(550, "5.1.1", "No such mailbox here", "recipient-unknown")
CLOSED = Refusal(550, "5.7.1", "This exchange is closed", "conversation-closed")
LATER = Refusal(451, "4.3.0", "Temporary failure, please try again", "busy")


def envelope(
    *to: str, hold: str | None = None, until: str | None = None, sender: str = "alice@example.org"
) -> Any:
    parameters = (
        {"HOLDFOR": hold} if hold is not None else {"HOLDUNTIL": until} if until is not None else None
    )
    return {
        "mailFrom": {"email": sender, "parameters": parameters},
        "rcptTo": [{"email": each} for each in to],
    }


async def sent_copy(world: Any, account: Any = ALICE, message: bytes = letter()) -> str:
    return await world.file(account, message, mailbox=SpecialUse.SENT)


async def hand_over(client: Any, email: str, **more: Any) -> Any:
    wanted = {"identityId": client.account, "emailId": email, **more}
    told = await client("EmailSubmission/set", create={"k": wanted})
    return told["created"]["k"] if told["created"] else told["notCreated"]["k"]


async def status(client: Any, submission: str) -> Any:
    return (await client("EmailSubmission/get", ids=[submission]))["list"][0]


async def until(condition: Any, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < end, "it never came to that"
        await asyncio.sleep(0.02)


# ── at once ──


async def test_a_letter_leaves_at_once_and_tells_its_outcome(world: Any, alice: Any):
    email = await sent_copy(world)
    made = await hand_over(alice, email, envelope=envelope("bob@example.org"))
    assert made["undoStatus"] == "final"
    assert await world.inbox(BOB) == [letter()]
    told = await status(alice, made["id"])
    outcome = told["deliveryStatus"]["bob@example.org"]
    assert (outcome["delivered"], outcome["displayed"]) == ("yes", "unknown")
    assert outcome["smtpReply"].startswith("250 2.0.0 ")
    assert (told["emailId"], told["identityId"], told["dsnBlobIds"]) == (email, ALICE, [])
    assert [each.mechanism for each in world.post.identities] == ["PLAIN", "PLAIN"]


async def test_without_an_envelope_the_header_says_who(world: Any, alice: Any):
    message = letter(Cc="ward@example.org, Bob <BOB@example.org>")
    made = await hand_over(alice, await sent_copy(world, message=message))
    assert made["envelope"]["mailFrom"]["email"] == "alice@example.org"
    assert [each["email"] for each in made["envelope"]["rcptTo"]] == ["bob@example.org", "ward@example.org"]
    assert len(await world.inbox(BOB)) == len(await world.inbox(WARD)) == 1


async def test_each_recipient_has_its_own_outcome(world: Any, alice: Any):
    world.post.refuses["ward@example.org"] = CLOSED
    made = await hand_over(
        alice, await sent_copy(world), envelope=envelope("bob@example.org", "ward@example.org")
    )
    told = (await status(alice, made["id"]))["deliveryStatus"]
    assert {each: told[each]["delivered"] for each in told} == {
        "bob@example.org": "yes",
        "ward@example.org": "no",
    }
    assert told["ward@example.org"]["smtpReply"] == CLOSED.smtp_line
    assert told["ward@example.org"]["reason"] == "conversation-closed"


async def test_what_fails_for_now_is_tried_again(world: Any, alice: Any):
    world.post.refuses_letter = LATER
    made = await hand_over(alice, await sent_copy(world), envelope=envelope("bob@example.org"))
    assert made["deliveryStatus"]["bob@example.org"]["delivered"] == "queued"
    world.post.refuses_letter = None
    await due_now(world)
    await until(lambda: delivered(alice, made["id"], "bob@example.org"))
    assert len(await world.inbox(BOB)) == 1


async def due_now(world: Any) -> None:
    """As if its time had come."""
    await world.store.write(
        lambda transaction: transaction.sql.run("UPDATE jmap_submission SET due = 1 WHERE due IS NOT NULL")
    )
    world.door.queue.wake()


@pytest.mark.parametrize("turns", range(5))
async def test_it_ends_when_it_is_told_to_though_it_is_woken_at_that_moment(world: Any, turns: int):
    await asyncio.sleep(0.05)  # it sleeps
    ending = asyncio.create_task(world.door.queue.stop())
    for _ in range(turns):
        await asyncio.sleep(0)
    world.door.queue.wake()
    async with asyncio.timeout(60):
        await ending


async def delivered(client: Any, submission: str, address: str) -> bool:
    return (await status(client, submission))["deliveryStatus"][address]["delivered"] == "yes"


# ── what is refused ──


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"emailId": "Mnone"}, "invalidProperties"),
        ({"identityId": "nobody"}, "invalidProperties"),
        ({"identityId": BOB}, "invalidProperties"),
        ({"sendAt": "2026-01-01T00:00:00Z"}, "invalidProperties"),
        ({"envelope": {"mailFrom": {"email": "alice@example.org"}}}, "invalidProperties"),
        ({"envelope": envelope("bob@example.org", hold="soon")}, "invalidProperties"),
        ({"envelope": envelope("bob@example.org", hold="9999999")}, "invalidProperties"),
        ({"envelope": envelope("bob@example.org", until="tomorrow")}, "invalidProperties"),
        ({"envelope": envelope("bob@example.org", until="2026-11-22T00:00:00")}, "invalidProperties"),
        ({"envelope": envelope()}, "noRecipients"),
        ({"envelope": envelope("bob@example.org", "nobody at all")}, "invalidRecipients"),
        ({"envelope": envelope("bob@example.org", "a@b\r\nRCPT TO:<c@d>")}, "invalidRecipients"),
        ({"envelope": envelope(*(f"a{n}@example.org" for n in range(101)))}, "tooManyRecipients"),
        ({"envelope": envelope("bob@example.org", sender="bob@example.org")}, "forbiddenMailFrom"),
        ({"envelope": envelope("nobody@example.org")}, "invalidRecipients"),
    ],
)
async def test_what_cannot_leave_is_refused_by_name(
    world: Any, alice: Any, change: dict[str, Any], error: str
):
    wanted = {"envelope": envelope("bob@example.org")} | change
    told = await hand_over(alice, wanted.pop("emailId", None) or await sent_copy(world), **wanted)
    assert told["type"] == error
    assert await world.inbox(BOB) == []
    assert (await alice("EmailSubmission/get", ids=None))["list"] == []


async def test_a_letter_of_another_author_is_forbidden(world: Any, alice: Any):
    message = letter().replace(b"alice@", b"bob@")
    told = await hand_over(
        alice, await sent_copy(world, message=message), envelope=envelope("bob@example.org")
    )
    assert told["type"] == "forbiddenFrom"


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (Refusal(550, "5.7.1", "Forged", "from-forged"), "forbiddenFrom"),
        (Refusal(552, "5.3.4", "Too large", "too-large"), "tooLarge"),
        (CLOSED, "forbiddenToSend"),
        (Refusal(550, "5.7.5", "Other keys", "encrypted-to-other-keys"), "forbiddenToSend"),
    ],
)
async def test_what_delivery_refuses_is_told_with_its_reason(
    world: Any, alice: Any, refusal: Refusal, error: str
):
    world.post.refuses_letter = refusal
    told = await hand_over(alice, await sent_copy(world), envelope=envelope("bob@example.org"))
    assert (told["type"], told["reason"], told["reference"]) == (error, refusal.reason, refusal.id)


async def test_a_sender_who_is_refused_sends_nothing(world: Any, alice: Any):
    world.post.refuses_sender = Refusal(550, "5.7.1", "Not yours", "sender-not-yours")
    told = await hand_over(alice, await sent_copy(world), envelope=envelope("bob@example.org"))
    assert told["type"] == "forbiddenMailFrom"


async def test_unknown_parameters_are_not_passed_over(world: Any, alice: Any):
    wanted = envelope("bob@example.org")
    wanted["rcptTo"][0]["parameters"] = {"MT-PRIORITY": "3"}
    assert (await hand_over(alice, await sent_copy(world), envelope=wanted))["type"] == "invalidProperties"
    wanted = envelope("bob@example.org")
    wanted["mailFrom"]["parameters"] = {"MT-PRIORITY": "3"}
    assert (await hand_over(alice, await sent_copy(world), envelope=wanted))["type"] == "invalidProperties"


async def test_what_is_asked_to_be_told_is_handed_over_as_smtp_would(world: Any, alice: Any):
    # RFC 8621 §7: values come decoded; RFC 3461 §4: delivery has them in xtext.
    wanted = envelope("bob@example.org")
    wanted["mailFrom"]["parameters"] = {"RET": "HDRS", "ENVID": "Lettre 1+2"}
    wanted["rcptTo"][0]["parameters"] = {"notify": "SUCCESS,DELAY", "ORCPT": "rfc822;r+b@example.org"}
    made = await hand_over(alice, await sent_copy(world), envelope=wanted)
    assert made["deliveryStatus"]["bob@example.org"]["delivered"] == "yes"
    assert world.post.parameters[-1].ret == "HDRS"
    assert world.post.parameters[-1].envid == "Lettre+201+2B2"
    assert world.post.asked[-1] == Asked(Notify.SUCCESS | Notify.DELAY, "rfc822;r+2Bb@example.org")
    told = await status(alice, made["id"])
    assert told["envelope"]["rcptTo"][0]["parameters"] == {
        "NOTIFY": "SUCCESS,DELAY",
        "ORCPT": "rfc822;r+b@example.org",
    }


@pytest.mark.parametrize(
    ("where", "given"),
    [
        ("mailFrom", {"RET": "ALL"}),
        ("mailFrom", {"RET": None}),
        ("mailFrom", {"ENVID": "é"}),
        ("mailFrom", {"ENVID": "x" * 101}),
        ("rcptTo", {"NOTIFY": "NEVER,DELAY"}),
        ("rcptTo", {"NOTIFY": None}),
        ("rcptTo", {"ORCPT": "bob@example.org"}),
        ("rcptTo", {"RET": "HDRS"}),
    ],
)
async def test_what_cannot_be_asked_is_refused(world: Any, alice: Any, where: str, given: Any):
    wanted = envelope("bob@example.org")
    (wanted["mailFrom"] if where == "mailFrom" else wanted["rcptTo"][0])["parameters"] = given
    assert (await hand_over(alice, await sent_copy(world), envelope=wanted))["type"] == "invalidProperties"


# ── held ──


async def test_a_held_letter_waits_and_is_called_back(world: Any, alice: Any):
    made = await hand_over(alice, await sent_copy(world), envelope=envelope("bob@example.org", hold="15"))
    assert (made["undoStatus"], made["deliveryStatus"]["bob@example.org"]["delivered"]) == (
        "pending",
        "queued",
    )
    told = await alice("EmailSubmission/set", update={made["id"]: {"undoStatus": "canceled"}})
    assert told["updated"] == {made["id"]: None}
    await due_now(world)
    await asyncio.sleep(0.1)
    assert await world.inbox(BOB) == []
    assert (await status(alice, made["id"]))["undoStatus"] == "canceled"


async def test_a_held_letter_leaves_in_its_time_though_its_author_is_gone(world: Any, alice: Any):
    made = await hand_over(alice, await sent_copy(world), envelope=envelope("bob@example.org", hold="1"))
    await until(lambda: delivered(alice, made["id"], "bob@example.org"))
    assert await world.inbox(BOB) == [letter()]
    assert world.post.identities[-1].mechanism == HELD
    assert world.post.identities[-1].credential == made["id"]
    too_late = await alice("EmailSubmission/set", update={made["id"]: {"undoStatus": "canceled"}})
    assert too_late["notUpdated"][made["id"]]["type"] == "cannotUnsend"


async def test_a_held_letter_leaves_though_its_copy_was_destroyed(world: Any, alice: Any):
    email = await sent_copy(world)
    made = await hand_over(alice, email, envelope=envelope("bob@example.org", hold="600"))
    await alice("Email/set", destroy=[email])
    await due_now(world)
    await until(lambda: delivered(alice, made["id"], "bob@example.org"))
    assert await world.inbox(BOB) == [letter()]


async def test_a_moment_given_by_the_clock(world: Any, alice: Any):
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    made = await hand_over(alice, await sent_copy(world), envelope=envelope("bob@example.org", until=soon))
    assert (made["sendAt"], made["undoStatus"]) == (soon, "pending")


async def test_a_refusal_of_later_is_told_in_the_status(world: Any, alice: Any):
    made = await hand_over(alice, await sent_copy(world), envelope=envelope("bob@example.org", hold="600"))
    world.post.refuses["bob@example.org"] = CLOSED
    await due_now(world)

    async def refused() -> bool:
        return (await status(alice, made["id"]))["deliveryStatus"]["bob@example.org"]["delivered"] == "no"

    await until(refused)
    told = await status(alice, made["id"])
    assert told["deliveryStatus"]["bob@example.org"]["smtpReply"] == CLOSED.smtp_line
    assert told["undoStatus"] == "final"


@pytest.mark.parametrize("status_wanted", ["final", "pending?", None, 5])
async def test_only_calling_back_is_a_change(world: Any, alice: Any, status_wanted: Any):
    made = await hand_over(alice, await sent_copy(world), envelope=envelope("bob@example.org", hold="600"))
    told = await alice("EmailSubmission/set", update={made["id"]: {"undoStatus": status_wanted}})
    assert told["notUpdated"][made["id"]]["type"] == "invalidProperties"
    told = await alice(
        "EmailSubmission/set", update={made["id"]: {"sendAt": "x"}, "Snone": {"undoStatus": "canceled"}}
    )
    assert told["notUpdated"][made["id"]]["properties"] == ["sendAt"]
    assert told["notUpdated"]["Snone"]["type"] == "notFound"


async def test_destroying_the_object_does_not_stop_the_letter(world: Any, alice: Any):
    made = await hand_over(alice, await sent_copy(world), envelope=envelope("bob@example.org", hold="600"))
    told = await alice("EmailSubmission/set", destroy=[made["id"], "Snone"])
    assert told["destroyed"] == [made["id"]]
    assert told["notDestroyed"]["Snone"]["type"] == "notFound"
    assert (await alice("EmailSubmission/get", ids=[made["id"]]))["notFound"] == [made["id"]]
    await due_now(world)

    async def came() -> bool:
        return len(await world.inbox(BOB)) == 1

    await until(came)


# ── exactly once ──


async def test_killed_between_two_recipients_each_gets_it_once(world: Any, alice: Any):
    to = envelope("bob@example.org", "ward@example.org", "alice@example.org", hold="600")
    made = await hand_over(alice, await sent_copy(world), envelope=to)
    world.post.dies_after = 2
    await due_now(world)

    async def died() -> bool:
        return len(world.post.delivered) == 2

    await until(died)
    await world.door.stop()
    # Another process on the same home: nothing of the first one's memory.
    after = build(world.store)
    await after.door.start()
    try:
        client = after.program("alice@example.org")
        for address in ("bob@example.org", "ward@example.org", "alice@example.org"):
            await until(lambda address=address: delivered(client, made["id"], address))
        assert [len(await world.inbox(each)) for each in (BOB, WARD, ALICE)] == [1, 1, 1]
    finally:
        await after.door.stop()
        await after.http.aclose()


async def test_who_answers_nothing_is_asked_again_and_files_once(world: Any, alice: Any):
    email = await sent_copy(world)
    for _ in range(2):
        await hand_over(alice, email, envelope=envelope("bob@example.org"))
    assert len(await world.inbox(BOB)) == 1


async def test_no_recipient_lies_readable_in_the_database(world: Any, alice: Any, tmp_path: Any):
    await hand_over(alice, await sent_copy(world), envelope=envelope(NUMBER, hold="600"))
    stored = await world.store.read(lambda reader: reader.sql.all("SELECT * FROM jmap_submission"))
    assert NUMBER.partition("@")[0] not in repr(stored)
    await world.door.stop()
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert NUMBER.partition("@")[0].encode() not in files
    await world.door.start()


# ── on success ──


async def test_on_success_letters_are_changed_and_told_after(world: Any, alice: Any):
    answered, email = await world.file(), await sent_copy(world)
    wanted = {"identityId": ALICE, "emailId": email, "envelope": envelope("bob@example.org", hold="600")}
    bad = {"identityId": ALICE, "emailId": answered, "envelope": envelope()}
    answers = await alice.calls(
        (
            "EmailSubmission/set",
            {
                "create": {"k": wanted, "bad": bad},
                "onSuccessUpdateEmail": {"#k": {"keywords/$sent": True}, "#bad": {"keywords/$sent": True}},
            },
            "s",
        ),
        ("Email/get", {"ids": [email, answered], "properties": ["keywords"]}, "g"),
    )
    assert [(name, call) for name, _, call in answers] == [
        ("EmailSubmission/set", "s"), ("Email/set", "s"), ("Email/get", "g"),
    ]  # fmt: skip
    assert answers[1][1]["updated"] == {email: None}
    assert [each["keywords"] for each in answers[2][1]["list"]] == [{"$sent": True}, {}]


async def test_a_draft_goes_when_it_was_handed_over(world: Any, alice: Any):
    email = await sent_copy(world)
    wanted = {"identityId": ALICE, "emailId": email, "envelope": envelope("bob@example.org", hold="600")}
    answers = await alice.calls(
        ("EmailSubmission/set", {"create": {"k": wanted}, "onSuccessDestroyEmail": ["#k"]}),
    )
    assert answers[1][1]["destroyed"] == [email]


async def test_calling_back_may_destroy_the_copy(world: Any, alice: Any):
    email = await sent_copy(world)
    made = await hand_over(alice, email, envelope=envelope("bob@example.org", hold="600"))
    answers = await alice.calls(
        (
            "EmailSubmission/set",
            {"update": {made["id"]: {"undoStatus": "canceled"}}, "onSuccessDestroyEmail": [made["id"]]},
        ),
    )
    assert answers[1][1]["destroyed"] == [email]


# ── reading ──


async def test_states_and_changes(world: Any, alice: Any):
    state = (await alice("EmailSubmission/get", ids=[]))["state"]
    made = await hand_over(alice, await sent_copy(world), envelope=envelope("bob@example.org", hold="600"))
    told = await alice("EmailSubmission/changes", sinceState=state)
    assert (told["created"], told["updated"]) == ([made["id"]], [])
    await alice("EmailSubmission/set", update={made["id"]: {"undoStatus": "canceled"}})
    told = await alice("EmailSubmission/changes", sinceState=told["newState"])
    assert (told["created"], told["updated"]) == ([], [made["id"]])
    wrong = await alice("EmailSubmission/set", ifInState=state, destroy=[made["id"]])
    assert wrong["type"] == "stateMismatch"


async def test_queries(world: Any, alice: Any):
    one, two = await sent_copy(world, message=letter("1")), await sent_copy(world, message=letter("2"))
    first = await hand_over(alice, one, envelope=envelope("bob@example.org", hold="600"))
    second = await hand_over(alice, two, envelope=envelope("bob@example.org", hold="900"))
    await alice("EmailSubmission/set", update={second["id"]: {"undoStatus": "canceled"}})

    async def found(**arguments: Any) -> list[str]:
        return (await alice("EmailSubmission/query", **arguments))["ids"]

    assert await found(filter={"undoStatus": "pending"}) == [first["id"]]
    assert await found(filter={"emailIds": [two]}) == [second["id"]]
    assert await found(filter={"before": second["sendAt"]}) == [first["id"]]
    newest = [{"property": "sentAt", "isAscending": False}]
    assert await found(sort=newest) == [second["id"], first["id"]]
    assert await found(sort=newest, position=1) == [first["id"]]
    assert (await alice("EmailSubmission/query", sort=[{"property": "x"}]))["type"] == "unsupportedSort"
    assert (await alice("EmailSubmission/query", filter={"operator": "AND"}))["type"] == "unsupportedFilter"
    assert (await alice("EmailSubmission/query", anchor="Snone"))["type"] == "anchorNotFound"


async def test_a_patient_writes_under_the_number_others_see(world: Any):
    page = world.page(PATIENT)
    message = pgp_mime(f"From: <{NUMBER}>\r\nTo: bob@example.org\r\nSubject: [...] abcd\r\n".encode())
    email = await sent_copy(world, PATIENT, message)
    wanted = envelope("bob@example.org", hold="600", sender=NUMBER)
    assert (await hand_over(page, email, envelope=wanted))["undoStatus"] == "pending"
    identities = (await page("Identity/get", ids=None))["list"]
    assert [each["email"] for each in identities] == [NUMBER]


async def test_a_member_writes_for_the_ward(world: Any, alice: Any):
    email = await sent_copy(world, message=letter().replace(b"alice@", b"ward@"))
    wanted = envelope("bob@example.org", sender="ward@example.org")
    told = await hand_over(alice, email, identityId=WARD, envelope=wanted)
    assert told["undoStatus"] == "final"
