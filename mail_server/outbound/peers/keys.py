"""Certificates of other operators' addressees: from memory, from the database, or asked of their operator.

Invariants: implements `interface.PeerKeys`. Only domains of the trust list are asked, and never in public about a
patient's number (`restricted` asks for those); questions about one address are one question; an operator that is silent
holds nobody up for more than `_PATIENCE`, and the next ones not at all; silence does not take a known certificate away
before its time of grace is over; what a revoked certificate has no successor for is refused, never sent in clear.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mail_server.outbound.interface import PeerCertificate
from mail_server.outbound.peers.answers import Judged, State, judge
from mail_server.outbound.peers.book import Book, Known
from mail_server.outbound.peers.circuit import Circuit
from mail_server.outbound.peers.wkd import Answer, Silent
from mail_server.outbound.settings import OutboundSettings
from mail_server.store.interface import StoreError
from policies.interface import Event
from policies.refusal import Refusal

_log = logging.getLogger("vaguemestre.outbound")
_PATIENCE = 2.0  # seconds that RCPT TO waits
_QUEUED = 5.0  # seconds that a question waits for a place among those to its domain
_MOST_ASKED = 500  # questions under way
_REMEMBERED = 10_000  # answers in memory
_DAY = 86_400_000
_HOUR = 3_600_000
_MINUTE = 60_000
_SHORTEST = _MINUTE  # an operator that lets nothing be kept is not asked more often
# A patient's 15 digits (or 13 without their key, or 22 with a date) are nobody's to look up in public.
_NUMBER = re.compile(r"\d{13}")
_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")


class Directory(Protocol):
    """Who asks: `wkd.WkdClient`."""

    async def ask(self, address: str, *, known: bool = False, tag: str = "") -> Answer: ...
    async def policy(self, domain: str) -> bytes: ...
    async def close(self) -> None: ...


class Restricted(Protocol):
    """Who asks where operators tell each other alone: `restricted.RestrictedDirectory`."""

    async def ask(self, address: str) -> Answer: ...
    def reload(self) -> None: ...


@dataclass(slots=True)
class PeerCounters:
    """For `/metrics`."""

    asked: int = 0
    found: int = 0
    none: int = 0
    revoked: int = 0
    silent: int = 0
    late: int = 0  # answers that came after RCPT TO had gone on
    spared: int = 0  # questions not put to a domain that is silent
    graced: int = 0  # certificates used while their operator is silent
    changed: int = 0
    unchanged: int = 0  # answers that the one before still stands
    restricted: int = 0  # certificates that are given to operators alone


@dataclass(frozen=True, slots=True)
class _Entry:
    known: Known
    judged: Judged = field(repr=False)
    judged_at: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What is known of an address, for an administrator."""

    asked: bool  # whether its operator may be asked at all
    state: str = "unknown"
    reason: str = ""
    fingerprint: str = ""
    operator_held: bool = False
    answered_at: int | None = None
    not_after: int | None = None


class PublishedCertificates:
    """`await find(address)`; `await close()` in the end."""

    def __init__(
        self,
        settings: OutboundSettings,
        *,
        book: Book,
        directory: Directory,
        listed: Callable[[str], bool],
        audit: Callable[[Sequence[Event]], None],
        clock: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._book = book
        self._directory = directory
        self._listed = listed
        self._audit = audit
        self._clock = clock
        self.restricted: Restricted | None = None  # set by who has a certificate to show
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._flights: dict[str, asyncio.Task[_Entry | None]] = {}
        self._behind: set[asyncio.Task[Any]] = set()
        self.circuit = Circuit(clock)
        self.counters = PeerCounters()

    async def find(self, address: str) -> PeerCertificate | None:
        """See `interface.PeerKeys`. Raises Refusal 550 5.7.5 where the one certificate is revoked."""
        address = address.lower()
        if not self._may_ask(address):
            return None
        entry = await self._remembered(address)
        if entry is None or not self._fresh(entry):
            asked = await self._answer(address, entry)
            if asked is not None:
                entry = asked
            elif entry is not None:
                entry = self._graced(entry)
        return _usable(entry)

    async def policy(self, domain: str) -> bytes:
        """The policy file of a domain's Web Key Directory. Raises Silent."""
        return await self._directory.policy(domain)

    async def refresh(self, address: str) -> Shown:
        """Ask now, whatever is known. Raises Silent."""
        address = address.lower()
        if self._may_ask(address):
            await self._ask(address, await self._remembered(address))
        return await self.show(address)

    async def show(self, address: str) -> Shown:
        """What is known; nobody is asked."""
        address = address.lower()
        entry = await self._remembered(address)
        if entry is None:
            return Shown(self._may_ask(address))
        certificate = entry.judged.certificate
        return Shown(
            asked=self._may_ask(address),
            state=entry.judged.state.name.lower(),
            reason=entry.judged.reason,
            fingerprint=certificate.fingerprint if certificate else "",
            operator_held=certificate is not None and certificate.operator_held,
            answered_at=entry.known.answered_at,
            not_after=certificate.not_after if certificate else None,
        )

    async def sweep(self) -> int:
        """Forget what is of no use any more. How many rows."""
        kept = self._settings.certificate_grace_days * _DAY + self._settings.certificate_hours * _HOUR + _DAY
        return await self._book.drop(self._clock() - round(kept))

    def use(self, directory: Directory) -> None:
        """Ask by this one from now on; the one before answers what it was asked, and is closed."""
        old, self._directory = self._directory, directory
        self._later(self._end(old, list(self._flights.values())))

    async def _end(self, old: Directory, flights: Sequence[asyncio.Task[Any]]) -> None:
        await asyncio.gather(*flights, return_exceptions=True)
        await old.close()

    async def close(self) -> None:
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        await self.settled()
        await self._directory.close()

    async def settled(self) -> None:
        """Wait until what was learned is durable."""
        while self._behind:
            await asyncio.gather(*self._behind, return_exceptions=True)

    # ------------------------------------------------------------ what is known

    def _may_ask(self, address: str) -> bool:
        local, at, domain = address.rpartition("@")
        return bool(
            self._settings.wkd
            and at
            and local
            and (self.restricted is not None or not _NUMBER.search(local))
            and _DOMAIN.fullmatch(domain)
            and self._listed(domain)
        )

    async def _remembered(self, address: str) -> _Entry | None:
        entry = self._entries.get(address)
        if entry is None:
            try:
                known = await self._book.read(address)
            except StoreError:
                known = None
            if known is None:
                return None
            return await self._remember(known)
        self._entries.move_to_end(address)
        now = self._clock()
        certificate = entry.judged.certificate
        over = certificate is not None and certificate.not_after is not None and certificate.not_after <= now
        if over or now - entry.judged_at >= _HOUR:
            entry = await self._remember(entry.known)
        return entry

    async def _remember(self, known: Known) -> _Entry:
        """Judged now: a certificate ends without its operator saying anything."""
        now = self._clock()
        judged = await asyncio.to_thread(judge, known.published, known.named or known.address, now)
        entry = self._entries[known.address] = _Entry(known, judged, now)
        self._entries.move_to_end(known.address)
        if len(self._entries) > _REMEMBERED:
            self._entries.popitem(last=False)
        return entry

    def _fresh(self, entry: _Entry) -> bool:
        if entry.judged.state is State.VALID:
            lasts = self._settings.certificate_hours * _HOUR
            # Sooner, where the operator wants it: a revocation is seen as soon.
            if entry.known.lasts is not None:
                lasts = min(lasts, max(entry.known.lasts, _SHORTEST))
        elif entry.known.state is State.VALID:
            return False  # it has ended since: its holder may have another
        else:
            lasts = self._settings.no_certificate_minutes * _MINUTE
        return 0 <= self._clock() - entry.known.answered_at < lasts

    def _graced(self, entry: _Entry) -> _Entry | None:
        """What stands while the operator is silent."""
        age = self._clock() - entry.known.answered_at
        over = age >= self._settings.certificate_grace_days * _DAY
        # However long it lasts, silence does not make a revoked key a key that never was.
        if entry.judged.state is State.NONE or (over and entry.known.state is not State.REVOKED):
            return None
        self.counters.graced += 1
        return entry

    # ------------------------------------------------------------ asking

    async def _answer(self, address: str, before: _Entry | None) -> _Entry | None:
        """The operator's answer, if it comes in time."""
        flight = self._flights.get(address)
        if flight is None:
            if len(self._flights) >= _MOST_ASKED or self.circuit.closed(address.rpartition("@")[2]):
                self.counters.spared += 1
                return None
            flight = asyncio.create_task(self._quietly(address, before))
            self._flights[address] = flight
            flight.add_done_callback(lambda _: self._flights.pop(address, None))
        done, _ = await asyncio.wait([flight], timeout=_PATIENCE)
        if not done:
            self.counters.late += 1
            return None
        return flight.result() if not flight.cancelled() else None

    async def _quietly(self, address: str, before: _Entry | None) -> _Entry | None:
        try:
            return await self._ask(address, before, spare=True)
        except Silent as failure:
            domain = address.rpartition("@")[2]
            level = logging.DEBUG if self.circuit.closed(domain) else logging.INFO
            _log.log(level, "%s does not answer about a certificate (%s)", domain, failure.slug)
            return None

    async def _ask(self, address: str, before: _Entry | None, *, spare: bool = False) -> _Entry:
        """`spare`: not a domain that is left alone. Raises Silent."""
        domain = address.rpartition("@")[2]
        places = self.circuit.places(domain)
        try:
            async with asyncio.timeout(_QUEUED):
                await places.acquire()
        except TimeoutError:
            raise Silent("busy") from None
        try:
            if spare and not self.circuit.admits(domain):
                self.counters.spared += 1
                raise Silent("left-alone")
            self.counters.asked += 1
            known = before.known if before is not None and before.known.state is not State.NONE else None
            answer = await self._fetch(address, domain, known)
        finally:
            places.release()
        now = self._clock()
        published, tag, named = answer.data, answer.tag, answer.named
        if answer.unchanged and known is not None:
            self.counters.unchanged += 1
            published, named = known.published, known.named
        judged = await asyncio.to_thread(judge, published, named or address, now)
        entry = await self._remember(
            Known(address, judged.state, published, now, answer.lasts, tag, named, answer.largest)
        )
        self._count(entry.judged.state)
        self._note(domain, before, entry)
        self._later(self._keep(entry.known))
        return entry

    async def _fetch(self, address: str, domain: str, known: Known | None) -> Answer:
        try:
            answer = await self._published_or_told(address, known)
        except Silent:
            self.counters.silent += 1
            self.circuit.silent(domain)
            raise
        self.circuit.answered(domain)
        return answer

    async def _published_or_told(self, address: str, known: Known | None) -> Answer:
        """In public, unless the address tells who a patient is; then where operators tell each other alone."""
        answer = Answer(b"")
        public = not _NUMBER.search(address.rpartition("@")[0])
        if public:
            tag = known.tag if known is not None and not known.named else ""
            answer = await self._directory.ask(address, known=known is not None and not known.named, tag=tag)
        if answer.data or answer.unchanged or self.restricted is None:
            return answer
        try:
            told = await self.restricted.ask(address)
        except Silent:
            if public and known is None:
                return answer  # few are on a red list: for the others the public answer is the answer
            raise
        self.counters.restricted += bool(told.data)
        return told if told.data else answer

    def _count(self, state: State) -> None:
        if state is State.VALID:
            self.counters.found += 1
        elif state is State.REVOKED:
            self.counters.revoked += 1
        else:
            self.counters.none += 1

    def _note(self, domain: str, before: _Entry | None, after: _Entry) -> None:
        """A certificate in place of another, or none where there was one, is told in the trace."""
        old = _fingerprint(before) if before is not None else ""
        new = _fingerprint(after)
        if not old or old == new:
            return
        self.counters.changed += 1
        outcome = "changed" if new else "revoked" if after.judged.state is State.REVOKED else "withdrawn"
        detail = {"domain": domain, "before": old, "after": new}
        self._audit([Event("peer-key", self._clock(), "node", outcome=outcome, kind="key", detail=detail)])

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)

    async def _keep(self, known: Known) -> None:
        try:
            await self._book.write(known)
        except StoreError as failure:  # asked again after a restart, no more
            _log.warning("an operator's answer was not kept (%s)", type(failure).__name__)


def _fingerprint(entry: _Entry) -> str:
    """Of the certificate that was good when its operator said so, ended or not since."""
    certificate = entry.judged.certificate
    if certificate is None and entry.known.state is State.VALID:
        known = entry.known
        certificate = judge(known.published, known.named or known.address, known.answered_at).certificate
    return certificate.fingerprint if certificate is not None else ""


def _usable(entry: _Entry | None) -> PeerCertificate | None:
    if entry is None or entry.judged.state is State.NONE:
        return None
    certificate = entry.judged.certificate
    if certificate is None:
        raise Refusal(
            550,
            "5.7.5",
            "The addressee's certificate is revoked and has no successor",
            "peer-certificate-revoked",
        )
    return PeerCertificate(certificate, certificate.operator_held, entry.known.largest)
