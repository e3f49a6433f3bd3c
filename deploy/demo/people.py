"""OpenPGP keys for the demo's invented people, made as they would make them: with GnuPG, under a passphrase.

Invariants: the key is made in a GnuPG home of its own, which is removed, with its agent ended, before the
call returns; what leaves it is the exported secret key, still under its passphrase (0600), and the public
one; the profile is the one every program reads: v4, Ed25519 and Cv25519, Features 0x01 (DESIGN §3).
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gnupg

# A passphrase here is 64 bits of chance: stretching adds nothing to it. Left alone, each new agent first measures how
# much stretching takes a tenth of a second, which itself takes seconds of processor time.
_AGENT = "s2k-count 65536\n"

# At DEBUG this logger prints what passes through gpg, passphrases included (DESIGN §6).
logging.getLogger("gnupg").setLevel(logging.WARNING)


class KeyNotMade(Exception):
    """GnuPG did not make or export the key."""


@dataclass(frozen=True, slots=True)
class PersonKey:
    """A person's key pair on disk."""

    address: str
    fingerprint: str
    secret: Path
    public: Path


@contextlib.contextmanager
def temporary_home() -> Generator[Path]:
    """A GnuPG home that lives as long as the block; its agent is ended by its own socket, then it is removed.

    Directly under the system's folder for temporary files, since an agent's socket path must stay short.
    """
    home = Path(tempfile.mkdtemp(prefix="vm-gpg-"))
    try:
        (home / "gpg-agent.conf").write_text(_AGENT)
        yield home
    finally:
        subprocess.run(
            ["gpgconf", "--homedir", str(home), "--kill", "all"],
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        shutil.rmtree(home, ignore_errors=True)


def make_key(
    name: str,
    address: str,
    passphrase: str,
    directory: Path,
    *,
    file_name: str | None = None,
    expire: str = "2y",
) -> PersonKey:
    """Make `name <address>`'s key; write `<file_name>.asc` (secret) and `<file_name>.pub.asc`.

    `expire` is GnuPG's: "2y", "0" (never), "seconds=2".
    """
    if "\n" in name + address + passphrase + expire:
        raise ValueError("a line break would start another GnuPG parameter")
    stem = file_name or address.partition("@")[0]
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with temporary_home() as home:
        gpg: Any = gnupg.GPG(gnupghome=str(home), options=["--charset", "utf-8"])  # it carries no types
        gpg.encoding = "utf-8"  # its default is Latin-1, and "Inès" would name nobody
        made = gpg.gen_key(_parameters(name, address, passphrase, expire))
        fingerprint = str(made.fingerprint or "")
        if not fingerprint:
            raise KeyNotMade(f"GnuPG made no key ({made.status})")
        secret = str(gpg.export_keys(fingerprint, secret=True, passphrase=passphrase))
        public = str(gpg.export_keys(fingerprint))
    if not secret or not public:
        raise KeyNotMade("GnuPG exported no key")
    key = PersonKey(address, fingerprint, directory / f"{stem}.asc", directory / f"{stem}.pub.asc")
    key.secret.unlink(missing_ok=True)
    with os.fdopen(os.open(key.secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret)
    key.public.write_text(public)
    return key


def _parameters(name: str, address: str, passphrase: str, expire: str) -> str:
    return "\n".join(
        (
            "Key-Type: EDDSA",
            "Key-Curve: ed25519",
            "Key-Usage: sign,cert",
            "Subkey-Type: ECDH",
            "Subkey-Curve: cv25519",
            "Subkey-Usage: encrypt",
            f"Name-Real: {name}",
            f"Name-Email: {address}",
            f"Expire-Date: {expire}",
            f"Passphrase: {passphrase}",
            "%commit",
            "",
        )
    )


@dataclass(frozen=True, slots=True)
class Patient:
    """An invented patient: the number is well formed, of no commune that exists."""

    matricule: str  # 15 digits
    family_name: str
    given_names: str
    sex: str  # "F" | "M"
    birth_date: str  # YYYY-MM-DD
    birth_place: str

    @property
    def last_five(self) -> str:
        return self.matricule[-5:]


GARANCE = Patient("251036999900150", "GARANCE", "Éloïse Marie", "F", "1951-03-14", "69999")
YOU = Patient("164076999900211", "DELATTRE", "Georges", "M", "1964-07-09", "69999")
THEIRS = Patient("258016999900361", "OSMONT", "Hélène", "F", "1958-01-22", "69999")  # of the second operator
