"""Evolution's address book on our LDAP: its own library and backend, as Debian ships them, without its window."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import world
from directory.listings.database import ListingsDatabase
from directory.listings.writing import put_mailboxes
from directory.model import Coded, Kind, Mailbox, Organisation, Place, Professional
from tests.peers.test_key_discovery import smime_certificate
from tests.peers.test_thunderbird_directory import logins

pytestmark = pytest.mark.peers

_PROGRAM = Path(__file__).parent / "evolution" / "book.py"
_PYTHON = "/usr/bin/python3"  # Debian's, which has the bindings
_BACKEND = Path("/usr/lib/evolution-data-server/addressbook-backends/libebookbackendldap.so")
_ACCENTED = f"maelle.lefrancois@{world.FOREIGN_DOMAIN}"
_RED = f"maelle.lefrancois-cachee@{world.FOREIGN_DOMAIN}"

# What Edit > Properties of an LDAP book writes, below ~/.config/evolution/sources.
_SOURCE = """[Data Source]
DisplayName=Annuaire
Enabled=true
Parent=ldap-stub

[Address Book]
BackendName=ldap

[Authentication]
Host=127.0.0.1
Port={port}
Method={method}
User={user}
RememberPassword=false

[LDAP Backend]
Authentication={login}
CanBrowse=false
Limit=100
RootDn=dc=mssante,dc=fr
Scope=subtree

[Security]
Method={security}
"""

_SECONDS = "1500"  # what its processes live at most, should nobody end them


class Evolution:
    """Two books: `open`, 389 with StartTLS, anonymous; `own`, 636, logged in with the address and an app password."""

    def __init__(self, process: subprocess.Popen[str], password: str, logins_before: int) -> None:
        self.logins_before = logins_before
        self._process = process
        self._password = password

    def ask(self, book: str, **asked: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        login = {"password": self._password} if book == "own" else {}
        self._process.stdin.write(json.dumps({"book": book, **login, **asked}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline() or '{"failed": "it has ended"}')

    def found(self, book: str, query: str) -> list[dict[str, Any]]:
        told = self.ask(book, query=query)
        assert "failed" not in told, told
        return told["found"]

    def addresses(self, book: str, query: str) -> set[str]:
        return {one["email_1"] for one in self.found(book, query)}

    def completed(self, book: str, typed: str) -> set[str]:
        """The question of the field To while somebody types (Evolution's e-name-selector-entry.c)."""
        words = typed.split()
        spellings = dict.fromkeys([" ".join(words), ", ".join(words)])
        names = [
            "(or " + " ".join(f'(contains "{field}" "{each}")' for each in spellings) + ")"
            for field in ("full_name", "file_as")
        ]
        begun = [f'(beginswith "{field}" "{typed}")' for field in ("nickname", "email")]
        return self.addresses(book, f"(or {' '.join(begun + names)})")


def listed(made: world.World) -> None:
    """What an import in a process of its own writes beside the node."""
    person = Professional("899700245667", "Dr", "LEFRANÇOIS", "Maëlle", Coded("60", "Infirmier"))
    place = Place(postcode="69003", commune="Lyon", department="69")
    practice = Organisation("1690000019", name="CABINET DE LA PART-DIEU", place=place)
    boxes = [
        Mailbox(_ACCENTED, Kind.PER, (person,), practice),
        Mailbox(_RED, Kind.PER, title="Dr", family="LEFRANÇOIS-CACHÉE", given="MAËLLE", red_list=True),
    ]
    database = ListingsDatabase(made.node / "listings.db")
    database.write(lambda sql: put_mailboxes(sql, boxes, at=time.time_ns() // 1_000_000))
    database.close()


@pytest.fixture(scope="module")
def evolution(
    made: world.World, demo: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Generator[Evolution]:
    bindings = subprocess.run(
        [_PYTHON, "-c", "import gi; gi.require_version('EBook', '1.2')"], capture_output=True, check=False
    )
    if bindings.returncode or not _BACKEND.exists() or not shutil.which("dbus-run-session"):
        pytest.skip("evolution-data-server with gir1.2-ebook-1.2 is not installed")
    listed(made)
    before = logins(made)
    account = next(each for each in demo["accounts"] if each["address"] == world.GP)
    home = tmp_path_factory.mktemp("evolution")
    sources = home / "config" / "evolution" / "sources"
    sources.mkdir(parents=True)
    ports = demo["endpoints"]
    book = _SOURCE.format(port=ports["ldap"], method="none", user="", login="none", security="starttls")
    (sources / "open.source").write_text(book)
    book = _SOURCE.format(
        port=ports["ldaps"], method="ldap/simple-binddn", user=world.GP, login="binddn", security="ldaps"
    )
    (sources / "own.source").write_text(book)
    folders = {f"XDG_{name.upper()}_HOME": str(home / name) for name in ("config", "data", "cache", "state")}
    runtime = home / "run"
    runtime.mkdir(mode=0o700)
    environment = os.environ | folders | {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(runtime),
        "GSETTINGS_BACKEND": "memory",
        "LC_ALL": "C.UTF-8",
        "LDAPTLS_CACERT": str(made.ca),
    }  # fmt: skip
    with (
        (home / "log").open("w") as log,
        subprocess.Popen(
            ["dbus-run-session", "--", "timeout", _SECONDS, _PYTHON, str(_PROGRAM)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=environment,
        ) as process,
    ):  # fmt: skip
        try:
            yield Evolution(process, account["password"], before)
        finally:
            assert process.stdin is not None
            process.stdin.close()


@pytest.mark.parametrize("book", ["open", "own"])
def test_names_are_completed_while_writing(evolution: Evolution, book: str) -> None:
    for typed in ("lefr", "Lefrançois", "LEFRANCOIS", "maelle lefr", "maelle.lefr"):
        assert evolution.completed(book, typed) == {_ACCENTED}, typed


@pytest.mark.parametrize("book", ["open", "own"])
def test_somebody_is_found_by_name_and_by_address(evolution: Evolution, book: str) -> None:
    assert evolution.addresses(book, '(contains "full_name" "lefrancois")') == {_ACCENTED}
    assert evolution.addresses(book, '(beginswith "full_name" "maelle")') == {_ACCENTED}
    assert evolution.addresses(book, '(beginswith "email" "maelle.lefr")') == {_ACCENTED}
    assert evolution.addresses(book, f'(is "email" "{_ACCENTED}")') == {_ACCENTED}
    assert evolution.addresses(book, '(contains "x-evolution-any-field" "lefrançois")') == {_ACCENTED}


@pytest.mark.parametrize("book", ["open", "own"])
def test_the_red_list_is_never_shown(evolution: Evolution, book: str) -> None:
    for query in (
        f'(is "email" "{_RED}")',
        '(contains "full_name" "cachee")',
        f'(beginswith "email" "{_RED[:20]}")',
    ):
        assert _RED not in evolution.addresses(book, query)
    assert evolution.completed(book, "lefrancois-c") == set()


def test_who_is_found_is_shown_as_the_directory_has_them(evolution: Evolution) -> None:
    (found,) = evolution.found("open", f'(is "email" "{_ACCENTED}")')
    assert found == {
        "id": f"uid={_ACCENTED},ou=people,dc=mssante,dc=fr",
        "full_name": "Maëlle LEFRANÇOIS",
        "email_1": _ACCENTED,
        "org": "CABINET DE LA PART-DIEU",
        "org_unit": None,
        "title": "Infirmier",
        "nickname": "Dr Maëlle LEFRANÇOIS",
        "note": None,
    }
    assert evolution.ask("open", fetch=found["id"]) == {"found": [found]}


def test_a_certificate_for_smime_comes_with_its_holder_while_it_is_in_force(
    evolution: Evolution, made: world.World
) -> None:
    query = f'(is "email" "{world.DOCTOR}")'
    der = smime_certificate(world.DOCTOR)
    told = base64.b64encode(der).decode()
    published = made.command("key_publish_x509", address=world.DOCTOR, certificate=told)
    assert [one["certificate"] for one in evolution.found("own", query)] == [told]
    made.command("key_revoke_x509", address=world.DOCTOR, fingerprint=published["fingerprint"])
    assert ["certificate" in one for one in evolution.found("own", query)] == [False]


def test_it_has_logged_in(evolution: Evolution, made: world.World) -> None:
    evolution.found("own", f'(is "email" "{_ACCENTED}")')
    assert logins(made) > evolution.logins_before


def test_the_directory_is_not_listed(evolution: Evolution) -> None:
    """What it asks when its book is told to be browsed."""
    assert "Administrative limit exceeded" in evolution.ask("own", query='(exists "full_name")')["failed"]
