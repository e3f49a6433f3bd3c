"""What an import says no to: a file as a whole, or one line of it.

Invariant: neither repeats what stood in the line; a column and a reason are enough to find it.
"""

from __future__ import annotations


class ImportRefused(Exception):
    """Nothing of this file is taken. `reason` is a slug, the text a sentence for the administrator."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class LineWrong(Exception):
    """One line is left out."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.reason = reason
