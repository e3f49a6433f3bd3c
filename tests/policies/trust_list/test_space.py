"""The trust space: which list takes the place of which, what of it waits, and what a restart remembers."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from policies.trust_list import listing
from policies.trust_list.kept import StateDamaged
from policies.trust_list.listing import ListRefused, Row
from policies.trust_list.space import chosen_by
from policies.trust_list.standing import Age

from .conftest import OUR_DOMAIN, World

CHU = "CN=mx.chu.fr,OU=1750000001,O=CHU,ST=Paris (75),C=FR"
ARS = "CN=mx.ars.fr,OU=3130000001,O=ARS,ST=Rhône (69),C=FR"
US = "CN=mx.chez-nous.test,OU=1420000001,O=NOUS,ST=Loire (42),C=FR"
NOBODY = "CN=nobody,C=FR"
BASE = (Row("chu.fr", CHU), Row("annexe.fr", CHU), Row("ars.fr", ARS), Row(OUR_DOMAIN, US))


async def test_an_operator_speaks_for_the_domains_of_its_rows_in_any_spelling(world: World) -> None:
    world.write(Row("CHU.fr", CHU), Row("annexe.fr", CHU), Row("ars.fr", ARS))
    space = await world.open()
    assert space.domains_of(CHU) == {"chu.fr", "annexe.fr"}
    assert space.domains_of(CHU.lower().replace(",", " , ")) == {"chu.fr", "annexe.fr"}
    assert space.domains_of(NOBODY) == space.domains_of("no name at all") == frozenset()
    assert space.host_of("chu.fr") == "mx.chu.fr"
    assert space.operator_of("annexe.fr") == {"chu.fr", "annexe.fr", "mx.chu.fr"}
    assert space.operator_of("ailleurs.fr") == frozenset()
    assert space.names_domain("ars.fr")
    assert not space.names_domain("ailleurs.fr")


async def test_a_domain_may_have_several_operators_and_rows_may_repeat(world: World) -> None:
    world.write(Row("chu.fr", CHU), Row("chu.fr", ARS), Row("chu.fr", CHU))
    space = await world.open()
    assert space.domains_of(CHU) == space.domains_of(ARS) == {"chu.fr"}
    assert set(space.names_of("chu.fr")) == {CHU, ARS}


async def test_without_a_list_nobody_is_known(world: World) -> None:
    space = await world.open(trust_list=None)
    assert space.domains_of(CHU) == frozenset()
    assert (await space.reload_file()).reason == "no-list"
    assert await space.reload() == []


async def test_where_the_list_was_taken_out_of_the_configuration_nobody_is_known_any_more(
    world: World,
) -> None:
    world.write(*BASE)
    await world.open()
    space = await world.open(trust_list=None)
    assert space.domains_of(CHU) == frozenset()
    assert not space.names_domain("chu.fr")
    assert space.listing is None
    world.file.unlink()
    again = await world.open()
    assert again.domains_of(CHU) == {"chu.fr", "annexe.fr"}, "configured again, the last good one counts"


# -- which list takes the place of which


@pytest.mark.parametrize(
    "reason", ["ill-formed", "older", "shrunken", "other-domains", "future", "empty", "gone"]
)
async def test_the_last_good_list_stays_when_another_is_refused_and_that_is_an_alarm(
    world: World, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.write(*BASE)
    space = await world.open()
    world.pass_hours({"older": -1, "future": 49}.get(reason, 1))
    world.write(*{"shrunken": BASE[:1], "other-domains": others(4), "empty": ()}.get(reason, BASE))
    world.pass_hours(-48 if reason == "future" else 0)
    if reason == "ill-formed":
        world.file.write_bytes(world.file.read_bytes()[:-25])
    if reason == "gone":
        world.file.unlink()
    with caplog.at_level(logging.ERROR, "vaguemestre.policies"):
        report = await space.reload_file()
    slug = {"other-domains": "shrunken", "gone": "unreadable"}.get(reason, reason)
    assert (report.applied, report.reason, space.last_refusal) == (False, slug, slug)
    assert slug in caplog.text
    assert world.told("trust-list")[-1] == slug
    assert space.counters.refused == 1
    assert space.domains_of(ARS) == {"ars.fr"}


def others(number: int) -> tuple[Row, ...]:
    return tuple(Row(f"inconnu-{each}.fr", CHU) for each in range(number))


async def test_a_person_may_say_that_the_list_is_that_much_smaller(world: World) -> None:
    world.write(*BASE)
    space = await world.open(fetched=True)
    assert (await space.fetch()).applied
    world.pass_hours(1)
    world.write(BASE[0], BASE[3])
    world.write(BASE[0])
    assert (await space.fetch()).reason == "shrunken"
    report = await space.fetch(smaller=True, by="console:eve")
    assert report.applied
    assert space.domains_of(ARS) == frozenset()
    assert space.domains_of(US) == {OUR_DOMAIN}, "our own domain does not leave so fast"


async def test_the_difference_is_in_the_trace_row_by_row(world: World) -> None:
    world.write(*BASE)
    space = await world.open()
    world.pass_hours(1)
    world.write(*BASE[1:], Row("nouveau.fr", ARS))
    assert (await space.reload_file()).applied
    told = [event.detail for event in world.events if event.action == "trust-list-change"]
    assert told == [
        {"kind": "name-added", "domain": "nouveau.fr", "dn": ARS},
        {"kind": "name-removed", "domain": "chu.fr", "dn": CHU},
    ]
    assert [event.detail for event in world.events if event.action == "trust-list"][-1] == {
        "rows": "4", "generated": "2026-11-01T09:00:00+00:00", "added": "1", "removed": "1", "held": "0",
    }  # fmt: skip


# -- what waits


async def test_a_new_domain_counts_at_once_and_what_another_operator_loses_too(world: World) -> None:
    world.write(*BASE)
    space = await world.open()
    world.pass_hours(1)
    world.write(*BASE[1:], Row("nouveau.fr", ARS))
    await space.reload_file()
    assert space.domains_of(ARS) == {"ars.fr", "nouveau.fr"}
    assert space.domains_of(CHU) == {"annexe.fr"}
    assert space.held == ()


async def test_a_new_name_for_a_known_domain_is_held_for_a_day_and_is_an_alarm(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.write(*BASE)
    space = await world.open()
    world.pass_hours(1)
    world.write(*BASE, Row("chu.fr", ARS))
    with caplog.at_level(logging.ERROR, "vaguemestre.policies"):
        report = await space.reload_file()
    assert (report.applied, report.held) == (True, 1)
    assert "held (chu.fr)" in caplog.text
    assert world.told("trust-list-change") == ["held"]
    assert space.domains_of(ARS) == {"ars.fr"}
    assert space.pending(ARS, "chu.fr")
    assert not space.pending(ARS, "annexe.fr")
    world.pass_hours(23.9)
    await space.ripen()
    assert space.domains_of(ARS) == {"ars.fr"}
    world.pass_hours(0.2)
    await space.ripen()
    assert space.domains_of(ARS) == {"ars.fr", "chu.fr"}
    assert world.told("trust-list-change") == ["held", "applied"]
    assert not space.pending(ARS, "chu.fr")


@pytest.mark.parametrize(
    "rows",
    [BASE[:3], (*BASE, Row(OUR_DOMAIN, ARS)), (*BASE[:3], Row(OUR_DOMAIN, ARS))],
    ids=["removed", "a-name-more", "another-name"],
)
async def test_whatever_touches_our_own_domains_is_held(world: World, rows: tuple[Row, ...]) -> None:
    world.write(*BASE)
    space = await world.open()
    world.pass_hours(1)
    world.write(*rows)
    await space.reload_file()
    assert space.names_of(OUR_DOMAIN) == (US,)
    assert {each.domain for each in space.held} == {OUR_DOMAIN}
    world.pass_hours(25)
    await space.ripen()
    assert set(space.names_of(OUR_DOMAIN)) == {row.dn for row in rows if row.domain == OUR_DOMAIN}


async def test_our_own_domain_newly_listed_is_held(world: World) -> None:
    world.write(*BASE[:3])
    space = await world.open()
    world.pass_hours(1)
    world.write(*BASE)
    await space.reload_file()
    assert space.domains_of(US) == frozenset()
    assert await space.apply(chosen_by(OUR_DOMAIN), "console:eve")
    assert space.domains_of(US) == {OUR_DOMAIN}


async def test_a_domain_that_leaves_and_comes_back_under_another_name_is_no_new_domain(world: World) -> None:
    world.write(*BASE)
    space = await world.open()
    for rows in (BASE[1:], (*BASE[1:], Row("chu.fr", ARS))):
        world.pass_hours(1)
        world.write(*rows)
        await space.reload_file()
    assert space.domains_of(ARS) == {"ars.fr"}
    assert space.pending(ARS, "chu.fr")


async def test_nor_is_one_whose_name_was_held_when_it_left(world: World) -> None:
    world.write(*BASE)
    space = await world.open()
    stolen = (*BASE[1:], Row("chu.fr", ARS))
    for rows in (stolen, BASE[1:], stolen):
        world.pass_hours(1)
        world.write(*rows)
        await space.reload_file()
    assert space.domains_of(ARS) == {"ars.fr"}


async def test_a_domain_that_comes_back_as_it_was_counts_at_once(world: World) -> None:
    world.write(*BASE)
    space = await world.open()
    for rows in (BASE[1:], BASE):
        world.pass_hours(1)
        world.write(*rows)
        await space.reload_file()
    assert space.domains_of(CHU) == {"chu.fr", "annexe.fr"}


async def test_what_a_person_refused_never_counts_by_itself(world: World) -> None:
    world.write(*BASE)
    space = await world.open()
    world.pass_hours(1)
    world.write(*BASE, Row("chu.fr", ARS))
    await space.reload_file()
    assert [each.domain for each in await space.refuse(chosen_by("CHU.fr"), "console:eve")] == ["chu.fr"]
    world.pass_hours(100)
    world.write(*BASE, Row("chu.fr", ARS), Row("plus.fr", ARS))
    await space.reload_file()
    await space.ripen()
    assert space.domains_of(ARS) == {"ars.fr", "plus.fr"}
    assert await space.apply(chosen_by(""), "console:eve") == [], "all of them is all that nobody refused"
    assert await space.apply(chosen_by("chu.fr"), "console:eve")
    assert "chu.fr" in space.domains_of(ARS)
    actors = [event.actor for event in world.events if event.outcome in ("refused", "applied")]
    assert actors == ["console:eve", "console:eve"]


async def test_what_the_list_no_longer_asks_for_is_held_no_more(world: World) -> None:
    world.write(*BASE)
    space = await world.open()
    for rows in ((*BASE, Row("chu.fr", ARS)), BASE):
        world.pass_hours(1)
        world.write(*rows)
        await space.reload_file()
    assert space.held == ()
    world.pass_hours(30)
    await space.ripen()
    assert space.domains_of(ARS) == {"ars.fr"}


async def test_a_merge_of_operators_moves_a_thousand_domains_in_a_day(world: World) -> None:
    many = [f"cabinet-{number}.fr" for number in range(1027)]
    world.write(*(Row(domain, CHU) for domain in many), *BASE[2:])
    space = await world.open()
    world.pass_hours(1)
    world.write(*(Row(domain, ARS) for domain in many), *BASE[2:])
    report = await space.reload_file()
    assert (report.applied, report.held) == (True, 1027)
    assert space.domains_of(CHU) == frozenset()
    assert all(space.pending(ARS, domain) and space.host_of(domain) == "mx.ars.fr" for domain in many)
    assert len(await space.apply(chosen_by(ARS), "console:eve")) == 1027
    assert space.domains_of(ARS) == {*many, "ars.fr"}


# -- age, and what a restart remembers


async def test_a_list_that_is_fetched_grows_old_unless_the_authority_confirms_it(world: World) -> None:
    world.write(*BASE)
    world.authority.etag = '"one"'
    space = await world.open(fetched=True)
    assert space.age is Age.DEAD, "nothing was fetched yet"
    await space.fetch()
    assert space.age is Age.YOUNG
    world.authority.failure = ListRefused("unreachable", "Nobody answers.")
    ages: list[Age] = []
    for hours in (71, 2, 94, 3):
        world.pass_hours(hours)
        assert not (await space.fetch()).applied
        ages.append(space.age)
    assert ages == [Age.YOUNG, Age.OLD, Age.OLD, Age.DEAD]
    world.authority.failure = None
    assert (await space.fetch()).applied
    assert world.authority.asked[-1] == '"one"'
    assert space.age is Age.YOUNG, "it is the same list, and the authority says so"


async def test_a_list_given_as_a_file_does_not_grow_old(world: World) -> None:
    world.write(*BASE)
    space = await world.open()
    world.pass_hours(24 * 365)
    assert space.age is Age.YOUNG


async def test_after_a_restart_the_last_good_list_is_in_force_and_ages_go_on(world: World) -> None:
    world.write(*BASE)
    space = await world.open(fetched=True)
    await space.fetch()
    world.pass_hours(1)
    world.write(*BASE, Row("chu.fr", ARS))
    await space.fetch()
    await space.refuse(chosen_by("chu.fr"), "console:eve")
    world.authority.failure = ListRefused("unreachable", "Nobody answers.")
    world.pass_hours(73)
    again = await world.open(fetched=True)
    assert again.domains_of(CHU) == {"chu.fr", "annexe.fr"}
    assert again.age is Age.OLD
    assert again.held == space.held
    assert again.confirmed_at == space.confirmed_at
    kept = sorted(each.name for each in (world.folder / "trust-list").iterdir())
    assert len(kept) == 2, "the lists before are gone"
    assert all((world.folder / "trust-list" / name).stat().st_mode & 0o077 == 0 for name in kept)


async def test_an_older_file_is_refused_across_a_restart_too(world: World) -> None:
    world.write(*BASE)
    await world.open()
    world.pass_hours(-5)
    world.write(*BASE, Row("vieux.fr", ARS))
    world.pass_hours(6)
    space = await world.open()
    assert space.domains_of(ARS) == {"ars.fr"}
    assert world.told("trust-list") == ["accepted", "older"]


async def test_a_file_serves_until_the_first_fetch_and_never_after_it(world: World) -> None:
    world.write(*BASE)
    world.pass_hours(80)
    space = await world.open(fetched=True, trust_list=world.file)
    assert space.domains_of(CHU)
    assert space.age is Age.OLD, "as old as it says itself"
    world.write(*BASE, Row("fetched.fr", ARS))
    await space.fetch()
    listing.write(world.file, [Row("by-file.fr", ARS), *BASE])
    again = await world.open(fetched=True, trust_list=world.file)
    assert again.domains_of(ARS) == {"ars.fr", "fetched.fr"}


async def test_a_clock_put_back_makes_no_list_younger(world: World) -> None:
    world.write(*BASE)
    world.pass_hours(1000)
    space = await world.open(fetched=True)
    await space.fetch()
    world.pass_hours(-1000)
    again = await world.open(fetched=True)
    world.pass_hours(73)
    assert again.age is Age.OLD


@pytest.mark.parametrize("harm", ["cut", "altered-list", "list-gone"])
async def test_what_is_kept_and_damaged_is_not_taken_for_nothing(world: World, harm: str) -> None:
    world.write(*BASE)
    await world.open()
    folder = world.folder / "trust-list"
    (document,) = folder.glob("list-*.xml")
    if harm == "cut":
        (folder / "state.json").write_bytes((folder / "state.json").read_bytes()[:-9])
    elif harm == "altered-list":
        document.write_bytes(document.read_bytes().replace(b"ars.fr", b"evi.fr"))
    else:
        document.unlink()
    with pytest.raises(StateDamaged, match="cannot be read"):
        await world.open()


async def test_a_crash_between_the_list_and_its_state_leaves_the_state_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write(*BASE)
    space = await world.open()
    world.pass_hours(1)
    world.write(*BASE, Row("nouveau.fr", ARS))
    from policies.trust_list import kept

    whole = kept.write

    def torn(path: Path, data: bytes) -> None:
        if path.name == "state.json":
            raise OSError("no space")
        whole(path, data)

    monkeypatch.setattr(kept, "write", torn)
    with pytest.raises(OSError, match="no space"):
        await space.reload_file()
    assert space.domains_of(ARS) == {"ars.fr"}, "what is not durable does not count"
    monkeypatch.undo()
    world.file.unlink()
    again = await world.open()
    assert again.domains_of(ARS) == {"ars.fr"}
    state = json.loads((world.folder / "trust-list" / "state.json").read_text())
    assert state["held"] == []
