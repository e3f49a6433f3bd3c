"""Unicode's normal forms of text that strangers wrote (UAX 15), at a price that grows with its length alone.

A run of combining marks is put in order at the price of its length squared, in one call that nobody else has a turn
in: sixty thousand of them take five seconds. So long text is taken by pieces, cut where nothing before depends on what
comes after.

Invariants: pure; the same as of the whole wherever fewer than `MARKS` marks stand together (the stream-safe format).
"""

from __future__ import annotations

import unicodedata
from typing import Literal

MARKS = 32
_PIECE = 512


def normalised(form: Literal["NFC", "NFKC", "NFD", "NFKD"], text: str) -> str:
    if len(text) <= _PIECE:
        return unicodedata.normalize(form, text)
    pieces: list[str] = []
    start = 0
    while start < len(text):
        end = _cut(text, start + _PIECE)
        pieces.append(unicodedata.normalize(form, text[start:end]))
        start = end
    return "".join(pieces)


def _cut(text: str, end: int) -> int:
    """Where a piece may end, no further than `end`: best before ASCII, which joins nothing, else before a letter."""
    if end >= len(text):
        return len(text)
    near = range(end, end - 2 * MARKS, -1)
    plain = next((at for at in near if text[at].isascii()), 0)
    return plain or next((at for at in near if not unicodedata.combining(text[at])), end)
