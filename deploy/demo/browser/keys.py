"""The key a page makes: universal profile, the bare address as its only user id, no passphrase of its own.

Made by GnuPG here; the page makes the same with OpenPGP.js.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import gnupg

from deploy.demo.people import KeyNotMade, temporary_home


@dataclass(frozen=True, slots=True)
class BareKey:
    """A key pair in memory, binary."""

    fingerprint: str
    certificate: bytes = field(repr=False)
    secret: bytes = field(repr=False)


def make_bare_key(address: str) -> BareKey:
    """Raises KeyNotMade."""
    with temporary_home() as home:
        gpg: Any = gnupg.GPG(gnupghome=str(home), options=["--allow-freeform-uid"])
        made = gpg.gen_key(
            "Key-Type: EDDSA\nKey-Curve: ed25519\nKey-Usage: sign,cert\n"
            "Subkey-Type: ECDH\nSubkey-Curve: cv25519\nSubkey-Usage: encrypt\n"
            f"Name-Email: {address}\nExpire-Date: 0\n%no-protection\n%commit\n"
        )
        fingerprint = str(made.fingerprint or "")
        if not fingerprint:
            raise KeyNotMade("GnuPG made no key")
        certificate = gpg.export_keys(fingerprint, armor=False)
        secret = gpg.export_keys(fingerprint, secret=True, armor=False, expect_passphrase=False)
    if not certificate or not secret:
        raise KeyNotMade("GnuPG exported no key")
    return BareKey(fingerprint.upper(), certificate, secret)
