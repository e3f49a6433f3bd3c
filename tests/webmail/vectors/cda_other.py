"""Documents of the other kinds: operations, emergencies, pathology, certificates, plans, files that are wrapped."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterator

from cda_people import (
    ANGE,
    JEANNE,
    LABO,
    LINA,
    MARTIN,
    PAUL,
    ROUX,
    bullets,
    header,
    p,
    pdf,
    picture,
    sec,
    table,
    vitals,
)
from cda_stay import NO_ALLERGY, PACEMAKER

from mail_server.payloads.record.cda import names
from mail_server.payloads.record.cda.model import ClinicalEntry, Run
from mail_server.payloads.record.cda.writing import level1, level3
from mail_server.payloads.record.model import Author, Code


def written() -> Iterator[tuple[str, bytes]]:
    """Names and octets."""
    one = "2026-11-20T10:15:00+01:00"
    yield (
        "operatoire",
        level3(
            header(17, "34874-8", "Compte rendu opératoire", "2026-11-18T12:00:00+01:00", JEANNE, ROUX),
            (
                sec(
                    "10223-6", "Geste", p("Pose d'un stimulateur double chambre par voie céphalique gauche.")
                ),
                sec("47519-4", "Actes", p("DELF015")),
            ),
            (),
            (
                ClinicalEntry(
                    "procedure",
                    "Implantation d'un stimulateur cardiaque",
                    Code("DELF015", "1.2.250.1.213.2.5", "Implantation d'un stimulateur cardiaque"),
                    "completed",
                    "2026-11-18",
                ),
                PACEMAKER,
            ),
        ),
    )
    yield (
        "urgences",
        level3(
            header(
                18,
                "15507-7",
                "Compte rendu de passage aux urgences",
                "2026-11-16T13:10:00+01:00",
                JEANNE,
                ROUX,
            ),
            (
                sec("10154-3", "Motif", p("Malaise.")),
                sec("8716-3", "Constantes", table("Mesure | Valeur", "Pouls | 138/min")),
            ),
            vitals("2026-11-16T09:20:00+01:00", 71.5, 151.0),
        ),
    )
    yield (
        "anatomie",
        level3(
            header(
                19, "60568-3", "Compte rendu d'anatomie pathologique", "2026-02-03T10:00:00+01:00", PAUL, LABO
            ),
            (
                sec("22634-0", "Macroscopie", p("Fragment de 8 mm.")),
                sec("22637-3", "Conclusion", p("Nævus sans atypie. Exérèse complète.")),
            ),
        ),
    )
    yield (
        "rcp",
        level3(
            header(
                20,
                "34794-8",
                "Réunion de concertation pluridisciplinaire",
                "2026-02-10T12:00:00+01:00",
                PAUL,
                ROUX,
                confidentiality=Code(
                    "INVISIBLE_PATIENT", names.MASKING, "Document non visible par le patient"
                ),
            ),
            (sec("18776-5", "Proposition", p("Surveillance simple.")),),
        ),
    )
    yield (
        "certificat",
        level3(
            header(21, "89601-9", "Certificat médical", "2026-06-01T09:00:00+02:00", LINA, MARTIN),
            (sec("55108-5", "Certificat", p("Je certifie que Lina peut pratiquer la natation.")),),
        ),
    )
    yield (
        "rendez-vous",
        level3(
            header(22, "56446-8", "Notification de rendez-vous", "2026-11-20T10:20:00+01:00", JEANNE, ROUX),
            (
                sec(
                    "56447-6",
                    "Rendez-vous",
                    p("Le 18 décembre 2026 à 9 h 30, consultation de rythmologie, niveau 2."),
                ),
            ),
        ),
    )
    yield (
        "plan-de-soins",
        level3(
            header(23, "18776-5", "Plan personnalisé de soins", "2026-11-21T09:30:00+01:00", JEANNE, MARTIN),
            (sec("18776-5", "Plan", bullets("Marche trente minutes par jour", "Podologue", ordered=True)),),
            (),
            (ClinicalEntry("plan", "Consultation de podologie", None, "planned", "2027-01"),),
        ),
    )
    yield (
        "implant",
        level3(
            header(24, "101881-1", "Carte d'implant", "2026-11-18T13:00:00+01:00", JEANNE, ROUX),
            (sec("46264-8", "Dispositif implanté", table("Dispositif | Numéro", "Stimulateur A1 | 000123")),),
            (),
            (PACEMAKER,),
        ),
    )
    yield (
        "signes-vitaux",
        level3(
            header(25, "29274-8", "Mesures de signes vitaux", "2026-09-02T17:20:00+02:00", JEANNE, MARTIN),
            (sec("8716-3", "Signes vitaux"),),
            vitals("2026-09-02T17:20:00+02:00", 72.0, 138.0),
        ),
    )
    yield (
        "remboursements",
        level3(
            header(
                26,
                "REMB",
                "Données de remboursement",
                "2026-11-01T03:00:00+01:00",
                JEANNE,
                Author("CNAM", "", "", "", None, "Caisse nationale de l'assurance maladie", "1750000059"),
            ),
            (
                sec(
                    "60591-5",
                    "Remboursements",
                    table(
                        "Date | Acte | Montant",
                        "02/09/2026 | Consultation | 21,00 €",
                        "15/10/2026 | Vaccin | 11,05 €",
                    ),
                ),
            ),
        ),
    )
    yield (
        "consultation",
        level3(
            header(
                27,
                "11488-4",
                "Compte rendu de consultation",
                "2026-03-05T15:00:00+01:00",
                PAUL,
                MARTIN,
                confidentiality=Code("R", names.CONFIDENTIALITY, "Restreint"),
            ),
            (
                sec(
                    "10164-2",
                    "Histoire",
                    p(
                        "Toux depuis ",
                        Run("trois", "italic"),
                        Run(" semaines"),
                        Run("Pas de fièvre.", "", True),
                    ),
                ),
            ),
        ),
    )
    yield (
        "accouchement",
        level3(
            header(
                28,
                "15508-5",
                "Compte rendu d'accouchement",
                "2026-01-09T04:30:00+01:00",
                (JEANNE[0], dataclasses.replace(JEANNE[1], birth_date="1990-01-01")),
                ROUX,
            ),
            (sec("57073-9", "Accouchement", p("Naissance à 3 h 52.")),),
        ),
    )
    yield (
        "teleconsultation",
        level3(
            header(
                29, "85208-7", "Compte rendu de téléconsultation", "2026-04-04T18:00:00+02:00", PAUL, MARTIN
            ),
            (sec("10164-2", "Motif", p("Renouvellement.")),),
        ),
    )
    yield (
        "dossier-enfant",
        level3(
            header(
                30,
                "11490-0",
                "Sortie de pédiatrie",
                "2026-02-20T10:00:00+01:00",
                LINA,
                ROUX,
                confidentiality=Code(
                    "INVISIBLE_REPRESENTANTS_LEGAUX",
                    names.MASKING,
                    "Non visible par les représentants légaux",
                ),
            ),
            (sec("55112-7", "Synthèse", p("Bronchiolite résolue.")),),
            (),
            (NO_ALLERGY,),
        ),
    )
    yield (
        "volontes",
        level3(
            header(31, "EXPPAT_3", "Directives anticipées", "2026-05-05T10:00:00+02:00", ANGE, MARTIN),
            (sec("42348-3", "Directives", p("Je ne souhaite pas d'obstination déraisonnable.")),),
            (),
            (ClinicalEntry("wish", "Directives anticipées rédigées", None, start="2026-05-05"),),
        ),
    )
    yield (
        "n1-pdf",
        level1(
            header(32, "34112-3", "Compte rendu hospitalier", one, ANGE, ROUX),
            pdf("Compte rendu hospitalier de M. Santoni"),
            "application/pdf",
        ),
    )
    yield (
        "n1-texte",
        level1(
            header(33, "51851-4", "Document administratif", one, ANGE, ROUX),
            "Bulletin de situation.\nEntré le 16 novembre.\n".encode(),
            "text/plain",
        ),
    )
    yield (
        "n1-rtf",
        level1(
            header(34, "28653-4", "Document social", one, ANGE, ROUX), rb"{\rtf1\ansi Bonjour}", "text/rtf"
        ),
    )
    yield (
        "n1-image",
        level1(
            header(35, "101881-1", "Carte scannée", one, ANGE, ROUX),
            base64.b64decode(picture(40, 40)),
            "image/png",
        ),
    )
    yield (
        "n1-tiff",
        level1(
            header(36, "51851-4", "Télécopie", one, ANGE, ROUX),
            b"II*\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00",
            "image/tiff",
        ),
    )
