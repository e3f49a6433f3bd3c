"""Operations that share a commit: durable before the answer, and no one suffers for a neighbour."""

from __future__ import annotations

import asyncio
import errno
import os

import pytest

from mail_server.store import segments as segments_module
from mail_server.store.interface import NoSpace, StoreUnavailable
from mail_server.store.model import AccountId, Flag, FlagChange


async def test_a_failing_operation_fails_alone(desk, big):
    messages = [await desk.verbatim(big) for _ in range(20)]

    def operation(number):
        def run(tx):
            filed = tx.file(messages[number])
            if number % 5 == 3:
                raise LookupError(number)
            return filed

        return desk.store.write(run)

    outcomes = await asyncio.gather(*(operation(number) for number in range(20)), return_exceptions=True)
    failed = [one.args[0] for one in outcomes if isinstance(one, LookupError)]
    assert failed == [3, 8, 13, 18]
    filed = [one for one in outcomes if not isinstance(one, BaseException)]
    assert sorted(one.uid for one in filed) == list(range(1, 17))
    for one in filed:
        assert await desk.store.read(lambda r, one=one: r.content(one.message)) == big


async def test_a_database_error_in_one_operation_fails_alone(desk):
    messages = [await desk.verbatim() for _ in range(6)]
    outcomes = await asyncio.gather(
        *(desk.store.write(lambda tx, m=message: tx.file(m)) for message in messages),
        desk.store.write(lambda tx: tx.sql.run("INSERT INTO no_such_table VALUES (1)")),
        return_exceptions=True,
    )
    assert isinstance(outcomes.pop(), StoreUnavailable)
    assert sorted(one.uid for one in outcomes) == [1, 2, 3, 4, 5, 6]


async def test_an_account_opened_by_an_operation_that_fails_can_be_opened_again(desk):
    account = AccountId("c" * 20)

    def fails(tx):
        tx.open_account(account)
        raise LookupError

    with pytest.raises(LookupError):
        await desk.store.write(fails)
    await desk.store.write(lambda tx: tx.open_account(account))
    filed = await desk.file(await desk.verbatim(account=account))
    await desk.restart()
    assert b"hello" in await desk.store.read(lambda r: r.content(filed.message))


async def test_a_caller_that_gives_up_does_not_lose_the_commit(desk):
    message = await desk.verbatim()
    task = asyncio.create_task(desk.store.write(lambda tx: tx.file(message)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await desk.file(await desk.verbatim())
    inbox = await desk.inbox()
    assert inbox.uidnext == 3


async def test_stop_commits_what_was_handed_in(desk):
    messages = [await desk.verbatim() for _ in range(5)]
    tasks = [asyncio.create_task(desk.store.write(lambda tx, m=m: tx.file(m))) for m in messages]
    await asyncio.sleep(0)
    await desk.store.stop()
    assert [(await task).uid for task in tasks] == [1, 2, 3, 4, 5]
    await desk.restart()
    assert (await desk.inbox()).uidnext == 6


async def test_a_stopped_store_says_so(desk):
    await desk.store.stop()
    with pytest.raises(StoreUnavailable):
        await desk.store.write(lambda tx: None)
    with pytest.raises(StoreUnavailable):
        await desk.store.read(lambda reader: None)
    await desk.restart()


async def test_a_full_disk_is_no_space_and_the_store_goes_on(desk, big, monkeypatch):
    real = os.writev

    def full(descriptor, pieces):
        raise OSError(errno.ENOSPC, "No space left on device")

    message = await desk.verbatim(big)
    monkeypatch.setattr(segments_module.os, "writev", full)
    with pytest.raises(NoSpace):
        await desk.file(message)
    monkeypatch.setattr(segments_module.os, "writev", real)
    filed = await desk.file(message)
    assert await desk.store.read(lambda r: r.content(filed.message)) == big


async def test_short_writes_to_a_segment_are_completed(desk, big, monkeypatch):
    real = os.writev
    monkeypatch.setattr(
        segments_module.os, "writev", lambda descriptor, pieces: real(descriptor, [b"".join(pieces)[:100]])
    )
    filed = await desk.file(await desk.verbatim(big))
    assert await desk.store.read(lambda r: r.content(filed.message)) == big


async def test_segment_bytes_are_synced_before_commit(desk, big, monkeypatch):
    order: list[str] = []
    driver_class = type(desk.store._commits._driver)
    for owner, name, label in (
        (segments_module.os, "fdatasync", "fdatasync"),
        (segments_module, "sync_folder", "folder"),
    ):
        real = getattr(owner, name)
        monkeypatch.setattr(
            owner, name, lambda *a, real=real, label=label: (order.append(label), real(*a))[1]
        )
    commit = driver_class.commit
    monkeypatch.setattr(driver_class, "commit", lambda self: (order.append("commit"), commit(self))[1])
    await desk.file(await desk.verbatim(big))
    await desk.file(await desk.verbatim(big))
    assert order == ["fdatasync", "folder", "commit", "fdatasync", "commit"]


async def test_segments_roll_over_and_are_continued_after_a_restart(desk, big):
    filed = [await desk.file(await desk.verbatim(os.urandom(20_000))) for _ in range(10)]
    names = sorted(path.name for path in (desk.home / "segments").iterdir())
    assert len(names) == 3
    await desk.restart()
    await desk.file(await desk.verbatim(big))
    assert sorted(path.name for path in (desk.home / "segments").iterdir()) == names
    for one in filed:
        assert len(await desk.store.read(lambda r, one=one: r.content(one.message))) == 20_000


async def test_a_watch_wakes_for_its_accounts_only(desk):
    watch = desk.store.watch([desk.account])
    filed = await desk.file(await desk.verbatim())
    await asyncio.wait_for(watch.wait(), 60)
    await desk.file(await desk.verbatim(account=desk.other))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watch.wait(), 0.05)
    # A change while nobody waits is not lost.
    await desk.store.write(
        lambda tx: tx.set_flags(filed.mailbox, [1], FlagChange.ADD, Flag.SEEN, frozenset())
    )
    await asyncio.wait_for(watch.wait(), 60)
    watch.close()


async def test_a_read_sees_one_state(desk):
    first = await desk.file(await desk.verbatim())
    started, go_on = asyncio.Event(), __import__("threading").Event()
    loop = asyncio.get_running_loop()

    def query(reader):
        before = reader.counts(first.mailbox).messages
        loop.call_soon_threadsafe(started.set)
        go_on.wait(10)
        return before, reader.counts(first.mailbox).messages

    reading = asyncio.create_task(desk.store.read(query))
    await started.wait()
    await desk.file(await desk.verbatim())
    go_on.set()
    assert await reading == (1, 1)


async def test_a_commit_that_fails_fails_its_operations_and_no_later_one(desk, monkeypatch):
    driver_class = type(desk.store._commits._driver)
    commit = driver_class.commit
    error = desk.store._connector.errors[0]("planted")

    def fails(self):
        monkeypatch.setattr(driver_class, "commit", commit)
        raise error

    message = await desk.verbatim()
    monkeypatch.setattr(driver_class, "commit", fails)
    with pytest.raises(StoreUnavailable):
        await desk.file(message)
    assert (await desk.file(message)).uid == 1


async def test_after_a_failed_sync_the_bytes_are_written_again_elsewhere(desk, big, monkeypatch):
    await desk.file(await desk.verbatim(big))
    before = set((desk.home / "segments").iterdir())
    fdatasync = os.fdatasync

    def fails(_descriptor):
        monkeypatch.setattr(segments_module.os, "fdatasync", fdatasync)
        raise OSError(errno.EIO, "Input/output error")

    message = await desk.verbatim(big)
    monkeypatch.setattr(segments_module.os, "fdatasync", fails)
    # The batch is tried a second time, in a new file; nothing counts on what the failed sync left.
    filed = await desk.file(message)
    assert len(set((desk.home / "segments").iterdir()) - before) == 1
    assert await desk.store.read(lambda r: r.content(filed.message)) == big


async def test_a_half_written_record_is_taken_back(desk, big, monkeypatch):
    await desk.file(await desk.verbatim(big))
    (path,) = (desk.home / "segments").iterdir()
    size = path.stat().st_size
    writev, write = os.writev, os.write

    def short(descriptor, pieces):
        return writev(descriptor, [b"".join(pieces)[:100]])

    def full(descriptor, data):
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    message = await desk.verbatim(big)
    with monkeypatch.context() as patched:
        patched.setattr(segments_module.os, "writev", short)
        patched.setattr(segments_module.os, "write", full)
        with pytest.raises(NoSpace):
            await desk.file(message)
    assert path.stat().st_size == size
    filed = await desk.file(message)
    assert await desk.store.read(lambda r: r.content(filed.message)) == big


async def test_an_operation_that_raises_stopiteration_leaves_neighbours_answered(desk):
    message = await desk.verbatim()
    outcomes = await asyncio.gather(
        desk.store.write(lambda tx: next(iter(()))),
        desk.store.write(lambda tx: tx.file(message)),
        return_exceptions=True,
    )
    assert isinstance(outcomes[0], RuntimeError)
    assert outcomes[1].uid == 1
