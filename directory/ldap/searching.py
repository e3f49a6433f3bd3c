"""A search, from the request to the encoded entries: runs in a thread, bounded by time, by entries and by candidates.

Invariants: nothing is shown that the filter is not True of; whole branches of the tree are never listed; what stopped
a search is said (`sizeLimitExceeded`, `adminLimitExceeded`, `timeLimitExceeded`), with what was found until then.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from directory.ldap import schema
from directory.ldap.entries import Entry, Tree, entry_of, subschema
from directory.ldap.interface import Capabilities, Certificates
from directory.ldap.matching import Predicate, predicate
from directory.ldap.planning import Plan, plan, together
from directory.ldap.protocol import names
from directory.ldap.protocol.codes import ResultCode
from directory.ldap.protocol.messages import Scope, Search
from directory.ldap.protocol.names import BadName, Name
from directory.ldap.selection import Selection
from directory.listings.interface import AddressMatch, Listings, Query
from directory.model import Card, Kind

MOST_CANDIDATES = 2_000  # cards looked at for one search
_AT_ONCE = 200
_PERSONS = frozenset({Kind.PER})
_OTHERS = frozenset(Kind) - _PERSONS
_NARROWER = "Too wide: give the beginning of a name, a town, an organisation or an address"


@dataclass(frozen=True, slots=True)
class Bounds:
    entries: int
    until: float  # time.monotonic()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a paged search goes on: nodes of the tree given, then the last card's id; entries given so far."""

    nodes: int = 0
    card: int = 0
    given: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    entries: tuple[bytes, ...] = ()
    keys: tuple[str, ...] = ()  # of the cards among them
    code: ResultCode = ResultCode.SUCCESS
    words: str = ""
    matched: str = ""
    go_on: Place | None = None  # there is more, for who asked by pages


@dataclass(frozen=True, slots=True)
class _Where:
    nodes: tuple[Entry, ...] = ()
    kinds: frozenset[Kind] | None = None  # None: no cards lie there
    named: str = ""  # the address in the name that was asked for, where somebody has it


class _NoSuchObject(Exception):
    def __init__(self, matched: Name) -> None:
        super().__init__("no such object")
        self.matched = matched


class Searcher:
    """Thread-safe: holds nothing of a search."""

    def __init__(
        self, listings: Listings, tree: Tree, certificates: Certificates, capabilities: Capabilities
    ) -> None:
        self._listings = listings
        self._tree = tree
        self._certificates = certificates
        self._capabilities = capabilities
        self._subschema = subschema()

    # ── what the door asks ──

    def search(
        self,
        message_id: int,
        asked: Search,
        bounds: Bounds,
        root: Entry,
        page: tuple[int, Place] | None = None,
    ) -> Found:
        try:
            where = self._where(names.parsed(asked.base), asked.scope, root)
        except BadName as wrong:
            return Found(code=ResultCode.INVALID_DN_SYNTAX, words=f"The base is no name: {wrong}")
        except _NoSuchObject as missing:
            return Found(
                code=ResultCode.NO_SUCH_OBJECT, words="Nothing has this name", matched=str(missing.matched)
            )
        run = _Run(self, asked, where, bounds)
        found = run.one_page(message_id, *page) if page else run.whole(message_id)
        if where.named and where.named not in found.keys:
            # That the name is somebody's was told, whatever the filter says of them.
            found = replace(found, keys=(*found.keys, where.named))
        return found

    def one(self, name: str, root: Entry) -> Entry | None:
        """The entry of a name, for a comparison. Raises BadName."""
        try:
            where = self._where(names.parsed(name), Scope.BASE, root)
        except _NoSuchObject:
            return None
        return where.nodes[0] if where.nodes else None

    # ── inside ──

    def _where(self, base: Name, scope: Scope, root: Entry) -> _Where:
        tree = self._tree
        if not base.parts:
            if scope is Scope.BASE:
                return _Where((root,))
            base = tree.base  # who gives no base means the directory, as Apple's address book does
        if names.same(base, names.parsed(schema.SUBSCHEMA)):
            return _Where((self._subschema,) if scope is not Scope.ONE else ())
        if not base.lies_under(tree.base):
            raise _NoSuchObject(Name())
        units = tree.units()
        if names.same(base, tree.base):
            match scope:
                case Scope.BASE:
                    return _Where((tree.directory(),))
                case Scope.ONE:
                    return _Where(units)
                case Scope.SUBTREE:
                    return _Where((tree.directory(), *units), frozenset(Kind))
        for unit, kinds in zip(units, (_PERSONS, _OTHERS), strict=True):
            if names.same(base, unit.name):
                nodes = () if scope is Scope.ONE else (unit,)
                return _Where(nodes, None if scope is Scope.BASE else kinds)
        return self._card_at(base, scope)

    def _card_at(self, base: Name, scope: Scope) -> _Where:
        tree = self._tree
        address = tree.address_in(base)
        card = self._card(address) if address else None
        if card is None or not names.same(base.parent, tree.name_of(card).parent):
            above = next((each for each in (base.parent, tree.base) if self._stands(each)), tree.base)
            raise _NoSuchObject(above)
        return _Where((self.entry(card),) if scope is not Scope.ONE else (), named=card.address)

    def _stands(self, name: Name) -> bool:
        return any(names.same(name, each) for each in (self._tree.people, self._tree.organisations))

    def _card(self, address: str) -> Card | None:
        query = Query(address=address, address_match=AddressMatch.EXACT, typos=False, ranked=False, limit=1)
        return next((each for each in self._listings.search(query).cards if each.address == address), None)

    def entry(self, card: Card) -> Entry:
        return entry_of(card, self._tree, self._certificates, self._capabilities)

    def planned(self, asked: Search) -> Plan:
        return plan(asked.filter, self._tree)

    def cards(self, query: Query) -> tuple[tuple[Card, ...], bool]:
        results = self._listings.search(query)
        return tuple(each for each in results.cards if each.address), results.more


class _TooWide(Exception):
    pass


class _Late(Exception):
    pass


class _Run:
    """One search."""

    def __init__(self, searcher: Searcher, asked: Search, where: _Where, bounds: Bounds) -> None:
        self._searcher = searcher
        self._where = where
        self._bounds = bounds
        self._holds: Predicate = predicate(asked.filter)
        self._selection = Selection(asked.attributes, types_only=asked.types_only)
        self._asked = asked
        self._looked_at = 0

    def whole(self, message_id: int) -> Found:
        """All that is found, the likeliest first, as far as it may be shown."""
        entries: list[Entry] = []
        code, words = ResultCode.SUCCESS, ""
        try:
            for entry in self._matching():
                if len(entries) == self._bounds.entries:
                    code, words = ResultCode.SIZE_LIMIT_EXCEEDED, "There are more than are shown"
                    break
                entries.append(entry)
        except _TooWide:
            # Mail programs show what came before the first and nothing after the second.
            some = any(entry.key for entry in entries)
            code = ResultCode.SIZE_LIMIT_EXCEEDED if some else ResultCode.ADMIN_LIMIT_EXCEEDED
            words = _NARROWER
        except _Late:
            code, words = ResultCode.TIME_LIMIT_EXCEEDED, "This search takes too long"
        return self._found(message_id, entries, code, words)

    def one_page(self, message_id: int, size: int, place: Place) -> Found:
        """RFC 2696: the next `size` entries, in the order of their ids."""
        left = self._bounds.entries - place.given
        size = min(size, left)
        nodes = [node for node in self._where.nodes if self._holds(node)]
        entries = nodes[place.nodes : place.nodes + size]
        seen, last = place.nodes + len(entries), place.card
        code, words, go_on = ResultCode.SUCCESS, "", None
        try:
            more = seen < len(nodes)
            if not more:
                cards, last, more = self._next_cards(last, size - len(entries))
                entries += [self._searcher.entry(card) for card in cards]
        except _TooWide:
            more, code, words = False, ResultCode.ADMIN_LIMIT_EXCEEDED, _NARROWER
        except _Late:
            more, code, words = False, ResultCode.TIME_LIMIT_EXCEEDED, "This search takes too long"
        if more and len(entries) >= left:
            code, words = ResultCode.SIZE_LIMIT_EXCEEDED, "There are more than are shown"
        elif more:
            go_on = Place(seen, last, place.given + len(entries))
        return self._found(message_id, entries, code, words, go_on)

    def _found(
        self, message_id: int, entries: list[Entry], code: ResultCode, words: str, go_on: Place | None = None
    ) -> Found:
        encoded = tuple(self._selection.encoded(message_id, entry) for entry in entries)
        return Found(encoded, tuple(entry.key for entry in entries if entry.key), code, words, go_on=go_on)

    # ── candidates ──

    def _matching(self) -> Iterator[Entry]:
        for node in self._where.nodes:
            if self._holds(node):
                yield node
        queries, seen = self._queries(), set[int]()
        if len(queries) > 1 and (first := together(queries)) is not None:
            queries = (first,)  # it finds all that they would
        for query in queries:
            yield from self._true_of(self._ranked(query), seen)

    def _true_of(self, cards: Iterable[Card], seen: set[int]) -> Iterator[Entry]:
        for card in cards:
            if card.id not in seen:
                seen.add(card.id)
                self._in_time()
                entry = self._searcher.entry(card)
                if self._holds(entry):
                    yield entry

    def _queries(self) -> tuple[Query, ...]:
        if self._where.kinds is None:
            return ()
        planned = self._searcher.planned(self._asked)
        if planned is None:
            raise _TooWide
        return tuple(replace(each, kinds=each.kinds & self._where.kinds) for each in planned)

    def _likeliest(self, query: Query) -> Query:
        return replace(query, ranked=True, limit=min(_AT_ONCE, self._bounds.entries * 2 + 1))

    def _ranked(self, query: Query) -> Iterator[Card]:
        """The likeliest first; then, where these were not all, the rest as they come."""
        cards, more = self._asked_of(self._likeliest(query))
        yield from cards
        after = 0
        while more and not query.typos:
            cards, more = self._asked_of(replace(query, ranked=False, after=after, limit=_AT_ONCE))
            yield from cards
            after = cards[-1].id if cards else after

    def _next_cards(self, after: int, wanted: int) -> tuple[list[Card], int, bool]:
        """The next cards by id of all queries together, how far was looked, and whether there may be more.

        A page may be short, where many were looked at that are none of those: the next one goes on behind them.
        """
        queries, found = self._queries(), list[Card]()
        began = after
        while True:
            try:
                batch, horizon = self._batch(queries, after)
            except _TooWide:
                if after == began:
                    raise
                return found, after, True
            for number in sorted(batch):
                if horizon is not None and number > horizon:
                    break
                self._in_time()
                if self._holds(self._searcher.entry(batch[number])):
                    if len(found) >= wanted:
                        return found, after, True
                    found.append(batch[number])
                after = number
            if horizon is None:
                return found, after, False
            after = horizon

    def _batch(self, queries: tuple[Query, ...], after: int) -> tuple[dict[int, Card], int | None]:
        """Cards behind `after`, and the last of which nothing is missing among them; None: there are no more."""
        batch, horizon = dict[int, Card](), None
        for query in queries:
            cards, more = self._asked_of(
                replace(query, ranked=False, typos=False, after=after, limit=_AT_ONCE)
            )
            batch.update((card.id, card) for card in cards)
            if more:
                horizon = cards[-1].id if horizon is None else min(horizon, cards[-1].id)
        return batch, horizon

    def _asked_of(self, query: Query) -> tuple[tuple[Card, ...], bool]:
        self._in_time()
        if self._looked_at >= MOST_CANDIDATES:
            raise _TooWide
        cards, more = self._searcher.cards(query)
        if more and not cards:
            raise _TooWide  # the listings gave up in time, before they found anybody
        self._looked_at += max(len(cards), _AT_ONCE // 4)
        return cards, more

    def _in_time(self) -> None:
        """Asked for each card: a filter of hundreds of items takes milliseconds for one."""
        if time.monotonic() > self._bounds.until:
            raise _Late
