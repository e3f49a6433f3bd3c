"""How long what a provider's session opened lasts: 30 minutes a connection, 4 hours in all, and not beyond its end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from mail_server.accounts.oidc.checks import LogoutNotice
from mail_server.accounts.oidc.interface import ProvenIdentity, TokenRefused
from mail_server.accounts.oidc.sessions import OpenSessions
from mail_server.accounts.oidc.settings import ProviderSettings
from mail_server.store.model import AccountId
from tests.mail_server.accounts.oidc.conftest import PAUL, Clock, World

GP = AccountId("gp")
MINUTE = 60_000


@dataclass
class Sessions:
    clock: Clock
    settings: ProviderSettings
    bound: dict[str, str] = field(default_factory=dict[str, str])
    ended: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def __post_init__(self) -> None:
        self.open_sessions = OpenSessions(self.clock.ms, lambda account: self.bound.get(account, "1"))
        self.open_sessions.ended.append(lambda account, credential: self.ended.append((account, credential)))

    def open(self, proven: ProvenIdentity | None = None, account: AccountId = GP) -> tuple[str, int]:
        login = self.open_sessions.open(proven or self.proven(), account, self.settings)
        return login.credential, login.until

    def proven(self, session: str = "s1", token: str = "t1", *, ago: float = 0) -> ProvenIdentity:
        return ProvenIdentity(
            "psc", "f:1:2", session, token, authenticated=self.clock.ms() - int(ago * MINUTE), expires=2**50
        )

    def refusal(self, proven: ProvenIdentity | None = None) -> str:
        with pytest.raises(TokenRefused) as caught:
            self.open(proven)
        return caught.value.reason


@pytest.fixture
def sessions(clock: Clock, psc_settings: ProviderSettings) -> Sessions:
    return Sessions(clock, psc_settings)


def test_a_connection_lasts_half_an_hour(sessions: Sessions, clock: Clock) -> None:
    credential, until = sessions.open()
    assert until == clock.ms() + 30 * MINUTE
    assert credential.startswith("oidc:")
    assert len(credential) == 25


def test_the_same_session_and_account_have_one_credential(sessions: Sessions) -> None:
    proven = sessions.proven()
    first, _ = sessions.open(proven)
    again, _ = sessions.open(replace(proven, token="t2"))
    assert again == first
    assert sessions.open(proven, AccountId("autre"))[0] != first
    assert sessions.open(sessions.proven("s2"))[0] != first


def test_no_connection_goes_beyond_four_hours_after_the_person_proved_themselves(
    sessions: Sessions, clock: Clock
) -> None:
    proven = sessions.proven(ago=3 * 60 + 50)
    assert sessions.open(proven)[1] == clock.ms() + 10 * MINUTE
    clock.pass_(minutes=10)
    assert sessions.refusal(proven) == "session-too-old"


def test_a_session_first_seen_late_is_as_old_as_it_is(sessions: Sessions) -> None:
    assert sessions.refusal(sessions.proven(ago=4 * 60)) == "session-too-old"


def test_a_clock_ahead_at_the_provider_gives_nothing_more(sessions: Sessions, clock: Clock) -> None:
    credential, _ = sessions.open(sessions.proven(ago=-30))
    clock.pass_(hours=4)
    assert not sessions.open_sessions.holds(GP, credential)


def test_it_holds_for_its_account_alone_and_in_time(sessions: Sessions, clock: Clock) -> None:
    credential, _ = sessions.open()
    holds = sessions.open_sessions.holds
    assert holds(GP, credential)
    assert not holds(AccountId("autre"), credential)
    assert not holds(GP, "oidc:aaaaaaaaaaaaaaaaaaaa")
    clock.pass_(hours=4)
    assert not holds(GP, credential)


def test_it_holds_no_more_once_the_account_is_somebody_elses(sessions: Sessions) -> None:
    credential, _ = sessions.open()
    sessions.bound[GP] = "2"
    assert not sessions.open_sessions.holds(GP, credential)


def test_the_end_at_the_provider_is_told_and_lasts(sessions: Sessions) -> None:
    proven = sessions.proven()
    credential, _ = sessions.open(proven)
    sessions.open_sessions.end("psc", LogoutNotice("f:1:2", "s1", "j"))
    assert sessions.ended == [(GP, credential)]
    assert not sessions.open_sessions.holds(GP, credential)
    assert sessions.refusal(proven) == "revoked"


def test_another_provider_ends_nothing_of_this_one(sessions: Sessions) -> None:
    sessions.open()
    sessions.open_sessions.end("autre", LogoutNotice("f:1:2", "s1", "j"))
    assert sessions.ended == []


def test_a_logout_of_the_person_lets_them_in_again_once_they_prove_themselves_again(
    sessions: Sessions, clock: Clock
) -> None:
    proven = sessions.proven()
    sessions.open(proven)
    clock.pass_(minutes=1)
    sessions.open_sessions.end("psc", LogoutNotice("f:1:2", "", "j"))
    assert len(sessions.ended) == 1
    assert sessions.refusal(proven) == "revoked"
    clock.pass_(minutes=1)
    assert sessions.open(sessions.proven("s2"))[0]


def test_a_provider_that_names_no_session_has_one_per_login(sessions: Sessions, clock: Clock) -> None:
    first = sessions.proven("")
    credential, _ = sessions.open(first)
    clock.pass_(hours=4)
    assert sessions.refusal(first) == "session-too-old"
    assert sessions.open(sessions.proven(""))[0] != credential


def test_a_token_taken_back_closes_what_it_opened_and_bans_nobody(sessions: Sessions) -> None:
    credential, _ = sessions.open()
    sessions.open_sessions.token_revoked("psc", "f:1:2", "inconnu")
    assert sessions.ended == []
    sessions.open_sessions.token_revoked("psc", "f:1:2", "t1")
    assert sessions.ended == [(GP, credential)]
    assert sessions.open(sessions.proven(token="t2"))[0] != credential


def test_a_listener_that_fails_keeps_the_others_from_nothing(sessions: Sessions) -> None:
    def failing(account: AccountId, credential: str) -> None:
        raise RuntimeError

    sessions.open_sessions.ended.insert(0, failing)
    sessions.open()
    sessions.open_sessions.end("psc", LogoutNotice("f:1:2", "s1", "j"))
    assert len(sessions.ended) == 1


def test_what_is_long_over_is_forgotten(sessions: Sessions, clock: Clock) -> None:
    sessions.open()
    sessions.open_sessions.end("psc", LogoutNotice("autre", "s9", "j"))
    clock.pass_(hours=29)
    sessions.open_sessions.sweep()
    assert len(sessions.open_sessions) == 0


# -- with tokens


@pytest.fixture
async def opened(world: World) -> tuple[World, str, str, list[tuple[str, str]]]:
    ended: list[tuple[str, str]] = []
    world.service.ended.append(lambda account, credential: ended.append((account, credential)))
    token = world.token()
    login = world.service.open(await world.service.verify(token), AccountId("claire"))
    return world, token, login.credential, ended


async def test_a_token_revoked_in_mid_connection_ends_it_when_it_is_shown_again(
    opened: tuple[World, str, str, list[tuple[str, str]]],
) -> None:
    world, token, credential, ended = opened
    world.psc.revoke(token)
    with pytest.raises(TokenRefused, match="revoked"):
        await world.service.verify(token)
    assert ended == [("claire", credential)]


async def test_somebody_elses_revoked_token_ends_nothing(
    opened: tuple[World, str, str, list[tuple[str, str]]],
) -> None:
    world, _, _, ended = opened
    other = world.token(PAUL)
    world.psc.revoke(other)
    with pytest.raises(TokenRefused, match="revoked"):
        await world.service.verify(other)
    assert ended == []


async def test_a_token_is_kept_nowhere_in_the_service(
    opened: tuple[World, str, str, list[tuple[str, str]]],
) -> None:
    world, token, _, _ = opened
    signature = token.rpartition(".")[2].encode()
    assert signature not in texts_within(world.service)


def texts_within(root: object) -> bytes:
    """Every text and byte string that our own objects hold, however deep."""
    seen: set[int] = set()
    texts: list[bytes] = []
    waiting: list[Any] = [root]
    while waiting:
        each: object = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, str):
            texts.append(each.encode("utf-8", "replace"))
        elif isinstance(each, bytes | bytearray):
            texts.append(bytes(each))
        elif isinstance(each, dict):
            held = cast("dict[Any, Any]", each)
            waiting += [*held.keys(), *held.values()]
        elif isinstance(each, list | tuple | set | frozenset):
            waiting += cast("list[Any]", each)
        elif type(each).__module__.startswith("mail_server"):
            names: list[str] = [*getattr(each, "__dict__", ()), *getattr(type(each), "__slots__", ())]
            waiting += [getattr(each, name, None) for name in names]
    assert len(texts) > 50
    return b"\n".join(texts)
