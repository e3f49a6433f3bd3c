"""`/api/directory`: professionals look each other up. `/api/listing`: what the directory tells of one's own mailbox,
and which certificates it gave for it, from when until when.

Asked by POST: what somebody types stands in no address, so in no log of a server in between, also where they typed the
name of a patient by mistake.

Invariants: the rules are asked who looks and who describes (`accounts.look_up`, `accounts.describe`); nobody here is
shown who takes no letters, and somebody at a domain that letters do not go to is shown as such, last; every card counts
as shown to who asks (`directory.harvest`); what is typed is in no log, trace or exception; what a holder changes is in
the trace, and in the directory before the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, Request, Response
from pydantic import Field, StrictBool, StringConstraints

from directory.certificates.records import Period
from directory.harvest import Harvest, TooMuch
from directory.listings.interface import Kept, Query, Results
from directory.model import Card, Mailbox
from directory.model import Kind as Listed
from directory.search.words import normalised
from mail_server.accounts.access import Access
from mail_server.accounts.changes import AccountError
from mail_server.accounts.interface import Account, Kind
from mail_server.accounts.life import in_service
from mail_server.accounts.profile_book import ProfileBook
from mail_server.accounts.profiles import FIELDS_OF
from mail_server.conversations.recent import recently_written
from mail_server.store.interface import Reader
from mail_server.store.model import AccountId
from webmail.login.front import Body, Front, answer, body, router
from webmail.login.ground import Ground, Visitor
from webmail.login.problems import Problem
from webmail.login.sessions import PageSession
from webmail.spaces.conversations import reading
from webmail.spaces.per_minute import PerMinute

_AT_LEAST = 2  # characters that are letters or digits, before anything is looked for
_AT_ONCE = 4  # searches of the page in threads
_RECENT_LETTERS = 60  # of each mailbox, read for whom somebody writes with
_RECENT_MOST = 200  # addresses
_RECENT_FOR = 60_000  # ms
_RECENT_ACCOUNTS = 500
_SHOWN_MOST = 20
_PERIODS_MOST = 50
_HARVEST = "Trop de fiches ont été cherchées en peu de temps. Par sécurité, il faut attendre."
_SENTENCES = {
    "field-refused": "Une ligne de 120 caractères au plus, sans caractère spécial.",
    "field-of-another-kind": "Ce champ n’existe pas pour ce genre de boîte.",
}

_Line = Annotated[str, StringConstraints(max_length=120)]


class Asked(Body):
    q: Annotated[str, StringConstraints(max_length=120)]
    kinds: Annotated[tuple[Literal["PER", "ORG", "APP", "CAB"], ...], Field(max_length=4)] = ()
    profession: Annotated[str, StringConstraints(max_length=60)] = ""
    department: Annotated[str, StringConstraints(pattern=r"^(?:[0-9]{2,3}|2[ABab])?$")] = ""
    account: Annotated[str, StringConstraints(max_length=64)] = ""  # for which one writes; "": one's own
    limit: Annotated[int, Field(ge=1, le=_SHOWN_MOST)] = 8


class Told(Body):
    """What a holder changes; None: as it was."""

    redList: StrictBool | None = None
    rank: Annotated[int, Field(ge=1, le=99)] | None = None
    description: _Line | None = None
    service: _Line | None = None

    def fields(self) -> dict[str, str]:
        """As `ProfileBook.change` takes them."""
        named = {
            "red_list": None if self.redList is None else "yes" if self.redList else "no",
            "rank": None if self.rank is None else str(self.rank),
            "description": self.description,
            "service": self.service,
        }
        return {name: value for name, value in named.items() if value is not None}


_TOLD = ("red_list", "rank", "description", "service")


class Listings(Protocol):
    """Of `directory.listings.interface.Listings`."""

    def search(self, query: Query) -> Results: ...
    def mailbox(self, address: str) -> Kept[Mailbox] | None: ...


@dataclass(frozen=True, slots=True)
class Looking:
    """What of the node these routes work with."""

    listings: Listings
    harvest: Harvest
    access: Access
    profiles: ProfileBook
    listed: Callable[[], Awaitable[None]]  # our own accounts in the directory, brought up to date
    reachable: Callable[[str], bool] = lambda domain: True  # whether letters of this node go to that domain
    searches_per_minute: int = 240
    # Of an address's certificates, the newest first.
    periods: Callable[[str], Sequence[Period]] = lambda address: ()


@dataclass(slots=True)
class _Recent:
    at: int
    addresses: tuple[str, ...]


class Picker:
    """Who looks whom up."""

    def __init__(self, ground: Ground, looking: Looking) -> None:
        self._ground = ground
        self._looking = looking
        self._rate = PerMinute(looking.searches_per_minute, ground.clock)
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._recent: dict[AccountId, _Recent] = {}

    async def search(self, session: PageSession, asked: Asked) -> dict[str, Any]:
        person = self._ground.account(session)
        if not self._looking.access.may_look_up(person.id):
            raise Problem("forbidden")
        writer = self._writer(person, asked.account)
        self._rate.spend(person.id)
        if len(normalised(asked.q).replace(" ", "")) < _AT_LEAST:
            return {"cards": [], "more": False, "corrected": []}
        asker = f"account:{person.id}"
        try:
            self._looking.harvest.require(asker, trusted=True, door="page")
            recent = await self._written_with(writer)
            async with self._turns:
                found = await asyncio.to_thread(self._looking.listings.search, _query(asked, recent))
            shown = [one for one in found.cards if self._writable(one, person, writer)]
            addresses = [one.address for one in shown]
            wait = self._looking.harvest.shown(asker, addresses, trusted=True, door="page")
        except TooMuch as much:
            raise Problem("too-many", sentence=_HARVEST, retry_after=much.retry_after) from None
        if wait > 0:
            await self._ground.sleep(wait)
        known = frozenset(recent)
        return {
            "cards": sorted(
                (_card(one, known=one.address in known, reachable=self._reachable(one)) for one in shown),
                key=lambda card: not card["reachable"],
            ),
            "more": found.more,
            "corrected": [{"typed": typed, "taken": taken} for typed, taken in found.corrected],
        }

    def _writer(self, person: Account, named: str) -> Account:
        """Raises Problem forbidden."""
        if named in ("", person.id):
            return person
        found = self._ground.accounts.by_id(AccountId(named))
        if found is None or not self._looking.access.may(person.id, found.id, "r"):
            raise Problem("forbidden")
        return found

    def _writable(self, card: Card, person: Account, writer: Account) -> bool:
        """Not oneself, and nobody here whose letters would be refused (the directory learns of it a moment later)."""
        if card.address in ("", person.address, writer.address):
            return False
        if not self._ground.accounts.is_local_domain(card.address.rpartition("@")[2]):
            return True
        found = self._ground.accounts.by_address(card.address)
        return found is not None and found.kind is not Kind.PATIENT and in_service(found)

    def _reachable(self, card: Card) -> bool:
        domain = card.address.rpartition("@")[2]
        return self._ground.accounts.is_local_domain(domain) or self._looking.reachable(domain)

    async def _written_with(self, writer: Account) -> tuple[str, ...]:
        """Addresses of lately written and received letters, the newest first."""
        now, held = self._ground.clock(), self._recent.pop(writer.id, None)
        if held is None or not 0 <= now - held.at < _RECENT_FOR:
            found = await self._ground.store.read(lambda reader: _recent(reader, writer))
            held = _Recent(now, found)
        self._recent[writer.id] = held
        if len(self._recent) > _RECENT_ACCOUNTS:
            del self._recent[next(iter(self._recent))]
        return held.addresses


class OwnListing:
    """What is told of a mailbox, by whom it may be said."""

    def __init__(self, ground: Ground, looking: Looking) -> None:
        self._ground = ground
        self._looking = looking

    async def all(self, session: PageSession) -> list[dict[str, Any]]:
        """One's own, then the shared ones that one may describe."""
        person = self._professional(session)
        shared = self._ground.accounts.shared_with(person.id)
        return [await self._told(person, one) for one in (person, *shared) if self._may(person, one)]

    async def keys(self, session: PageSession) -> list[dict[str, Any]]:
        """What letters to one's own address could be sealed to."""
        person = self._professional(session)
        return [
            {
                "fingerprint": one.fingerprint,
                "family": one.family.value,
                "since": one.since,
                "until": one.until,
                "why": one.why.value if one.why is not None else "",
                "ends": one.not_after,
            }
            for one in await asyncio.to_thread(self._looking.periods, person.address)
        ][:_PERIODS_MOST]

    async def change(
        self, session: PageSession, visitor: Visitor, named: str, wanted: Told
    ) -> dict[str, Any]:
        person = self._professional(session)
        account = person if named in ("", person.id) else self._ground.accounts.by_id(AccountId(named))
        if account is None:
            raise Problem("forbidden")
        fields = wanted.fields()
        access = self._looking.access
        if not fields or not all(access.may_describe(person.id, account.id, name) for name in fields):
            raise Problem("forbidden" if fields else "bad-request")
        try:
            await self._looking.profiles.change(
                account, fields, person.id, means="page", session=session.id, network=visitor.network
            )
        except AccountError as refused:
            sentence = _SENTENCES.get(refused.reason, "")
            raise Problem("bad-request", sentence=sentence, detail=refused.reason) from None
        await self._looking.listed()
        return await self._told(person, account)

    def _professional(self, session: PageSession) -> Account:
        person = self._ground.account(session)
        if person.kind is not Kind.PER:
            raise Problem("forbidden")
        return person

    def _may(self, person: Account, account: Account) -> list[str]:
        named = FIELDS_OF[account.kind]
        access = self._looking.access
        return [name for name in _TOLD if name in named and access.may_describe(person.id, account.id, name)]

    async def _told(self, person: Account, account: Account) -> dict[str, Any]:
        profile = self._looking.profiles.of(account.id)
        shown = await asyncio.to_thread(self._looking.listings.mailbox, account.address)
        return {
            "account": account.id,
            "address": account.address,
            "kind": account.kind.value,
            "own": account.id == person.id,
            "may": [_NAMES[name] for name in self._may(person, account)],
            "redList": profile.red_list,
            "rank": profile.rank,
            "description": profile.description,
            "service": profile.service,
            "shown": None if shown is None else _mailbox(shown.value),
        }


_NAMES = {"red_list": "redList", "rank": "rank", "description": "description", "service": "service"}


def listing_routes(front: Front, picker: Picker, own: OwnListing) -> APIRouter:
    routes = router()

    @routes.post("/directory")
    async def search(request: Request) -> Response:
        session, _ = front.acting(request)
        return answer(await picker.search(session, await body(request, Asked)))

    @routes.get("/listing")
    async def listed(request: Request) -> Response:
        return answer({"listings": await own.all(reading(front, request))})

    @routes.get("/listing/keys")
    async def keys(request: Request) -> Response:
        return answer({"periods": await own.keys(reading(front, request))})

    @routes.put("/listing")
    async def change(request: Request) -> Response:
        session, visitor = front.acting(request)
        account = request.query_params.get("account", "")[:64]
        return answer(await own.change(session, visitor, account, await body(request, Told)))

    return routes


def _query(asked: Asked, recent: tuple[str, ...]) -> Query:
    return Query(
        text=asked.q,
        profession=asked.profession,
        department=asked.department.upper(),
        kinds=frozenset(map(Listed, asked.kinds)) or frozenset(Listed),
        first=recent,
        limit=asked.limit,
    )


def _recent(reader: Reader, writer: Account) -> tuple[str, ...]:
    newest: dict[str, int] = {}
    for letter in recently_written(reader, writer.id, _RECENT_LETTERS):
        for address in map(str.lower, letter.addresses):
            newest[address] = max(letter.at, newest.get(address, 0))
    newest.pop(writer.address, None)
    return tuple(sorted(newest, key=lambda one: -newest[one])[:_RECENT_MOST])


def _card(card: Card, *, known: bool, reachable: bool) -> Mapping[str, Any]:
    return {
        "address": card.address,
        "kind": card.kind.value if card.kind is not None else "",
        "name": card.name if card.name != card.address else "",  # the page shows the address beside it
        "profession": card.profession.label,
        "speciality": card.speciality.label,
        "organisation": card.organisation,
        "street": card.street,
        "postcode": card.postcode,
        "commune": card.commune,
        "department": card.department,
        "digitization": card.digitization,
        "known": known,
        "reachable": reachable,
    }


def _mailbox(box: Mailbox) -> Mapping[str, Any]:
    holder = box.holders[0] if box.holders else None
    organisation = box.organisation
    names = (box.title, box.given, box.family)
    if not box.family and holder is not None:
        names = (holder.title, holder.given, holder.family)
    return {
        "name": " ".join(part for part in names if part),
        "profession": holder.profession.label if holder is not None else "",
        "speciality": box.speciality.label,
        "organisation": (organisation.brand or organisation.name) if organisation is not None else "",
        "service": box.service,
        "description": box.description,
        "rank": box.rank,
    }
