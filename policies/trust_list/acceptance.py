"""Whether another list may take the place of the one in force, and what then counts of it.

Invariants: pure functions, which a thread may run; a list that is older, comes from the future, or has lost more than
its bound is refused and changes nothing; the first list of a node counts whole, for there is nothing to compare it
with; `Force` is what is asked at each letter, made once for each change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from policies.trust_list import changes, names
from policies.trust_list.changes import Difference, Held
from policies.trust_list.kept import Kept
from policies.trust_list.listing import Listing, ListRefused

_DAY_MS = 86_400_000
_HOST = re.compile(
    r"^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Bounds:
    shrink: float = 0.5  # a list with less than this share of the domains or rows before is refused
    delay_ms: int = _DAY_MS  # how long a change is held
    smaller: bool = False  # a person said that this list may be that much smaller


@dataclass(frozen=True, slots=True)
class Force:
    """What counts now."""

    by_name: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]], repr=False)
    by_domain: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]], repr=False)
    pending: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]], repr=False)
    """Domain: keys of the names that the list gives it and that do not count yet."""
    hosts: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


def accepted(
    before: Kept | None,
    document: bytes,
    fresh: Listing,
    *,
    ours: Callable[[str], bool],
    bounds: Bounds,
    now: int,
    confirmed_at: int,
    etag: str = "",
) -> tuple[Kept, Difference]:
    """The list takes its place. Raises ListRefused."""
    stamp = _ms(fresh.generated)
    if stamp > now + _DAY_MS:
        # Else no true list could ever follow it: each would be the older one.
        raise ListRefused("future", "The new list says that it was generated after today.")
    if before is None:
        return Kept(document, fresh, now, confirmed_at, etag), Difference()
    listed = changes.granted(fresh.rows)
    _guard(before.listing, fresh, listed, bounds)
    standing = changes.in_force(changes.granted(before.listing.rows), before.held)
    held = changes.held_back(standing, before.held, before.former, listed, ours, now)
    former = changes.formerly(standing, before.former, listed, now)
    kept = ripe(Kept(document, fresh, now, confirmed_at, etag, held, former), bounds.delay_ms, now)
    return kept, changes.difference(standing, changes.in_force(listed, kept.held))


def _guard(old: Listing, fresh: Listing, listed: changes.Granted, bounds: Bounds) -> None:
    if fresh.generated < old.generated:
        raise ListRefused("older", "The new list was generated before the one in force.")
    if bounds.smaller:
        return
    if len(fresh.rows) < bounds.shrink * len(old.rows):
        raise ListRefused(
            "shrunken", f"The new list has {len(fresh.rows)} rows, the one in force {len(old.rows)}."
        )
    domains = {row.domain for row in old.rows}
    left = sum(domain in listed for domain in domains)
    if left < bounds.shrink * len(domains):
        # As many rows, of others: it has lost those that were there all the same.
        raise ListRefused("shrunken", f"Of the {len(domains)} domains in force the new list names {left}.")


def ripe(kept: Kept, delay_ms: int, now: int) -> Kept:
    """What has waited long enough waits no more."""
    return _without(kept, lambda each: not each.refused and now - each.since >= delay_ms)


def applied(kept: Kept, chosen: Callable[[Held], bool]) -> Kept:
    """By hand: what was chosen waits no more."""
    return _without(kept, chosen)


def refused(kept: Kept, chosen: Callable[[Held], bool]) -> Kept:
    """By hand: what was chosen never counts by itself."""
    return replace(
        kept, held=tuple(replace(each, refused=True) if chosen(each) else each for each in kept.held)
    )


def _without(kept: Kept, which: Callable[[Held], bool]) -> Kept:
    return replace(kept, held=tuple(each for each in kept.held if not which(each)))


def standing(kept: Kept | None) -> dict[str, dict[str, str]]:
    """Who speaks for which domain now."""
    return changes.in_force(changes.granted(kept.listing.rows), kept.held) if kept is not None else {}


def force(kept: Kept | None) -> Force:
    if kept is None:
        return Force()
    found = standing(kept)
    by_name: dict[str, set[str]] = {}
    for domain, given in found.items():
        for key in given:
            by_name.setdefault(key, set()).add(domain)
    pending: dict[str, set[str]] = {}
    hosts = {domain: _host(given.values()) for domain, given in found.items()}
    for each in kept.held:
        if not each.gone:
            pending.setdefault(each.domain, set()).add(names.key(each.dn))
            hosts[each.domain] = hosts.get(each.domain, "") or _host([each.dn])
    return Force(
        {key: frozenset(domains) for key, domains in by_name.items()},
        {domain: tuple(given.values()) for domain, given in found.items()},
        {domain: frozenset(keys) for domain, keys in pending.items()},
        hosts,
    )


def _host(given: Iterable[str]) -> str:
    """The server that a name tells of by its CN."""
    for dn in given:
        host = names.common_name(dn)
        if _HOST.match(host):
            return host.lower()
    return ""


def _ms(stamp: datetime) -> int:
    return int(stamp.astimezone(UTC).timestamp() * 1000)
