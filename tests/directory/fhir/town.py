"""An invented town with its professionals, for the tests of the FHIR door."""

from __future__ import annotations

from directory.identifiers.luhn import luhn_digit
from directory.listings.database import Sql
from directory.listings.writing import put_mailboxes, put_situations, remove_mailboxes, strike_off
from directory.model import (
    FIELDS_OF,
    Coded,
    Kind,
    Mailbox,
    Organisation,
    Origin,
    Place,
    Professional,
    Situation,
)

__all__ = ["FIELDS_OF", "remove_mailboxes"]

AT = 1_790_000_000_000
LATER = AT + 86_400_000


def rpps(number: int) -> str:
    digits = f"1{number:09d}"
    return digits + luhn_digit(digits)


def national(number: int) -> str:
    return "8" + rpps(number)


def finess(number: int) -> str:
    digits = f"69{number:06d}"
    return digits + luhn_digit(digits)


GP = Coded("10", "Médecin")
NURSE = Coded("60", "Infirmier")
CARDIOLOGY = Coded("SM04", "Cardiologie et maladies vasculaires")
LIBERAL = Coded("L", "Libéral, indépendant, artisan, commerçant")
CIVIL = Coded("C", "Civil")

LYON = Place(street="1 RUE DES SAULES", routing_line="69003 LYON", postcode="69003", commune="LYON",
             commune_code="69383", department="69")  # fmt: skip
EVRY = Place(street="2 QUAI HAUT", postcode="91000", commune="Évry-Courcouronnes", department="91")

HOSPITAL = Organisation("1" + finess(1), name="CENTRE HOSPITALIER DES SAULES", brand="Les Saules",
                        siret="26690001200017", siren="266900012", finess=finess(1), finess_legal=finess(2),
                        place=LYON)  # fmt: skip
CLINIC = Organisation("1" + finess(3), name="CLINIQUE DU QUAI", place=EVRY)

ZOE = Professional(national(1), "DR", "MARTIN-DURAND", "Zoé", GP, CIVIL)
LEA = Professional(national(2), "DR", "MARTIN", "Léa", GP, CIVIL)
NOE = Professional(national(3), "", "LE GOFF", "Noé", NURSE, CIVIL)
RED = Professional(national(4), "DR", "DISCRET", "Ana", GP, CIVIL)
GONE = Professional(national(5), "DR", "PARTI", "Paul", GP, CIVIL)
NO_BOX = Professional(national(6), "", "SANSBAL", "Ève", NURSE, CIVIL)

ZOE_PER = Mailbox("zoe.martin-durand@medecin.mssante.fr", Kind.PER, (ZOE,), speciality=CARDIOLOGY, rank=1)
ZOE_SAULES = Mailbox(
    "zoe.martin@saules.mssante.fr", Kind.PER, (ZOE,), organisation=HOSPITAL, digitization=True, rank=2,
    phone="0400000001",
)  # fmt: skip
LEA_PER = Mailbox("lea.martin@medecin.mssante.fr", Kind.PER, (LEA,))
PRACTICE = Mailbox(
    "cabinet.saules@medecin.mssante.fr", Kind.CAB, (LEA, NOE), description="Cabinet des Saules"
)
RED_PER = Mailbox("ana.discret@medecin.mssante.fr", Kind.PER, (RED,), red_list=True)
GONE_PER = Mailbox("paul.parti@medecin.mssante.fr", Kind.PER, (GONE,))
WARD = Mailbox(
    "cardio@saules.mssante.fr", Kind.ORG, organisation=HOSPITAL, service="Cardiologie",
    description="Secrétariat", responsible="Mme Cachée", phone="0400000002",
)  # fmt: skip
ROBOT = Mailbox("dpi@saules.mssante.fr", Kind.APP, organisation=HOSPITAL, service="Cardiologie")
HIDDEN_WARD = Mailbox(
    "cache@saules.mssante.fr", Kind.ORG, organisation=HOSPITAL, service="Service caché", red_list=True
)
SOCIAL = Mailbox(
    "iris.vouee@saules.mssante.fr", Kind.PER, organisation=HOSPITAL, family="VOUÉE", given="Iris", title="Mme"
)

EVERYONE = (ZOE_PER, ZOE_SAULES, LEA_PER, PRACTICE, RED_PER, GONE_PER, WARD, ROBOT, HIDDEN_WARD, SOCIAL)


def settle(sql: Sql) -> None:
    put_situations(
        sql,
        [
            Situation(ZOE, HOSPITAL, CARDIOLOGY, LIBERAL, LYON),
            Situation(ZOE, CLINIC, CARDIOLOGY, Coded("S", "Salarié"), EVRY),
            Situation(NO_BOX, CLINIC, Coded(), LIBERAL, EVRY),
        ],
        AT,
    )
    put_mailboxes(sql, EVERYONE, at=AT)
    strike_off(sql, [GONE.national_id], AT)


def crowd(sql: Sql, count: int, first: int = 1000) -> None:
    put_mailboxes(
        sql,
        [
            Mailbox(
                f"p{number}@foule.mssante.fr",
                Kind.PER,
                (Professional(national(number), "", f"FOULE{number % 7}", f"Prénom{number}", NURSE),),
                origin=Origin.NATIONAL,
            )
            for number in range(first, first + count)
        ],
        at=AT,
    )
