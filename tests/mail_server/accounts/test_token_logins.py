"""Who comes in by a token of an identity provider, into which mailbox, and for how long."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from mail_server.accounts.authenticator import PasswordAuthenticator
from mail_server.accounts.interface import Account, Identity, Kind, Peer
from mail_server.accounts.oidc.interface import ProvenIdentity, ProviderLogin, TokenRefused
from mail_server.accounts.settings import AccountsSettings
from mail_server.accounts.standing import Ended, ended
from mail_server.store.model import AccountId
from policies.decisions import CedarDecisions
from policies.refusal import Refusal

GP, OTHER, WARD = "dr@chu.mssante.fr", "autre@chu.mssante.fr", "service@chu.mssante.fr"
HALF_AN_HOUR = 1_800_000


@dataclass
class Provider:
    """Tokens by their text; sessions that tests end."""

    by: dict[str, ProvenIdentity | TokenRefused] = field(default_factory=dict)
    refuse_open: TokenRefused | None = None
    over: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    ended: list[Callable[[AccountId, str], None]] = field(default_factory=list)

    def offered(self) -> bool:
        return True

    def configuration(self) -> tuple[str, str]:
        return "openid scope_all", "https://id.example.org/.well-known/openid-configuration"

    async def verify(self, token: str) -> ProvenIdentity:
        self.asked.append(token)
        found = self.by.get(token, TokenRefused("malformed"))
        if isinstance(found, TokenRefused):
            raise found
        return found

    def open(self, proven: ProvenIdentity, account: AccountId) -> ProviderLogin:
        if self.refuse_open is not None:
            raise self.refuse_open
        return ProviderLogin(f"oidc:{proven.subject}", int(time.time() * 1000) + HALF_AN_HOUR)

    def holds(self, account: AccountId, credential: str) -> bool:
        return credential.startswith("oidc:") and credential not in self.over


@dataclass
class Hall:
    """The house, with a provider at its door."""

    house: Any
    provider: Provider
    authenticator: PasswordAuthenticator

    async def person(self, address: str, rpps: str) -> Account:
        account = await self.house.accounts.add(address, Kind.PER)
        await self.house.accounts.bind_national_id(account.id, rpps, "console:test")
        self.provider.by[token_of(address)] = ProvenIdentity(
            "psc", f"sub-{address}", "sid", "jti", national_id=rpps, acr=1
        )
        return self.house.accounts.by_id(account.id)

    async def comes(self, peer: Peer, user: str, token: str, mechanism: str = "XOAUTH2") -> Identity:
        exchange = self.authenticator.begin(mechanism, peer)
        if mechanism == "XOAUTH2":
            message = f"user={user}\x01auth=Bearer {token}\x01\x01"
        else:
            message = f"n,{f'a={user}' if user else ''},\x01auth=Bearer {token}\x01\x01"
        step = await exchange.step(message.encode())
        if isinstance(step, bytes):
            step = await exchange.step(b"\x01")
        assert isinstance(step, Identity)
        return step

    async def refused(self, peer: Peer, user: str, token: str, mechanism: str = "XOAUTH2") -> Refusal:
        with pytest.raises(Refusal) as found:
            await self.comes(peer, user, token, mechanism)
        return found.value


def token_of(address: str) -> str:
    return f"token-of-{address.partition('@')[0]}"


@pytest.fixture
async def hall(house: Any) -> Hall:
    provider = Provider()
    house.accounts.provider_holds = provider.holds

    async def sleep(seconds: float) -> None:
        house.slept.append(seconds)

    authenticator = PasswordAuthenticator(
        house.accounts,
        CedarDecisions.load(),
        house.events.extend,
        AccountsSettings(domains=("chu.mssante.fr",)),
        tokens=provider,
        provider_sessions=provider,
        sleep=sleep,
    )
    return Hall(house, provider, authenticator)


@pytest.fixture
async def gp(hall: Hall) -> Account:
    return await hall.person(GP, rpps(1))


def rpps(number: int) -> str:
    """An identifier of the test range, its last digit by Luhn."""
    body = f"99700{number:05d}"
    digits = [int(each) for each in body[::-1]]
    total = sum(sum(divmod(2 * each, 10)) if at % 2 == 0 else each for at, each in enumerate(digits))
    return f"8{body}{-total % 10}"


# -- who is let in ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mechanism", "user"),
    [("XOAUTH2", GP), ("OAUTHBEARER", GP), ("OAUTHBEARER", ""), ("XOAUTH2", GP.upper())],
)
async def test_a_professional_opens_their_own_mailbox_for_half_an_hour(
    hall: Hall, gp: Account, peer: Peer, mechanism: str, user: str
) -> None:
    identity = await hall.comes(peer, user, token_of(GP), mechanism)
    assert (identity.account, identity.address, identity.mechanism) == (gp.id, GP, mechanism)
    assert (identity.credential, identity.acr) == (f"oidc:sub-{GP}", 1)
    assert identity.until is not None
    assert 0 < identity.until - time.time() * 1000 <= HALF_AN_HOUR
    event = hall.house.events[-1]
    assert (event.action, event.actor, event.subject) == ("login", gp.id, gp.id)
    assert event.detail["mechanism"] == mechanism
    assert "token-of" not in str(hall.house.events)


async def test_who_reads_a_shared_mailbox_may_name_it_and_stays_oneself(
    hall: Hall, gp: Account, peer: Peer
) -> None:
    ward = await hall.house.accounts.add(WARD, Kind.ORG)
    await hall.house.accounts.member_add(ward.id, gp.id)
    identity = await hall.comes(peer, WARD, token_of(GP))
    assert (identity.account, identity.address) == (gp.id, GP)


async def test_tokens_are_offered_only_where_a_provider_issues_them(
    house: Any, hall: Hall, peer: Peer
) -> None:
    assert set(hall.authenticator.mechanisms(peer)) >= {"OAUTHBEARER", "XOAUTH2"}
    assert not {"OAUTHBEARER", "XOAUTH2"} & set(house.authenticator.mechanisms(peer))
    with pytest.raises(Refusal) as refused:
        house.authenticator.begin("XOAUTH2", peer)
    assert refused.value.reason == "unknown-mechanism"


# -- who is not -------------------------------------------------------------------------------------------------


async def test_another_professionals_token_opens_nothing_and_says_whose_it_was(
    hall: Hall, gp: Account, peer: Peer
) -> None:
    # reference/mssante.md row 18
    other = await hall.person(OTHER, rpps(2))
    refused = await hall.refused(peer, GP, token_of(OTHER))
    assert (refused.code, refused.enhanced) == (535, "5.7.8")
    event = hall.house.events[-1]
    assert (event.action, event.actor, event.subject) == ("login-failed", other.id, gp.id)
    assert event.reference == refused.id


async def test_a_member_who_left_opens_the_wards_mailbox_no_more(hall: Hall, gp: Account, peer: Peer) -> None:
    ward = await hall.house.accounts.add(WARD, Kind.ORG)
    await hall.house.accounts.member_add(ward.id, gp.id)
    await hall.house.accounts.member_remove(ward.id, gp.id)
    assert (await hall.refused(peer, WARD, token_of(GP))).code == 535


async def test_a_mailbox_that_does_not_exist_reads_like_one_that_is_not_theirs(
    hall: Hall, gp: Account, peer: Peer
) -> None:
    await hall.house.accounts.add(WARD, Kind.ORG)
    unknown = await hall.refused(peer, "personne@chu.mssante.fr", token_of(GP))
    foreign = await hall.refused(peer, WARD, token_of(GP))
    assert (unknown.code, unknown.enhanced, unknown.sentence) == (
        foreign.code,
        foreign.enhanced,
        foreign.sentence,
    )


@pytest.mark.parametrize(
    "reason",
    [
        "expired",
        "wrong-issuer",
        "wrong-audience",
        "wrong-algorithm",
        "bad-signature",
        "acr-too-low",
        "revoked",
    ],
)
async def test_what_is_wrong_with_a_token_is_for_the_trace_alone(
    hall: Hall, gp: Account, peer: Peer, reason: str
) -> None:
    hall.provider.by["bad"] = TokenRefused(reason)
    refused = await hall.refused(peer, GP, "bad", "OAUTHBEARER")
    assert (refused.code, refused.sentence) == (535, "Authentication failed")
    assert hall.house.events[-1].outcome == reason


async def test_the_challenge_is_the_same_for_a_bad_token_and_a_foreign_mailbox(
    hall: Hall, gp: Account, peer: Peer
) -> None:
    await hall.person(OTHER, rpps(2))
    hall.provider.by["bad"] = TokenRefused("expired")
    challenges = [
        await hall.authenticator.begin("OAUTHBEARER", peer).step(
            f"n,a={user},\x01auth=Bearer {token}\x01\x01".encode()
        )
        for user, token in ((GP, "bad"), (GP, token_of(OTHER)), ("who@chu.mssante.fr", token_of(GP)))
    ]
    assert len(set(challenges)) == 1
    assert json.loads(challenges[0])["status"] == "invalid_token"


async def test_a_person_nobody_knows_here_and_one_who_lost_the_right_to_practise_stay_out(
    hall: Hall, gp: Account, peer: Peer
) -> None:
    hall.provider.by["stranger"] = ProvenIdentity("psc", "s", "sid", "jti", national_id=rpps(9), acr=1)
    hall.provider.by["struck-off"] = ProvenIdentity(
        "psc", "s", "sid", "jti", national_id=rpps(1), acr=1, practising=False
    )
    for token, reason in (("stranger", "person-unknown"), ("struck-off", "not-practising")):
        assert (await hall.refused(peer, GP, token)).code == 535
        assert hall.house.events[-1].outcome == reason


async def test_a_patients_provider_opens_no_mail_program(hall: Hall, gp: Account, peer: Peer) -> None:
    hall.provider.by["patient"] = ProvenIdentity("apcv", "s", "sid", "jti", ins="255069900000174", acr=2)
    assert (await hall.refused(peer, GP, "patient")).code == 535


async def test_a_provider_out_of_reach_is_a_matter_of_time(hall: Hall, gp: Account, peer: Peer) -> None:
    hall.provider.by["slow"] = TokenRefused("provider-unreachable", temporary=True)
    refused = await hall.refused(peer, GP, "slow")
    assert (refused.code, refused.enhanced) == (454, "4.7.0")
    assert not hall.house.slept, "nobody is slowed down for what is not their fault"


async def test_a_suspended_professional_is_not_let_in_by_a_token(hall: Hall, gp: Account, peer: Peer) -> None:
    await hall.house.accounts.suspend(gp.id, by="console:test")
    assert (await hall.refused(peer, GP, token_of(GP))).enhanced == "5.7.13"


async def test_a_session_of_more_than_four_hours_opens_nothing(hall: Hall, gp: Account, peer: Peer) -> None:
    hall.provider.refuse_open = TokenRefused("session-too-old")
    assert (await hall.refused(peer, GP, token_of(GP))).code == 535
    assert hall.house.events[-1].outcome == "session-too-old"


# -- how long it lasts ------------------------------------------------------------------------------------------


async def test_what_was_opened_ends_with_its_half_hour_its_session_and_its_account(
    hall: Hall, gp: Account, peer: Peer
) -> None:
    accounts = hall.house.accounts
    identity = await hall.comes(peer, GP, token_of(GP))
    assert identity.until is not None
    assert ended(accounts, identity) is None
    assert ended(accounts, identity, identity.until - 1) is None
    assert ended(accounts, identity, identity.until) is Ended.TIME
    hall.provider.over.add(identity.credential)
    assert ended(accounts, identity) is Ended.CREDENTIAL
    hall.provider.over.clear()
    await accounts.practice_set(gp.id, False, by="provider:psc")
    assert ended(accounts, identity) is not None
