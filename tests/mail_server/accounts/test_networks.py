"""One place on the network: an IPv4 address, or an IPv6 /64."""

from __future__ import annotations

import pytest

from mail_server.accounts.networks import place_of
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
