"""Tokens of an identity provider and channel binding, with real programs against a node that serves."""

from __future__ import annotations

import base64
import contextlib
import imaplib
import json
import os
import shutil
import smtplib
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import world
from deploy.demo.identity import people
from deploy.demo.identity.people import Professional
from deploy.demo.identity.server import PSC_PATH, InThread, Providers
from tests.peers.doors import Doors
from tests.peers.test_neomutt import in_a_terminal

pytestmark = pytest.mark.peers

_SECRET = "un secret d'essai"
_PROVIDER = 91  # its port, above the base of the node's
GP = Professional(people.invented_national_id(41), "Camille", "Aubry")
DOCTOR = Professional(people.invented_national_id(42), "Denis", "Roux")


@dataclass
class Town(Doors):
    """A node and the provider it believes."""

    provider: str
    providers: Providers

    def act(self, act: str, **given: str) -> Any:
        request = urllib.request.Request(
            f"{self.provider}/control/{act}",
            json.dumps(given).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read() or b"{}")

    def token(self, person: Professional) -> str:
        return str(self.act("tokens", person=person.name, client="logiciel")["access_token"])


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    folder = Path(tempfile.mkdtemp(prefix="vm-tokens-"))
    port_base = world.free_port_base(_PROVIDER)
    port = port_base + _PROVIDER
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
    page = f"https://localhost:{world.ports_at(port_base)['https']}"
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
        with contextlib.suppress(FileNotFoundError):  # gone meanwhile
            assert not file.is_file() or secret not in file.read_bytes(), file.name


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
    assert b"BYE" in waits_for_bye(imap, 60)
    smtp.sock.settimeout(60)
    code, text = smtp.getreply()
    assert (code, text[:5]) == (421, b"4.7.0")
    assert time.monotonic() - began < 60
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
    assert town.act("logout", person=GP.name)["told"]
    assert b"[EXPIRED]" in waits_for_bye(imap, 60)
    smtp.sock.settimeout(60)
    assert smtp.getreply()[0] == 421
    assert by_password.noop()[0] == "OK", "what a password opened stays"
    by_password.logout()


# -- neomutt ----------------------------------------------------------------------------------------------------


_REFRESH = """#!{python}
import json, urllib.request
asked = json.dumps({{"person": "{person}", "client": "logiciel"}}).encode()
request = urllib.request.Request("{provider}/control/tokens", asked, {{"Content-Type": "application/json"}})
print(json.load(urllib.request.urlopen(request))["access_token"])
"""


@pytest.mark.timeout(900)
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
        timeout=240,
        check=False,
    )
    assert sent.returncode == 0, sent.stdout + sent.stderr
    log = tmp_path / "mutt.log"
    keys = "<last-entry><quit>"
    shown = in_a_terminal(
        ["neomutt", "-F", str(rc), "-n", "-d", "2", "-l", str(log), "-e", f'push "{keys}"'], screen, 300
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
            timeout=120,
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
