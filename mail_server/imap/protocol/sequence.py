"""Sequence sets (RFC 9051 §9 `sequence-set`): parsed, resolved against what exists, and written short.

Invariant: a set is never expanded before it is cut to the numbers that exist, so `1:4294967295`
costs nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

STAR = 0  # "*": the highest number in use
_MAX = 0xFFFFFFFF
_SHAPE = re.compile(
    rb"(?:[0-9]{1,10}|\*)(?::(?:[0-9]{1,10}|\*))?(?:,(?:[0-9]{1,10}|\*)(?::(?:[0-9]{1,10}|\*))?)*"
)


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Ranges as the client wrote them; `saved` is `$`, the last SEARCH's result (RFC 5182)."""

    ranges: tuple[tuple[int, int], ...]
    saved: bool = False

    def among_uids(self, uids: Sequence[int]) -> list[range]:
        """Index ranges of the UIDs named; unknown UIDs are ignored (RFC 9051 §6.4.9)."""
        if not uids:
            return []
        highest = uids[-1]
        found: list[tuple[int, int]] = []
        for first, last in self.ranges:
            # RFC 9051 §9: n:* always holds the highest, even when n is above it; order does not matter.
            low, high = first or highest, last or highest
            if low > high:
                low, high = high, low
            start = 0 if low <= uids[0] else bisect_left(uids, low)
            stop = len(uids) if high >= highest else bisect_right(uids, high)
            if start < stop:
                found.append((start, stop))
        return _merged(found)

    def among_numbers(self, count: int) -> list[range] | None:
        """Index ranges of message numbers 1..count, or None when one is above count (RFC 9051 §6.4)."""
        found: list[tuple[int, int]] = []
        for first, last in self.ranges:
            low, high = first or count, last or count
            if low > high:
                low, high = high, low
            if count == 0 and STAR in (first, last):
                continue
            if high > count:
                return None
            found.append((low - 1, high))
        return _merged(found)

    def overlapping_numbers(self, count: int) -> list[range]:
        """The same, numbers above count ignored: inside SEARCH they simply match nothing."""
        found: list[tuple[int, int]] = []
        for first, last in self.ranges:
            low, high = first or count, last or count
            if low > high:
                low, high = high, low
            if low <= count and count:
                found.append((low - 1, min(high, count)))
        return _merged(found)


SAVED = SequenceSet((), saved=True)


def parse_set(text: bytes) -> SequenceSet | None:
    """`text` as a sequence set, or None when it is none. Zero and numbers over 32 bits are refused."""
    if text == b"$":
        return SAVED
    if not _SHAPE.fullmatch(text):
        return None
    ranges: list[tuple[int, int]] = []
    for piece in text.split(b","):
        first, colon, last = piece.partition(b":")
        low = STAR if first == b"*" else int(first)
        high = low if not colon else STAR if last == b"*" else int(last)
        if (low == 0 and first != b"*") or (colon and high == 0 and last != b"*"):
            return None
        if low > _MAX or high > _MAX:
            return None
        ranges.append((low, high))
    return SequenceSet(tuple(ranges))


def _merged(ranges: list[tuple[int, int]]) -> list[range]:
    if len(ranges) == 1:
        return [range(*ranges[0])]
    ranges.sort()
    merged: list[range] = []
    for start, stop in ranges:
        if merged and start <= merged[-1].stop:
            merged[-1] = range(merged[-1].start, max(stop, merged[-1].stop))
        else:
            merged.append(range(start, stop))
    return merged


def compact(numbers: Iterable[int]) -> bytes:
    """Numbers as the shortest set text, order kept: `1:3,7,9:10` (order matters in COPYUID, RFC 4315 §3)."""
    pieces: list[bytes] = []
    first = last = -1
    for number in numbers:
        if number == last + 1 and first >= 0:
            last = number
            continue
        if first >= 0:
            pieces.append(b"%d" % first if first == last else b"%d:%d" % (first, last))
        first = last = number
    if first >= 0:
        pieces.append(b"%d" % first if first == last else b"%d:%d" % (first, last))
    return b",".join(pieces)
