"""Tokens of an identity provider and channel binding, with real programs against a node that serves."""

from __future__ import annotations

import base64
import hashlib
import imaplib
import json
import os
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from scramp import ScramClient

from deploy.demo import clients, pki, world
from deploy.demo.identity import people
from deploy.demo.identity.people import Professional
from deploy.demo.identity.server import PSC_PATH, InThread, Providers
from mail_server.accounts.channel_binding import end_point_of
from tests.peers.test_neomutt import in_a_terminal

pytestmark = pytest.mark.peers

_SECRET = "un secret d'essai"
GP = Professional(people.invented_national_id(41), "Camille", "Aubry")
DOCTOR = Professional(people.invented_national_id(42), "Denis", "Roux")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Town:
    """A node and the provider it believes."""

    made: world.World
    node: world.NodeProcess
    provider: str
    providers: Providers

    def act(self, act: str, **given: str) -> Any:
        request = urllib.request.Request(
            f"{self.provider}/control/{act}",
            json.dumps(given).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or b"{}")

    def token(self, person: Professional) -> str:
        return str(self.act("tokens", person=person.name, client="logiciel")["access_token"])

    @property
    def tls(self) -> ssl.SSLContext:
        return clients.tls(self.made.ca)

    def imap(self) -> imaplib.IMAP4_SSL:
        return imaplib.IMAP4_SSL("localhost", self.made.ports["imaps"], ssl_context=self.tls, timeout=60)

    def smtp(self) -> smtplib.SMTP:
        smtp = smtplib.SMTP("localhost", self.made.ports["submission"], timeout=60)
        smtp.starttls(context=self.tls)
        smtp.ehlo()
        return smtp

    def newest_failure(self) -> dict[str, Any]:
        rows = self.made.command("audit_show", limit=1, action="login-failed", address=None, reference=None)
        return dict(rows[-1])


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    folder = Path(tempfile.mkdtemp(prefix="vm-tokens-"))
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    secret = folder.with_suffix(".secret")
    secret.write_text(_SECRET)
    issuer = f"{base}{PSC_PATH}"
    provider = {
        "name": "psc",
        "issuer": issuer,
        "discovery": f"{issuer}/.well-known/wallet-openid-configuration",
        "client_id": "vaguemestre",
        "client_secret_file": str(secret),
        "scope": "openid scope_all",
        "mail_tokens": True,
        "clients": ["logiciel"],
        "introspection_memory": 0,
    }
    port_base = world.free_port_base()
    page = f"https://localhost:{port_base + world._PORTS['https']}"
    anyone = ssl.create_default_context()
    anyone.check_hostname = False  # the node's certificate is made after the provider
    anyone.verify_mode = ssl.CERT_NONE
    providers = Providers.at(base, [GP, DOCTOR], secret=_SECRET, page=page, verify=anyone)
    with InThread(providers.server(port)):
        made, node = world.build(folder, port_base, lambda _: None, {"oidc": {"providers": [provider]}})
        try:
            for address, person in ((world.GP, GP), (world.DOCTOR, DOCTOR)):
                made.command("account_national_id", address=address, national_id=person.national_id)
            yield Town(made, node, issuer, providers)
        finally:
            node.stop()
            shutil.rmtree(folder, ignore_errors=True)
            secret.unlink()


def xoauth2(user: str, token: str) -> bytes:
    return f"user={user}\x01auth=Bearer {token}\x01\x01".encode()


def bearer(user: str, token: str) -> bytes:
    return f"n,a={user},\x01host=localhost\x01port=993\x01auth=Bearer {token}\x01\x01".encode()


MESSAGES = {"XOAUTH2": xoauth2, "OAUTHBEARER": bearer}


def by_imap(imap: imaplib.IMAP4_SSL, mechanism: str, message: bytes) -> list[bytes]:
    """Log in; the challenges heard. Raises imaplib's error when refused."""
    heard: list[bytes] = []

    def answer(challenge: bytes) -> bytes:
        heard.append(challenge)
        return message if len(heard) == 1 else b"\x01"

    try:
        imap.authenticate(mechanism, answer)
    except imaplib.IMAP4.error as refused:
        refused.args = (*refused.args, *heard)
        raise
    return heard


def by_smtp(smtp: smtplib.SMTP, mechanism: str, message: bytes) -> tuple[int, bytes, bytes]:
    """Code, text and the challenge heard before."""
    code, text = smtp.docmd("AUTH", f"{mechanism} {base64.b64encode(message).decode()}")
    challenge = b""
    if code == 334:
        challenge = base64.b64decode(text)
        code, text = smtp.docmd(base64.b64encode(b"\x01").decode())
    return code, text, challenge


# -- tokens -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", list(MESSAGES))
def test_a_fresh_token_opens_imap_and_submission(town: Town, mechanism: str) -> None:
    token = town.token(GP)
    imap = town.imap()
    assert f"AUTH={mechanism}" in imap.capabilities
    by_imap(imap, mechanism, MESSAGES[mechanism](world.GP, token))
    assert imap.select("INBOX")[0] == "OK"
    imap.logout()
    with town.smtp() as smtp:
        assert mechanism in smtp.esmtp_features["auth"].split()
        assert by_smtp(smtp, mechanism, MESSAGES[mechanism](world.GP, token))[0] == 235
        smtp.sendmail(world.GP, [world.NURSE], letters_from(world.GP, world.NURSE))


def letters_from(sender: str, recipient: str) -> bytes:
    return (
        f"From: {sender}\r\nTo: {recipient}\r\nSubject: relais\r\nMessage-ID: <{time.time_ns()}@essai.test>\r\n"
        "Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n\r\nBonjour.\r\n"
    ).encode()


def test_a_member_names_the_wards_mailbox_and_is_in_as_themselves(town: Town) -> None:
    imap = town.imap()
    by_imap(imap, "XOAUTH2", xoauth2(world.WARD, town.token(DOCTOR)))
    _, listed = imap.list('""', "*")
    assert any(world.WARD.encode() in line for line in listed if isinstance(line, bytes))
    imap.logout()
    rows = town.made.command("audit_show", limit=1, action="login", address=None, reference=None)
    assert (rows[-1]["who"], rows[-1]["detail"]["mechanism"]) == (world.DOCTOR, "XOAUTH2")


@pytest.mark.parametrize("mechanism", list(MESSAGES))
def test_another_professionals_token_is_refused_and_in_the_trace(town: Town, mechanism: str) -> None:
    message = MESSAGES[mechanism](world.GP, town.token(DOCTOR))
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED") as refused:
        by_imap(town.imap(), mechanism, message)
    told = json.loads(refused.value.args[-1])
    assert told["status"] in ("invalid_token", "401")
    assert set(told) <= {"status", "schemes", "scope", "openid-configuration"}
    failure = town.newest_failure()
    assert (failure["who"], failure["on"]) == (world.DOCTOR, world.GP)
    with town.smtp() as smtp:
        code, text, challenge = by_smtp(smtp, mechanism, message)
    assert (code, json.loads(challenge)["status"]) == (535, told["status"])
    failure = town.newest_failure()
    assert (failure["who"], failure["on"]) == (world.DOCTOR, world.GP)
    assert failure["reference"].encode() in text


def test_a_token_changed_on_the_way_and_one_revoked_are_refused(town: Town) -> None:
    token = town.token(GP)
    head, body, signature = token.split(".")
    forged = f"{head}.{body}.{signature[::-1]}"
    with pytest.raises(imaplib.IMAP4.error):
        by_imap(town.imap(), "XOAUTH2", xoauth2(world.GP, forged))
    assert town.newest_failure()["outcome"] == "bad-signature"
    town.act("revoke", token=token)
    with pytest.raises(imaplib.IMAP4.error):
        by_imap(town.imap(), "XOAUTH2", xoauth2(world.GP, token))
    assert town.newest_failure()["outcome"] == "revoked"


def test_no_token_is_in_the_log_or_under_the_nodes_home(town: Town) -> None:
    token = town.token(GP)
    imap = town.imap()
    by_imap(imap, "OAUTHBEARER", bearer(world.GP, token))
    imap.logout()
    time.sleep(0.3)
    secret = token.rpartition(".")[2].encode()
    for file in town.made.folder.rglob("*"):
        if file.is_file() and not file.is_socket():
            assert secret not in file.read_bytes(), file.name


def waits_for_bye(imap: imaplib.IMAP4_SSL, seconds: float) -> bytes:
    imap.sock.settimeout(seconds)
    while line := imap.readline():
        if line.startswith(b"* BYE"):
            return line
    pytest.fail("the connection ended without a word")


def test_who_is_struck_off_is_put_out_of_idle_and_of_submission_within_the_minute(town: Town) -> None:
    token = town.token(DOCTOR)
    imap = town.imap()
    by_imap(imap, "XOAUTH2", xoauth2(world.DOCTOR, token))
    imap.select("INBOX")
    imap.send(b"a IDLE\r\n")
    assert imap.readline().startswith(b"+")
    smtp = town.smtp()
    assert by_smtp(smtp, "XOAUTH2", xoauth2(world.DOCTOR, token))[0] == 235
    began = time.monotonic()
    town.made.command("account_suspend", address=world.DOCTOR, reason="radié (essai)")
    assert b"BYE" in waits_for_bye(imap, 30)
    smtp.sock.settimeout(30)
    code, text = smtp.getreply()
    assert (code, text[:5]) == (421, b"4.7.0")
    assert time.monotonic() - began < 30
    town.made.command("account_reinstate", address=world.DOCTOR)


def test_a_logout_at_the_provider_ends_the_connections_it_opened_at_once(town: Town) -> None:
    imap = town.imap()
    by_imap(imap, "OAUTHBEARER", bearer(world.GP, town.token(GP)))
    imap.select("INBOX")
    imap.send(b"a IDLE\r\n")
    assert imap.readline().startswith(b"+")
    smtp = town.smtp()
    assert by_smtp(smtp, "XOAUTH2", xoauth2(world.GP, town.token(GP)))[0] == 235
    by_password = town.imap()
    by_password.login(world.GP, town.made.persons[world.GP].password)
    began = time.monotonic()
    assert town.act("logout", person=GP.name)["told"]
    assert b"[EXPIRED]" in waits_for_bye(imap, 10)
    smtp.sock.settimeout(10)
    assert smtp.getreply()[0] == 421
    assert time.monotonic() - began < 5
    assert by_password.noop()[0] == "OK", "what a password opened stays"
    by_password.logout()


# -- neomutt ----------------------------------------------------------------------------------------------------


_REFRESH = """#!{python}
import json, urllib.request
asked = json.dumps({{"person": "{person}", "client": "logiciel"}}).encode()
request = urllib.request.Request("{provider}/control/tokens", asked, {{"Content-Type": "application/json"}})
print(json.load(urllib.request.urlopen(request))["access_token"])
"""


@pytest.mark.timeout(240)
def test_neomutt_reads_and_sends_with_a_token(town: Town, tmp_path: Path) -> None:
    """By XOAUTH2: Debian 12's neomutt refuses to send a token of more than 1 kB by OAUTHBEARER."""
    made = town.made
    refresh = tmp_path / "token.py"  # what mutt_oauth2.py does in real life
    refresh.write_text(_REFRESH.format(python=sys.executable, provider=town.provider, person=GP.name))
    refresh.chmod(0o700)
    subject = f"neomutt {time.time_ns()}"
    rc = tmp_path / "neomuttrc"
    rc.write_text(
        f"""
set folder = "imaps://localhost:{made.ports["imaps"]}/"
set spoolfile = "+INBOX"
set imap_user = "{world.GP}"
set imap_authenticators = "xoauth2"
set imap_oauth_refresh_command = "{refresh}"
set smtp_url = "smtp://{world.GP}@localhost:{made.ports["submission"]}/"
set smtp_authenticators = "xoauth2"
set smtp_oauth_refresh_command = "{refresh}"
set from = "{world.GP}"
set hostname = "localhost"
set use_envelope_from = yes
set envelope_from_address = "{world.GP}"
set ssl_starttls = yes
set ssl_force_tls = yes
set certificate_file = "{made.ca}"
set charset = "utf-8"
set header_cache = ""
set copy = no
set quit = yes
set wait_key = no
set crypt_use_gpgme = no
"""
    )
    screen = {**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8", "HOME": str(tmp_path)}
    sent = subprocess.run(
        ["neomutt", "-F", str(rc), "-n", "-s", subject, world.GP],
        input="Relais de garde.\n",
        env=screen,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert sent.returncode == 0, sent.stdout + sent.stderr
    log = tmp_path / "mutt.log"
    keys = "<last-entry><quit>"
    shown = in_a_terminal(
        ["neomutt", "-F", str(rc), "-n", "-d", "2", "-l", str(log), "-e", f'push "{keys}"'], screen, 60
    )
    assert subject.encode() not in shown, "the server sealed it: the list shows the outer subject"
    rows = made.command("audit_show", limit=50, action="login", address=world.GP, reference=None)
    seen = {(row["detail"]["mechanism"], row["detail"]["protocol"]) for row in rows}
    assert {("XOAUTH2", "imap"), ("XOAUTH2", "submission")} <= seen, shown[-1500:]


@pytest.mark.parametrize("mechanism", list(MESSAGES))
def test_curl_reads_and_sends_with_a_token(town: Town, tmp_path: Path, mechanism: str) -> None:
    if not shutil.which("curl"):
        pytest.fail("What people really use is not tried here: apt-get install curl")
    made, letter = town.made, tmp_path / "letter"
    letter.write_bytes(letters_from(world.GP, world.NURSE))

    def run(url: str, token: str, *more: str) -> subprocess.CompletedProcess[str]:
        settings = f'oauth2-bearer = "{token}"\n'  # by standard input: a command line is everybody's to see
        return subprocess.run(
            [
                *("curl", "--silent", "--show-error", "--config", "-", "--cacert", str(made.ca)),
                *("--user", f"{world.GP}:", "--login-options", f"AUTH={mechanism}", url, *more),
            ],
            input=settings,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    inbox = f"imaps://localhost:{made.ports['imaps']}/"
    envelope = ("--ssl-reqd", "--mail-from", world.GP, "--mail-rcpt", world.NURSE)
    read = run(inbox, town.token(GP))
    assert (read.returncode, "INBOX" in read.stdout) == (0, True), read.stderr
    submission = f"smtp://localhost:{made.ports['submission']}/"
    sent = run(submission, town.token(GP), *envelope, "--upload-file", str(letter))
    assert sent.returncode == 0, sent.stderr
    assert run(inbox, town.token(DOCTOR)).returncode == 67, "CURLE_LOGIN_DENIED"


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


def test_a_scram_plus_client_logs_in_over_tls_and_starttls(town: Town) -> None:
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


def test_one_in_between_who_has_another_good_certificate_gets_nothing(town: Town) -> None:
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
    imap = imaplib.IMAP4_SSL("localhost", listener.getsockname()[1], ssl_context=trusting, timeout=30)
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        by_scram_plus(imap, made.persons[world.GP], hashlib.sha256(shown_certificate(imap)).digest())
    assert town.newest_failure()["outcome"] == "channel-binding"
    listener.close()


def test_gsasl_logs_in_by_scram_and_is_refused_where_it_would_bind_to_something_else(town: Town) -> None:
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
            timeout=60,
            check=False,
        )
        return done.stdout + done.stderr

    assert "Logged in" in run("--mechanism=SCRAM-SHA-256", "--no-cb")
    assert "Logged in" in run("--mechanism=PLAIN")
    bound = run("--mechanism=SCRAM-SHA-256-PLUS")
    assert "NO [AUTHENTICATIONFAILED]" in bound
    assert town.newest_failure()["outcome"] == "channel-binding-type"


def test_a_new_certificate_binds_new_connections_and_leaves_open_ones_as_they_are(town: Town) -> None:
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
        time.sleep(1)
        after = imaplib.IMAP4_SSL(
            "localhost", made.ports["imaps"], ssl_context=clients.tls(anchor), timeout=30
        )
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
        time.sleep(0.5)


# -- a system's certificate, and bounds of a password -----------------------------------------------------------


def test_a_system_reads_its_own_mailbox_by_certificate(town: Town) -> None:
    made = town.made
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    imap = imaplib.IMAP4_SSL("localhost", made.ports["imaps"], ssl_context=context, timeout=60)
    assert "AUTH=EXTERNAL" in imap.capabilities
    imap.authenticate("EXTERNAL", lambda _: b"")
    assert imap.select("INBOX")[0] == "OK"
    imap.logout()
    assert "AUTH=EXTERNAL" not in town.imap().capabilities


def test_a_certificate_of_no_known_authority_ends_the_handshake_of_imap_and_is_in_the_trace(
    town: Town, tmp_path: Path
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
        imaplib.IMAP4_SSL("localhost", made.ports["imaps"], ssl_context=context, timeout=20).noop()
    deadline = time.monotonic() + 5
    while True:
        rows = made.command("audit_show", limit=5, action="refuse", address=None, reference=None)
        found = [row for row in rows if row["outcome"] == "handshake-failed"]
        if found or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    assert found[-1]["detail"]["protocol"] == "imap"
    assert re.fullmatch(r"chain-[a-z]+|certificate-[a-z-]+", found[-1]["detail"]["cause"])


def test_a_password_bound_to_submission_and_to_a_range_opens_nothing_else(town: Town) -> None:
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


def test_a_password_revoked_while_a_letter_comes_in_lets_no_letter_through(town: Town) -> None:
    made = town.made
    new = made.command("account_password", address=world.NURSE, label="perdu")
    smtp = town.smtp()
    smtp.login(world.NURSE, new["password"])
    smtp.mail(world.NURSE)
    smtp.rcpt(world.GP)
    assert smtp.docmd("DATA")[0] == 354
    letter = letters_from(world.NURSE, world.GP)
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
