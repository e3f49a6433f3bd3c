"""Key server lookups over a real HTTP server on loopback, by hand, and by GnuPG with its dirmngr."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import Engine

from directory.certificates import tables
from directory.certificates.service import DirectoryService, open_database
from directory.harvest import Allowance, Sweep
from directory.openpgp import armor
from directory.publication import hkp
from directory.publication.hkp import KeyServer, key_server
from tests.directory import sites
from tests.directory.moment import NOW

ZOE, HIDDEN = "zoe.martin@cabinet.mss.example", "rouge@cabinet.mss.example"
PATIENT = "123456789012345@patient.mss.example"
ALLOWANCE = 300


class Shown:
    """Zoé alone is shown; in a test, whoever it adds."""

    def __init__(self, directory: DirectoryService) -> None:
        self.directory = directory
        self.public = {ZOE}

    def certificate(self, address: str) -> bytes | None:
        return self.directory.published(address) if address in self.public else None

    def by_key(self, key: str) -> tuple[str, bytes] | None:
        found = self.directory.by_key(key)
        return found if found is not None and found[0] in self.public else None


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with tempfile.TemporaryDirectory(prefix="vm-hkp-") as place:
        made = open_database(f"sqlite:///{Path(place) / 'directory.db'}")
        tables.create(made)
        yield made
        made.dispose()


@pytest.fixture(scope="module")
def shown(engine: Engine, doctor: bytes, gnupg: Any) -> Shown:
    service = DirectoryService(engine)
    service.publish(ZOE, doctor, NOW)
    for address in (PATIENT, HIDDEN):
        service.publish(address, gnupg.public(gnupg.make(f"<{address}>")), NOW)
    return Shown(service)


@pytest.fixture(scope="module")
def sweeps() -> list[Sweep]:
    return []


@pytest.fixture(scope="module")
def site(shown: Shown, sweeps: list[Sweep]) -> Iterator[Any]:
    harvest = Allowance(ALLOWANCE, ALLOWANCE, clock=lambda: NOW, noted=sweeps.append)
    with sites.serving([key_server(KeyServer(shown, harvest, lambda address: address))]) as made:
        yield made


@pytest.fixture(scope="module")
def keys(gnupg: Any, doctor: bytes) -> list[str]:
    """Fingerprints of Zoé's: primary, subkey."""
    return gnupg.fingerprints(f"={'Dr Zoé Martin'} <{ZOE}>")


def lookup(search: str, op: str = "get", **more: str) -> str:
    rest = "".join(f"&{name}={value}" for name, value in more.items())
    return f"/pks/lookup?op={op}&search={quote(search, safe='')}{rest}"


@pytest.mark.parametrize(
    "search",
    [ZOE, ZOE.upper(), f"<{ZOE}>", f"={ZOE}", f" {ZOE} "],
    ids=["as it is", "in capitals", "<>", "=", "spaces"],
)
def test_a_certificate_is_found_by_its_whole_address(site: Any, shown: Shown, search: str) -> None:
    answer = site.ask(lookup(search, options="mr", exact="on"))
    assert answer.status == 200
    assert armor.dearmor(answer.body, "PUBLIC KEY BLOCK") == shown.directory.published(ZOE)
    assert answer.headers["content-type"].startswith("application/pgp-keys")
    assert answer.headers["access-control-allow-origin"] == "*"


def test_a_certificate_is_found_by_each_of_its_keys(site: Any, shown: Shown, keys: list[str]) -> None:
    served = shown.directory.published(ZOE)
    assert len(keys) == 2
    for key in keys:
        for search in (f"0x{key}", key, f"0x{key[-16:]}", f"0x{key.lower()}"):
            assert armor.dearmor(site.ask(lookup(search)).body, "PUBLIC KEY BLOCK") == served


def test_the_paths_of_the_second_version_and_of_verifying_servers_give_the_same(
    site: Any, shown: Shown, keys: list[str]
) -> None:
    served = shown.directory.published(ZOE)
    binary = [
        f"/pks/v2/certs/by-vfingerprint/4/{keys[0]}",
        f"/pks/v2/certs/by-keyid/{keys[1][-16:]}",
        f"/pks/v2/certs/by-identity/{quote(ZOE, safe='')}",
        f"/pks/v2/canonical/{ZOE}",
    ]
    for path in binary:
        answer = site.ask(path)
        assert (answer.status, answer.body) == (200, served), path
        assert answer.headers["content-type"] == "application/pgp"
    for path in (f"by-fingerprint/{keys[0]}", f"by-keyid/{keys[1][-16:]}", f"by-email/{quote(ZOE, safe='')}"):
        answer = site.ask(f"/vks/v1/{path}")
        assert answer.status == 200, path
        assert armor.dearmor(answer.body, "PUBLIC KEY BLOCK") == served


def test_the_index_for_programs_tells_the_key_and_its_holder(site: Any, keys: list[str]) -> None:
    answer = site.ask(lookup(ZOE, "index", options="mr"))
    first, key, person = answer.body.decode().splitlines()
    assert first == "info:1:1"
    kind, fingerprint, algorithm, bits, created, expires, flags = key.split(":")
    assert (kind, fingerprint, algorithm, bits, flags) == ("pub", keys[0], "22", "256", "")
    assert int(created) < int(expires)
    assert person.split(":")[:2] == ["uid", f"Dr Zo%C3%A9 Martin <{ZOE}>"]


def test_the_index_for_people_is_text(site: Any, keys: list[str]) -> None:
    answer = site.ask(lookup(ZOE, "vindex"))
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.body.decode() == f"{keys[0]} (valid)\n    Dr Zoé Martin <{ZOE}>\n"


@pytest.mark.parametrize("op", ["get", "index"])
def test_unknown_hidden_and_patient_cannot_be_told_apart(site: Any, shown: Shown, op: str) -> None:
    hidden = shown.directory.published(HIDDEN)
    assert hidden is not None
    asked = [lookup(who, op) for who in ("nobody@cabinet.mss.example", HIDDEN, PATIENT)]
    for address in (HIDDEN, PATIENT):
        found = shown.directory.certificate(address, NOW).certificate
        assert found is not None
        asked += [lookup(f"0x{found.fingerprint}", op), lookup(f"0x{found.encryption_key_id}", op)]
    answers = [site.ask(path) for path in asked]
    for answer in answers:
        answer.headers.pop("date", None)
    assert answers[0].status == 404
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize(
    "search",
    [
        "Martin",
        "Zoé Martin",
        "zoe",
        "cabinet.mss.example",
        "@cabinet.mss.example",
        "zoe.martin@",
        "zoe.martin@cabinet",
        "%",
        "*@*",
        "0x",
        "0x12345678",
    ],
)
def test_nothing_is_found_by_a_part_of_a_name_or_address(site: Any, search: str) -> None:
    assert site.ask(lookup(search)).status == 404
    assert site.ask(lookup(search, "index", options="mr")).status == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/pks/lookup", 400),
        ("/pks/lookup?op=get", 400),
        ("/pks/lookup?op=stats", 501),
        ("/pks/lookup?op=hget&search=00", 501),
        ("/pks/v2/certs/by-vfingerprint/6/" + "A" * 64, 404),
        ("/pks/v2/certs/by-keyid/12", 404),
        ("/vks/v1/by-email/nobody", 404),
        ("/pks/lookup?op=get&search=" + "a" * 5000 + "@b.example", 404),
    ],
)
def test_what_makes_no_sense_is_refused(site: Any, path: str, status: int) -> None:
    assert site.ask(path).status == status


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/pks/add", "POST"),
        ("/pks/v2/certs", "POST"),
        (f"/pks/v2/canonical/{ZOE}", "PUT"),
        ("/vks/v1/upload", "POST"),
        ("/vks/v1/request-verify", "POST"),
    ],
)
def test_nothing_is_submitted_here_and_why_is_said(site: Any, doctor: bytes, path: str, method: str) -> None:
    answer = site.ask(path, method, body=doctor)
    assert answer.status == 501
    assert b"publishes theirs with their operator" in answer.body


def test_a_page_of_any_site_may_ask(site: Any) -> None:
    before = site.ask(lookup(ZOE), "OPTIONS", Origin="https://elsewhere.example")
    assert before.status == 204
    assert before.headers["access-control-allow-origin"] == "*"
    assert "GET" in before.headers["access-control-allow-methods"]


def test_who_asks_again_gets_nothing_new_until_something_is(site: Any) -> None:
    first = site.ask(lookup(ZOE))
    assert first.headers["cache-control"] == "public, max-age=60"
    again = site.ask(lookup(ZOE), If_None_Match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")


def test_head_tells_the_length_alone(site: Any) -> None:
    whole, head = site.ask(lookup(ZOE)), site.ask(lookup(ZOE), "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.body))


# ------------------------------------------------------------------------------------------- GnuPG


@pytest.fixture
def asker(site: Any) -> Iterator[Any]:
    with sites.correspondent() as made:
        yield made


def test_gnupg_receives_by_fingerprint_and_finds_by_address(site: Any, asker: Any, keys: list[str]) -> None:
    server = ("--keyserver", f"hkp://127.0.0.1:{site.port}")
    got = asker.gpg(*server, "--recv-keys", keys[0])
    assert got.returncode == 0, got.stderr.decode()
    assert f"<{ZOE}>" in asker.holds(keys[0])
    found = asker.gpg(*server, "--with-colons", "--search-keys", ZOE)
    assert f"pub:{keys[0]}:22:256:" in found.stdout.decode()
    absent = asker.gpg(*server, "--with-colons", "--search-keys", "Martin")
    assert b"pub:" not in absent.stdout


def test_gnupg_locates_by_the_address_alone(site: Any, asker: Any) -> None:
    located = asker.gpg(
        "--keyserver",
        f"hkp://127.0.0.1:{site.port}",
        "--auto-key-locate",
        "clear,keyserver",
        "--locate-keys",
        ZOE,
    )
    assert located.returncode == 0, located.stderr.decode()
    assert f"<{ZOE}>" in asker.holds(ZOE)


def test_gnupg_learns_of_a_revocation_when_it_refreshes(
    site: Any, shown: Shown, asker: Any, gnupg: Any
) -> None:
    address = "luc@cabinet.mss.example"
    fingerprint = gnupg.make(f"Luc <{address}>")
    shown.directory.publish(address, gnupg.public(fingerprint), NOW)
    shown.public.add(address)
    server = ("--keyserver", f"hkp://127.0.0.1:{site.port}")
    assert asker.gpg(*server, "--recv-keys", fingerprint).returncode == 0
    assert validity(asker.holds(fingerprint)) != "r"

    shown.directory.revoke(address, fingerprint, NOW, gnupg.revocation(fingerprint))
    refreshed = asker.gpg(*server, "--refresh-keys", fingerprint)
    assert refreshed.returncode == 0, refreshed.stderr.decode()
    assert validity(asker.holds(fingerprint)) == "r"
    assert site.ask(lookup(address, "index", options="mr")).body.decode().splitlines()[1].endswith(":r")


def validity(columns: str) -> str:
    return next(line.split(":")[1] for line in columns.splitlines() if line.startswith("pub:"))


def test_a_replaced_certificate_is_found_by_its_fingerprint_alone(
    site: Any, shown: Shown, gnupg: Any
) -> None:
    address = "anne@cabinet.mss.example"
    first = gnupg.make(f"Anne <{address}>")
    shown.directory.publish(address, gnupg.public(first), NOW)
    second = gnupg.make(f"Anne Petit <{address}>")
    shown.directory.publish(address, gnupg.public(second), NOW + 1)
    shown.public.add(address)
    by_address = site.ask(lookup(address, "index", options="mr")).body.decode()
    assert second in by_address
    assert first not in by_address
    assert first in site.ask(lookup(f"0x{first}", "index", options="mr")).body.decode()


def test_a_withdrawn_certificate_is_not_found_at_all(site: Any, shown: Shown, gnupg: Any) -> None:
    address = "paul@cabinet.mss.example"
    fingerprint = gnupg.make(f"Paul <{address}>")
    shown.directory.publish(address, gnupg.public(fingerprint), NOW)
    shown.public.add(address)
    assert site.ask(lookup(address)).status == 200
    shown.directory.revoke(address, fingerprint, NOW)
    assert site.ask(lookup(address)).status == 404
    assert site.ask(lookup(f"0x{fingerprint}")).status == 404


def test_who_takes_too_many_is_refused_and_told_of(shown: Shown) -> None:
    told: list[Sweep] = []
    harvest = Allowance(10, 10, clock=lambda: NOW, noted=told.append)
    server = KeyServer(shown, harvest, lambda _: "192.0.2.1")
    with sites.serving([key_server(server)]) as site:
        assert site.ask(lookup(ZOE)).status == 200
        harvest.shown("net:192.0.2.1", [f"p{number}@cabinet.mss.example" for number in range(25)], door="hkp")
        answer = site.ask(lookup(ZOE))
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) > 0
    assert {(one.asker, one.door) for one in told} == {("net:192.0.2.1", "hkp")}


def test_what_takes_long_to_write_is_written_in_a_thread(
    site: Any, monkeypatch: pytest.MonkeyPatch, shown: Shown
) -> None:
    """A large certificate takes a tenth of a second, as often as anybody asks."""
    loops: list[bool] = []

    def on_a_loop() -> bool:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return False
        return True

    for name in ("armor", "described"):
        entirely = getattr(hkp, name)

        def noted(*asked: Any, entirely: Any = entirely) -> Any:
            loops.append(on_a_loop())
            return entirely(*asked)

        monkeypatch.setattr(hkp, name, noted)
    for op in ("get", "index"):
        assert site.ask(lookup(ZOE, op)).status == 200
    assert loops == [False, False]
