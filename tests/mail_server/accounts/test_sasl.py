"""SASL transcripts, as RFC 4616, RFC 5802, RFC 7677 and RFC 4422 write them."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mail_server.accounts import app_passwords
from mail_server.accounts.app_passwords import AppPassword
from mail_server.accounts.interface import Identity, Kind
from mail_server.accounts.sasl import Challenge, ExternalExchange, NotProven, PlainExchange
from mail_server.accounts.scram import ScramExchange
from mail_server.store.model import AccountId
from policies.refusal import Refusal

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
PENCIL = AppPassword("pencil", "user", "", app_passwords.verifier("pencil", SALT), frozenset(), 0)
RUBBER = AppPassword("rubber", "user", "", app_passwords.verifier("rubber", SALT), frozenset(), 0)
USER = Identity(AccountId("user"), "user", Kind.PER, "SCRAM-SHA-256", "pencil")


class Judge:
    """Knows one account, "user", with two passwords."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.asked: list[tuple[str, ...]] = []

    def challenge(self, user: str) -> Challenge:
        self.asked.append(("challenge", user))
        return Challenge(SALT, 4096, (RUBBER, PENCIL))

    async def password(self, user: str, password: str) -> Identity:
        self.asked.append(("password", user, password))
        if (user, password) != ("user", "pencil"):
            raise NotProven("wrong-password", user)
        return USER

    async def scram(self, user: str, password: AppPassword) -> Identity:
        self.asked.append(("scram", user, password.id))
        return USER

    async def token(self, user: str, token: str) -> Identity:
        raise AssertionError("nobody shows a token here")

    async def certificate(self, authorization: str) -> Identity:
        self.asked.append(("certificate", authorization))
        return USER

    async def failed(self, failure: NotProven) -> Refusal:
        self.failures.append(failure.reason)
        return Refusal(535, "5.7.8", "Authentication failed", failure.reason)


@pytest.fixture
def judge() -> Judge:
    return Judge()


async def refused(exchange: Any, response: bytes) -> str:
    with pytest.raises(Refusal) as found:
        await exchange.step(response)
    assert found.value.code == 535
    return found.value.reason


# -- SCRAM-SHA-256 ----------------------------------------------------------------------------------------------

CLIENT_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def scram(judge: Judge) -> ScramExchange:
    return ScramExchange(judge, nonce=lambda: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")


async def test_the_exchange_of_rfc_7677_section_3(judge: Judge) -> None:
    exchange = scram(judge)
    assert await exchange.step(CLIENT_FIRST) == SERVER_FIRST
    assert await exchange.step(CLIENT_FINAL) == SERVER_FINAL
    assert await exchange.step(b"") == USER
    assert judge.asked == [("challenge", "user"), ("scram", "user", "pencil")]
    assert await refused(exchange, b"") == "exchange-ended"


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (b"", "malformed"),
        (b"n,,", "malformed"),
        (b"n,,n=,r=abc", "malformed"),
        (b"n,,n=user", "malformed"),
        (b"n,,n=user,r=", "malformed"),
        (b"n,,m=1,n=user,r=abc", "malformed"),  # RFC 5802 §5.1: an unknown mandatory extension
        (b"n,,n=us=er,r=abc", "malformed"),
        (b"n,a=other,n=user,r=abc", "authorization"),
        (b"p=tls-unique,,n=user,r=abc", "channel-binding-type"),
        (b"x,,n=user,r=abc", "malformed"),
        (b"n=user,r=abc", "malformed"),
        (b"n,,n=\xff,r=abc", "malformed"),
        (b"n,,n=user,r=a b", "malformed"),
        (b"n,,n=us\0er,r=abc", "malformed"),
        (b"n,,n=user,r=" + b"a" * 5000, "malformed"),
    ],
)
async def test_a_first_message_that_is_not_one_is_refused(judge: Judge, first: bytes, reason: str) -> None:
    assert await refused(scram(judge), first) == reason


async def test_a_client_that_could_bind_the_channel_is_answered_for_we_offer_none(judge: Judge) -> None:
    assert await scram(judge).step(CLIENT_FIRST.replace(b"n,,", b"y,,")) == SERVER_FIRST


async def test_one_may_name_oneself_as_authorization(judge: Judge) -> None:
    assert await scram(judge).step(CLIENT_FIRST.replace(b"n,,", b"n,a=USER,")) == SERVER_FIRST


async def test_a_comma_or_equals_sign_in_a_name_is_decoded(judge: Judge) -> None:
    await scram(judge).step(b"n,,n=a=2Cb=3Dc,r=abc")
    assert judge.asked == [("challenge", "a,b=c")]


async def test_extensions_after_the_nonce_are_passed_over(judge: Judge) -> None:
    assert await scram(judge).step(CLIENT_FIRST + b",x=y") == SERVER_FIRST


@pytest.mark.parametrize(
    ("was", "now", "reason"),
    [
        (b"p=dHzb", b"p=dHza", "wrong-password"),
        (b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", b"p=", "malformed"),
        (b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", b"p=AAAA", "wrong-password"),
        (b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", b"p=AAA", "malformed"),
        (b"c=biws", b"c=eSws", "malformed"),  # says "y,,": the header was changed on the way
        (b"hNlF$k0", b"hNlF$k1", "malformed"),
        (b",p=", b",x=y,p=", "wrong-password"),  # an extension is part of what is proven
        (b",p=", b"", "malformed"),
    ],
)
async def test_a_final_message_that_proves_nothing_is_refused(
    judge: Judge, was: bytes, now: bytes, reason: str
) -> None:
    exchange = scram(judge)
    await exchange.step(CLIENT_FIRST)
    assert await refused(exchange, CLIENT_FINAL.replace(was, now)) == reason
    assert await refused(exchange, CLIENT_FINAL) == "exchange-ended", "no second try on the same nonce"


async def test_nonces_of_the_server_are_never_twice_the_same(judge: Judge) -> None:
    answers = {await ScramExchange(judge).step(CLIENT_FIRST) for _ in range(20)}
    assert len(answers) == 20


async def test_the_end_wants_an_empty_answer(judge: Judge) -> None:
    exchange = scram(judge)
    await exchange.step(CLIENT_FIRST)
    await exchange.step(CLIENT_FINAL)
    assert await refused(exchange, b"more") == "malformed"


# -- PLAIN ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [b"\0user\0pencil", b"user\0user\0pencil", b"USER\0user\0pencil"])
async def test_plain_names_a_user_and_proves_it(judge: Judge, message: bytes) -> None:
    assert await PlainExchange(judge).step(message) == USER


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\0user\0pen", "wrong-password"),
        (b"other\0user\0pencil", "authorization"),
        (b"", "malformed"),
        (b"user\0pencil", "malformed"),
        (b"\0user\0pencil\0", "malformed"),
        (b"\0\0pencil", "malformed"),
        (b"\0user\0", "malformed"),
        (b"\0us\xffer\0pencil", "malformed"),
        (b"\0user\0" + b"p" * 5000, "malformed"),
    ],
)
async def test_plain_refuses(judge: Judge, message: bytes, reason: str) -> None:
    exchange = PlainExchange(judge)
    assert await refused(exchange, message) == reason
    assert await refused(exchange, b"\0user\0pencil") == "exchange-ended"


# -- EXTERNAL ---------------------------------------------------------------------------------------------------


async def test_external_passes_the_authorization_on(judge: Judge) -> None:
    assert await ExternalExchange(judge).step(b"") == USER
    assert await ExternalExchange(judge).step("é@x".encode()) == USER
    assert judge.asked == [("certificate", ""), ("certificate", "é@x")]
    assert await refused(ExternalExchange(judge), b"a\0b") == "malformed"
    assert await refused(ExternalExchange(judge), b"\xff") == "malformed"


# -- whatever comes ---------------------------------------------------------------------------------------------

MESSAGES = st.one_of(
    st.binary(max_size=80),
    st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.tuples(st.sampled_from([b"n,,", b"y,,", b"n,a=x,", b"p=x,,"]), st.binary(max_size=30)).map(b"".join),
    st.tuples(st.sampled_from([b"n,,n=user,r=", b"c=biws,r=", b"\0user\0"]), st.binary(max_size=30)).map(
        b"".join
    ),
    st.sampled_from([CLIENT_FIRST, CLIENT_FINAL]),
)


@given(st.sampled_from([PlainExchange, ScramExchange, ExternalExchange]), st.lists(MESSAGES, max_size=4))
@settings(max_examples=300, deadline=None)
async def test_whatever_bytes_come_only_a_refusal_is_raised(kind: Any, messages: list[bytes]) -> None:
    exchange = kind(Judge())
    for message in messages:
        try:
            answer = await exchange.step(message)
        except Refusal:
            continue
        assert isinstance(answer, (bytes, Identity))
