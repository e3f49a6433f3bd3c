"""What mail programs are told, over HTTP, by the forms that each of them asks in."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import plistlib
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from directory.autoconfig import apple, outlook
from directory.autoconfig.routes import autoconfiguration
from directory.autoconfig.services import Services, domain_of

DOMAIN, OTHER = "cabinet.mss.example", "hopital.mss.example"
ADDRESS = f"zoe.martin@{DOMAIN}"
OPEN = Services(
    operator="Opérateur <d'essai> & Cie",
    host="mail.mss.example",
    domains=(DOMAIN, OTHER),
    imaps=993,
    imap=143,
    submissions=465,
    submission=587,
    ldaps=636,
    ldap=389,
    ldap_base="dc=mssante,dc=fr",
    page="https://page.mss.example",
    page_host="page.mss.example",
    page_port=443,
)
_OUTLOOK = "{http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a}"
_ASKS = (
    '<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/'
    '{family}/requestschema/2006"><Request><EMailAddress>{address}</EMailAddress><AcceptableResponseSchema>'
    "http://schemas.microsoft.com/exchange/autodiscover/{family}/responseschema/{year}</AcceptableResponseSchema>"
    "</Request></Autodiscover>"
)


class Site:
    """The routes, asked as a mail program would."""

    def __init__(self, services: Services, sign: apple.Sign | None) -> None:
        self._app = FastAPI(openapi_url=None)
        self._app.include_router(autoconfiguration(services, lambda: sign))

    def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return asyncio.run(self._ask("GET", path, headers, b""))

    def post(self, path: str, content: bytes) -> httpx.Response:
        return asyncio.run(self._ask("POST", path, {"content-type": "text/xml"}, content))

    async def _ask(
        self, method: str, path: str, headers: dict[str, str] | None, body: bytes
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(transport=transport, base_url=f"https://autoconfig.{DOMAIN}") as client:
            return await client.request(method, path, headers=headers, content=body)


def site(services: Services = OPEN, sign: apple.Sign | None = None) -> Site:
    return Site(services, sign)


def servers(body: bytes, element: str) -> list[tuple[str, str, str]]:
    found = ElementTree.fromstring(body).iterfind(f".//{element}")
    return [tuple(one.findtext(name) or "" for name in ("hostname", "port", "socketType")) for one in found]  # type: ignore[misc]


def mozilla(client: Site, **headers: str) -> httpx.Response:
    return client.get("/mail/config-v1.1.xml", headers=headers)


def post(
    client: Site, address: str = ADDRESS, family: str = "outlook", year: str = "2006a"
) -> httpx.Response:
    body = _ASKS.format(address=address, family=family, year=year).encode()
    return client.post("/autodiscover/autodiscover.xml", content=body)


# -- Mozilla


@pytest.mark.parametrize(
    ("path", "host"),
    [
        ("/mail/config-v1.1.xml", f"autoconfig.{DOMAIN}"),
        ("/mail/config-v1.1.xml", f"Autoconfig.{DOMAIN}:10443"),
        ("/.well-known/autoconfig/mail/config-v1.1.xml", DOMAIN),
        ("/.well-known/mail-v1.xml", f"{DOMAIN}."),
        (f"/mail/config-v1.1.xml?emailaddress={ADDRESS}", "autoconfig.elsewhere.example"),
    ],
    ids=["autoconfig host", "with a port", "well-known", "the draft's newer place", "by the address alone"],
)
def test_thunderbird_is_told_the_four_ways_in(path: str, host: str) -> None:
    answer = site().get(path, headers={"host": host})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/xml")
    assert servers(answer.content, "incomingServer") == [
        ("mail.mss.example", "993", "SSL"),
        ("mail.mss.example", "143", "STARTTLS"),
    ]
    assert servers(answer.content, "outgoingServer") == [
        ("mail.mss.example", "465", "SSL"),
        ("mail.mss.example", "587", "STARTTLS"),
    ]


def test_the_whole_address_is_the_user_s_name_and_the_password_goes_over_tls() -> None:
    root = ElementTree.fromstring(mozilla(site()).content)
    assert {one.text for one in root.iter("username")} == {"%EMAILADDRESS%"}
    for server in (*root.iter("incomingServer"), *root.iter("outgoingServer")):
        ways = [one.text for one in server.findall("authentication")]
        assert ways == ["SASL SCRAM-SHA-256-PLUS", "SASL SCRAM-SHA-256", "password-cleartext"]
        assert server.findtext("socketType") in ("SSL", "STARTTLS")


def test_it_names_its_domain_its_operator_and_the_page_that_helps() -> None:
    root = ElementTree.fromstring(mozilla(site()).content)
    assert root.findtext(".//domain") == DOMAIN
    assert root.findtext(".//displayName") == OPEN.operator
    assert [page.get("url") for page in root.iter("documentation")] == [
        "https://page.mss.example/aide",
        "https://page.mss.example/help",
    ]


@pytest.mark.parametrize(
    ("shut", "element", "left"),
    [
        ("imaps", "incomingServer", [("143", "STARTTLS")]),
        ("imap", "incomingServer", [("993", "SSL")]),
        ("submissions", "outgoingServer", [("587", "STARTTLS")]),
        ("submission", "outgoingServer", [("465", "SSL")]),
    ],
)
def test_a_closed_port_is_announced_to_nobody(shut: str, element: str, left: list[tuple[str, str]]) -> None:
    without = replace(OPEN, **{shut: None})
    answer = mozilla(site(without))
    assert [server[1:] for server in servers(answer.content, element)] == left
    gone = str(getattr(OPEN, shut))
    told = (
        answer.text,
        post(site(without)).text,
        site(without).get(f"/apple.mobileconfig?emailaddress={ADDRESS}").text,
    )
    assert all(f">{gone}<" not in one for one in told)


def test_a_node_where_nobody_can_send_or_nobody_can_read_tells_nothing() -> None:
    for closed in (
        replace(OPEN, imaps=None, imap=None),
        replace(OPEN, submissions=None, submission=None),
    ):
        client = site(closed)
        assert mozilla(client).status_code == 404
        assert post(client).status_code == 404
        assert client.get(f"/apple.mobileconfig?emailaddress={ADDRESS}").status_code == 404


@pytest.mark.parametrize("domain", ["patient.mss.example", "gmail.example", "mss.example", ""])
def test_a_domain_that_is_not_ours_is_not_found(domain: str) -> None:
    client = site()
    assert mozilla(client, host=f"autoconfig.{domain}" if domain else "localhost").status_code == 404
    assert client.get(f"/mail/config-v1.1.xml?emailaddress=x@{domain}").status_code == 404
    assert post(client, f"x@{domain}").status_code == 404
    assert client.get(f"/apple.mobileconfig?emailaddress=x@{domain}").status_code == 404
    assert (
        client.get(f"/autodiscover/autodiscover.json?Email=x@{domain}&Protocol=AutodiscoverV1").status_code
        == 404
    )


def test_whether_an_address_exists_cannot_be_told() -> None:
    """Nothing is looked up: two addresses get the same answer but for the address itself."""
    client = site()

    def asked(get: Callable[[str], bytes]) -> set[bytes]:
        return {get(name).replace(name.encode(), b"?") for name in ("zoe.martin", "nobody.here")}

    assert (
        len(asked(lambda name: client.get(f"/mail/config-v1.1.xml?emailaddress={name}@{DOMAIN}").content))
        == 1
    )
    assert len(asked(lambda name: post(client, f"{name}@{DOMAIN}").content)) == 1


def test_each_of_several_domains_has_its_own_answer() -> None:
    client = site()
    for domain in (DOMAIN, OTHER):
        root = ElementTree.fromstring(mozilla(client, host=f"autoconfig.{domain}").content)
        assert [one.text for one in root.iter("domain")] == [domain]


# -- Outlook


def test_outlook_is_told_imap_and_smtp_with_their_kind_of_tls() -> None:
    root = ElementTree.fromstring(post(site()).content)
    told = {
        one.findtext(f"{_OUTLOOK}Type"): [
            one.findtext(_OUTLOOK + name) for name in ("Server", "Port", "Encryption", "LoginName")
        ]
        for one in root.iter(f"{_OUTLOOK}Protocol")
    }
    assert told == {
        "IMAP": ["mail.mss.example", "993", "SSL", ADDRESS],
        "SMTP": ["mail.mss.example", "465", "SSL", ADDRESS],
    }
    starttls = ElementTree.fromstring(post(site(replace(OPEN, imaps=None, submissions=None))).content)
    assert {one.text for one in starttls.iter(f"{_OUTLOOK}Encryption")} == {"TLS"}


def test_a_telephone_that_asks_for_activesync_hears_that_there_is_none() -> None:
    assert post(site(), family="mobilesync", year="2006").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"<Autodiscover/>",
        b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a><EMailAddress>&e;</EMailAddress></a>',
        b"<!DOCTYPE a><a><EMailAddress>zoe.martin@cabinet.mss.example</EMailAddress></a>",
        b"<a>" + b" " * outlook.LARGEST + b"</a>",
        b'<?xml version="1.0" encoding="no-such"?><a><EMailAddress>x@y</EMailAddress></a>',
    ],
    ids=["nothing", "no XML", "no address", "entity", "DOCTYPE", "too large", "unknown encoding"],
)
def test_what_outlook_would_never_post_is_refused_in_its_own_words(body: bytes) -> None:
    answer = site().post("/autodiscover/autodiscover.xml", content=body)
    assert answer.status_code == 400
    assert b"<ErrorCode>600</ErrorCode>" in answer.content
    assert b"root:" not in answer.content


@given(st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_no_body_makes_it_fail(body: bytes) -> None:
    with contextlib.suppress(outlook.RequestRefused):
        assert outlook.asked(body).address


def test_the_new_outlook_s_json_points_to_the_xml_and_to_no_other_protocol() -> None:
    client = site()
    where = client.get(f"/autodiscover/autodiscover.json?Email={ADDRESS}&Protocol=AutodiscoverV1")
    assert where.json() == {
        "Protocol": "AutodiscoverV1",
        "Url": "https://page.mss.example/autodiscover/autodiscover.xml",
    }
    assert (
        client.get(f"/autodiscover/autodiscover.json/v1.0/{ADDRESS}?Protocol=AutodiscoverV1").json()
        == where.json()
    )
    ews = client.get(f"/autodiscover/autodiscover.json?Email={ADDRESS}&Protocol=EWS")
    assert ews.status_code == 400
    assert json.loads(ews.content)["ErrorCode"] == "InvalidProtocol"


# -- Apple


def test_apple_s_profile_has_mail_and_the_address_book_and_no_password() -> None:
    answer = site().get(f"/apple.mobileconfig?emailaddress={ADDRESS}")
    assert answer.headers["content-type"] == "application/x-apple-aspen-config"
    profile = plistlib.loads(answer.content)
    mail, book = profile["PayloadContent"]
    assert (mail["PayloadType"], book["PayloadType"]) == ("com.apple.mail.managed", "com.apple.ldap.account")
    assert mail["EmailAddress"] == mail["IncomingMailServerUsername"] == ADDRESS
    assert (mail["IncomingMailServerPortNumber"], mail["OutgoingMailServerPortNumber"]) == (993, 465)
    assert mail["IncomingMailServerUseSSL"] is mail["OutgoingMailServerUseSSL"] is True
    assert book["LDAPSearchSettings"][0]["LDAPSearchSettingSearchBase"] == "dc=mssante,dc=fr"
    keys = {key for one in (profile, mail, book) for key in one}
    assert not {
        key for key in keys if key.endswith("Password") and key != "OutgoingPasswordSameAsIncomingPassword"
    }


def test_a_profile_replaces_the_one_of_the_same_address_alone() -> None:
    def ids(address: str) -> tuple[str, str]:
        found = plistlib.loads(site().get(f"/apple.mobileconfig?emailaddress={address}").content)
        return found["PayloadIdentifier"], found["PayloadUUID"]

    assert ids(ADDRESS) == ids(ADDRESS)
    assert not set(ids(ADDRESS)) & set(ids(f"paul@{DOMAIN}"))


@pytest.mark.parametrize("ldaps", [None, 10636], ids=["closed", "at a port that a profile cannot name"])
def test_an_address_book_that_a_profile_cannot_reach_is_left_out(ldaps: int | None) -> None:
    answer = site(replace(OPEN, ldaps=ldaps)).get(f"/apple.mobileconfig?emailaddress={ADDRESS}")
    assert [one["PayloadType"] for one in plistlib.loads(answer.content)["PayloadContent"]] == [
        "com.apple.mail.managed"
    ]


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_a_signed_profile_verifies_under_the_node_s_authority(kind: str, tmp_path: Path) -> None:
    chain, key = certificate(kind)
    answer = site(sign=apple.signer(chain, key)).get(f"/apple.mobileconfig?emailaddress={ADDRESS}")
    (tmp_path / "profile").write_bytes(answer.content)
    (tmp_path / "ca.pem").write_bytes(chain)
    done = subprocess.run(
        [
            "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", tmp_path / "profile",
            "-CAfile", tmp_path / "ca.pem", "-purpose", "any",
        ],
        capture_output=True,
        check=True,
    )  # fmt: skip
    assert plistlib.loads(done.stdout)["PayloadContent"][0]["EmailAddress"] == ADDRESS


def test_a_profile_costs_whoever_else_is_served_nearly_nothing() -> None:
    """Reading an RSA key with all its checks takes a twentieth of a second and more, and anybody may ask."""
    chain, key = certificate("rsa")
    spent: list[float] = []
    for _ in range(5):
        began = time.process_time()
        apple.signer(chain, key)
        spent.append(time.process_time() - began)
    assert min(spent) < 0.01


def test_a_key_that_cannot_sign_is_said_so() -> None:
    key = ed25519.Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    with pytest.raises(ValueError, match="does not sign"):
        apple.signer(certificate("ec")[0], key)


def certificate(kind: str) -> tuple[bytes, bytes]:
    key: Any = (
        ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)
    )
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.mss.example")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made.public_bytes(Encoding.PEM), private


# -- addresses


@pytest.mark.parametrize(
    ("typed", "domain"),
    [
        (ADDRESS, DOMAIN),
        (f" Zoe.MARTIN@{DOMAIN.upper()} ", DOMAIN),
        ("o'neil+x@a.b", "a.b"),
        ("zoe martin@a.b", ""),
        ("<zoe@a.b>", ""),
        ("@a.b", ""),
        ("zoe@", ""),
        ("zoe@-a.b", ""),
        ("zoe@a.b\r\nX: y", ""),
        ("z" * 65 + "@a.b", ""),
    ],
)
def test_an_address_gives_its_domain_or_is_none(typed: str, domain: str) -> None:
    assert domain_of(typed) == domain
