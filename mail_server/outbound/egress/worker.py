"""The egress gate's process: alone holds the egress keys, and opens one letter at a time, in memory.

Started as `python -m mail_server.outbound.egress.worker` by the pool of `mail_server.sealing`. It is told where the
keystore and the KEK lie, and reads both itself: no other process is ever given an egress key. Invariants: those of
`serving` (no core, no tracing, no file beyond memory-backed ones but the keystore, nothing said but slugs); what was
opened goes out by the socket and is kept nowhere.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pysequoia

from mail_server import mime
from mail_server.keys.interface import KeyUnavailable
from mail_server.keys.kek import load_kek
from mail_server.keys.settings import KeysSettings
from mail_server.outbound.egress.keyring import Keyring
from mail_server.outbound.egress.wire import NotALetter, wire_bytes
from mail_server.outbound.interface import Form
from mail_server.sealing.frames import Ask, Slug
from mail_server.sealing.opening import opened
from mail_server.sealing.serving import Failed, run

_ARMORED = b"-----BEGIN PGP"


class Worker:
    def __init__(self) -> None:
        self._settings = KeysSettings()
        self._keyring: Keyring | None = None
        self._decryptors: dict[str, pysequoia.PyDecryptor] = {}

    def answer(self, ask: int, fields: list[bytes], payload: bytes) -> tuple[list[bytes], bytes]:
        """Raises Failed."""
        try:
            if ask == Ask.LOAD:
                self._load(fields)
                return [], b""
            keyring = self._keyring
            if keyring is None:
                raise Failed(Slug.NOT_LOADED)
            if ask == Ask.GATE_OPEN and len(fields) == 2:
                return [], self._open(keyring, fields[0].decode("ascii"), fields[1], payload)
            if ask == Ask.GATE_MAKE and len(fields) == 2:
                self._make(keyring, fields[0].decode("ascii"), int(fields[1]))
            elif ask == Ask.GATE_DESTROY and len(fields) == 1:
                self._destroy(keyring, fields[0].decode("ascii"))
            elif ask != Ask.GATE_KEYS:
                raise Failed(Slug.BAD_FRAME)
            return _told(keyring), b""
        except (KeyUnavailable, OSError):
            raise Failed(Slug.KEY_UNAVAILABLE) from None

    def _load(self, fields: Sequence[bytes]) -> None:
        """Where things lie; nothing secret is told."""
        try:
            told = cast("dict[str, Any]", json.loads(fields[0]))
            os.environ.update(cast("dict[str, str]", told["environment"]))
            self._settings = KeysSettings.model_validate(told["keys"])
            home, keystore = Path(told["home"]), Path(told["keystore"])
        except (ValueError, KeyError, IndexError, TypeError):
            raise Failed(Slug.BAD_FRAME) from None
        self._keyring = Keyring(keystore, load_kek(self._settings, home))

    def _make(self, keyring: Keyring, address: str, at: int) -> None:
        # GnuPG's side is needed once in months: a gate that only opens does not carry it.
        from mail_server.keys.operator_keys import make_key

        fingerprint, certificate, secret = make_key(self._settings, address)
        keyring.add(fingerprint, certificate, secret, at)

    def _destroy(self, keyring: Keyring, fingerprint: str) -> None:
        if not keyring.destroy(fingerprint):
            raise Failed(Slug.KEY_GONE)
        self._decryptors.pop(fingerprint, None)

    def _open(self, keyring: Keyring, fingerprint: str, form: bytes, queued: bytes) -> bytes:
        decryptor = self._decryptor(keyring, fingerprint)
        if form == b"%d" % Form.GATED:
            message = mime.dearmor(queued) if queued.startswith(_ARMORED) else queued
            return opened(message or b"", decryptor)
        if form != b"%d" % Form.GATED_BY_AUTHOR:
            raise Failed(Slug.NOT_A_LETTER)
        tree = mime.parse(queued)
        found = mime.ciphertext(queued, tree) if mime.is_encrypted(tree) == "pgp" else None
        if found is None:
            raise Failed(Slug.NOT_A_LETTER)
        try:
            return wire_bytes(queued, tree, opened(found.data, decryptor))
        except NotALetter:
            raise Failed(Slug.NOT_A_LETTER) from None

    def _decryptor(self, keyring: Keyring, fingerprint: str) -> pysequoia.PyDecryptor:
        known = self._decryptors.get(fingerprint)
        if known is None:
            secret = keyring.secret(fingerprint)
            if secret is None:
                raise Failed(Slug.KEY_GONE)
            try:
                known = pysequoia.Tsk.from_bytes(secret).decryptor()
            except (RuntimeError, ValueError):
                raise Failed(Slug.KEY_UNAVAILABLE) from None
            self._decryptors[fingerprint] = known
        return known


def _told(keyring: Keyring) -> list[bytes]:
    """When each was made, its fingerprint, its certificate; oldest first."""
    fields: list[bytes] = []
    for one in keyring.held():
        fields += [b"%d" % one.made, one.fingerprint.encode("ascii"), one.certificate]
    return fields


def main(arguments: Sequence[str]) -> int:
    return run(arguments, Worker())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
