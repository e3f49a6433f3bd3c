"""OpenLDAP's tools and ldap3 against a whole node's directory."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import ssl
import subprocess
from typing import Any

import ldap3
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7
from ldap3.core.exceptions import LDAPBindError

from deploy.demo import world
from tests.directory.ldap import asking
from tests.directory.ldap.asking import Caller
from tests.peers.test_clients import Scram
from tests.peers.test_key_discovery import smime_certificate

pytestmark = pytest.mark.peers
BASE = "dc=mssante,dc=fr"


class Tool:
    """`ldapsearch` and its sisters."""

    def __init__(self, made: world.World, demo: dict[str, Any]) -> None:
        # By number: where it is told "localhost", libldap expects the machine's own name in the certificate.
        self.clear = f"ldap://127.0.0.1:{demo['endpoints']['ldap']}"
        self.secure = f"ldaps://127.0.0.1:{demo['endpoints']['ldaps']}"
        self.ca = str(made.ca)

    def run(self, *arguments: str, tool: str = "ldapsearch") -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"LDAPTLS_CACERT": self.ca, "LDAPTLS_REQCERT": "demand"}
        return subprocess.run(
            [tool, *arguments], env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    def search(self, *arguments: str, at: str = "") -> tuple[int, str]:
        done = self.run("-x", "-LLL", "-o", "ldif-wrap=no", "-H", at or self.clear, "-b", BASE, *arguments)
        return done.returncode, done.stdout


@pytest.fixture(scope="module")
def tool(made: world.World, demo: dict[str, Any]) -> Tool:
    return Tool(made, demo)


@pytest.fixture(scope="module")
def doctor(demo: dict[str, Any]) -> dict[str, Any]:
    return next(each for each in demo["accounts"] if each["kind"] == "PER")


def login(doctor: dict[str, Any]) -> tuple[str, ...]:
    return "-D", doctor["address"], "-w", doctor["password"]


def test_ldapsearch_finds_a_professional_without_logging_in(tool: Tool, doctor: dict[str, Any]) -> None:
    code, shown = tool.search(f"(mail={doctor['address']})", "cn", "mail", "objectClass")
    assert code == 0, shown
    assert f"dn: uid={doctor['address']},ou=people,{BASE}" in shown
    assert "objectClass: inetOrgPerson" in shown


def test_ldapsearch_logs_in_over_starttls_and_over_tls(tool: Tool, doctor: dict[str, Any]) -> None:
    for way in (("-ZZ", "-H", tool.clear), ("-H", tool.secure)):
        done = tool.run("-x", *way, *login(doctor), tool="ldapwhoami")
        assert (done.returncode, done.stdout.strip()) == (0, f"u:{doctor['address']}"), done


@pytest.mark.parametrize(
    ("mechanism", "in_clear"),
    [("SCRAM-SHA-256", 13), ("PLAIN", 250)],  # the second: the tool itself sends no password so
    ids=["SCRAM-SHA-256", "PLAIN"],
)
def test_ldapsearch_logs_in_by_each_mechanism_that_is_advertised(
    tool: Tool, doctor: dict[str, Any], mechanism: str, in_clear: int
) -> None:
    sasl = ("-Y", mechanism, "-U", doctor["address"])
    for way in (("-ZZ", "-H", tool.clear), ("-H", tool.secure)):
        done = tool.run(*way, *sasl, "-w", doctor["password"], tool="ldapwhoami")
        assert (done.returncode, done.stdout.strip()) == (0, f"u:{doctor['address']}"), done
    assert tool.run("-H", tool.secure, *sasl, "-w", "wrong", tool="ldapwhoami").returncode == 49
    done = tool.run("-H", tool.clear, *sasl, "-w", doctor["password"], tool="ldapwhoami")
    assert done.returncode == in_clear


def test_a_program_that_may_choose_takes_scram(tool: Tool, doctor: dict[str, Any]) -> None:
    login = ("-U", doctor["address"], "-w", doctor["password"])
    done = tool.run("-H", tool.secure, *login, tool="ldapwhoami")
    assert done.stdout.strip() == f"u:{doctor['address']}"
    assert "SASL/SCRAM-SHA-256 authentication started" in done.stderr


def test_a_password_in_clear_is_refused(tool: Tool, doctor: dict[str, Any]) -> None:
    done = tool.run("-x", "-H", tool.clear, *login(doctor), tool="ldapwhoami")
    assert done.returncode == 13
    assert "Confidentiality required" in done.stderr


def test_a_wrong_password_is_refused(tool: Tool, doctor: dict[str, Any]) -> None:
    done = tool.run("-x", "-H", tool.secure, "-D", doctor["address"], "-w", "wrong", tool="ldapwhoami")
    assert done.returncode == 49


def test_patients_are_not_there(tool: Tool, demo: dict[str, Any]) -> None:
    for patient in (demo["patient"], demo["you"]):
        assert tool.search(f"(mail={patient['address']})") == (0, "")
        assert tool.search(f"(uid={patient['address'].split('@')[0]}*)") == (0, "")


def test_the_directory_is_not_listed(tool: Tool) -> None:
    for what in ("(mail=*)", "(objectClass=*)"):
        code, shown = tool.search(what)
        assert code == 11
        assert "mail:" not in shown


def test_ldapsearch_reads_pages(tool: Tool, doctor: dict[str, Any]) -> None:
    domain = doctor["address"].partition("@")[2]
    done = tool.run(
        *("-x", "-LLL", "-H", tool.secure, "-b", BASE, *login(doctor), "-E", "pr=1/noprompt"),
        *(f"(mail=*{domain})", "mail"),
    )
    assert done.returncode == 0, done.stderr
    names = [line for line in done.stdout.splitlines() if line.startswith("dn:")]
    assert len(names) == len(set(names)) >= 2


def test_ldapsearch_reads_the_root_and_the_schema(tool: Tool) -> None:
    done = tool.run("-x", "-LLL", "-H", tool.clear, "-b", "", "-s", "base", "+")
    assert f"namingContexts: {BASE}" in done.stdout
    assert "supportedLDAPVersion: 3" in done.stdout
    assert "supportedControl: 1.2.840.113556.1.4.319" in done.stdout
    assert "supportedExtension: 1.3.6.1.4.1.1466.20037" in done.stdout
    done = tool.run("-x", "-LLL", "-H", tool.clear, "-b", "cn=subschema", "-s", "base", "objectClasses")
    assert "NAME 'inetOrgPerson'" in done.stdout


def test_the_root_advertises_what_this_connection_may_do_and_no_more(tool: Tool) -> None:
    """Each is tried in this file or in tests/directory/ldap; on a connection in clear, no mechanism and StartTLS."""
    always = {
        "supportedControl: 1.2.840.113556.1.4.319",
        "supportedExtension: 1.3.6.1.4.1.4203.1.11.3",
        "supportedExtension: 1.3.6.1.1.8",
        "supportedFeatures: 1.3.6.1.4.1.4203.1.5.1",
        "supportedFeatures: 1.3.6.1.4.1.4203.1.5.3",
        "supportedLDAPVersion: 3",
    }
    secure = {"supportedSASLMechanisms: SCRAM-SHA-256", "supportedSASLMechanisms: PLAIN"}
    for way, more in (
        (("-H", tool.clear), {"supportedExtension: 1.3.6.1.4.1.1466.20037"}),
        (("-ZZ", "-H", tool.clear), secure),
        (("-H", tool.secure), secure),
    ):
        done = tool.run("-x", "-LLL", *way, "-b", "", "-s", "base", "+")
        assert {line for line in done.stdout.splitlines() if line.startswith("supported")} == always | more


def test_ldapsearch_asks_with_filters_that_are_always_true_or_false(tool: Tool) -> None:
    """RFC 4526."""
    for asked, found in (("(&)", True), ("(|)", False)):
        done = tool.run("-x", "-LLL", "-H", tool.clear, "-b", "", "-s", "base", asked, "supportedLDAPVersion")
        assert (done.returncode, "supportedLDAPVersion: 3" in done.stdout) == (0, found)


def test_what_is_over_cannot_be_cancelled(tool: Tool) -> None:
    """RFC 3909."""
    done = tool.run("-x", "-H", tool.clear, "cancel", "1", tool="ldapexop")
    assert "(119)" in done.stderr + done.stdout, done


def test_ldapsearch_gives_up_in_time(tool: Tool) -> None:
    """All of it, as many as were asked for, or what was found in the second that was given."""
    assert tool.search("-l", "1", "-z", "1", "(cn=a*)")[0] in (0, 3, 4)


def test_ldapmodify_changes_nothing(tool: Tool, doctor: dict[str, Any]) -> None:
    name = f"uid={doctor['address']},ou=people,{BASE}"
    done = tool.run("-x", "-H", tool.secure, *login(doctor), name, tool="ldapdelete")
    assert done.returncode == 53
    assert "read only" in done.stderr


def test_ldapcompare_is_answered(tool: Tool, doctor: dict[str, Any]) -> None:
    name = f"uid={doctor['address']},ou=people,{BASE}"
    done = tool.run("-x", "-H", tool.clear, name, f"mail:{doctor['address'].upper()}", tool="ldapcompare")
    assert done.returncode == 6


# ── ldap3, which reads the schema, and fails on referrals that say nothing ──


def server(made: world.World, demo: dict[str, Any], *, secure: bool) -> ldap3.Server:
    tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=str(made.ca), version=ssl.PROTOCOL_TLS_CLIENT)
    port = demo["endpoints"]["ldaps" if secure else "ldap"]
    return ldap3.Server("localhost", port, use_ssl=secure, tls=tls, get_info=ldap3.ALL)


def test_ldap3_reads_the_schema_and_searches(
    made: world.World, demo: dict[str, Any], doctor: dict[str, Any]
) -> None:
    there = server(made, demo, secure=False)
    with ldap3.Connection(there) as connection:
        assert there.info.naming_contexts == [BASE]
        assert "inetOrgPerson" in there.schema.object_classes
        assert there.schema.attribute_types["mail"].equality == ["caseIgnoreIA5Match"]
        assert connection.search(
            BASE, f"(mail={doctor['address']})", attributes=["mail", "cn", "objectClass"]
        )
        (entry,) = connection.entries
        assert entry.mail.value == doctor["address"]
        assert not connection.search("dc=example,dc=org", "(cn=x)")
        assert connection.result["description"] == "noSuchObject"
        assert connection.result["referrals"] is None


def test_ldap3_logs_in_by_starttls_and_by_sasl(
    made: world.World, demo: dict[str, Any], doctor: dict[str, Any]
) -> None:
    user, password = doctor["address"], doctor["password"]
    with ldap3.Connection(
        server(made, demo, secure=False), user, password, auto_bind=ldap3.AUTO_BIND_TLS_BEFORE_BIND
    ) as one:
        assert one.extend.standard.who_am_i() == f"u:{user}"
    with ldap3.Connection(
        server(made, demo, secure=True),
        authentication=ldap3.SASL,
        sasl_mechanism="PLAIN",
        sasl_credentials=(None, user, password),
    ) as other:
        assert other.extend.standard.who_am_i() == f"u:{user}"


def test_ldap3_reads_pages(made: world.World, demo: dict[str, Any], doctor: dict[str, Any]) -> None:
    there = server(made, demo, secure=True)
    with ldap3.Connection(there, doctor["address"], doctor["password"], auto_bind=True) as connection:
        domain = doctor["address"].partition("@")[2]
        found = connection.extend.standard.paged_search(
            BASE, f"(mail=*{domain})", attributes=["mail"], paged_size=1, generator=False
        )
        assert len({each["dn"] for each in found}) == len(found) >= 2


def test_ldap3_is_refused_a_wrong_password(
    made: world.World, demo: dict[str, Any], doctor: dict[str, Any]
) -> None:
    there = server(made, demo, secure=True)
    with pytest.raises(LDAPBindError):
        ldap3.Connection(there, doctor["address"], "wrong", auto_bind=True)


def test_an_app_password_for_mail_alone_does_not_open_the_directory(
    made: world.World, demo: dict[str, Any], doctor: dict[str, Any]
) -> None:
    password = made.command("account_password", address=doctor["address"], label="imap", protocols=["imap"])[
        "password"
    ]
    there = server(made, demo, secure=True)
    with pytest.raises(LDAPBindError):
        ldap3.Connection(there, doctor["address"], password, auto_bind=True)


def test_a_system_logs_in_by_its_certificate(made: world.World, demo: dict[str, Any]) -> None:
    """SASL EXTERNAL (RFC 4513 §5.2.3)."""
    tls = ldap3.Tls(
        validate=ssl.CERT_REQUIRED,
        ca_certs_file=str(made.ca),
        local_certificate_file=demo["hospital"]["certificate"],
        local_private_key_file=demo["hospital"]["key"],
    )
    there = ldap3.Server("localhost", demo["endpoints"]["ldaps"], use_ssl=True, tls=tls, get_info=ldap3.ALL)
    with ldap3.Connection(there, authentication=ldap3.SASL, sasl_mechanism=ldap3.EXTERNAL) as connection:
        assert connection.extend.standard.who_am_i() == f"u:{demo['hospital']['address']}"
        connection.search("", "(objectClass=*)", ldap3.BASE, attributes=["supportedSASLMechanisms"])
        assert set(connection.entries[0].supportedSASLMechanisms) == {"EXTERNAL", "PLAIN", "SCRAM-SHA-256"}


async def test_scram_proves_both_sides(
    made: world.World, demo: dict[str, Any], doctor: dict[str, Any]
) -> None:
    caller = await Caller.to(demo["endpoints"]["ldaps"], ssl.create_default_context(cafile=str(made.ca)))
    scram = Scram(doctor["address"], doctor["password"])
    first = await caller.ask(asking.sasl(1, "SCRAM-SHA-256", scram.first))
    assert first.code == 14
    assert first.credentials is not None
    second = await caller.ask(asking.sasl(2, "SCRAM-SHA-256", scram.final(first.credentials)))
    assert second.code == 14
    assert second.credentials is not None
    assert scram.is_the_server(second.credentials)
    assert (await caller.ask(asking.sasl(3, "SCRAM-SHA-256", b""))).code == 0
    who = await caller.ask(asking.extended(4, "1.3.6.1.4.1.4203.1.11.3"))
    assert who.value == f"u:{doctor['address']}".encode()
    await caller.close()


def test_a_certificate_is_there_while_it_is_in_force(
    made: world.World, tool: Tool, doctor: dict[str, Any]
) -> None:
    address = doctor["address"]
    asked = (f"(mail={address})", "userCertificate;binary", "userSMIMECertificate;binary")
    der = smime_certificate(address)
    published = made.command("key_publish_x509", address=address, certificate=base64.b64encode(der).decode())
    _, shown = tool.search(*asked)
    lines = dict(line.split(":: ") for line in shown.splitlines() if ":: " in line)
    assert base64.b64decode(lines["userCertificate;binary"]) == der
    (bundled,) = pkcs7.load_der_pkcs7_certificates(base64.b64decode(lines["userSMIMECertificate;binary"]))
    assert bundled.public_bytes(serialization.Encoding.DER) == der
    made.command("key_revoke_x509", address=address, fingerprint=published["fingerprint"])
    _, shown = tool.search(*asked)
    assert "Certificate" not in shown


async def test_who_is_suspended_is_cut_off_and_not_found_any_more(
    made: world.World, demo: dict[str, Any]
) -> None:
    address = f"luc.{secrets.token_hex(4)}@{world.DOMAIN}"
    told = await asyncio.to_thread(
        made.command, "account_add", address=address, kind="PER", password=True, certificate=None
    )
    names = {"given_name": "Luc", "family_name": "Roche"}
    await asyncio.to_thread(made.command, "account_profile", address=address, fields=names)
    caller = await Caller.to(demo["endpoints"]["ldaps"], ssl.create_default_context(cafile=str(made.ca)))
    async with asyncio.timeout(120):
        while not (await caller.look(f"(mail={address})"))[0]:
            await asyncio.sleep(0.1)
    assert (await caller.ask(asking.bind(101, address, told["password"].encode()))).code == 0
    await asyncio.to_thread(made.command, "account_suspend", address=address, reason="test", network="")
    notice = await caller.ask(asking.search(102, f"(mail={address})"))
    assert (notice.number, notice.code) == (0, 8)
    await caller.close()
    other = await Caller.to(demo["endpoints"]["ldap"])
    async with asyncio.timeout(120):
        while (await other.look(f"(mail={address})"))[0]:
            await asyncio.sleep(0.1)
    await other.close()
