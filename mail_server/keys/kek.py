"""The key-encryption key: made once, read at start, from outside the home.

Invariants: a KEK under `--home`, or that others may read, is refused; one that exists is never overwritten;
no message names anything of it but its path and its id.
"""

from __future__ import annotations

import os
import stat
from os import urandom
from pathlib import Path

from mail_server.keys.interface import KeyUnavailable
from mail_server.keys.settings import KeysSettings
from mail_server.keys.wrapper import AesKeyWrapper

_LENGTH = 32


def kek_path(settings: KeysSettings) -> Path:
    """Where this configuration says that the KEK is."""
    if settings.kek is not None:
        return settings.kek
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise KeyUnavailable("no key-encryption key: set keys.kek, or load it as a systemd credential")
    return Path(folder) / settings.kek_credential


def load_kek(settings: KeysSettings, home: Path) -> AesKeyWrapper:
    """Raises KeyUnavailable with a sentence for the administrator."""
    path = kek_path(settings)
    refuse_under(path, home)
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        raise KeyUnavailable(f"the key-encryption key cannot be read: {path}") from None
    with open(descriptor, "rb") as file:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise KeyUnavailable(f"the key-encryption key is not a file: {path}")
        if state.st_mode & _forbidden(path):
            raise KeyUnavailable(f"others may read the key-encryption key: chmod 600 {path}")
        content = file.read(4096)
    return AesKeyWrapper(_decoded(content, path))


def _forbidden(path: Path) -> int:
    """Permissions that let others than the node read the file.

    systemd shows credentials as 0440 under a folder of 0500 that its ACL opens to the service alone: their group
    bits are the mask of that ACL and open nothing (systemd.exec(5), LoadCredential=).
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder and path.absolute().parent == Path(folder).absolute():
        return stat.S_IWGRP | stat.S_IRWXO
    return stat.S_IRWXG | stat.S_IRWXO


def make_kek(path: Path, home: Path) -> None:
    """Make a KEK file, durable on return. What exists stays as it is (if it is a KEK)."""
    refuse_under(path, home)
    if path.exists():
        load_kek(KeysSettings(kek=path), home)
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(urandom(_LENGTH).hex().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def refuse_under(path: Path, home: Path) -> None:
    """Whoever takes the home must not take the KEK with it; links are followed first."""
    if path.resolve().is_relative_to(home.resolve()):
        raise KeyUnavailable(f"the key-encryption key must not lie under the home: {path}")


def _decoded(content: bytes, path: Path) -> bytes:
    if len(content) == _LENGTH:
        return content
    try:
        key = bytes.fromhex(content.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != _LENGTH:
        raise KeyUnavailable(f"not a key-encryption key (32 bytes, raw or hex): {path}")
    return key
