"""Why a text is no identifier, in a slug and in words for who typed it.

Invariant: neither the text nor a part of it is told back.
"""

from __future__ import annotations

_NAMES = {
    "rpps": ("numéro RPPS", "RPPS number"),
    "adeli": ("numéro ADELI", "ADELI number"),
    "finess": ("numéro FINESS", "FINESS number"),
    "siren": ("numéro SIREN", "SIREN number"),
    "siret": ("numéro SIRET", "SIRET number"),
}
_WORDS = {
    "length": ("Un {0} a {2} caractères.", "{5} {1} has {2} characters."),
    "characters": ("Un {0} n’a que des chiffres{3}.", "{5} {1} has digits only{4}."),
    "check-digit": (
        "Le dernier chiffre du {0} ne correspond pas aux autres\u00a0: il y a une faute de frappe.",
        "The last digit of the {1} does not match the others: one of them was mistyped.",
    ),
}
_CORSICA = (" (et 2A ou 2B pour la Corse)", " (and 2A or 2B for Corsica)")
_OTHERS = {
    "person-prefix": (
        "L’identifiant d’un professionnel est 8 suivi du numéro RPPS, ou 0 suivi du numéro ADELI.",
        "A professional is 8 and the RPPS number, or 0 and the ADELI number.",
    ),
    "structure-prefix": (
        "L’identifiant d’une structure est 1 et un numéro FINESS, 2 SIREN, 3 SIRET, 4 RPPS et rang, 0 ADELI et rang.",
        "A structure is 1 and a FINESS number, 2 SIREN, 3 SIRET, 4 RPPS and a rank, 0 ADELI and a rank.",
    ),
    "structure-rank": (
        "Le rang du cabinet (après le numéro du professionnel) a deux ou trois chiffres.",
        "The rank of the practice (behind the professional's number) has two or three digits.",
    ),
    "too-long": ("Ce texte est trop long pour un identifiant.", "This text is too long for an identifier."),
}


class IdentifierRefused(ValueError):
    """A text that is no identifier of this type. `reason` is a slug ("rpps-check-digit", "person-prefix"…)."""

    def __init__(self, reason: str, length: int = 0, corsica: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        if reason in _OTHERS:
            self.fr, self.en = _OTHERS[reason]
            return
        name, _, what = reason.partition("-")
        in_french, in_english = _WORDS[what]
        fr, en = _NAMES[name]
        letters = _CORSICA if corsica else ("", "")
        article = "An" if name in ("rpps", "adeli") else "A"
        self.fr = in_french.format(fr, en, length, *letters)
        self.en = in_english.format(fr, en, length, *letters, article)
