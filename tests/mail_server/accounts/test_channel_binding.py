"""SCRAM-SHA-256-PLUS: what a connection is bound to, and who is found out."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID
from scramp import ScramClient, ScramException

from mail_server.accounts import channel_binding
from mail_server.accounts.channel_binding import BoundContext, end_point_of
from mail_server.accounts.interface import Identity, Peer
from mail_server.accounts.scram import BINDING
from policies.refusal import Refusal

ADDRESS = "dr@chu.mssante.fr"
END_POINT = hashlib.sha256(b"the certificate shown").digest()
EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)


def certificate(key: Any, algorithm: Any, **how: Any) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    begin = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), begin, begin + dt.timedelta(days=3)
    ).add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    return builder.sign(key, algorithm, **how)


def der(made: x509.Certificate) -> bytes:
    return made.public_bytes(serialization.Encoding.DER)


# -- RFC 5929 §4.1 ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "algorithm", "how", "digest"),
    [
        (EC, hashes.SHA256(), {}, "sha256"),
        (EC, hashes.SHA384(), {}, "sha384"),
        (RSA, hashes.SHA512(), {}, "sha512"),
        (RSA, hashes.SHA3_256(), {}, "sha3_256"),
        (
            RSA,
            hashes.SHA384(),
            {"rsa_padding": padding.PSS(padding.MGF1(hashes.SHA384()), padding.PSS.DIGEST_LENGTH)},
            "sha384",
        ),
    ],
)
def test_the_hash_is_the_one_of_the_certificates_own_signature(
    key: Any, algorithm: Any, how: Any, digest: str
) -> None:
    made = certificate(key, algorithm, **how)
    assert end_point_of(der(made)) == hashlib.new(digest, der(made)).digest()
    pem = made.public_bytes(serialization.Encoding.PEM)
    assert end_point_of(pem) == end_point_of(der(made))


def test_a_signature_without_a_hash_of_its_own_binds_nothing() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    assert end_point_of(der(certificate(key, None))) is None


@pytest.mark.parametrize(
    "rubbish", [b"", b"certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_what_is_no_certificate_binds_nothing(rubbish: bytes) -> None:
    assert end_point_of(rubbish) is None


def test_sha1_gives_way_to_sha256(monkeypatch: pytest.MonkeyPatch) -> None:
    made = certificate(EC, hashes.SHA256())

    class Old:
        signature_hash_algorithm = hashes.SHA1()

        def public_bytes(self, encoding: Any) -> bytes:
            return made.public_bytes(encoding)

    monkeypatch.setattr(channel_binding.x509, "load_der_x509_certificate", lambda _: Old())
    assert end_point_of(der(made)) == hashlib.sha256(der(made)).digest()


# -- the certificate of this connection -------------------------------------------------------------------------


def written(folder: Path, name: str, made: x509.Certificate, key: Any = EC) -> tuple[Path, Path]:
    chain, secret = folder / f"{name}.pem", folder / f"{name}.key"
    # An intermediate one follows, as in any real file.
    other = certificate(EC, hashes.SHA384())
    chain.write_bytes(
        made.public_bytes(serialization.Encoding.PEM) + other.public_bytes(serialization.Encoding.PEM)
    )
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return chain, secret


def context_of(files: tuple[Path, Path]) -> BoundContext:
    context = BoundContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def test_a_connection_knows_the_certificate_it_was_opened_with_also_after_a_new_one(
    tmp_path: Path, loop: Any
) -> None:
    before, after = certificate(EC, hashes.SHA256()), certificate(EC, hashes.SHA256())
    asked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asked.check_hostname = False
    asked.verify_mode = ssl.CERT_NONE

    async def play() -> list[tuple[bytes | None, bytes | None]]:
        seen: list[asyncio.StreamWriter] = []
        shown: list[bytes | None] = []
        clients: list[asyncio.StreamWriter] = []
        for name, made in (("before", before), ("after", after)):
            context = context_of(written(tmp_path, name, made))
            came = asyncio.Event()

            def serve(
                _: asyncio.StreamReader, writer: asyncio.StreamWriter, came: asyncio.Event = came
            ) -> None:
                seen.append(writer)
                came.set()

            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
            port = server.sockets[0].getsockname()[1]
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=asked)
            clients.append(writer)
            shown.append(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
            await asyncio.wait_for(came.wait(), 60)
            server.close()
        found = [channel_binding.of_connection(writer.transport) for writer in seen]
        for writer in [*clients, *seen]:
            writer.transport.abort()
        return list(zip(found, shown, strict=True))

    with asyncio.Runner(loop_factory=loop) as runner:
        result = runner.run(play())
    for (bound, shown), made in zip(result, (before, after), strict=True):
        assert shown == der(made)
        assert bound == hashlib.sha256(der(made)).digest()


def test_a_connection_without_tls_is_bound_to_nothing() -> None:
    assert channel_binding.of_connection(None) is None


def test_a_context_that_cannot_be_loaded_says_so_as_any_other(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        context_of((tmp_path / "missing.pem", tmp_path / "missing.key"))


# -- the exchange, with another's client ------------------------------------------------------------------------


@pytest.fixture
def bound(peer: Peer) -> Peer:
    return replace(peer, end_point=END_POINT)


async def log_in(house: Any, peer: Peer, mechanism: str, password: str, binding: bytes | None) -> Identity:
    """scramp's client (the one of pg8000), against our server."""
    channel = (BINDING, binding) if binding is not None else None
    client = ScramClient([mechanism], ADDRESS, password, channel_binding=channel)
    exchange = house.authenticator.begin(mechanism, peer)
    client.set_server_first((await exchange.step(client.get_client_first().encode())).decode())
    client.set_server_final((await exchange.step(client.get_client_final().encode())).decode())
    identity = await exchange.step(b"")
    assert isinstance(identity, Identity)
    return identity


async def test_a_client_that_binds_to_the_same_certificate_is_let_in(house: Any, bound: Peer) -> None:
    account = await house.person(ADDRESS)
    identity = await log_in(house, bound, "SCRAM-SHA-256-PLUS", house.passwords[ADDRESS], END_POINT)
    assert (identity.account, identity.mechanism) == (account.id, "SCRAM-SHA-256-PLUS")
    assert house.events[-1].detail["mechanism"] == "SCRAM-SHA-256-PLUS"


async def test_one_in_between_with_another_certificate_is_found_out(house: Any, bound: Peer) -> None:
    await house.person(ADDRESS)
    theirs = hashlib.sha256(b"a certificate of somebody in between").digest()
    with pytest.raises(Refusal) as refused:
        await log_in(house, bound, "SCRAM-SHA-256-PLUS", house.passwords[ADDRESS], theirs)
    assert refused.value.code == 535
    assert house.events[-1].outcome == "channel-binding"


async def test_a_wrong_password_is_wrong_with_binding_too(house: Any, bound: Peer) -> None:
    await house.person(ADDRESS)
    with pytest.raises((Refusal, ScramException)):
        await log_in(house, bound, "SCRAM-SHA-256-PLUS", "wrong", END_POINT)
    assert house.events[-1].outcome == "wrong-password"


@pytest.mark.parametrize(
    ("mechanism", "flag", "reason"),
    [
        # RFC 5802 §6: the client could bind, and believes that we could not: our offer was taken away.
        ("SCRAM-SHA-256", "y", "channel-binding-stripped"),
        ("SCRAM-SHA-256", f"p={BINDING}", "channel-binding-type"),
        ("SCRAM-SHA-256-PLUS", "y", "channel-binding-type"),
        ("SCRAM-SHA-256-PLUS", "n", "channel-binding-type"),
        ("SCRAM-SHA-256-PLUS", "p=tls-unique", "channel-binding-type"),
        ("SCRAM-SHA-256-PLUS", "p=tls-exporter", "channel-binding-type"),
    ],
)
async def test_a_login_that_was_made_weaker_on_the_way_is_refused(
    house: Any, bound: Peer, mechanism: str, flag: str, reason: str
) -> None:
    await house.person(ADDRESS)
    exchange = house.authenticator.begin(mechanism, bound)
    with pytest.raises(Refusal) as refused:
        await exchange.step(f"{flag},,n={ADDRESS},r=nonce".encode())
    assert refused.value.code == 535
    assert house.events[-1].outcome == reason


async def test_a_client_that_cannot_bind_still_logs_in_without(house: Any, bound: Peer) -> None:
    await house.person(ADDRESS)
    assert await log_in(house, bound, "SCRAM-SHA-256", house.passwords[ADDRESS], None)


async def test_binding_is_offered_first_and_only_where_the_connection_can_be_bound(
    house: Any, peer: Peer, bound: Peer
) -> None:
    assert house.authenticator.mechanisms(bound)[0] == "SCRAM-SHA-256-PLUS"
    assert "SCRAM-SHA-256-PLUS" not in house.authenticator.mechanisms(peer)
    with pytest.raises(Refusal) as refused:
        house.authenticator.begin("SCRAM-SHA-256-PLUS", peer)
    assert refused.value.reason == "unknown-mechanism"


async def test_where_nothing_was_offered_a_client_that_could_bind_is_right_to_say_so(
    house: Any, peer: Peer
) -> None:
    await house.person(ADDRESS)
    exchange = house.authenticator.begin("SCRAM-SHA-256", peer)
    assert (await exchange.step(f"y,,n={ADDRESS},r=nonce".encode())).startswith(b"r=nonce")
