"""What of another list counts, for any sequence of lists."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from policies.trust_list import acceptance, changes, names
from policies.trust_list.acceptance import Bounds
from policies.trust_list.changes import Held, difference, granted, in_force
from policies.trust_list.kept import Kept
from policies.trust_list.listing import Listing, Row

OURS = "nous.test"
DOMAINS = ["a.test", "b.test", "c.test", OURS]
DNS = [f"CN=mx{number}.test,O=Operateur,C=FR" for number in range(3)]
HOUR = 3_600_000
FREE = Bounds(shrink=0, delay_ms=24 * HOUR)

rows = st.lists(st.builds(Row, st.sampled_from(DOMAINS), st.sampled_from(DNS)), min_size=1, max_size=12)
lists = st.lists(st.tuples(rows, st.integers(min_value=0, max_value=30)), min_size=1, max_size=8)


def played(given_lists: list[tuple[list[Row], int]]) -> list[tuple[int, Kept]]:
    """One list after another, with hours in between; what is kept after each, and when."""
    kept: Kept | None = None
    now = 100_000 * HOUR
    found: list[tuple[int, Kept]] = []
    for given_rows, hours in given_lists:
        now += hours * HOUR
        generated = dt.datetime.fromtimestamp(now / 1000, dt.UTC)
        fresh = Listing(generated, tuple(given_rows))
        if kept is not None:
            kept = acceptance.ripe(kept, FREE.delay_ms, now)
        kept, _ = acceptance.accepted(
            kept, b"", fresh, ours=lambda domain: domain == OURS, bounds=FREE, now=now, confirmed_at=now
        )
        found.append((now, kept))
    return found


@given(lists)
def test_a_name_speaks_for_a_known_domain_only_after_the_delay(
    given_lists: list[tuple[list[Row], int]],
) -> None:
    asked_since: dict[tuple[str, str], int] = {}
    ever: set[str] = set()
    before: Mapping[str, Mapping[str, str]] = {}
    for number, (now, kept) in enumerate(played(given_lists)):
        listed = granted(kept.listing.rows)
        pairs = {(domain, key) for domain, keys in listed.items() for key in keys}
        earlier, asked_since = asked_since, {pair: asked_since.get(pair, now) for pair in pairs}
        counting = acceptance.standing(kept)
        for domain, keys in counting.items():
            for key in keys:
                if number == 0 or key in before.get(domain, {}):
                    continue
                since = earlier.get((domain, key), asked_since.get((domain, key), now))
                held_long_enough = now - since >= FREE.delay_ms
                came_back = any(domain == each.domain and key in each.keys for each in kept.former)
                assert domain not in ever or held_long_enough or (came_back and domain != OURS)
        ever |= counting.keys()
        before = counting


@given(lists)
def test_what_others_lose_is_lost_at_once_and_nothing_counts_that_no_list_gives(
    given_lists: list[tuple[list[Row], int]],
) -> None:
    for _, kept in played(given_lists):
        listed = granted(kept.listing.rows)
        for domain, keys in acceptance.standing(kept).items():
            if domain != OURS:
                assert keys.keys() <= listed[domain].keys()


@given(lists)
def test_our_own_domains_change_only_after_the_delay(given_lists: list[tuple[list[Row], int]]) -> None:
    since: int | None = None
    before: frozenset[str] | None = None
    for now, kept in played(given_lists):
        ours = frozenset(acceptance.standing(kept).get(OURS, {}))
        if before is not None and ours != before:
            assert since is not None
            assert now - since >= FREE.delay_ms
        waiting = [each.since for each in kept.held if each.domain == OURS]
        since = min(waiting) if waiting else None
        before = ours


@given(rows, rows)
def test_the_difference_leads_from_one_to_the_other(one: list[Row], other: list[Row]) -> None:
    before, after = granted(one), granted(other)
    told = difference(before, after)
    pairs = {(domain, key) for domain, keys in before.items() for key in keys}
    pairs -= {(pair.domain, names.key(pair.dn)) for pair in told.names_removed}
    pairs |= {(pair.domain, names.key(pair.dn)) for pair in told.names_added}
    assert pairs == {(domain, key) for domain, keys in after.items() for key in keys}
    assert bool(told) == (pairs != {(domain, key) for domain, keys in before.items() for key in keys})
    assert set(told.domains_added) == after.keys() - before.keys()
    assert set(told.domains_removed) == before.keys() - after.keys()


@given(rows)
def test_what_is_asked_at_each_letter_is_what_counts(given_rows: list[Row]) -> None:
    listing = Listing(dt.datetime.now(dt.UTC), tuple(given_rows))
    force = acceptance.force(Kept(b"", listing, 0, 0))
    assert {(key, domain) for key, domains in force.by_name.items() for domain in domains} == {
        (names.key(row.dn), row.domain) for row in given_rows
    }
    assert all(force.hosts[row.domain].startswith("mx") for row in given_rows)
    assert not force.pending


def test_a_held_name_does_not_count_and_a_held_loss_does() -> None:
    listed = granted([Row("a.test", DNS[0])])
    held = [Held("a.test", DNS[0].upper(), gone=False, since=0), Held("b.test", DNS[1], gone=True, since=0)]
    assert in_force(listed, held) == {"a.test": {}, "b.test": {names.key(DNS[1]): DNS[1]}}
    assert changes.in_force(listed, []) == listed


def test_a_name_without_a_host_names_no_server() -> None:
    found = [Row("a.test", "O=Operateur,C=FR"), Row("b.test", "CN=Operateur B,C=FR"), Row("c.test", DNS[0])]
    force = acceptance.force(Kept(b"", Listing(dt.datetime.now(dt.UTC), tuple(found)), 0, 0))
    assert force.hosts == {"a.test": "", "b.test": "", "c.test": "mx0.test"}
