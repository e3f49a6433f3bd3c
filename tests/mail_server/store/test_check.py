"""`check` finds planted faults, and nothing in a sound store."""

from __future__ import annotations

import os

import pytest

from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.store.check import Stage, check_store
from mail_server.store.filing import now_ms
from mail_server.store.findings import Fault
from mail_server.store.interface import AlreadyFiled
from mail_server.store.model import Flag, FlagChange, SpecialUse


async def fill(desk):
    """A bit of everything, of true sizes."""
    filed = []
    for number, length in enumerate((10, 3000, 20_000, 50_000, 900)):
        filed.append(
            await desk.file(await desk.verbatim(os.urandom(length), message_ids=(b"<%d@x>" % number,)))
        )
    body = await desk.store.stage(None, os.urandom(4000), compress=False)
    for account in (desk.account, desk.other):
        size = len(b"head\r\n") + len(b"--tail\r\n") + armored(b"key", 4000)
        filed.append(await desk.file(await desk.split(body, account=account, size=size)))
    box = filed[0].mailbox
    archive = await desk.box(SpecialUse.ARCHIVE)
    await desk.store.write(lambda tx: tx.copy(box, [1, 2], archive.id))
    await desk.store.write(lambda tx: tx.set_flags(box, [1], FlagChange.ADD, Flag.SEEN, frozenset({"$k"})))
    await desk.store.write(lambda tx: tx.expunge(box, [2, 3]))
    return filed


def armored(packets, length):
    from mail_server.store.armor import armor_size

    return armor_size(len(packets) + length)


def findings(desk, **more):
    return check_store(desk.settings, desk.home, desk.keys, **more)


async def faults(desk, statement, *parameters):
    await desk.store.write(lambda tx: tx.sql.run(statement, parameters))
    return {finding.fault for finding in findings(desk)}


async def test_a_sound_store_has_no_findings(desk):
    await fill(desk)
    assert findings(desk) == []


async def test_progress_is_told_stage_by_stage(desk):
    await fill(desk)
    told = []
    findings(desk, progress=lambda stage, done, total: told.append(stage))
    assert set(told) == set(Stage)


async def test_a_flipped_byte_in_a_body_is_found(desk):
    await fill(desk)
    for path in (desk.home / "segments").iterdir():
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        break
    found = findings(desk)
    assert {Fault.RECORD_DAMAGED} <= {one.fault for one in found} <= {Fault.RECORD_DAMAGED, Fault.UNREADABLE}
    assert not any(one.harmless for one in found)


async def test_a_flipped_byte_in_the_database_is_found(desk):
    await fill(desk)
    row = await desk.store.read(lambda r: r.sql.one("SELECT blob_id, data FROM blob WHERE data IS NOT NULL"))
    flipped = bytes([row[1][0] ^ 1]) + bytes(row[1][1:])
    assert await faults(desk, "UPDATE blob SET data = ? WHERE blob_id = ?", flipped, bytes(row[0])) == {
        Fault.UNREADABLE
    }


async def test_a_torn_tail_is_found_and_harmless(desk):
    await fill(desk)
    path = max((desk.home / "segments").iterdir(), key=lambda one: one.stat().st_mtime_ns)
    with path.open("ab") as file:
        file.write(b"VMsg half a record")
    (found,) = findings(desk)
    assert found.fault is Fault.TORN_TAIL
    assert found.harmless
    # The server does not go on writing behind it.
    await desk.restart()
    filed = await desk.file(await desk.verbatim(os.urandom(4000)))
    assert len(await desk.store.read(lambda r: r.content(filed.message))) == 4000
    assert [one.fault for one in findings(desk)] == [Fault.TORN_TAIL]


async def test_a_segment_cut_short_or_missing_is_found(desk):
    await fill(desk)
    path = min((desk.home / "segments").iterdir())
    os.truncate(path, path.stat().st_size - 100)
    assert Fault.SEGMENT_SHORT in {one.fault for one in findings(desk)}
    path.unlink()
    assert Fault.SEGMENT_MISSING in {one.fault for one in findings(desk)}


async def test_a_segment_no_commit_names_is_found_and_harmless(desk):
    (desk.home / "segments" / "0123456789ab.seg").write_bytes(b"")
    assert [(one.fault, one.harmless) for one in findings(desk)] == [(Fault.UNKNOWN_SEGMENT, True)]


async def test_a_wrong_refcount_is_found(desk):
    await fill(desk)
    assert await faults(desk, "UPDATE blob SET refcount = refcount + 1 WHERE owner IS NULL") == {
        Fault.REFCOUNT
    }


async def test_uids_and_modseqs_ahead_are_found(desk):
    filed = await fill(desk)
    assert await faults(desk, "UPDATE mailbox SET uidnext = 1 WHERE id = ?", filed[0].mailbox) == {
        Fault.UID_BEYOND_UIDNEXT
    }
    assert Fault.MODSEQ_AHEAD in await faults(desk, "UPDATE account_store SET modseq = 3")


async def test_orphans_are_found(desk):
    filed = await fill(desk)
    assert await faults(desk, "DELETE FROM membership WHERE message_id = ?", filed[4].message) == {
        Fault.ORPHAN
    }
    assert {Fault.ORPHAN, Fault.REFCOUNT, Fault.OCTETS} == await faults(
        desk, "DELETE FROM message WHERE id = ?", filed[0].message
    )


async def test_a_wrong_size_is_found(desk):
    filed = await fill(desk)
    assert await faults(desk, "UPDATE message SET size = 1 WHERE id = ?", filed[0].message) == {
        Fault.SIZE,
        Fault.COPY_DIFFERS,
        Fault.OCTETS,
    }


@pytest.mark.parametrize("column", ["received_at", "thread_key", "size"])
async def test_a_membership_that_says_other_than_its_message_is_found(desk, column):
    await fill(desk)
    statement = f"UPDATE membership SET {column} = {column} + 1 WHERE uid = 1"
    assert await faults(desk, statement) == {Fault.COPY_DIFFERS}


async def test_wrong_octets_of_an_account_are_found(desk):
    await fill(desk)
    assert await faults(desk, "UPDATE account_store SET octets = octets + 1") == {Fault.OCTETS}


async def test_an_upload_is_no_orphan_and_one_that_does_not_open_is_found(desk, big):
    blob = await desk.store.stage(desk.account, big, compress=False)
    later = now_ms() + 60_000
    upload = await desk.store.write(lambda tx: tx.keep_upload(blob, "image/png", later))
    assert findings(desk) == []
    assert await faults(desk, "UPDATE upload SET media_type = ? WHERE id = ?", b"x" * 40, upload.id) == {
        Fault.UNREADABLE
    }
    assert await faults(desk, "DELETE FROM upload") == {Fault.REFCOUNT}


async def test_a_missing_standard_mailbox_is_found(desk):
    assert await faults(desk, "UPDATE mailbox SET special_use = NULL WHERE special_use = 'junk'") == {
        Fault.MAILBOX_MISSING
    }


async def test_a_data_key_that_does_not_unwrap_is_found_once(desk):
    await fill(desk)
    wrap = AesKeyWrapper(b"w" * 32).wrap(b"x" * 32, b"y")
    found = await faults(
        desk, "UPDATE account_store SET data_key = ? WHERE account_id = ?", wrap, desk.account
    )
    assert found == {Fault.KEY_UNAVAILABLE}


async def test_given_up_commits_leave_only_dead_space(desk):
    await fill(desk)
    message = await desk.verbatim(os.urandom(6000))

    def fails(tx):
        tx.file(message)
        raise AlreadyFiled

    for _ in range(3):
        try:
            await desk.store.write(fails)
        except AlreadyFiled:
            continue
    await desk.file(await desk.verbatim(os.urandom(6000)))
    assert findings(desk) == []
