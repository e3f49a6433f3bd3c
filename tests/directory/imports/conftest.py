"""An import at hand: on a database of its own, with files of a few lines written by the test."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.directory_files import ACTIVITY_HEADER, MAILBOX_HEADER
from directory.imports.run import Outcome, Wish, import_file
from directory.listings.database import ListingsDatabase, Sql
from tests.directory.listings.conftest import empty_listings as empty_listings
from tests.directory.listings.conftest import listings_template as listings_template

RPPS = ("899700000005", "899700000013", "899700000021", "899700000039", "899700000047")
FINESS = "690000005"


def mailbox_line(address: str = "zoe.martin@lyon.mssante.fr", **given: str) -> str:
    """A line of the MSSanté extraction; fields by their column's name, spaces as underscores where short."""
    values = {
        "Type de BAL": "PER",
        "Adresse BAL": address,
        "Identification nationale PP": RPPS[0],
        "Type identifiant structure": "FINESS",
        "Identification Structure": FINESS,
        "Civilité d'exercice": "Docteur",
        "Nom d'exercice": "MARTIN",
        "Prénom d'exercice": "Zoé",
        "Code Profession": "10",
        "Libellé Profession": "Médecin",
        "Code savoir-faire": "SM04",
        "Libellé savoir-faire": "Cardiologie",
        "Dématérialisation": "O",
        "Raison Sociale structure BAL": "CLINIQUE DES CÈDRES",
        "L4NUMEROVOIE structure BAL": "5",
        "NL4TYPEVOIE structure BAL": "R",
        "L4LIBELLEVOIE structure BAL": "DES ÉCOLES",
        "L6LIGNEACHEMINEMENT structure BAL": "69003 LYON CEDEX 03",
        "Code postal structure BAL": "69003",
        "Département structure BAL": "69",
        "Pays structure BAL": "FRANCE",
    }
    return _line(MAILBOX_HEADER, values, given)


def activity_line(national_id: str = RPPS[0], **given: str) -> str:
    values = {
        "Type d'identifiant PP": "8",
        "Identifiant PP": national_id[1:],
        "Identification nationale PP": national_id,
        "Code civilité d'exercice": "DR",
        "Libellé civilité d'exercice": "Docteur",
        "Nom d'exercice": "MARTIN",
        "Prénom d'exercice": "Zoé",
        "Code profession": "10",
        "Libellé profession": "Médecin",
        "Code savoir-faire": "SM04",
        "Libellé savoir-faire": "Cardiologie",
        "Code mode exercice": "S",
        "Libellé mode exercice": "Salarié",
        "Numéro FINESS site": FINESS,
        "Raison sociale site": "CLINIQUE DES CÈDRES",
        "Code postal (coord. structure)": "69003",
        "Code commune (coord. structure)": "69383",
        "Libellé commune (coord. structure)": "Lyon",
        "Code Département (structure)": "69",
        "Téléphone (coord. structure)": "0400000001",
        "Télécopie (coord. structure)": "0400000002",
        "Adresse e-mail (coord. structure)": "contact@exemple.fr",
    }
    return _line(ACTIVITY_HEADER, values, given)


def _line(header: str, values: dict[str, str], given: dict[str, str]) -> str:
    names = header.split("|")
    changed = {_named(names, name): value for name, value in given.items()}
    return "|".join((values | changed).get(name, "") for name in names)


def _named(names: list[str], short: str) -> str:
    (found,) = [one for one in names if one.lower().startswith(short.replace("_", " ").lower())]
    return found


class Imports:
    def __init__(self, database: ListingsDatabase, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.reports = folder / "reports"
        self.now = 1_700_000_000_000
        self.told: list[tuple[str, int, int]] = []

    def file(self, text: str | bytes, name: str = "national.txt") -> Path:
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def mailboxes(self, *lines: str, **wish: Any) -> Outcome:
        return self.run(self.file("\n".join((MAILBOX_HEADER, *lines)) + "\n"), **wish)

    def activity(self, *lines: str, **wish: Any) -> Outcome:
        return self.run(self.file("\n".join((ACTIVITY_HEADER, *lines)) + "\n"), **wish)

    def run(self, path: Path, *, largest_fall: float = 1.0, **wish: Any) -> Outcome:
        self.now += 1000
        asked = Wish(path, self.reports, largest_fall=largest_fall, **wish)
        return import_file(self.database, asked, self._tell, lambda: self.now)

    def _tell(self, stage: str, done: int, total: int) -> None:
        self.told.append((stage, done, total))

    def wrong(self, outcome: Outcome) -> list[list[str]]:
        """Rows of the report of wrong lines, without its header and their sentences."""
        with Path(outcome.wrong_report).open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.reader(stream, delimiter=";"))
        for _, _, reason, sentence in rows[1:]:
            assert sentence != reason
            assert sentence[0].isupper() or sentence[0].isdigit()
            assert sentence.endswith(".")
        return [row[:3] for row in rows[1:]]

    def read(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.database.read(lambda sql: sql.all(statement, values))

    def state(self) -> dict[str, list[tuple[Any, ...]]]:
        """What is listed, apart from times and numbers that only count."""

        def look(sql: Sql) -> dict[str, list[tuple[Any, ...]]]:
            if sql.dialect == "sqlite":
                sql.run("INSERT INTO card_index (card_index, rank) VALUES ('integrity-check', 1)")
            return {
                "professional": sql.all(
                    "SELECT national_id, title, family, given, profession_code, profession, struck_off_at IS NULL"
                    " FROM professional ORDER BY national_id"
                ),
                "organisation": sql.all(
                    "SELECT national_id, name, brand, siret, finess, street, postcode, commune, department"
                    " FROM organisation ORDER BY national_id"
                ),
                "situation": sql.all(
                    "SELECT id, national_id, organisation_id, speciality_code, mode_code, street, card IS NULL"
                    " FROM situation ORDER BY id"
                ),
                "mailbox": sql.all(
                    "SELECT address, kind, organisation_id, speciality_code, digitization, service, card IS NULL"
                    " FROM mailbox ORDER BY address"
                ),
                "holder": sql.all("SELECT address, national_id, position FROM mailbox_holder ORDER BY 1, 2"),
                "card": sql.all(
                    "SELECT address, national_id, family, given, organisation, name_words, what_words, where_words"
                    " FROM card ORDER BY 1, 2, 3, 4, 5, 6, 7, 8"
                ),
                "line": sql.all("SELECT source, hash, owner FROM line ORDER BY 1, 2"),
            }

        return self.database.write(look)


@pytest.fixture(params=["sqlite", "postgresql"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Imports]:
    """On each of the two databases."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("empty_listings"), tmp_path / "listings.db")
        database = ListingsDatabase(tmp_path / "listings.db", importing=True)
    else:
        make: Callable[..., str] = request.getfixturevalue("make_postgresql_database")
        database = ListingsDatabase(make(request.getfixturevalue("listings_template")))
    yield Imports(database, tmp_path)
    database.close()


@pytest.fixture
def imports(empty_listings: Path, tmp_path: Path) -> Iterator[Imports]:
    shutil.copy(empty_listings, tmp_path / "listings.db")
    database = ListingsDatabase(tmp_path / "listings.db", importing=True)
    yield Imports(database, tmp_path)
    database.close()
