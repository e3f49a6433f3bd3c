"""Who takes the whole directory away, name by name: an account of what each asker was shown.

A directory is there to find one person; a sweep of prefixes takes it all. Each asker (an address of the network, an
account, an API key) has an allowance of listings shown per hour that fills up again; beyond it answers come later and
later, and in the end are refused. The same account for every door: LDAP, FHIR, HKP, the page.

Who is logged in has an allowance of the day as well: an account that stays just below that of the hour all day long
would take a country's directory away in a week, and nobody would hear of it.

Askers are named `net:<IPv4 address or IPv6 /64>`, `account:<id>`, `key:<id>`. Those of the network are summed once more
by their neighbourhood (/24, /48): who has many addresses at hand has not as many allowances.

Invariants: what is counted is listings shown for the first time in the hour, so that a mail program that completes
the same names all day is not slowed; a sweep is told to `noted` once when it is slowed and once when it is refused;
memory is bounded, whoever asks, and what is forgotten for want of it is the least that anybody took; what was shown is
kept as marks that tell nothing.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

_HOUR = 3_600_000  # ms
_DAY = 24 * _HOUR
_OF_DAY = 6  # allowances of an hour that an account has in a day
_DAILY = "day "  # before an asker's name: their account of the day
_LONGEST_DELAY = 5.0  # seconds
_REFUSED_AT = 2.0  # allowances
_TOLD_AGAIN_BELOW = 0.5  # allowances: who came down to it is told of anew
_NEIGHBOURHOOD = 8  # allowances of one asker that a whole neighbourhood has
_MOST_ASKERS = 20_000
_MOST_MARKS = 200_000  # of all askers together


class TooMuch(Exception):
    """Nothing more is shown for now. `retry_after`: seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many listings shown")
        self.retry_after = retry_after


class Harvest(Protocol):
    def require(self, asker: str, *, trusted: bool = False, door: str = "") -> None:
        """Asked before a search. `trusted`: logged in, or with an API key; allowed more. Raises TooMuch.

        `door`: "ldap", "fhir", "hkp", "page", for the trace alone.
        """
        ...

    def shown(self, asker: str, keys: list[str], *, trusted: bool = False, door: str = "") -> float:
        """Count what is about to be shown; the seconds the answer must wait (0 for who just looks somebody up).

        Raises TooMuch, and then it must not be shown: many searches asked at once were all let in before any of them
        was counted.
        """
        ...


@dataclass(frozen=True, slots=True)
class Sweep:
    """Somebody takes more than they can be looking for."""

    asker: str
    outcome: str  # "slowed", "refused"
    door: str
    count: int  # different listings, of about the last hour, or day
    at: int  # ms


@dataclass(slots=True)
class Counters:
    shown: int = 0  # listings, each time
    different: int = 0  # of these, those counted
    slowed: int = 0  # answers
    refused: int = 0
    sweeps_slowed: int = 0
    sweeps_refused: int = 0
    forgotten: int = 0  # askers, for want of room


@dataclass(slots=True)
class _Account:
    """What one asker took: a level that falls by one allowance an hour (or a day), and marks of what it was made of."""

    at: int  # when the level was so high
    turned: int  # when the marks were put behind
    period: int = _HOUR
    level: float = 0.0
    marks: set[int] = field(default_factory=set[int])
    before: set[int] = field(default_factory=set[int])
    told: str = ""

    def settle(self, now: int, allowance: int) -> None:
        self.level = max(0.0, self.level - max(0, now - self.at) * allowance / self.period)
        self.at = max(self.at, now)
        if self.level < allowance * _TOLD_AGAIN_BELOW:
            self.told = ""
        if now - self.turned >= self.period:
            self.before = self.marks if now - self.turned < 2 * self.period else set()
            self.marks, self.turned = set(), now

    def add(self, marks: Iterable[int]) -> int:
        """How many of them are new."""
        fresh = {mark for mark in marks if mark not in self.marks and mark not in self.before}
        self.marks |= fresh
        self.level += len(fresh)
        return len(fresh)

    @property
    def held(self) -> int:
        return len(self.marks) + len(self.before)


class Allowance:
    """Implements `Harvest`, for any thread. `noted` is called in the thread that asks."""

    def __init__(
        self,
        shown_per_hour: int,
        shown_per_hour_trusted: int,
        *,
        clock: Callable[[], int],
        noted: Callable[[Sweep], None],
    ) -> None:
        self._allowance = shown_per_hour
        self._trusted = shown_per_hour_trusted
        self._clock = clock
        self._noted = noted
        self._accounts: dict[str, _Account] = {}  # the one that asked longest ago first
        self._marks = 0
        self._turn = threading.Lock()
        self._salt = secrets.token_bytes(16)
        self.counters = Counters()
        self.answers: Counter[str] = Counter()  # that showed listings, by door

    @property
    def askers(self) -> int:
        return len(self._accounts)

    @property
    def marks(self) -> int:
        """Of what was shown, kept of all askers together."""
        return self._marks

    def require(self, asker: str, *, trusted: bool = False, door: str = "") -> None:
        with self._turn:
            wait, sweeps = self._refused(asker, trusted, door, self._clock())
        self._tell(sweeps)
        if wait:
            raise TooMuch(math.ceil(wait))

    def shown(self, asker: str, keys: Sequence[str], *, trusted: bool = False, door: str = "") -> float:
        now = self._clock()
        marks = [self._mark(key) for key in keys]
        delay = 0.0
        with self._turn:
            wait, sweeps = self._refused(asker, trusted, door, now)
            if not wait:
                delay = self._count(asker, marks, trusted, door, now, sweeps)
        self._tell(sweeps)
        if wait:
            raise TooMuch(math.ceil(wait))
        return delay

    def delay(self, asker: str, *, trusted: bool = False) -> float:
        """Seconds that an answer which shows nothing new waits."""
        now, delay = self._clock(), 0.0
        with self._turn:
            for name, allowance in self._of(asker, trusted):
                if (account := self._accounts.get(name)) is not None:
                    self._settle(account, now, allowance)
                    delay = max(delay, _delay(account, allowance))
        return delay

    # ------------------------------------------------------------ inside

    def _refused(self, asker: str, trusted: bool, door: str, now: int) -> tuple[float, list[Sweep]]:
        """For how many seconds nothing more is shown; 0: it is."""
        wait, sweeps = 0.0, list[Sweep]()
        for name, allowance in self._of(asker, trusted):
            if (account := self._accounts.get(name)) is None:
                continue
            self._settle(account, now, allowance)
            over = account.level - allowance * _REFUSED_AT
            if over >= 0:
                # A moment more: who comes back to the second would be let in for one listing.
                wait = max(wait, (over + allowance / 20) * account.period / allowance / 1000)
                sweeps += self._sweep(name, account, "refused", door)
        if wait:
            self.counters.refused += 1
        return wait, sweeps

    def _count(
        self, asker: str, marks: Sequence[int], trusted: bool, door: str, now: int, sweeps: list[Sweep]
    ) -> float:
        delay = 0.0
        self.counters.shown += len(marks)
        self.answers[door or "other"] += 1
        for position, (name, allowance) in enumerate(self._of(asker, trusted)):
            account = self._account(name, now)
            self._settle(account, now, allowance)
            fresh = account.add(marks)
            self._marks += fresh
            if position == 0:
                self.counters.different += fresh
            if (late := _delay(account, allowance)) > 0:
                delay = max(delay, late)
                sweeps += self._sweep(name, account, "slowed", door)
        self._forget()
        self.counters.slowed += delay > 0
        return delay

    def _of(self, asker: str, trusted: bool) -> list[tuple[str, int]]:
        """The accounts that an answer goes to, each with its allowance."""
        allowance = self._trusted if trusted else self._allowance
        found = [(asker, allowance)]
        if not trusted and (around := _neighbourhood(asker)):
            found.append((around, allowance * _NEIGHBOURHOOD))
        if trusted and asker.startswith("account:"):  # programs with a key may have all of it to read
            found.append((f"{_DAILY}{asker}", allowance * _OF_DAY))
        return found

    def _account(self, name: str, now: int) -> _Account:
        account = self._accounts.pop(name, None)
        if account is None:
            account = _Account(now, now, _DAY if name.startswith(_DAILY) else _HOUR)
        self._accounts[name] = account
        return account

    def _settle(self, account: _Account, now: int, allowance: int) -> None:
        held = account.held
        account.settle(now, allowance)
        self._marks -= held - account.held

    def _sweep(self, name: str, account: _Account, outcome: str, door: str) -> list[Sweep]:
        """Once for each outcome, until the asker has come down again."""
        if account.told in (outcome, "refused"):
            return []
        account.told = outcome
        if outcome == "slowed":
            self.counters.sweeps_slowed += 1
        else:
            self.counters.sweeps_refused += 1
        return [Sweep(name.removeprefix(_DAILY), outcome, door, round(account.level), account.at)]

    def _tell(self, sweeps: Sequence[Sweep]) -> None:
        for sweep in sweeps:
            self._noted(sweep)

    def _mark(self, key: str) -> int:
        digest = hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=5, key=self._salt).digest()
        return int.from_bytes(digest)

    def _forget(self) -> None:
        """Keep within bounds: among those who asked longest ago, who took least is forgotten first."""
        while self._marks > _MOST_MARKS or len(self._accounts) > _MOST_ASKERS:
            oldest = [name for name, _ in zip(self._accounts, range(64), strict=False)]
            name = min(oldest, key=lambda each: self._accounts[each].level)
            self._marks -= self._accounts.pop(name).held
            self.counters.forgotten += 1


def _delay(account: _Account, allowance: int) -> float:
    over = account.level / allowance - 1
    return _LONGEST_DELAY * min(1.0, over / (_REFUSED_AT - 1)) ** 2 if over > 0 else 0.0


def _neighbourhood(asker: str) -> str:
    """The /24 or /48 that an asker of the network lies in."""
    kind, _, place = asker.partition(":")
    if kind != "net":
        return ""
    try:
        address = ipaddress.ip_address(place.partition("/")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        return f"near:{ipaddress.IPv6Network((int(address) >> 80 << 80, 48))}"
    return f"near:{ipaddress.IPv4Network((int(address) >> 8 << 8, 24))}"
