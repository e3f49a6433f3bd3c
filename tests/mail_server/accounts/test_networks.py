"""One place on the network: an IPv4 address, or an IPv6 /64."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail_server.accounts.networks import is_this_machine, place_of, ranges, within
from mail_server.accounts.throttle import Throttle


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::9", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("not:an:address", "not:an:address"),
        ("", ""),
    ],
)
def test_an_address_has_its_place(address: str, place: str) -> None:
    assert place_of(address) == place


def test_who_fails_from_many_addresses_of_one_network_is_suspected_on_each() -> None:
    throttle = Throttle(0, 0, 60)
    for number in range(3):
        throttle.failed(f"2001:db8::{number}", "a@b")
    assert throttle.suspect("2001:db8::ffff", "a@b")
    assert not throttle.suspect("2001:db8:0:1::1", "a@b")


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("", ""),
        ("192.0.2.7", "192.0.2.7/32"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.0/24, 2001:DB8::/32", "192.0.2.0/24 2001:db8::/32"),
        (" 192.0.2.0/24  192.0.2.0/24 ", "192.0.2.0/24"),
        ("192.0.2.0/255.255.255.0", "192.0.2.0/24"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("2001:db8::1", "2001:db8::1/128"),
    ],
)
def test_ranges_are_kept_in_one_spelling(typed: str, kept: str) -> None:
    assert ranges(typed) == kept
    assert ranges(kept) == kept


@pytest.mark.parametrize(
    "typed",
    ["192.0.2.7/24", "192.0.2.0/33", "example.org", "192.0.2.*", "::ffff:0:0/90", "a" * 2000, "192.0.2", "/"],
)
def test_what_is_no_range_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        ranges(typed)


def test_there_are_sixteen_ranges_at_most() -> None:
    assert ranges(" ".join(f"192.0.{n}.0/24" for n in range(16)))
    with pytest.raises(ValueError, match="too many"):
        ranges(" ".join(f"192.0.{n}.0/24" for n in range(17)))


@pytest.mark.parametrize(
    ("address", "kept", "inside"),
    [
        ("192.0.2.7", "", True),
        ("192.0.2.7", "192.0.2.0/24", True),
        ("::ffff:192.0.2.7", "192.0.2.0/24", True),
        ("192.0.3.7", "192.0.2.0/24", False),
        ("192.0.3.7", "192.0.2.0/24 192.0.3.0/24", True),
        ("2001:db8:1::5", "192.0.2.0/24 2001:db8::/32", True),
        ("2001:db9::5", "2001:db8::/32", False),
        ("2001:db8::5", "0.0.0.0/0", False),
        ("", "0.0.0.0/0", False),
        ("not an address", "0.0.0.0/0 ::/0", False),
    ],
)
def test_an_address_lies_in_a_range_or_does_not(address: str, kept: str, inside: bool) -> None:
    assert within(address, kept) is inside


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("192.0.2.1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("localhost.example", False),
        ("mail.example", False),
        ("", False),
    ],
)
def test_what_is_said_in_plain_stays_on_this_machine(host: str, here: bool) -> None:
    assert is_this_machine(host) is here


@given(typed=st.text(max_size=60))
def test_any_text_is_ranges_or_refused(typed: str) -> None:
    try:
        kept = ranges(typed)
    except ValueError:
        return
    assert ranges(kept) == kept
