"""HTTP in front of the methods: who speaks, what is refused before anything runs (RFC 8620 §2, §3.6, §6)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any
from urllib.parse import quote

import pytest

from mail_server.jmap.interface import Capability, MethodError
from mail_server.jmap.settings import JmapSettings
from mail_server.jmap.transfers import disposition, is_sealed, safe_type
from mail_server.store.armor import armor
from tests.mail_server.jmap.conftest import (
    ALICE,
    ALL,
    BOB,
    PATIENT,
    PKESK,
    SEIPD,
    SIMPLE,
    VENDOR,
    WARD,
    build,
    letter,
    pgp_mime,
)

ECHO = {"using": ALL[:1], "methodCalls": [["Core/echo", {"a": 1}, "0"]]}


# ── session ──


async def test_the_session_lists_capabilities_accounts_and_absolute_urls(world: Any, alice: Any):
    answer = await alice.http.get("/.well-known/jmap", headers=alice.headers)
    told = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert set(told["capabilities"]) == {*ALL, VENDOR}
    assert told["capabilities"][ALL[0]]["maxCallsInRequest"] == 32
    assert told["accounts"][ALICE]["isPersonal"] is True
    assert told["accounts"][WARD]["isPersonal"] is False
    assert BOB not in told["accounts"]
    assert told["accounts"][ALICE]["accountCapabilities"][ALL[2]]["maxDelayedSend"] == 2_592_000
    assert told["primaryAccounts"] == dict.fromkeys([*ALL, VENDOR], ALICE)
    assert told["apiUrl"] == "https://mail.example/jmap/api"
    assert told["uploadUrl"] == "https://mail.example/jmap/upload/{accountId}/"
    assert told["downloadUrl"].startswith(
        "https://mail.example/jmap/download/{accountId}/{blobId}/{name}?type={type}"
    )
    assert "{types}" in told["eventSourceUrl"]


async def test_a_patient_is_named_by_the_address_others_see_and_known_by_another(world: Any):
    page = world.page(PATIENT)
    told = (await page.http.get("/jmap/session", headers=page.headers)).json()
    assert told["accounts"][PATIENT]["name"].startswith("260058815400233@")
    assert told["username"].startswith("patient")


async def test_the_session_state_changes_with_the_accounts_one_reaches(world: Any, alice: Any):
    before = (await alice.post(ECHO)).json()["sessionState"]
    assert before == (await alice.http.get("/jmap/session", headers=alice.headers)).json()["state"]
    world.book.change(WARD, members=())
    assert (await alice.post(ECHO)).json()["sessionState"] != before


async def test_the_public_address_stands_in_the_urls(store: Any):
    world = build(store, JmapSettings(public_url="https://mss.example"))
    client = world.program()
    told = (await client.http.get("/jmap/session", headers=client.headers)).json()
    assert told["apiUrl"] == "https://mss.example/jmap/api"
    await world.http.aclose()


# ── who speaks ──


def bearer(user: str, password: str = "secret") -> str:
    return "Bearer vm1_" + base64.urlsafe_b64encode(f"{user}:{password}".encode()).decode().rstrip("=")


async def test_basic_and_bearer_are_app_passwords(world: Any, alice: Any):
    assert (await alice.post(ECHO)).status_code == 200
    assert (await alice.post(ECHO, authorization=bearer("alice@example.org"))).status_code == 200
    assert {peer.protocol for _, peer in world.logins.asked} == {"jmap"}


async def test_a_password_is_verified_once_and_its_account_asked_each_time(world: Any, alice: Any):
    for _ in range(3):
        await alice.post(ECHO)
    assert len(world.logins.asked) == 1
    world.book.revoked.add("app-alice@example.org")
    world.logins.book.by.pop(ALICE)
    assert (await alice.post(ECHO)).status_code == 401


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"alice@example.org").decode(),
        "Basic " + base64.b64encode(b"alice@example.org:wrong").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Bearer abc",
        "Bearer vm1_!!!",
        bearer("nobody@example.org"),
        "Digest x",
        "Basic " + "A" * 5000,
    ],
)
async def test_whoever_proves_nothing_is_asked_who_they_are(alice: Any, header: str):
    answer = await alice.post(ECHO, authorization=header)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Basic realm="Vaguemestre"')
    assert answer.json()["error"] == "no-session"


async def test_a_login_that_cannot_be_judged_asks_to_come_back(world: Any, alice: Any):
    world.logins.unable = True
    answer = await alice.post(ECHO)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_no_password_is_taken_in_clear(world: Any, alice: Any):
    answer = await alice.http.post("http://mail.example/jmap/api", json=ECHO, headers=alice.headers)
    assert answer.status_code == 401


async def test_the_pages_cookie_speaks_with_our_header_and_origin(world: Any):
    page = world.page()
    assert (await page.post(ECHO)).status_code == 200
    assert (await page.post(ECHO, origin="")).status_code == 403


@pytest.mark.parametrize(
    ("change", "slug"),
    [
        ({"x-vaguemestre": None}, "header-missing"),
        ({"origin": "https://evil.example"}, "foreign-origin"),
        ({"origin": "http://mail.example"}, "foreign-origin"),
        ({"origin": None}, "origin-unknown"),
        ({"origin": None, "sec-fetch-site": "cross-site"}, "foreign-origin"),
    ],
)
async def test_a_request_another_site_made_is_refused(world: Any, change: dict[str, str | None], slug: str):
    page = world.page()
    headers = {name: value for name, value in (page.headers | change).items() if value is not None}
    for answer in (
        await page.http.post("/jmap/api", json=ECHO, headers=headers),
        await page.http.get("/jmap/session", headers=headers),
        await page.http.post(f"/jmap/upload/{PATIENT}/", content=b"x", headers=headers),
        await page.http.get(f"/jmap/download/{PATIENT}/U1/a", headers=headers),
    ):
        assert (answer.status_code, answer.json()["error"]) == (403, slug)


async def test_a_cookie_and_a_password_together_are_refused(world: Any, alice: Any):
    page = world.page()
    answer = await page.post(ECHO, **alice.headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "two-proofs")


async def test_an_ended_session_is_told_without_a_password_prompt(world: Any):
    page = world.page()
    world.cookies.by.clear()
    answer = await page.post(ECHO)
    assert answer.status_code == 401
    assert "Basic" not in answer.headers["www-authenticate"]


async def test_over_https_the_cookie_of_the_demo_does_not_count(world: Any):
    page = world.page()
    page.headers["cookie"] = "vaguemestre=biscuit"
    assert (await page.post(ECHO)).status_code == 401
    page.headers["origin"] = "http://localhost:10080"
    answer = await page.http.post("http://localhost:10080/jmap/api", json=ECHO, headers=page.headers)
    assert answer.status_code == 200


async def test_a_suspended_account_speaks_for_nobody(world: Any, alice: Any):
    page = world.page()
    assert (await alice.post(ECHO)).status_code == 200
    world.book.change(PATIENT, suspended=True)
    world.book.change(ALICE, suspended=True)
    assert (await page.post(ECHO)).status_code == 401
    assert world.door.entrance.still(guest_of(alice)) is False


def guest_of(client: Any) -> Any:
    from mail_server.accounts.interface import Identity, Kind, Peer
    from mail_server.jmap.entrance import Guest

    identity = Identity(client.account, "alice@example.org", Kind.PER, "PLAIN", "app-alice@example.org")
    return Guest(identity, Peer("", 0, "jmap", "s", tls=True))


# ── requests refused as a whole ──


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "notJSON"),
        (b'{"using": [], "using": []}', "notJSON"),
        (b"[]", "notRequest"),
        ({"using": ["urn:x"], "methodCalls": []}, "unknownCapability"),
        ({"using": [], "methodCalls": [["a", {}, "0"]] * 33}, "limit"),
    ],
)
async def test_request_errors_are_problem_details(alice: Any, body: Any, kind: str):
    answer = await alice.post(body)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["type"] == f"urn:ietf:params:jmap:error:{kind}"


async def test_another_content_type_is_not_json(alice: Any):
    answer = await alice.post(ECHO, **{"content-type": "text/plain"})
    assert answer.json()["type"].endswith(":notJSON")


async def test_a_request_beyond_the_size_is_not_read(alice: Any):
    answer = await alice.post(b"[" + b" " * 1_000_001)
    assert (answer.json()["limit"], answer.status_code) == ("maxSizeRequest", 400)


async def test_too_many_requests_at_once_are_refused(store: Any):
    reached, go_on = asyncio.Event(), asyncio.Event()
    waiting = 0

    async def wait(_: Any, __: Any) -> dict[str, Any]:
        nonlocal waiting
        waiting += 1
        if waiting == 4:
            reached.set()
        await go_on.wait()
        return {}

    world = build(store, JmapSettings(max_concurrent_requests=4), [Capability("urn:x", {"X/wait": wait})])
    client = world.program()
    request = {"using": ["urn:x"], "methodCalls": [["X/wait", {}, "0"]]}
    await client.post(ECHO)
    four = [asyncio.create_task(client.post(request)) for _ in range(4)]
    await reached.wait()
    answer = await client.post(ECHO)
    assert (answer.status_code, answer.json()["limit"]) == (400, "maxConcurrentRequests")
    assert (await world.program("bob@example.org").post(ECHO)).status_code == 200
    go_on.set()
    assert {each.status_code for each in await asyncio.gather(*four)} == {200}
    assert (await client.post(ECHO)).status_code == 200
    await world.http.aclose()


# ── methods ──


async def test_echo(alice: Any):
    assert (await alice.calls(("Core/echo", {"a": [1, None, "é"]}, "x"))) == [
        ["Core/echo", {"a": [1, None, "é"]}, "x"]
    ]


async def test_created_ids_are_told_to_who_asks(world: Any, alice: Any):
    email = await world.file()
    request = {"using": ALL, "methodCalls": [], "createdIds": {"k": email}}
    request["methodCalls"] = [["Email/get", {"accountId": ALICE, "ids": ["#k"], "properties": []}, "0"]]
    told = (await alice.post(request)).json()
    assert told["methodResponses"][0][1]["list"] == [{"id": email}]
    assert told["createdIds"] == {"k": email}
    assert "createdIds" not in (await alice.post(ECHO)).json()


async def test_a_method_without_its_capability_is_unknown(alice: Any):
    assert (await alice("Email/get", using=ALL[:1], ids=[]))["type"] == "unknownMethod"


@pytest.mark.parametrize(
    "method",
    [
        "Mailbox/set", "Mailbox/queryChanges", "SearchSnippet/get", "Email/copy", "Email/parse",
        "Identity/set", "EmailSubmission/queryChanges", "VacationResponse/get", "PushSubscription/get", "Blob/copy",
        "Quota/queryChanges", "Thread/set", "nonsense", "",
    ],
)  # fmt: skip
async def test_a_method_that_is_not_there_is_unknown(alice: Any, method: str):
    assert (await alice(method))["type"] == "unknownMethod"


async def test_a_fault_is_server_fail_and_says_nothing_of_itself(
    store: Any, caplog: pytest.LogCaptureFixture
):
    async def fails(_: Any, __: Any) -> dict[str, Any]:
        raise ValueError("the secret diagnosis")

    world = build(store, capabilities=[Capability("urn:x", {"X/fail": fails})])
    client = world.program()
    told = await client.calls(("X/fail", {}), ("Core/echo", {}), using=["urn:x", *ALL])
    assert told[0][1]["type"] == "serverFail"
    assert told[1][0] == "Core/echo"
    assert "diagnosis" not in repr(told) + caplog.text
    assert "X/fail failed: ValueError" in caplog.text
    await world.http.aclose()


async def test_other_packages_add_capabilities_and_say_for_which_accounts(store: Any):
    async def get(turn: Any, arguments: Any) -> dict[str, Any]:
        return {"name": turn.account(arguments).address}

    async def later(_: Any, __: Any) -> dict[str, Any]:
        raise MethodError("serverPartialFail", "Half of it")

    extra = Capability(
        "urn:x",
        {"X/get": get, "X/later": later},
        {"limit": 3},
        lambda account: None if account.members else {"y": 1},
    )
    world = build(store, capabilities=[extra])
    client = world.program()
    session = (await client.http.get("/jmap/session", headers=client.headers)).json()
    assert session["capabilities"]["urn:x"] == {"limit": 3}
    assert session["accounts"][ALICE]["accountCapabilities"]["urn:x"] == {"y": 1}
    assert "urn:x" not in session["accounts"][WARD]["accountCapabilities"]
    using = ["urn:x"]
    assert (await client("X/get", using=using)) == {"name": "alice@example.org"}
    assert (await client("X/get", using=using, accountId=WARD))["type"] == "accountNotSupportedByMethod"
    assert (await client("X/later", using=using)) == {
        "type": "serverPartialFail",
        "description": "Half of it",
    }
    await world.http.aclose()


async def test_a_store_that_does_not_answer_is_server_unavailable(world: Any, alice: Any):
    await alice.post(ECHO)
    await world.store.stop()
    assert (await alice("Mailbox/get", ids=None))["type"] == "serverUnavailable"
    await world.store.start()


async def test_too_many_objects_are_too_large(alice: Any):
    many = [f"M{n}" for n in range(501)]
    assert (await alice("Email/get", ids=many))["type"] == "requestTooLarge"
    assert (await alice("Email/set", destroy=many))["type"] == "requestTooLarge"


# ── every method and another's account ──

METHODS: dict[str, dict[str, Any]] = {
    "Mailbox/get": {}, "Mailbox/query": {}, "Mailbox/changes": {"sinceState": "0"}, "Thread/get": {"ids": []},
    "Thread/changes": {"sinceState": "0"}, "Email/get": {"ids": []}, "Email/changes": {"sinceState": "0"},
    "Email/query": {}, "Email/queryChanges": {"sinceQueryState": "0"}, "Email/set": {}, "Email/import": {"emails": {}},
    "Identity/get": {}, "Identity/changes": {"sinceState": "0"}, "EmailSubmission/get": {},
    "EmailSubmission/changes": {"sinceState": "0"}, "EmailSubmission/query": {}, "EmailSubmission/set": {},
    "Quota/get": {}, "Quota/changes": {"sinceState": "0"}, "Quota/query": {},
}  # fmt: skip


def test_the_list_above_is_whole(world: Any):
    offered = {
        name
        for each in world.door._dispatcher.capabilities.values()
        for name in each.handlers
        if name != "Core/echo"
    }
    assert offered == set(METHODS)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("account", [BOB, "nobody"])
async def test_another_account_is_not_found(alice: Any, method: str, account: str):
    assert await alice(method, accountId=account, **METHODS[method]) == {"type": "accountNotFound"}


@pytest.mark.parametrize("method", METHODS)
async def test_an_account_is_named_and_arguments_are_known(alice: Any, method: str):
    assert (await alice(method, accountId=None, **METHODS[method]))["type"] == "invalidArguments"
    assert (await alice(method, **METHODS[method], more=1))["type"] == "invalidArguments"


async def test_the_ids_of_another_account_are_not_found(world: Any, alice: Any, bob: Any):
    email = await world.file(BOB)
    thread = (await bob("Email/get", ids=[email], properties=["threadId"]))["list"][0]["threadId"]
    inbox, upload = await bob.folder("inbox"), await bob.blob(SIMPLE)
    mine = await world.file(ALICE)
    own = await alice.folder("inbox")
    assert (await alice("Email/get", ids=[email]))["notFound"] == [email]
    assert (await alice("Thread/get", ids=[thread]))["notFound"] == [thread]
    assert (await alice("Mailbox/get", ids=[inbox]))["notFound"] == [inbox]
    assert (await alice("Mailbox/query", filter={"parentId": inbox}))["ids"] == []
    assert (await alice("Mailbox/query", anchor=inbox))["type"] == "anchorNotFound"
    assert (await alice("Email/query", filter={"inMailbox": inbox}))["ids"] == []
    assert (await alice("Email/query", anchor=email))["type"] == "anchorNotFound"
    assert (await alice("Email/set", destroy=[email]))["notDestroyed"][email]["type"] == "notFound"
    told = await alice(
        "Email/set", update={email: {"keywords/$seen": True}, mine: {"mailboxIds": {inbox: True}}}
    )
    assert {each: error["type"] for each, error in told["notUpdated"].items()} == {
        email: "notFound", mine: "invalidProperties",
    }  # fmt: skip
    for blob in (upload, "B" + email, "P1-" + email):
        told = await alice("Email/import", emails={"k": {"blobId": blob, "mailboxIds": {own: True}}})
        assert told["notCreated"]["k"]["properties"] == ["blobId"]
        assert (await alice.download(blob)).status_code == 404
        assert (await alice.download(blob, account=BOB)).status_code == 404
    assert (await alice.upload(b"x", account=BOB)).status_code == 404
    wanted = {"identityId": ALICE, "emailId": email}
    told = await alice("EmailSubmission/set", create={"k": wanted})
    assert told["notCreated"]["k"]["properties"] == ["emailId"]
    kept = await world.inbox(BOB)
    assert kept == [SIMPLE]


async def test_a_submission_of_another_account_is_not_found(world: Any, alice: Any, bob: Any):
    email = await world.file(ALICE, letter())
    envelope = {
        "mailFrom": {"email": "alice@example.org", "parameters": {"HOLDFOR": "600"}},
        "rcptTo": [{"email": "bob@example.org"}],
    }
    wanted = {"identityId": ALICE, "emailId": email, "envelope": envelope}
    made = (await alice("EmailSubmission/set", create={"k": wanted}))["created"]["k"]["id"]
    assert (await bob("EmailSubmission/get", ids=[made]))["notFound"] == [made]
    told = await bob("EmailSubmission/set", update={made: {"undoStatus": "canceled"}}, destroy=[made])
    assert told["notUpdated"][made]["type"] == told["notDestroyed"][made]["type"] == "notFound"


async def test_a_member_reaches_the_ward_and_only_while_a_member(world: Any, alice: Any):
    email = await world.file(WARD)
    assert (await alice("Email/query", accountId=WARD))["ids"] == [email]
    world.book.change(WARD, members=())
    assert (await alice("Email/query", accountId=WARD))["type"] == "accountNotFound"


# ── upload and download ──


async def test_an_upload_comes_back_as_it_was(alice: Any):
    data = bytes(range(256)) * 1000
    answer = await alice.upload(data, "image/png; x=y")
    told = answer.json()
    assert (answer.status_code, told["size"], told["type"], told["accountId"]) == (
        201,
        len(data),
        "image/png",
        ALICE,
    )
    assert told["blobId"].startswith("U")
    got = await alice.download(told["blobId"])
    assert hashlib.sha256(got.content).digest() == hashlib.sha256(data).digest()


async def test_an_upload_too_large_is_refused(store: Any):
    world = build(store, JmapSettings(max_upload=1024))
    client = world.program()
    answer = await client.upload(b"x" * 1025)
    assert (answer.status_code, answer.json()["limit"]) == (413, "maxSizeUpload")
    assert world.door.counters.upload_octets == 0
    await world.http.aclose()


async def test_uploads_are_refused_beyond_the_nodes_budget(store: Any):
    world = build(store, JmapSettings(upload_budget=2048))
    client = world.program()
    assert (await client.upload(b"x" * 4096)).status_code == 503
    assert (await client.upload(b"x" * 2000)).status_code == 201
    assert world.door.counters.upload_octets == 0
    await world.http.aclose()


@pytest.mark.parametrize(
    ("data", "sealed"),
    [
        (PKESK + SEIPD, True),
        (armor(PKESK, SEIPD), True),
        (pgp_mime(), True),
        (SIMPLE, False),
        (b"", False),
        (SEIPD, False),
        (PKESK, False),
        (PKESK + SEIPD + b"clear", False),
        (b"Hello\r\n" + armor(PKESK, SEIPD), False),
        (armor(PKESK, SEIPD) + b"\r\nmy diagnosis", False),
        (pgp_mime().replace(b"Version: 1", b"Version: 1\r\n" + b"my diagnosis " * 60), False),
        (b"\xcb\x05b\x00\x00\x00\x00", False),
    ],
)
async def test_a_patients_space_takes_ciphertext_alone(world: Any, data: bytes, sealed: bool):
    assert is_sealed(data) is sealed
    answer = await world.page(PATIENT).upload(data)
    assert answer.status_code == (201 if sealed else 403)
    if not sealed:
        assert answer.json()["error"] == "clear-content-refused"


async def test_a_download_runs_nothing_and_is_embedded_nowhere(world: Any, alice: Any):
    page = b"<script>alert(1)</script>"
    blob = (await alice.upload(page, "text/html")).json()["blobId"]
    answer = await alice.download(blob, quote('évil";.html'), "text/html")
    assert answer.content == page
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "no-store" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("application/pdf", "application/pdf"),
        ("TEXT/PLAIN; charset=x", "text/plain; charset=utf-8"),
        ("text/html", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
        ("application/xhtml+xml", "application/octet-stream"),
        ("text/xml", "application/octet-stream"),
        ("application/javascript", "application/octet-stream"),
        ("x", "application/octet-stream"),
    ],
)
def test_types_a_browser_may_be_told(wanted: str, told: str):
    assert safe_type(wanted) == told


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a.pdf", "attachment; filename=\"a.pdf\"; filename*=UTF-8''a.pdf"),
        ("été.pdf", "attachment; filename=\"_t_.pdf\"; filename*=UTF-8''%C3%A9t%C3%A9.pdf"),
        ('a"; x=y', "attachment; filename=\"a__ x=y\"; filename*=UTF-8''a%22%3B%20x%3Dy"),
        ("../../etc/passwd", "attachment; filename=\"passwd\"; filename*=UTF-8''passwd"),
        ("a\r\nX: y", "attachment; filename=\"aX: y\"; filename*=UTF-8''aX%3A%20y"),
        ("", "attachment; filename=\"file\"; filename*=UTF-8''file"),
    ],
)
def test_names_of_files(name: str, header: str):
    assert disposition(name) == header


@pytest.mark.parametrize("blob", ["Unone", "BMnone", "P1-Mnone", "P9-x", "x", "B", "P1", "P0-M", "P1_2"])
async def test_a_blob_that_is_not_there(alice: Any, blob: str):
    assert (await alice.download(blob)).status_code == 404


# ── identities and quotas ──


async def test_identities_are_ones_own_and_those_of_shared_accounts(alice: Any):
    told = (await alice("Identity/get", ids=None))["list"]
    assert [(each["id"], each["email"]) for each in told] == [
        (ALICE, "alice@example.org"),
        (WARD, "ward@example.org"),
    ]
    assert [each["id"] for each in (await alice("Identity/get", accountId=WARD, ids=None))["list"]] == [WARD]
    state = (await alice("Identity/get", ids=[]))["state"]
    assert (await alice("Identity/changes", sinceState=state))["updated"] == []


async def test_quotas_tell_octets(world: Any, alice: Any):
    assert (await alice("Quota/get", ids=None))["list"] == []
    world.post.limit, world.post.used = 1000, 10
    told = await alice(
        "Quota/get", ids=None, properties=["used", "hardLimit", "resourceType", "scope", "types"]
    )
    assert told["list"] == [
        {
            "id": "octets",
            "used": 10,
            "hardLimit": 1000,
            "resourceType": "octets",
            "scope": "account",
            "types": ["Email"],
        }
    ]
    assert (await alice("Quota/query"))["ids"] == ["octets"]
    world.post.used = 20
    changes = await alice("Quota/changes", sinceState=told["state"])
    assert (changes["updated"], changes["updatedProperties"]) == (["octets"], ["used"])
    world.post.limit = 2000
    assert (await alice("Quota/changes", sinceState=told["state"]))["type"] == "cannotCalculateChanges"
    assert (await alice("Quota/query", filter={"name": "x"}))["type"] == "unsupportedFilter"
    assert (await alice("Quota/query", sort=[{"property": "used"}]))["type"] == "unsupportedSort"
