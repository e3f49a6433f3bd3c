"""OpenLDAP's tools and ldap3 against a whole node's directory."""

from __future__ import annotations

import os
import ssl
import subprocess
from typing import Any

import ldap3
import pytest
from ldap3.core.exceptions import LDAPBindError

from deploy.demo import world

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
            [tool, *arguments], env=environment, capture_output=True, text=True, timeout=30, check=False
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


def test_ldapsearch_gives_up_in_time(tool: Tool) -> None:
    """`-l` asks the server, `-o nettimeout` the tool: neither hangs."""
    assert tool.search("-l", "1", "-z", "1", "(cn=a*)")[0] in (0, 4)


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
