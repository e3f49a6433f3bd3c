"""How many wrong six-digit codes are taken before the next one must wait for the window to pass.

Six digits are soon guessed: whoever has the first factor gets a few tries, then none for a while. Tries are counted for
an account from one place of the network, and for one session: who guesses locks themselves out and nobody elsewhere.

Invariants: memory is bounded; a right code forgets what was wrong before it; while the window lasts not even a right
code is looked at, so that guessing on tells nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from mail_server.accounts.networks import place_of
from webmail.login.problems import Problem

MOST = 5
WINDOW = 15 * 60_000
_TRACKED = 20_000


@dataclass(slots=True)
class _Wrong:
    since: int
    count: int = 0


class CodeTries:
    def __init__(self, clock: Callable[[], int], most: int = MOST, window: int = WINDOW) -> None:
        self._clock = clock
        self._most = most
        self._window = window
        self._wrong: OrderedDict[tuple[str, str], _Wrong] = OrderedDict()

    def enter(self, account: str, network: str, session: str = "") -> None:
        """Before a code is looked at. Raises Problem too-many."""
        for key in _keys(account, network, session):
            known = self._known(key)
            if known is not None and known.count >= self._most:
                left = known.since + self._window - self._clock()
                raise Problem("too-many", retry_after=max(1, left // 1000))

    def wrong(self, account: str, network: str, session: str = "") -> None:
        for key in _keys(account, network, session):
            known = self._known(key)
            if known is None:
                known = self._wrong[key] = _Wrong(self._clock())
            known.count += 1
            self._wrong.move_to_end(key)
            if len(self._wrong) > _TRACKED:
                self._wrong.popitem(last=False)

    def right(self, account: str, network: str, session: str = "") -> None:
        for key in _keys(account, network, session):
            self._wrong.pop(key, None)

    def _known(self, key: tuple[str, str]) -> _Wrong | None:
        found = self._wrong.get(key)
        if found is not None and self._clock() >= found.since + self._window:
            del self._wrong[key]
            return None
        return found


def _keys(account: str, network: str, session: str) -> list[tuple[str, str]]:
    place = [(account, place_of(network))]
    return [*place, ("", session)] if session else place
