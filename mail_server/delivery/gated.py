"""What waits sealed to the egress gate: sealed to it by us, or by a letter's author with a key packet for it.

(The `gate` module beside this one is another gate: who may write to whom.)

Invariants: what is laid down for the gate is opened by the gate alone, never by this process; in a letter that its
author sealed, the gate's key packet is in the gate's copy and in no other, and the gate's copy has no other packet.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets

from directory.openpgp.certificate import Certificate
from directory.openpgp.packets import PacketError, Tag, key_packet, recipient_key_ids, span, spans
from mail_server import mime
from mail_server.delivery.compose import key_packets_for
from mail_server.delivery.examine import Letter
from mail_server.outbound.egress import cutting
from mail_server.outbound.interface import Egress
from mail_server.sealing.interface import SealingEngine
from mail_server.store.armor import armor
from mail_server.store.interface import Store
from mail_server.store.model import StagedBlob
from policies.refusal import Refusal

_LONGEST_PACKET = 2048  # octets of a session key packet


async def staged(engine: SealingEngine, store: Store, certificate: Certificate, data: bytes) -> StagedBlob:
    """These bytes as the queue holds them for the gate (`Form.GATED`). Raises SealingError, NoSpace."""
    sealed = await engine.seal(data, [certificate])
    return await store.stage(None, key_packets_for(sealed, [certificate]) + sealed.body, compress=False)


def packet_in(egress: Egress, ciphertext: bytes) -> tuple[bytes, str]:
    """The gate's key packet among those of a message, and its key id; twice nothing where there is none."""
    for key_id in recipient_key_ids(ciphertext):
        if egress.taken(key_id) is not None:
            return _packet_for(ciphertext, key_id), key_id
    return b"", ""


def certificate_of(egress: Egress, packet: bytes) -> Certificate | None:
    """The gate's certificate that one key packet is for; None for a packet of somebody else's, or no single packet."""
    if len(packet) > _LONGEST_PACKET:
        return None
    with contextlib.suppress(PacketError):
        found = span(packet)
        key_id = key_packet(found.body(packet)).key_id if found.tag == Tag.PKESK else None
        if key_id and found.end == len(packet):
            return egress.taken(key_id)
    return None


async def without_packet(letter: Letter, key_id: str) -> bytes:
    """The letter that everybody else gets. Raises Refusal when nobody else could open it."""
    try:
        return await asyncio.to_thread(cutting.cut, letter.data, key_id, letter.tree)
    except cutting.CannotCut:
        raise Refusal(
            550, "5.7.5", "Encrypted to the server's gate alone: nobody could open it", "gate-key-alone"
        ) from None


async def with_packet_alone(letter: Letter, packet: bytes, large: int) -> bytes:
    """The letter that the gate gets: as its author sealed it, with the gate's key packet and without the others."""
    assert letter.ciphertext is not None
    body = _without_key_packets(letter.ciphertext)
    head, tail = mime.wrap(mime.header_block(letter.data), secrets.token_hex(16))
    return head + await armored(packet, body, large) + tail


async def armored(packets: bytes, body: bytes, large: int) -> bytes:
    if len(body) < large:
        return armor(packets, body)
    return await asyncio.to_thread(armor, packets, body)


def _packet_for(message: bytes, key_id: str) -> bytes:
    for packet in spans(message):
        if packet.tag == Tag.PKESK and key_packet(packet.body(message)).key_id == key_id:
            return message[packet.start : packet.end]
    return b""


def _without_key_packets(message: bytes) -> bytes:
    return b"".join(
        message[packet.start : packet.end]
        for packet in spans(message)
        if packet.tag not in (Tag.PKESK, Tag.SKESK)
    )
