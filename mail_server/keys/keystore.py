"""The keystore: one file of the wraps that must be destroyable.

Invariants: the file is only ever replaced whole (temporary file, fsync, rename, fsync of the folder), so it is
never torn; what a reader sees is already durable; after `destroy` returns, the file that stands holds the entry no
more; changes that wait share one rewrite. It is copied apart from the backup, and each copy replaces the last.
"""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from mail_server.keys.interface import KeyUnavailable

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One wrap and what belongs to it."""

    fingerprint: str
    certificate: bytes
    wrapped: bytes = field(repr=False)


class Keystore:
    """Safe for threads of one process; the home's lock keeps other processes from writing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[str, Entry] = _read(path)
        self._pending: dict[str, Entry | None] = {}
        self.written = 0  # how often: who keeps something made of it looks whether it is still so
        self._pending_lock = threading.Lock()
        self._file_lock = threading.Lock()

    def get(self, name: str) -> Entry | None:
        return self._entries.get(name)

    def names(self) -> list[str]:
        return list(self._entries)

    def put(self, name: str, entry: Entry) -> None:
        """Durable on return."""
        self._change(name, entry)

    def destroy(self, name: str) -> None:
        """Durable on return: no file of the node holds the wrap."""
        self._change(name, None)

    def _change(self, name: str, entry: Entry | None) -> None:
        with self._pending_lock:
            self._pending[name] = entry
        with self._file_lock:
            with self._pending_lock:
                changes, self._pending = self._pending, {}
            if not changes:
                return  # the thread before wrote ours along with its own
            entries = {**self._entries, **changes}
            kept = {one: known for one, known in entries.items() if known is not None}
            try:
                _replace(self._path, _encoded(kept))
            except BaseException:
                with self._pending_lock:
                    self._pending = {**changes, **self._pending}
                    self._pending.pop(name, None)  # its caller is told; others try again themselves
                raise
            self._entries = kept
            self.written += 1


def copy_keystore(source: Path, target: Path) -> None:
    """Copy the keystore apart; the copy before is replaced, so that what was destroyed is gone there too."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    entries = _read(source)
    _replace(target, _encoded(entries))


def _read(path: Path) -> dict[str, Entry]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    try:
        document = cast(dict[str, Any], json.loads(content))
        if document["format"] != _FORMAT:
            raise KeyUnavailable("the keystore is of another format")
        wraps = cast(dict[str, dict[str, str]], document["wraps"])
        return {
            name: Entry(
                one["fingerprint"], base64.b64decode(one["certificate"]), base64.b64decode(one["wrapped"])
            )
            for name, one in wraps.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise KeyUnavailable("the keystore cannot be read") from None


def _encoded(entries: Mapping[str, Entry]) -> bytes:
    wraps = {
        name: {
            "fingerprint": entry.fingerprint,
            "certificate": base64.b64encode(entry.certificate).decode(),
            "wrapped": base64.b64encode(entry.wrapped).decode(),
        }
        for name, entry in sorted(entries.items())
    }
    return json.dumps({"format": _FORMAT, "wraps": wraps}, indent=0).encode()


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
