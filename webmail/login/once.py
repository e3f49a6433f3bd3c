"""Things asked for that may be answered once, soon: challenges of passkeys, nonces of keys, second factors being set.

Invariants: what was taken is gone; what is late is nothing; memory is bounded, the oldest goes first.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    def __init__(self, clock: Callable[[], int], milliseconds: int, most: int = 10_000) -> None:
        self._clock = clock
        self._lifetime = milliseconds
        self._most = most
        self._waiting: OrderedDict[str, tuple[int, T]] = OrderedDict()

    def put(self, value: T) -> str:
        """An id that gives it back, once."""
        key = secrets.token_urlsafe(18)
        self._waiting[key] = (self._clock() + self._lifetime, value)
        if len(self._waiting) > self._most:
            self._waiting.popitem(last=False)
        return key

    def take(self, key: str) -> T | None:
        until, value = self._waiting.pop(key, (0, None))
        return value if self._clock() < until else None
