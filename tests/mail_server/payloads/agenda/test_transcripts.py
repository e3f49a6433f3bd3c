"""The exchanges of RFC 5546 §4 and what real programs make of them, played by Python; the page plays the same files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.webmail.vectors.itip import playing

FOLDER = Path(playing.__file__).parent
TRANSCRIPTS: list[dict[str, Any]] = [
    one for path in sorted(FOLDER.glob("*.json")) for one in json.loads(path.read_text())
]


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda one: one["title"])
def test_an_exchange_comes_to_what_its_transcript_says(transcript: dict[str, Any]) -> None:
    assert transcript["steps"]
    assert playing.replay(transcript) == []


def test_every_exchange_about_events_of_the_rfc_is_there() -> None:
    titles = " ".join(one["title"] for one in TRANSCRIPTS)
    for section in (
        "4.1.1",
        "4.1.4",
        "4.2.1",
        "4.2.3",
        "4.2.4",
        "4.2.5",
        "4.2.8",
        "4.2.9",
        "4.2.10",
        "4.2.11",
    ):
        assert f"§{section}" in titles
    for section in range(1, 11):
        assert f"§4.4.{section}" in titles
