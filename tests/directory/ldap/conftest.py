"""A door on invented people."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from directory.ldap.server import LdapDoor
from directory.ldap.settings import LdapSettings
from directory.model import Capability
from tests.directory.ldap.asking import Caller
from tests.directory.ldap.listed import Free, Listed, Logins


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A certificate of localhost with its key in one file, and the certificate as DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("ldap") / "localhost.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file, made.public_bytes(serialization.Encoding.DER)


@pytest.fixture(scope="session")
def trusting(pair: tuple[Path, bytes]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(pair[0]))


class Standing:
    """A door that is open, and what it was given."""

    def __init__(
        self, door: LdapDoor, listed: Listed, harvest: Free, logins: Logins, trusting: ssl.SSLContext
    ) -> None:
        self.door, self.listed, self.harvest, self.logins = door, listed, harvest, logins
        self.tls = trusting

    @property
    def port(self) -> int:
        return self.door.ports[0]

    async def call(self) -> Caller:
        return await Caller.to(self.port)

    async def call_securely(self) -> Caller:
        return await Caller.to(self.door.ports[1], self.tls)


Opening = Callable[..., Any]


@pytest.fixture
def opening(pair: tuple[Path, bytes], trusting: ssl.SSLContext) -> Opening:
    @asynccontextmanager
    async def opened(listed: Listed | None = None, **settings: Any) -> AsyncIterator[Standing]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair[0])
        listed, harvest, logins = listed or Listed(), Free(), Logins()
        settings = {"longest_search": 60, "handshake_timeout": 120} | settings  # where nothing else is meant
        certified = {"zoe.martin@hopital.mssante.fr": (pair[1],)}
        door = LdapDoor(
            LdapSettings(host="127.0.0.1", port=0, tls_port=0, **settings),
            listings=listed,  # type: ignore[arg-type]
            harvest=harvest,
            logins=logins,
            tls=context,
            certificates=lambda address: certified.get(address, ()),
            capabilities=lambda address: (
                Capability(("openpgp-v4-seipd1",), 25_000_000, ("ihe-xdm",))
                if address.startswith("zoe.")
                else None
            ),
            place=lambda address: address,
        )
        await door.start()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(door.stop)
            yield Standing(door, listed, harvest, logins, trusting)

    return opened


@pytest.fixture
async def door(opening: Opening) -> AsyncIterator[Standing]:
    async with opening() as standing:
        yield standing
