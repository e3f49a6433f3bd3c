"""One object that every door asks: may this account, this operator take so much more, now?

`take` counts, or refuses with the time to come back; `require` only looks. What a door counts itself (connections
open at one time, waits of failed logins) is shown here by `watch`, so that metrics and the console have one place.

Invariants: what is refused is not counted; nobody's limit is reached by what others do; memory is bounded; a key is
an account's id or an operator's name and never leaves this object but as a number.
"""

from __future__ import annotations

import enum
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from policies.limits.settings import UNLIMITED, LimitsSettings
from policies.limits.window import Window
from policies.refusal import Refusal

_TRACKED = 50_000  # keys of one limit
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


class Limit(enum.StrEnum):
    """Names of the rates, as the settings, the metrics and the console have them."""

    LETTERS = "letters_per_hour"
    RECIPIENTS = "recipients_per_day"
    PATIENT_LETTERS = "patient_letters_per_hour"
    PATIENT_RECIPIENTS = "patient_recipients_per_day"
    SYSTEM_LETTERS = "system_letters_per_hour"
    SYSTEM_RECIPIENTS = "system_recipients_per_day"
    SUBMISSIONS = "submissions_per_hour"
    UNKNOWN_PATIENTS = "unknown_patients_per_hour"
    SYSTEM_UNKNOWN_PATIENTS = "system_unknown_patients_per_hour"
    OPERATOR_LETTERS_MINUTE = "operator_letters_per_minute"
    OPERATOR_LETTERS = "operator_letters_per_hour"
    OPERATOR_RECIPIENTS = "operator_recipients_per_hour"
    OPERATOR_UNKNOWN_PATIENTS = "operator_unknown_patients_per_hour"


@dataclass(frozen=True, slots=True)
class _Reply:
    """How a limit refuses (RFC 5321 §4.2.1, RFC 3463)."""

    code: int
    enhanced: str
    words: str


_LETTERS = _Reply(450, "4.7.1", "Too many letters in a short time")
_RECIPIENTS = _Reply(452, "4.5.3", "Too many recipients in a short time")
_UNKNOWN = _Reply(450, "4.7.1", "Too many unknown patient addresses were tried")
_REPLIES = {
    Limit.LETTERS: _LETTERS,
    Limit.RECIPIENTS: _RECIPIENTS,
    Limit.PATIENT_LETTERS: _LETTERS,
    Limit.PATIENT_RECIPIENTS: _RECIPIENTS,
    Limit.SYSTEM_LETTERS: _LETTERS,
    Limit.SYSTEM_RECIPIENTS: _RECIPIENTS,
    Limit.SUBMISSIONS: _LETTERS,
    Limit.UNKNOWN_PATIENTS: _UNKNOWN,
    Limit.SYSTEM_UNKNOWN_PATIENTS: _UNKNOWN,
    Limit.OPERATOR_LETTERS_MINUTE: _LETTERS,
    Limit.OPERATOR_LETTERS: _LETTERS,
    Limit.OPERATOR_RECIPIENTS: _RECIPIENTS,
    Limit.OPERATOR_UNKNOWN_PATIENTS: _UNKNOWN,
}
_SECONDS = {"minute": _MINUTE, "hour": _HOUR, "day": _DAY}


@dataclass(frozen=True, slots=True)
class Standing:
    """One limit, as it is shown."""

    name: str
    limit: int  # 0: none
    seconds: int  # of the window; 0: at one time
    fullest: int  # what the one nearest to the limit has taken, or what is open now
    taken: int  # since the node started
    refused: int  # since the node started


@dataclass(frozen=True, slots=True)
class Watched:
    """What a door counts itself: now, since the start, and refused."""

    fullest: int
    taken: int
    refused: int


class _Rate:
    """One limit with the windows of its keys."""

    __slots__ = ("_windows", "most", "name", "refused", "seconds", "taken")

    def __init__(self, name: Limit, most: int) -> None:
        self.name = name
        self.most = most
        self.seconds = _SECONDS[name.value.rpartition("_")[2]]
        self.taken = 0
        self.refused = 0
        self._windows: OrderedDict[str, Window] = OrderedDict()

    def wait(self, key: str, amount: int, now: float) -> int:
        """Seconds until `amount` more fit; 0: they do."""
        window = self._windows.get(key)
        used = window.used(now) if window is not None else 0
        if not self.most or used + amount <= self.most:
            return 0
        if window is None or amount > self.most:
            return self.seconds  # it fits at no time: at least not soon
        return window.seconds_until(now, self.most - amount)

    def add(self, key: str, amount: int, now: float) -> None:
        self.taken += amount
        if not self.most:
            return
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = Window(self.seconds)
            if len(self._windows) > _TRACKED:
                self._windows.popitem(last=False)
        self._windows.move_to_end(key)
        window.add(now, amount)

    def fullest(self, now: float) -> int:
        return max((window.used(now) for window in self._windows.values()), default=0)


class Limits:
    """See the module. `clock` never goes back; `wall` is the time that is told."""

    def __init__(
        self,
        settings: LimitsSettings,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self._clock = clock
        self._wall = wall
        self._rates = {name: _Rate(name, int(getattr(settings, name.value))) for name in Limit}
        self._watched: dict[str, tuple[int, Callable[[], Watched]]] = {}

    def take(self, name: Limit, key: str, amount: int = 1) -> None:
        """Count `amount`. Raises Refusal with the time to come back; then nothing is counted."""
        self.require(name, key, amount)
        self._rates[name].add(key, amount, self._clock())

    def require(self, name: Limit, key: str, amount: int = 1) -> None:
        """Whether `amount` more would fit; nothing is counted but a refusal. Raises Refusal."""
        rate = self._rates[name]
        if wait := rate.wait(key, amount, self._clock()):
            rate.refused += 1
            raise self._refusal(name, wait)

    def exhausted(self, name: Limit, key: str) -> bool:
        """Whether nothing more fits."""
        return self._rates[name].wait(key, 1, self._clock()) > 0

    def watch(self, name: str, limit: int, read: Callable[[], Watched]) -> None:
        """Show what a door counts itself. A second door of the same name replaces the first."""
        self._watched[name] = (limit, read)

    def standings(self) -> Iterator[Standing]:
        """Every limit, by name."""
        now = self._clock()
        found = [
            Standing(rate.name.value, rate.most, rate.seconds, rate.fullest(now), rate.taken, rate.refused)
            for rate in self._rates.values()
        ]
        for name, (limit, read) in self._watched.items():
            seen = read()
            found.append(Standing(name, limit, 0, seen.fullest, seen.taken, seen.refused))
        return iter(sorted(found, key=lambda one: one.name))

    def _refusal(self, name: Limit, wait: int) -> Refusal:
        reply = _REPLIES[name]
        sentence = f"{reply.words}: {self.again(wait)}"
        return Refusal(reply.code, reply.enhanced, sentence, f"limit-{slug(name)}", retry_after=wait)

    def again(self, wait: int) -> str:
        """When to come back, in words: "try again in 12 minutes, at 14:32 UTC"."""
        at = datetime.fromtimestamp(math.ceil((self._wall() + wait) / _MINUTE) * _MINUTE, UTC)
        return f"try again in {duration(wait)}, at {at:%H:%M} UTC"


def unlimited() -> Limits:
    """Counts, and refuses nothing."""
    return Limits(UNLIMITED)


def slug(name: Limit) -> str:
    return name.value.replace("_", "-")


def duration(seconds: int) -> str:
    """Rounded up, so that who waits that long does not come too early."""
    for size, least, word in ((_HOUR, 2 * _HOUR, "hours"), (_MINUTE, _MINUTE, "minutes")):
        if seconds > least:
            return f"{math.ceil(seconds / size)} {word}"
    return "1 second" if seconds == 1 else f"{seconds} seconds"
