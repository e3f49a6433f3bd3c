"""Normal forms by pieces: the same as of the whole, and quick whatever strangers wrote."""

from __future__ import annotations

import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail_server.mime import fold
from mail_server.mime.unicode_forms import normalised
from tests.effort import least_cpu

FORMS: list[Literal["NFC", "NFKD"]] = ["NFC", "NFKD"]
WORDS = [
    "Éléonore ",
    "e\u0301\u0327",
    "a\u0323\u0307\u0301",
    "\u1112\u1161\u11ab",
    "\u09c7\u09be",
    "œ",
    "x",
    "\n",
    "ﬁ",
]


@pytest.mark.parametrize("form", FORMS)
@given(st.lists(st.sampled_from(WORDS), max_size=12), st.integers(1, 120))
def test_pieces_give_what_the_whole_gives(form: Literal["NFC", "NFKD"], words: list[str], often: int) -> None:
    text = " ".join(words) * often
    assert normalised(form, text) == unicodedata.normalize(form, text)


@pytest.mark.parametrize("form", FORMS)
def test_marks_by_the_ten_thousands_take_no_time(form: Literal["NFC", "NFKD"]) -> None:
    text = "a" + "\u0301" * 90_000 + "\u0327" * 90_000
    assert len(normalised(form, text)) >= 180_000
    assert len(fold(text)) == 180_001
    # A hundredth of that, where nothing else runs; the square takes close to a minute.
    assert least_cpu(lambda: (normalised(form, text), fold(text)), 2) < 2
