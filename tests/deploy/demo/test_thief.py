"""The search for words on a stolen disk: many at once find what each would alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deploy.demo import thief

# Few letters and one beginning: words that begin alike, or hold each other, come often.
_WORDS = st.text("ab-é", min_size=4, max_size=7).map("canari-a".__add__)
_WRITTEN = st.sampled_from(("raw", "utf-16-le", "utf-16-be", "base64+0", "base64+1", "base64+2"))


@given(
    words=st.lists(_WORDS, min_size=1, max_size=8),
    written=st.lists(st.tuples(_WORDS, _WRITTEN, st.binary(max_size=3)), max_size=4),
)
def test_many_words_are_found_as_each_is_alone(
    words: list[str], written: list[tuple[str, str, bytes]]
) -> None:
    disk = b"".join(thief.spellings(word)[how] + between for word, how, between in written)
    alone = {word for word in words if any(needle in disk for needle in thief.spellings(word).values())}
    assert thief.told(disk, words) == alone


def test_each_spelling_of_two_words_that_begin_alike_is_told_apart() -> None:
    here, absent = "canari-012345-6789", "canari-543210-6789"
    for needle in thief.spellings(here).values():
        assert thief.told(b"." + needle + b".", [absent, here]) == {here}
