"""Our mailboxes at the national directory: what should be there follows our accounts, and a queue brings it there.

The queue is there in every process that opens the node; only while the doors are open is anybody asked. Without
`publication.national_directory` nothing leaves; an address that an administrator withdrew is listed nowhere all the
same.

Invariants: `sync` is a difference against memory: nothing is written when nothing changed; what is withdrawn stays so
until an administrator publishes it; the key is read from its file, and reaches no log, trace or answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from deploy.node.failures import StartError
from directory.model import Mailbox
from directory.publication.client.publisher import Counters, Publisher
from directory.publication.client.queue import PublicationQueue
from directory.publication.client.remote import NationalDirectory, checked
from directory.publication.client.states import Shown, Standing, entry_for
from directory.publication.settings import PublicationSettings
from mail_server.accounts.service import AccountService
from policies.interface import Event

_log = logging.getLogger("vaguemestre.directory")
_LONGEST_KEY = 4096
# What is counted as it happens stands beside these, under other names: one family is of one type.
SHOWN: Mapping[str, str] = {
    "publication_mailboxes_published": "Mailboxes of ours that the national directory tells of.",
    "publication_mailboxes_pending": "Mailboxes that it is still to be told of, or to forget.",
    "publication_mailboxes_refused": "Mailboxes that it refuses.",
    "publication_shut": "Whether it takes our key no more.",
}


@dataclass(frozen=True, slots=True)
class Tally:
    """How many mailboxes stand how, for metrics and `doctor`."""

    published: int = 0
    pending: int = 0
    refused: int = 0
    shut: str = ""  # what it says of our key


class Publications:
    def __init__(
        self,
        queue: PublicationQueue,
        settings: PublicationSettings,
        accounts: AccountService,
        audit: Callable[[Sequence[Event]], None],
        clock: Callable[[], int],
    ) -> None:
        self._queue = queue
        self._settings = settings
        self._accounts = accounts
        self._audit = audit
        self._clock = clock
        self._publisher: Publisher | None = None
        self._wanted: dict[str, str] = {}
        self._mailboxes: dict[str, Mailbox] = {}
        self._withdrawn: frozenset[str] = frozenset()
        self._turn = asyncio.Lock()

    @property
    def configured(self) -> bool:
        return bool(self._settings.national_directory)

    @property
    def counters(self) -> Counters:
        return self._publisher.counters if self._publisher is not None else Counters()

    def withdrawn(self) -> frozenset[str]:
        """Addresses that are listed nowhere by an administrator's word. From memory."""
        return self._withdrawn

    async def open(self) -> None:
        def read() -> tuple[dict[str, str], frozenset[str]]:
            if self.configured and (moved := self._queue.settle()):
                _log.info("%d mailboxes are to be published to another national directory", moved)
            return self._queue.wanted(), self._queue.withdrawn()

        self._wanted, self._withdrawn = await asyncio.to_thread(read)

    def close(self) -> None:
        self._queue.close()

    # -- while the doors are open

    def start(self) -> None:
        """Raises StartError where what is configured cannot be used."""
        if not self.configured:
            return
        self._publisher = Publisher(
            self._queue,
            remote_of(self._settings),
            retry_minutes=self._settings.retry_minutes,
            seconds=self._settings.timeout,
            clock=self._clock,
            noted=self._noted,
        )
        self._publisher.start()

    async def stop(self) -> None:
        if self._publisher is not None:
            publisher, self._publisher = self._publisher, None
            await publisher.stop()

    def reload(self) -> list[str]:
        """The key and the authority anew; a sentence when they stay as they were."""
        if self._publisher is None:
            return []
        try:
            self._publisher.use(remote_of(self._settings))
        except StartError as failure:
            return [str(failure)]
        return []

    # -- what should be there

    async def sync(self, mailboxes: Mapping[str, Mailbox]) -> None:
        """These are our mailboxes that may be told of, by address; all others of ours should not be there."""
        async with self._turn:
            self._withdrawn = await asyncio.to_thread(self._queue.withdrawn)
            if not self.configured:
                return
            changes = await asyncio.to_thread(self._changes, mailboxes)
            if not changes:
                return
            await asyncio.to_thread(self._queue.want, changes, self._clock())
            self._wanted |= changes
        if self._publisher is not None:
            self._publisher.soon()

    def _changes(self, mailboxes: Mapping[str, Mailbox]) -> dict[str, str]:
        told = {address: one for address, one in mailboxes.items() if address not in self._withdrawn}
        changed = {
            address: text
            for address, mailbox in told.items()
            if (self._mailboxes.get(address) != mailbox or not self._wanted.get(address))
            and self._wanted.get(address) != (text := entry_for(mailbox).as_text())
        }
        self._mailboxes = told
        gone = {address: "" for address, text in self._wanted.items() if text and address not in told}
        return changed | gone

    async def withdraw(self, address: str, reason: str) -> None:
        """Neither listed here nor published there, until `publish`. Durable on return."""
        async with self._turn:
            await asyncio.to_thread(self._queue.withdraw, address, self._clock(), reason)
            self._withdrawn |= {address}
            self._wanted[address] = ""
        if self._publisher is not None:
            self._publisher.soon()

    async def publish(self, addresses: Iterable[str]) -> None:
        """Withdrawn no more, and asked again where it was refused. `sync` says what should be there."""
        every = tuple(addresses)
        async with self._turn:
            await asyncio.to_thread(self._queue.allow, every, self._clock())
            self._withdrawn -= set(every)
        if self._publisher is not None:
            self._publisher.soon()

    # -- how it stands

    async def standings(self) -> list[Standing]:
        return await asyncio.to_thread(self._queue.all)

    def shown(self, standing: Standing) -> Shown:
        return standing.shown if self.configured else Shown.NOWHERE

    async def tally(self) -> Tally:
        if not self.configured:
            return Tally()
        published, pending, refused = await asyncio.to_thread(self._queue.counts)
        return Tally(published, pending, refused, self._publisher.shut if self._publisher is not None else "")

    async def measured(self) -> Mapping[str, float]:
        """For metrics."""
        tally = await self.tally()
        counts = (tally.published, tally.pending, tally.refused, bool(tally.shut))
        return dict(zip(SHOWN, map(float, counts), strict=True))

    def _noted(self, address: str, action: str, outcome: str, reason: str) -> None:
        account = self._accounts.by_address(address)
        subject = account.id if account is not None else ""
        detail = {"reason": reason, "means": "national"}
        self._audit([Event(action, self._clock(), "node", subject, outcome=outcome, detail=detail)])


def remote_of(settings: PublicationSettings) -> NationalDirectory:
    """Raises StartError."""
    try:
        base = checked(settings.national_directory)
    except ValueError as wrong:
        raise StartError(str(wrong)) from None
    key = _key(settings)
    try:
        tls = ssl.create_default_context(cafile=str(settings.authority) if settings.authority else None)
    except OSError:
        raise StartError(f"publication.authority {settings.authority} cannot be read.") from None
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    return NationalDirectory(base, key, tls, settings.timeout)


def _key(settings: PublicationSettings) -> str:
    if settings.api_key_file is None:
        raise StartError(
            "publication.national_directory is set and publication.api_key_file is not: it takes nothing without the "
            "key that it gave us. Set the file, or publish to none."
        )
    key = ""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        key = settings.api_key_file.read_text(encoding="ascii").strip()
    if not key or len(key) > _LONGEST_KEY or not key.isprintable():
        raise StartError(
            f"publication.api_key_file {settings.api_key_file} cannot be read, or holds no key of one line."
        )
    return key
