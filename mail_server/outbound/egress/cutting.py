"""The egress key's packet cut out of a sealed letter: every copy but the one that goes by the gate is without it.

The page seals one PGP/MIME letter to all its addressees, and to the egress key where one of them has no certificate.
What is cut was never in the copies of the others: whoever held the egress key could not open them.

Invariants: pure functions; headers and every other byte of the letter stay as they were, but for the armor's text; a
letter that cannot be taken apart is an error, never passed on as it is.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

from directory.openpgp.packets import HIDDEN, PacketError, Tag, key_packet, recipient_key_ids, spans
from mail_server import mime
from mail_server.mime.sections import UnknownEncoding, decoded_body
from mail_server.store.armor import crc24

_BEGIN = b"-----BEGIN PGP MESSAGE-----"
_END = b"-----END PGP MESSAGE-----"
_COLUMNS = 64
_IDENTITY = frozenset({"7bit", "8bit", "binary", ""})


class CannotCut(Exception):
    """Not a PGP/MIME letter, or one whose packets cannot be told apart. Carries nothing of it."""


@dataclass(frozen=True, slots=True)
class _Block:
    """The encrypted part of a letter."""

    part: mime.Part = field(repr=False)
    text: bytes = field(repr=False)  # of the part, its transfer encoding undone
    first: int  # the armored digits lie in text[first:last]; the whole text when there is no armor
    last: int
    data: bytes = field(repr=False)  # binary OpenPGP message


def key_ids(message: bytes, tree: mime.Part | None = None) -> tuple[str, ...]:
    """Key ids that a PGP/MIME letter names, in order; sixteen zeros for a hidden one. Raises CannotCut."""
    try:
        return recipient_key_ids(_block(message, tree or mime.parse(message)).data)
    except PacketError:
        raise CannotCut from None


def names(message: bytes, key: str, tree: mime.Part | None = None) -> bool:
    """Whether the letter names this key id (or fingerprint of the subkey). Raises CannotCut."""
    return _id(key) in key_ids(message, tree)


def cut(message: bytes, key: str, tree: mime.Part | None = None) -> bytes:
    """The letter without the key packets for that key id (or fingerprint of the subkey).

    The very same bytes when there is none. Raises CannotCut; also when nobody could open what would be left.
    """
    wanted = _id(key)
    block = _block(message, tree or mime.parse(message))
    kept = packets_without(block.data, wanted)
    if len(kept) == len(block.data):
        return message
    text = _encoded(_armored(block, kept), block.part.encoding)
    return message[: block.part.body_start] + text + message[block.part.body_end :]


def packets_without(data: bytes, key_id: str) -> bytes:
    """A binary OpenPGP message without the key packets for that key id. Raises CannotCut."""
    wanted = _id(key_id)
    try:
        named = recipient_key_ids(data)
        if wanted not in named:
            return data
        if all(one == wanted for one in named):
            raise CannotCut
        return b"".join(
            data[part.start : part.end]
            for part in spans(data)
            if part.tag != Tag.PKESK or (key_packet(part.body(data)).key_id or HIDDEN) != wanted
        )
    except PacketError:
        raise CannotCut from None


def _id(key: str) -> str:
    found = key.upper()[-16:]
    if len(found) != 16 or found == HIDDEN:
        raise CannotCut  # a hidden recipient could be anybody
    return found


def _block(message: bytes, tree: mime.Part) -> _Block:
    """Raises CannotCut."""
    if mime.is_encrypted(tree) != "pgp":
        raise CannotCut
    part = tree.children[1]
    try:
        text = decoded_body(message, part)
    except UnknownEncoding:
        raise CannotCut from None
    if text[:1] >= b"\x80":  # not armored: RFC 3156 §4 wants armor, some programs forget
        return _Block(part, text, 0, len(text), text)
    begin = text.find(_BEGIN)
    end = text.find(_END, begin)
    if begin < 0 or end < 0 or text.find(_BEGIN, begin + 1) >= 0:
        raise CannotCut
    data = mime.dearmor(text)
    if data is None:
        raise CannotCut
    return _Block(part, text, _digits(text, begin, end), end, data)


def _digits(text: bytes, begin: int, end: int) -> int:
    """Where the armored digits begin: after the BEGIN line, the armor's header fields and their blank line."""
    line = text.find(b"\n", begin, end) + 1
    at = line
    while at and at < end:
        after = text.find(b"\n", at, end) + 1 or end
        if not text[at:after].strip():
            return after
        at = after
    return line or end  # no blank line: some programs leave it out where there is no header field


def _armored(block: _Block, kept: bytes) -> bytes:
    """The part's text with these packets in place of its own."""
    if block.data is block.text:
        return kept
    old = block.text[block.first : block.last]
    newline = b"\r\n" if b"\r\n" in old else b"\n"
    columns = len(old.split(b"\n", 1)[0].rstrip())
    if not 4 <= columns <= 76 or columns % 4:
        columns = _COLUMNS
    digits = binascii.b2a_base64(kept, newline=False)
    lines = [digits[at : at + columns] for at in range(0, len(digits), columns)]
    # Always there, though RFC 9580 §6.1 would leave it out: GnuPG 2.2 needs it where there is no padding.
    lines += [b"=" + binascii.b2a_base64(crc24(kept).to_bytes(3, "big"), newline=False), b""]
    return block.text[: block.first] + newline.join(lines) + block.text[block.last :]


def _encoded(text: bytes, encoding: str) -> bytes:
    """Under the part's own transfer encoding, which its header goes on telling."""
    if encoding in _IDENTITY:
        return text
    if encoding == "base64":
        return base64.encodebytes(text).replace(b"\n", b"\r\n")
    if encoding == "quoted-printable":
        return binascii.b2a_qp(text, quotetabs=False, istext=True)
    raise CannotCut
