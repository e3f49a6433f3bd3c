"""The account of what each asker was shown, with its sweeps told to the trace.

Invariants: told from any thread; an address of the network is named as its place, an account or a key by its id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from directory.harvest import Allowance, Sweep
from directory.publication.guesses import Guesses
from directory.settings import DirectorySettings
from mail_server.accounts.networks import place_of
from policies.interface import Event


def harvest_of(
    settings: DirectorySettings, audit: Callable[[Sequence[Event]], None], clock: Callable[[], int]
) -> Allowance:
    """To be made on the loop that writes the trace."""
    return _of(settings.shown_per_hour, settings.shown_per_hour_trusted, audit, clock)


def harvest_of_peers(
    settings: DirectorySettings, audit: Callable[[Sequence[Event]], None], clock: Callable[[], int]
) -> Allowance:
    """Of listed operators, who ask for those they have letters for."""
    return _of(settings.shown_per_hour, settings.asked_per_hour_by_operators, audit, clock)


def guesses_of(
    settings: DirectorySettings,
    has_domain: Callable[[str], bool],
    audit: Callable[[Sequence[Event]], None],
    clock: Callable[[], int],
) -> Guesses:
    """Of whoever asks for addresses that are not there."""
    misses = _of(
        settings.guesses_per_hour, settings.asked_per_hour_by_operators, audit, clock, {"kind": "missed"}
    )
    return Guesses(misses, place_of, has_domain, clock)


def _of(
    shown: int,
    trusted: int,
    audit: Callable[[Sequence[Event]], None],
    clock: Callable[[], int],
    more: Mapping[str, str] | None = None,
) -> Allowance:
    loop = asyncio.get_running_loop()

    def noted(sweep: Sweep) -> None:
        loop.call_soon_threadsafe(audit, [_event(sweep, more or {})])

    return Allowance(shown, trusted, clock=clock, noted=noted)


def _event(sweep: Sweep, more: Mapping[str, str]) -> Event:
    kind, _, who = sweep.asker.partition(":")
    of_network = kind in ("net", "near")
    return Event(
        "harvest",
        sweep.at,
        # Only accounts are parties of the trace; a key has its id among the details.
        who if kind == "account" else "unknown",
        outcome=sweep.outcome,
        network=who if of_network else "",
        detail={"protocol": sweep.door, "count": str(sweep.count)}
        | ({"key": who} if kind == "key" else {})
        | dict(more),
        door=sweep.door,
    )
