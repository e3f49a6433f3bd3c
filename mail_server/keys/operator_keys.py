"""Operator-held keys: the certificate of an account whose holder has none yet (DESIGN §4).

Made by GnuPG (whose profile every program reads): Ed25519 primary that certifies and signs, Cv25519 subkey that
encrypts, no expiry, the address as user id, a notation that says who holds it.
Invariants: the secret exists in memory, in a GnuPG home on tmpfs while it is made, and wrapped by the KEK in the
keystore, nowhere else; a certificate is returned only when its wrap is durable; one account has one at a time; no
certificate of a key that is retiring is given to anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import gnupg

from mail_server.keys.interface import KeyUnavailable, KeyWrapper, OperatorHeldKey
from mail_server.keys.keystore import Entry, Keystore
from mail_server.keys.memory_home import gnupg_home
from mail_server.keys.settings import KeysSettings

NOTATION = "operator-held@vaguemestre.example"

# At DEBUG python-gnupg prints what it is fed; nothing may turn that on.
logging.getLogger("gnupg").setLevel(logging.WARNING)

# One line of GnuPG's parameter file: an address that could end it would write the next one.
_ADDRESS = re.compile(r"[^\s\x00-\x20<>()%\"\\\x7f]+@[^\s\x00-\x20<>()%\"\\\x7f]+")


class GnuPgOperatorKeys:
    """See `mail_server.keys.interface.OperatorKeys`."""

    def __init__(self, settings: KeysSettings, keystore: Path, wrapper: KeyWrapper) -> None:
        self._settings = settings
        self._wrapper = wrapper
        self._keystore = Keystore(keystore)
        self._making: dict[str, asyncio.Task[OperatorHeldKey]] = {}
        self._retiring: dict[str, asyncio.Event] = {}
        self._changes: Counter[str] = Counter()
        self._threads = ThreadPoolExecutor(settings.making_threads, "operator-keys")

    async def certificate_for(self, account: str, address: str) -> OperatorHeldKey:
        while (outcome := self._retiring.get(account)) is not None:
            await outcome.wait()
        known = self.existing(account)
        if known is not None:
            return known
        making = self._making.get(account)
        if making is None:
            making = asyncio.create_task(self._make_for(account, address))
            self._making[account] = making
            making.add_done_callback(lambda _: self._making.pop(account, None))
        # A caller that gives up does not take the key from the others who wait for it.
        return await asyncio.shield(making)

    def existing(self, account: str) -> OperatorHeldKey | None:
        entry = None if account in self._retiring else self._keystore.get(_name(account))
        return None if entry is None else OperatorHeldKey(account, entry.certificate, entry.fingerprint)

    def secret(self, account: str) -> bytes:
        entry = self._keystore.get(_name(account))
        if entry is None:
            raise KeyUnavailable("the account has no operator-held key")
        return self._wrapper.unwrap(entry.wrapped, _purpose(account, entry.fingerprint))

    @contextlib.contextmanager
    def retiring(self, account: str) -> Generator[None]:
        outcome = self._retiring[account] = asyncio.Event()
        self._changes[account] += 1
        try:
            yield
        finally:
            del self._retiring[account]
            self._changes[account] += 1
            outcome.set()

    def changes(self, account: str) -> int:
        return self._changes[account]

    def destroy(self, account: str) -> None:
        self._keystore.destroy(_name(account))

    @property
    def written(self) -> int:
        """A number that differs once a key was made or destroyed."""
        return self._keystore.written

    def accounts(self) -> list[str]:
        """Accounts that have an operator-held key."""
        prefix = _name("")
        return [name.removeprefix(prefix) for name in self._keystore.names() if name.startswith(prefix)]

    async def close(self) -> None:
        """The key that GnuPG is making is made; those that wait for a thread are not."""
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)

    async def _make_for(self, account: str, address: str) -> OperatorHeldKey:
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._make_and_keep, account, address
        )

    def _make_and_keep(self, account: str, address: str) -> OperatorHeldKey:
        fingerprint, certificate, secret = make_key(self._settings, address)
        wrapped = self._wrapper.wrap(secret, _purpose(account, fingerprint))
        self._keystore.put(_name(account), Entry(fingerprint, certificate, wrapped))
        return OperatorHeldKey(account, certificate, fingerprint)


def make_key(settings: KeysSettings, address: str) -> tuple[str, bytes, bytes]:
    """(fingerprint, binary certificate, binary unprotected secret key), by GnuPG in memory. Blocks."""
    if not _ADDRESS.fullmatch(address):
        raise KeyUnavailable("not an address that a certificate can carry")
    with gnupg_home(settings) as home:
        options = [
            "--no-tty",
            "--allow-freeform-uid",
            "--pinentry-mode=loopback",
            f"--cert-notation={NOTATION}=1",
            f"--sig-notation={NOTATION}=1",
        ]
        gpg = cast(Any, gnupg.GPG(gpgbinary=settings.gnupg_program, gnupghome=str(home), options=options))
        gpg.encoding = "utf-8"
        made = gpg.gen_key(
            "Key-Type: EDDSA\nKey-Curve: ed25519\nKey-Usage: sign,cert\n"
            "Subkey-Type: ECDH\nSubkey-Curve: cv25519\nSubkey-Usage: encrypt\n"
            f"Name-Email: {address}\nExpire-Date: 0\n%no-protection\n%commit\n"
        )
        fingerprint = str(made.fingerprint or "").upper()
        if not fingerprint:
            raise KeyUnavailable("GnuPG made no key")
        certificate = _exported(gpg.export_keys(fingerprint, armor=False))
        secret = _exported(gpg.export_keys(fingerprint, secret=True, armor=False, expect_passphrase=False))
    return fingerprint, certificate, secret


def _exported(data: Any) -> bytes:
    if not isinstance(data, bytes) or not data:
        raise KeyUnavailable("GnuPG exported no key")
    return data


def _name(account: str) -> str:
    return f"operator-key/{account}"


def _purpose(account: str, fingerprint: str) -> bytes:
    return f"operator key/{account}/{fingerprint}".encode()
