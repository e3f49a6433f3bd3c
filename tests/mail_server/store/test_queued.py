"""Bodies that the outbound queue names: durable, under the shared key, gone with the last letter that names them."""

from __future__ import annotations

import pytest

from mail_server.store.backup import backup_store
from mail_server.store.check import Fault, check_store
from mail_server.store.interface import NoSuchMessage, StoreError
from mail_server.store.restore import restore_store


@pytest.fixture
def keep(desk):
    async def keeping(data, times=1):
        blob = await desk.store.stage(None, data, compress=False)
        return [await desk.store.write(lambda tx: tx.keep_queued(blob)) for _ in range(times)]

    return keeping


@pytest.mark.parametrize("length", [0, 100, 5000])
async def test_a_body_is_read_back_by_its_name_after_a_restart(desk, keep, length):
    data = (b"sealed" * 1000)[:length]
    (name,) = await keep(data)
    await desk.restart()
    assert await desk.store.read(lambda r: r.queued(name)) == data
    assert check_store(desk.settings, desk.home, desk.keys) == []


async def test_a_body_kept_twice_lies_down_once_and_goes_with_the_second(desk, keep, big):
    one, two = await keep(big, 2)
    assert await desk.count("SELECT count(*) FROM blob") == 1
    assert await desk.store.write(lambda tx: tx.drop_queued(one)) is True
    assert await desk.store.read(lambda r: r.queued(two)) == big
    assert check_store(desk.settings, desk.home, desk.keys) == []
    assert await desk.store.write(lambda tx: tx.drop_queued(two)) is True
    assert await desk.count("SELECT count(*) FROM blob") == 0
    assert await desk.count("SELECT sum(garbage) FROM segment") > len(big)
    assert await desk.store.write(lambda tx: tx.drop_queued(two)) is False


async def test_a_body_of_a_message_may_be_queued_too(desk):
    """A letter sealed for people here and elsewhere: one body, counted for both."""
    filed = await desk.split(b"one body of many" * 100)
    message = await desk.file(filed)
    name = await desk.store.write(lambda tx: tx.keep_queued(filed.content.body))
    assert await desk.count("SELECT refcount FROM blob") == 2
    assert [
        one.fault for one in check_store(desk.settings, desk.home, desk.keys) if one.fault is Fault.REFCOUNT
    ] == []
    inbox = await desk.inbox()
    await desk.store.write(lambda tx: tx.expunge(inbox.id, [message.uid]))
    assert await desk.store.read(lambda r: r.queued(name)) == b"one body of many" * 100


async def test_an_unknown_name_and_an_account_s_own_blob_are_refused(desk):
    with pytest.raises(NoSuchMessage):
        await desk.store.read(lambda r: r.queued("Q0"))
    blob = await desk.store.stage(desk.account, b"x", compress=False)
    with pytest.raises(StoreError):
        await desk.store.write(lambda tx: tx.keep_queued(blob))


async def test_check_finds_a_name_without_its_body_and_a_body_without_its_name(desk, keep):
    (lost,) = await keep(b"x" * 10)
    (forgotten,) = await keep(b"y" * 10)
    await desk.store.write(
        lambda tx: tx.sql.run(
            "DELETE FROM blob WHERE blob_id = (SELECT blob_id FROM queued WHERE id = ?)", (lost,)
        )
    )
    await desk.store.write(lambda tx: tx.sql.run("DELETE FROM queued WHERE id = ?", (forgotten,)))
    found = check_store(desk.settings, desk.home, desk.keys)
    assert {(one.fault, one.subject) for one in found if one.fault is Fault.ORPHAN} == {
        (Fault.ORPHAN, f"queued {lost}")
    }
    assert [one.detail for one in found if one.fault is Fault.REFCOUNT] == ["counted 1, named by 0"]


async def test_what_waits_to_leave_is_in_a_backup(desk, keep, big, tmp_path):
    if desk.settings.is_postgresql():
        pytest.skip("pg_dump is tested with the store's backup")
    (name,) = await keep(big)
    backup_store(desk.settings, desk.home, desk.keys, tmp_path / "copy")
    await desk.store.stop()
    for path in (desk.home / "segments").iterdir():
        path.unlink()
    for rest in desk.home.glob("mail.db*"):
        rest.unlink()
    restore_store(desk.settings, desk.home, tmp_path / "copy")
    await desk.restart()
    assert await desk.store.read(lambda r: r.queued(name)) == big
