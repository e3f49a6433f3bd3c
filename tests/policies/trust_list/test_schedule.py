"""The schedule: at once, then again, sooner after a failure; and what has waited long enough counts by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from policies.trust_list import space as space_module
from policies.trust_list.listing import ListRefused, Row

from .conftest import World

CHU = "CN=mx.chu.fr,O=CHU,C=FR"
ARS = "CN=mx.ars.fr,O=ARS,C=FR"


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.005)


async def test_a_list_is_fetched_at_once_and_on_schedule(world: World) -> None:
    world.write(Row("chu.fr", CHU))
    space = await world.open(fetched=True, trust_list_every_minutes=0.001)
    space.start()
    try:
        await until(lambda: "chu.fr" in space.domains_of(CHU))
        world.pass_hours(1)
        world.write(Row("chu.fr", CHU), Row("plus.fr", CHU))
        await until(lambda: "plus.fr" in space.domains_of(CHU))
    finally:
        await space.stop()
    asked = len(world.authority.asked)
    await asyncio.sleep(0.15)
    assert len(world.authority.asked) == asked, "a space that was stopped asks nobody"


async def test_a_failure_is_tried_again_soon_and_stops_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space_module, "_AFTER_FAILURE", 0.01)
    world.write(Row("chu.fr", CHU))
    world.authority.failure = ListRefused("unreachable", "Nobody answers.")
    space = await world.open(fetched=True, trust_list_every_minutes=60)
    space.start()
    try:
        await until(lambda: space.counters.unreachable >= 2)
        world.authority.failure = None
        await until(lambda: "chu.fr" in space.domains_of(CHU))
    finally:
        await space.stop()
    assert space.last_refusal == ""


async def test_what_has_waited_long_enough_counts_by_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space_module, "_TICK", 0.01)
    world.write(Row("chu.fr", CHU))
    space = await world.open()
    world.pass_hours(1)
    world.write(Row("chu.fr", CHU), Row("chu.fr", ARS))
    await space.reload_file()
    space.start()
    try:
        await asyncio.sleep(0.03)
        assert space.domains_of(ARS) == frozenset()
        world.pass_hours(24)
        await until(lambda: "chu.fr" in space.domains_of(ARS))
    finally:
        await space.stop()


async def test_a_disk_that_is_full_leaves_the_list_in_force_and_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space_module, "_AFTER_FAILURE", 0.01)
    world.write(Row("chu.fr", CHU))
    space = await world.open(fetched=True)
    await space.fetch()
    world.pass_hours(1)
    world.write(Row("chu.fr", CHU), Row("plus.fr", CHU))
    save, failed = space._folder.save, list[int]()  # pyright: ignore[reportPrivateUsage]

    def full(kept: object) -> None:
        failed.append(1)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(space._folder, "save", full)  # pyright: ignore[reportPrivateUsage]
    space.start()
    try:
        await until(lambda: len(failed) >= 2)
        assert space.domains_of(CHU) == {"chu.fr"}
        monkeypatch.setattr(space._folder, "save", save)  # pyright: ignore[reportPrivateUsage]
        await until(lambda: "plus.fr" in space.domains_of(CHU))
    finally:
        await space.stop()
