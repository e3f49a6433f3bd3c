"""What differs between two trust lists, and what of it waits before it counts.

A change waits when it would let somebody new speak for a domain that was listed already, or when it touches a domain
of our own; it stands in `Held` until its delay is over or a person decides. All else counts at once: domains never
seen before, and whatever another operator loses.

Invariants: pure functions of their arguments; domains in lower case, names compared by `names.key`; a domain that
leaves the list and comes back within `REMEMBERED` under another name is no new domain; what a person refused stays
refused as long as the list asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from policies.trust_list import names
from policies.trust_list.listing import Row

REMEMBERED = 90 * 86_400_000  # ms: how long a domain that left the list is still known

Granted = Mapping[str, Mapping[str, str]]
"""Domain, then the key of each name that may speak for it, with the name as it is written."""


@dataclass(frozen=True, slots=True)
class Held:
    """A change that the list asks for and that does not count yet."""

    domain: str
    dn: str  # canonical
    gone: bool  # the list names it no more (of our own domains alone); else it names it newly
    since: int  # ms UTC
    refused: bool = False  # by a person: it never counts by itself

    @property
    def key(self) -> tuple[str, str, bool]:
        return (self.domain, names.key(self.dn), self.gone)


@dataclass(frozen=True, slots=True)
class Former:
    """A domain that left the list, and who spoke for it."""

    domain: str
    keys: frozenset[str]
    at: int  # ms UTC


@dataclass(frozen=True, slots=True)
class Pair:
    domain: str
    dn: str


@dataclass(frozen=True, slots=True)
class Difference:
    """What another list changed of what is in force."""

    domains_added: tuple[str, ...] = ()
    domains_removed: tuple[str, ...] = ()
    names_added: tuple[Pair, ...] = field(default=(), repr=False)
    names_removed: tuple[Pair, ...] = field(default=(), repr=False)

    def __bool__(self) -> bool:
        return bool(self.names_added or self.names_removed)


def granted(rows: Iterable[Row]) -> dict[str, dict[str, str]]:
    """Who speaks for which domain. Rows were read by `listing.parse`: their names can be compared."""
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        found.setdefault(row.domain, {}).setdefault(names.key(row.dn), row.dn)
    return found


def difference(before: Granted, after: Granted) -> Difference:
    """Sorted, so that two runs tell the same."""
    return Difference(
        tuple(sorted(after.keys() - before.keys())),
        tuple(sorted(before.keys() - after.keys())),
        tuple(_pairs(after, before)),
        tuple(_pairs(before, after)),
    )


def _pairs(these: Granted, without: Granted) -> Iterable[Pair]:
    for domain in sorted(these):
        known = without.get(domain, {})
        for key, dn in sorted(these[domain].items()):
            if key not in known:
                yield Pair(domain, dn)


def in_force(listed: Granted, held: Iterable[Held]) -> dict[str, dict[str, str]]:
    """The list without what is held of it. A domain whose every name is held stands there with none."""
    found = {domain: dict(known) for domain, known in listed.items()}
    for each in held:
        key = names.key(each.dn)
        if each.gone:
            found.setdefault(each.domain, {})[key] = each.dn
        else:
            found.get(each.domain, {}).pop(key, None)
    return found


def held_back(
    before: Granted,
    held: Iterable[Held],
    former: Iterable[Former],
    listed: Granted,
    ours: Callable[[str], bool],
    now: int,
) -> tuple[Held, ...]:
    """What of `listed` must wait, given what was in force and held `before`; what waited already goes on."""
    waiting = {each.key: each for each in held}
    known = {each.domain: each.keys for each in former if now - each.at < REMEMBERED}
    found = [
        Held(domain, dn, gone=False, since=now)
        for domain, given in listed.items()
        for key, dn in given.items()
        if key not in before.get(domain, {})
        and (ours(domain) or domain in before or (domain in known and key not in known[domain]))
    ]
    found += [
        Held(domain, dn, gone=True, since=now)
        for domain, given in before.items()
        if ours(domain)
        for key, dn in given.items()
        if key not in listed.get(domain, {})
    ]
    kept = (
        replace(each, since=waiting[each.key].since, refused=waiting[each.key].refused)
        if each.key in waiting
        else each
        for each in found
    )
    return tuple(sorted(kept, key=lambda each: (each.since, each.key)))


def formerly(
    before: Granted,
    former: Iterable[Former],
    listed: Granted,
    now: int,
) -> tuple[Former, ...]:
    """The domains that are remembered though the list names them no more."""
    found = {each.domain: each for each in former if now - each.at < REMEMBERED}
    for domain, given in before.items():
        if domain not in listed:  # also one whose every name was held: it has been listed
            found[domain] = Former(domain, frozenset(given), now)
    return tuple(found[domain] for domain in sorted(found))
