"""TLS and authentication on the two roads."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl

import pytest

from mail_server.accounts.interface import Peer
from mail_server.delivery.interface import Road
from mail_server.smtp.server import Entrance, SmtpDoor
from mail_server.smtp.settings import SmtpSettings


def b64(text: bytes) -> str:
    return base64.b64encode(text).decode()


async def test_commands_smuggled_before_tls_are_dropped(world):
    talker = await world.connect(Entrance.SUBMISSION)
    await talker.hello()
    await talker.send(b"STARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@example.org>\r\n")
    await talker.transcript("S: 220 2.0.0 Ready to start TLS")
    await talker.writer.start_tls(world.pki.client(""))
    assert await talker.ask("NOOP") == "250 2.0.0 OK"  # and no answer to the others came before
    assert await talker.ask("AUTH PLAIN =") == "503 5.5.1 Send EHLO first"
    assert world.delivery.audited == ["clear-text-after-starttls"]


async def test_after_starttls_the_client_is_a_stranger(world):
    talker = await world.connect(Entrance.OPERATOR)
    await talker.hello()
    await talker.starttls("operator")
    assert await talker.ask("MAIL FROM:<a@example.org>") == "503 5.5.1 Send EHLO first"
    assert "STARTTLS" not in await talker.hello()


async def test_starttls_takes_no_argument(world):
    talker = await world.connect(Entrance.OPERATOR)
    assert (await talker.ask("STARTTLS now")).startswith("501 5.5.4 ")


async def handshake(world, entrance: Entrance, context: ssl.SSLContext) -> None:
    """Try a handshake and one command; the server's refusal may come at either."""
    with contextlib.suppress(OSError, AssertionError):
        if entrance is Entrance.SUBMISSIONS:
            _, writer = await asyncio.open_connection("127.0.0.1", world.door.ports[entrance], ssl=context)
            writer.close()
        else:
            talker = await world.connect(entrance)
            await talker.transcript("C: STARTTLS\nS: 220 *")
            await talker.writer.start_tls(context)
            assert await talker.ask("EHLO x") == ""


@pytest.mark.parametrize("entrance", list(Entrance))
@pytest.mark.parametrize(
    ("certificate", "cause"), [("expired", "certificate-expired"), ("stranger", "chain-foreign")]
)
async def test_a_certificate_that_does_not_verify_ends_the_handshake_and_is_audited(
    world, entrance: Entrance, certificate: str, cause: str
):
    await handshake(world, entrance, world.pki.client(certificate))
    await world.until(lambda: bool(world.delivery.audit))
    road, peer, reason, detail = world.delivery.audit[0]
    assert (reason, detail) == ("handshake-failed", (("cause", cause),))
    assert road is (Road.OPERATOR if entrance is Entrance.OPERATOR else Road.CLIENT)
    assert (peer.address, peer.tls) == ("127.0.0.1", False)
    assert world.delivery.senders == []
    await world.until(lambda: world.door.open_connections == 0)


@pytest.mark.parametrize("entrance", list(Entrance))
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
async def test_old_tls_is_refused(world, entrance: Entrance):
    old = world.pki.client("")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    await handshake(world, entrance, old)
    await world.until(lambda: world.delivery.audited == ["handshake-failed"])


async def test_a_port_scan_is_counted_but_not_audited(world):
    _, writer = await asyncio.open_connection("127.0.0.1", world.door.ports[Entrance.SUBMISSIONS])
    writer.close()
    await world.until(lambda: world.door.counters.handshakes_failed == 1)
    assert world.delivery.audit == []


async def test_a_handshake_that_stands_still_is_cut_off(open_door):
    world = await open_door(handshake_timeout_seconds=0.2)
    _, writer = await asyncio.open_connection("127.0.0.1", world.door.ports[Entrance.SUBMISSIONS])
    await world.until(lambda: world.door.counters.handshakes_failed == 1)
    await world.until(lambda: world.door.open_connections == 0)
    writer.close()


async def test_tls_1_2_with_the_suites_of_the_trust_space_is_served(world):
    context = world.pki.client("operator")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    talker = await world.connect(Entrance.OPERATOR)
    await talker.transcript("C: STARTTLS\nS: 220 *")
    await talker.writer.start_tls(context)
    assert await talker.ask("NOOP") == "250 2.0.0 OK"


async def test_reloaded_certificates_serve_the_next_connections(world):
    def shown(talker) -> bytes:
        return talker.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)

    before = await world.connect(Entrance.SUBMISSIONS)
    world.door.reload_tls({road: world.pki.server("server2") for road in Road})
    after = await world.connect(Entrance.SUBMISSIONS)
    assert shown(before) == world.pki.der("server")
    assert shown(after) == world.pki.der("server2")
    assert await before.ask("NOOP") == "250 2.0.0 OK"


def test_a_door_that_would_ask_operators_for_no_certificate_does_not_open(pki, world_parts):
    careless = pki.server(verify=False)
    with pytest.raises(ValueError, match="port 25"):
        SmtpDoor(SmtpSettings(), *world_parts, {Road.OPERATOR: careless, Road.CLIENT: careless})
    with pytest.raises(ValueError, match="client"):
        SmtpDoor(SmtpSettings(), *world_parts, {Road.OPERATOR: pki.server()})


async def test_a_certificate_nobody_verified_is_not_believed(open_door, pki):
    world = await open_door()
    careless = pki.server(verify=False)
    world.door.reload_tls({Road.OPERATOR: pki.server(), Road.CLIENT: careless})
    talker = await world.connect(Entrance.SUBMISSIONS, certificate="stranger")
    assert (await talker.hello())[-1] == "AUTH PLAIN SCRAM-SHA-256"


async def test_tls_sessions_are_not_resumed(world):
    context = world.pki.client("operator")
    port = world.door.ports[Entrance.SUBMISSIONS]

    def reused(session: ssl.SSLSession | None) -> tuple[bool | None, ssl.SSLSession | None]:
        clear = socket.create_connection(("127.0.0.1", port))
        with context.wrap_socket(clear, session=session) as wrapped:
            wrapped.recv(100)
            return wrapped.session_reused, wrapped.session

    _, session = await asyncio.to_thread(reused, None)
    again, _ = await asyncio.to_thread(reused, session)
    assert again is False


# --- authentication


async def test_auth_before_tls_is_538(world):
    talker = await world.connect(Entrance.SUBMISSION)
    await talker.hello()
    assert (await talker.ask("AUTH PLAIN AGFsaWNlAHNlY3JldA==")).startswith("538 5.7.11 ")
    assert world.delivery.audited == ["auth-before-tls"]


async def test_mail_before_auth_is_530_on_both_client_ports(world):
    talker = await world.connect(Entrance.SUBMISSIONS)
    await talker.hello()
    await talker.transcript("C: MAIL FROM:<a@example.org>\nS: 530 5.7.0 Authentication required (ref *)")
    talker = await world.connect(Entrance.SUBMISSION)
    await talker.starttls()
    await talker.hello()
    await talker.transcript("C: MAIL FROM:<a@example.org>\nS: 530 5.7.0 Authentication required (ref *)")
    assert world.delivery.audited == ["not-authenticated", "not-authenticated"]


async def test_plain_in_one_or_two_steps(world):
    talker = await world.connect(Entrance.SUBMISSIONS)
    await talker.hello()
    await talker.transcript(
        f"""
        C: AUTH PLAIN
        S: 334{" "}
        C: {b64(bytes([0]) + b"alice" + bytes([0]) + b"secret")}
        S: 235 2.7.0 Authentication succeeded
        C: AUTH PLAIN =
        S: 503 5.5.1 Already authenticated
        """
    )
    assert not [word for word in await talker.hello() if word.startswith("AUTH")]
    other = await world.connect(Entrance.SUBMISSION)
    await other.hello()
    await other.starttls()
    await other.hello()
    await other.login()


async def test_scram_in_its_steps(world):
    talker = await world.connect(Entrance.SUBMISSIONS)
    await talker.hello()
    await talker.transcript(
        f"""
        C: AUTH SCRAM-SHA-256 {b64(b"n,,n=alice,r=abc")}
        S: 334 {b64(b"r=abcdef,s=c2FsdA==,i=4096")}
        C: {b64(b"c=biws,r=abcdef,p=cHJvb2Y=")}
        S: 334 {b64(b"v=dmVyaWY=")}
        C:{" "}
        S: 235 2.7.0 *
        """
    )


async def test_external_needs_a_certificate(world):
    talker = await world.connect(Entrance.SUBMISSIONS, certificate="operator")
    await talker.hello()
    assert (await talker.ask("AUTH EXTERNAL =")).startswith("235 ")
    talker = await world.connect(Entrance.SUBMISSIONS)
    await talker.hello()
    assert (await talker.ask("AUTH EXTERNAL =")).startswith("504 5.5.4 ")


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("AUTH", "501 5.5.4 *"),
        ("AUTH PLAIN a b", "501 5.5.4 *"),
        ("AUTH PLAIN !", "501 5.5.2 *"),
        ("AUTH NTLM", "504 5.5.4 *"),
        ("AUTH PLAIN AGFsaWNlAHdyb25n", "535 5.7.8 *"),
        ("AUTH PLAIN " + "A" * 12288, "500 5.5.* *"),
        ("AUTH PLAIN\nS: 334 \nC: *", "501 5.7.0 Authentication cancelled"),
        ("AUTH PLAIN\nS: 334 \nC: not base64", "501 5.5.2 *"),
        ("AUTH PLAIN\nS: 334 \nC: " + "A" * 12300, "500 5.5.6 *"),
    ],
)
async def test_a_failed_login_leaves_the_session_where_it_was(world, said: str, reply: str):
    talker = await world.connect(Entrance.SUBMISSIONS)
    await talker.hello()
    await talker.transcript(f"C: {said}\nS: {reply}")
    await talker.transcript("C: MAIL FROM:<a@example.org>\nS: 530 5.7.0 Authentication required (ref *)")
    await talker.login()


async def test_an_authenticator_that_fails_is_454_and_leaks_nothing(world, caplog):
    world.authenticator.error = RuntimeError("password hunter2")
    talker = await world.connect(Entrance.SUBMISSIONS)
    await talker.hello()
    assert (await talker.ask("AUTH PLAIN AGFsaWNlAHNlY3JldA==")).startswith("454 4.7.0 ")
    assert "hunter2" not in caplog.text


async def test_too_many_failed_logins_end_the_session(world):
    talker = await world.connect(Entrance.SUBMISSIONS)
    await talker.hello()
    for _ in range(3):
        assert (await talker.ask("AUTH PLAIN AGFsaWNlAHdyb25n")).startswith("535 5.7.8 ")
    await talker.transcript("S: 421 4.7.0 *\nS: closed")
    assert world.delivery.audited == ["too-many-login-failures"]
    assert world.door.counters.logins_failed == 3


async def test_who_answers_before_the_challenge_is_sent_away(world):
    talker = await world.connect(Entrance.SUBMISSIONS)
    await talker.hello()
    await talker.send(b"AUTH PLAIN\r\nAGFsaWNlAHNlY3JldA==\r\n")
    await talker.transcript("S: 554 5.5.0 *\nS: closed")


async def test_auth_does_not_come_inside_a_transaction(world):
    talker = await world.client()
    await talker.open_transaction()
    assert (await talker.ask("AUTH PLAIN =")).startswith("503 5.5.1 ")


async def test_the_peer_is_known_by_its_session_alone(world):
    talker = await world.client()
    await talker.open_transaction()
    peer: Peer = world.delivery.senders[0][3]
    assert len(peer.session) == 16
    assert peer.session == world.events[0].session
