"""A doctor's delegate, with programs nobody here wrote: reads as themselves, is cut off at once."""

from __future__ import annotations

import imaplib
import mailbox
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from imapclient import IMAPClient

from deploy.demo import clients, letters, world
from tests.peers.test_ward import key_id, key_ids, opened
from tests.worlds import own_world

pytestmark = pytest.mark.peers

HOLDER, DELEGATE = world.DOCTOR, world.NURSE
FOLDER = f"Other Users/{HOLDER}"


@pytest.fixture(scope="module")
def made() -> Iterator[world.World]:
    with own_world("readers") as (built, _):
        yield built


def send(made: world.World, patient: str) -> letters.Letter:
    letter = letters.report(world.HOSPITAL, HOLDER, pdf_bytes=3_000, patient=patient)
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    clients.send_as_system(made.ports["submissions"], context, world.HOSPITAL, [HOLDER], letter.data)
    return letter


def let_in(made: world.World, rights: str = "lrs") -> None:
    made.command("delegate_add", address=HOLDER, person=DELEGATE, rights=rights)


def client(made: world.World) -> IMAPClient:
    context: ssl.SSLContext = clients.tls(made.ca)
    imap = IMAPClient("localhost", port=made.ports["imaps"], ssl_context=context, timeout=120)
    imap.login(DELEGATE, made.persons[DELEGATE].password)
    return imap


def over(imap: IMAPClient) -> bool:
    """Whether the server has ended it, looked at for a second."""
    try:
        return any(b"BYE" in each[0] for each in imap.idle_check(timeout=1) if each)
    except (imaplib.IMAP4.abort, OSError):
        return True


def test_imapclient_reads_the_holders_folder_as_the_delegate_who_stands_in_the_trace(
    made: world.World,
) -> None:
    let_in(made)
    letter = send(made, "Apolline Vasarely-Moreau")
    with client(made) as imap:
        assert imap.has_capability("ACL")
        assert [prefix for prefix, _ in (imap.namespace().other or ())] == ["Other Users/"]
        assert FOLDER in [name for _, _, name in imap.list_folders()]
        imap.select_folder(FOLDER)
        (uid,) = imap.search("UNSEEN")[-1:]
        stored = imap.fetch([uid], ["BODY.PEEK[]"])[uid][b"BODY[]"]
        imap.add_flags([uid], [b"\\Seen"])
        with pytest.raises(imap.Error, match="NOPERM"):
            imap.add_flags([uid], [b"\\Flagged"])
        with pytest.raises(imap.Error, match="NOPERM"):
            imap.getacl(FOLDER)
    assert opened(made, DELEGATE, stored) == letter.subject
    assert {key_id(made, HOLDER), key_id(made, DELEGATE)} == set(key_ids(stored))
    rows = made.command("audit_show", limit=200, action="read", address=HOLDER, reference=None)
    assert (DELEGATE, HOLDER) in [(row["who"], row["on"]) for row in rows]


def test_mbsync_pulls_the_holders_folder_beside_ones_own(made: world.World, tmp_path: Path) -> None:
    let_in(made)
    letter = send(made, "Rose Camille")
    person, rc = made.persons[DELEGATE], tmp_path / "mbsyncrc"
    rc.write_text(
        f"IMAPAccount node\nHost localhost\nPort {made.ports['imaps']}\nUser {person.address}\n"
        f"Pass {person.password}\nSSLType IMAPS\nCertificateFile {made.ca}\n\nIMAPStore remote\nAccount node\n\n"
        f'MaildirStore local\nPath {tmp_path}/\n\nChannel one\nFar ":remote:{FOLDER}"\nNear :local:holder\n'
        "Create Near\nSync Pull\nSyncState *\n"
    )
    done = subprocess.run(["mbsync", "-c", str(rc), "-a"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    pulled = mailbox.Maildir(tmp_path / "holder", create=False)
    subjects = [opened(made, DELEGATE, pulled.get_bytes(key)) for key in pulled.iterkeys()]
    assert letter.subject in subjects


def test_who_leaves_is_cut_off_within_the_minute_and_the_next_letter_is_not_for_them(
    made: world.World,
) -> None:
    let_in(made)
    send(made, "Avant")
    imap = client(made)
    imap.select_folder(FOLDER)
    imap.idle()
    begun = time.monotonic()
    made.command("delegate_remove", address=HOLDER, person=DELEGATE)
    while not over(imap):
        assert time.monotonic() - begun < 60
    imap.shutdown()
    send(made, "Après")
    person = made.persons[HOLDER]
    with clients.mailbox(made.ports["imaps"], clients.tls(made.ca), HOLDER, person.password) as own:
        stored = clients.newest(own)
    assert key_ids(stored) == [key_id(made, HOLDER)]
    with client(made) as again:
        assert FOLDER not in [name for _, _, name in again.list_folders()]
        with pytest.raises(again.Error, match="NONEXISTENT"):
            again.select_folder(FOLDER)
