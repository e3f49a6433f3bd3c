"""Signed tokens and the keys they are checked with: whatever comes, a refusal by name and nothing else."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, RSAKey

from deploy.demo.identity.tokens import Lies, Signer
from mail_server.accounts.oidc import checks, people, signatures
from mail_server.accounts.oidc.checks import Expected
from mail_server.accounts.oidc.interface import TokenRefused
from mail_server.accounts.oidc.settings import ProviderSettings
from mail_server.accounts.oidc.signatures import KeyRing
from tests.effort import steps

SIGNER = Signer("ES256")
EXPECTED = Expected("https://x.example", "nous", "nous", frozenset(), 1, 30_000)


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def ring(document: dict[str, Any] | None = None) -> KeyRing:
    made = KeyRing(60_000)
    made.take(document or SIGNER.published(), 0)
    return made


def read(token: str, keys: KeyRing | None = None) -> signatures.Claims:
    key = (keys or ring()).find(signatures.named(token))
    if key is None:
        raise TokenRefused("unknown-key")
    return signatures.verified(token, key)


def test_an_elliptic_signature_is_read() -> None:
    assert read(SIGNER.sign({"a": 1}, Lies()))["a"] == 1


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "HS256", "HS512", "RS512", "PS256", "", None, 1, ["RS256"]]
)
def test_other_algorithms_are_not_taken(algorithm: object) -> None:
    token = f"{encoded({'alg': algorithm, 'kid': 'x'})}.{encoded({})}."
    with pytest.raises(TokenRefused, match="wrong-algorithm"):
        signatures.named(token)


def test_what_must_be_understood_and_is_not_refuses() -> None:
    token = SIGNER.sign({}, Lies(header={"crit": ["b64"], "b64": False}))
    with pytest.raises(TokenRefused, match="malformed"):
        signatures.named(token)


@settings(max_examples=200)
@given(st.text(max_size=200) | st.builds(lambda *parts: ".".join(parts), st.text(), st.text(), st.text()))
def test_any_text_is_refused_by_name(text: str) -> None:
    with pytest.raises(TokenRefused) as caught:
        signatures.named(text)
    assert caught.value.reason in ("malformed", "wrong-algorithm")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_CLAIMS = st.dictionaries(
    st.sampled_from(
        [
            "iss",
            "aud",
            "azp",
            "exp",
            "iat",
            "nbf",
            "sub",
            "acr",
            "nonce",
            "typ",
            "jti",
            "sid",
            "events",
            "at_hash",
            "auth_time",
            "active",
            "SubjectNameID",
            "SubjectRefPro",
        ]
    ),
    _JSON | st.sampled_from(["https://x.example", "nous", "eidas1", "Bearer", 10**9, 4 * 10**9]),
)


@settings(max_examples=300)
@given(_CLAIMS)
def test_any_claims_pass_or_are_refused_by_name(claims: dict[str, Any]) -> None:
    for check in (
        lambda: checks.id_token(claims, EXPECTED, 10**12, nonce="n", access_token="a"),
        lambda: checks.access_token(claims, EXPECTED, 10**12, header_type=""),
        lambda: checks.introspection(claims, EXPECTED, 10**12, about=None),
        lambda: checks.logout_token(claims, EXPECTED, 10**12, header_type=""),
    ):
        try:
            check()
            reason = "passed"
        except TokenRefused as refused:
            reason = refused.reason
        assert reason


@settings(max_examples=200)
@given(_JSON)
def test_any_set_of_keys_is_read_or_refused_by_name(document: Any) -> None:
    for each in ({"keys": document}, {"keys": [document]}):
        try:
            reason = str(len(signatures.keys_of(each)))
        except TokenRefused as refused:
            reason = refused.reason
        assert reason in ("0", "malformed")


def test_keys_that_sign_nothing_for_us_are_left_out() -> None:
    rsa = RSAKey.generate_key(2048).as_dict(private=False)
    weak = RSAKey.generate_key(1024).as_dict(private=False)
    other = ECKey.generate_key("P-384").as_dict(private=False)
    secret = OctKey.generate_key(256).as_dict()
    found = signatures.keys_of(
        {
            "keys": [
                secret,
                weak,
                other,
                rsa | {"use": "enc"},
                rsa | {"key_ops": None},
                rsa | {"key_ops": ["encrypt"]},
                rsa | {"alg": "RS512"},
                rsa | {"kid": "bonne"},
                1,
                None,
            ]
        }
    )
    assert [(key.id, key.algorithm) for key in found] == [("bonne", "RS256")]


def test_private_parts_in_a_set_are_not_kept() -> None:
    private = RSAKey.generate_key(2048).as_dict(private=True)
    (found,) = signatures.keys_of({"keys": [private]})
    assert "d" not in found.key.as_dict()


def test_a_token_without_key_name_is_checked_where_there_is_one_key_only() -> None:
    token = SIGNER.sign({"a": 1}, Lies(header={"kid": ""}))
    assert read(token)["a"] == 1
    two = {"keys": [*SIGNER.published()["keys"], *Signer("ES256").published()["keys"]]}
    with pytest.raises(TokenRefused, match="unknown-key"):
        read(token, ring(two))


def test_keys_grow_old_and_a_clock_set_back_makes_them_old() -> None:
    keys = ring()
    assert not keys.stale(59_999)
    assert keys.stale(60_000)
    assert keys.stale(-1)


# -- people


@pytest.mark.parametrize("claim", [None, [], {}, {"exercices": None}])
def test_practice_that_is_not_told_lets_nobody_in_and_takes_nothing(claim: object) -> None:
    provider = ProviderSettings.model_construct(name="psc", issuer="https://x.example", client_id="nous")
    with pytest.raises(TokenRefused, match="practice-unknown"):
        people.proven(provider, {"sub": "s", "SubjectNameID": "899700218896", "SubjectRefPro": claim})


def test_a_signature_is_checked_in_good_time() -> None:
    token = SIGNER.sign({"a": 1}, Lies())
    keys = ring()
    read(token, keys)
    assert steps(lambda: read(token, keys)) < 1000  # about 500: a tenth of a millisecond
