"""The listings as everybody asks for them.

Invariants: synchronous, for threads; nothing is shown that has no card.
"""

from __future__ import annotations

from collections.abc import Callable

from directory.listings.database import ListingsDatabase


class ListingsService:
    """On a database whose schema is already made (migrations)."""

    def __init__(self, database: ListingsDatabase, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock

    def close(self) -> None:
        """Nothing is held but what the database holds."""
