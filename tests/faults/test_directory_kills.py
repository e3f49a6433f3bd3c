"""Kill -9 the node, the worker of an import, or both, while the directory changes in every way at once.

Other operators publish, certificates come and are revoked, keys are made and revoked, imports strike professionals off
and reinstate them, addresses are withdrawn: what was answered holds after each kill, none of it twice, and an import
comes to what it would have come to. DIRECTORY_KILLS=100 makes a long run of it, by hand.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import http.client
import json
import os
import random
import shutil
import signal
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pysequoia
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.demo import clients, letters, world
from deploy.demo.directory_files import write_activity
from deploy.node.control import CommandFailed, NodeDown
from deploy.node.migrations.run import migrate_listings
from directory.imports.run import Wish, import_file
from directory.listings.database import ListingsDatabase, Sql
from tests.faults.test_outbound_full_disk import fill, small_disk

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(max(900, 20 * int(os.environ.get("DIRECTORY_KILLS", "0")))),
]

KILLS = int(os.environ.get("DIRECTORY_KILLS", "2"))
ROWS = 1200
THEIRS = "autre.mssante.fr"
GONE = (OSError, http.client.HTTPException, NodeDown, json.JSONDecodeError)
IDNPS = "urn:oid:1.2.250.1.71.4.2.1"
METADATA = "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-ext-mailbox-mss-metadata"
_RSA = rsa.generate_private_key(65537, 2048)


class Down(Exception):
    """The node was killed before it answered."""


@dataclass
class Town:
    made: world.World
    process: world.NodeProcess
    files: tuple[Path, Path]  # an activity file, and its later version
    holders: tuple[str, ...]  # professionals of both
    first_alone: str  # one of the first file only
    later_alone: str  # one of the later only
    ours: tuple[str, ...]  # professionals of the demo: their numbers stand in the file as well
    key: str = field(repr=False)

    @property
    def listings(self) -> Path:
        return self.made.node / "listings.db"

    def command(self, name: str, **arguments: Any) -> Any:
        try:
            return self.made.command(name, **arguments)
        except GONE:
            raise Down from None
        except CommandFailed as failure:
            if str(failure) == "The node stopped.":
                raise Down from None
            raise

    def https(
        self, path: str, key: str = "", method: str = "GET", body: Any = None
    ) -> tuple[int, dict[str, Any]]:
        headers = {"ESANTE-API-KEY": key} if key else {}
        if body is not None:
            headers["Content-Type"] = "application/fhir+json"
        connection = http.client.HTTPSConnection(
            "localhost",
            self.made.ports["https"],
            timeout=60,
            context=ssl.create_default_context(cafile=str(self.made.ca)),
        )
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            data = answer.read()
            return answer.status, json.loads(data) if data.startswith(b"{") else {}
        except GONE as gone:
            raise Down(path) from gone
        finally:
            connection.close()

    def told(self, path: str, key: str = "") -> tuple[int, dict[str, Any]]:
        """The node is back: whose connection is lost asks again, and at last shows how it was."""
        deadline = time.monotonic() + 120
        while True:
            try:
                return self.https(path, key)
            except Down:
                if not self.process.running or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def up_again(self) -> None:
        self.process.restart()
        self.process.wait_ready(self.made.ports)

    def sql(self, work: Callable[[Sql], Any]) -> Any:
        database = ListingsDatabase(self.listings)
        try:
            return database.write(work)
        finally:
            database.close()


class Act:
    """What goes on until the node is killed, and what of it was answered."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.answered = 0
        self.number = 0
        self.failure: BaseException | None = None

    def begin(self) -> None:
        self.ended = threading.Event()
        self.before = self.answered
        self.thread = threading.Thread(target=self._go)
        self.thread.start()

    def _go(self) -> None:
        try:
            while not self.ended.is_set():
                self.number += 1
                self.step()
                self.answered += 1
        except Down:
            pass
        except BaseException as failure:
            self.failure = failure

    def end(self) -> None:
        self.ended.set()
        self.thread.join(180)
        assert not self.thread.is_alive()
        if self.failure is not None:
            raise self.failure

    def step(self) -> None:
        raise NotImplementedError

    def look(self) -> None:
        """The node is back."""
        raise NotImplementedError


class Patches(Act):
    def __init__(self, town: Town) -> None:
        super().__init__(town)
        self.there: dict[str, str] = {}
        self.gone: dict[str, str] = {}
        self.unsure: set[str] = set()

    def step(self) -> None:
        holder = self.town.holders[self.number % len(self.town.holders)]
        address = f"m{self.number}@{THEIRS}"
        self._patch(holder, address, "insert")
        self.there[address] = holder
        if self.number % 3 == 0:
            del self.there[address]
            self._patch(holder, address, "delete")
            self.gone[address] = holder

    def _patch(self, holder: str, address: str, kind: str) -> None:
        where = "" if kind == "insert" else f".where(value = '{address}')"
        part: list[dict[str, Any]] = [
            {"name": "type", "valueCode": kind},
            {"name": "path", "valueString": f"Practitioner.telecom{where}"},
        ]
        if kind == "insert":
            fields = [{"url": METADATA, "extension": [{"url": "type", "valueCode": "PER"}]}]
            point = {"system": "email", "value": address, "extension": fields}
            part += [{"name": "index", "valueInteger": 0}, {"name": "value", "valueContactPoint": point}]
        asked = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": part}]}
        place = f"/fhir/v2/Practitioner?identifier={quote(f'{IDNPS}|{holder}')}"
        self.unsure.add(address)
        status, told = self.town.https(place, self.town.key, "PATCH", asked)
        assert status == 200, told
        self.unsure.discard(address)

    def look(self) -> None:
        asked = f"SELECT address, count(*) FROM {{}} WHERE address LIKE '%@{THEIRS}' GROUP BY address"
        for table in ("mailbox", "card"):
            found: dict[str, int] = dict(self.town.sql(lambda sql, table=table: sql.all(asked.format(table))))
            assert set(found.values()) <= {1}
            assert self.there.keys() <= found.keys()
            assert not (self.gone.keys() - self.unsure) & found.keys()
            assert found.keys() <= self.there.keys() | self.unsure
        for address, holder in [*self.there.items()][-2:]:
            place = f"/fhir/v2/Practitioner?identifier={quote(f'{IDNPS}|{holder}')}"
            _, bundle = self.town.told(place, self.town.key)
            shown = [one["value"] for one in bundle["entry"][0]["resource"]["telecom"]]
            assert shown.count(address) == 1


class Certificates(Act):
    """OpenPGP and S/MIME by turns."""

    def __init__(self, town: Town) -> None:
        super().__init__(town)
        self.address = f"porte.cles@{world.DOMAIN}"
        town.command("account_add", address=self.address, kind="PER", password=False, certificate=None)
        self.revoked: set[str] = set()
        self.in_force: dict[str, str] = {}  # by family

    def step(self) -> None:
        family, ending = (("openpgp", ""), ("x509", "_x509"))[self.number % 2]
        data = openpgp(self.address) if family == "openpgp" else smime(self.address)
        self.in_force.pop(family, None)
        shown = self.town.command(
            f"key_publish{ending}", address=self.address, certificate=base64.b64encode(data).decode()
        )["fingerprint"]
        self.in_force[family] = shown
        if random.random() < 0.6:
            del self.in_force[family]
            self.town.command(f"key_revoke{ending}", address=self.address, fingerprint=shown)
            self.revoked.add(shown)

    def look(self) -> None:
        held = self.town.command("key_history", address=self.address)
        prints = [one["fingerprint"] for one in held]
        assert len(prints) == len(set(prints)), "one stands twice"
        valid = {one["fingerprint"] for one in held if one["until"] is None}
        assert self.revoked <= set(prints)
        assert not self.revoked & valid, "a revocation was undone"
        assert set(self.in_force.values()) <= valid
        for fingerprint in [one for one in self.revoked if len(one) == 40][-2:]:
            assert self.town.told(f"/pks/lookup?op=get&search=0x{fingerprint}")[0] == 404
        if "openpgp" in self.in_force:
            assert self.town.told(f"/pks/lookup?op=get&search=0x{self.in_force['openpgp']}")[0] == 200


def openpgp(address: str) -> bytes:
    return bytes(pysequoia.Tsk.generate(address).extract_certificate())


def smime(address: str) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Porte Clés")])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(_RSA.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    )
    return builder.sign(_RSA, hashes.SHA256()).public_bytes(Encoding.DER)


class Keys(Act):
    def __init__(self, town: Town) -> None:
        super().__init__(town)
        self.good: dict[str, str] = {}
        self.revoked: dict[str, str] = {}

    def step(self) -> None:
        made = self.town.command("directory_key_add", label=f"clé {self.number}")
        self.good[made["id"]] = made["key"]
        if self.number % 2:
            secret = self.good.pop(made["id"])
            self.town.command("directory_key_revoke", key=made["id"])
            self.revoked[made["id"]] = secret

    def look(self) -> None:
        ids = [one["id"] for one in self.town.command("directory_key_list")]
        assert len(ids) == len(set(ids))
        assert self.good.keys() | self.revoked.keys() <= set(ids)
        for keys, expected in ((self.good, 200), (self.revoked, 401)):
            for secret in [*keys.values()][-3:]:
                assert self.town.told("/fhir/v2/Organization?_count=1", secret)[0] == expected


class Withdrawals(Act):
    def __init__(self, town: Town) -> None:
        super().__init__(town)
        self.addresses = [f"retrait{number}@{world.DOMAIN}" for number in range(2)]
        self.withdrawn: dict[str, bool | None] = dict.fromkeys(self.addresses, False)
        for address in self.addresses:
            town.command("account_add", address=address, kind="PER", password=False, certificate=None)
            town.command(
                "account_profile", address=address, fields={"family_name": "Retrait", "given_name": "A"}
            )

    def step(self) -> None:
        address = self.addresses[self.number % 2]
        out = self.number // 2 % 2 == 0
        self.withdrawn[address] = None
        self.town.command("directory_withdraw" if out else "directory_publish", address=address)
        self.withdrawn[address] = out

    def look(self) -> None:
        told = self.town.command("directory_publications")["mailboxes"]
        stands = {one["address"]: one["withdrawn"] is not None for one in told}
        for address, out in self.withdrawn.items():
            if out is None:
                continue
            assert stands[address] is out
            until(lambda address=address, out=out: self._cards(address) == (0 if out else 1))

    def _cards(self, address: str) -> int:
        asked = "SELECT id FROM card WHERE address = ?"
        return len(self.town.sql(lambda sql: sql.all(asked, (address,))))


class Imports(Act):
    """The two versions by turns: one strikes a professional of ours off whom the other has again."""

    def __init__(self, town: Town, expected: tuple[Any, Any]) -> None:
        super().__init__(town)
        self.expected = expected
        self.at = 0  # which was begun last
        self.ours = {
            town.first_alone: f"premiere@{world.DOMAIN}",
            town.later_alone: f"suivante@{world.DOMAIN}",
        }
        self.cut = 0  # imports that did not come to their end
        for national_id, address in self.ours.items():
            town.command("account_add", address=address, kind="PER", password=False, certificate=None)
            town.command("account_national_id", address=address, national_id=national_id)

    def step(self) -> None:
        self.at = 1 - self.at
        try:
            self.town.command("directory_import", path=str(self.town.files[self.at]))
        except CommandFailed as failure:
            if "started again, it goes on" not in str(failure):
                raise
            self.cut += 1
            raise Down from None
        except Down:
            self.cut += 1
            raise
        self._followed()

    def worker(self) -> int | None:
        """The process that imports."""
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if _parent(entry) == self.town.process.pid and _imports(entry):
                    return int(entry.name)
        return None

    def look(self) -> None:
        # Half an import is acted on as far as it came; then it is brought to its end.
        until(self._acted)
        until(self._imported)
        self._followed()
        found, expected = self.town.sql(lambda sql: state(sql, self.town)), self.expected[self.at]
        for table, rows in expected.items():
            assert set(found[table]) ^ set(rows) == set(), table
            assert found[table] == rows

    def _imported(self) -> bool:
        try:
            self.town.command("directory_import", path=str(self.town.files[self.at]))
        except CommandFailed as failure:
            if "Another import" in str(failure):
                return False  # the worker of the node that was killed is about to see it
            raise
        return True

    def _followed(self) -> None:
        """The import that was answered is acted on already."""
        stands = self._stands()
        here = (self.town.first_alone, self.town.later_alone)[self.at]
        assert {number: stands[address] for number, address in self.ours.items()} == {
            number: "" if number == here else "not practising" for number in self.ours
        }

    def _acted(self) -> bool:
        asked = "SELECT national_id, struck_off_at FROM professional WHERE origin = 'national'"
        said = dict(self.town.sql(lambda sql: sql.all(asked)))
        stands = self._stands()
        return all(
            (stands[address] == "not practising") is (said[number] is not None)
            for number, address in self.ours.items()
            if number in said
        )

    def _stands(self) -> dict[str, str]:
        told = self.town.command("account_list")
        return {one["address"]: one["state"] for one in told}


def _parent(entry: Path) -> int:
    """Of a process, by proc(5)."""
    return int((entry / "stat").read_text().rpartition(")")[2].split()[1])


def _imports(entry: Path) -> bool:
    return b"directory.imports" in (entry / "cmdline").read_bytes()


def until(true: Callable[[], bool], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def state(sql: Sql, town: Town) -> dict[str, list[tuple[Any, ...]]]:
    """What the national file alone says; the index says the same as the cards."""
    sql.run("INSERT INTO card_index (card_index, rank) VALUES ('integrity-check', 1)")
    mixed = (*town.holders, town.first_alone, town.later_alone, *town.ours)  # these have mailboxes besides
    marks = ", ".join("?" * len(mixed))
    asked = {
        "professional": "SELECT national_id, family, given, struck_off_at IS NULL FROM professional"
        f" WHERE origin = 'national' AND national_id NOT IN ({marks})",
        "situation": f"SELECT id, national_id FROM situation WHERE national_id NOT IN ({marks})",
        "card": "SELECT national_id, family, name_words, what_words, where_words FROM card"
        f" WHERE address = '' AND national_id NOT IN ({marks})",
    }
    found = {table: sorted(sql.all(statement, mixed)) for table, statement in asked.items()}
    found["line"] = sorted(sql.all("SELECT source, hash, owner FROM line"))
    return found


def _identifiers(file: Path) -> list[str]:
    lines = file.read_text(encoding="utf-8").splitlines()[1:]
    return list(dict.fromkeys(line.split("|")[2] for line in lines))


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    folder = Path(tempfile.mkdtemp(prefix="vm-dirkills-"))
    sections = {
        "limits": {"failed_login_delay": 0.0},
        "directory": {"largest_fall": 1.0, "shown_per_hour_trusted": 1_000_000},
        "fhir": {"calls_per_second": 1000},
        "sealing": {"workers": 1},
    }
    made, process = world.build(folder, world.free_port_base(), lambda _: None, sections)
    try:
        files = folder / "first.txt", folder / "later.txt"
        write_activity(files[0], ROWS, wrong=0)
        write_activity(files[1], ROWS, wrong=0, diff=0.3)
        first, later = map(_identifiers, files)
        both = [one for one in first if one in set(later)]
        key = made.command(
            "directory_key_add", label="op", rights=["read", "publish"], publisher="Autre", domains=[THEIRS]
        )["key"]
        first_alone = next(one for one in first if one not in set(later))
        later_alone = next(one for one in later if one not in set(first))
        ours = [
            made.command("account_national_id", address=one, national_id=None)["national_id"]
            for one in (world.GP, world.NURSE, world.DOCTOR)
        ]
        yield Town(made, process, files, tuple(both[:40]), first_alone, later_alone, tuple(ours), key)
    finally:
        process.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def expected(town: Town, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """What the first and the later file come to, each after the other, where nobody is killed."""
    folder = tmp_path_factory.mktemp("calm")
    migrate_listings(f"sqlite:///{folder / 'calm.db'}")
    calm = ListingsDatabase(folder / "calm.db")
    states: list[Any] = []
    for file in (*town.files, town.files[0]):
        import_file(calm, Wish(file, folder, largest_fall=1.0), lambda stage, done, total: None, lambda: 1)
        states.append(calm.write(lambda sql: state(sql, town)))
    calm.close()
    return states[2], states[1]


def test_what_was_answered_holds_whatever_is_killed(town: Town, expected: tuple[Any, Any]) -> None:
    for file in town.files:
        town.command("directory_import", path=str(file))
    imports = Imports(town, expected)
    imports.at = 1
    acts: list[Act] = [Patches(town), Certificates(town), Keys(town), Withdrawals(town), imports]
    for kill in range(KILLS):
        whom = ("both", "worker", "node")[kill % 3]
        for act in acts:
            act.begin()
        until(lambda: all(act.answered > act.before for act in acts[:-1]))
        until(lambda: imports.worker() is not None or not imports.thread.is_alive())
        time.sleep(random.uniform(0, 0.8))
        worker = imports.worker()
        if whom != "node" and worker is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        if whom != "worker":
            os.kill(town.process.pid, signal.SIGKILL)
            town.up_again()
        for act in acts:
            act.end()
        for act in acts:
            act.look()
        if KILLS > 10:
            print(f"{kill + 1} kills hold ({whom})", flush=True)
    told = town.command("audit_verify", heads=town.command("audit_heads")["file"])
    assert (told["broken"], told["findings"]) == (None, [])
    counts = {type(act).__name__: act.answered for act in acts}
    print(f"{KILLS} kills, answered: {counts}, imports cut: {imports.cut}")
    assert all(act.answered for act in acts[:-1])
    assert imports.cut or imports.answered


def test_a_full_disk_is_told_by_the_import_and_letters_arrive_meanwhile(town: Town) -> None:
    gp = town.made.persons[world.GP]
    large = town.made.folder / "large.txt"
    write_activity(large, 2 * ROWS, seed=9, wrong=0)
    with small_disk() as disk:
        os.kill(town.process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, town.process.pid, os.WEXITED | os.WNOWAIT)
        for file in town.made.node.glob("listings.db*"):
            shutil.move(file, disk / file.name)
        town.listings.symlink_to(disk / "listings.db")
        town.up_again()
        fill(disk / "ballast")
        with pytest.raises(CommandFailed) as told:
            town.command("directory_import", path=str(large))
        print(told.value)
        assert "full" in str(told.value)
        note = letters.note(gp.address, world.NURSE, "Disque", "Tout va bien.\n")
        tls = clients.tls(town.made.ca)
        clients.send_as_person(
            town.made.ports["submission"], tls, gp.address, gp.password, [world.NURSE], note.data
        )
        assert town.https("/fhir/v2/Practitioner?_count=1", town.key)[0] == 200
        (disk / "ballast").unlink()
        assert town.command("directory_import", path=str(large))["added"] > 0
        town.process.stop()
