"""What is said of the hostile corpus, held to the table that the page is held to (row 51)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mail_server.payloads.record import xdm, xml
from mail_server.payloads.record.refusal import RecordRefused
from tests.effort import least_cpu
from tests.mail_server.payloads.record.hostile import Case, corpus

TABLE = Path(__file__).parents[3] / "webmail" / "vectors" / "xdm" / "verdicts.json"
CASES = list(corpus())
VERDICTS: dict[str, dict[str, Any]] = {
    one["name"]: one for one in json.loads(TABLE.read_text("utf-8"))["verdicts"]
}


def verdict(case: Case) -> tuple[str, int, str]:
    try:
        if case.kind == "archive":
            xdm.read(case.data)
        else:
            xml.parse(case.data)
    except RecordRefused as refused:
        return refused.slug, int(refused.code), refused.sentence
    return "", 0, ""


def test_the_table_and_the_corpus_name_the_same_cases() -> None:
    assert [case.name for case in CASES] == list(VERDICTS)
    assert [case.data for case in corpus()] == [case.data for case in CASES], (
        "the corpus is made alike each time"
    )


def test_at_least_two_hundred_hostile_ones_have_their_verdict() -> None:
    assert len([one for one in VERDICTS.values() if one["slug"]]) >= 200


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_each_has_its_verdict_at_once_and_in_words_that_tell_nothing_of_it(case: Case) -> None:
    """Row 51: XXE, zip-slip, bombs and programs are refused with a reason; what is merely odd is read."""
    slug, code, sentence = verdict(case)
    assert (slug, code) == (VERDICTS[case.name]["slug"], VERDICTS[case.name]["code"])
    assert sentence.isascii()
    assert bool(sentence) == bool(slug)
    assert least_cpu(lambda: verdict(case), 1) < 1  # two milliseconds at most, where nothing else runs
