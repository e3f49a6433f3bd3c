"""Nothing of a letter goes without TLS, nor to a certificate that nobody vouches for or that is not listed."""

from __future__ import annotations

import datetime as dt
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy.demo.pki import Organisation
from mail_server.outbound.client.security import PeerSecurity, for_servers
from mail_server.outbound.interface import Phase, Verdict
from policies.interface import PeerStanding
from tests.mail_server.outbound.client.scripted import ALLOWED, Pki, Start, Trust, blunt_server

pytestmark = pytest.mark.timeout(30)


async def test_where_starttls_was_taken_out_of_ehlo_nothing_goes_in_clear(start: Start) -> None:
    side = await start(clear_offers=("mx.autre.example", "PIPELINING", "SIZE 1000", "XSTARTTLS"))
    outcome = await side.send_one()
    assert (outcome.verdict, outcome.phase, outcome.reason) == (Verdict.LATER, Phase.TLS, "no-starttls")
    assert side.peer.said == ["EHLO mx.ici.example"]


@pytest.mark.parametrize("refusal", ["454 4.7.0 TLS not available", "502 5.5.1 No", "501 5.5.4 Syntax"])
async def test_where_starttls_is_refused_nothing_goes_in_clear(start: Start, refusal: str) -> None:
    side = await start({"STARTTLS": refusal})
    outcome = await side.send_one()
    assert (outcome.verdict, outcome.phase, outcome.code) == (Verdict.LATER, Phase.TLS, int(refusal[:3]))
    assert side.peer.said == ["EHLO mx.ici.example", "STARTTLS"]


@pytest.mark.parametrize("injected", [b"250 mx\r\n", b"250-mx\r\n", b"x", b"\x16\x03\x01"])
async def test_clear_text_behind_the_answer_to_starttls_ends_the_connection(
    start: Start, injected: bytes
) -> None:
    side = await start(after_starttls=injected)
    outcome = await side.send_one()
    assert (outcome.verdict, outcome.phase) == (Verdict.LATER, Phase.TLS)
    assert outcome.reason == "starttls-injection"
    assert side.peer.said == ["EHLO mx.ici.example", "STARTTLS"]


async def test_clear_text_instead_of_a_handshake_ends_the_connection(start: Start, pki: Pki) -> None:
    side = await start()
    side.peer.instead_of_tls = b"250-mx.autre.example\r\n250 PIPELINING\r\n"
    outcome = await side.send_one()
    assert (outcome.verdict, outcome.phase) == (Verdict.LATER, Phase.TLS)
    assert side.peer.said == ["EHLO mx.ici.example", "STARTTLS"]


async def test_what_was_offered_in_clear_is_forgotten(start: Start) -> None:
    side = await start(
        clear_offers=("mx.autre.example", "STARTTLS", "PIPELINING", "DSN", "SIZE 1"),
        offers=("mx.autre.example",),
    )
    assert (await side.send_one()).verdict is Verdict.DELIVERED
    assert side.peer.inside[0] == "MAIL FROM:<a@ici.mssante.example>"
    assert side.peer.groups == [1, 1, 1]


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        ("foreign", "chain-foreign"),
        ("self-signed", "certificate-self-signed"),
        ("expired", "certificate-expired"),
        ("not-yet", "certificate-not-yet-valid"),
        ("client-only", "certificate-wrong-purpose"),
    ],
)
async def test_a_certificate_that_does_not_verify_gets_nothing(
    start: Start, certificate: str, reason: str
) -> None:
    side = await start(certificate=certificate)
    outcome = await side.send_one()
    assert (outcome.verdict, outcome.phase, outcome.reason) == (Verdict.LATER, Phase.TLS, reason)
    assert outcome.enhanced == "4.7.0"
    assert side.peer.inside == []
    assert side.trust.asked == []


def leaf_without_purpose() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.autre.example")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + dt.timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def test_a_certificate_that_names_no_purpose_is_not_a_servers(pki: Pki) -> None:
    assert for_servers(pki.certificates["peer"])
    assert not for_servers(pki.certificates["client-only"])
    assert not for_servers(leaf_without_purpose())
    assert not for_servers(b"no certificate")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_a_server_of_old_tls_gets_nothing(start: Start, pki: Pki, version: ssl.TLSVersion) -> None:
    old = pki.server(minimum_version=ssl.TLSVersion.TLSv1, maximum_version=version)
    old.set_ciphers("ALL:@SECLEVEL=0")
    side = await start()
    with blunt_server(old) as port:
        outcome = await side.elsewhere(port)
    assert (outcome.verdict, outcome.phase, outcome.reason) == (Verdict.LATER, Phase.TLS, "tls-version")


async def test_a_server_of_weak_suites_gets_nothing(start: Start, pki: Pki) -> None:
    weak = pki.server(maximum_version=ssl.TLSVersion.TLSv1_2)
    weak.set_ciphers("ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA")
    side = await start()
    with blunt_server(weak) as port:
        outcome = await side.elsewhere(port)
    assert (outcome.verdict, outcome.phase, outcome.reason) == (Verdict.LATER, Phase.TLS, "tls-suites")


@pytest.mark.parametrize("suite", ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"])
async def test_tls_1_2_with_the_suites_of_the_trust_space_is_good(start: Start, pki: Pki, suite: str) -> None:
    one = pki.server(maximum_version=ssl.TLSVersion.TLSv1_2)
    one.set_ciphers(suite)
    side = await start(tls=one)
    assert (await side.send_one()).verdict is Verdict.DELIVERED


async def test_no_session_is_resumed(start: Start, pki: Pki) -> None:
    server = pki.server()
    side = await start(tls=server, settings={"idle_seconds": 0})
    for _ in range(3):
        assert (await side.send_one()).verdict is Verdict.DELIVERED
    assert side.peer.connections == 3
    assert server.session_stats()["hits"] == 0


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_server_that_refuses_our_certificate_is_told_apart(
    start: Start, pki: Pki, version: ssl.TLSVersion
) -> None:
    strange = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    strange.load_cert_chain(pki.files["peer"].certificate, pki.files["peer"].key)
    strange.load_verify_locations(pki.files["self-signed"].certificate)
    strange.verify_mode = ssl.CERT_REQUIRED
    strange.maximum_version = version
    side = await start()
    with blunt_server(strange) as port:
        outcome = await side.elsewhere(port)
    assert (outcome.verdict, outcome.phase) == (Verdict.LATER, Phase.TLS)
    assert outcome.reason == "our-certificate-refused"


REVOKED = PeerStanding(False, "CN=mx.autre.example", "certificate-revoked", "The certificate was revoked.")


async def test_a_certificate_that_is_not_listed_for_the_domain_gets_nothing(start: Start) -> None:
    unlisted = PeerStanding(
        False, "CN=mx.autre.example", "certificate-unlisted", "Your certificate is not listed"
    )
    side = await start(trust=Trust(unlisted))
    outcome = await side.send_one()
    assert (outcome.verdict, outcome.phase) == (Verdict.LATER, Phase.TRUST)
    assert outcome.reason == "certificate-unlisted"
    assert outcome.said == "The trust list does not name the certificate of the other server"
    assert side.peer.said == ["EHLO mx.ici.example", "STARTTLS", "QUIT"]


async def test_a_revocation_counts_at_once_on_a_kept_connection(start: Start) -> None:
    side = await start()
    assert (await side.send_one()).verdict is Verdict.DELIVERED
    side.trust.standing = REVOKED
    outcome = await side.send_one()
    assert (outcome.phase, outcome.reason) == (Phase.TRUST, "certificate-revoked")
    assert len(side.peer.letters) == 1
    side.trust.standing = ALLOWED
    assert (await side.send_one()).verdict is Verdict.DELIVERED
    assert side.peer.connections == 3


async def test_a_judgement_that_fails_is_a_refusal(start: Start) -> None:
    class Failing(Trust):
        async def judge(self, chain: object, domain: str | None) -> PeerStanding:
            raise RuntimeError("no list")

    side = await start(trust=Failing())
    outcome = await side.send_one()
    assert (outcome.verdict, outcome.phase) == (Verdict.LATER, Phase.TRUST)
    assert side.peer.inside == []


async def test_a_domain_that_left_the_list_is_not_even_looked_up(start: Start) -> None:
    side = await start(trust=Trust(domains=set()))
    outcome = await side.send_one()
    assert (outcome.verdict, outcome.phase, outcome.reason) == (Verdict.LATER, Phase.TRUST, "not-listed")
    assert side.peer.connections == 0


async def test_renewed_certificates_are_shown_from_the_next_connection_on(start: Start, pki: Pki) -> None:
    side = await start()
    await side.send()
    renewed = pki.authority.issue_operator("mx.ici.example", Organisation.with_finess("ICI", 1, "Loire (42)"))
    before = pki.files["we"].certificate.read_bytes(), pki.files["we"].key.read_bytes()
    renewed.write(pki.folder, "we")
    try:
        side.client.reload()
        await side.send()
    finally:
        pki.files["we"].certificate.write_bytes(before[0])
        pki.files["we"].key.write_bytes(before[1])
    assert side.peer.client_certificates == [pki.certificates["we"], renewed.der]


def test_files_that_cannot_be_used_are_said_at_the_start(pki: Pki) -> None:
    ours = pki.files["we"]
    with pytest.raises(OSError, match="No such file"):
        PeerSecurity(ours.certificate, ours.key, pki.folder / "none.pem")
    with pytest.raises(ssl.SSLError):
        PeerSecurity(ours.certificate, pki.files["peer"].key, pki.folder / "ca.pem")
