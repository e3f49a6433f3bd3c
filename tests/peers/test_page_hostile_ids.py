"""Every JMAP method with every id of somebody else's account: nothing is told, nothing is changed.

Each call is made twice, with the victim's id and with one that never existed: the two answers must be the same but
for the id itself, whoever asks. Then the victim's account is looked at: it is as it was.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from deploy.demo import world
from deploy.demo.browser.page import PageClient
from tests.peers import intruder
from tests.peers.intruder import Someone, as_page, ask, jmap, post

pytestmark = pytest.mark.peers

WORD = "mot-de-la-victime-7Q"


@dataclass(slots=True)
class Victim:
    """A patient with letters, an upload, a letter that waits to leave; and all ids of these."""

    who: Someone
    ids: dict[str, str] = field(default_factory=dict[str, str])

    def standing(self) -> dict[str, Any]:
        """Everything somebody else could have changed."""
        page = self.who.page
        emails, mailboxes, submissions, quota = page.call(
            ("Email/get", {"ids": [self.ids["email"]], "properties": ["keywords", "mailboxIds", "threadId"]}),
            ("Mailbox/get", {"ids": None}),
            ("EmailSubmission/get", {"ids": [self.ids["submission"]]}),
            ("Email/query", {"limit": 50}),
        )
        return {
            "emails": emails, "mailboxes": mailboxes, "submissions": submissions, "all": quota,
            "session": {k: v for k, v in page.get("/api/session").items() if k != "expires"},
            "reseal": page.get("/api/reseal"),
            "upload": page.request("GET", f"/jmap/download/{self.who.account}/{self.ids['upload']}/x"),
        }  # fmt: skip


@dataclass(slots=True)
class Siege:
    made: world.World
    victim: Victim
    intruders: dict[str, tuple[str, str]]  # who → account id, cookie

    @property
    def port(self) -> int:
        return self.made.ports["http"]


@pytest.fixture(scope="module")
def siege() -> Iterator[Siege]:
    with intruder.siege() as (made, _):
        victim = Victim(intruder.activated(made, "Alix", WORD.upper(), 1))
        intruder.write_as_hospital(made, victim.who.shown, intruder.letter(victim.who.shown, WORD))
        _fill(victim)
        patient = intruder.activated(made, "Eve", "INTRUSE", 2)
        intruder.write_as_hospital(made, patient.shown, intruder.letter(patient.shown, "mot-d-eve"))
        per = intruder.professional(made, f"mallory.per@{world.DOMAIN}")
        yield Siege(
            made,
            victim,
            {
                "another patient": (patient.account, patient.cookie),
                "a professional": (per.account, per.cookie),
            },
        )


def _fill(victim: Victim) -> None:
    page = victim.who.page
    (email,) = page.letters()
    page.write(world.HOSPITAL, WORD, WORD, hold=3600)
    (submissions,) = page.call(("EmailSubmission/query", {}))
    armored = b"-----BEGIN PGP MESSAGE-----"
    sealed = page.request("GET", f"/jmap/download/{victim.who.account}/{email['blobId']}/x")
    bare = sealed[sealed.index(armored) :]
    bare = bare[: bare.index(b"-----END PGP MESSAGE-----") + 25]
    upload = json.loads(page.request("POST", f"/jmap/upload/{victim.who.account}/", bare, "text/plain"))
    victim.ids.update(
        account=victim.who.account,
        email=email["id"],
        thread=email["threadId"],
        mailbox=page.mailbox("inbox"),
        submission=submissions["ids"][0],
        blob=email["blobId"],
        part=f"P1-{email['id']}",
        second_part=f"P2-{email['id']}",
        upload=upload["blobId"],
    )


def made_up(real: str) -> str:
    """An id of the same shape that never was."""
    head = re.match(r"P[0-9_]+-.|[A-Z]?", real)
    kept = head[0] if head else ""
    return kept + re.sub(r"[0-9a-z]", lambda m: "a" if m[0] != "a" else "b", real[len(kept) :])


def calls(account: str, ids: dict[str, str], own: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """Every method, with ids at every place an id may stand."""
    a = {"accountId": account}
    email, thread, box, sub = ids["email"], ids["thread"], ids["mailbox"], ids["submission"]
    envelope = {"mailFrom": {"email": own["shown"]}, "rcptTo": [{"email": world.HOSPITAL}]}
    imported = {"mailboxIds": {own["mailbox"]: True}}
    return [
        ("Core/echo", {"x": 1}),
        ("Mailbox/get", a | {"ids": [box]}),
        ("Mailbox/changes", a | {"sinceState": "0"}),
        ("Mailbox/query", a | {"filter": {"parentId": box}}),
        ("Mailbox/query", a | {"anchor": box}),
        ("Thread/get", a | {"ids": [thread]}),
        ("Thread/changes", a | {"sinceState": "0"}),
        ("Email/get", a | {"ids": [email], "fetchAllBodyValues": True, "properties": [
            "subject", "from", "bodyValues", "sealedSummary", "keyIds", "guard", "header:To:asAddresses"]}),
        ("Email/changes", a | {"sinceState": "0"}),
        ("Email/query", a | {"filter": {"inMailbox": box}}),
        ("Email/query", a | {"filter": {"inMailboxOtherThan": [own["mailbox"], box]}, "calculateTotal": True}),
        ("Email/query", a | {"anchor": email}),
        ("Email/queryChanges", a | {"sinceQueryState": "0", "filter": {"inMailbox": box}}),
        ("Email/set", a | {"update": {email: {"keywords/$seen": True}}}),
        ("Email/set", a | {"update": {email: {f"mailboxIds/{own['mailbox']}": True}}}),
        ("Email/set", a | {"update": {own["email"]: {f"mailboxIds/{box}": True}}}),
        ("Email/set", a | {"destroy": [email]}),
        ("Email/set", a | {"create": {"k": {"mailboxIds": {box: True}, "blobId": ids["blob"]}}}),
        ("Email/set", a | {"create": {"k": {
            "mailboxIds": {own["mailbox"]: True},
            "attachments": [{"blobId": ids["blob"], "type": "text/plain"}]}}}),
        *(
            ("Email/import", a | {"emails": {"k": imported | {"blobId": ids[each]}}})
            for each in ("blob", "part", "second_part", "upload")
        ),
        ("Email/import", a | {"emails": {"k": {"mailboxIds": {box: True}, "blobId": ids["upload"]}}}),
        ("Identity/get", a | {"ids": [ids["account"]]}),
        ("Identity/changes", a | {"sinceState": "0"}),
        ("EmailSubmission/get", a | {"ids": [sub]}),
        ("EmailSubmission/changes", a | {"sinceState": "0"}),
        ("EmailSubmission/query", a | {"filter": {"emailIds": [email], "identityIds": [ids["account"]]}}),
        ("EmailSubmission/query", a | {"filter": {"threadIds": [thread]}}),
        ("EmailSubmission/set", a | {"update": {sub: {"undoStatus": "canceled"}},
                                     "onSuccessUpdateEmail": {sub: {"keywords/$seen": True}}}),
        ("EmailSubmission/set", a | {"destroy": [sub], "onSuccessDestroyEmail": [sub]}),
        ("EmailSubmission/set", a | {"create": {"k": {
            "emailId": email, "identityId": own["account"], "envelope": envelope}}}),
        ("EmailSubmission/set", a | {"create": {"k": {
            "emailId": own["email"], "identityId": ids["account"], "envelope": envelope}}}),
        ("Quota/get", a | {"ids": None}),
        ("Quota/changes", a | {"sinceState": "0"}),
        ("Quota/query", a),
        ("AccessLog/get", a | {"limit": 100}),
    ]  # fmt: skip


def own_ids(port: int, account: str, cookie: str) -> dict[str, str]:
    """What the intruder has of their own: an inbox, perhaps a letter."""
    (_, boxes), (_, found), (_, identities) = jmap(
        port,
        cookie,
        ("Mailbox/get", {"accountId": account, "ids": None}),
        ("Email/query", {"accountId": account}),
        ("Identity/get", {"accountId": account, "ids": None}),
    )
    inbox = next(each["id"] for each in boxes["list"] if each["role"] == "inbox")
    (identity,) = identities["list"]
    email = found["ids"][0] if found["ids"] else "Mnone"
    return {"mailbox": inbox, "email": email, "account": account, "shown": identity["email"]}


_VARYING = re.compile(
    r'"(?:reference|newState|oldState|state|queryState|sessionState)": ?"[^"]*"|\(ref [0-9a-f]+\)'
)


def neutral(told: Any, ids: dict[str, str]) -> str:
    """An answer without the ids that were asked for, and without what is new in each answer."""
    text = json.dumps(told, sort_keys=True)
    for name, value in sorted(ids.items(), key=lambda one: -len(one[1])):
        text = text.replace(value, f"<{name}>")
    return _VARYING.sub("", text)


@pytest.mark.parametrize("who", ["another patient", "a professional"])
@pytest.mark.parametrize("place", ["the victim's account", "their own account"])
def test_an_id_of_another_account_reads_like_one_that_never_was(siege: Siege, who: str, place: str) -> None:
    account, cookie = siege.intruders[who]
    real, victim = siege.victim.ids, siege.victim
    false = {name: made_up(value) for name, value in real.items()}
    assert all(real[name] != false[name] for name in real)
    before = victim.standing()
    own = own_ids(siege.port, account, cookie)
    for with_real, with_false in zip(
        calls(real["account"] if place == "the victim's account" else account, real, own),
        calls(false["account"] if place == "the victim's account" else account, false, own),
        strict=True,
    ):
        told = jmap(siege.port, cookie, with_real)
        nothing = jmap(siege.port, cookie, with_false)
        where = (who, place, with_real)
        assert [name for name, _ in told] == [name for name, _ in nothing], (where, told, nothing)
        assert neutral(told, real) == neutral(nothing, false), where
        assert WORD.lower() not in json.dumps(told).lower(), where
        if place == "the victim's account" and with_real[0] != "Core/echo":
            assert told[0] == ("error", told[0][1]), where
            assert told[0][1]["type"] == "accountNotFound", where
    assert victim.standing() == before


def test_the_same_ids_open_everything_to_their_holder(siege: Siege) -> None:
    """Else the tests above would prove nothing."""
    who, ids = siege.victim.who, siege.victim.ids
    told = dict(
        jmap(
            siege.port,
            who.cookie,
            *(
                (name, given)
                for name, given in calls(who.account, ids, own_ids(siege.port, who.account, who.cookie))
                if name in {"Mailbox/get", "Thread/get", "Email/get", "EmailSubmission/get"}
            ),
        )
    )
    assert [len(told[name]["list"]) for name in sorted(told)] == [1, 1, 1, 1]
    for kind in ("blob", "part", "second_part", "upload"):
        path = f"/jmap/download/{who.account}/{ids[kind]}/x"
        assert ask(siege.port, "GET", path, None, as_page(siege.port, who.cookie)).status == 200, kind


@pytest.mark.parametrize("who", ["another patient", "a professional"])
def test_no_blob_of_another_account_is_downloaded(siege: Siege, who: str) -> None:
    account, cookie = siege.intruders[who]
    ids = siege.victim.ids
    for kind in ("blob", "part", "second_part", "upload"):
        for target in (ids["account"], account):
            real = ask(
                siege.port, "GET", f"/jmap/download/{target}/{ids[kind]}/x", None, as_page(siege.port, cookie)
            )
            false = ask(
                siege.port, "GET", f"/jmap/download/{target}/{made_up(ids[kind])}/x", None,
                as_page(siege.port, cookie),
            )  # fmt: skip
            assert real.status == false.status == 404
            assert {**real.json(), "reference": ""} == {**false.json(), "reference": ""}


@pytest.mark.parametrize("who", ["another patient", "a professional"])
def test_nothing_is_uploaded_into_another_account(siege: Siege, who: str) -> None:
    _, cookie = siege.intruders[who]
    real = siege.victim.ids["account"]
    answers = [
        ask(siege.port, "POST", f"/jmap/upload/{target}/", b"x", as_page(siege.port, cookie))
        for target in (real, made_up(real))
    ]
    assert [each.status for each in answers] == [404, 404]
    assert answers[0].body == answers[1].body


@pytest.mark.parametrize("who", ["another patient", "a professional"])
def test_the_api_of_ones_own_account_takes_no_id_of_another(siege: Siege, who: str) -> None:
    """Slots, sessions, app passwords, keys, letters to be re-sealed."""
    _, cookie = siege.intruders[who]
    victim = siege.victim
    before = victim.standing()
    session = victim.who.page.session
    sessions = victim.who.page.get("/api/sessions")["sessions"]
    fingerprint = session["keys"][0]["fingerprint"]
    attempts = [
        *(("DELETE", f"/api/slots/{slot['id']}", {}) for slot in session["slots"]),
        *(("DELETE", f"/api/sessions/{each['id']}", {}) for each in sessions),
        ("DELETE", f"/api/app-passwords/{session['slots'][0]['id']}", {}),
        ("PUT", f"/api/keys/{fingerprint}", {"wrappedSecret": "AQ" + "A" * 62}),
    ]
    for method, path, said in attempts:
        answer = post(siege.port, path, said, cookie, method)
        assert answer.status in {403, 404}, (method, path, answer.status)
    ids = list(range(1, 60))
    packet = "wQ" + "A" * 30
    for number in ids[::20]:
        said = {"letters": [{"id": number, "keyPackets": packet, "summaryKeyPackets": None}]}
        assert post(siege.port, "/api/reseal/letters", said, cookie).status in {200, 400, 403}
    told = ask(siege.port, "GET", "/api/reseal/letters?after=0", None, as_page(siege.port, cookie)).json()
    assert told == {"letters": [], "left": 0}
    assert victim.standing() == before


def listen(
    port: int, cookie: str, heard: bytearray, **headers: str
) -> tuple[threading.Thread, http.client.HTTPConnection]:
    """Until the node ends it, or nothing was heard for long."""
    connection = http.client.HTTPConnection("localhost", port, timeout=240)
    sent = {**as_page(port, cookie), **{key.replace("_", "-"): value for key, value in headers.items()}}
    connection.request("GET", "/jmap/events?types=*&closeafter=no&ping=0", headers=sent)
    answer = connection.getresponse()
    assert answer.status == 200

    def read() -> None:
        try:
            while piece := answer.read1(4096):
                heard.extend(piece)
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread, connection


@pytest.mark.parametrize("who", ["another patient", "a professional"])
def test_nobody_hears_that_something_changed_in_another_account(siege: Siege, who: str) -> None:
    account, cookie = siege.intruders[who]
    victim = siege.victim.ids["account"]

    forged = base64.urlsafe_b64encode(json.dumps({victim: {"Email": "0"}, account: {}}).encode()).decode()
    heard, forged_heard, own = bytearray(), bytearray(), bytearray()
    listen(siege.port, cookie, heard)
    listen(siege.port, cookie, forged_heard, Last_Event_ID=forged)
    listen(siege.port, siege.victim.who.cookie, own)
    intruder.write_as_hospital(
        siege.made, siege.victim.who.shown, intruder.letter(siege.victim.who.shown, "pour-la-victime")
    )
    until(lambda: b"StateChange" in own)
    assert b"StateChange" not in heard
    # What is told of a letter of their own comes after whatever else there was to tell.
    shown = own_ids(siege.port, account, cookie)["shown"]
    before = len(forged_heard)
    intruder.write_as_hospital(siege.made, shown, intruder.letter(shown, "pour-l-intrus"))
    until(lambda: b"StateChange" in heard and b"StateChange" in forged_heard[before:])
    assert account.encode() in heard
    assert victim.encode() not in heard + forged_heard


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline, "it was not told"
        time.sleep(0.05)


# -------------------------------------------------------------------------------------- who speaks no more


def _is_nobody(port: int, cookie: str, account: str, ids: dict[str, str]) -> None:
    own = {"mailbox": ids["mailbox"], "email": ids["email"], "account": account, "shown": "a@b.example"}
    said = {
        "using": intruder.EVERYTHING,
        "methodCalls": [[name, given, "c"] for name, given in calls(account, ids, own)],
    }
    said["methodCalls"] = said["methodCalls"][:32]
    assert post(port, "/jmap/api", said, cookie).status == 401
    for kind in ("blob", "part", "upload"):
        path = f"/jmap/download/{account}/{ids[kind]}/x"
        assert ask(port, "GET", path, None, as_page(port, cookie)).status == 401
    assert ask(port, "POST", f"/jmap/upload/{account}/", b"x", as_page(port, cookie)).status == 401
    assert ask(port, "GET", "/jmap/events?types=*", None, as_page(port, cookie)).status == 401
    for path in (
        "/api/session",
        "/api/sessions",
        "/api/reseal",
        "/api/reseal/letters",
        "/api/keys/old",
        "/api/correspondents",
    ):
        assert ask(port, "GET", path, None, as_page(port, cookie)).status == 401, path
    assert post(port, "/api/certificates", {"addresses": [world.GP]}, cookie).status == 401


def test_an_enrolment_cookie_of_the_account_itself_reaches_none_of_its_letters(siege: Siege) -> None:
    """The code was stolen, and the answers known: until it is completed, nothing of what is there is told."""
    who = siege.victim.who
    code = siege.made.command("enrolment_code", address=who.address)["code"]
    assert who.person is not None
    said = {"code": code, "birthDate": who.person.birth_date, "lastFive": who.person.last_five}
    answer = post(siege.port, "/api/enrolment/start", said)
    cookie = (answer.header("set-cookie") or "").partition(";")[0]
    _is_nobody(siege.port, cookie, who.account, siege.victim.ids)


def test_an_ended_session_reaches_nothing(siege: Siege) -> None:
    page = PageClient(siege.port)
    page.log_in(siege.victim.who.shown, siege.victim.who.password)
    cookie = page.cookie_header
    page.request("POST", "/api/logout")
    _is_nobody(siege.port, cookie, siege.victim.who.account, siege.victim.ids)


def test_a_suspended_account_reaches_nothing_and_its_listeners_are_cut(siege: Siege) -> None:
    suspended = intruder.activated(siege.made, "Zoé", "SUSPENDUE", 3)
    intruder.write_as_hospital(siege.made, suspended.shown, intruder.letter(suspended.shown, "avant"))
    victim = Victim(suspended)
    _fill(victim)
    heard = bytearray()
    thread, connection = listen(siege.port, suspended.cookie, heard)
    siege.made.command("account_suspend", address=suspended.address, reason="essai")
    thread.join(120)  # it would listen for longer
    assert not thread.is_alive()
    connection.close()
    _is_nobody(siege.port, suspended.cookie, suspended.account, victim.ids)
    siege.made.command("account_reinstate", address=suspended.address)
    # What was ended stays ended: a cookie that was stolen does not come back to life with the account.
    assert ask(siege.port, "GET", "/api/session", None, as_page(siege.port, suspended.cookie)).status == 401
