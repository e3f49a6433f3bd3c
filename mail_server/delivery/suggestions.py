""" "Did you mean …?": addresses that somebody may have meant whose letter cannot go where they wrote it to.

Invariants: only a professional of this node hears any, never a patient, a system or another operator; only addresses
that the directory shows, and none of somebody here who is suspended, closed or a patient; each counts as shown to who
asks (`directory.harvest`), so that trying addresses takes the directory away no faster than searching it; the answer
never waits long for them, and without them it is the refusal that it was; no address is in a log or an exception text
but the sentence that is shown.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from rapidfuzz import process
from rapidfuzz.distance import OSA

from directory.harvest import Harvest, TooMuch
from mail_server.accounts.book import SHARED
from mail_server.accounts.interface import Accounts, Kind
from mail_server.accounts.life import in_service
from mail_server.delivery.gate import domain_of, is_patients
from mail_server.store.model import AccountId
from policies.refusal import Refusal

MOST = 3
_WITHIN = 0.05  # seconds that an answer waits
_AT_ONCE = 2  # questions in threads; more than that go without
_LONGEST_LINE = 510  # octets of a reply without its CRLF (RFC 5321 §4.5.3.1.5)
_SAYABLE = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_SUFFIXES = (".mssante.fr", ".fr")
_SHORT = 14  # characters of a domain below which one mistake alone is let pass


class NotMeant(Refusal):
    """The same refusal, with whom else the address may have meant."""

    __slots__ = ("suggestions",)

    def __init__(self, refusal: Refusal, suggestions: Sequence[str]) -> None:
        super().__init__(
            refusal.code,
            refusal.enhanced,
            _asking(refusal, suggestions),
            refusal.reason,
            retry_after=refusal.retry_after,
        )
        self.id = refusal.id  # under which the trace already has it
        self.suggestions = tuple(suggestions)


class Listings(Protocol):
    """Of `directory.listings.interface.Listings`."""

    def suggest(self, address: str, limit: int = 3) -> tuple[str, ...]: ...
    def deliverable(self, address: str) -> bool | None: ...
    def mailbox(self, address: str) -> object | None: ...


class Suggestions:
    def __init__(
        self,
        *,
        listings: Listings,
        harvest: Harvest,
        accounts: Accounts,
        may_look_up: Callable[[AccountId], bool],
        listed_domains: Callable[[], Collection[str]] = tuple,
        own_domains: Sequence[str] = (),
        patient_domain: str = "",
        within: float = _WITHIN,
    ) -> None:
        """`listed_domains`: of the trust list, to which letters leave. Nobody of another domain is suggested."""
        self._listings = listings
        self._harvest = harvest
        self._accounts = accounts
        self._may_look_up = may_look_up
        self._listed_domains = listed_domains
        self._own_domains = tuple(own_domains)
        self._patient_domain = patient_domain
        self._within = within
        # Of its own: what a slow disk holds up here holds up nobody else's thread.
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="suggestions")
        self._asked = 0

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def told(self, refusal: Refusal, person: AccountId | None, address: str) -> Refusal:
        """The refusal of this recipient, with whom else they may have meant where somebody is near."""
        match refusal.reason:
            case "recipient-unknown":
                found = await self._in_time(person, address, lambda: self._listings.suggest(address, MOST))
            case "recipient-domain-unlisted":
                found = await self._in_time(person, address, lambda: self._elsewhere(address))
            case _:
                return refusal
        return NotMeant(refusal, found) if found else refusal

    async def beside(self, person: AccountId, address: str) -> tuple[str, ...]:
        """For an address of another operator that is let through: who else may be meant, where the directory does not
        know it. (It may be on the red list, or newer than the last import.)"""
        return await self._in_time(person, address, lambda: self._unknown(address))

    def of_report(self, person: AccountId, address: str) -> tuple[str, ...]:
        """In a thread: for the report that another operator knows nobody at this address. It is read by whom the
        letter was from; those of a shared account by its members."""
        account = self._accounts.by_id(person)
        shared = account is not None and account.kind in SHARED and in_service(account)
        if not self._asks(person, address, shared=shared):
            return ()
        try:
            return self._shown(person, self._unknown(address))
        except Exception:  # a directory that cannot be read holds up no report
            return ()

    # -- inside

    def _asks(self, person: AccountId, address: str, *, shared: bool = False) -> bool:
        domain = domain_of(address)
        if not domain or domain == self._patient_domain or is_patients(address):
            return False
        if not shared and not self._may_look_up(person):
            return False
        try:
            self._harvest.require(_asker(person), trusted=True, door="suggestions")
        except TooMuch:
            return False
        return True

    async def _in_time(
        self, person: AccountId | None, address: str, look: Callable[[], tuple[str, ...]]
    ) -> tuple[str, ...]:
        account = self._accounts.by_id(person) if person is not None else None
        if person is None or account is None or account.kind is not Kind.PER:
            return ()  # software tries names by itself, and its certificate is no person's
        if self._asked >= _AT_ONCE or not self._asks(person, address):
            return ()
        self._asked += 1
        work = asyncio.get_running_loop().run_in_executor(self._threads, look)
        work.add_done_callback(self._answered)
        done, _ = await asyncio.wait([work], timeout=self._within)
        if not done or work.exception() is not None:  # a directory that cannot be read stops no letter
            return ()
        return self._shown(person, work.result())

    def _answered(self, work: asyncio.Future[tuple[str, ...]]) -> None:
        self._asked -= 1
        if not work.cancelled():
            work.exception()  # looked at: nobody else may be there to do so

    def _shown(self, person: AccountId, found: Sequence[str]) -> tuple[str, ...]:
        """What of it may be said, counted; nothing to who was shown so much that answers to them wait."""
        kept = [one for one in map(_written, found) if one and self._may_be_shown(one)][:MOST]
        try:
            if not kept or self._harvest.shown(_asker(person), kept, trusted=True, door="suggestions") > 0:
                return ()
        except TooMuch:
            return ()
        return tuple(kept)

    def _may_be_shown(self, suggestion: str) -> bool:
        domain = domain_of(suggestion)
        if not self._accounts.is_local_domain(domain):
            return domain in self._listed_domains()
        account = self._accounts.by_address(suggestion)
        return account is not None and account.kind is not Kind.PATIENT and in_service(account)

    def _unknown(self, address: str) -> tuple[str, ...]:
        """In a thread."""
        return () if self._listings.deliverable(address) else self._listings.suggest(address, MOST)

    def _elsewhere(self, address: str) -> tuple[str, ...]:
        """In a thread: near it in the domain of the trust list that is written nearly so. Where the directory shows
        nobody there, the same name in that domain: it tells nothing but how the domain is written."""
        found = self._listings.suggest(address, MOST)
        near = nearest(domain_of(address), (*self._listed_domains(), *self._own_domains))
        if not near:
            return found
        meant = f"{address.rpartition('@')[0]}@{near}"
        shown = (meant,) if self._listings.mailbox(meant) else self._listings.suggest(meant, MOST)
        return tuple(dict.fromkeys([*shown, *found]))[:MOST] or (meant,)


def nearest(domain: str, listed: Collection[str]) -> str:
    """The listed domain that is written nearly like this one, "" where none or two are as near."""
    stem, domains = _stem(domain), [one for one in listed if not one.startswith("patient.")]
    without = [one for one in domains if stem and _stem(one) == stem]
    if without:
        return without[0] if len(without) == 1 else ""
    most = 1 if len(domain) < _SHORT else 2
    near = process.extract(domain, domains, scorer=OSA.distance, score_cutoff=most, limit=2)
    if not near or (len(near) == 2 and near[0][1] == near[1][1]):
        return ""
    return near[0][0]


def _stem(domain: str) -> str:
    """Without the end that people leave out or add: "chu-lyon" of "chu-lyon.mssante.fr" and "chu-lyon.fr"."""
    for suffix in _SUFFIXES:
        if domain.endswith(suffix):
            return domain.removesuffix(suffix)
    return domain


def _asker(person: AccountId) -> str:
    return f"account:{person}"


def _written(suggestion: str) -> str:
    """As a reply in ASCII can name it: a domain of other letters in its ASCII form; "" where that cannot be."""
    local, _, domain = suggestion.rpartition("@")
    try:
        domain = domain.lower() if domain.isascii() else domain.encode("idna").decode("ascii")
    except UnicodeError:
        return ""
    written = f"{local}@{domain}"
    return written if _SAYABLE.fullmatch(written) else ""


def _asking(refusal: Refusal, suggestions: Sequence[str]) -> str:
    """The sentence with the question behind it, as far as the line goes."""
    room = _LONGEST_LINE - len(refusal.smtp_line)
    asked = ""
    for number in range(1, len(suggestions) + 1):
        longer = "; did you mean " + " or ".join(suggestions[:number]) + "?"
        if len(longer) > room:
            break
        asked = longer
    return refusal.sentence + asked
