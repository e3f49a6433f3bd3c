"""A small country of invented people, in both databases, and how the tests ask for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.node.migrations.run import migrate_listings
from directory.listings import writing
from directory.listings.database import ListingsDatabase, Sql
from directory.listings.interface import Query
from directory.listings.service import ListingsService
from directory.model import Card, Coded, Kind, Mailbox, Organisation, Origin, Place, Professional, Situation

DOCTOR = Coded("10", "Médecin")
NURSE = Coded("60", "Infirmier")
MIDWIFE = Coded("50", "Sage-Femme")
PHYSIO = Coded("70", "Masseur-Kinésithérapeute")
DENTIST = Coded("40", "Chirurgien-Dentiste")
CARDIOLOGY = Coded("SM04", "Cardiologie et maladies vasculaires (SM)")
GENERAL = Coded("SM26", "Qualifié en Médecine Générale (SM)")
SURGERY = Coded("SM05", "Chirurgie générale (SM)")
EAR = Coded("SM39", "O.R.L et chirurgie cervico faciale (SM)")

LYON3 = Place(street="1 rue Invent", postcode="69003", commune="Lyon 3e Arrondissement", department="69")
LYON8 = Place(street="2 rue Invent", postcode="69008", commune="Lyon 8e Arrondissement", department="69")
PARIS15 = Place(street="3 rue Invent", postcode="75015", commune="Paris 15e Arrondissement", department="75")
AJACCIO = Place(street="4 cours Invent", postcode="20000", commune="Ajaccio", department="2A")
ETIENNE = Place(street="5 rue Invent", postcode="42000", commune="Saint-Étienne", department="42")
BREST = Place(street="6 rue Invent", postcode="29200", commune="Brest", department="29")

HOSPITAL = Organisation("1690781810", "HOSPICES CIVILS DE LYON", "CHU Lyon Sud", place=LYON8)
CLINIC = Organisation("1420000012", "SAS Polyclinique", "Clinique de l'Étoile", place=ETIENNE)
COEUR = Organisation("1290000017", "Centre hospitalier du Sacré-Cœur", "", place=BREST)
CROSS = Organisation("1690000010", "Hôpital de la Croix-Rousse", "", place=LYON3)


def _person(
    number: int, family: str, given: str, profession: Coded = DOCTOR, title: str = "Dr"
) -> Professional:
    return Professional(f"8{10000000000 + number}", title, family, given, profession)


def _mailbox(
    local: str, person: Professional, place: Place, speciality: Coded = GENERAL, **more: Any
) -> Mailbox:
    practice = Organisation(
        f"4{person.national_id}{place.postcode[-1]}", f"Cabinet {person.family}", place=place
    )
    made = Mailbox(
        address=f"{local}@medecin.mssante.fr",
        kind=Kind.PER,
        holders=(person,),
        organisation=practice,
        speciality=speciality,
    )
    return replace(made, **more)


MAILBOXES = [
    _mailbox("zoe.martin", _person(1, "MARTIN", "Zoé"), LYON3),
    _mailbox("jean.martin", _person(2, "MARTIN", "Jean"), PARIS15, CARDIOLOGY),
    _mailbox("jeanne.martinez", _person(3, "MARTINEZ", "Jeanne"), PARIS15),
    _mailbox("jp.martin", _person(4, "MARTIN", "Jean-Pierre"), BREST, SURGERY),
    _mailbox("martin.leroux", _person(5, "LEROUX", "Martin"), LYON8),
    _mailbox("marie-claire.dupont", _person(6, "DUPONT-MOREAU", "Marie-Claire"), ETIENNE),
    _mailbox("marieclaire.roy", _person(7, "ROY", "Marieclaire"), LYON3),
    _mailbox("yves.legall", _person(8, "LE GALL", "Yves", PHYSIO, ""), BREST, Coded()),
    _mailbox("anne.darc", _person(9, "D'ARC", "Anne", MIDWIFE, "Mme"), LYON3, Coded()),
    _mailbox("edith.oeuvrard", _person(10, "ŒUVRARD", "Édith", NURSE, "Mme"), AJACCIO, Coded()),
    _mailbox("paul.saintpierre", _person(11, "SAINT-PIERRE", "Paul"), ETIENNE, EAR),
    _mailbox("francois.schwarzenbach", _person(12, "SCHWARZENBACH", "François"), AJACCIO, CARDIOLOGY),
    _mailbox("luc.cardio", _person(13, "DUBOIS", "Luc", DENTIST), PARIS15, Coded()),
    _mailbox("secret.rouge", _person(14, "ECARLATE", "Scarlett"), LYON3, red_list=True),
    _mailbox("deux.adresses", _person(15, "DEUXFOIS", "Ida"), LYON3, rank=2),
    _mailbox("ida.deuxfois", _person(15, "DEUXFOIS", "Ida"), LYON8, rank=1),
    _mailbox("nina.pareil", _person(16, "PAREIL", "Nina"), LYON3),
    _mailbox("nina.pareil.ici", _person(17, "PAREIL", "Nina"), LYON3, origin=Origin.OWN),
    Mailbox("urgences@chu-lyon.mssante.fr", Kind.ORG, (), HOSPITAL, service="Urgences adultes"),
    Mailbox("robot@chu-lyon.mssante.fr", Kind.APP, (), HOSPITAL, description="Comptes rendus"),
    Mailbox("secretariat@clinique-etoile.mssante.fr", Kind.ORG, (), CLINIC, service="Secrétariat"),
    Mailbox("accueil@sacrecoeur.mssante.fr", Kind.ORG, (), COEUR, service="Accueil"),
    Mailbox("chirurgie@croix-rousse.mssante.fr", Kind.ORG, (), CROSS, service="Chirurgie digestive"),
    Mailbox(
        "cabinet.pins@medecin.mssante.fr",
        Kind.CAB,
        (_person(18, "PINSON", "Aude"), _person(19, "LORIOT", "Guy")),
        Organisation("4100000000180", "Cabinet des Pins", place=BREST),
        description="Maison médicale des Pins",
    ),
]
STRUCK = _person(20, "RADIE", "Tom")
SITUATIONS = [
    Situation(_person(21, "SANSADRESSE", "Eva"), None, GENERAL, place=BREST),
    Situation(_person(22, "MARTIN", "Adele"), None, GENERAL, place=LYON3),
]

Found = Callable[..., list[str]]
"""`found(text, **fields of Query)`: local parts of the addresses, in their order."""


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ListingsDatabase]:
    if request.param == "sqlite":
        where: Path | str = tmp_path_factory.mktemp("listings") / "listings.db"
        migrate_listings(f"sqlite:///{where}")
    else:
        where = request.getfixturevalue("make_postgresql_database")()
        migrate_listings(str(where))
    opened = ListingsDatabase(where)
    opened.write(fill)
    yield opened
    opened.close()


def fill(sql: Sql) -> None:
    struck = _mailbox("tom.radie", STRUCK, LYON3)
    writing.put_mailboxes(sql, [*MAILBOXES, struck], at=1)
    writing.put_situations(sql, SITUATIONS, at=1)
    writing.strike_off(sql, [STRUCK.national_id], at=2)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(database: ListingsDatabase, clock: Clock) -> ListingsService:
    return ListingsService(database, clock)


@pytest.fixture
def found(service: ListingsService) -> Found:
    """Local parts of the addresses, or family names of those who have none, in their order."""

    def asked(text: str = "", **fields: Any) -> list[str]:
        return [told(card) for card in service.search(Query(text, **fields)).cards]

    return asked


def told(card: Card) -> str:
    return card.address.partition("@")[0] or card.family
