"""The universal shape: what every common program can open, checked byte by byte after it was made.

One encrypted data packet of version 1 (SEIPDv1), preceded by exactly one session key packet of version 3 per
recipient. Where the library would choose another shape (certificates that are silent about their features, or
ask for more), a throw-away recipient whose Features say 0x01 forces it into this one; its key packet is then
cut out and its secret never existed on any disk (reference e2e_peers §0.2, §5.4).

Invariant: whatever does not fit exactly is an error, never an approximation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from directory.openpgp.packets import PacketError, Tag, key_packet, seipd_version, span
from mail_server.sealing.interface import KeyPacket


class WrongShape(Exception):
    """The message is not in the universal shape, or not for exactly these recipients."""


def split(
    message: bytes, recipients: Mapping[str, str], throw_away: str | None
) -> tuple[list[KeyPacket], int]:
    """Key packets by recipient, and where the data packet starts.

    `recipients` maps the key id of an encryption subkey to its certificate's fingerprint; `throw_away` is
    the key id to leave out, when there is one. Packets come in the order of the message.
    """
    found: dict[str, KeyPacket] = {}
    thrown = 0
    try:
        part = span(message)
        while part.tag == Tag.PKESK:
            header = key_packet(part.body(message))
            if header.version != 3 or header.key_id is None:
                raise WrongShape
            if header.key_id == throw_away:
                thrown += 1
            elif header.key_id in found or header.key_id not in recipients:
                raise WrongShape
            else:
                fingerprint = recipients[header.key_id]
                found[header.key_id] = KeyPacket(fingerprint, message[part.start : part.end])
            part = span(message, part.end)
        if seipd_version(message, part) != 1 or part.end != len(message):
            raise WrongShape
    except PacketError:
        raise WrongShape from None
    if thrown != (throw_away is not None) or found.keys() != recipients.keys():
        raise WrongShape
    return list(found.values()), part.start


def check(body: bytes, key_packets: Sequence[KeyPacket], recipients: Mapping[str, str]) -> None:
    """The same promise, checked again by the process that stores the result. Raises WrongShape."""
    seen: dict[str, str] = {}
    try:
        for one in key_packets:
            part = span(one.packet)
            header = key_packet(part.body(one.packet))
            if part.tag != Tag.PKESK or part.end != len(one.packet) or header.version != 3:
                raise WrongShape
            if header.key_id is None or header.key_id in seen:
                raise WrongShape
            seen[header.key_id] = one.fingerprint
        data = span(body)
        if seipd_version(body, data) != 1 or data.end != len(body):
            raise WrongShape
    except PacketError:
        raise WrongShape from None
    if seen != dict(recipients):
        raise WrongShape
