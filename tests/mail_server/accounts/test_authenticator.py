"""Who is believed, what is traced, and what an outsider can tell from the answers."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hashlib
import hmac
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mail_server.accounts import app_passwords
from mail_server.accounts.authenticator import PasswordAuthenticator
from mail_server.accounts.interface import Identity, Kind, Peer
from mail_server.accounts.known import now_ms
from mail_server.accounts.settings import AccountsSettings
from mail_server.accounts.throttle import Throttle
from policies.decisions import CedarDecisions
from policies.refusal import Refusal

ADDRESS = "dr@chu.mssante.fr"
KEY = ec.generate_private_key(ec.SECP256R1())


@cache
def certificate(serial: int, issuer: str = "AC") -> bytes:
    def name(common: str) -> x509.Name:
        return x509.Name(
            [x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"), x509.NameAttribute(NameOID.COMMON_NAME, common)]
        )

    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder(
        name(issuer), name("dpi"), KEY.public_key(), serial, begin, begin + dt.timedelta(days=1)
    )
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


async def plain(house: Any, peer: Peer, user: str, password: str) -> Identity:
    identity = await house.authenticator.begin("PLAIN", peer).step(f"\0{user}\0{password}".encode())
    assert isinstance(identity, Identity)
    return identity


async def scram(house: Any, peer: Peer, user: str, password: str) -> Identity:
    """A client of RFC 5802, written from the RFC."""
    exchange = house.authenticator.begin("SCRAM-SHA-256", peer)
    bare = f"n={user},r=clientnonce"
    server_first = (await exchange.step(f"n,,{bare}".encode())).decode()
    fields = dict(each.split("=", 1) for each in server_first.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    final = f"c=biws,r={fields['r']}"
    message = f"{bare},{server_first},{final}".encode()
    signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature, strict=True))).decode()
    server_final = await exchange.step(f"{final},p={proof}".encode())
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    assert server_final == b"v=" + base64.b64encode(hmac.digest(server_key, message, "sha256"))
    identity = await exchange.step(b"")
    assert isinstance(identity, Identity)
    return identity


async def refusal(coroutine: Any) -> Refusal:
    with pytest.raises(Refusal) as refused:
        await coroutine
    return refused.value


# -- success ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [plain, scram])
async def test_an_app_password_proves_its_account(house: Any, peer: Peer, way: Any) -> None:
    account = await house.person(ADDRESS)
    identity = await way(house, peer, "DR@chu.mssante.fr", house.passwords[ADDRESS])
    (credential,) = house.accounts.app_passwords(account.id)
    mechanism = "PLAIN" if way is plain else "SCRAM-SHA-256"
    assert identity == Identity(account.id, ADDRESS, Kind.PER, mechanism, credential.id)
    (event,) = house.events
    assert (event.action, event.actor, event.outcome) == ("login", account.id, "done")
    assert (event.session, event.network) == ("session-1", "192.0.2.7")
    assert event.detail == {"mechanism": mechanism, "protocol": "imap", "credential": credential.id}
    assert house.accounts.last_used(credential) is not None


async def test_any_password_of_the_account_will_do_and_the_trace_tells_which(house: Any, peer: Peer) -> None:
    account = await house.person(ADDRESS)
    second = await house.accounts.app_password_create(account.id, "phone")
    assert (await scram(house, peer, ADDRESS, second.secret)).credential == second.id
    assert (await plain(house, peer, ADDRESS, second.secret)).credential == second.id


async def test_imap_login_is_plain_in_other_words(house: Any, peer: Peer) -> None:
    await house.person(ADDRESS)
    identity = await house.authenticator.login(ADDRESS, house.passwords[ADDRESS], peer)
    assert identity.mechanism == "PLAIN"


async def test_a_password_typed_without_hyphens_or_in_capitals_is_the_same(house: Any, peer: Peer) -> None:
    await house.person(ADDRESS)
    typed = house.passwords[ADDRESS].replace("-", " ").upper()
    assert await plain(house, peer, ADDRESS, typed)


async def test_a_password_just_verified_is_recognised_without_computing_it_again(
    house: Any, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await house.person(ADDRESS)
    await plain(house, peer, ADDRESS, house.passwords[ADDRESS])

    def computed(*_: object) -> bytes:
        raise AssertionError("computed again")

    monkeypatch.setattr(app_passwords, "salted", computed)
    await plain(house, peer, ADDRESS, house.passwords[ADDRESS])
    monkeypatch.undo()
    (credential,) = house.accounts.app_passwords(account.id)
    await house.accounts.app_password_revoke(account.id, credential.id)
    assert (await refusal(plain(house, peer, ADDRESS, house.passwords[ADDRESS]))).code == 535


# -- refusals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [plain, scram])
async def test_a_wrong_password_is_refused_and_traced_with_the_reference_shown(
    house: Any, peer: Peer, way: Any
) -> None:
    account = await house.person(ADDRESS)
    refused = await refusal(way(house, peer, ADDRESS, "abcd-abcd-abcd-abcd-abcd-abcd-abcd"))
    assert (refused.code, refused.enhanced) == (535, "5.7.8")
    (event,) = house.events
    assert (event.action, event.actor, event.outcome) == ("login-failed", account.id, "wrong-password")
    assert event.reference == refused.id


@pytest.mark.parametrize("way", [plain, scram])
async def test_an_unknown_user_cannot_be_told_from_a_wrong_password(house: Any, peer: Peer, way: Any) -> None:
    await house.person(ADDRESS)
    await house.accounts.add("ward@chu.mssante.fr", Kind.ORG)
    answers = {
        (refused.code, refused.enhanced, refused.sentence)
        for user in (ADDRESS, "nobody@chu.mssante.fr", "ward@chu.mssante.fr", "not an address")
        for refused in [await refusal(way(house, peer, user, "wrong"))]
    }
    assert len(answers) == 1


async def test_scram_challenges_an_unknown_user_as_steadily_as_a_known_one(house: Any, peer: Peer) -> None:
    await house.person(ADDRESS)

    async def challenge(user: str) -> tuple[int, str, str]:
        answer = await house.authenticator.begin("SCRAM-SHA-256", peer).step(f"n,,n={user},r=x".encode())
        nonce, salt, count = answer.decode().split(",")
        return len(nonce), salt, count

    known, unknown = await challenge(ADDRESS), await challenge("nobody@chu.mssante.fr")
    assert await challenge("nobody@chu.mssante.fr") == unknown
    assert (known[0], len(known[1]), known[2]) == (unknown[0], len(unknown[1]), unknown[2])
    assert known[1] != unknown[1]


async def test_an_unknown_user_costs_as_much_as_a_known_one(
    house: Any, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.person(ADDRESS)
    computed: list[int] = []
    real = app_passwords.salted

    def counted(secret: bytes, salt: bytes, iterations: int) -> bytes:
        computed.append(iterations)
        return real(secret, salt, iterations)

    monkeypatch.setattr(app_passwords, "salted", counted)
    await refusal(plain(house, peer, ADDRESS, "wrong"))
    await refusal(plain(house, peer, "nobody@chu.mssante.fr", "wrong"))
    assert computed == [4096, 4096]


async def test_nobody_acts_as_another(house: Any, peer: Peer) -> None:
    await house.person(ADDRESS)
    message = f"other@chu.mssante.fr\0{ADDRESS}\0{house.passwords[ADDRESS]}".encode()
    refused = await refusal(house.authenticator.begin("PLAIN", peer).step(message))
    assert (refused.code, refused.reason) == (535, "authorization")


async def test_a_suspended_account_is_told_so_only_once_it_proved_itself(house: Any, peer: Peer) -> None:
    account = await house.person(ADDRESS)
    await house.accounts.suspend(account.id)
    assert (await refusal(plain(house, peer, ADDRESS, "wrong"))).enhanced == "5.7.8"
    for way in (plain, scram):
        refused = await refusal(way(house, peer, ADDRESS, house.passwords[ADDRESS]))
        assert (refused.code, refused.enhanced, refused.reason) == (535, "5.7.13", "log-in-suspended")
    await house.accounts.reinstate(account.id)
    assert await plain(house, peer, ADDRESS, house.passwords[ADDRESS])


async def test_an_app_password_serves_its_protocols_and_its_time_only(house: Any, peer: Peer) -> None:
    account = await house.accounts.add(ADDRESS, Kind.PER)
    smtp = await house.accounts.app_password_create(account.id, "sends only", protocols=["submission"])
    old = await house.accounts.app_password_create(account.id, "old", expires=now_ms() + 1000)
    await asyncio.sleep(1.05)
    for secret, reason in ((smtp.secret, "wrong-protocol"), (old.secret, "password-expired")):
        for way in (plain, scram):
            refused = await refusal(way(house, peer, ADDRESS, secret))
            assert (refused.code, refused.enhanced, refused.sentence) == (
                535,
                "5.7.8",
                "Authentication failed",
            )
            assert house.events[-1].outcome == reason, "the trace says what the peer is not told"
    assert await plain(house, replace(peer, protocol="submission"), ADDRESS, smtp.secret)


@pytest.mark.parametrize("way", [plain, scram])
async def test_an_app_password_serves_from_its_ranges_only(house: Any, peer: Peer, way: Any) -> None:
    account = await house.accounts.add(ADDRESS, Kind.PER)
    new = await house.accounts.app_password_create(
        account.id, "cabinet", network="198.51.100.0/24 2001:db8::/32"
    )
    refused = await refusal(way(house, peer, ADDRESS, new.secret))
    assert (refused.code, refused.sentence) == (535, "Authentication failed")
    event = house.events[-1]
    assert (event.outcome, event.network, event.reference) == ("wrong-network", "192.0.2.7", refused.id)
    for address in ("198.51.100.9", "2001:db8::9", "::ffff:198.51.100.9"):
        assert await way(house, replace(peer, address=address), ADDRESS, new.secret)
    assert house.accounts.last_place(house.accounts.app_passwords(account.id)[0]) == "198.51.100.9"


async def test_a_password_known_a_moment_ago_is_still_bound_to_its_ranges(house: Any, peer: Peer) -> None:
    account = await house.accounts.add(ADDRESS, Kind.PER)
    new = await house.accounts.app_password_create(account.id, "cabinet", network="192.0.2.0/24")
    assert await plain(house, peer, ADDRESS, new.secret)
    assert await refusal(plain(house, replace(peer, address="203.0.113.5"), ADDRESS, new.secret))


async def test_who_lost_the_right_to_practise_is_not_let_in_by_a_password(house: Any, peer: Peer) -> None:
    account = await house.person(ADDRESS)
    await house.accounts.practice_set(account.id, False, by="provider:psc")
    for way in (plain, scram):
        assert (await refusal(way(house, peer, ADDRESS, house.passwords[ADDRESS]))).code == 535
        assert house.events[-1].outcome == "log-in-not-practising"


async def test_a_password_revoked_between_the_two_messages_of_scram_is_refused(
    house: Any, peer: Peer
) -> None:
    account = await house.person(ADDRESS)
    (credential,) = house.accounts.app_passwords(account.id)
    exchange = house.authenticator.begin("SCRAM-SHA-256", peer)
    server_first = (await exchange.step(f"n,,n={ADDRESS},r=c".encode())).decode()
    await house.accounts.app_password_revoke(account.id, credential.id)
    fields = dict(each.split("=", 1) for each in server_first.split(","))
    salted = app_passwords.salted(house.passwords[ADDRESS].encode(), base64.b64decode(fields["s"]), 4096)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    message = f"n={ADDRESS},r=c,{server_first},c=biws,r={fields['r']}".encode()
    signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature, strict=True))).decode()
    assert (await refusal(exchange.step(f"c=biws,r={fields['r']},p={proof}".encode()))).code == 535


# -- before TLS, unknown mechanisms -------------------------------------------------------------------------------


async def test_nothing_is_offered_or_begun_before_tls(house: Any, peer: Peer) -> None:
    clear = replace(peer, tls=False)
    assert house.authenticator.mechanisms(clear) == ()
    for mechanism in ("PLAIN", "SCRAM-SHA-256", "EXTERNAL", "NTLM"):
        with pytest.raises(Refusal) as refused:
            house.authenticator.begin(mechanism, clear)
        assert (refused.value.code, refused.value.enhanced) == (538, "5.7.11")
    assert (await refusal(house.authenticator.login(ADDRESS, "x", clear))).code == 538


async def test_an_unknown_mechanism_is_refused(house: Any, peer: Peer) -> None:
    assert house.authenticator.mechanisms(peer) == ["SCRAM-SHA-256", "PLAIN"]
    for mechanism in ("NTLM", "", "EXTERNAL"):
        with pytest.raises(Refusal) as refused:
            house.authenticator.begin(mechanism, peer)
        assert (refused.value.code, refused.value.enhanced) == (504, "5.5.4")
    assert house.authenticator.begin("plain", peer)


# -- EXTERNAL -----------------------------------------------------------------------------------------------------


async def test_a_bound_certificate_speaks_for_its_account(house: Any, peer: Peer) -> None:
    robot = await house.accounts.add("dpi@chu.mssante.fr", Kind.APP)
    binding = await house.accounts.bind_certificate(robot.id, certificate(1))
    system = replace(peer, protocol="submission", certificate=certificate(1))
    assert house.authenticator.mechanisms(system)[0] == "EXTERNAL"
    for authorization in (b"", b"DPI@chu.mssante.fr"):
        identity = await house.authenticator.begin("EXTERNAL", system).step(authorization)
        assert identity == Identity(robot.id, robot.address, Kind.APP, "EXTERNAL", binding.id)
    refused = await refusal(house.authenticator.begin("EXTERNAL", system).step(b"other@chu.mssante.fr"))
    assert refused.reason == "authorization"
    await house.accounts.suspend(robot.id)
    assert (await refusal(house.authenticator.begin("EXTERNAL", system).step(b""))).enhanced == "5.7.13"


async def test_an_unbound_certificate_is_not_offered_external_and_is_refused(house: Any, peer: Peer) -> None:
    robot = await house.accounts.add("dpi@chu.mssante.fr", Kind.APP)
    await house.accounts.bind_certificate(robot.id, certificate(1))
    stranger = replace(peer, certificate=certificate(2))
    assert "EXTERNAL" not in house.authenticator.mechanisms(stranger)
    refused = await refusal(house.authenticator.begin("EXTERNAL", stranger).step(b""))
    assert (refused.code, refused.reason) == (535, "certificate-not-bound")
    assert house.events[-1].outcome == "certificate-not-bound"
    assert house.authenticator.mechanisms(replace(peer, certificate=b"rubbish")) == ["SCRAM-SHA-256", "PLAIN"]


async def test_a_binding_by_name_outlives_a_renewal_but_not_another_issuer(house: Any, peer: Peer) -> None:
    robot = await house.accounts.add("dpi@chu.mssante.fr", Kind.APP)
    await house.accounts.bind_certificate(robot.id, subject="cn=DPI, c=fr", issuer="CN=AC,C=FR")
    renewed = replace(peer, certificate=certificate(99))
    assert isinstance(await house.authenticator.begin("EXTERNAL", renewed).step(b""), Identity)
    foreign = replace(peer, certificate=certificate(1, issuer="Another AC"))
    assert (await refusal(house.authenticator.begin("EXTERNAL", foreign).step(b""))).code == 535


# -- failures that repeat -----------------------------------------------------------------------------------------


async def test_repeated_failures_wait_longer_and_longer_and_a_right_password_never(
    house: Any, peer: Peer
) -> None:
    await house.person(ADDRESS)
    for _ in range(6):
        await refusal(plain(house, peer, ADDRESS, "wrong"))
    assert house.slept == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    house.slept.clear()
    assert await plain(house, peer, ADDRESS, house.passwords[ADDRESS])
    assert house.slept == []
    await refusal(plain(house, peer, ADDRESS, "wrong"))
    assert house.slept == [0.5], "a success forgets"


async def test_failures_of_one_place_do_not_delay_another(house: Any, peer: Peer) -> None:
    await house.person(ADDRESS)
    for _ in range(5):
        await refusal(plain(house, peer, ADDRESS, "wrong"))
    house.slept.clear()
    await refusal(plain(house, replace(peer, address="198.51.100.1"), ADDRESS, "wrong"))
    assert house.slept == [0.5]


def test_a_place_that_tries_many_addresses_waits_and_is_checked_behind_the_others() -> None:
    now = [0.0]
    throttle = Throttle(0.5, 8.0, 600.0, clock=lambda: now[0])
    waits = [throttle.failed("place", f"user{number}@x") for number in range(30)]
    assert waits[:20] == [0.5] * 20
    assert waits[-1] == 8.0
    assert throttle.suspect("place", "user99@x")
    assert not throttle.suspect("elsewhere", "user1@x")
    now[0] = 601.0
    assert not throttle.suspect("place", "user99@x")


async def test_what_is_traced_of_a_failure_never_holds_the_password(house: Any, peer: Peer) -> None:
    await refusal(plain(house, peer, "nobody@chu.mssante.fr", "hunter2secret"))
    await refusal(plain(house, peer, "hunter2secret", "hunter2secret"))
    assert "hunter2" not in repr(house.events)
    assert house.events[0].detail["address"] == "nobody@chu.mssante.fr"


def test_what_an_attacker_types_for_an_address_is_kept_no_longer_than_one() -> None:
    throttle = Throttle(0.5, 8.0, 600.0)
    throttle.failed("192.0.2.1", "x" * 60_000)
    assert max(len(address) for _, address in throttle._failures) == 320
    for _ in range(2):
        throttle.failed("192.0.2.1", "x" * 60_000)
    assert throttle.suspect("192.0.2.1", "x" * 60_000)
    throttle.succeeded("192.0.2.1", "x" * 60_000)
    assert not throttle.suspect("192.0.2.1", "x" * 60_000)


async def test_nobody_logs_in_while_the_trace_takes_no_more(house: Any, peer: Peer) -> None:
    await house.person(ADDRESS)
    authenticator = PasswordAuthenticator(
        house.accounts,
        CedarDecisions.load(),
        house.events.extend,
        AccountsSettings(domains=("chu.mssante.fr",)),
        trace_full=lambda: True,
    )
    with pytest.raises(Refusal) as refused:
        await authenticator.login(ADDRESS, house.passwords[ADDRESS], peer)
    assert (refused.value.code, refused.value.enhanced, refused.value.reason) == (454, "4.7.0", "trace-full")
    with pytest.raises(Refusal):
        authenticator.begin("SCRAM-SHA-256", peer)
    assert house.events == []
