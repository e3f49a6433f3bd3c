"""A GnuPG home driven by python-gnupg, with no agent left behind.

Invariants: passphrases reach gpg through pipes alone; the library's logger, which prints what passes at
DEBUG, is held at WARNING; when the block ends, the home's agent has been told to end.
"""

from __future__ import annotations

import contextlib
import io
import logging
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import gnupg

logging.getLogger("gnupg").setLevel(logging.WARNING)

_LONGEST_HOME = 85  # an agent's socket lies in its home, and its whole path must fit 107 bytes (unix(7))
_COMMAND_SECONDS = 60


class GpgError(Exception):
    """GnuPG did not do what was asked. Carries no text of gpg."""


class GpgHome:
    """The few acts an authority needs."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._gpg: Any = gnupg.GPG(gnupghome=str(home))  # the library carries no types

    def make_certifying_key(self, name: str, address: str, passphrase: str) -> str:
        """A certify-only Ed25519 primary key that does not expire. Its fingerprint."""
        if any(mark in name + address + passphrase for mark in "\r\n"):
            raise GpgError("line break")  # it would start another parameter
        parameters = self._gpg.gen_key_input(
            key_type="EDDSA",
            key_curve="ed25519",
            key_usage="cert",
            name_real=name,
            name_email=address,
            expire_date="0",
            passphrase=passphrase,
        )
        return self._fingerprint(self._gpg.gen_key(parameters))

    def add_signing_subkey(self, primary: str, passphrase: str, days: int) -> str:
        """An Ed25519 subkey that signs, for so many days. Its fingerprint."""
        made = self._gpg.add_subkey(
            primary, master_passphrase=passphrase, algorithm="ed25519", usage="sign", expire=f"{days}d"
        )
        return self._fingerprint(made)

    def export_public(self, primary: str, *, armored: bool) -> bytes:
        exported = self._gpg.export_keys(primary, armor=armored)
        data = exported.encode("ascii") if isinstance(exported, str) else bytes(exported)
        return self._given(data)

    def export_secret_subkey(self, subkey: str, passphrase: str) -> bytes:
        """That subkey's secret alone, under the passphrase; the primary goes as a stub without its secret."""
        result = self._gpg.result_map["export"](self._gpg)
        arguments = ["--export-secret-subkeys", f"{subkey}!"]
        self._gpg._handle_io(arguments, io.BytesIO(), result, passphrase=passphrase, binary=True)
        return self._given(bytes(result.data))

    def _fingerprint(self, made: Any) -> str:
        fingerprint = str(made.fingerprint or "")
        if len(fingerprint) != 40:
            raise GpgError("key not made")
        return fingerprint

    def _given(self, data: bytes) -> bytes:
        if not data:
            raise GpgError("nothing exported")
        return data


@contextlib.contextmanager
def opened(home: Path) -> Generator[GpgHome]:
    """The home, made if missing, for the length of the block."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Passphrases here are 256 random bits: stretching them would cost 0.1 s each time and add nothing.
    (home / "gpg-agent.conf").write_text("s2k-count 65536\n", encoding="ascii")
    with contextlib.ExitStack() as stack:
        path = home.absolute()
        if len(str(path)) > _LONGEST_HOME:
            short = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vm-"))) / "h"
            short.symlink_to(path)
            path = short
        stack.callback(_run, ["gpgconf", "--homedir", str(path), "--kill", "all"])
        yield GpgHome(path)


def _run(command: Sequence[str]) -> None:
    subprocess.run(
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=_COMMAND_SECONDS,
    )
