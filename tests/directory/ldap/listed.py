"""Invented people, and listings that find them as the real ones do, in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from directory.harvest import TooMuch
from directory.ldap.interface import Bound, Client, NotProven
from directory.listings.interface import AddressMatch, Query, Results
from directory.model import Card, Coded, Kind
from directory.search.documents import document
from directory.search.words import words

DOCTOR = Coded("10", "Médecin")
NURSE = Coded("60", "Infirmier")
CARDIOLOGY = Coded("SM04", "Cardiologie et maladies vasculaires")


def person(number: int, given: str, family: str, **more: object) -> Card:
    address = (
        f"{given}.{family}@hopital.mssante.fr".lower()
        .replace("é", "e")
        .replace("ô", "o")
        .replace("œ", "oe")
        .replace(" ", "-")
    )
    card = Card(
        id=number,
        kind=Kind.PER,
        address=address,
        national_id=f"8{10_000_000_000 + number}",
        title="Dr",
        family=family,
        given=given,
        profession=DOCTOR,
        organisation_id="1690000001",
        organisation="Hôpital de la Croix-Bleue",
        street="1 rue des Lilas",
        postcode="69003",
        commune="Lyon",
        department="69",
        updated_at=1_700_000_000_000 + number * 1000,
    )
    return replace(card, **more)  # type: ignore[arg-type]


PEOPLE: tuple[Card, ...] = (
    person(1, "Zoé", "Martin", speciality=CARDIOLOGY),
    person(2, "Jérôme", "Cœur", commune="Saint-Étienne", postcode="42000", department="42"),
    person(3, "Jean", "Dupont"),
    person(4, "Jean-Pierre", "Dupont-Martin", profession=NURSE, title=""),
    person(
        5, "Marie", "Martin", address="marie.martin@cabinet.mssante.fr", commune="Ajaccio", department="2A"
    ),
    Card(
        id=6,
        kind=Kind.ORG,
        address="cardiologie@hopital.mssante.fr",
        national_id="1690000001",
        organisation_id="1690000001",
        organisation="Hôpital de la Croix-Bleue",
        service="Service de cardiologie",
        description="Rendez-vous et avis",
        postcode="69003",
        commune="Lyon",
        department="69",
        updated_at=1_700_000_100_000,
    ),
    Card(
        id=7,
        kind=Kind.CAB,
        address="cabinet.lilas@cabinet.mssante.fr",
        national_id="810000000001",
        organisation="Cabinet des Lilas",
        description="Cabinet médical",
        commune="Lyon",
        department="69",
    ),
    Card(id=8, kind=None, address="", national_id="810000000099", family="Sansadresse", given="Paul"),
)


def many(count: int) -> tuple[Card, ...]:
    return tuple(person(100 + n, f"Luc{n:05d}", f"Durand{n % 97:02d}") for n in range(count))


class Listed:
    """Implements what LDAP asks of `Listings`."""

    def __init__(self, cards: Sequence[Card] = PEOPLE, *, takes: float = 0.0) -> None:
        self.cards = list(cards)
        self.takes = takes
        self.asked: list[Query] = []
        self.at_once = self.most_at_once = 0
        self._turn = threading.Lock()
        self._go = threading.Event()
        self._go.set()

    @contextmanager
    def held(self) -> Iterator[None]:
        """No search ends meanwhile; those that began show in `at_once`."""
        self._go.clear()
        try:
            yield
        finally:
            self._go.set()

    def search(self, query: Query) -> Results:
        with self._turn:
            self.asked.append(query)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.takes:
                time.sleep(self.takes)
            self._go.wait(60)
            found = [card for card in self.cards if card.id > query.after and self._matches(card, query)]
        finally:
            with self._turn:
                self.at_once -= 1
        return Results(tuple(found[: query.limit]), len(found) > query.limit)

    def _matches(self, card: Card, query: Query) -> bool:
        made = document(card)
        everywhere = f"{made.name} {made.what} {made.where}"
        checks = (
            (query.text, everywhere),
            (query.family, made.name),
            (query.given, made.name),
            (query.organisation, made.what),
            (query.profession, made.what + f" {card.profession.code.lower()}"),
            (query.speciality, made.what + f" {card.speciality.code.lower()}"),
            (query.commune, made.where),
            (query.postcode, made.where),
            (query.department, made.where),
        )
        if card.kind not in query.kinds or (query.national_id and card.national_id != query.national_id):
            return False
        if not all(self._words(asked, held, query.typos) for asked, held in checks if asked):
            return False
        if not query.address:
            return True
        asked = query.address.lower()
        match query.address_match:
            case AddressMatch.EXACT:
                return card.address == asked
            case AddressMatch.PREFIX:
                return card.address.startswith(asked)
            case AddressMatch.CONTAINS:
                return self._words(asked, " ".join(words(card.address)), False)

    @staticmethod
    def _words(asked: str, held: str, typos: bool) -> bool:
        there = held.split()

        def begins(one: str) -> bool:
            return any(each.startswith(one) or (typos and each[:3] == one[:3]) for each in there)

        return all(begins({"st": "saint", "ste": "sainte"}.get(one, one)) for one in words(asked))


class Free:
    """A harvest that counts, and does what it is told."""

    def __init__(self) -> None:
        self.shown_to: list[tuple[str, list[str], bool]] = []
        self.refused = False
        self.delay = 0.0

    def require(self, asker: str, *, trusted: bool = False, door: str = "") -> None:
        if self.refused:
            raise TooMuch(30)

    def shown(self, asker: str, keys: list[str], *, trusted: bool = False, door: str = "") -> float:
        assert door == "ldap"
        self.shown_to.append((asker, keys, trusted))
        return self.delay


PASSWORD = "abcd-efgh-ijkl"
ADDRESS = "zoe.martin@hopital.mssante.fr"


class Logins:
    """One person with one password."""

    def __init__(self) -> None:
        self.stands = True
        self.tried: list[tuple[str, str]] = []
        self.temporary = False

    def mechanisms(self, client: Client) -> Sequence[str]:
        return ("PLAIN", "ECHO") if client.tls else ()

    def _bound(self) -> Bound:
        return Bound("account-1", ADDRESS, lambda: self.stands)

    async def simple(self, user: str, password: str, client: Client) -> Bound:
        assert client.tls
        self.tried.append((user, password))
        if self.temporary:
            raise NotProven("Try again later", temporary=True)
        if (user, password) != (ADDRESS, PASSWORD):
            raise NotProven("Authentication failed")
        return self._bound()

    def begin(self, mechanism: str, client: Client) -> Plain | Echo:
        return Plain(self._bound()) if mechanism == "PLAIN" else Echo(self._bound())


class Plain:
    def __init__(self, bound: Bound) -> None:
        self._bound = bound

    async def step(self, response: bytes) -> bytes | Bound:
        if response != b"\0" + ADDRESS.encode() + b"\0" + PASSWORD.encode():
            raise NotProven("Authentication failed")
        return self._bound


class Echo:
    """A mechanism of several steps: asks for what it said last."""

    def __init__(self, bound: Bound) -> None:
        self._bound = bound
        self._step = 0

    async def step(self, response: bytes) -> bytes | Bound:
        self._step += 1
        if self._step == 3:
            return self._bound
        return b"say %d" % self._step
