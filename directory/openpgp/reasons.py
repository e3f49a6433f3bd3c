"""Why a certificate is refused: one slug, one English sentence (ASCII), one French one.

Invariant: sentences are fixed; no byte of the certificate, no library text, ever stands in them.
"""

from __future__ import annotations

from dataclasses import dataclass

from directory.openpgp.certificate import CertificateRefused


@dataclass(frozen=True, slots=True)
class Sentence:
    """The same thing said twice."""

    english: str
    french: str


SENTENCES: dict[str, Sentence] = {
    "not-a-certificate": Sentence(
        "This is not an OpenPGP public key.",
        "Ce n'est pas une clé publique OpenPGP.",
    ),
    "several-certificates": Sentence(
        "There are several keys in this file: export one alone.",
        "Ce fichier contient plusieurs clés : exportez-en une seule.",
    ),
    "secret-key-offered": Sentence(
        "This file holds a SECRET key. Nothing of it was kept. Consider it as seen: make a new key, "
        "then export the public one.",
        "Ce fichier contient une clé SECRÈTE. Rien n'en a été gardé. Considérez-la comme vue : créez-en "
        "une nouvelle, puis exportez la clé publique.",
    ),
    "too-large": Sentence(
        "This key is too large: export it without third-party signatures and pictures.",
        "Cette clé est trop grosse : exportez-la sans signatures de tiers ni photos.",
    ),
    "unreadable-by-common-programs": Sentence(
        "Common mail programs cannot read letters sealed to this kind of key: make a version 4 key with "
        "Curve25519 or RSA.",
        "Les logiciels de messagerie courants ne savent pas lire les lettres scellées avec ce type de clé : "
        "créez une clé de version 4, Curve25519 ou RSA.",
    ),
    "weak-key": Sentence(
        "This key or its signatures are too weak (RSA below 2048 bits, DSA, ElGamal or SHA-1).",
        "Cette clé ou ses signatures sont trop faibles (RSA de moins de 2048 bits, DSA, ElGamal ou SHA-1).",
    ),
    "user-id-of-another": Sentence(
        "This key carries no valid user id with this address.",
        "Cette clé ne porte aucun identifiant valide avec cette adresse.",
    ),
    "revoked": Sentence(
        "This key has been revoked.",
        "Cette clé a été révoquée.",
    ),
    "expired": Sentence(
        "This key has expired: extend it or make a new one.",
        "Cette clé a expiré : prolongez-la ou créez-en une nouvelle.",
    ),
    "not-yet-valid": Sentence(
        "This key says it was made in the future: check the clock of the computer that made it.",
        "Cette clé dit avoir été créée dans le futur : vérifiez l'horloge de l'ordinateur qui l'a créée.",
    ),
    "no-encryption-subkey": Sentence(
        "This key has no usable encryption subkey.",
        "Cette clé n'a pas de sous-clé de chiffrement utilisable.",
    ),
    "key-of-another": Sentence(
        "This key, or one of its subkeys, already serves another address.",
        "Cette clé, ou l'une de ses sous-clés, sert déjà à une autre adresse.",
    ),
    "not-a-revocation": Sentence(
        "This is not a revocation made by this key.",
        "Ce n'est pas une révocation faite par cette clé.",
    ),
}


def refusal(reason: str) -> CertificateRefused:
    """The error for a known reason."""
    return CertificateRefused(reason, SENTENCES[reason].english)


def in_french(reason: str) -> str:
    """The same sentence for a French reader."""
    return SENTENCES[reason].french
