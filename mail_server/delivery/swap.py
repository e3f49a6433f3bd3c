"""A letter that waited, with other key packets: what was sealed to the waiting key names its holder's own instead.

The holder's browser opens the session key of each letter with the waiting key and seals it to the new certificate;
nothing else of the letter is touched, and nothing of it is opened here. In the split form the encrypted body is filed
again as it lies; in a letter that its sender sealed, one packet inside the armor is exchanged.

Invariants: a new packet is exactly one session key packet of version 3 that names the account's current encryption
key and is whole; the encrypted data stays byte for byte; what would come out different raises `SwapRefused`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from directory.openpgp.certificate import Certificate
from directory.openpgp.packets import (
    EC_FAMILY,
    RSA_FAMILY,
    PacketError,
    Tag,
    frame,
    key_packet,
    mpi,
    public_key,
    spans,
)
from mail_server import mime
from mail_server.delivery.compose import rendered, restated
from mail_server.delivery.examine import examine
from mail_server.store.armor import armor, armor_lines, armor_size
from mail_server.store.interface import Reader, Store
from mail_server.store.model import (
    Form,
    MessageId,
    MessageOrigin,
    NewMessage,
    SpecialUse,
    SplitContent,
    StagedBlob,
    State,
    VerbatimContent,
)

_BEGIN = b"-----BEGIN PGP MESSAGE-----"
_END = b"-----END PGP MESSAGE-----"
_LONGEST_PACKET = 2048  # RSA of 8192 bits and its frame
_LINE = 76


class SwapRefused(Exception):
    """This packet, or this letter, cannot be used. Carries no byte of either."""


@dataclass(frozen=True, slots=True)
class Locked:
    """What a browser needs of one waiting letter: the packets that name the waiting key."""

    message: MessageId
    key_packets: bytes = field(repr=False)
    summary_key_packets: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Stored:
    """A letter as it lies, read in one go."""

    origin: MessageOrigin
    content: bytes = field(repr=False)
    key_packets: bytes = field(repr=False)
    body: StagedBlob | None = field(repr=False)  # split form


def read_locked(reader: Reader, message: MessageId, waiting_key: str) -> Locked:
    """Raises NoSuchMessage, SwapRefused."""
    origin = reader.message_origin(message)
    split = origin.form is Form.SPLIT
    packets = reader.key_packets(message) if split else _ciphertext(reader.content(message))
    summary = origin.findings.summary
    return Locked(
        message,
        _naming(packets, waiting_key),
        _naming(summary, waiting_key) if summary is not None else None,
    )


def read_stored(reader: Reader, message: MessageId) -> Stored:
    """Raises NoSuchMessage."""
    origin = reader.message_origin(message)
    body = reader.stored_body(message) if origin.form is Form.SPLIT else None
    return Stored(origin, reader.content(message), reader.key_packets(message), body)


def checked_packet(data: bytes, certificate: Certificate) -> bytes:
    """The one key packet, in one spelling. Raises SwapRefused."""
    if len(data) > _LONGEST_PACKET:
        raise SwapRefused
    try:
        found = list(spans(data, 2))
        if len(found) != 1 or found[0].tag != Tag.PKESK:
            raise SwapRefused
        body = found[0].body(data)
        head = key_packet(body)
        if head.version != 3 or head.key_id != certificate.encryption_key_id:
            raise SwapRefused
        _whole(body, _algorithm(certificate))
    except PacketError:
        raise SwapRefused from None
    return frame(Tag.PKESK, body)


async def swapped(
    store: Store,
    stored: Stored,
    *,
    waiting_key: str,
    key_packet: bytes,
    summary_key_packet: bytes | None,
    large: int,
) -> NewMessage:
    """The letter to file in its place; packets are `checked_packet`s. Raises SwapRefused, NoSpace."""
    origin = stored.origin
    summary = origin.findings.summary
    if summary is not None:
        if summary_key_packet is None:
            raise SwapRefused
        summary = _exchanged(summary, waiting_key, summary_key_packet)
    findings = replace(origin.findings, summary=summary)
    if stored.body is not None:
        made = split_again(stored, stored.body, _exchanged(stored.key_packets, waiting_key, key_packet))
    else:
        made = await _verbatim(store, stored, waiting_key, key_packet, large)
    return replace(made, findings=findings)


# -- the two forms


def split_again(stored: Stored, body: StagedBlob, key_packets: bytes) -> NewMessage:
    """The letter in split form with these key packets, its body as it lies. Raises SwapRefused."""
    origin = stored.origin
    # Between the header and the armor stands nothing but our own frame.
    begin = stored.content.find(_BEGIN, len(mime.header_block(stored.content)))
    length = len(stored.key_packets) + body.clear_size
    if begin < 0:
        raise SwapRefused
    # What was sent readable by another operator stays told; everything else is sealed from here on.
    state = State.AT_THE_GATE if origin.state is State.AT_THE_GATE else State.SEALED
    head = restated(stored.content[:begin], state)
    tail = stored.content[begin + armor_size(length) :]
    length = len(key_packets) + body.clear_size
    rendering = mime.render_encrypted(head, armor_size(length), armor_lines(length), tail)
    return NewMessage(
        account=origin.account,
        mailbox=SpecialUse.INBOX,  # the store knows where it lies
        content=SplitContent(head=head, key_packets=key_packets, body=body, tail=tail),
        rendered=rendered(rendering),
        size=len(head) + armor_size(length) + len(tail),
        received_at=origin.received_at,
        state=state,
        tag=origin.tag,
        thread_id=origin.thread_id,
    )


async def _verbatim(
    store: Store, stored: Stored, waiting_key: str, key_packet: bytes, large: int
) -> NewMessage:
    origin = stored.origin
    letter = await examine(stored.content, large)
    if letter.ciphertext is None:
        raise SwapRefused
    ciphertext, tree = letter.ciphertext, letter.tree
    state = State.SUBJECT_OUTSIDE if letter.subject_outside else State.SEALED

    def make() -> tuple[bytes, mime.Rendered]:
        exchanged = _exchanged(ciphertext, waiting_key, key_packet)
        made = restated(_with_ciphertext(stored.content, tree, exchanged), state)
        return made, mime.render(made)

    data, rendering = await asyncio.to_thread(make) if len(stored.content) >= large else make()
    blob = await store.stage(origin.account, data, compress=state is not State.SEALED)
    return NewMessage(
        account=origin.account,
        mailbox=SpecialUse.INBOX,
        content=VerbatimContent(blob),
        rendered=rendered(rendering),
        size=len(data),
        received_at=origin.received_at,
        state=state,
        tag=origin.tag,
        thread_id=origin.thread_id,
    )


def _with_ciphertext(message: bytes, tree: mime.Part, ciphertext: bytes) -> bytes:
    """The message with another ciphertext in its armor's place. Raises SwapRefused unless it reads back."""
    part = tree.children[1] if mime.is_encrypted(tree) == "pgp" else tree
    try:
        clear = mime.decoded_body(message, part)
    except mime.UnknownEncoding:
        raise SwapRefused from None
    begin, end = clear.find(_BEGIN), clear.find(_END)
    if clear[:1] >= b"\x80":
        body = ciphertext
    elif 0 <= begin < end:
        body = clear[:begin] + armor(b"", ciphertext) + clear[end + len(_END) :].lstrip(b"\r\n")
    else:
        raise SwapRefused
    made = message[: part.body_start] + _encoded(body, part.encoding) + message[part.body_end :]
    again = mime.ciphertext(made, mime.parse(made))
    if again is None or again.data != ciphertext:
        raise SwapRefused
    return made


def _encoded(body: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        text = base64.b64encode(body)
        return b"".join(text[at : at + _LINE] + b"\r\n" for at in range(0, len(text), _LINE))
    if encoding == "quoted-printable":
        return binascii.b2a_qp(body.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    return body


# -- packets


def _ciphertext(message: bytes) -> bytes:
    found = mime.ciphertext(message, mime.parse(message))
    if found is None:
        raise SwapRefused
    return found.data


def _pieces(message: bytes) -> Sequence[tuple[bytes, str | None]]:
    """Each packet whole, and the key id that it names if it is a session key packet of version 3."""
    pieces: list[tuple[bytes, str | None]] = []
    try:
        for part in spans(message):
            packet = message[part.start : part.end]
            if part.tag != Tag.PKESK:
                pieces.append((packet, None))
                continue
            head = key_packet(part.body(message))
            pieces.append((packet, head.key_id if head.version == 3 else None))
    except PacketError:
        raise SwapRefused from None
    return pieces


def _naming(message: bytes, key_id: str) -> bytes:
    found = b"".join(packet for packet, named in _pieces(message) if named == key_id)
    if not found:
        raise SwapRefused
    return found


def _exchanged(message: bytes, waiting_key: str, new: bytes) -> bytes:
    """An OpenPGP message whose packet for the waiting key gave way to another; all else as it was."""
    pieces = _pieces(message)
    if not any(named == waiting_key for _, named in pieces):
        raise SwapRefused
    return new + b"".join(packet for packet, named in pieces if named != waiting_key)


def _algorithm(certificate: Certificate) -> int:
    data = certificate.minimised
    for part in spans(data):
        if part.tag == Tag.PUBLIC_SUBKEY:
            return public_key(part.body(data)).algorithm
    raise SwapRefused


def _whole(body: bytes, algorithm: int) -> None:
    """RFC 9580 §5.1.1: what follows the key id is of the key's algorithm, and all there."""
    if len(body) < 12 or body[9] != algorithm:
        raise SwapRefused
    _, at = mpi(body, 10)
    if algorithm in EC_FAMILY:
        # RFC 9580 §5.1.5: the point, then the wrapped session key behind its length.
        if at >= len(body) or not body[at] or at + 1 + body[at] != len(body):
            raise SwapRefused
    elif algorithm not in RSA_FAMILY or at != len(body):
        raise SwapRefused
