"""The pool: workers die, dawdle and wear out one at a time, and leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from directory.openpgp.certificate import Certificate
from mail_server.sealing import frames
from mail_server.sealing.authority import Authority
from mail_server.sealing.engine import OpenPgpEngine
from mail_server.sealing.interface import SealingError
from mail_server.sealing.pool import Pool, PoolError, SigningKey
from mail_server.sealing.settings import SealingSettings

CANARY = b"CANARY-Monsieur-Martin"


@asynccontextmanager
async def running(authority: Authority, **settings: object) -> AsyncIterator[Pool]:
    pool = Pool(SealingSettings.model_validate({"deadline_seconds": 120.0, **settings}))
    await pool.start()
    try:
        await pool.load(authority.signing_key())
        yield pool
    finally:
        await pool.close()


def patient_for(pool: Pool, seconds: float) -> None:
    """From now on. A short deadline is set for what is stopped alone: what works has its time, however busy it is."""
    assert isinstance(pool._settings, SealingSettings)
    pool._settings = pool._settings.model_copy(update={"deadline_seconds": seconds})


async def until(true: Callable[[], bool], seconds: float = 120) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def test_a_worker_killed_in_the_middle_fails_its_letter_alone_and_is_replaced(
    authority: Authority, cv25519: Certificate
) -> None:
    async with running(authority, workers=2) as pool:
        engine = OpenPgpEngine(pool)
        stopped = pool.pids[0]
        os.kill(stopped, signal.SIGSTOP)  # whichever letter it gets stays in its hands
        letters = [asyncio.create_task(engine.seal(CANARY, [cv25519])) for _ in range(10)]
        await until(lambda: sum(task.done() for task in letters) == 9)
        os.kill(stopped, signal.SIGKILL)
        outcomes = await asyncio.gather(*letters, return_exceptions=True)
        failures = [one for one in outcomes if isinstance(one, BaseException)]
        assert [type(one) for one in failures] == [SealingError]
        assert str(failures[0]) == "worker-lost"
        await until(lambda: len(pool.pids) == 2)
        assert stopped not in pool.pids
        assert pool.counters.replaced == 1
        assert (await engine.seal(CANARY, [cv25519])).body


async def test_a_worker_that_dawdles_is_replaced_and_its_letter_fails_at_the_deadline(
    authority: Authority, cv25519: Certificate
) -> None:
    async with running(authority, workers=1) as pool:
        engine = OpenPgpEngine(pool)
        slow = pool.pids[0]
        os.kill(slow, signal.SIGSTOP)
        patient_for(pool, 0.5)
        with pytest.raises(SealingError, match="deadline"):
            await engine.seal(CANARY, [cv25519])
        patient_for(pool, 120)
        await until(lambda: bool(pool.pids) and slow not in pool.pids)
        assert (await engine.seal(CANARY, [cv25519])).body
        await until(lambda: not alive(slow))


@pytest.mark.parametrize("deadline", [30.0, 0.5], ids=["killed", "overstayed"])
async def test_a_worker_lost_with_a_large_letter_in_its_hands_is_replaced_too(
    authority: Authority, cv25519: Certificate, deadline: float
) -> None:
    async with running(authority, workers=1) as pool:
        engine = OpenPgpEngine(pool)
        lost = pool.pids[0]
        os.kill(lost, signal.SIGSTOP)
        patient_for(pool, deadline)
        letter = asyncio.create_task(engine.seal(CANARY * 400_000, [cv25519]))
        await asyncio.sleep(0.05)
        if deadline > 1:
            os.kill(lost, signal.SIGKILL)
        with pytest.raises(SealingError):
            await letter
        patient_for(pool, 120)
        await until(lambda: bool(pool.pids) and lost not in pool.pids)
        assert (await engine.seal(CANARY * 400_000, [cv25519])).body


async def test_large_and_small_letters_go_side_by_side(
    authority: Authority, cv25519: Certificate, reader: Any
) -> None:
    async with running(authority, workers=2) as pool:
        engine = OpenPgpEngine(pool)
        secret = reader.secret(cv25519)
        sizes = [frames.INLINE - 1, 10, frames.INLINE, frames.INLINE + 1, 0, 9 << 20]
        letters = [os.urandom(size) for size in sizes]
        sealed = await asyncio.gather(*(engine.seal(letter, [cv25519]) for letter in letters))
        opened = await asyncio.gather(
            *(engine.open(one.key_packets[0].packet + one.body, secret) for one in sealed)
        )
        assert opened == letters


async def test_a_worker_that_a_large_node_starts_late_is_weighed_by_its_own_memory(
    authority: Authority, cv25519: Certificate
) -> None:
    ballast = bytearray(b"x" * 400 * 1024 * 1024)  # more than a worker may hold
    async with running(authority, workers=1, recycle_above_mib=300) as pool:
        engine = OpenPgpEngine(pool)
        worker = pool.pids[0]
        for _ in range(3):
            await engine.seal(CANARY, [cv25519])
        await asyncio.sleep(1)  # a successor would be there by now
        assert (pool.pids[0], pool.counters.recycled) == (worker, 0)
    del ballast


async def test_a_letter_that_no_worker_takes_fails_at_the_deadline(
    authority: Authority, cv25519: Certificate
) -> None:
    async with running(authority, workers=1) as pool:
        engine = OpenPgpEngine(pool)
        os.kill(pool.pids[0], signal.SIGSTOP)
        patient_for(pool, 0.4)
        # Both from the same moment: a worker put in the stopped one's place must come too late for the second.
        both = [asyncio.create_task(engine.seal(CANARY, [cv25519])) for _ in range(2)]
        failures = await asyncio.gather(*both, return_exceptions=True)
        assert [type(failure) for failure in failures] == [SealingError, SealingError]
        assert pool.waiting == 0
        patient_for(pool, 120)


async def test_a_caller_that_gives_up_harms_nobody(authority: Authority, cv25519: Certificate) -> None:
    async with running(authority, workers=1) as pool:
        engine = OpenPgpEngine(pool)
        before = pool.pids
        many = [asyncio.create_task(engine.seal(CANARY * 1000, [cv25519])) for _ in range(30)]
        await asyncio.sleep(0)
        for task in many[::2]:
            task.cancel()
        outcomes = await asyncio.gather(*many, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in outcomes[::2])
        assert not any(isinstance(one, BaseException) for one in outcomes[1::2])
        assert (await engine.seal(CANARY, [cv25519])).body
        assert pool.pids == before
        assert pool.waiting == 0


async def test_a_worn_worker_is_replaced_without_losing_a_letter(
    authority: Authority, cv25519: Certificate
) -> None:
    async with running(authority, workers=2, recycle_after_messages=5) as pool:
        engine = OpenPgpEngine(pool)
        before = set(pool.pids)
        while pool.counters.recycled < 4:
            await asyncio.gather(*(engine.seal(CANARY, [cv25519]) for _ in range(5)))
        await until(lambda: len(pool.pids) == 2)
        assert not before & set(pool.pids)
        assert (pool.counters.failed, pool.counters.replaced) == (0, 0)


async def test_a_new_signing_key_reaches_every_worker(authority: Authority, cv25519: Certificate) -> None:
    async with running(authority, workers=2) as pool:
        engine = OpenPgpEngine(pool)
        busy = [asyncio.create_task(engine.seal(CANARY, [cv25519])) for _ in range(20)]
        await pool.load(authority.signing_key())
        await asyncio.gather(*busy)
        with pytest.raises(PoolError, match="bad-signing-key"):
            await pool.load(SigningKey(b"rubbish"))


async def test_closing_ends_the_workers_and_fails_what_waits(
    authority: Authority, cv25519: Certificate
) -> None:
    pool = Pool(SealingSettings(workers=2))
    await pool.start()
    await pool.load(authority.signing_key())
    pids = pool.pids
    waiting = [asyncio.create_task(OpenPgpEngine(pool).seal(CANARY * 10_000, [cv25519])) for _ in range(20)]
    await asyncio.sleep(0)
    await pool.close()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(one, SealingError) for one in outcomes)
    assert not any(alive(pid) for pid in pids)
    with pytest.raises(SealingError, match="closed"):
        await OpenPgpEngine(pool).seal(CANARY, [cv25519])


async def test_workers_leave_no_core_and_yield_to_the_node(pool: Pool) -> None:
    for pid in pool.pids:
        limits = Path(f"/proc/{pid}/limits").read_text()
        core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"]
        assert os.getpriority(os.PRIO_PROCESS, pid) > os.getpriority(os.PRIO_PROCESS, 0)


def test_a_hardened_worker_can_neither_be_dumped_nor_write_a_large_file() -> None:
    program = textwrap.dedent("""
        import ctypes, resource
        from mail_server.sealing.serving import harden
        harden(1024, 4, 0)
        get_dumpable = 3
        print(ctypes.CDLL(None).prctl(get_dumpable, 0, 0, 0, 0))
        print(resource.getrlimit(resource.RLIMIT_FSIZE)[1], resource.getrlimit(resource.RLIMIT_AS)[1])
    """)
    root = Path(sys.modules["mail_server"].__file__ or "").parent.parent
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=root).stdout
    assert said.split() == [b"0", str(4 << 20).encode(), str(1024 << 20).encode()]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a worker lets nobody else look into it")
async def test_no_secret_is_on_a_worker_s_command_line_nor_in_its_environment(
    pool: Pool, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAGUEMESTRE_SECRET", "hunter2")
    passphrase = authority.signing_key().passphrase
    extra = Pool(SealingSettings(workers=1))
    await extra.start()
    try:
        for pid in (*pool.pids, *extra.pids):
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            for secret in (passphrase, b"hunter2"):
                assert secret not in line
                assert secret not in environment
            names = {entry.partition(b"=")[0] for entry in environment.split(b"\0") if entry}
            assert names == {b"PYTHONPATH", b"PATH", b"LC_ALL"}
    finally:
        await extra.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a worker lets nobody else look into it")
async def test_a_worker_holds_no_file_of_its_parent(pool: Pool, tmp_path: Path) -> None:
    with (tmp_path / "mail.db").open("wb"):
        extra = Pool(SealingSettings(workers=1))
        await extra.start()
        try:
            for pid in (*pool.pids, *extra.pids):
                held = {os.readlink(found) for found in Path(f"/proc/{pid}/fd").iterdir()}
                assert {name for name in held if not name.startswith("socket:")} <= {"/dev/null"}
                assert sum(name.startswith("socket:") for name in held) == 2
        finally:
            await extra.close()


def test_when_the_node_is_killed_its_workers_end_by_themselves() -> None:
    program = textwrap.dedent("""
        import asyncio, time
        from mail_server.sealing.pool import Pool
        from mail_server.sealing.settings import SealingSettings
        async def main():
            pool = Pool(SealingSettings(workers=2))
            await pool.start()
            print(*pool.pids, flush=True)
            await asyncio.sleep(60)
        asyncio.run(main())
    """)
    root = Path(sys.modules["mail_server"].__file__ or "").parent.parent
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=root) as node:
        assert node.stdout is not None
        pids = [int(word) for word in node.stdout.readline().split()]
        assert len(pids) == 2
        assert all(alive(pid) for pid in pids)
        node.kill()
    ends = time.monotonic() + 60
    while any(alive(pid) for pid in pids) and time.monotonic() < ends:
        time.sleep(0.02)
    assert not any(alive(pid) for pid in pids)


async def test_whatever_is_written_to_a_worker_s_socket_it_answers_or_ends(pool: Pool) -> None:
    """A frame that makes no sense costs that worker alone."""
    from mail_server.sealing.frames import Ask

    with pytest.raises(PoolError):
        await pool.ask(Ask.SEAL, b"\xff" * 9, b"")
    with pytest.raises(PoolError):
        await pool.ask(Ask.OPEN, b"", b"")
    with pytest.raises(PoolError):
        await pool.ask(Ask.LOAD, b"", b"")
    await until(lambda: len(pool.pids) == 2)


async def test_uvloop_carries_the_pool_too(authority: Authority, cv25519: Certificate) -> None:
    import uvloop

    key = authority.signing_key()

    async def seal() -> int:
        pool = Pool(SealingSettings(workers=1))
        await pool.start()
        await pool.load(key)
        try:
            sealed = await asyncio.gather(
                *(OpenPgpEngine(pool).seal(CANARY * size, [cv25519]) for size in (1, 10, 100_000))
            )
            return len(sealed)
        finally:
            with contextlib.suppress(PoolError):
                await pool.close()

    def run() -> int:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(seal())

    assert await asyncio.to_thread(run) == 3
