"""Who takes the whole directory away, name by name: an account of what each asker was shown.

A directory is there to find one person; a sweep of prefixes takes it all. Each asker (an address of the network, an
account, an API key) has an allowance of listings shown per hour that fills up again; beyond it answers come later and
later, and in the end are refused. The same account for every door: LDAP, FHIR, HKP, the page.

Invariants: what is counted is listings shown for the first time in the hour, so that a mail program that completes
the same names all day is not slowed; a sweep is told to `noted` once when it is slowed and once when it is refused;
memory is bounded, whoever asks.
"""

from __future__ import annotations

from typing import Protocol


class TooMuch(Exception):
    """Nothing more is shown for now. `retry_after`: seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many listings shown")
        self.retry_after = retry_after


class Harvest(Protocol):
    def require(self, asker: str, *, trusted: bool = False) -> None:
        """Asked before a search. `trusted`: logged in, or with an API key; allowed more. Raises TooMuch."""
        ...

    def shown(self, asker: str, keys: list[str], *, trusted: bool = False) -> float:
        """Count what is about to be shown; the seconds the answer must wait (0 for who just looks somebody up)."""
        ...
