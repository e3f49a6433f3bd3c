"""Web Key Directory, over a real HTTP server on loopback, with a real gpg at the end."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from directory.certificates import tables
from directory.certificates.memory import wkd_hash
from directory.certificates.service import DirectoryService, open_database
from directory.certificates.zbase32 import zbase32
from directory.publication.wkd import web_key_directory
from tests.directory import sites
from tests.directory.moment import NOW

SHOWN, PATIENT = "zoe.martin@cabinet.mss.example", "123456789012345@patient.mss.example"


@dataclass(frozen=True)
class KeyDirectory:
    """Asked as a mail program would."""

    site: sites.Site

    def ask(self, path: str, host: str, method: str = "GET", tag: str = "") -> sites.Answer:
        told = {"If_None_Match": tag} if tag else {}
        return self.site.ask(f"/.well-known/openpgpkey/{path}", method, host, **told)


@pytest.fixture(scope="module")
def directory(doctor: bytes, gnupg: Any) -> Iterator[DirectoryService]:
    with tempfile.TemporaryDirectory(prefix="vm-wkd-") as place:
        engine = open_database(f"sqlite:///{Path(place) / 'directory.db'}")
        tables.create(engine)
        service = DirectoryService(engine)
        service.publish(SHOWN, doctor, NOW)
        service.publish(PATIENT, gnupg.public(gnupg.make(f"<{PATIENT}>")), NOW)
        yield service
        service.close()


@pytest.fixture(scope="module")
def site(directory: DirectoryService) -> Iterator[KeyDirectory]:
    shown = web_key_directory(directory, lambda address: address == SHOWN, largest=26_214_400)
    with sites.serving([shown]) as made:
        yield KeyDirectory(made)


NAME = wkd_hash("zoe.martin")


@pytest.mark.parametrize(
    ("path", "host"),
    [
        (f"hu/{NAME}?l=zoe.martin", "cabinet.mss.example"),
        (f"hu/{NAME}", "CABINET.mss.example:10443"),
        (f"cabinet.mss.example/hu/{NAME}?l=Zoe.Martin", "openpgpkey.cabinet.mss.example"),
    ],
    ids=["direct", "direct, without hint, with a port", "advanced"],
)
def test_a_professional_s_certificate_is_found(
    site: KeyDirectory, directory: DirectoryService, path: str, host: str
) -> None:
    answer = site.ask(path, host)
    assert answer.status == 200
    assert answer.body == directory.published(SHOWN)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["vaguemestre-largest"] == "26214400"  # what a letter to it may weigh
    assert answer.headers["access-control-allow-origin"] == "*"


def test_gpg_reads_what_is_served_and_sees_the_user_id(site: KeyDirectory, gnupg: Any) -> None:
    answer = site.ask(f"hu/{NAME}", "cabinet.mss.example")
    shown = gnupg.run("--with-colons", "--show-keys", data=answer.body).decode()
    lines = [line.split(":") for line in shown.splitlines()]
    assert [line[9] for line in lines if line[0] == "uid"] == [f"Dr Zoé Martin <{SHOWN}>"]
    assert sum(line[0] == "sub" for line in lines) == 1


def test_head_tells_the_same_without_the_body(site: KeyDirectory, directory: DirectoryService) -> None:
    answer = site.ask(f"hu/{NAME}", "cabinet.mss.example", "HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-length"] == str(len(directory.published(SHOWN) or b""))


def test_a_patient_cannot_be_told_from_nobody(site: KeyDirectory) -> None:
    patient = site.ask(
        f"patient.mss.example/hu/{wkd_hash('123456789012345')}", "openpgpkey.patient.mss.example"
    )
    nobody = site.ask(f"patient.mss.example/hu/{wkd_hash('nobody')}", "openpgpkey.patient.mss.example")
    for answer in (patient, nobody):
        answer.headers.pop("date", None)
    assert patient == nobody
    assert patient.status == 404


@pytest.mark.parametrize(
    ("path", "host"),
    [
        (f"hu/{NAME}", "localhost"),
        (f"hu/{NAME}", "other.example"),
        ("hu/", "cabinet.mss.example"),
        ("hu/..%2f..", "cabinet.mss.example"),
        (f"other.example/hu/{NAME}", "openpgpkey.cabinet.mss.example"),
        ("cabinet.mss.example/hu/" + "y" * 4000, "openpgpkey.cabinet.mss.example"),
    ],
)
def test_whatever_else_is_asked_is_not_found(site: KeyDirectory, path: str, host: str) -> None:
    assert site.ask(path, host).status == 404


def test_the_local_part_that_is_told_must_be_the_one_that_is_hashed(site: KeyDirectory) -> None:
    assert site.ask(f"hu/{NAME}?l=somebody.else", "cabinet.mss.example").status == 404
    assert site.ask(f"hu/{NAME}?l=ZOE.MARTIN", "cabinet.mss.example").status == 200


def test_a_change_is_seen_within_a_minute_and_no_change_costs_no_body(site: KeyDirectory) -> None:
    first = site.ask(f"hu/{NAME}", "cabinet.mss.example")
    assert first.headers["cache-control"] == "public, max-age=60"
    again = site.ask(f"hu/{NAME}", "cabinet.mss.example", tag=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert site.ask(f"hu/{NAME}", "cabinet.mss.example", tag='"another"').status == 200


def test_a_browser_may_ask_first(site: KeyDirectory) -> None:
    answer = site.ask(f"hu/{NAME}", "cabinet.mss.example", "OPTIONS")
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"


def test_the_policy_file_is_there_for_our_domains_alone(site: KeyDirectory) -> None:
    direct = site.ask("policy", "cabinet.mss.example")
    assert (direct.status, direct.body) == (200, b"")
    assert direct.headers["access-control-allow-origin"] == "*"
    assert site.ask("cabinet.mss.example/policy", "openpgpkey.cabinet.mss.example").status == 200
    assert site.ask("policy", "other.example").status == 404


def test_a_withdrawn_certificate_is_no_longer_served(
    directory: DirectoryService, site: KeyDirectory, gnupg: Any
) -> None:
    fingerprint = gnupg.make("Zoé <zoe.martin@cabinet.mss.example>")
    published = directory.publish(SHOWN, gnupg.public(fingerprint), NOW)
    assert site.ask(f"hu/{NAME}", "cabinet.mss.example").body == directory.published(SHOWN)
    directory.revoke(SHOWN, published.fingerprint, NOW)
    assert site.ask(f"hu/{NAME}", "cabinet.mss.example").status == 404


@pytest.mark.parametrize(
    ("data", "text"), [(b"", ""), (b"\x00", "yy"), (b"\xff", "9h"), (b"\xf0\xbf\xc7", "6n9hq")]
)
def test_z_base_32(data: bytes, text: str) -> None:
    # Vectors of RFC 6189's reference for whole octets.
    assert zbase32(data) == text
