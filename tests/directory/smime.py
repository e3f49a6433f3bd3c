"""S/MIME as openssl makes it: certificates people sign themselves, messages enveloped to them."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path


def own_certificate(folder: Path, address: str, *, curve: bool = False) -> Path:
    """PEM, its key beside it (`.key`)."""
    file = folder / f"{address.partition('@')[0]}.pem"
    key = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"] if curve else ["rsa:2048"]
    uses = "keyAgreement" if curve else "digitalSignature,keyEncipherment"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", *key, "-nodes", "-keyout", file.with_suffix(".key"), "-out", file,
         "-subj", "/CN=Zoe/O=Essai", "-days", "30", "-addext", f"subjectAltName=email:{address}",
         "-addext", "extendedKeyUsage=emailProtection", "-addext", f"keyUsage={uses}",
         "-addext", "basicConstraints=critical,CA:FALSE"],
        capture_output=True, check=True,
    )  # fmt: skip
    return file


def encrypted(entity: bytes, to: Sequence[Path], *options: str) -> bytes:
    """The entity enveloped; as S/MIME (MIME-Version first) unless `options` say otherwise."""
    made = subprocess.run(
        ["openssl", "cms", "-encrypt", *options, *map(str, to)], input=entity, capture_output=True, check=True
    )
    return made.stdout


def decrypted(message: bytes, certificate: Path) -> bytes:
    """What its reader sees of an S/MIME message."""
    made = subprocess.run(
        ["openssl", "cms", "-decrypt", "-recip", certificate, "-inkey", certificate.with_suffix(".key")],
        input=message, capture_output=True, check=True,
    )  # fmt: skip
    return made.stdout
