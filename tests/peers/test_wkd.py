"""What the node publishes: certificates by Web Key Directory, the help page, and counters for this machine alone."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import clients, letters, world
from deploy.demo.people import temporary_home
from directory.certificates.memory import wkd_hash

pytestmark = pytest.mark.peers

ADVANCED_HOST = f"openpgpkey.{world.DOMAIN}"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def get(made: world.World, path: str, host: str = "localhost", method: str = "GET") -> Answer:
    return over_https(made.ca, made.ports["https"], path, host, method)


def over_https(ca: Path, port: int, path: str, host: str, method: str = "GET") -> Answer:
    """The certificate verified against the test authority for the name that is asked."""
    context = clients.tls(ca)
    connection = http.client.HTTPSConnection(host, port, context=context, timeout=120)
    with socket.create_connection(("127.0.0.1", port), 60) as raw:
        connection.sock = context.wrap_socket(raw, server_hostname=host)
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
    return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)


def advanced(made: world.World, address: str) -> Answer:
    """Of this operator, whatever the address."""
    return published(made.ca, made.ports["https"], address, ADVANCED_HOST)


def published(ca: Path, port: int, address: str, host: str = "") -> Answer:
    """By the advanced method; without `host`, of the operator whose address it is."""
    local, _, domain = address.partition("@")
    path = f"/.well-known/openpgpkey/{domain}/hu/{wkd_hash(local)}?l={local}"
    return over_https(ca, port, path, host or f"openpgpkey.{domain}")


def shown_by_gpg(certificate: bytes) -> str:
    command = ["gpg", "--batch", "--with-colons", "--show-keys"]
    return subprocess.run(
        command, input=certificate, capture_output=True, check=True, timeout=120
    ).stdout.decode()


def as_gnupg_holds(certificate: bytes) -> bytes:
    """Taken in and given out by GnuPG: the same packets, each in one framing (RFC 9580 §4.2 has two)."""
    with temporary_home() as home:
        gpg = ["gpg", "--homedir", str(home), "--batch"]
        subprocess.run([*gpg, "--import"], input=certificate, check=True, capture_output=True, timeout=120)
        return subprocess.run([*gpg, "--export"], check=True, capture_output=True, timeout=120).stdout


def test_the_advanced_method_gives_the_very_certificate_a_person_published(made: world.World) -> None:
    answer = advanced(made, world.GP)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["access-control-allow-origin"] == "*"
    published = (made.folder / "people" / "camille.aubry.pub.asc").read_bytes()
    assert as_gnupg_holds(answer.body) == as_gnupg_holds(published)
    assert f"<{world.GP}>" in shown_by_gpg(answer.body)


def test_the_direct_method_gives_the_same_for_the_domain_that_is_asked(made: world.World) -> None:
    local = world.GP.partition("@")[0]
    path = f"/.well-known/openpgpkey/hu/{wkd_hash(local)}?l={local}"
    connection = http.client.HTTPSConnection(
        "localhost", made.ports["https"], context=clients.tls(made.ca), timeout=120
    )
    # No test domain resolves here: the name asked for stands in the Host field alone.
    connection.request("GET", path, headers={"Host": world.DOMAIN})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, advanced(made, world.GP).body)
    assert answer.getheader("Access-Control-Allow-Origin") == "*"
    connection.close()


def test_gnupg_seals_to_the_certificate_it_was_given_and_the_holder_opens_it(
    made: world.World, tmp_path: Path
) -> None:
    person = made.persons[world.GP]
    assert person.secret_key is not None
    certificate = tmp_path / "found.pgp"
    certificate.write_bytes(advanced(made, world.GP).body)
    command = [
        "gpg",
        "--batch",
        "--armor",
        "--trust-model",
        "always",
        "--encrypt",
        "--recipient-file",
        str(certificate),
    ]
    inner = "Subject: essai\r\n\r\nà vous seule\r\n".encode()
    sealed = subprocess.run(command, input=inner, capture_output=True, check=True, timeout=120).stdout
    assert clients.open_with_gpg(sealed, person.secret_key, person.passphrase, None).inner == inner


def test_an_account_in_custody_has_an_operator_held_certificate_from_its_first_letter_on(
    made: world.World,
) -> None:
    letter = letters.note(world.HOSPITAL, world.LABORATORY, "Demande", "Ionogramme.\n")
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    clients.send_as_system(
        made.ports["submissions"], context, world.HOSPITAL, [world.LABORATORY], letter.data
    )
    answer = advanced(made, world.LABORATORY)
    deadline = time.monotonic() + 120
    while answer.status == 404 and time.monotonic() < deadline:  # it is made behind the letter's 250
        time.sleep(1)  # misses are counted: who has too many is slowed
        answer = advanced(made, world.LABORATORY)
    assert answer.status == 200
    shown = shown_by_gpg(answer.body)
    assert f":{world.LABORATORY}:" in shown
    keys = [line.split(":") for line in shown.splitlines() if line.startswith(("pub:", "sub:"))]
    assert [key[0] for key in keys] == ["pub", "sub"]
    assert "e" in keys[1][11]


@pytest.mark.parametrize(
    "address", [f"personne.inconnue@{world.DOMAIN}", f"camille.aubry@{world.FOREIGN_DOMAIN}"]
)
def test_who_is_not_here_is_not_found_and_a_page_may_read_that_too(made: world.World, address: str) -> None:
    answer = advanced(made, address)
    assert (answer.status, answer.body) == (404, b"")
    assert answer.headers["access-control-allow-origin"] == "*"


def test_a_policy_file_says_that_the_directory_is_there(made: world.World) -> None:
    answer = get(made, f"/.well-known/openpgpkey/{world.DOMAIN}/policy", ADVANCED_HOST)
    assert answer.status == 200
    # Nothing is submitted by mail; listed operators find their own port by a line that others pass over.
    [line] = answer.body.decode().splitlines()
    assert line.startswith("vaguemestre.example_peers: localhost:")


@pytest.mark.parametrize(("path", "language"), [("/aide", "fr"), ("/help", "en")])
def test_the_help_page_is_served_behind_strict_headers(made: world.World, path: str, language: str) -> None:
    answer = get(made, path)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert f'<html lang="{language}"'.encode() in answer.body
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "server" not in answer.headers


def test_browsers_are_told_to_come_back_over_tls(made: world.World) -> None:
    assert "strict-transport-security" in get(made, "/", ADVANCED_HOST).headers


def listening_on(port: int) -> list[str]:
    """Local addresses that listen on this port, as the kernel tells."""
    wanted = f":{port:04X}"
    found: list[str] = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            if local.endswith(wanted) and state == "0A":
                found.append(local.partition(":")[0])
    return found


def test_metrics_are_told_to_this_machine_alone_and_name_nobody(
    made: world.World, demo: dict[str, Any]
) -> None:
    assert get(made, "/metrics").status == 404
    port = made.ports["metrics"]
    assert listening_on(port) == ["0100007F"], "127.0.0.1 and nothing else"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    assert answer.status == 200
    assert "vaguemestre_smtp_" in text
    assert "vaguemestre_imap_" in text
    named = [account["address"] for account in demo["accounts"]] + [demo["hospital"]["address"]]
    assert [address for address in named if address in text] == []
    assert json.dumps(world.DOMAIN) not in text


def test_the_closing_address_has_a_certificate_that_a_program_can_hide_a_subject_with(
    made: world.World,
) -> None:
    closing = f"fin@{world.DOMAIN}"
    answer = advanced(made, closing)
    deadline = time.monotonic() + 120  # made behind the doors when the node starts
    while answer.status == 404 and time.monotonic() < deadline:
        time.sleep(1)
        answer = advanced(made, closing)
    assert answer.status == 200
    assert f":{closing}:" in shown_by_gpg(answer.body)  # an address alone names nobody else
    with temporary_home() as home:
        gpg = ["gpg", "--homedir", str(home), "--batch", "--trust-model", "always"]
        subprocess.run([*gpg, "--import"], input=answer.body, check=True, capture_output=True, timeout=120)
        sealed = subprocess.run(
            [*gpg, "--encrypt", "-r", closing], input=b"[FIN]", capture_output=True, timeout=120, check=True
        )
    assert sealed.stdout
