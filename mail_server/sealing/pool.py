"""The pool of workers (those that seal, and others by their entry): who is idle, who is slow, who is dead.

Workers are new programs, never forks of this one, and are started before secrets are loaded; secrets reach
them over their socket alone. Each holds one message at a time. Invariants: a worker that dies or overstays
its deadline fails its own message and no other, and is replaced alone; nothing is ever retried elsewhere;
closing the pool, or the end of this process, ends the workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Protocol

from mail_server.sealing import frames
from mail_server.sealing.frames import Answer, Ask
from mail_server.sealing.link import Link, Reply
from mail_server.sealing.process import Entry, Job, PoolError, WorkerProcess, end, hand_over, receive, spawn
from mail_server.sealing.settings import SealingSettings
from mail_server.sealing.throwaway import throw_away

_START_SECONDS = 30.0
_NOTHING = Reply(Answer.DONE, 0, [], b"")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The gateway signing key as workers load it."""

    secret: bytes = field(repr=False)  # binary OpenPGP secret key
    passphrase: bytes = field(default=b"", repr=False)


@dataclass(slots=True)
class Counters:
    """For `/metrics`."""

    done: int = 0
    failed: int = 0
    replaced: int = 0
    recycled: int = 0


class PoolSettings(Protocol):
    """How many workers, and when one is ended."""

    @property
    def workers(self) -> int: ...
    @property
    def deadline_seconds(self) -> float: ...
    @property
    def recycle_after_messages(self) -> int: ...
    @property
    def recycle_above_mib(self) -> int: ...


def sealing_entry(settings: SealingSettings) -> Entry:
    return Entry(
        "mail_server.sealing.worker",
        settings.memory_limit_mib,
        settings.largest_opened_mib,
        settings.niceness,
    )


class Pool:
    """`await start()`, then `await load(key)` where workers seal, then `ask`; `await close()` in the end.

    `entry`: the program of its workers, those that seal when nothing is said. `loading`: packed fields that each of
    them is given when it starts; for workers that are told where a secret lies, and not the secret.
    """

    def __init__(
        self, settings: PoolSettings | None = None, entry: Entry | None = None, loading: bytes | None = None
    ) -> None:
        if settings is None:
            settings = SealingSettings()
        if entry is None:
            entry = sealing_entry(settings if isinstance(settings, SealingSettings) else SealingSettings())
        self._settings = settings
        self._entry = entry
        self._workers: set[WorkerProcess] = set()
        self._idle: list[WorkerProcess] = []  # last in, first out: the warmest caches
        self._waiting: deque[Job] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._key_fields = loading
        self._closing = asyncio.Event()
        self._one_load = asyncio.Lock()
        self.counters = Counters()

    @property
    def pids(self) -> list[int]:
        """Of the living workers."""
        return [worker.process.pid for worker in self._workers]

    @property
    def waiting(self) -> int:
        """Messages that no worker has taken yet."""
        return sum(not job.outcome.done() for job in self._waiting)

    async def start(self) -> None:
        """Start every worker, before secrets are loaded in this process."""
        await asyncio.gather(*(self._add() for _ in range(self._settings.workers)))

    async def load(self, key: SigningKey) -> None:
        """Give every worker, and those to come, the signing key and a fresh throw-away recipient."""
        cut = throw_away()
        self._key_fields = frames.pack(
            [key.secret, key.passphrase, cut.certificate, cut.key_id.encode("ascii")]
        )
        async with self._one_load:
            jobs: list[Job] = []
            for worker in list(self._workers):
                worker.loading = job = self._job(Ask.LOAD, self._key_fields, b"")
                jobs.append(job)
                if worker in self._idle:
                    self._idle.remove(worker)
                    self._next(worker)
            await asyncio.gather(*(job.outcome for job in jobs))

    async def ask(self, what: Ask, fields: bytes, payload: bytes) -> Reply:
        """Have one message done by the first free worker. Raises PoolError."""
        if self._closing.is_set():
            raise PoolError("closed")
        job = self._job(what, fields, payload)
        if self._idle:
            self._begin(self._idle.pop(), job)
        else:
            loop = asyncio.get_running_loop()
            job.timer = loop.call_later(self._settings.deadline_seconds, job.fail, "busy")
            self._waiting.append(job)
        try:
            return await job.outcome
        finally:
            # Cancelled while waiting: nobody takes it. Cancelled in a worker: its answer falls to the ground,
            # and the worker's own deadline still runs.
            if job in self._waiting:
                self._waiting.remove(job)
                job.stop_timer()

    async def close(self) -> None:
        """End the workers; whatever they held fails."""
        while self._waiting:
            self._waiting.popleft().fail("closed")
        self._closing.set()
        for worker in list(self._workers):
            if worker.link is not None:
                worker.link.abort()
        while self._workers or self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.sleep(0)

    # ------------------------------------------------------------ messages

    def _job(self, what: Ask, fields: bytes, payload: bytes) -> Job:
        return Job(what, fields, payload, asyncio.get_running_loop().create_future())

    def _begin(self, worker: WorkerProcess, job: Job) -> None:
        assert worker.link is not None
        worker.job = job
        job.stop_timer()
        loop = asyncio.get_running_loop()
        job.timer = loop.call_later(self._settings.deadline_seconds, self._overstayed, worker, job)
        worker.link.send(job.what, job.fields, job.payload)
        if len(job.payload) > frames.INLINE:
            worker.courier.submit(hand_over, worker.beside, job.payload)

    def _overstayed(self, worker: WorkerProcess, job: Job) -> None:
        if worker.job is job:
            job.fail("deadline")
            worker.process.kill()
            if worker.link is not None:
                worker.link.abort()

    def _replied(self, worker: WorkerProcess, reply: Reply) -> None:
        if reply.what == Answer.READY:
            if not worker.ready.done():
                worker.ready.set_result(None)
            return
        if worker.job is None:
            if worker.link is not None:
                worker.link.abort()
        elif reply.beside:
            self._task(self._fetch(worker, worker.job, reply))
        else:
            self._finish(worker, worker.job, reply)

    async def _fetch(self, worker: WorkerProcess, job: Job, reply: Reply) -> None:
        """Receive a large answer in a thread: it is never copied, least of all by the loop."""
        loop = asyncio.get_running_loop()
        payload = await loop.run_in_executor(worker.courier, receive, worker.beside, reply.beside)
        if worker.job is not job:
            return  # it overstayed or died meanwhile, and its letter has failed
        if len(payload) == reply.beside:
            self._finish(worker, job, Reply(reply.what, reply.counter, reply.fields, payload))
        elif worker.link is not None:
            worker.link.abort()

    def _finish(self, worker: WorkerProcess, job: Job, reply: Reply) -> None:
        worker.job = None
        if reply.what == Answer.DONE:
            self.counters.done += 1
            job.done(reply)
        else:
            self.counters.failed += 1
            job.fail(_slug(reply))
        worker.done += 1
        if not worker.worn and self._wears(worker, reply.counter):
            worker.worn = True
            self._task(self._succeed(worker))
        self._next(worker)

    def _next(self, worker: WorkerProcess) -> None:
        """Give a free worker something to do."""
        if worker.starting:
            return
        if worker.leaving:
            self._dismiss(worker)
            return
        if worker.loading is not None:
            job, worker.loading = worker.loading, None
            self._begin(worker, job)
            return
        while self._waiting:
            job = self._waiting.popleft()
            if not job.outcome.done():
                self._begin(worker, job)
                return
        self._idle.append(worker)

    # ------------------------------------------------------------ processes

    def _wears(self, worker: WorkerProcess, peak_kib: int) -> bool:
        settings = self._settings
        return worker.done >= settings.recycle_after_messages or peak_kib > settings.recycle_above_mib * 1024

    async def _succeed(self, worker: WorkerProcess) -> None:
        """Start the successor of a worn worker, then let it go once its hands are empty."""
        await self._replace()
        self.counters.recycled += 1
        worker.leaving = True
        if worker in self._idle:
            self._idle.remove(worker)
            self._dismiss(worker)

    def _dismiss(self, worker: WorkerProcess) -> None:
        if worker.loading is not None:  # it has no more use for the key
            worker.loading.done(_NOTHING)
            worker.loading = None
        if worker.link is not None:
            worker.link.close()

    def _lost(self, worker: WorkerProcess) -> None:
        """Its socket is closed: it died, was killed, or was told to go."""
        if worker.gone:
            return
        worker.gone = True
        self._workers.discard(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        for job in (worker.job, worker.loading):
            if job is not None:
                self.counters.failed += 1
                job.fail("worker-lost")
        worker.job = worker.loading = None
        with contextlib.suppress(OSError):
            worker.beside.shutdown(socket.SHUT_RDWR)  # wakes the courier
        worker.courier.submit(worker.beside.close)
        worker.courier.shutdown(wait=False)
        self._task(self._reap(worker.process))
        if not worker.ready.done():
            worker.ready.set_exception(PoolError("worker-lost"))
            worker.ready.exception()  # nobody may be waiting for it
        elif not (worker.starting or worker.worn or self._closing.is_set()):
            # While it starts, `_add` fails and says so; when it is worn, its successor is on the way.
            self.counters.replaced += 1
            self._task(self._replace())

    def _task(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _replace(self) -> None:
        """Start one worker, as often as it takes."""
        pause = 0.05
        while not self._closing.is_set():
            try:
                await self._add()
            except (PoolError, OSError):
                with contextlib.suppress(TimeoutError):
                    # Not wait_for, which may swallow a cancellation on Python 3.11.
                    async with asyncio.timeout(pause):
                        await self._closing.wait()
                pause = min(pause * 2, 5.0)
            else:
                return

    async def _add(self) -> None:
        """One more worker, ready and loaded."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        our_beside, their_beside = socket.socketpair()
        try:
            process = await asyncio.to_thread(spawn, self._entry, theirs, their_beside)
        except BaseException:
            ours.close()
            our_beside.close()
            raise
        finally:
            theirs.close()
            their_beside.close()
        worker = WorkerProcess(process, our_beside, loop.create_future())
        ours.setblocking(False)
        _, link = await loop.create_unix_connection(
            lambda: Link(lambda reply: self._replied(worker, reply), lambda: self._lost(worker)), sock=ours
        )
        worker.link = link
        try:
            async with asyncio.timeout(_START_SECONDS):
                await worker.ready
                loaded: bytes | None = None
                while loaded is not self._key_fields:  # it may change while this worker loads
                    loaded = self._key_fields
                    job = self._job(Ask.LOAD, loaded or b"", b"")
                    self._begin(worker, job)
                    await job.outcome
        except TimeoutError:
            link.abort()
            raise PoolError("worker-slow") from None
        except BaseException:
            link.abort()
            raise
        if worker.gone or self._closing.is_set():
            link.abort()
            raise PoolError("worker-lost")
        worker.starting = False
        self._workers.add(worker)
        self._next(worker)

    async def _reap(self, process: subprocess.Popen[bytes]) -> None:
        await asyncio.to_thread(end, process)


def _slug(reply: Reply) -> str:
    """Only slugs we know: a worker has nothing else to say."""
    said = reply.fields[0].decode("ascii", "replace") if reply.fields else ""
    return said if said in set(frames.Slug) else frames.Slug.INTERNAL
