"""Transcripts of OAUTHBEARER (RFC 7628) and XOAUTH2."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mail_server.accounts.interface import Identity, Kind
from mail_server.accounts.oauth import Asked, OAuthBearerExchange, XOAuth2Exchange
from mail_server.accounts.sasl import Challenge, NotProven
from mail_server.store.model import AccountId
from policies.refusal import Refusal

WHERE = "https://id.example.org/.well-known/openid-configuration"
USER = Identity(AccountId("user"), "user@example.org", Kind.PER, "OAUTHBEARER", "oidc:a")


class Judge:
    """Knows one token, "good", and who is temporarily not to be asked, "later"."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.asked: list[tuple[str, str]] = []

    async def token(self, user: str, token: str) -> Identity:
        self.asked.append((user, token))
        if token == "later":
            raise NotProven("provider-unreachable", user, temporary=True)
        if token != "good":
            raise NotProven("expired", user)
        return USER

    async def failed(self, failure: NotProven) -> Refusal:
        self.failures.append(failure.reason)
        if failure.temporary:
            return Refusal(454, "4.7.0", "Temporary authentication failure, try again later", failure.reason)
        return Refusal(535, "5.7.8", "Authentication failed", failure.reason)

    def challenge(self, user: str) -> Challenge:
        raise AssertionError

    async def password(self, user: str, password: str) -> Identity:
        raise AssertionError

    async def scram(self, user: str, password: object) -> Identity:
        raise AssertionError

    async def certificate(self, authorization: str) -> Identity:
        raise AssertionError


@pytest.fixture
def judge() -> Judge:
    return Judge()


def bearer(judge: Judge) -> OAuthBearerExchange:
    return OAuthBearerExchange(judge, "openid scope_all", WHERE)


def xoauth2(judge: Judge) -> XOAuth2Exchange:
    return XOAuth2Exchange(judge, "openid scope_all", WHERE)


@pytest.mark.parametrize(
    ("make", "message", "user"),
    [
        # RFC 7628 §4.1, host and port that nobody needs included
        (
            bearer,
            b"n,a=user@example.org,\x01host=mail.example.org\x01port=143\x01auth=Bearer good\x01\x01",
            "user@example.org",
        ),
        (bearer, b"n,,\x01auth=Bearer good\x01\x01", ""),
        (bearer, b"y,,\x01auth=bearer good\x01\x01", ""),
        (bearer, b"n,a=a=2Cb=3Dc,\x01auth=Bearer good\x01\x01", "a,b=c"),
        (xoauth2, b"user=user@example.org\x01auth=Bearer good\x01\x01", "user@example.org"),
        (xoauth2, "user=zoé@example.org\x01auth=Bearer good\x01\x01".encode(), "zoé@example.org"),
    ],
)
async def test_a_good_token_is_enough(judge: Judge, make: Any, message: bytes, user: str) -> None:
    assert await make(judge).step(message) == USER
    assert judge.asked == [(user, "good")]


@pytest.mark.parametrize("answer", [b"\x01", b"", b"anything"])
async def test_a_bad_token_is_challenged_once_and_then_refused_whatever_the_client_answers(
    judge: Judge, answer: bytes
) -> None:
    # RFC 7628 §4.3
    exchange = bearer(judge)
    challenge = await exchange.step(b"n,a=user@example.org,\x01auth=Bearer old\x01\x01")
    assert isinstance(challenge, bytes)
    assert json.loads(challenge) == {
        "status": "invalid_token",
        "scope": "openid scope_all",
        "openid-configuration": WHERE,
    }
    assert judge.failures == ["expired"], "it is in the trace before the client answers, if it ever does"
    with pytest.raises(Refusal) as refused:
        await exchange.step(answer)
    assert (refused.value.code, refused.value.reason) == (535, "expired")
    assert judge.failures == ["expired"], "and once"
    with pytest.raises(Refusal):
        await exchange.step(b"n,,\x01auth=Bearer good\x01\x01")
    assert len(judge.asked) == 1


async def test_xoauth2_is_challenged_in_its_own_words(judge: Judge) -> None:
    exchange = xoauth2(judge)
    challenge = await exchange.step(b"user=user@example.org\x01auth=Bearer old\x01\x01")
    assert isinstance(challenge, bytes)
    assert json.loads(challenge) == {"status": "401", "schemes": "bearer", "scope": "openid scope_all"}
    with pytest.raises(Refusal):
        await exchange.step(b"")


async def test_what_nobody_configured_is_not_told(judge: Judge) -> None:
    challenge = await OAuthBearerExchange(judge).step(b"n,,\x01auth=Bearer old\x01\x01")
    assert challenge == b'{"status":"invalid_token"}'


async def test_a_provider_that_cannot_be_asked_brings_no_challenge_for_the_token_may_be_good(
    judge: Judge,
) -> None:
    with pytest.raises(Refusal) as refused:
        await bearer(judge).step(b"n,,\x01auth=Bearer later\x01\x01")
    assert (refused.value.code, refused.value.temporary) == (454, True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (bearer, b""),
        (bearer, b"\x01"),  # RFC 7628 §3.1: what a client answers to a challenge, and nothing to begin with
        (bearer, b"n,,\x01\x01"),
        (bearer, b"n,,\x01auth=\x01\x01"),
        (bearer, b"n,,\x01auth=Basic Z29vZA==\x01\x01"),
        (bearer, b"n,,\x01auth=Bearer good\x01"),
        (bearer, b"n,,\x01auth=Bearer good"),
        (bearer, b"n,,\x01auth=Bearer good\x01auth=Bearer good\x01\x01"),  # two tokens
        (bearer, b"n,,\x01auth=Bearer good more\x01\x01"),
        (bearer, b"n,,\x01auth=Bearer g\xc3\xa9\x01\x01"),
        (bearer, b"p=tls-server-end-point,,\x01auth=Bearer good\x01\x01"),
        (bearer, b"n,user@example.org,\x01auth=Bearer good\x01\x01"),
        (bearer, b"user=a@b\x01auth=Bearer good\x01\x01"),
        (bearer, b"n,,\x01auth=Bearer " + b"a" * 12_300 + b"\x01\x01"),
        (xoauth2, b"user=\x01auth=Bearer good\x01\x01"),
        (xoauth2, b"auth=Bearer good\x01\x01"),
        (xoauth2, b"user=a@b\x01auth=Bearer good\x01"),
        (xoauth2, b"user=a@b"),
        (xoauth2, b"user=a\0b\x01auth=Bearer good\x01\x01"),
        (xoauth2, b"n,,\x01auth=Bearer good\x01\x01"),
        (xoauth2, b"user=\xff\x01auth=Bearer good\x01\x01"),
    ],
)
async def test_what_cannot_be_read_is_refused_and_no_token_is_looked_at(
    judge: Judge, make: Any, message: bytes
) -> None:
    exchange = make(judge)

    async def both() -> None:
        challenge = await exchange.step(message)
        assert json.loads(challenge)["status"] in ("invalid_request", "400")
        await exchange.step(b"")

    with pytest.raises(Refusal) as refused:
        await both()
    assert refused.value.code == 535
    assert judge.failures == ["malformed"]
    assert not judge.asked


@settings(max_examples=200)
@given(data=st.binary(max_size=200), mechanism=st.sampled_from([bearer, xoauth2]))
async def test_any_bytes_end_in_an_identity_a_challenge_or_a_refusal(data: bytes, mechanism: Any) -> None:
    judge = Judge()
    exchange = mechanism(judge)
    outcomes: list[object] = []
    for message in (data, b""):
        try:
            outcomes.append(await exchange.step(message))
        except Refusal as refused:
            outcomes.append(refused.code)
            break
        if outcomes[-1] == USER:
            break
    assert outcomes[-1] == USER or (outcomes[-1] == 535 and len(judge.failures) == 1)


def test_a_token_is_in_no_repr() -> None:
    assert "secret" not in repr(Asked("user", "secret"))
