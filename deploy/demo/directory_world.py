"""The demo's national files: professionals of elsewhere, all invented, and those of ours whom it tells a story about.

Invariants: nobody in it exists; whoever is to be written to stands at the neighbour's domain, which the trust list has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.demo import pki, world
from deploy.demo.directory_files import ACTIVITY_HEADER, MAILBOX_HEADER, write_activity, write_mailboxes
from deploy.demo.identity.people import invented_national_id
from deploy.demo.world import World

ROWS = 600  # of each file
_DOMAIN = re.compile(rb"\|([a-z0-9.'-]+)@[a-z0-9.-]+\|")
_TOWN = {"postcode": "69003", "commune": "Lyon", "insee": "69383", "department": "69"}
_PRACTICE = pki.invented_finess(90)


@dataclass(frozen=True, slots=True)
class Colleague:
    """One line of each file."""

    address: str
    national_id: str
    family: str
    given: str
    speciality: tuple[str, str] = ("", "")


CARDIOLOGIST = Colleague(
    f"helene.rousseau-lefebvre@{world.FOREIGN_DOMAIN}",
    invented_national_id(90_001),
    "ROUSSEAU-LEFEBVRE",
    "HÉLÈNE",
    ("SM04", "Cardiologie et maladies vasculaires"),
)
LEAVER = Colleague(
    f"luc.sortant@{world.DOMAIN}",
    invented_national_id(90_002),
    "SORTANT",
    "LUC",
    ("SM54", "Médecine générale"),
)
EVERYBODY = (CARDIOLOGIST, LEAVER)


def write_files(folder: Path, people: Iterable[Colleague] = EVERYBODY, rows: int = ROWS) -> list[Path]:
    """Both files as they come out of one day. Who is not among `people` any more is gone from them."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    listed = list(people)
    activity = folder / "PS_LibreAcces_Personne_activite.txt"
    write_activity(activity, rows, wrong=0)
    _add(activity, ACTIVITY_HEADER, map(_practice, listed))
    mailboxes = folder / "Extraction_Correspondance_MSSante.txt"
    write_mailboxes(mailboxes, rows, wrong=0)
    neighbour = world.FOREIGN_DOMAIN.encode()
    mailboxes.write_bytes(_DOMAIN.sub(rb"|\1@" + neighbour + b"|", mailboxes.read_bytes()))
    _add(mailboxes, MAILBOX_HEADER, map(_mailbox, listed))
    return [activity, mailboxes]


def imported(made: World, people: Iterable[Colleague] = EVERYBODY) -> list[dict[str, Any]]:
    """What the node says of taking them in."""
    files = write_files(made.folder / "national", people)
    return [made.command("directory_import", path=str(path)) for path in files]


def _add(path: Path, header: str, lines: Iterable[Mapping[str, str]]) -> None:
    names = header.split("|")
    with path.open("a", encoding="utf-8") as out:
        for line in lines:
            assert line.keys() <= set(names), line.keys() - set(names)
            out.write("|".join(line.get(name, "") for name in names) + "\n")


def _practice(who: Colleague) -> dict[str, str]:
    return {
        "Type d'identifiant PP": "8",
        "Identifiant PP": who.national_id[1:],
        "Identification nationale PP": who.national_id,
        "Code civilité d'exercice": "DR",
        "Libellé civilité d'exercice": "Docteur",
        "Nom d'exercice": who.family,
        "Prénom d'exercice": who.given,
        "Code profession": "10",
        "Libellé profession": "Médecin",
        "Code catégorie professionnelle": "C",
        "Libellé catégorie professionnelle": "Civil",
        "Code savoir-faire": who.speciality[0],
        "Libellé savoir-faire": who.speciality[1],
        "Code mode exercice": "L",
        "Libellé mode exercice": "Libéral, indépendant, artisan, commerçant",
        "Bureau cedex (coord. structure)": f"{_TOWN['postcode']} {_TOWN['commune'].upper()}",
        "Code postal (coord. structure)": _TOWN["postcode"],
        "Code commune (coord. structure)": _TOWN["insee"],
        "Libellé commune (coord. structure)": _TOWN["commune"],
        "Code Département (structure)": _TOWN["department"],
    }


def _mailbox(who: Colleague) -> dict[str, str]:
    return {
        "Type de BAL": "PER",
        "Adresse BAL": who.address,
        "Type Identifiant PP": "8",
        "Identifiant PP": who.national_id[1:],
        "Identification nationale PP": who.national_id,
        "Civilité d'exercice": "Docteur",
        "Nom d'exercice": who.family,
        "Prénom d'exercice": who.given,
        "Catégorie profession": "C",
        "Libellé de catégorie profession": "Civil",
        "Code Profession": "10",
        "Libellé Profession": "Médecin",
        "Code savoir-faire": who.speciality[0],
        "Libellé savoir-faire": who.speciality[1],
        "Dématérialisation": "N",
        "Type identifiant structure": "FINESS",
        "Identification Structure": _PRACTICE,
        "Raison Sociale structure BAL": "MAISON DE SANTE DE LA PART-DIEU",
        "L6LIGNEACHEMINEMENT structure BAL": f"{_TOWN['postcode']} {_TOWN['commune'].upper()}",
        "Code postal structure BAL": _TOWN["postcode"],
        "Département structure BAL": _TOWN["department"],
        "Pays structure BAL": "FRANCE",
    }
