"""A Thunderbird that has started and is set up, and what is tried again in it.

Invariants: a start that hangs, or a first setting up that fails, is begun anew with a profile, a home and a port of its
own; an act that fails is tried again until its time is over, and then all that was seen is told.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from desktop import screen, thunderbird
from marionette import Marionette, MarionetteError, ThunderbirdGone

START_SECONDS = 150  # a cold start on a busy machine
_STARTS = 3

T = TypeVar("T")


@dataclass(frozen=True)
class Session(Generic[T]):
    display: str
    control: Marionette
    made: T  # what setting up gave


@contextlib.contextmanager
def session(
    folder: Path,
    settings: Mapping[str, str | int | bool],
    set_up: Callable[[Marionette, str], T],
    zone: str = "",
) -> Generator[Session[T]]:
    """`set_up` gets the remote control and the display. What Thunderbird says stands in `folder`/thunderbird.log."""
    with screen() as display, contextlib.ExitStack() as kept:
        seen: list[str] = []
        while True:
            with contextlib.ExitStack() as started:
                home, log = folder / f"home-{len(seen)}", folder / "thunderbird.log"
                try:
                    port = started.enter_context(thunderbird(display, home, log, settings, zone))
                    control = started.enter_context(Marionette(port, START_SECONDS))
                    made = set_up(control, display)
                except MarionetteError as failure:
                    seen.append(str(failure))
                    _note(failure)
                    if len(seen) == _STARTS:
                        raise MarionetteError(f"it did not start: {told(seen)}") from None
                    continue
                kept.enter_context(started.pop_all())
                break
        yield Session(display, control, made)


def persistently(act: Callable[[int], T], seconds: float) -> T:
    """`act` gets how often it was tried before. It is tried until it does not fail, or the time is over."""
    deadline, seen = time.monotonic() + seconds, list[str]()
    while True:
        try:
            return act(len(seen))
        except ThunderbirdGone as failure:
            raise ThunderbirdGone(told([*seen, str(failure)])) from None
        except MarionetteError as failure:
            seen.append(str(failure))
            _note(failure)
            if time.monotonic() > deadline:
                raise MarionetteError(f"tried {len(seen)} times: {told(seen)}") from None
            time.sleep(0.5)


def _note(failure: MarionetteError) -> None:
    """For who looks at a test that took long, or failed elsewhere."""
    print(f"{time.strftime('%X')} Thunderbird, tried again: {failure}", file=sys.stderr, flush=True)


def told(seen: list[str]) -> str:
    """Each thing that was seen once, with how often."""
    return "; then ".join(f"{seen.count(one)} × {one}" for one in dict.fromkeys(seen))
