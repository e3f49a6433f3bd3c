"""What a mail program's token must be to open anything (reference/mssante.md, rows 17 to 19)."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from mail_server.accounts.oidc.discovery import endpoints
from mail_server.accounts.oidc.interface import TokenRefused
from mail_server.accounts.oidc.service import OidcService
from mail_server.accounts.oidc.settings import OidcSettings, ProviderSettings
from tests.mail_server.accounts.oidc.conftest import CLAIRE, IDLE, PAUL, Clock, World, make


async def refusal(world: World, token: str) -> str:
    with pytest.raises(TokenRefused) as caught:
        await world.service.verify(token)
    return caught.value.reason


async def test_a_good_token_speaks_for_its_person(world: World) -> None:
    proven = await world.service.verify(world.token())
    assert proven.national_id == CLAIRE.national_id
    assert (proven.provider, proven.acr, proven.practising) == ("psc", 1, True)
    assert proven.session
    assert proven.token


async def test_neither_token_nor_person_shows_in_a_repr(world: World) -> None:
    proven = await world.service.verify(world.token())
    assert CLAIRE.national_id not in repr(proven)
    assert proven.session not in repr(proven)


async def test_who_practises_in_two_places_comes_in(world: World) -> None:
    assert (await world.service.verify(world.token(PAUL))).national_id == PAUL.national_id


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "https://ailleurs.example.org"}, "wrong-issuer"),
        ({"aud": "autre-service"}, "wrong-audience"),
        ({"aud": []}, "wrong-audience"),
        ({"azp": "logiciel-inconnu"}, "wrong-audience"),
        ({"acr": "eidas0"}, "acr-too-low"),
        ({"acr": None}, "acr-too-low"),
        ({"typ": "ID"}, "wrong-type"),
        ({"typ": "Refresh"}, "wrong-type"),
        ({"typ": None}, "wrong-type"),
        ({"exp": None}, "malformed"),
        ({"exp": True}, "malformed"),
        ({"sub": ""}, "no-identity"),
    ],
)
async def test_a_claim_that_is_not_as_it_must_be(
    world: World, claims: dict[str, object], reason: str
) -> None:
    assert await refusal(world, world.token(claims=claims)) == reason


async def test_a_level_above_the_one_asked_for_passes(world: World) -> None:
    world.psc.acr = "eidas3"
    assert (await world.service.verify(world.token())).acr == 3


async def test_an_unsigned_token(world: World) -> None:
    assert await refusal(world, world.token(algorithm="none")) == "wrong-algorithm"


async def test_a_token_signed_by_hmac_with_the_public_key_as_secret(world: World) -> None:
    assert await refusal(world, world.token(algorithm="HS256")) == "wrong-algorithm"


async def test_a_token_whose_contents_were_changed(world: World) -> None:
    head, _, signature = world.token(CLAIRE).split(".")
    body = world.token(PAUL).split(".")[1]
    assert await refusal(world, f"{head}.{body}.{signature}") == "bad-signature"


async def test_an_expired_token(world: World, clock: Clock) -> None:
    token = world.token()
    clock.pass_(minutes=2, seconds=31)  # the skew that is allowed is over as well
    assert await refusal(world, token) == "expired"


async def test_a_token_of_the_future(world: World, clock: Clock) -> None:
    later = int(clock.at) + 60
    assert await refusal(world, world.token(claims={"iat": later})) == "not-yet-valid"
    assert await refusal(world, world.token(claims={"nbf": later})) == "not-yet-valid"


async def test_clocks_that_differ_by_little(world: World, clock: Clock) -> None:
    assert await world.service.verify(world.token(claims={"iat": int(clock.at) + 20}))


async def test_a_revoked_token(world: World) -> None:
    token = world.token()
    await world.service.verify(token)
    world.psc.revoke(token)
    assert await refusal(world, token) == "revoked"


async def test_a_token_whose_session_ended_at_the_provider(world: World) -> None:
    token = world.token()
    for session in world.psc.sessions.values():
        world.psc.end(session)
    assert await refusal(world, token) == "revoked"


async def test_a_key_that_the_issuer_does_not_publish(world: World) -> None:
    assert await refusal(world, world.token(header={"kid": "inconnue"})) == "unknown-key"


async def test_unknown_keys_make_the_provider_asked_once_a_minute(world: World, clock: Clock) -> None:
    await world.service.verify(world.token())
    clock.pass_(seconds=61)
    before = world.psc.asked
    for _ in range(20):
        await refusal(world, world.token(header={"kid": "inconnue"}))
    assert world.psc.asked == before + 1


async def test_keys_that_were_changed_are_read_again(world: World, clock: Clock) -> None:
    await world.service.verify(world.token())
    clock.pass_(seconds=61)
    world.psc.signer.rotate()
    assert await world.service.verify(world.token())


async def test_a_key_that_the_issuer_took_back_signs_nothing_once_keys_are_read_again(
    world: World, clock: Clock, psc_settings: ProviderSettings
) -> None:
    stolen, published = world.psc.signer, world.psc.signer
    await world.service.verify(world.token())
    assert stolen is published
    old = stolen._keys  # pyright: ignore[reportPrivateUsage]
    clock.pass_(minutes=16)
    stolen.rotate()
    await world.service.verify(world.token())
    stolen._keys = [*old, *stolen._keys]  # pyright: ignore[reportPrivateUsage]
    forged = world.token()
    stolen._keys = stolen._keys[1:]  # pyright: ignore[reportPrivateUsage]
    assert await refusal(world, forged) == "unknown-key"


async def test_nothing_is_believed_while_keys_are_too_old_and_cannot_be_read(
    world: World, clock: Clock
) -> None:
    await world.service.verify(world.token())
    clock.pass_(minutes=16)
    world.psc.down = True
    assert await refusal(world, world.token()) == "provider-unreachable"


async def test_a_provider_that_is_down_is_a_temporary_refusal(world: World) -> None:
    world.psc.down = True
    with pytest.raises(TokenRefused) as caught:
        await world.service.verify(world.token())
    assert caught.value.temporary
    assert world.service.counters.provider_failures == 1


async def test_an_id_token_is_no_access_token(world: World) -> None:
    tokens = world.psc.tokens_for(CLAIRE.name, "vaguemestre")
    assert await refusal(world, tokens["id_token"]) == "wrong-type"


async def test_a_logout_token_is_no_access_token(world: World) -> None:
    session = world.psc.log_in(CLAIRE.name, "vaguemestre")
    assert await refusal(world, world.psc.logout_token("vaguemestre", session)) == "wrong-type"


async def test_a_token_of_the_patients_provider(world: World) -> None:
    assert (
        await refusal(world, world.token(claims={"iss": world.providers.vitale.realm.issuer}))
        == "wrong-issuer"
    )


async def test_a_national_identifier_with_a_wrong_digit(world: World) -> None:
    wrong = CLAIRE.national_id[:-1] + str((int(CLAIRE.national_id[-1]) + 1) % 10)
    world.psc.people[CLAIRE.name] = CLAIRE
    token = world.token(claims={"SubjectNameID": wrong})
    # The provider's answer about the token outweighs what it signed two minutes ago.
    assert (await world.service.verify(token)).national_id == CLAIRE.national_id


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "ey.ey.ey", "eyJ9.e30.", "é", "ey" * 20_000, "a b"])
async def test_what_is_no_token_at_all(world: World, token: str) -> None:
    assert await refusal(world, token) in ("malformed", "wrong-issuer", "revoked")


async def test_who_has_no_activity_left_loses_practice_and_is_refused(world: World) -> None:
    with pytest.raises(TokenRefused) as caught:
        await world.service.verify(world.token(IDLE))
    assert (caught.value.reason, caught.value.account) == ("practice-lost", "ines")
    assert world.people.struck == [("ines", "provider:psc")]


async def test_who_was_struck_off_since_loses_practice_at_the_next_token(world: World) -> None:
    await world.service.verify(world.token())
    world.psc.strike_off(CLAIRE.name)
    assert await refusal(world, world.token()) == "practice-lost"
    assert world.people.struck == [("claire", "provider:psc")]


async def test_a_profession_alone_is_enough_where_the_operator_says_so(
    clock: Clock, psc_settings: ProviderSettings
) -> None:
    world = await make(clock, psc_settings.model_copy(update={"practice_needs": "exercise"}))
    assert (await world.service.verify(world.token(IDLE))).practising
    world.psc.strike_off(IDLE.name)
    assert await refusal(world, world.token(IDLE)) == "practice-lost"
    await world.service.close()


async def test_an_answer_about_one_token_is_remembered_for_seconds_and_no_longer(
    clock: Clock, psc_settings: ProviderSettings
) -> None:
    world = await make(clock, psc_settings.model_copy(update={"introspection_memory": 5.0}))
    token = world.token()
    await world.service.verify(token)
    world.psc.revoke(token)
    before = world.psc.asked
    await world.service.verify(token)
    assert world.psc.asked == before
    clock.pass_(seconds=6)
    assert await refusal(world, token) == "revoked"
    await world.service.close()


async def test_without_providers_nothing_is_offered_and_all_is_refused(clock: Clock) -> None:
    world = await make(clock)
    assert not world.service.offered()
    assert await refusal(world, world.token()) == "unknown-key"
    await world.service.close()


async def test_the_failure_challenge_names_scope_and_configuration(world: World) -> None:
    scope, address = world.service.configuration()
    assert scope == "openid scope_all"
    assert address.endswith("/.well-known/wallet-openid-configuration")


class _KeysDown:
    """The provider's keys are not there; the rest of it is. Counts who asks."""

    def __init__(self, inner: httpx.AsyncBaseTransport, clock: Clock, seconds: float = 0) -> None:
        self.asked = 0
        self._inner = inner
        self._clock = clock
        self._seconds = seconds

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/certs"):
            return await self._inner.handle_async_request(request)
        self.asked += 1
        await asyncio.sleep(0)
        self._clock.pass_(seconds=self._seconds)
        return httpx.Response(503, json={})


async def test_keys_that_cannot_be_read_are_asked_for_once_however_many_programs_wait(
    world: World, clock: Clock, psc_settings: ProviderSettings
) -> None:
    down = _KeysDown(httpx.ASGITransport(world.providers.application()), clock, seconds=5)
    service = OidcService(
        OidcSettings(providers=(psc_settings,)),
        world.people,
        clock=clock.ms,
        transport=httpx.MockTransport(down),
    )
    token = world.token()
    refused = await asyncio.gather(*(service.verify(token) for _ in range(50)), return_exceptions=True)
    assert {each.reason for each in refused if isinstance(each, TokenRefused)} == {"provider-unreachable"}
    assert (len(refused), down.asked) == (50, 1)
    clock.pass_(seconds=3)
    with pytest.raises(TokenRefused):
        await service.verify(token)
    assert down.asked == 2
    await service.close()


async def test_a_provider_elsewhere_does_not_send_the_node_to_its_own_machine() -> None:
    issuer = "https://fournisseur.example.org"
    document = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/a",
        "token_endpoint": f"{issuer}/t",
        "jwks_uri": "http://127.0.0.1:5432/certs",
    }
    with pytest.raises(TokenRefused) as caught:
        endpoints(document, issuer)
    assert caught.value.reason == "malformed"
    found = endpoints({**document, "jwks_uri": f"{issuer}/k", "userinfo_endpoint": "http://[::1]/u"}, issuer)
    assert (found.keys, found.userinfo) == (f"{issuer}/k", "")
