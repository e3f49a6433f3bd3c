"""A request by cookie is believed only when the page itself sent it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail_server.accounts.provenance import normal_origin, refusal_of, two_proofs

OWN = {"x-vaguemestre": "1", "origin": "https://mail.example"}


def asked(headers: dict[str, str], *, own: frozenset[str] | None = None, header_needed: bool = True):
    return refusal_of(
        headers, own_origins=own, host="mail.example", scheme="https", header_needed=header_needed
    )


def test_the_page_itself_is_believed():
    assert asked(OWN) is None


def test_without_our_header_nothing_is_believed_whatever_the_origin():
    assert asked({"origin": "https://mail.example"}) == "header-missing"
    assert asked(OWN | {"x-vaguemestre": "yes"}) == "header-missing"


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://mail.example",
        "https://mail.example:8443",
        "https://mail.example.evil.example",
        "https://user@mail.example",
        "https://mail.example/",
        "null",
        "",
        "https://[::1",
    ],
)
def test_another_origin_is_foreign(origin: str):
    assert asked(OWN | {"origin": origin}) == "foreign-origin"


def test_a_foreign_origin_is_not_outweighed_by_fetch_metadata():
    headers = OWN | {"origin": "https://evil.example", "sec-fetch-site": "same-origin"}
    assert asked(headers) == "foreign-origin"


def test_without_origin_the_browser_says_same_origin_itself():
    assert asked({"x-vaguemestre": "1", "sec-fetch-site": "same-origin"}) is None


@pytest.mark.parametrize("site", ["same-site", "cross-site", "none", ""])
def test_any_other_site_is_foreign(site: str):
    assert asked({"x-vaguemestre": "1", "sec-fetch-site": site}) == "foreign-origin"


def test_neither_origin_nor_fetch_metadata_is_refused():
    assert asked({"x-vaguemestre": "1"}) == "origin-unknown"


def test_an_event_source_carries_no_header_and_still_must_be_of_the_page():
    assert asked({"sec-fetch-site": "same-origin"}, header_needed=False) is None
    assert asked({"sec-fetch-site": "cross-site"}, header_needed=False) == "foreign-origin"
    assert asked({}, header_needed=False) == "origin-unknown"


def test_configured_origins_count_and_the_host_header_does_not():
    own = frozenset({"https://mss.example"})
    assert asked(OWN | {"origin": "https://mss.example"}, own=own) is None
    assert asked(OWN, own=own) == "foreign-origin"


def test_the_default_port_is_no_difference():
    assert normal_origin("https://Mail.Example:443") == "https://mail.example"
    assert asked(OWN | {"origin": "https://mail.example:443"}) is None


def test_cookie_and_authorization_together_are_two_proofs():
    assert two_proofs({"authorization": "Basic x"}, by_cookie=True)
    assert not two_proofs({"authorization": "Basic x"}, by_cookie=False)
    assert not two_proofs({}, by_cookie=True)


@given(st.dictionaries(st.sampled_from(["x-vaguemestre", "origin", "sec-fetch-site"]), st.text()))
def test_no_header_raises(headers: dict[str, str]):
    assert asked(headers) in {None, "header-missing", "foreign-origin", "origin-unknown"}
