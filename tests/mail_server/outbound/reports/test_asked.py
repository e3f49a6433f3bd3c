"""What senders ask to be told: xtext, NOTIFY, ORCPT, ENVID (RFC 3461 §4, RFC 6533 §3)."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail_server.outbound.interface import Notify
from mail_server.outbound.reports import asked

PRINTABLE = st.text(alphabet=string.printable[:95], min_size=1, max_size=60)


@given(PRINTABLE)
def test_printable_text_survives_xtext(text: str):
    written = asked.xtext(text)
    assert asked.xtext_decoded(written) == text
    assert " " not in written
    assert "=" not in written


@given(PRINTABLE)
def test_what_xtext_writes_is_an_envid_unless_too_long(text: str):
    written = asked.xtext(text)
    assert asked.envid(written) == (written if len(written) <= asked.MOST_OF_ENVID else None)


@given(st.text(max_size=60))
def test_any_value_is_kept_as_given_or_refused(value: str):
    assert asked.envid(value) in (None, value)
    for smtputf8 in (False, True):
        kept = asked.orcpt(value, smtputf8=smtputf8)
        assert kept in (None, value)
        if kept is not None:
            told = asked.original(kept)
            assert told is not None
            assert told[1].isprintable()


@given(st.lists(st.sampled_from(["SUCCESS", "failure", "Delay"]), min_size=1, max_size=3))
def test_any_of_the_three_is_what_was_asked(words: list[str]):
    found = asked.notify(",".join(words))
    assert found == Notify(sum(Notify[word.upper()] for word in {w.upper() for w in words}))


@given(st.lists(st.sampled_from(["SUCCESS", "FAILURE", "DELAY"]), min_size=1), st.integers(0, 3))
def test_never_stands_alone(words: list[str], place: int):
    words.insert(place, "NEVER")
    assert asked.notify(",".join(words)) is None


@pytest.mark.parametrize(
    ("given_", "told"),
    [
        ("rfc822;a+2Bb@example.org", ("rfc822", "a+b@example.org")),
        ("UTF-8;h\\x{E9}l\\x{E8}ne@example.org", ("UTF-8", "hélène@example.org")),
        ("utf-8;hélène@example.org", ("utf-8", "hélène@example.org")),
        ("utf-8;\\x{202E}moc@example.org", None),  # a mark that would turn the line round
        ("rfc822;+0A", None),
        ("rfc822", None),
    ],
)
def test_the_address_that_was_meant_is_told(given_: str, told: tuple[str, str] | None):
    assert asked.original(given_) == told


@given(st.text(alphabet="é\\x{}+=09AFa @;", max_size=30), st.sampled_from(["rfc822", "utf-8"]))
def test_what_a_page_gives_decoded_is_written_as_smtp_has_it(text: str, kind: str):
    written = asked.orcpt_written(f"{kind};{text}")
    if written is not None:
        assert asked.original(written) == (kind, text)
        assert asked.orcpt(written, smtputf8=False) == written
