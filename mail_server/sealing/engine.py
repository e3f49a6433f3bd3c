"""The OpenPGP engine: `interface.SealingEngine` over the pool of workers.

Invariants: what it returns was checked twice, in the worker and here: one version 3 key packet for each
recipient and no other, one version 1 encrypted data packet; every failure is a SealingError or an
OpeningError whose text is a slug.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from directory.openpgp.certificate import Certificate
from mail_server.sealing import frames
from mail_server.sealing.frames import Ask
from mail_server.sealing.interface import KeyPacket, OpeningError, Sealed, SealingError
from mail_server.sealing.link import Reply
from mail_server.sealing.pool import Pool, PoolError
from mail_server.sealing.universal import WrongShape, check


class OpenPgpEngine:
    """Seals in the universal profile, in worker processes."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def seal(
        self,
        clear: bytes,
        recipients: Sequence[Certificate],
        beside: bytes = b"",
        *,
        sign_beside: bool = False,
    ) -> Sealed:
        """Sign with the gateway signing key and encrypt to exactly these certificates. Raises SealingError."""
        wanted = {one.encryption_key_id: one.fingerprint for one in recipients}
        distinct = len(wanted) == len(recipients) == len(set(wanted.values()))
        if not recipients or not distinct:
            raise SealingError("recipients-not-distinct")
        fields = [beside]
        for one in recipients:
            fields += [one.fingerprint.encode("ascii"), one.encryption_key_id.encode("ascii"), one.minimised]
        try:
            what = Ask.SEAL_SIGNED_BESIDE if sign_beside else Ask.SEAL
            reply = await self._pool.ask(what, frames.pack(fields), clear)
        except PoolError as error:
            raise SealingError(error.slug) from None
        try:
            return _sealed(reply, wanted, with_beside=bool(beside))
        except (WrongShape, IndexError, UnicodeDecodeError):
            raise SealingError("wrong-shape") from None

    async def open(self, message: bytes, secret_key: bytes) -> bytes:
        """Decrypt a binary OpenPGP message with an unprotected secret key. Raises OpeningError."""
        try:
            reply = await self._pool.ask(Ask.OPEN, frames.pack([secret_key]), message)
        except PoolError as error:
            raise OpeningError(error.slug) from None
        return reply.payload


def _sealed(reply: Reply, wanted: Mapping[str, str], *, with_beside: bool) -> Sealed:
    """The reply, checked again here. Raises WrongShape, IndexError, UnicodeDecodeError."""
    body_beside, *said = reply.fields
    names = [said[at].decode("ascii") for at in range(0, len(said), 3)]
    key_packets = tuple(map(KeyPacket, names, said[1::3]))
    check(reply.payload, key_packets, wanted)
    if not with_beside:
        return Sealed(reply.payload, key_packets)
    packets_beside = tuple(map(KeyPacket, names, said[2::3]))
    check(body_beside, packets_beside, wanted)
    return Sealed(reply.payload, key_packets, Sealed(body_beside, packets_beside))
