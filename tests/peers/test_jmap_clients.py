"""JMAP libraries that others wrote (jmapc, jmaplib), against a whole node: what their own documentation shows works.

Each runs in an environment of its own, which `make test` makes: neither is a dependency of the project.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.demo import clients, letters, world
from mail_server.accounts.bearer import token

pytestmark = pytest.mark.peers

_ROOT = Path(__file__).resolve().parents[2]
_PROGRAMS = Path(__file__).parent / "jmap_programs"
_PYTHON = _ROOT / ".venv-peers" / "bin" / "python"
BOTH = ("jmapc", "jmaplib")


class Failed(Exception):
    """What the library raised."""


class Program:
    """A mail program in a process of its own, built on one of the libraries."""

    def __init__(self, made: world.World, library: str) -> None:
        if not _PYTHON.exists():
            pytest.skip(".venv-peers (make peers) is not installed")
        self._made = made
        self._process = subprocess.Popen(
            [_PYTHON, _PROGRAMS / f"{library}_program.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Where requests, then httpx, look for who signs certificates.
            env=os.environ | {"REQUESTS_CA_BUNDLE": str(made.ca), "SSL_CERT_FILE": str(made.ca)},
        )

    def do(self, command: str, **arguments: Any) -> Any:
        """Raises Failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": command, **arguments}) + "\n")
        self._process.stdin.flush()
        said = json.loads(self._process.stdout.readline())
        if "error" in said:
            raise Failed(said["error"])
        return said["told"]

    def connect(self, address: str, password: str = "", bearer: str = "") -> dict[str, Any]:
        host = f"localhost:{self._made.ports['https']}"
        return self.do("connect", host=host, user=address, password=password, token=bearer)

    def folder(self, role: str) -> str:
        return next(each["id"] for each in self.do("mailboxes") if each["role"] == role)

    def newest(self, role: str = "inbox") -> dict[str, Any]:
        return self.do("letters", mailbox=self.folder(role))["letters"][0]

    def end(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=120)


@pytest.fixture
def program(made: world.World) -> Iterator[Callable[[str, str], Program]]:
    """A connected one: library, address → Program."""
    begun: list[Program] = []

    def begin(library: str, address: str) -> Program:
        one = Program(made, library)
        begun.append(one)
        one.connect(address, made.persons[address].password)
        return one

    yield begin
    for each in begun:
        each.end()


Begin = Callable[[str, str], Program]


def send(made: world.World, to: str, letter: letters.Letter) -> letters.Letter:
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    clients.send_as_system(made.ports["submissions"], context, world.HOSPITAL, [to], letter.data)
    return letter


def note(made: world.World, to: str, subject: str) -> letters.Letter:
    return send(made, to, letters.note(world.HOSPITAL, to, subject, "Résultat : normal.\n"))


def subjects(made: world.World, address: str) -> list[str]:
    """Of every letter in a robot's INBOX, as IMAP tells them."""
    password = made.persons[address].password
    with clients.mailbox(made.ports["imaps"], clients.tls(made.ca), address, password) as imap:
        imap.select("INBOX", readonly=True)
        _, data = imap.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    return [item[1].decode().strip().removeprefix("Subject: ") for item in data if isinstance(item, tuple)]


def wait(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)


def listeners(made: world.World) -> float:
    """Event sources open now, as the node counts them."""
    address = f"http://localhost:{made.ports['metrics']}/metrics"
    with urllib.request.urlopen(address, timeout=120) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == "vaguemestre_jmap_listeners"
    )


# -- who, and what is there ---------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["basic", "bearer"])
@pytest.mark.parametrize("library", BOTH)
def test_an_app_password_opens_the_account_with_its_folders(
    made: world.World, library: str, way: str
) -> None:
    person = made.persons[world.LABORATORY]
    one = Program(made, library)
    try:
        if way == "basic":
            told = one.connect(person.address, person.password)
        else:
            told = one.connect(person.address, bearer=token(person.address, person.password))
        assert told["user"] == person.address
        names = ("core", "mail", "submission", "quota")
        assert {f"urn:ietf:params:jmap:{name}" for name in names} <= set(told["capabilities"])
        roles = {each["role"] for each in one.do("mailboxes")}
        assert {"inbox", "drafts", "sent", "trash", "junk", "archive"} <= roles
        assert [each["email"] for each in one.do("identities")] == [person.address]
    finally:
        one.end()


@pytest.mark.parametrize("library", BOTH)
def test_a_folder_is_found_by_its_role(program: Begin, library: str) -> None:
    one = program(library, world.LABORATORY)
    assert one.do("find", role="sent") == [one.folder("sent")]
    assert one.do("find", role="none such") == []


@pytest.mark.parametrize("library", BOTH)
def test_a_wrong_password_is_told_as_such(made: world.World, library: str) -> None:
    one = Program(made, library)
    try:
        with pytest.raises(Failed, match=r"401|AuthenticationError"):
            one.connect(world.LABORATORY, "un autre mot de passe")
        with pytest.raises(Failed, match=r"401|AuthenticationError"):
            one.connect(world.LABORATORY, bearer="vm1_bm9wZTpub3Bl")
    finally:
        one.end()


@pytest.mark.parametrize("library", BOTH)
def test_a_call_that_cannot_be_answered_fails_alone(program: Begin, library: str) -> None:
    expected = {"jmapc": "unknownMethod", "jmaplib": "cannotCalculateChanges"}
    assert program(library, world.LABORATORY).do("unknown") == expected[library]


# -- in custody: true subjects ------------------------------------------------------------------------------


@pytest.mark.parametrize("library", BOTH)
def test_a_letter_is_listed_read_marked_moved_and_destroyed(
    made: world.World, program: Begin, library: str
) -> None:
    one = program(library, world.LABORATORY)
    inbox, archive = one.folder("inbox"), one.folder("archive")
    before = one.do("letters", mailbox=inbox)["state"]
    letter = note(made, world.LABORATORY, f"Ionogramme à {library}")
    found = one.newest()
    assert found["subject"] == letter.subject
    assert found["from"] == world.HOSPITAL
    assert found["keywords"] == []
    assert "Résultat : normal." in one.do("words", email=found["id"])
    came = one.do("changes", since=before)
    assert came["created"] == [found["id"]]

    assert one.do("update", email=found["id"], patch={"keywords/$seen": True, "keywords/$vu": True}) == {}
    assert one.do("letter", email=found["id"])["keywords"] == ["$seen", "$vu"]
    assert one.do("update", email=found["id"], patch={"keywords/$vu": None}) == {}
    patch = {f"mailboxIds/{archive}": True, f"mailboxIds/{inbox}": None}
    assert one.do("update", email=found["id"], patch=patch) == {}
    moved = one.do("letter", email=found["id"])
    assert (moved["mailboxes"], moved["keywords"]) == ([archive], ["$seen"])
    assert moved["thread"] == found["thread"]
    assert one.do("changes", since=came["state"])["updated"] == [found["id"]]

    assert one.do("destroy", email=found["id"]) == {}
    assert one.do("letter", email=found["id"]) is None
    assert found["id"] in one.do("changes", since=came["state"])["destroyed"]
    assert one.do("destroy", email=found["id"]) == {found["id"]: "notFound"}


@pytest.mark.parametrize("library", BOTH)
def test_what_is_uploaded_and_imported_comes_back_to_the_byte(program: Begin, library: str) -> None:
    one = program(library, world.LABORATORY)
    letter = letters.note(world.LABORATORY, world.GP, f"Gardé par {library}", "Copie.\n").data.decode()
    sent = one.folder("sent")
    kept = one.do("keep", blob=one.do("upload", content=letter, kind=".eml"), mailbox=sent)
    assert not kept["refused"]
    email = kept["created"]["k"]["id"]
    assert one.do("download", email=email) == letter.encode().decode("latin-1")
    told = one.do("letter", email=email)
    assert (told["mailboxes"], told["keywords"]) == ([sent], ["$seen"])
    assert told["size"] == len(letter.encode())


@pytest.mark.parametrize("library", BOTH)
def test_what_becomes_of_a_letter_to_another_operator_is_told_in_words_that_libraries_know(
    made: world.World, program: Begin, library: str
) -> None:
    """RFC 8621 §7: our own properties stand beside those of the standard, and are in nobody's way."""
    one = program(library, world.LABORATORY)
    drafts, sent, to = one.folder("drafts"), one.folder("sent"), world.FOREIGN_DOCTOR
    subject = f"Vers ailleurs par {library}"
    made_ = one.do("write", drafts=drafts, sent=sent, to=to, subject=subject, text="Bonjour.\n")
    assert one.do("submission", submission=made_["submission"])["delivered"] == {to: "queued"}
    rows = made.command("queue_list", domain=world.FOREIGN_DOMAIN)["letters"]
    before = len(subjects(made, world.LABORATORY))
    made.command("queue_cancel", numbers=[row["id"] for row in rows])
    # What is being handed over at that moment is let finish; then the sender is told.
    wait(lambda: one.do("submission", submission=made_["submission"])["delivered"] == {to: "no"})
    wait(lambda: len(subjects(made, world.LABORATORY)) == before + 1)


@pytest.mark.parametrize("library", BOTH)
def test_a_draft_is_made_sent_and_filed_in_one_request(
    made: world.World, program: Begin, library: str
) -> None:
    one = program(library, world.LABORATORY)
    drafts, sent = one.folder("drafts"), one.folder("sent")
    subject = f"Écrit par {library}"
    made_ = one.do("write", drafts=drafts, sent=sent, to=world.IMAGING, subject=subject, text="Bonjour.\n")
    assert made_["moved"] == [made_["email"]]
    assert one.do("letter", email=made_["email"])["mailboxes"] == [sent]
    told = one.do("submission", submission=made_["submission"])
    assert told == {"status": "final", "delivered": {world.IMAGING: "yes"}}
    there = program(library, world.IMAGING)
    found = there.newest()
    assert found["subject"] == subject
    assert there.do("words", email=found["id"]).strip() == "Bonjour."


@pytest.mark.parametrize("library", BOTH)
def test_a_held_letter_can_be_called_back_and_another_leaves_at_its_time_once(
    made: world.World, program: Begin, library: str
) -> None:
    one = program(library, world.LABORATORY)
    names = {key: f"{key} {library}" for key in ("retenue", "partie")}
    emails: dict[str, str] = {}
    for key, subject in names.items():
        data = letters.note(world.LABORATORY, world.IMAGING, subject, "Une ligne.\n").data.decode()
        blob = one.do("upload", content=data, kind=".eml")
        kept = one.do("keep", blob=blob, mailbox=one.folder("sent"))
        emails[key] = kept["created"]["k"]["id"]

    held = one.do("submit", email=emails["retenue"], to=world.IMAGING, hold=600)
    assert held["status"] == "pending"
    leaves = datetime.fromisoformat(held["at"].replace("Z", "+00:00")) - datetime.now(UTC)
    assert timedelta(seconds=550) < leaves <= timedelta(seconds=601)
    assert one.do("cancel", submission=held["id"]) == {}
    assert one.do("submission", submission=held["id"])["status"] == "canceled"

    soon = one.do("submit", email=emails["partie"], to=world.IMAGING, hold=1)
    # "final" is told when it leaves, delivery after it (RFC 8621 §7): until then it is "queued".
    wait(lambda: one.do("submission", submission=soon["id"])["delivered"] == {world.IMAGING: "yes"})
    assert one.do("submission", submission=soon["id"])["status"] == "final"
    assert one.do("cancel", submission=soon["id"]) == {soon["id"]: "cannotUnsend"}
    there = subjects(made, world.IMAGING)
    assert there.count(names["partie"]) == 1
    assert names["retenue"] not in there


@pytest.mark.parametrize("library", BOTH)
def test_a_recipient_who_is_not_known_is_told_and_nothing_leaves(program: Begin, library: str) -> None:
    one = program(library, world.LABORATORY)
    data = letters.note(world.LABORATORY, world.IMAGING, "Perdu", "Une ligne.\n").data.decode()
    kept = one.do("keep", blob=one.do("upload", content=data, kind=".eml"), mailbox=one.folder("sent"))
    answer = one.do("submit", email=kept["created"]["k"]["id"], to=f"personne@{world.DOMAIN}", hold=0)
    assert answer == {"refused": {"s": "invalidRecipients"}}


# -- being told ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", BOTH)
def test_an_open_event_source_is_told_of_a_letter(made: world.World, program: Begin, library: str) -> None:
    person = made.persons[world.LABORATORY]
    one = Program(made, library)
    try:
        account = one.connect(person.address, person.password)["account"]
        before = listeners(made)
        one.do("listen")
        wait(lambda: listeners(made) > before)
        since = one.do("letters", mailbox=one.folder("inbox"))["state"]
        note(made, world.LABORATORY, f"Pendant l'écoute de {library}")
        told = one.do("told", seconds=120)
        assert list(told) == [account]
        assert {"email", "mailbox", "thread"} <= set(told[account])
        assert len(one.do("changes", since=since)["created"]) == 1
    finally:
        one.end()


def test_a_list_that_jmaplib_keeps_follows_what_comes_and_goes(made: world.World, program: Begin) -> None:
    """By Email/queryChanges alone, spliced by the library."""
    one = program("jmaplib", world.IMAGING)
    inbox, trash = one.folder("inbox"), one.folder("trash")
    for number in range(3):
        note(made, world.IMAGING, f"Liste {number}")
    listed = one.do("look", mailbox=inbox)
    gone = listed[1]
    note(made, world.IMAGING, "Liste, une de plus")
    patch = {f"mailboxIds/{trash}": True, f"mailboxIds/{inbox}": None}
    assert one.do("update", email=gone, patch=patch) == {}
    one.do("update", email=listed[2], patch={"keywords/$seen": True})
    now = [each["id"] for each in one.do("letters", mailbox=inbox)["letters"]]
    assert one.do("look_again") == now
    assert gone not in now
    assert len(now) == len(listed)


# -- a professional with a key ------------------------------------------------------------------------------


@pytest.mark.parametrize("library", BOTH)
def test_of_a_sealed_letter_the_program_has_the_envelope_and_gpg_the_rest(
    made: world.World, program: Begin, library: str, tmp_path: Path
) -> None:
    letter = letters.report(world.HOSPITAL, world.GP, pdf_bytes=120_000, patient="Ysée L’Hôte")
    send(made, world.GP, letter)
    one = program(library, world.GP)
    found = one.newest()
    assert found["subject"].startswith("[...] ")
    stored = one.do("download", email=found["id"])
    assert "Ysée" not in stored
    assert letter.subject not in stored
    person = made.persons[world.GP]
    assert person.secret_key is not None
    opened = clients.open_with_gpg(
        stored.encode("latin-1"), person.secret_key, person.passphrase, made.authority
    )
    assert opened.subject == letter.subject
    assert opened.attachments == [letter.attachment]
    # The same programs mark, move and remove it, sealed as it is.
    inbox, trash = one.folder("inbox"), one.folder("trash")
    patch = {"keywords/$seen": True, f"mailboxIds/{trash}": True, f"mailboxIds/{inbox}": None}
    assert one.do("update", email=found["id"], patch=patch) == {}
    assert one.do("letter", email=found["id"])["mailboxes"] == [trash]
    assert one.do("destroy", email=found["id"]) == {}
