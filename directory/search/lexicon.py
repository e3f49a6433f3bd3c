"""Every word of the cards, in memory: whether a word is one, and which ones a mistyped one may have been.

One edit (a letter wrong, missing, too many, or two exchanged) is tried by making all words one edit away: a few hundred
look-ups. Two edits are told by rapidfuzz among the words of the same first letter and about the same length.

Invariants: no step holds the interpreter over a millisecond; what was read once is not read again; words may be
known that no card has any more, which costs nothing but a search that finds nothing. Memory is bounded, whatever a file
is made of: beyond a million and a half words (a country's two million cards have 400,000) no new one is taken for what
a mistyped one meant; it is found all the same where it is typed right.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator

from rapidfuzz import process
from rapidfuzz.distance import OSA

from directory.listings.database import Sql

MOST_NEAR = 12
SHORTEST = 3  # letters of a word that may be mistyped
_LONGEST = 40
_MOST = 1_500_000  # words
TWO_FROM = 8  # letters from which two edits are allowed
_SLICE = 2_000
_FIRST = 2  # letters
_LETTERS = "etaonirsludcmpvghqbfjyxzkw"


class Lexicon:
    """Words by what they begin with. `follow` reads what is new."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._buckets: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
        self._ordered: defaultdict[str, list[str]] = defaultdict(list)  # by two letters, in order
        self._last = 0
        self._turn = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, word: str) -> bool:
        return word in self._known

    def follow(self, sql: Sql) -> None:
        """Read the words that came since the last time."""
        with self._turn:
            while len(self._known) < _MOST and (
                rows := sql.all(
                    "SELECT id, word FROM word WHERE id > ? ORDER BY id LIMIT ?", (self._last, _SLICE)
                )
            ):
                self.learn(word for _, word in rows)
                self._last = rows[-1][0]
                time.sleep(0)  # whoever waits for the interpreter has it now

    def learn(self, words: Iterable[str]) -> None:
        for word in words:
            if word not in self._known and len(word) <= _LONGEST and len(self._known) < _MOST:
                self._known.add(word)
                self._buckets[word[0], len(word)].append(word)
                insort(self._ordered[word[:_FIRST]], word)

    def begins(self, beginning: str) -> bool:
        """Whether a word begins so; asked for two letters or more."""
        among = self._ordered.get(beginning[:_FIRST], [])
        at = bisect_left(among, beginning)
        return at < len(among) and among[at].startswith(beginning)

    def one_edit(self, word: str, after: int = 0) -> list[str]:
        """Words one edit away, the likeliest first, after as many; the word itself is none of them."""
        found = {each for each in _edits(word) if each in self._known} - {word}
        # The first letter is the one least often wrong.
        ordered = sorted(found, key=lambda each: (each[0] != word[0], abs(len(each) - len(word)), each))
        return ordered[after : after + MOST_NEAR]

    def two_edits(self, word: str) -> list[str]:
        """Words at most two edits away, of long words."""
        if len(word) < TWO_FROM:
            return []
        found: list[tuple[float, str]] = []
        for first in dict.fromkeys(word[:2]):
            for length in range(len(word) - 2, len(word) + 3):
                bucket = self._buckets.get((first, length), [])
                for start in range(0, len(bucket), _SLICE):
                    near = process.extract(
                        word,
                        bucket[start : start + _SLICE],
                        scorer=OSA.distance,
                        score_cutoff=2,
                        limit=MOST_NEAR,
                    )
                    found += [(distance, each) for each, distance, _ in near if each != word]
        found.sort(key=lambda each: (each[0], abs(len(each[1]) - len(word)), each[1]))
        return [each for _, each in found[:MOST_NEAR]]


def _edits(word: str) -> Iterator[str]:
    """Everything one edit away: optimal string alignment, distance 1."""
    for at in range(len(word) + 1):
        before, after = word[:at], word[at:]
        if after:
            rest = after[1:]
            yield before + rest
            if rest:
                yield before + rest[0] + after[0] + rest[1:]
            for letter in _LETTERS:
                yield before + letter + rest
        for letter in _LETTERS:
            yield before + letter + after
