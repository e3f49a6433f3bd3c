"""Letters that their author sealed to the gate are signed (DKIM) once they are open: before, nobody had what leaves.

Invariants: what the server made itself was signed before it was sealed, and is passed as it is; where signing fails now
the letter stays in the queue; nothing is kept.
"""

from __future__ import annotations

from typing import Protocol

from directory.openpgp.certificate import Certificate
from mail_server import mime
from mail_server.keys.interface import KeyUnavailable
from mail_server.outbound.interface import Egress, Form, NotOpened


class Signs(Protocol):
    """DKIM (RFC 6376), by keys of the author's domain."""

    async def signed(self, wire: bytes, domain: str) -> bytes:
        """Header fields to put above; b"" for none. Raises KeyUnavailable, OSError."""
        ...


class SigningEgress:
    """`Egress`, with a signature on what needs one."""

    def __init__(self, egress: Egress, signer: Signs) -> None:
        self._egress = egress
        self._signer = signer

    @property
    def certificate(self) -> Certificate:
        return self._egress.certificate

    def taken(self, key_id: str) -> Certificate | None:
        return self._egress.taken(key_id)

    async def open(self, fingerprint: str, form: Form, queued: bytes) -> bytes:
        """Raises NotOpened."""
        wire = await self._egress.open(fingerprint, form, queued)
        if form is not Form.GATED_BY_AUTHOR:
            return wire
        author = mime.first(mime.header_block(wire), "from")
        people = mime.mailboxes(author) if author is not None else ()
        domain = people[0].spec.rpartition("@")[2].lower() if people else ""
        try:
            return await self._signer.signed(wire, domain) + wire
        except (KeyUnavailable, OSError):
            raise NotOpened("not-signed") from None
