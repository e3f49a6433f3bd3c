"""The trust space as this node knows it: the list in force, where a newer one comes from, what of it is held.

Invariants: a list counts only once it is durable; one that is refused changes nothing, and is an alarm; what is asked
at each letter is one look into `Force`, which is replaced as a whole; the work on a list is done beside the loop; an
administrator's word and the schedule never act on the list at the same time.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from policies.interface import Event
from policies.settings import PoliciesSettings
from policies.trust_list import acceptance, listing, names
from policies.trust_list.acceptance import Bounds, Force
from policies.trust_list.changes import Difference, Held
from policies.trust_list.kept import Folder, Kept
from policies.trust_list.listing import Listing, ListRefused
from policies.trust_list.names import NameRefused
from policies.trust_list.standing import HOUR_MS, Age, Ages
from policies.trust_list.telling import Telling

_log = logging.getLogger("vaguemestre.policies")
_TICK = 30.0  # s: how late a held change may count
_AFTER_FAILURE = 300.0  # s: the next try, when it is sooner than the next one planned


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the authority's server answered. `document` is None when the list is the one we have."""

    document: bytes | None
    etag: str = ""


class Fetch(Protocol):
    async def __call__(self, etag: str) -> Fetched:
        """Raises ListRefused."""
        ...


@dataclass(slots=True)
class Counters:
    """For the metrics."""

    fetched: int = 0  # answers of the authority's server
    unreachable: int = 0
    accepted: int = 0
    refused: int = 0
    held: int = 0  # changes that were held


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one attempt at a newer list."""

    applied: bool  # the list in force is what the authority has
    reason: str = ""  # slug of the refusal
    sentence: str = ""
    rows: int = 0
    changed: Difference = field(default_factory=Difference, repr=False)
    held: int = 0


class TrustSpace:
    """Implements `policies.interface.TrustList` and `peers.Space`."""

    def __init__(
        self,
        settings: PoliciesSettings,
        folder: Folder,
        *,
        ours: Callable[[str], bool],
        audit: Callable[[Sequence[Event]], None],
        clock: Callable[[], int],
        fetch: Fetch | None = None,
    ) -> None:
        self._file = settings.trust_list
        self._folder = folder
        self._fetch = fetch
        self._every = settings.trust_list_every_minutes * 60
        self._bounds = Bounds(settings.trust_list_shrink, int(settings.trust_list_delay_hours * HOUR_MS))
        self.ages = Ages(
            int(settings.trust_list_new_peers_hours * HOUR_MS),
            int(settings.trust_list_all_peers_hours * HOUR_MS),
            aged=fetch is not None,
        )
        self._ours = ours
        self._telling = Telling(audit, clock)
        self._clock = clock
        self._kept: Kept | None = None
        self._force = Force()
        self._one_at_a_time = asyncio.Lock()
        self.begun = asyncio.Event()  # a newer list was asked for once since the start
        self._keeping: asyncio.Task[None] | None = None
        self.last_refusal = ""  # slug of the last attempt, "" after a good one
        self.counters = Counters()

    async def open(self) -> None:
        """What was in force is in force again; then the file, if there is one. Raises StateDamaged.

        Where no list is configured any more nobody is known, whoever was once: what is kept waits for one.
        """
        if self._file is None and self._fetch is None:
            return
        self._take(await asyncio.to_thread(self._folder.load))
        await self.ripen()
        if self._file is not None and (self._fetch is None or self._kept is None):
            await self.reload_file()

    # -- what is in force

    @property
    def listing(self) -> Listing | None:
        """The last good list, with what is held of it."""
        return self._kept.listing if self._kept is not None else None

    @property
    def held(self) -> tuple[Held, ...]:
        return self._kept.held if self._kept is not None else ()

    @property
    def confirmed_at(self) -> int | None:
        """When the authority last confirmed the list, ms UTC; None without a list."""
        return self._kept.confirmed_at if self._kept is not None else None

    @property
    def age(self) -> Age:
        if self._kept is None:
            return Age.DEAD if self._fetch is not None else Age.YOUNG  # it may come any moment; or never will
        return self.ages.of(self._kept.confirmed_at, self._clock())

    @property
    def delay_ms(self) -> int:
        return self._bounds.delay_ms

    @property
    def fetches(self) -> bool:
        return self._fetch is not None

    def domains_of(self, dn: str) -> frozenset[str]:
        try:
            return self._force.by_name.get(names.key(dn), frozenset())
        except NameRefused:
            return frozenset()

    def names_of(self, domain: str) -> tuple[str, ...]:
        """Who may speak for a domain; nobody while every change to it is held."""
        return self._force.by_domain.get(domain, ())

    def pending(self, dn: str, domain: str | None) -> bool:
        """Whether the list gives this name the domain (None: any), and it does not count yet."""
        try:
            key = names.key(dn)
        except NameRefused:
            return False
        if domain is not None:
            return key in self._force.pending.get(domain, ())
        return any(key in keys for keys in self._force.pending.values())

    @property
    def domains(self) -> Collection[str]:
        """Every domain of the list in force."""
        return self._force.by_domain.keys()

    def names_domain(self, domain: str) -> bool:
        return domain in self._force.by_domain

    def host_of(self, domain: str) -> str:
        return self._force.hosts.get(domain, "")

    def operator_of(self, domain: str) -> frozenset[str]:
        """Every domain of who may speak for this one, and the server that the list names for each."""
        domains = {one for dn in self.names_of(domain) for one in self.domains_of(dn)}
        hosts = {self._force.hosts.get(one, "").lower() for one in domains}
        return frozenset(domains | hosts) - {""}

    # -- another list

    async def reload(self) -> list[str]:
        """Ask for a newer list now; a sentence for each reason why the old one stays."""
        report = await (self.fetch() if self._fetch is not None else self.reload_file())
        return [] if report.applied or report.reason == "no-list" else [report.sentence]

    async def reload_file(self, *, smaller: bool = False, by: str = "node") -> Report:
        """Read the file named in the configuration; keep the last good list when it is refused."""
        if self._file is None:
            return Report(False, "no-list", "No trust list is configured.")
        try:
            document = await asyncio.to_thread(listing.contents, self._file)
        except ListRefused as refused:
            return self._refused(refused, by)
        return await self._offer(document, None, smaller=smaller, by=by)

    async def fetch(self, *, smaller: bool = False, by: str = "node") -> Report:
        """Ask the authority's server. `smaller`: a person says that the list may have shrunk."""
        if self._fetch is None:
            return Report(False, "no-list", "No address of a trust list is configured (trust_list_url).")
        etag = self._kept.etag if self._kept is not None and not smaller else ""
        try:
            answer = await self._fetch(etag)
        except ListRefused as refused:
            if refused.reason != "unreachable":
                return self._refused(refused, by)
            self.counters.unreachable += 1
            self.last_refusal = refused.reason
            late = self._kept is None or self._clock() - self._kept.confirmed_at > 3000 * self._every
            _log.log(
                logging.ERROR if late else logging.WARNING, "trust list not fetched: %s", refused.sentence
            )
            return Report(False, refused.reason, refused.sentence)
        self.counters.fetched += 1
        if answer.document is None:
            return await self._confirm(answer.etag)
        return await self._offer(answer.document, answer.etag, smaller=smaller, by=by)

    async def _confirm(self, etag: str) -> Report:
        async with self._one_at_a_time:
            kept = self._kept
            if kept is None:
                return Report(False, "unchanged-from-nothing", "The server says that nothing changed.")
            await self._put(replace(kept, confirmed_at=self._clock(), etag=etag or kept.etag))
            self.last_refusal = ""
            return Report(True, rows=len(kept.listing.rows))

    async def _offer(
        self, document: bytes, etag: str | None, *, smaller: bool = False, by: str = "node"
    ) -> Report:
        """`etag` is None for a file: the authority confirmed it when it made it, and not later."""
        async with self._one_at_a_time:
            before, now = self._kept, self._clock()
            if before is not None and document == before.document:
                if etag is not None:
                    await self._put(replace(before, confirmed_at=now, etag=etag))
                self.last_refusal = ""
                return Report(True, rows=len(before.listing.rows))
            try:
                fresh = await asyncio.to_thread(listing.parse, document)
                kept, changed = await asyncio.to_thread(
                    acceptance.accepted,
                    before,
                    document,
                    fresh,
                    ours=self._ours,
                    bounds=replace(self._bounds, smaller=smaller),
                    now=now,
                    confirmed_at=now if etag is not None else min(now, _ms(fresh)),
                    etag=etag or "",
                )
            except ListRefused as refused:
                return self._refused(refused, by)
            await self._put(kept)
        self.counters.accepted += 1
        self.last_refusal = ""
        fresh_held = _newly(before, kept)
        self.counters.held += len(fresh_held)
        self._telling.accepted(kept, changed, fresh_held, by)
        return Report(True, rows=len(fresh.rows), changed=changed, held=len(fresh_held))

    # -- what is held

    async def ripen(self) -> None:
        """What has waited long enough counts now."""
        async with self._one_at_a_time:
            before, now = self._kept, self._clock()
            if before is None:
                return
            kept = acceptance.ripe(before, self._bounds.delay_ms, now)
            if len(kept.held) == len(before.held):
                return
            await self._put(kept)
        self._telling.decided("applied", _left(before, kept), "node")

    async def apply(self, chosen: Callable[[Held], bool], by: str) -> list[Held]:
        """A person decided: it counts now. What was applied."""
        async with self._one_at_a_time:
            before = self._kept
            if before is None or not any(map(chosen, before.held)):
                return []
            kept = acceptance.applied(before, chosen)
            await self._put(kept)
        done = _left(before, kept)
        self._telling.decided("applied", done, by)
        return done

    async def refuse(self, chosen: Callable[[Held], bool], by: str) -> list[Held]:
        """A person decided: it never counts, unless a person says otherwise. What was refused."""
        async with self._one_at_a_time:
            before = self._kept
            done = [each for each in self.held if chosen(each) and not each.refused]
            if before is None or not done:
                return []
            await self._put(acceptance.refused(before, chosen))
        self._telling.decided("refused", done, by)
        return done

    # -- schedule

    def start(self) -> None:
        self._keeping = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeping
            self._keeping = None

    async def _keep(self) -> None:
        wait = 0.0  # the first fetch is at once
        loop = asyncio.get_running_loop()
        due = loop.time() + wait
        while True:
            try:
                await self.ripen()
                if self._fetch is not None and loop.time() >= due:
                    report = await self.fetch()
                    wait = self._every if report.applied else min(self._every, _AFTER_FAILURE)
                    due = loop.time() + wait * random.uniform(0.9, 1.1)  # noqa: S311 - nodes must not come at once
            except Exception as failure:  # a full disk: the list in force stays, and is tried again
                _log.error("trust list could not be kept up to date (%s)", type(failure).__name__)
                due = loop.time() + min(self._every, _AFTER_FAILURE)
            self.begun.set()
            await asyncio.sleep(_TICK if self._fetch is None else max(0.05, min(_TICK, due - loop.time())))

    # -- details

    async def _put(self, kept: Kept) -> None:
        """Durable, then in force."""
        await asyncio.to_thread(self._folder.save, kept)
        self._take(kept, await asyncio.to_thread(acceptance.force, kept))

    def _take(self, kept: Kept | None, force: Force | None = None) -> None:
        if kept is not None and kept.confirmed_at > self._clock():
            # The clock was ahead once: what it dated then is not younger than now.
            kept = replace(kept, confirmed_at=self._clock())
        self._kept, self._force = kept, force or acceptance.force(kept)

    def _refused(self, refused: ListRefused, by: str = "node") -> Report:
        self.counters.refused += 1
        self.last_refusal = refused.reason
        self._telling.refused(refused, by)
        return Report(False, refused.reason, refused.sentence)


def chosen_by(words: str) -> Callable[[Held], bool]:
    """A domain, a certificate's name (CN=...), or "" for all that nobody refused. Raises NameRefused."""
    if not words:
        return lambda each: not each.refused
    if "=" in words:
        key = names.key(words)
        return lambda each: names.key(each.dn) == key
    domain = words.lower()
    return lambda each: each.domain == domain


def _newly(before: Kept | None, kept: Kept) -> list[Held]:
    known = {each.key for each in before.held} if before is not None else set[tuple[str, str, bool]]()
    return [each for each in kept.held if each.key not in known]


def _left(before: Kept, kept: Kept) -> list[Held]:
    still = {each.key for each in kept.held}
    return [each for each in before.held if each.key not in still]


def _ms(fresh: Listing) -> int:
    return int(fresh.generated.timestamp() * 1000)
