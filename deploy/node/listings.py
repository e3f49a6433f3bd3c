"""Our own accounts in the directory: whoever may be found is listed, whoever may not is not, within the same minute.

Also the other way: who is gone from the national directory loses access here, and has it again when they are back
(`struck_off`). Both are one look, taken when an account or a profile changed, when an import wrote, and twice a minute
where other nodes share the accounts.

Invariants: `sync` writes a difference: nothing where nothing changed; what it lists is durable when it returns; several
nodes that share a directory come to the same, each after reading what the others changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from deploy.node import logs, own_mailboxes
from deploy.node.directory_publication import Publications
from deploy.node.struck_off import StruckOff
from directory.certificates.service import DirectoryService
from directory.listings.database import ListingsDatabase, Sql
from directory.listings.writing import put_mailboxes, remove_mailboxes
from directory.model import Mailbox, Origin
from mail_server.accounts.profile_book import ProfileBook
from mail_server.accounts.service import AccountService

_log = logging.getLogger("vaguemestre.directory")
T = TypeVar("T")
_EVERY = 30.0  # seconds, where other nodes change accounts too
_EVERY_ALONE = 600.0  # where everything that changes is told of
_GLANCE = 5.0  # between two looks at whether anybody wrote into the listings
_AT_ONCE = 100  # mailboxes of one transaction: an import in another process waits for its turn meanwhile


class OwnListings:
    def __init__(
        self,
        *,
        accounts: AccountService,
        profiles: ProfileBook,
        directory: DirectoryService,
        database: ListingsDatabase,
        struck_off: StruckOff | None,
        follow: Callable[[], Awaitable[None]] | None,
        clock: Callable[[], int],
        publications: Publications | None = None,
    ) -> None:
        """`struck_off`: None where the national directory's word is not acted on. `follow` reads what other nodes
        changed of accounts and profiles; None where there are none. `publications` brings the same to the national
        directory, and knows whom an administrator withdrew."""
        self._accounts = accounts
        self._profiles = profiles
        self._directory = directory
        self._database = database
        self._struck_off = struck_off
        self._follow = follow
        self._clock = clock
        self._publications = publications
        self._turn = asyncio.Lock()
        self._wanted = asyncio.Event()
        self.then: list[Callable[[], Awaitable[None]]] = []  # done after each look that nobody waits for
        self._keeper: asyncio.Task[None] | None = None
        self._ending = False
        self._put: dict[str, Mailbox] = {}
        self._generation: int | None = None

    def is_red(self, address: str) -> bool:
        """Whether an address of ours is never to be shown. From memory."""
        account = self._accounts.by_address(address)
        if account is None:
            return False
        withdrawn = self._publications is not None and account.address in self._publications.withdrawn()
        return withdrawn or self._profiles.of(account.id).red_list

    async def sync(self, *, force: bool = False) -> None:
        """List what is to be listed and nothing else; durable when it returns. `force`: an administrator says that
        however many of ours are gone from the national directory are rightly so."""
        async with self._turn:
            if self._follow is not None:
                await self._follow()
            if self._struck_off is not None:
                await self._struck_off.look(force=force)
            # In threads, all of it: a node may have a hundred thousand accounts.
            wanted = await asyncio.to_thread(self._to_be_listed)
            if self._publications is not None:
                await self._publications.sync(wanted)
            await asyncio.to_thread(self._bring, wanted)

    def soon(self) -> None:
        """Something changed: `sync` follows behind the answer, once for all that changes together."""
        self._wanted.set()

    def start(self) -> None:
        """Keep in step while the node runs."""
        self._accounts.changed.append(lambda _change: self.soon())
        self._profiles.changed.append(lambda _account: self.soon())
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """What is being written is written to its end."""
        if self._keeper is not None:
            self._ending = True
            self._wanted.set()
            await asyncio.wait([self._keeper])

    async def _keep(self) -> None:
        while not self._ending:
            self._wanted.clear()
            try:
                await self.sync()
                for each in self.then:
                    await each()
            except Exception as failure:  # what is listed would stand still for good
                _log.error("own listings not brought up to date (%s); tried again", logs.told(failure))
            await self._until_due()

    async def _until_due(self) -> None:
        """Until something here changed, or somebody wrote into the listings, or it is time to look at all of it."""
        began = time.monotonic()
        every = _EVERY if self._follow is not None else _EVERY_ALONE
        while time.monotonic() - began < every:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), min(_GLANCE, every))
                return
            with contextlib.suppress(Exception):  # `sync` says what stands in the way
                if await asyncio.to_thread(self._database.read, _generation) != self._generation:
                    return

    # -- in a thread

    def _to_be_listed(self) -> dict[str, Mailbox]:
        return own_mailboxes.mailboxes(self._accounts.all(), self._profiles)

    def _bring(self, told: Mapping[str, Mailbox]) -> None:
        """Make the addresses that are shown, and the mailboxes of our own in the listings, these. Somebody else may
        have written there since."""
        withdrawn = self._publications.withdrawn() if self._publications is not None else frozenset[str]()
        wanted = {address: mailbox for address, mailbox in told.items() if address not in withdrawn}
        is_listed = self._directory.is_listed
        shown = [address for address, mailbox in wanted.items() if not mailbox.red_list]
        fresh = [address for address in shown if not is_listed(address)]
        every = {account.address for account in self._accounts.all()}
        over = [address for address in every.difference(shown) if is_listed(address)]
        if fresh or over:
            self._directory.list_exactly(fresh, over, self._clock())
        generation = self._database.read(_generation)
        if wanted == self._put and generation == self._generation:
            return
        listed = self._database.read(_own_addresses)
        # The national files may still have who is suspended, closed or withdrawn here: then they are shown by nobody.
        elsewhere = self._database.read(lambda sql: _by_others(sql, every)) - wanted.keys()
        gone = listed - wanted.keys()
        changed = [
            mailbox
            for address, mailbox in wanted.items()
            if address not in listed or self._put.get(address) != mailbox
        ]
        self._remove(gone, Origin.OWN)
        self._remove(elsewhere, None)
        for mailboxes in _slices(changed):
            self._write(mailboxes)
        # What is the same stays the same object: thousands that are new are thousands for Python's collector.
        before = self._put
        self._put = {
            address: before[address] if before.get(address) == mailbox else mailbox
            for address, mailbox in wanted.items()
        }
        self._generation = self._database.read(_generation) if changed or gone or elsewhere else generation

    def _write(self, mailboxes: Sequence[Mailbox]) -> None:
        self._database.write(lambda sql: put_mailboxes(sql, mailboxes, at=self._clock()))

    def _remove(self, addresses: Iterable[str], origin: Origin | None) -> None:
        for some in _slices(sorted(addresses)):
            self._database.write(lambda sql, some=some: remove_mailboxes(sql, some, self._clock(), origin))


def _slices(every: Sequence[T]) -> Iterator[Sequence[T]]:
    return (every[start : start + _AT_ONCE] for start in range(0, len(every), _AT_ONCE))


def _generation(sql: Sql) -> int:
    row = sql.one("SELECT value FROM state WHERE name = ?", ("generation",))
    return 0 if row is None else int(row[0])


def _own_addresses(sql: Sql) -> set[str]:
    return {row[0] for row in sql.all("SELECT address FROM mailbox WHERE origin = ?", (Origin.OWN.value,))}


def _by_others(sql: Sql, ours: set[str]) -> set[str]:
    """Of our addresses, those that somebody else listed."""
    domains = sorted({address.rpartition("@")[2] for address in ours})
    marks = ", ".join("?" * len(domains))
    asked = f"SELECT address FROM mailbox WHERE origin <> ? AND domain IN ({marks})"  # noqa: S608
    rows = sql.all(asked, (Origin.OWN.value, *domains)) if domains else []
    return {row[0] for row in rows} & ours
