"""Backup beside a running store, restore into an empty home."""

from __future__ import annotations

import asyncio
import os
import shutil

import pytest

from mail_server.keys.keystore import Entry, Keystore
from mail_server.store.backup import BackupRefused, backup_store
from mail_server.store.check import check_store
from mail_server.store.restore import RESTORES, restore_store
from mail_server.store.store import LocalStore


@pytest.fixture
async def filled(desk):
    contents = {}
    for length in (10, 500, 5000, 40_000, 40_000):
        data = os.urandom(length)
        contents[(await desk.file(await desk.verbatim(data))).message] = data
    return desk, contents


async def restored(desk, folder, settings):
    store = LocalStore(settings, folder, desk.keys)
    await store.start()
    return store


def empty(desk, make_postgresql_database):
    """Settings of a database to restore into."""
    if not desk.settings.is_postgresql():
        return desk.settings
    return desk.settings.model_copy(update={"database": make_postgresql_database()})


@pytest.mark.parametrize("link", [False, True])
async def test_what_was_backed_up_comes_back_with_new_uidvalidity(
    filled, tmp_path, make_postgresql_database, link
):
    desk, contents = filled
    keystore = desk.home / "keystore.json"
    Keystore(keystore).put("operator-key/x", Entry("F", b"cert", b"SECRETWRAP"))
    before = await desk.inbox()
    told = []
    backup_store(
        desk.settings,
        desk.home,
        desk.keys,
        tmp_path / "b",
        lambda done, total: told.append((done, total)),
        link=link,
    )
    assert told[-1][0] == told[-1][1] > 80_000
    for path in (tmp_path / "b").rglob("*"):
        assert "keystore" not in path.name
        assert not path.is_file() or b"U0VDUkVUV1JBUA" not in path.read_bytes()
    # What comes after the backup is not in it.
    await desk.file(await desk.verbatim(os.urandom(3000)))
    settings = empty(desk, make_postgresql_database)
    restore_store(settings, tmp_path / "new", tmp_path / "b")
    assert check_store(settings, tmp_path / "new", desk.keys) == []
    store = await restored(desk, tmp_path / "new", settings)
    inbox = await store.read(lambda r: r.mailbox(before.id))
    assert inbox.uidvalidity > before.uidvalidity
    assert inbox.uidnext == before.uidnext
    for message, data in contents.items():
        assert await store.read(lambda r, message=message: r.content(message)) == data
    restores = await store.read(
        lambda r: r.sql.one("SELECT value FROM node_setting WHERE key = ?", (RESTORES,))
    )
    assert bytes(restores[0]) == b"1"
    made = await store.write(lambda tx: tx.create_mailbox(desk.account, "new"))
    assert made.uidvalidity > inbox.uidvalidity
    await store.stop()


async def test_a_backup_beside_a_busy_writer_is_whole(filled, tmp_path, make_postgresql_database):
    desk, _ = filled
    stop = asyncio.Event()

    async def write():
        while not stop.is_set():
            await desk.file(await desk.verbatim(os.urandom(3000)))

    writers = [asyncio.create_task(write()) for _ in range(4)]
    await asyncio.to_thread(backup_store, desk.settings, desk.home, desk.keys, tmp_path / "b")
    stop.set()
    await asyncio.gather(*writers)
    settings = empty(desk, make_postgresql_database)
    restore_store(settings, tmp_path / "new", tmp_path / "b")
    # pg_dump comes before the segments: a file begun in between is there in vain.
    assert [one for one in check_store(settings, tmp_path / "new", desk.keys) if not one.harmless] == []


async def test_a_backup_is_not_made_over_another(filled, tmp_path):
    desk, _ = filled
    backup_store(desk.settings, desk.home, desk.keys, tmp_path / "b")
    with pytest.raises(BackupRefused):
        backup_store(desk.settings, desk.home, desk.keys, tmp_path / "b")


async def test_a_damaged_or_unfinished_backup_is_refused(filled, tmp_path, make_postgresql_database):
    desk, _ = filled
    backup_store(desk.settings, desk.home, desk.keys, tmp_path / "b")
    settings = empty(desk, make_postgresql_database)
    for name in ("segments", "store.json"):
        shutil.copytree(tmp_path / "b", tmp_path / name)
        victim = tmp_path / name / name
        if name == "segments":
            victim = next(victim.iterdir())
            victim.write_bytes(victim.read_bytes()[:-1] + b"\xff\xfe"[:1])
            content = bytearray(victim.read_bytes())
            content[10] ^= 1
            victim.write_bytes(content)
        else:
            victim.unlink()
        with pytest.raises(BackupRefused):
            restore_store(settings, tmp_path / f"new-{name}", tmp_path / name)
        assert not (tmp_path / f"new-{name}" / "mail.db").exists()


async def test_a_store_that_is_there_is_not_overwritten(filled, tmp_path):
    desk, _ = filled
    backup_store(desk.settings, desk.home, desk.keys, tmp_path / "b")
    await desk.store.stop()
    with pytest.raises(BackupRefused):
        restore_store(desk.settings, desk.home, tmp_path / "b")
    await desk.restart()


async def test_a_manifest_that_points_elsewhere_is_refused(filled, tmp_path):
    desk, _ = filled
    backup_store(desk.settings, desk.home, desk.keys, tmp_path / "b")
    manifest = tmp_path / "b" / "store.json"
    manifest.write_text(manifest.read_text().replace('"segments/', '"../segments/'))
    with pytest.raises(BackupRefused):
        restore_store(desk.settings, tmp_path / "new", tmp_path / "b")
