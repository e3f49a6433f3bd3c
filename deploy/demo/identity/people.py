"""Invented people of the providers, and what is said of each in the national providers' claims.

Invariants: identifiers lie in test ranges and pass their checks; a professional who was struck off has no profession
left, one without activity has a profession and no place to practise it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mail_server.accounts.national_id import luhn_holds

_ROLE_TABLE = "1.2.250.1.213.1.1.5.5"


def invented_national_id(number: int) -> str:
    """An idNat_PS of nobody: 899700 and six digits, the last by Luhn. `number` below 100,000."""
    stem = f"99700{number:05d}"
    return next(f"8{stem}{last}" for last in "0123456789" if luhn_holds(stem + last))


@dataclass(frozen=True, slots=True)
class Practice:
    """A situation of practice: an activity in a place."""

    place: str
    finess: str = "990000019"
    sector: str = "SA01"


@dataclass(frozen=True, slots=True)
class Professional:
    national_id: str
    given: str
    family: str
    practices: tuple[Practice, ...] = (Practice("Hôpital Vaguemestre"),)
    profession: str = "10"  # TRE_G15: doctor
    struck_off: bool = False

    @property
    def name(self) -> str:
        return self.national_id

    def claims(self) -> Mapping[str, Any]:
        """As Pro Santé Connect tells them (reference: its documentation of userinfo)."""
        first = self.practices[0] if self.practices else None
        activities = [
            {
                "codeModeExercice": "S",
                "codeSecteurDactivite": each.sector,
                "numeroFinessSite": each.finess,
                "identifiantTechniqueDeLaStructure": f"1{each.finess}",
                "raisonSocialeSite": each.place,
            }
            for each in self.practices
        ]
        exercise = {
            "codeProfession": self.profession,
            "codeCategorieProfessionnelle": "C",
            "codeCiviliteDexercice": "DR",
            "nomDexercice": self.family,
            "prenomDexercice": self.given,
            "codeTypeSavoirFaire": "S",
            "codeSavoirFaire": "SM54",
            "activities": activities,
        }
        return {
            "SubjectNameID": self.national_id,
            "preferred_username": self.national_id,
            "given_name": self.given,
            "family_name": self.family,
            "email_verified": False,
            "SubjectOrganization": first.place if first else "",
            "SubjectOrganizationID": f"1{first.finess}" if first else "",
            "SubjectRole": [] if self.struck_off else [f"{self.profession}^{_ROLE_TABLE}"],
            "Secteur_Activite": f"{first.sector}^1.2.250.1.71.4.2.4" if first else "",
            "Mode_Acces_Raison": "",
            "Acces_Regulation_Medicale": "FAUX",
            "UITVersion": "1.0",
            "Palier_Authentification": "APPPRIP3^1.2.250.1.213.1.5.1.1.1",
            "PSI_Locale": "1.2.250.1.213.1.3.1.1",
            "otherIds": [{"identifiant": self.national_id, "origine": "RPPS", "qualite": 1}],
            "SubjectRefPro": {"codeCivilite": "MME", "exercices": [] if self.struck_off else [exercise]},
        }


@dataclass(frozen=True, slots=True)
class Patient:
    """A person with a carte Vitale: verified INS and the five traits."""

    ins: str = field(repr=False)
    given: str
    family: str
    birth_date: str = field(repr=False)
    sex: str = "F"
    birth_place: str = "63220"

    @property
    def name(self) -> str:
        """What the page of this provider calls them: no number stands in an address."""
        return f"{self.given} {self.family}".lower().replace(" ", "-")

    def claims(self) -> Mapping[str, Any]:
        return {
            "ins": self.ins,
            "ins_oid": "1.2.250.1.213.1.4.10",
            "given_name": self.given,
            "family_name": self.family,
            "birthdate": self.birth_date,
            "gender": "female" if self.sex == "F" else "male",
            "birthplace": self.birth_place,
        }


Person = Professional | Patient
