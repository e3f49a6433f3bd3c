"""Things asked for that may be answered once, soon: challenges of passkeys, nonces of keys, second factors being set.

Invariants: what was taken is gone; what is late is nothing; memory is bounded, the oldest goes first, and of who asks
without end only their own go.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[T]):
    value: T
    until: int
    asker: str


class Once(Generic[T]):
    def __init__(
        self, clock: Callable[[], int], milliseconds: int, most: int = 50_000, most_of_one: int = 1_000
    ) -> None:
        self._clock = clock
        self._lifetime = milliseconds
        self._most = most
        self._most_of_one = most_of_one
        self._waiting: OrderedDict[str, _Waiting[T]] = OrderedDict()
        self._of: dict[str, OrderedDict[str, None]] = {}

    def put(self, value: T, asker: str, *, key: str = "") -> str:
        """An id that gives it back, once. `asker`: whose oldest goes when they ask too often. `key`: an id as hard to
        guess, which who asks has drawn already."""
        key = key or secrets.token_urlsafe(18)
        self._waiting[key] = _Waiting(value, self._clock() + self._lifetime, asker)
        theirs = self._of.setdefault(asker, OrderedDict())
        theirs[key] = None
        if len(theirs) > self._most_of_one:
            self._drop(next(iter(theirs)))
        if len(self._waiting) > self._most:
            self._drop(next(iter(self._waiting)))
        return key

    def take(self, key: str) -> T | None:
        found = self._drop(key)
        return found.value if found is not None and self._clock() < found.until else None

    def _drop(self, key: str) -> _Waiting[T] | None:
        found = self._waiting.pop(key, None)
        if found is not None:
            theirs = self._of[found.asker]
            del theirs[key]
            if not theirs:
                del self._of[found.asker]
        return found
