"""What an import says no to: a file as a whole, or one line of it.

Invariant: neither repeats what stood in the line; a column and a reason are enough to find it.
"""

from __future__ import annotations

import sys


class ImportRefused(Exception):
    """Nothing of this file is taken. `reason` is a slug, the text a sentence for the administrator."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


_SENTENCES = {
    "not UTF-8": "The line is not written in UTF-8.",
    "control character": "The line holds a control character.",
    "not an address": "This is not an address.",
    "a patient's address": "This is a patient's address.",
    "unknown kind": "There is no such kind of mailbox.",
    "no structure": "A mailbox of this kind belongs to a structure: none is named.",
    "no holder": "A mailbox of this kind has a holder: none is named.",
    "no name": "The professional has no name.",
}


class LineWrong(Exception):
    """One line is left out. `reason` is short, for machines; `sentence` is for people."""

    def __init__(self, column: str, reason: str, sentence: str = "") -> None:
        super().__init__(reason)
        self.column = column
        self.reason = reason
        # Held for each of thousands of lines, and mostly the same.
        self.sentence = sys.intern(sentence or _SENTENCES.get(reason, f"{reason[:1].upper()}{reason[1:]}."))
