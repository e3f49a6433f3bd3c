"""One account by two doors: what JMAP changes IMAP sees at once, under the same ids, and the other way round."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
from imapclient import IMAPClient

from deploy.demo import clients, letters, world

pytestmark = pytest.mark.peers

_USING = [f"urn:ietf:params:jmap:{name}" for name in ("core", "mail", "submission")]


class Jmap:
    """A program with an app password, by JSON alone."""

    def __init__(self, made: world.World, address: str) -> None:
        proof = base64.b64encode(f"{address}:{made.persons[address].password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {proof}", "Content-Type": "application/json"}
        self._door = http.client.HTTPSConnection(
            "localhost", made.ports["https"], context=clients.tls(made.ca), timeout=60
        )
        session = self._asked("GET", "/.well-known/jmap")
        self.account = session["primaryAccounts"]["urn:ietf:params:jmap:mail"]
        (found,) = self.call(("Mailbox/get", {"ids": None}))
        self.mailboxes: dict[str, str] = {each["role"]: each["id"] for each in found["list"]}

    def _asked(self, method: str, path: str, body: Any = None) -> Any:
        self._door.request(method, path, json.dumps(body) if body is not None else None, self._headers)
        answer = self._door.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        return json.loads(content)

    def call(self, *calls: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
        asked = [[name, {"accountId": self.account, **given}, "c"] for name, given in calls]
        told = self._asked("POST", "/jmap/api", {"using": _USING, "methodCalls": asked})
        assert all(name != "error" for name, _, _ in told["methodResponses"]), told
        return [answer for _, answer, _ in told["methodResponses"]]

    def email(self, email: str) -> dict[str, Any]:
        (found,) = self.call(
            (
                "Email/get",
                {"ids": [email], "properties": ["id", "threadId", "mailboxIds", "keywords", "size"]},
            )
        )
        return found["list"][0]

    def newest(self) -> str:
        (found,) = self.call(
            ("Email/query", {"filter": {"inMailbox": self.mailboxes["inbox"]}, "limit": 1}),
        )
        return found["ids"][0]

    def state(self) -> str:
        return self.call(("Email/get", {"ids": []}))[0]["state"]

    def changes(self, since: str) -> dict[str, Any]:
        return self.call(("Email/changes", {"sinceState": since}))[0]

    def update(self, email: str, patch: dict[str, Any]) -> None:
        (done,) = self.call(("Email/set", {"update": {email: patch}}))
        assert email in done["updated"], done

    def move(self, email: str, source: str, target: str) -> None:
        mailboxes = self.mailboxes
        self.update(email, {f"mailboxIds/{mailboxes[source]}": None, f"mailboxIds/{mailboxes[target]}": True})


# A robot whose letters lie in custody, and a professional whose letters are sealed: both doors, both kinds.
@pytest.fixture(params=[world.IMAGING, world.GP], ids=["custody", "sealed"])
def address(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def imap(made: world.World, address: str) -> Iterator[IMAPClient]:
    with IMAPClient("localhost", made.ports["imaps"], ssl_context=clients.tls(made.ca), timeout=60) as client:
        client.login(address, made.persons[address].password)
        client.enable("CONDSTORE")
        yield client


@pytest.fixture
def jmap(made: world.World, address: str) -> Jmap:
    return Jmap(made, address)


@pytest.fixture
def email(made: world.World, address: str, jmap: Jmap) -> str:
    """A letter that just came, by its JMAP id."""
    letter = letters.note(world.HOSPITAL, address, "Deux portes", "Une ligne.\n")
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    clients.send_as_system(made.ports["submissions"], context, world.HOSPITAL, [address], letter.data)
    return jmap.newest()


def uid_of(imap: IMAPClient, email: str) -> int:
    (uid,) = imap.search(["EMAILID", email])
    return uid


def fetched(imap: IMAPClient, uid: int) -> dict[bytes, Any]:
    return cast(
        dict[bytes, Any],
        imap.fetch([uid], ["FLAGS", "MODSEQ", "EMAILID", "THREADID", "RFC822.SIZE"])[uid],
    )


def heard(imap: IMAPClient, wanted: Any) -> list[Any]:
    """What comes during IDLE until `wanted` holds of all of it."""
    told: list[Any] = []
    while not wanted(told):
        more = imap.idle_check(timeout=120)
        assert more, f"told of {told} only"
        told += more
    imap.idle_done()
    return told


# -- the same ids ---------------------------------------------------------------------------------------------


def test_letters_threads_and_folders_have_one_id(imap: IMAPClient, jmap: Jmap, email: str) -> None:
    imap.select_folder("INBOX")
    found = fetched(imap, uid_of(imap, email))
    told = jmap.email(email)
    assert found[b"EMAILID"] == (told["id"].encode(),)
    assert found[b"THREADID"] == (told["threadId"].encode(),)
    assert found[b"RFC822.SIZE"] == told["size"]
    names = {"inbox": "INBOX", "sent": "Sent", "drafts": "Drafts", "trash": "Trash", "archive": "Archive"}
    for role, name in names.items():
        assert imap.folder_status(name, ["MAILBOXID"])[b"MAILBOXID"] == (jmap.mailboxes[role].encode(),)


# -- JMAP changes, IMAP sees ----------------------------------------------------------------------------------


def test_a_keyword_set_by_jmap_is_told_to_who_waits_in_idle_with_a_higher_modseq(
    imap: IMAPClient, jmap: Jmap, email: str
) -> None:
    imap.select_folder("INBOX")
    uid = uid_of(imap, email)
    before = fetched(imap, uid)
    imap.idle()
    jmap.update(email, {"keywords/$seen": True, "keywords/$flagged": True, "keywords/$suivi": True})
    heard(imap, lambda told: any(b"FETCH" in one for one in told))
    after = fetched(imap, uid)
    assert {b"\\Seen", b"\\Flagged", b"$suivi"} <= set(after[b"FLAGS"])
    assert after[b"MODSEQ"][0] > before[b"MODSEQ"][0]
    jmap.update(email, {"keywords/$flagged": None})
    assert b"\\Flagged" not in fetched(imap, uid)[b"FLAGS"]


def test_a_move_by_jmap_leaves_one_folder_and_enters_the_other_under_a_new_uid(
    imap: IMAPClient, jmap: Jmap, email: str
) -> None:
    status = imap.folder_status("Archive", ["UIDNEXT", "HIGHESTMODSEQ"])
    imap.select_folder("INBOX")
    uid = uid_of(imap, email)
    jmap.update(email, {"keywords/$flagged": True})
    imap.idle()
    jmap.move(email, "inbox", "archive")
    heard(imap, lambda told: any(b"EXPUNGE" in one for one in told))
    assert imap.search(["UID", str(uid)]) == []
    imap.select_folder("Archive")
    there = uid_of(imap, email)
    assert there >= status[b"UIDNEXT"]
    found = fetched(imap, there)
    assert b"\\Flagged" in found[b"FLAGS"]
    assert found[b"MODSEQ"][0] > status[b"HIGHESTMODSEQ"]


def test_a_letter_destroyed_by_jmap_is_expunged_for_imap(imap: IMAPClient, jmap: Jmap, email: str) -> None:
    imap.select_folder("INBOX")
    uid = uid_of(imap, email)
    imap.idle()
    (done,) = jmap.call(("Email/set", {"destroy": [email]}))
    assert done["destroyed"] == [email]
    heard(imap, lambda told: any(b"EXPUNGE" in one for one in told))
    assert imap.fetch([uid], ["FLAGS"]) == {}


# -- IMAP changes, JMAP sees ----------------------------------------------------------------------------------


def test_flags_set_by_imap_are_keywords_and_a_change(imap: IMAPClient, jmap: Jmap, email: str) -> None:
    imap.select_folder("INBOX")
    since = jmap.state()
    imap.add_flags([uid_of(imap, email)], [b"\\Answered", b"$Forwarded"])
    assert jmap.email(email)["keywords"] == {"$answered": True, "$forwarded": True}
    changes = jmap.changes(since)
    assert (changes["created"], changes["updated"], changes["destroyed"]) == ([], [email], [])


def test_a_move_by_imap_keeps_the_letter_and_changes_its_mailbox(
    imap: IMAPClient, jmap: Jmap, email: str
) -> None:
    imap.select_folder("INBOX")
    since = jmap.state()
    imap.move([uid_of(imap, email)], "Trash")
    assert jmap.email(email)["mailboxIds"] == {jmap.mailboxes["trash"]: True}
    assert jmap.changes(since)["updated"] == [email]


def test_a_copy_by_imap_is_one_letter_in_two_mailboxes_with_one_set_of_keywords(
    imap: IMAPClient, jmap: Jmap, email: str
) -> None:
    imap.select_folder("INBOX")
    imap.copy([uid_of(imap, email)], "Archive")
    both = {jmap.mailboxes["inbox"]: True, jmap.mailboxes["archive"]: True}
    assert jmap.email(email)["mailboxIds"] == both
    jmap.update(email, {"keywords/$seen": True})
    for folder in ("INBOX", "Archive"):
        imap.select_folder(folder)
        assert b"\\Seen" in fetched(imap, uid_of(imap, email))[b"FLAGS"]


def test_what_imap_marks_deleted_is_gone_for_jmap_before_it_is_expunged(
    imap: IMAPClient, jmap: Jmap, email: str
) -> None:
    """RFC 8621 §4.1.1."""
    imap.select_folder("INBOX")
    uid = uid_of(imap, email)
    since = jmap.state()
    imap.delete_messages([uid])
    (found,) = jmap.call(("Email/get", {"ids": [email]}))
    assert found["notFound"] == [email]
    assert email in jmap.changes(since)["destroyed"]
    imap.remove_flags([uid], [b"\\Deleted"])
    assert jmap.email(email)["id"] == email
    imap.delete_messages([uid])
    imap.expunge([uid])
    (found,) = jmap.call(("Email/get", {"ids": [email]}))
    assert found["notFound"] == [email]


def test_what_imap_appends_is_there_for_jmap_with_its_id_and_flags(
    address: str, imap: IMAPClient, jmap: Jmap
) -> None:
    since = jmap.state()
    letter = letters.note(address, world.HOSPITAL, "Gardée", "Copie.\n").data
    imap.append("Sent", letter, flags=[b"\\Seen"])
    imap.select_folder("Sent")
    uid = max(imap.search("ALL"))
    (email,) = cast(tuple[bytes], fetched(imap, uid)[b"EMAILID"])
    told = jmap.email(email.decode())
    assert told["mailboxIds"] == {jmap.mailboxes["sent"]: True}
    assert told["keywords"] == {"$seen": True}
    assert told["size"] == len(letter)
    assert jmap.changes(since)["created"] == [email.decode()]
