"""PatchObject: the four rules of RFC 8620 §5.3."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail_server.jmap.protocol import SetError, apply_patch

EMAIL = {"keywords": {"$seen": True}, "mailboxIds": {"F1": True}, "list": [1, 2], "size": 3}


def test_one_member_is_added_and_one_removed():
    patched = apply_patch(EMAIL, {"keywords/$flagged": True, "keywords/$seen": None})
    assert patched["keywords"] == {"$flagged": True}


def test_a_whole_property_is_replaced():
    assert apply_patch(EMAIL, {"keywords": {}})["keywords"] == {}


def test_null_at_the_top_is_left_for_the_default():
    assert apply_patch(EMAIL, {"keywords": None})["keywords"] is None


def test_removing_what_is_not_there_changes_nothing():
    assert apply_patch(EMAIL, {"keywords/$draft": None}) == EMAIL


def test_escaped_names_are_unescaped():
    assert apply_patch(EMAIL, {"keywords/a~1b~0": True})["keywords"] == {"$seen": True, "a/b~": True}


def test_the_object_itself_is_not_touched():
    before = {"keywords": {"$seen": True}}
    apply_patch(before, {"keywords/$flagged": True})
    assert before == {"keywords": {"$seen": True}}


@pytest.mark.parametrize(
    "patch",
    [
        {"keywords": {}, "keywords/$seen": True},
        {"list/0": 9},
        {"none/a": True},
        {"size/a": 1},
        {"keywords/~2": True},
        {"a/b/c": True, "a/b": 1},
    ],
)
def test_a_patch_that_breaks_a_rule_is_invalid(patch: dict[str, Any]):
    with pytest.raises(SetError) as raised:
        apply_patch(EMAIL, patch)
    assert raised.value.type == "invalidPatch"


@given(
    st.dictionaries(st.text(alphabet="/~01aklist", max_size=10), st.none() | st.booleans() | st.integers())
)
def test_no_patch_raises_anything_else(patch: dict[str, Any]):
    assert outcome(patch) in {None, "invalidPatch"}


def outcome(patch: dict[str, Any]) -> str | None:
    try:
        apply_patch(EMAIL, patch)
    except SetError as error:
        return error.type
    return None
