"""Why an S/MIME certificate is refused: what OpenPGP refuses for, in words that fit, and what is of its own.

Invariant: sentences are fixed; no byte of the certificate, no library text, ever stands in them.
"""

from __future__ import annotations

from directory.openpgp.certificate import CertificateRefused
from directory.openpgp.reasons import SENTENCES as OPENPGP
from directory.openpgp.reasons import Sentence

SENTENCES: dict[str, Sentence] = {
    "not-a-certificate": Sentence(
        "This is not an X.509 certificate (PEM or DER).",
        "Ce n'est pas un certificat X.509 (PEM ou DER).",
    ),
    "secret-key-offered": OPENPGP["secret-key-offered"],
    "too-large": Sentence("This certificate is too large.", "Ce certificat est trop gros."),
    "unreadable-by-common-programs": Sentence(
        "Common mail programs cannot encrypt to this kind of key: take RSA or a NIST curve.",
        "Les logiciels de messagerie courants ne savent pas chiffrer avec ce type de clé : prenez RSA ou une "
        "courbe du NIST.",
    ),
    "weak-key": Sentence(
        "The key of this certificate or its signature is too weak (RSA below 2048 bits, SHA-1).",
        "La clé de ce certificat ou sa signature est trop faible (RSA de moins de 2048 bits, SHA-1).",
    ),
    "address-of-another": Sentence(
        "This certificate does not name this address among its alternative names.",
        "Ce certificat ne porte pas cette adresse parmi ses autres noms (subjectAltName).",
    ),
    "several-addresses": Sentence(
        "This certificate names several addresses: one key serves one address.",
        "Ce certificat porte plusieurs adresses : une clé ne sert qu'à une adresse.",
    ),
    "revoked": Sentence("This certificate has been revoked.", "Ce certificat a été révoqué."),
    "expired": Sentence("This certificate has expired.", "Ce certificat a expiré."),
    "not-yet-valid": Sentence(
        "This certificate is not valid yet.", "Ce certificat n'est pas encore valable."
    ),
    "authority": Sentence(
        "This is the certificate of an authority, not of a mailbox.",
        "C'est le certificat d'une autorité, non celui d'une boîte aux lettres.",
    ),
    "not-for-mail": Sentence(
        "This certificate is not meant for mail (emailProtection).",
        "Ce certificat n'est pas fait pour la messagerie (emailProtection).",
    ),
    "not-for-encryption": Sentence(
        "This certificate is not meant for encryption: publish the one that is, beside your signing one.",
        "Ce certificat n'est pas fait pour chiffrer : publiez celui qui l'est, à côté de celui qui signe.",
    ),
    "unknown-authority": Sentence(
        "This certificate does not lead to an authority that is accepted here; add its intermediates to the file.",
        "Ce certificat ne mène pas à une autorité admise ici ; joignez au fichier ses intermédiaires.",
    ),
    "key-of-another": OPENPGP["key-of-another"],
}


def refusal(reason: str) -> CertificateRefused:
    """The error for a known reason."""
    return CertificateRefused(reason, SENTENCES[reason].english)


def in_french(reason: str) -> str:
    """The same sentence for a French reader."""
    return SENTENCES[reason].french
