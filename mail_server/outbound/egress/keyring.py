"""The egress keys in their keystore: the one in use is the newest, the others wait until no letter names them.

Used in the gate's own process alone. Invariants: a key is used only when its wrap is durable; an entry's name tells
when it was made, and the wrap is bound to that name; after `destroy` no file of the node holds it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mail_server.keys.interface import KeyUnavailable, KeyWrapper
from mail_server.keys.keystore import Entry, Keystore

_NAME = re.compile(r"egress/(\d{13})/([0-9A-F]{40})")


@dataclass(frozen=True, slots=True)
class Held:
    """One key, as others may know it."""

    made: int  # ms
    fingerprint: str
    certificate: bytes


class Keyring:
    def __init__(self, path: Path, wrapper: KeyWrapper) -> None:
        """Raises KeyUnavailable."""
        self._wrapper = wrapper
        self._keystore = Keystore(path)

    def held(self) -> list[Held]:
        """Oldest first."""
        found: list[Held] = []
        for name in sorted(self._keystore.names()):
            entry, match = self._keystore.get(name), _NAME.fullmatch(name)
            if entry is not None and match is not None:
                found.append(Held(int(match[1]), match[2], entry.certificate))
        return found

    def secret(self, fingerprint: str) -> bytes | None:
        """Binary unprotected secret key; None when it is gone. Raises KeyUnavailable."""
        name = self._name(fingerprint)
        entry = self._keystore.get(name) if name else None
        return None if entry is None else self._wrapper.unwrap(entry.wrapped, name.encode("ascii"))

    def add(self, fingerprint: str, certificate: bytes, secret: bytes, at: int) -> None:
        """Durable on return; from then on it is the one in use. Raises KeyUnavailable."""
        newest = max((one.made for one in self.held()), default=0)
        name = f"egress/{max(at, newest + 1):013d}/{fingerprint}"  # a clock set back makes no key old
        if _NAME.fullmatch(name) is None:
            raise KeyUnavailable("not a fingerprint")
        wrapped = self._wrapper.wrap(secret, name.encode("ascii"))
        self._keystore.put(name, Entry(fingerprint, certificate, wrapped))

    def destroy(self, fingerprint: str) -> bool:
        """Durable on return. The key in use is never destroyed: False."""
        held = self.held()
        if not held or held[-1].fingerprint == fingerprint:
            return False
        name = self._name(fingerprint)
        if name:
            self._keystore.destroy(name)
        return bool(name)

    def _name(self, fingerprint: str) -> str:
        return next((name for name in self._keystore.names() if name.endswith(f"/{fingerprint}")), "")
