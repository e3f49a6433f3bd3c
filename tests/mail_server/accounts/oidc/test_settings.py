"""Which providers a configuration may name, and what a provider may publish of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mail_server.accounts.oidc.discovery import endpoints
from mail_server.accounts.oidc.interface import TokenRefused
from mail_server.accounts.oidc.settings import OidcSettings, ProviderSettings, is_safe_url

GOOD: dict[str, Any] = {
    "name": "psc",
    "issuer": "https://auth.example.org/realms/x",
    "client_id": "nous",
    "client_secret_file": Path("/run/secret"),
}
ISSUER = "https://auth.example.org"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"issuer": "http://auth.example.org"}, "https"),
        ({"issuer": "ftp://auth.example.org"}, "https"),
        ({"discovery": "http://auth.example.org/x"}, "https"),
        ({"name": "Pro Santé"}, "letters"),
        ({"name": "../x"}, "letters"),
        ({"client_secret_file": None}, "proves itself"),
        ({"client_certificate": Path("/x")}, "together"),
        ({"people": "patient", "ciba": True}, "ciba"),
        ({"people": "patient", "mail_tokens": True}, "mail_tokens"),
        ({"introspection_memory": 31}, "30"),
        ({"acr_at_least": 0}, "1"),
        ({"client_secret": "en clair"}, "Extra"),
    ],
)
def test_what_a_provider_may_not_be(change: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        ProviderSettings.model_validate(GOOD | change)


@pytest.mark.parametrize(
    "issuer", ["http://127.0.0.1:10090/x", "http://localhost:1", "http://[::1]:2", "https://x.example"]
)
def test_an_issuer_is_reached_by_tls_or_is_this_machine(issuer: str) -> None:
    assert ProviderSettings.model_validate(GOOD | {"issuer": issuer}).issuer == issuer


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1.evil.example/",
        "http://localhost.evil.example/",
        "http://10.0.0.1/",
        "https://user@evil.example/",
        "https://x.example/#y",
        "https://",
        "//x.example",
        "javascript:alert(1)",
        "https://x.example/\n",
        "https://x.example:99999/",
        "https://é.example/",
        "http://[::1",
    ],
)
def test_addresses_that_are_not_safe(url: str) -> None:
    assert not is_safe_url(url)


@given(st.text(max_size=60))
def test_whether_an_address_is_safe_can_always_be_told(text: str) -> None:
    assert is_safe_url(text) in (True, False)


def test_a_name_and_an_issuer_are_used_once() -> None:
    one = ProviderSettings.model_validate(GOOD)
    with pytest.raises(ValidationError, match="own"):
        OidcSettings(providers=(one, one.model_copy(update={"name": "autre"})))
    with pytest.raises(ValidationError, match="own"):
        OidcSettings(providers=(one, one.model_copy(update={"issuer": "https://autre.example"})))


# -- what it publishes

DOCUMENT: dict[str, Any] = {
    "issuer": ISSUER,
    "authorization_endpoint": "https://wallet.example.org/auth",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/certs",
    "userinfo_endpoint": f"{ISSUER}/userinfo",
}


def test_a_document_that_is_right() -> None:
    found = endpoints(DOCUMENT | {"authorization_response_iss_parameter_supported": True}, ISSUER)
    assert (found.token, found.introspection, found.tells_issuer) == (f"{ISSUER}/token", "", True)


@pytest.mark.parametrize(
    "issuer", ["https://auth.example.org/", "https://AUTH.example.org", "", None, 1, ["x"]]
)
def test_a_document_of_somebody_else(issuer: object) -> None:
    with pytest.raises(TokenRefused, match="wrong-issuer"):
        endpoints(DOCUMENT | {"issuer": issuer}, ISSUER)


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize("value", [None, "", 1, "http://evil.example/", "x" * 3000])
def test_an_address_that_is_missing_or_not_safe(name: str, value: object) -> None:
    with pytest.raises(TokenRefused, match="malformed"):
        endpoints(DOCUMENT | {name: value}, ISSUER)


def test_an_address_that_may_be_absent_and_is_not_safe_is_absent() -> None:
    assert endpoints(DOCUMENT | {"userinfo_endpoint": "http://evil.example/"}, ISSUER).userinfo == ""


def test_patients_are_let_in_from_the_substantial_level_on_where_none_is_given():
    assert ProviderSettings.model_validate(GOOD).acr_at_least == 1
    assert ProviderSettings.model_validate(GOOD | {"people": "patient"}).acr_at_least == 2
    assert ProviderSettings.model_validate(GOOD | {"people": "patient", "acr_at_least": 1}).acr_at_least == 1
