"""The OpenPGP engine: `interface.SealingEngine` over the pool of workers.

Invariants: what it returns was checked twice, in the worker and here: one version 3 key packet for each
recipient and no other, one version 1 encrypted data packet; every failure is a SealingError or an
OpeningError whose text is a slug.
"""

from __future__ import annotations

from collections.abc import Sequence

from directory.openpgp.certificate import Certificate
from mail_server.sealing import frames
from mail_server.sealing.frames import Ask
from mail_server.sealing.interface import KeyPacket, OpeningError, Sealed, SealingError
from mail_server.sealing.pool import Pool, PoolError
from mail_server.sealing.universal import WrongShape, check


class OpenPgpEngine:
    """Seals in the universal profile, in worker processes."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def seal(self, clear: bytes, recipients: Sequence[Certificate]) -> Sealed:
        """Sign with the gateway key and encrypt to exactly these certificates. Raises SealingError."""
        wanted = {one.encryption_key_id: one.fingerprint for one in recipients}
        distinct = len(wanted) == len(recipients) == len(set(wanted.values()))
        if not recipients or not distinct:
            raise SealingError("recipients-not-distinct")
        fields = frames.pack(
            part
            for one in recipients
            for part in (
                one.fingerprint.encode("ascii"),
                one.encryption_key_id.encode("ascii"),
                one.minimised,
            )
        )
        try:
            reply = await self._pool.ask(Ask.SEAL, fields, clear)
        except PoolError as error:
            raise SealingError(error.slug) from None
        said = reply.fields
        try:
            key_packets = tuple(
                KeyPacket(said[at].decode("ascii"), said[at + 1]) for at in range(0, len(said), 2)
            )
            check(reply.payload, key_packets, wanted)
        except (WrongShape, IndexError, UnicodeDecodeError):
            raise SealingError("wrong-shape") from None
        return Sealed(reply.payload, key_packets)

    async def open(self, message: bytes, secret_key: bytes) -> bytes:
        """Decrypt a binary OpenPGP message with an unprotected secret key. Raises OpeningError."""
        try:
            reply = await self._pool.ask(Ask.OPEN, frames.pack([secret_key]), message)
        except PoolError as error:
            raise OpeningError(error.slug) from None
        return reply.payload
