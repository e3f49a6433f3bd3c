"""What the `[outbound]` section does not take: said when it is read, not when the first letter leaves."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from mail_server.outbound.settings import OutboundSettings


@pytest.mark.parametrize("place", ["mx.exemple.fr", "mx.exemple.fr:25", "192.0.2.1:2525", "[2001:db8::1]:25"])
def test_a_route_is_a_host_with_or_without_a_port(place: str) -> None:
    for name in ("routes", "wkd_routes"):
        assert getattr(OutboundSettings.model_validate({name: {"mss.exemple.fr": place}}), name)


@pytest.mark.parametrize(
    "place", ["", ":25", "mx.exemple.fr:smtp", "mx.exemple.fr:70000", "https://mx/", "a b"]
)
def test_a_route_that_leads_nowhere_is_named(place: str) -> None:
    for name in ("routes", "wkd_routes"):
        with pytest.raises(ValidationError, match="leads to"):
            OutboundSettings.model_validate({name: {"mss.exemple.fr": place}})


@pytest.mark.parametrize(
    "resolver", ["", "192.0.2.53", "192.0.2.53:5353", "[2001:db8::53]:53", "2001:db8::53"]
)
def test_a_resolver_is_an_address(resolver: str) -> None:
    assert OutboundSettings(resolver=resolver).resolver == resolver


@pytest.mark.parametrize("resolver", ["dns.exemple.fr", "192.0.2.53:dns", "not an address"])
def test_a_resolver_that_is_no_address_is_named(resolver: str) -> None:
    with pytest.raises(ValidationError, match="no IP address"):
        OutboundSettings(resolver=resolver)
