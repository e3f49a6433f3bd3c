"""The egress gate as the node sees it: certificates to seal to, letters to be opened, never a secret.

One process (`worker`) holds the keys and opens; this side knows certificates alone. A key that was replaced is taken
for a day more, by pages that had it already, and is destroyed an hour later at the earliest, once no letter of the
queue names it.

Invariants: implements `interface.Egress`; what was opened is returned and kept nowhere, and no word of it is in a log
or an exception; while the gate is down nothing can be sealed to it, nor opened: both are refused for now.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from directory.openpgp.certificate import Certificate, CertificateRefused
from directory.openpgp.gate import gate as gated
from mail_server.keys.interface import KeyUnavailable
from mail_server.keys.kek import kek_path
from mail_server.keys.settings import KeysSettings
from mail_server.outbound.interface import Form, NotOpened
from mail_server.sealing import frames
from mail_server.sealing.frames import Ask, Slug
from mail_server.sealing.link import Reply
from mail_server.sealing.pool import Pool
from mail_server.sealing.process import Entry, PoolError
from mail_server.sealing.settings import SealingSettings
from policies.interface import Event

_log = logging.getLogger("vaguemestre.outbound")
_HOUR = 3_600_000  # ms
TAKEN_AFTER = 24 * _HOUR  # how long letters sealed to a replaced key are still taken
KEPT_AFTER = TAKEN_AFTER + _HOUR  # what was being laid into the queue meanwhile lies in it by then
_RETRY_SECONDS = 30.0
_LASTING = frozenset({Slug.KEY_GONE, Slug.CANNOT_OPEN, Slug.TOO_LARGE, Slug.NOT_A_LETTER})

Named = Callable[[], Awaitable[frozenset[str]]]
"""Fingerprints that letters of the queue name."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the gate's process finds what it needs; nothing of it is secret."""

    home: Path
    keystore: Path
    keys: KeysSettings
    address: str  # user id of the keys

    def told(self) -> bytes:
        """The fields of LOAD. Raises KeyUnavailable when no configuration says where the KEK is."""
        program = shutil.which(self.keys.gnupg_program) or self.keys.gnupg_program
        keys = self.keys.model_copy(
            update={"kek": kek_path(self.keys).absolute(), "gnupg_program": program}
        ).model_dump(mode="json")
        passed = ("PATH", "CREDENTIALS_DIRECTORY", "XDG_RUNTIME_DIR")
        told = {
            "home": str(self.home.absolute()),
            "keystore": str(self.keystore.absolute()),
            "keys": keys,
            "environment": {name: os.environ[name] for name in passed if name in os.environ},
        }
        return frames.pack([json.dumps(told).encode()])


@dataclass(frozen=True, slots=True)
class EgressKey:
    """A key that the gate holds."""

    certificate: Certificate = field(repr=False)
    published: bytes = field(repr=False)  # binary, as GnuPG made it
    made: int  # ms
    replaced: int | None = None  # ms; None: in use

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint

    def taken(self, at: int) -> bool:
        """Whether new letters may still be sealed to it."""
        return self.replaced is None or at < self.replaced + TAKEN_AFTER

    def may_go(self, at: int) -> bool:
        return self.replaced is not None and at >= self.replaced + KEPT_AFTER


@dataclass(slots=True)
class GateCounters:
    """For `/metrics`."""

    opened: int = 0
    not_opened: int = 0
    octets: int = 0
    open_milliseconds: int = 0


@dataclass(frozen=True, slots=True)
class _OneWorker:
    workers: int
    deadline_seconds: float
    recycle_after_messages: int
    recycle_above_mib: int


class EgressGate:
    """`await start()` (or `begin()` behind other work), then `certificate` and `open`; `await close()`.

    `alone`: no other node has keys of its own, by which it opens letters of the same queue.
    """

    def __init__(
        self,
        place: Place,
        settings: SealingSettings,
        *,
        named: Named,
        alone: bool = True,
        audit: Callable[[Sequence[Event]], None],
        clock: Callable[[], int],
    ) -> None:
        self._place = place
        self._settings = settings
        self._named = named
        self._alone = alone
        self._audit = audit
        self._clock = clock
        self._pool: Pool | None = None
        self._keys: tuple[EgressKey, ...] = ()
        self._starting = asyncio.Lock()
        self._changing = asyncio.Lock()
        self._beginning: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self.counters = GateCounters()

    # ------------------------------------------------------------ life

    async def start(self) -> None:
        """Start the process, and have the first key made where there is none. Raises NotOpened."""
        async with self._starting:
            if self._pool is not None:
                return
            pool: Pool | None = None
            try:
                pool = Pool(self._one_worker(), self._entry(), self._place.told())
                await pool.start()
                keys = self._read(await pool.ask(Ask.GATE_KEYS, b"", b""))
                if not keys:
                    keys = await self._make(pool, "node")
            except (PoolError, OSError, KeyUnavailable, NotOpened) as failure:
                if pool is not None:
                    await pool.close()
                raise NotOpened(_slug(failure)) from None
            self._pool, self._keys = pool, keys

    def begin(self) -> None:
        """Start it behind other work, as often as it takes: local letters do not wait for it."""
        if self._beginning is None:
            self._beginning = asyncio.create_task(self._start_at_last())

    async def _start_at_last(self) -> None:
        told = ""
        while self._pool is None:
            try:
                await self.start()
            except NotOpened as failure:
                if failure.slug != told:
                    told = failure.slug
                    _log.error("the egress gate does not start (%s): no letter leaves in clear", failure.slug)
                self._tried.set()
                await asyncio.sleep(_RETRY_SECONDS)
        self._tried.set()

    async def ready(self, seconds: float) -> bool:
        """Begin, and wait so long at the most for it to be there, or to have failed once."""
        self.begin()
        with contextlib.suppress(TimeoutError):
            # Not wait_for, which may swallow a cancellation on Python 3.11.
            async with asyncio.timeout(seconds):
                await self._tried.wait()
        return self.alive

    async def close(self) -> None:
        if self._beginning is not None:
            self._beginning.cancel()
            await asyncio.gather(self._beginning, return_exceptions=True)
        async with self._starting:
            pool, self._pool = self._pool, None
            if pool is not None:
                await pool.close()

    @property
    def alive(self) -> bool:
        """Whether the process is there, with a key."""
        return self._pool is not None and bool(self._pool.pids)

    @property
    def pids(self) -> list[int]:
        return self._pool.pids if self._pool is not None else []

    # ------------------------------------------------------------ keys

    @property
    def keys(self) -> tuple[EgressKey, ...]:
        """Oldest first; the last one is in use."""
        return self._keys

    @property
    def certificate(self) -> Certificate:
        """See `interface.Egress`. Raises NotOpened while the gate has not started."""
        if not self._keys or self._pool is None:
            raise NotOpened("gate-closed")
        return self._keys[-1].certificate

    def taken(self, key_id: str) -> Certificate | None:
        """The egress certificate whose subkey this is, if letters that name it may be laid into the queue now."""
        at = self._clock()
        wanted = key_id.upper()[-16:]
        return next(
            (
                one.certificate
                for one in self._keys
                if one.certificate.encryption_key_id == wanted and one.taken(at)
            ),
            None,
        )

    async def rotate(self, by: str) -> EgressKey:
        """A new key, in use on return. Raises NotOpened."""
        async with self._changing:
            self._keys = await self._make(self._living(), by)
        return self._keys[-1]

    async def sweep(self) -> tuple[str, ...]:
        """Destroy the keys that no letter of the queue needs any more. Their fingerprints. Raises NotOpened."""
        async with self._changing:
            due = [one for one in self._keys if one.may_go(self._clock())]
            named = await self._named() if due else frozenset[str]()
            gone: list[str] = []
            for one in due:
                if one.fingerprint in named:
                    continue
                with _refused():
                    fields = frames.pack([one.fingerprint.encode("ascii")])
                    self._keys = self._read(await self._living().ask(Ask.GATE_DESTROY, fields, b""))
                self._note("node", one.fingerprint, "destroyed")
                gone.append(one.fingerprint)
        return tuple(gone)

    async def _make(self, pool: Pool, by: str) -> tuple[EgressKey, ...]:
        at = b"%d" % self._clock()
        with _refused():
            reply = await pool.ask(Ask.GATE_MAKE, frames.pack([self._place.address.encode("ascii"), at]), b"")
        keys = self._read(reply)
        if not keys:
            raise NotOpened(Slug.KEY_UNAVAILABLE)
        self._note(by, keys[-1].fingerprint, "made")
        return keys

    def _read(self, reply: Reply) -> tuple[EgressKey, ...]:
        """What the process says it holds, each certificate gated here. Raises NotOpened."""
        said = reply.fields
        found: list[EgressKey] = []
        try:
            times = [int(one) for one in said[0::3]]
            for at, made in enumerate(times):
                data = said[3 * at + 2]
                # GnuPG dates keys by the machine's clock, whatever ours is.
                certificate = gated(data, self._place.address, time.time_ns() // 1_000_000)
                replaced = times[at + 1] if at + 1 < len(times) else None
                found.append(EgressKey(certificate, data, made, replaced))
        except (ValueError, IndexError, CertificateRefused):
            raise NotOpened(Slug.KEY_UNAVAILABLE) from None
        return tuple(found)

    def _note(self, by: str, fingerprint: str, state: str) -> None:
        detail = {"fingerprint": fingerprint, "state": state}
        self._audit([Event("egress-key", self._clock(), by, kind="key", detail=detail)])

    # ------------------------------------------------------------ letters

    async def open(self, fingerprint: str, form: Form, queued: bytes) -> bytes:
        """The bytes for the wire, in memory. Raises NotOpened."""
        began = time.monotonic()
        fields = frames.pack([fingerprint.upper().encode("ascii", "replace"), b"%d" % form])
        try:
            with _refused():
                reply = await self._living().ask(Ask.GATE_OPEN, fields, queued)
        except NotOpened as failure:
            self.counters.not_opened += 1
            _log.warning("the egress gate opened nothing (%s)", failure.slug)
            if failure.slug == Slug.KEY_GONE and not self._alone:
                raise NotOpened(failure.slug) from None  # the node that sealed it opens it
            raise
        self.counters.opened += 1
        self.counters.octets += len(reply.payload)
        self.counters.open_milliseconds += round(1000 * (time.monotonic() - began))
        return reply.payload

    def _living(self) -> Pool:
        if self._pool is None:
            raise NotOpened("gate-closed")
        return self._pool

    def _entry(self) -> Entry:
        settings = self._settings
        return Entry(
            "mail_server.outbound.egress.worker",
            settings.memory_limit_mib,
            settings.largest_opened_mib,
            settings.niceness,
        )

    def _one_worker(self) -> _OneWorker:
        settings = self._settings
        return _OneWorker(
            workers=1,
            deadline_seconds=settings.deadline_seconds,
            recycle_after_messages=settings.recycle_after_messages,
            recycle_above_mib=settings.recycle_above_mib,
        )


@contextlib.contextmanager
def _refused() -> Generator[None]:
    """A failure of the process as the interface tells it."""
    try:
        yield
    except PoolError as failure:
        raise NotOpened(failure.slug, lasting=failure.slug in _LASTING) from None


def _slug(failure: BaseException) -> str:
    match failure:
        case PoolError() | NotOpened():
            return failure.slug
        case _:
            return Slug.KEY_UNAVAILABLE
