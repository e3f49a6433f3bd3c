"""The manifest of a letter, drawn from its content, by the letters that the page is held to as well."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mail_server import mime
from mail_server.payloads import manifest
from mail_server.payloads.calendar_items import appointments
from mail_server.payloads.drawing import draw
from mail_server.payloads.findings import find
from mail_server.payloads.manifest import Item, Manifest
from mail_server.payloads.record.refusal import RecordRefused

VECTORS = json.loads(
    (Path(__file__).parents[2] / "webmail" / "vectors" / "manifests.json").read_text("utf-8")
)
LETTERS: dict[str, Any] = {one["name"]: one for one in VECTORS["letters"]}


def letter(name: str) -> bytes:
    return zlib.decompress(base64.b64decode(LETTERS[name]["letter"]))


@pytest.mark.parametrize("name", LETTERS)
def test_a_letter_is_drawn_as_the_page_draws_it(name: str) -> None:
    message, told = letter(name), LETTERS[name]
    if "refused" in told:
        with pytest.raises(RecordRefused) as refused:
            draw(message, mime.parse(message))
        assert (int(refused.value.code), refused.value.slug) == (
            told["refused"]["code"],
            told["refused"]["slug"],
        )
        assert refused.value.sentence.isascii()
        return
    drawn = draw(message, mime.parse(message))
    assert json.loads(manifest.written(drawn.manifest)) == told["manifest"]
    assert sorted(drawn.confidentiality) == told["confidentiality"]


@pytest.mark.parametrize("name", LETTERS)
def test_find_sees_whatever_a_manifest_would_be_drawn_of(name: str) -> None:
    told = LETTERS[name]
    if name == "X-MSS without any document":  # its fields alone are no reason to read it
        return
    drawn = bool("refused" in told or told["manifest"]["items"] or told["manifest"].get("flags"))
    assert find(letter(name), mime.parse(letter(name))).structured >= drawn


@pytest.mark.parametrize("name", LETTERS)
def test_an_item_s_hash_is_of_bytes_of_its_own_letter(name: str) -> None:
    told, message = LETTERS[name], letter(name)
    tree = mime.parse(message)
    for item in told.get("manifest", {"items": []})["items"]:
        if not item.get("hash") or item.get("entry"):
            continue
        octets = mime.binary(message, tree, [int(step) for step in item["part"].split(".")])
        assert octets is not None
        assert manifest.hash_of(octets) == item["hash"]


@pytest.mark.parametrize("told", VECTORS["texts"], ids=lambda told: told["text"][:40])
def test_a_manifest_is_read_and_written_as_the_page_does(told: dict[str, Any]) -> None:
    found = manifest.read(told["text"].encode("utf-8", "surrogatepass"))
    assert (None if found is None else manifest.written(found).decode()) == told["written"]


# -- the codec

texts = st.text(max_size=30)
items = st.builds(
    Item,
    st.text(max_size=12),
    id=texts,
    title=texts,
    replaces=st.lists(texts, max_size=3).map(tuple),
    version=st.integers(0, 2**31 - 1),
    ics=st.text(max_size=3000),
)
manifests = st.builds(
    Manifest,
    st.lists(items, max_size=30).map(tuple),
    patient=texts,
    flags=st.just(()),
    cut=st.integers(0, 99),
)


@given(manifests)
@settings(max_examples=150, deadline=None)
def test_what_is_written_fits_and_reads_back_the_same(made: Manifest) -> None:
    octets = manifest.written(made)
    assert len(octets) <= manifest.LIMIT
    found = manifest.read(octets)
    assert found is not None
    assert len(found.items) + found.cut == len(made.items) + made.cut
    assert manifest.written(found) == octets


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300)))
def test_reading_never_raises(octets: bytes | str) -> None:
    manifest.read(octets)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | texts,
        lambda one: st.lists(one) | st.dictionaries(texts, one),
        max_leaves=20,
    )
)
def test_no_shape_of_json_raises(value: object) -> None:
    manifest.of_json(
        {
            "v": 1,
            "items": [value, {"kind": "x", "replaces": value, "size": value, "title": value}],
            "cut": value,
        }
    )


def test_nothing_of_an_item_s_words_is_in_its_repr() -> None:
    shown = repr(
        Item("document", "1", title="CANARI-titre", author="CANARI-auteur", ics="CANARI", resource="CANARI")
    )
    assert "CANARI" not in shown


# -- calendars


@given(st.text(alphabet=st.sampled_from('BEGINVCALNDT:;\r\n "\\,=MHOUS0129Z'), max_size=400))
def test_a_calendar_of_any_text_is_looked_at_without_raising(text: str) -> None:
    appointments(text.encode(), "1", "")


def test_a_rule_of_a_million_instances_costs_its_own_length() -> None:
    event = "BEGIN:VEVENT\r\nUID:x\r\nDTSTART:20260101T000000Z\r\nRRULE:FREQ=SECONDLY\r\nEND:VEVENT\r\n"
    [found] = appointments(f"BEGIN:VCALENDAR\r\n{event}END:VCALENDAR\r\n".encode(), "1", "request")
    assert (found.id, found.at, found.method) == ("x", "2026-01-01T00:00:00Z", "REQUEST")
