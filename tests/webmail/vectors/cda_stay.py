"""Documents around one woman's stay: letters, biology, imaging, prescriptions, vaccinations."""

from __future__ import annotations

from collections.abc import Iterator

from cda_people import (
    IDS,
    JEANNE,
    LABO,
    MARTIN,
    PAUL,
    PHARMA,
    RADIO,
    ROUX,
    biology,
    bullets,
    chapters,
    drug,
    header,
    p,
    picture,
    sec,
    snomed,
    table,
)

from mail_server.payloads.record.cda.model import Block, ClinicalEntry, Result, Run
from mail_server.payloads.record.cda.writing import level3
from mail_server.payloads.record.model import Code

PENICILLIN = ClinicalEntry(
    "allergy",
    "Pénicilline",
    snomed("91936005", "Pénicilline"),
    "active",
    "1974",
    "",
    "urticaire géante",
    "sévère",
)
NO_ALLERGY = ClinicalEntry(
    "allergy", "Pas d'allergie connue", snomed("716186003", "Pas d'allergie connue"), "active", negated=True
)
HYPERTENSION = ClinicalEntry(
    "problem",
    "Hypertension artérielle",
    Code("I10", "2.16.840.1.113883.6.3", "Hypertension artérielle"),
    "active",
    "2009",
)
DIABETES = ClinicalEntry(
    "problem",
    "Diabète de type 2",
    Code("E11", "2.16.840.1.113883.6.3", "Diabète de type 2"),
    "active",
    "2015-04",
)
FIBRILLATION = ClinicalEntry(
    "problem",
    "Fibrillation auriculaire",
    Code("I48", "2.16.840.1.113883.6.3", "Fibrillation auriculaire"),
    "active",
    "2026-11",
)
APPENDIX = ClinicalEntry(
    "procedure",
    "Appendicectomie",
    Code("HHFA001", "1.2.250.1.213.2.5", "Appendicectomie"),
    "completed",
    "1962",
)
INFARCT = ClinicalEntry(
    "family",
    "Infarctus du myocarde",
    Code("I21", "2.16.840.1.113883.6.3", "Infarctus du myocarde"),
    detail="Père, à 54 ans",
)
TOBACCO = ClinicalEntry(
    "risk", "Tabagisme sevré", snomed("8517006", "Tabagisme sevré"), detail="20 paquets-années, arrêt en 1998"
)
METFORMIN = drug("METFORMINE 1000 mg, comprimé", "A10BA02", "1 comprimé matin et soir", "2015-04")
RAMIPRIL = drug("RAMIPRIL 5 mg, comprimé", "C09AA05", "1 comprimé le matin", "2009")
APIXABAN = drug("APIXABAN 5 mg, comprimé", "B01AF02", "1 comprimé matin et soir", "2026-11-20", "2027-05-20")
PACEMAKER = ClinicalEntry(
    "device",
    "Stimulateur cardiaque double chambre",
    snomed("14106009", "Stimulateur cardiaque double chambre"),
    start="2026-11-18",
    detail="modèle A1, n° 000123",
)
DTP = ClinicalEntry(
    "vaccination",
    "REVAXIS",
    Code("3400935413505", "1.2.250.1.213.2.3.1", "REVAXIS"),
    "completed",
    "2020-03-12",
    detail="rang 3, lot AB1234",
)
FLU = ClinicalEntry(
    "vaccination",
    "VAXIGRIPTETRA",
    Code("3400930066058", "1.2.250.1.213.2.3.1", "VAXIGRIPTETRA"),
    "completed",
    "2026-10-15",
    detail="lot V7K22",
)
NO_COVID = ClinicalEntry(
    "vaccination",
    "Vaccin COVID-19",
    None,
    "completed",
    "2026-10-15",
    detail="refus de la patiente",
    negated=True,
)


def written() -> Iterator[tuple[str, bytes]]:
    """Names and octets of the documents that our own writer makes."""
    one = "2026-11-20T10:15:00+01:00"
    stay = {"service_start": "2026-11-16T09:00:00+01:00", "service_stop": "2026-11-20T10:00:00+01:00"}
    leaving = (
        sec("46241-6", "Motif d'hospitalisation", p("Palpitations et malaise le 16 novembre.")),
        sec(
            "55112-7",
            "Synthèse médicale",
            p(
                "Passage en fibrillation auriculaire, ",
                Run("cardioversion réussie", "bold"),
                Run(", pose d'un stimulateur le 18."),
            ),
            bullets("Pas d'insuffisance cardiaque", "INR non utile sous apixaban"),
        ),
        sec(
            "10183-2",
            "Traitements de sortie",
            table(
                "Médicament | Posologie | Durée",
                "APIXABAN 5 mg | 1 matin et soir | 6 mois",
                "RAMIPRIL 5 mg | 1 le matin | au long cours",
                caption="À poursuivre",
            ),
        ),
        sec("48765-2", "Allergies", p("Pénicilline : urticaire géante.")),
        sec(
            "18776-5",
            "Suites à donner",
            bullets("Contrôle du stimulateur à un mois", "Ionogramme à quinze jours", ordered=True),
        ),
    )
    care = (
        FIBRILLATION,
        APIXABAN,
        RAMIPRIL,
        PENICILLIN,
        PACEMAKER,
        ClinicalEntry("plan", "Contrôle du stimulateur", None, "planned", "2026-12-18"),
    )
    yield (
        "sortie",
        level3(
            header(1, "11490-0", "Lettre de liaison à la sortie", one, JEANNE, ROUX, **stay),
            leaving,
            (),
            care,
        ),
    )
    corrected = (
        *leaving[:1],
        sec(
            "55112-7",
            "Synthèse médicale",
            p(
                "Passage en fibrillation auriculaire ; stimulateur posé le 18, ",
                Run("côté gauche", "bold"),
                Run("."),
            ),
        ),
        *leaving[2:],
    )
    yield (
        "sortie-corrigee",
        level3(
            header(
                2,
                "11490-0",
                "Lettre de liaison à la sortie",
                "2026-11-21T09:00:00+01:00",
                JEANNE,
                ROUX,
                set=1,
                version=2,
                replaces=(f"{IDS}.1",),
                **stay,
            ),
            corrected,
            (),
            care,
        ),
    )
    yield (
        "entree",
        level3(
            header(3, "18761-7", "Lettre de liaison à l'entrée", "2026-11-15T18:00:00+01:00", JEANNE, MARTIN),
            (
                sec("46239-0", "Motif", p("Je vous adresse Mme Morvan pour palpitations.")),
                sec(
                    "42346-7",
                    "Traitements",
                    table("Médicament | Posologie", "METFORMINE 1000 mg | 2 par jour"),
                ),
            ),
            (),
            (METFORMIN, RAMIPRIL, PENICILLIN, DIABETES),
        ),
    )
    synth = (
        sec("11450-4", "Problèmes actifs", bullets("Hypertension artérielle", "Diabète de type 2")),
        sec("11348-0", "Antécédents", p("Cholécystite en 1999.")),
        sec("48765-2", "Allergies", p("Pénicilline")),
        sec("10160-0", "Traitements au long cours", bullets("Metformine", "Ramipril")),
        sec("46467-3", "Facteurs de risque", p("Tabac sevré")),
    )
    past = ClinicalEntry(
        "history",
        "Cholécystite aiguë",
        Code("K81.0", "2.16.840.1.113883.6.3", "Cholécystite aiguë"),
        "completed",
        "1999-06",
        "1999-07",
    )
    yield (
        "vsm",
        level3(
            header(4, "60591-5", "Synthèse médicale (VSM)", "2026-09-02T17:30:00+02:00", JEANNE, MARTIN),
            synth,
            (),
            (HYPERTENSION, DIABETES, past, APPENDIX, PENICILLIN, METFORMIN, RAMIPRIL, TOBACCO, INFARCT),
        ),
    )
    yield (
        "synthese-episode",
        level3(
            header(5, "34133-9", "Synthèse d'un épisode de soins", "2026-09-03T09:00:00+02:00", PAUL, MARTIN),
            (sec("11450-4", "Problèmes", p("Asthme allergique.")),),
            (),
            (
                ClinicalEntry(
                    "problem", "Asthme", Code("J45", "2.16.840.1.113883.6.3", "Asthme"), "active", "1990"
                ),
                NO_ALLERGY,
            ),
        ),
    )
    for n, (at, factor) in enumerate(
        (
            ("2026-11-19T07:45:00+01:00", 1.2),
            ("2026-08-12T08:05:00+02:00", 1.1),
            ("2025-11-10T07:50:00+01:00", 1.0),
        ),
        6,
    ):
        results = biology(at, factor)
        body = sec("11502-2", "Compte rendu d'examens biologiques", sections=chapters(*results))
        yield (
            f"biologie-{n - 5}",
            level3(
                header(n, "11502-2", "Compte rendu d'examens biologiques", at, JEANNE, LABO), (body,), results
            ),
        )
    germ = (
        Result(
            "630-4",
            "Culture d'urine",
            "Escherichia coli 10^5 UFC/mL",
            flag="A",
            at="2026-10-02T09:00:00+02:00",
            specimen="Urine",
            group="Microbiologie",
            comment="Contrôle à l'arrêt du traitement",
        ),
        Result(
            "18864-9",
            "Amoxicilline",
            "Résistant",
            at="2026-10-02T09:00:00+02:00",
            specimen="Urine",
            group="Microbiologie",
            flag="A",
        ),
    )
    yield (
        "biologie-urine",
        level3(
            header(
                9,
                "11502-2",
                "Examen cytobactériologique des urines",
                "2026-10-03T16:00:00+02:00",
                JEANNE,
                LABO,
            ),
            chapters(*germ),
            germ,
        ),
    )
    scan = (
        sec("55115-0", "Demande", p("Douleur thoracique.")),
        sec(
            "18782-3",
            "Résultats",
            p("Pas d'embolie pulmonaire. Nodule de 4 mm du lobe moyen."),
            Block("image", image=picture(48, 32), image_type="image/png", caption="Coupe à hauteur du hile"),
        ),
        sec("19005-8", "Conclusion", p("À contrôler dans un an.")),
    )
    yield (
        "imagerie",
        level3(header(10, "18748-4", "Scanner thoracique", "2026-11-17T14:20:00+01:00", JEANNE, RADIO), scan),
    )
    code = Block("image", image=picture(64, 64), image_type="image/png", caption="Code de l'ordonnance")
    yield (
        "ordonnance",
        level3(
            header(
                11, "57833-6", "Prescription de médicaments", one, JEANNE, ROUX, prescription="26324ABCDE01"
            ),
            (
                sec(
                    "57828-6",
                    "Prescription",
                    table(
                        "Médicament | Posologie | Durée", "APIXABAN 5 mg, comprimé | 1 matin et soir | 6 mois"
                    ),
                    code,
                ),
            ),
            (),
            (APIXABAN,),
        ),
    )
    yield (
        "ordonnance-soins",
        level3(
            header(12, "57832-8", "Prescription de soins infirmiers", one, JEANNE, ROUX),
            (sec("57832-8", "Soins", p("Pansement du stimulateur tous les deux jours pendant dix jours.")),),
        ),
    )
    yield (
        "ordonnance-bio",
        level3(
            header(
                13,
                "PRESC-BIO",
                "Prescription d'actes de biologie",
                one,
                JEANNE,
                ROUX,
                prescription="26324BIO0007",
            ),
            (sec("PRESC-BIO", "Actes demandés", bullets("Ionogramme", "Créatinine")),),
        ),
    )
    yield (
        "dispensation",
        level3(
            header(
                14,
                "60593-1",
                "Dispensation médicamenteuse",
                "2026-11-20T18:40:00+01:00",
                JEANNE,
                PHARMA,
                prescription="26324ABCDE01",
            ),
            (sec("60590-7", "Dispensation", p("APIXABAN 5 mg : 2 boîtes de 60.")),),
        ),
    )
    yield (
        "vaccin-note",
        level3(
            header(15, "87273-9", "Note de vaccination", "2026-10-15T11:00:00+02:00", JEANNE, PHARMA),
            (sec("11369-6", "Vaccination", p("Vaccination contre la grippe.")),),
            (),
            (FLU, NO_COVID),
        ),
    )
    yield (
        "vaccin-historique",
        level3(
            header(16, "11369-6", "Historique de vaccinations", "2026-10-16T11:00:00+02:00", JEANNE, MARTIN),
            (
                sec(
                    "11369-6",
                    "Vaccinations",
                    table("Vaccin | Date", "REVAXIS | 12/03/2020", "VAXIGRIPTETRA | 15/10/2026"),
                ),
            ),
            (),
            (DTP, FLU),
        ),
    )
