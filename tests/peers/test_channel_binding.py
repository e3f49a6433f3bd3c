"""Channel binding, certificates of systems, and bounds of passwords, with real programs against a node that serves."""

from __future__ import annotations

import hashlib
import imaplib
import os
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from scramp import ScramClient

from deploy.demo import clients, letters, pki, world
from mail_server.accounts.channel_binding import end_point_of
from tests.peers.doors import Doors
from tests.worlds import own_world

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def town() -> Iterator[Doors]:
    with own_world("binding") as (made, node):
        yield Doors(made, node)


# -- channel binding --------------------------------------------------------------------------------------------


def shown_certificate(imap: imaplib.IMAP4) -> bytes:
    assert isinstance(imap.sock, ssl.SSLSocket)
    found = imap.sock.getpeercert(binary_form=True)
    assert found
    return found


def by_scram_plus(imap: imaplib.IMAP4, person: world.Person, binding: bytes) -> None:
    client = ScramClient(
        ["SCRAM-SHA-256-PLUS"],
        person.address,
        person.password,
        channel_binding=("tls-server-end-point", binding),
    )
    steps = iter((1, 2, 3))

    def answer(challenge: bytes) -> bytes:
        match next(steps):
            case 1:
                return client.get_client_first().encode()
            case 2:
                client.set_server_first(challenge.decode())
                return client.get_client_final().encode()
            case _:
                client.set_server_final(challenge.decode())
                return b""

    imap.authenticate("SCRAM-SHA-256-PLUS", answer)


def test_a_scram_plus_client_logs_in_over_tls_and_starttls(town: Doors) -> None:
    person = town.made.persons[world.GP]
    over_tls = town.imap()
    by_scram_plus(over_tls, person, hashlib.sha256(shown_certificate(over_tls)).digest())
    assert over_tls.select("INBOX")[0] == "OK"
    over_tls.logout()
    started = imaplib.IMAP4("localhost", town.made.ports["imap"], timeout=60)
    started.starttls(ssl_context=town.tls)
    by_scram_plus(started, person, hashlib.sha256(shown_certificate(started)).digest())
    started.logout()
    rows = town.made.command("audit_show", limit=2, action="login", address=world.GP, reference=None)
    assert {row["detail"]["mechanism"] for row in rows} == {"SCRAM-SHA-256-PLUS"}


def test_one_in_between_who_has_another_good_certificate_gets_nothing(town: Doors) -> None:
    """It ends the client's TLS with its own certificate of the same authority, and passes everything on."""
    made = town.made
    theirs = made.operator  # a certificate the client would believe, had it the right name
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(theirs.certificate, theirs.key)
    listener = socket.create_server(("127.0.0.1", 0))
    trusting = town.tls
    trusting.check_hostname = False

    def between() -> None:
        taken, _ = listener.accept()
        near = context.wrap_socket(taken, server_side=True)
        far = town.tls.wrap_socket(
            socket.create_connection(("localhost", made.ports["imaps"])), server_hostname="localhost"
        )

        def pass_on(source: ssl.SSLSocket, target: ssl.SSLSocket) -> None:
            try:
                while data := source.recv(65536):
                    target.sendall(data)
            except OSError:
                pass

        one = threading.Thread(target=pass_on, args=(near, far), daemon=True)
        one.start()
        pass_on(far, near)

    threading.Thread(target=between, daemon=True).start()
    trusting.verify_mode = ssl.CERT_NONE
    imap = imaplib.IMAP4_SSL("localhost", listener.getsockname()[1], ssl_context=trusting, timeout=120)
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        by_scram_plus(imap, made.persons[world.GP], hashlib.sha256(shown_certificate(imap)).digest())
    assert town.newest_failure()["outcome"] == "channel-binding"
    listener.close()


def test_gsasl_logs_in_by_scram_and_is_refused_where_it_would_bind_to_something_else(town: Doors) -> None:
    """GNU SASL binds by tls-exporter alone (RFC 9266), which Python's TLS does not give: the product offers none."""
    if not shutil.which("gsasl"):
        pytest.fail("What people really use is not tried here: apt-get install gsasl")
    person = town.made.persons[world.GP]

    def run(*more: str) -> str:
        done = subprocess.run(
            [
                *("gsasl", "--imap", f"--connect=localhost:{town.made.ports['imap']}", "--verbose"),
                *(f"--x509-ca-file={town.made.ca}", "-a", person.address, "-z", person.address),
                *("-p", person.password, *more),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.stdout + done.stderr

    assert "Logged in" in run("--mechanism=SCRAM-SHA-256", "--no-cb")
    assert "Logged in" in run("--mechanism=PLAIN")
    bound = run("--mechanism=SCRAM-SHA-256-PLUS")
    assert "NO [AUTHENTICATIONFAILED]" in bound
    assert town.newest_failure()["outcome"] == "channel-binding-type"


def test_a_new_certificate_binds_new_connections_and_leaves_open_ones_as_they_are(town: Doors) -> None:
    made = town.made
    before = town.imap()
    old = shown_certificate(before)
    chain, key = made.folder / "pki" / "server.pem", made.folder / "pki" / "server.key"
    kept = chain.read_bytes(), key.read_bytes()
    authority = pki.TestAuthority.create()
    here = pki.Organisation.with_finess("AUTRE CERTIFICAT TEST", 3, "Rhône (69)")
    try:
        fresh = made.folder / "fresh"
        fresh.mkdir()
        anchor = authority.write(fresh)
        authority.issue_server(f"smtp.{world.DOMAIN}", here, names=["localhost"]).write(fresh, "server")
        chain.write_bytes((fresh / "server.pem").read_bytes())
        key.write_bytes((fresh / "server.key").read_bytes())
        os.kill(town.node.pid, signal.SIGHUP)
        after = once_trusted(made, anchor)
        new = shown_certificate(after)
        assert new != old
        person = made.persons[world.GP]
        for imap, shown in ((before, old), (after, new)):
            binding = end_point_of(shown)
            assert binding
            by_scram_plus(imap, person, binding)
            imap.logout()
    finally:
        chain.write_bytes(kept[0])
        key.write_bytes(kept[1])
        os.kill(town.node.pid, signal.SIGHUP)
        once_trusted(made, made.ca).logout()


def once_trusted(made: world.World, authority: Path) -> imaplib.IMAP4_SSL:
    """Connected, once the certificate shown is one of this authority: the node reads it again in a moment."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return imaplib.IMAP4_SSL(
                "localhost", made.ports["imaps"], ssl_context=clients.tls(authority), timeout=60
            )
        except ssl.SSLCertVerificationError:
            assert time.monotonic() < deadline, "the certificate was not read again"
            time.sleep(0.1)


# -- a system's certificate, and bounds of a password -----------------------------------------------------------


def test_a_system_reads_its_own_mailbox_by_certificate(town: Doors) -> None:
    made = town.made
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    imap = imaplib.IMAP4_SSL("localhost", made.ports["imaps"], ssl_context=context, timeout=60)
    assert "AUTH=EXTERNAL" in imap.capabilities
    imap.authenticate("EXTERNAL", lambda _: b"")
    assert imap.select("INBOX")[0] == "OK"
    imap.logout()
    assert "AUTH=EXTERNAL" not in town.imap().capabilities


def test_a_certificate_of_no_known_authority_ends_the_handshake_of_imap_and_is_in_the_trace(
    town: Doors, tmp_path: Path
) -> None:
    made = town.made
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", "/CN=inconnu", "-keyout", "k.pem", "-out", "c.pem", "-days", "2"),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    context = clients.tls(made.ca, tmp_path / "c.pem", tmp_path / "k.pem")
    with pytest.raises((OSError, imaplib.IMAP4.error)):
        imaplib.IMAP4_SSL("localhost", made.ports["imaps"], ssl_context=context, timeout=120).noop()
    deadline = time.monotonic() + 60
    while True:
        rows = made.command("audit_show", limit=5, action="refuse", address=None, reference=None)
        found = [row for row in rows if row["outcome"] == "handshake-failed"]
        if found or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    assert found[-1]["detail"]["protocol"] == "imap"
    assert re.fullmatch(r"chain-[a-z]+|certificate-[a-z-]+", found[-1]["detail"]["cause"])


def test_a_password_bound_to_submission_and_to_a_range_opens_nothing_else(town: Doors) -> None:
    made = town.made
    new = made.command(
        "account_password",
        address=world.NURSE,
        label="envoi seul",
        protocols=["submission"],
        days=1,
        network="127.0.0.0/8",
    )["password"]
    far = made.command(
        "account_password", address=world.NURSE, label="cabinet", protocols=[], days=1, network="192.0.2.0/24"
    )["password"]
    with town.smtp() as smtp:
        assert smtp.login(world.NURSE, new)[0] == 235
    for password, reason in ((new, "wrong-protocol"), (far, "wrong-network")):
        with pytest.raises(imaplib.IMAP4.error):
            town.imap().login(world.NURSE, password)
        assert town.newest_failure()["outcome"] == reason
    listed = {row["label"]: row for row in made.command("password_list", address=world.NURSE)}
    assert (listed["envoi seul"]["protocols"], listed["envoi seul"]["last_place"]) == (
        ["submission"],
        "127.0.0.1",
    )
    assert (listed["cabinet"]["network"], listed["cabinet"]["last_used"]) == ("192.0.2.0/24", None)


def test_a_password_revoked_while_a_letter_comes_in_lets_no_letter_through(town: Doors) -> None:
    made = town.made
    new = made.command("account_password", address=world.NURSE, label="perdu")
    smtp = town.smtp()
    smtp.login(world.NURSE, new["password"])
    smtp.mail(world.NURSE)
    smtp.rcpt(world.GP)
    assert smtp.docmd("DATA")[0] == 354
    letter = letters.note(world.NURSE, world.GP, "Relais", "x\n").data
    smtp.send(letter)
    made.command("password_revoke", address=world.NURSE, credential=new["credential"])
    try:
        smtp.send(b".\r\n")
        code, _ = smtp.getreply()
    except smtplib.SMTPServerDisconnected:
        pytest.fail("the sender was told nothing")
    assert code == 421
    identifier = re.search(rb"Message-ID: (\S+)", letter)
    assert identifier
    with clients.mailbox(made.ports["imaps"], town.tls, world.GP, made.persons[world.GP].password) as imap:
        imap.select("INBOX", readonly=True)
        _, found = imap.uid("SEARCH", "HEADER", "Message-ID", identifier[1].decode())
    assert found == [b""]
