"""Secrets and their wraps, as store and delivery see them.

Invariants: the KEK is read from outside the home and never written; a wrap that must be destroyable lies in
the keystore file alone, and once `destroy` returns no disk of the node holds it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


class KeyUnavailable(Exception):
    """The KEK or a wrap is missing or does not fit: nothing can be opened with it."""


class KeyWrapper(Protocol):
    """Wraps small secrets under the KEK (AES-256-GCM, associated data binds the purpose)."""

    @property
    def kek_id(self) -> str:
        """8 hex digits that tell one KEK from another and nothing about it."""
        ...

    def wrap(self, secret: bytes, purpose: bytes) -> bytes: ...
    def unwrap(self, wrapped: bytes, purpose: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class OperatorHeldKey:
    """An account's operator-held certificate: made by GnuPG, secret wrapped in the keystore."""

    account: str
    certificate: bytes  # binary public certificate, user id = the address, marked operator-held by a notation
    fingerprint: str


class OperatorKeys(Protocol):
    """Waiting keys and custody certificates (DESIGN §4)."""

    async def certificate_for(self, account: str, address: str) -> OperatorHeldKey:
        """The account's operator-held certificate, made now if it has none. Durable on return."""
        ...

    def existing(self, account: str) -> OperatorHeldKey | None:
        """None as well while the key is retiring: nothing new may be sealed to it."""
        ...

    def secret(self, account: str) -> bytes:
        """Binary unprotected secret key, for memory only, of a retiring key too. Raises KeyUnavailable."""
        ...

    def retiring(self, account: str) -> AbstractContextManager[None]:
        """While its holder looks whether any letter still needs the key, and destroys it if none does.

        Who asks for a certificate meanwhile waits for the outcome.
        """
        ...

    def changes(self, account: str) -> int:
        """A number that differs once a retirement began or ended: what was sealed before may name a key that goes."""
        ...

    def destroy(self, account: str) -> None:
        """Forget the secret for good: keystore rewritten and fsynced before return."""
        ...
