"""Programs people use: mbsync both ways, aioimaplib listing and idling."""

from __future__ import annotations

import asyncio
import mailbox
import shutil
import ssl
from pathlib import Path

import pytest
from aioimaplib import aioimaplib

pytestmark = pytest.mark.peers

LETTER = b"From: a@example.org\r\nMessage-ID: <%d@example.org>\r\nSubject: letter %d\r\n\r\n8-bit \xc3\xa9t\xc3\xa9\r\n"

CONFIGURATION = """
IMAPAccount node
Host localhost
Port {port}
User alice@example.org
Pass secret
SSLType IMAPS
CertificateFile {ca}
AuthMechs LOGIN
PipelineDepth 50

IMAPStore far
Account node

MaildirStore near
Path {folder}/mail/
Inbox {folder}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
Remove Both
SyncState *
CopyArrivalDate yes
"""


async def mbsync(folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        "mbsync", "-c", str(folder / "mbsyncrc"), "-a",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, said.decode(errors="replace")


@pytest.mark.skipif(shutil.which("mbsync") is None, reason="isync is not installed")
async def test_mbsync_brings_both_sides_to_the_same(world, door, tls, tmp_path):
    (tmp_path / "mail").mkdir()
    (tmp_path / "mbsyncrc").write_text(CONFIGURATION.format(port=door.ports[1], ca=tls.ca, folder=tmp_path))
    for number in range(12):
        await world.file(LETTER % (number, number))
    await world.seal()
    await mbsync(tmp_path)

    inbox = mailbox.Maildir(tmp_path / "mail" / "INBOX")
    assert len(inbox) == 13
    assert (tmp_path / "mail" / "Other Users" / "ward@example.org" / "Sent").is_dir()
    # On the near side: read one, throw one away, write one, make a folder.
    key, other, *_ = inbox.keys()
    message = inbox[key]
    subject = message["Subject"]
    message.set_subdir("cur")
    message.set_flags("SF")
    inbox[key] = message
    inbox.remove(other)
    inbox.add(mailbox.MaildirMessage(b"Subject: written here\n\nbody\n"))
    mailbox.Maildir(tmp_path / "mail" / "Nouveau", create=True)
    await mbsync(tmp_path)

    client = await world.client()
    assert "* 13 EXISTS" in await client("SELECT INBOX")
    found = (await client("SEARCH SEEN FLAGGED"))[0].split()[2:]
    assert len(found) == 1
    assert subject in " ".join(await client(f"FETCH {found[0]} BODY.PEEK[HEADER.FIELDS (SUBJECT)]"))
    assert (await client('SEARCH SUBJECT "written here"'))[0] != "* SEARCH"
    assert "Nouveau" in " ".join(await client('LIST "" *'))

    # On the far side: expunge, flag, file; then both are the same again.
    await client(r"STORE 1:3 +FLAGS.SILENT (\Deleted)")
    await client("EXPUNGE")
    await client(r"STORE 1 +FLAGS.SILENT (\Answered)")
    await client("MOVE 2 Nouveau")
    await mbsync(tmp_path)
    near = mailbox.Maildir(tmp_path / "mail" / "INBOX")
    assert len(near) == 9
    assert sum("R" in one.get_flags() for one in near) == 1
    assert len(mailbox.Maildir(tmp_path / "mail" / "Nouveau")) == 1


async def test_aioimaplib_lists_and_idles(world, door, tls):
    for number in range(3):
        await world.file(LETTER % (number, number))
    client = aioimaplib.IMAP4_SSL("localhost", door.ports[1], ssl_context=_context(tls))
    await client.wait_hello_from_server()
    assert (await client.login("alice@example.org", "secret")).result == "OK"
    assert (await client.select("INBOX")).result == "OK"
    answer = await client.uid("fetch", "1:*", "(FLAGS ENVELOPE BODY.PEEK[])")
    assert answer.result == "OK"
    assert bytes(answer.lines[1]) == LETTER % (0, 0)
    idle = await client.idle_start(timeout=120)
    await world.file(LETTER % (9, 9))
    assert b"4 EXISTS" in await client.wait_server_push(timeout=120)
    client.idle_done()
    await asyncio.wait_for(idle, 120)
    await client.logout()


def _context(tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(tls.ca))
    context.check_hostname = False
    return context
