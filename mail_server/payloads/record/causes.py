"""Why a report is not sent, or was not taken: slugs that a hospital's sender and the node share, with words for people.

Invariants: a cause names no value of the report; a slug that nobody knows is shown as it is, if it is one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+){0,7}\Z")
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |\Z)")
_LONGEST = 60
_SMTP: Final = "smtp-"

CAUSES: Final[Mapping[str, tuple[str, str]]] = {
    # What the sender finds before anything leaves.
    "index-unreadable": ("le fichier d’index ne peut être lu", "the index file cannot be read"),
    "index-missing": ("un document est arrivé sans son index", "a document came without its index"),
    "document-missing": ("un index est arrivé sans son document", "an index came without its document"),
    "field-missing": ("une indication nécessaire manque", "something that is needed is not said"),
    "field-unknown": ("une indication inconnue est donnée", "something unknown is said"),
    "field-wrong": ("une indication n’a pas la bonne forme", "something said has not the right form"),
    "ins-wrong": (
        "le numéro INS est faux : vérifiez ses chiffres",
        "the INS number is wrong: check its digits",
    ),
    "ins-length": (
        "le numéro INS n’a pas 15 caractères : il en manque, ou il y en a de trop",
        "the INS number has not 15 characters: some are missing, or too many",
    ),
    "ins-characters": (
        "le numéro INS contient un caractère qui n’est pas un chiffre (sauf 2A ou 2B pour la Corse, en 6e et 7e place)",
        "the INS number holds a character that is no digit (but 2A or 2B for Corsica, at the sixth and seventh)",
    ),
    "ins-sex": (
        "le premier chiffre du numéro INS n’existe pas",
        "there is no INS number with this first digit",
    ),
    "ins-month": (
        "le mois du numéro INS (quatrième et cinquième chiffres) n’est pas possible",
        "the month of the INS number (fourth and fifth digits) is not possible",
    ),
    "ins-key": (
        "les deux derniers chiffres du numéro INS (sa clé) contredisent les autres : il y a une faute de frappe",
        "the last two digits of the INS number (its key) do not match the others: one of them was mistyped",
    ),
    "ins-without-key": (
        "le numéro INS est donné sans ses deux derniers chiffres (sa clé)",
        "the INS number is given without its last two digits (its key)",
    ),
    "ins-range": ("ce type de numéro INS n’est pas accepté", "this range of INS numbers is not accepted"),
    "traits-missing": ("un trait d’identité manque", "a trait of identity is missing"),
    "traits-disagree": (
        "le numéro INS et les traits d’identité se contredisent",
        "the INS number and the traits of identity disagree",
    ),
    "type-unknown": ("le type de document n’est pas dans la liste", "the document type is not in the list"),
    "date-wrong": ("une date est impossible", "a date is impossible"),
    "confidentiality-wrong": (
        "ces codes de confidentialité ne vont pas ensemble",
        "these confidentiality codes do not go together",
    ),
    "recipient-wrong": ("l’adresse du destinataire n’en est pas une", "the recipient's address is none"),
    "replaced-unknown": (
        "le document à remplacer n’est pas connu de cet envoi",
        "the document to be replaced is not known to this sender",
    ),
    "reference-taken": (
        "cette référence sert déjà à un autre document",
        "this reference stands for another document already",
    ),
    "pdf-unreadable": ("le PDF ne peut être lu", "the PDF cannot be read"),
    "pdf-encrypted": ("le PDF est chiffré", "the PDF is encrypted"),
    "pdf-active": (
        "le PDF contient un programme ou une action",
        "the PDF holds a program or an action",
    ),
    "pdf-embeds": ("le PDF contient d’autres fichiers", "the PDF holds other files"),
    "pdf-too-large": ("le PDF est trop grand", "the PDF is too large"),
    "pdf-too-long": ("le PDF a trop de pages", "the PDF has too many pages"),
    "cda-refused": ("le document CDA ne peut être pris", "the CDA document cannot be taken"),
    "cda-another-patient": (
        "le document CDA est au nom d’un autre patient",
        "the CDA document is about another patient",
    ),
    "fhir-refused": ("le document FHIR ne peut être pris", "the FHIR document cannot be taken"),
    "fhir-another-patient": (
        "le document FHIR est au nom d’un autre patient",
        "the FHIR document is about another patient",
    ),
    "type-disagrees": (
        "le type indiqué n’est pas celui du document",
        "the type that is said is not the document's",
    ),
    "document-invisible": (
        "le document porte lui-même INVISIBLE_PATIENT : envoyez une nouvelle version sans ce code",
        "the document itself bears INVISIBLE_PATIENT: send a new version without it",
    ),
    "not-made": ("la lettre n’a pas pu être faite", "the letter could not be made"),
    "expired": (
        "le serveur n’a pas pu le prendre à temps",
        "the server could not take it in time",
    ),
    "cancelled": (
        "l’administrateur a arrêté la lettre avant son départ",
        "the administrator stopped the letter before it left",
    ),
    # What the node says at RCPT TO, and at the end of the letter.
    "recipient-unknown": ("aucune boîte n’existe à cette adresse", "there is no mailbox at this address"),
    "recipient-number-wrong": (
        "le numéro du patient comporte une erreur",
        "the patient's number is mistyped",
    ),
    "recipient-suspended": ("la boîte est suspendue", "the mailbox is suspended"),
    "recipient-closed": ("la boîte est fermée", "the mailbox is closed"),
    "recipient-not-practising": (
        "ce professionnel n’exerce plus",
        "this professional no longer practises",
    ),
    "write-to-blocked": (
        "le patient ne souhaite plus recevoir vos messages",
        "the patient has chosen to receive no letters from you",
    ),
    "recipient-domain-unlisted": (
        "l’adresse n’est pas dans l’espace de confiance MSSanté",
        "the address is outside the trust space of MSSanté",
    ),
    "sealed-only-no-certificate": (
        "le compte n’envoie que du courrier scellé, et aucun certificat du destinataire n’est connu",
        "the account sends sealed letters only, and no certificate of the addressee is known",
    ),
    "too-large-for-patient": (
        "une lettre à un patient d’un autre opérateur a 25 Mo au plus",
        "a letter to a patient of another operator has 25 MB at most",
    ),
    "relay-refused": ("l’adresse est chez un autre opérateur", "the address is another operator's"),
    "too-large": ("la lettre est trop grande", "the letter is too large"),
    "carry-invisible-to-patient": (
        "document pas encore annoncé au patient (INVISIBLE_PATIENT)",
        "document not yet announced to the patient (INVISIBLE_PATIENT)",
    ),
    "carry-masked-to-professional": (
        "document masqué aux professionnels (MASQUE_PS)",
        "document masked to professionals (MASQUE_PS)",
    ),
    "carry-wrong-combination": (
        "ces codes de confidentialité ne vont pas ensemble",
        "these confidentiality codes do not go together",
    ),
    # What receiving software says (ANS codes 900 to 906).
    "900": ("900 : version du document non gérée", "900: version of the document not handled"),
    "901": ("901 : auteur non autorisé", "901: author not allowed"),
    "902": ("902 : patient inconnu du logiciel", "902: patient unknown to the software"),
    "903": ("903 : INS absent", "903: no INS"),
    "904": ("904 : INS discordant", "904: INS mismatch"),
    "905": ("905 : INS incomplet", "905: INS incomplete"),
    "906": ("906 : intégration impossible", "906: could not be integrated"),
}


def is_slug(text: str) -> bool:
    return len(text) <= _LONGEST and _SLUG.match(text) is not None


def words(slug: str) -> tuple[str, str]:
    """In French and in English."""
    if slug.startswith(_SMTP):
        code = slug.removeprefix(_SMTP).replace("-", " ", 1).replace("-", ".")
        return f"refusé par le serveur ({code})", f"refused by the server ({code})"
    return CAUSES.get(slug, (slug, slug))


def of_answer(code: int, text: str) -> str:
    """The slug of an SMTP refusal: its code, and its enhanced code where there is one (RFC 3463)."""
    found = _ENHANCED.match(text)
    return f"{_SMTP}{code}" + (f"-{found[1].replace('.', '-')}" if found else "")
