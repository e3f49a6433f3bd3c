"""The past for a new reader: one more key packet on letters that their colleagues can open.

A reader's browser opens the session key of each letter with that reader's own key and seals it to the new reader's
certificate; nothing else of the letter is touched, and nothing of it is opened here. Only letters in the split form
can take a packet: what came sealed from elsewhere stays as it came, what lies in custody is nobody's to hand on.

Invariants: the packets there are stay, byte for byte; one more is exactly one session key packet of version 3 that
names the new reader's current encryption key and is whole; what would come out different raises `SwapRefused`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from directory.openpgp.packets import PacketError, Tag, key_packet, spans
from mail_server.delivery.swap import Stored, SwapRefused, split_again
from mail_server.store.interface import NoSuchMessage, Reader
from mail_server.store.model import AccountId, Form, MessageId, NewMessage, State, StoredLetter

_SEALED = (State.SEALED, State.AT_THE_GATE)  # the second is what was sent: its own copy is sealed
_STEP = 500  # letters looked at in one go


@dataclass(frozen=True, slots=True)
class Openable:
    """A letter of the past, with the packets that the asking reader's own key opens."""

    message: MessageId
    key_packets: bytes = field(repr=False)
    summary_key_packets: bytes | None = field(repr=False)


@dataclass(slots=True)
class Tally:
    """Letters of an account as a new reader finds them."""

    openable: int = 0  # one of the asking reader's keys opens them, none of the new one's
    given: int = 0  # they name the new reader already
    apart: int = 0  # verbatim or in custody, or the asking reader has no key to them


def outstanding(
    reader: Reader,
    account: AccountId,
    after: MessageId,
    upto: MessageId,
    limit: int,
    *,
    own: Collection[str],
    new: str,
) -> list[Openable]:
    """The next letters that want a packet for `new` and can get it from who has the keys `own`."""
    found: list[Openable] = []
    while len(found) < limit:
        letters = reader.letters_between(account, after, upto, _STEP)
        for letter in letters:
            after = letter.message
            if _standing(letter, own, new) != "openable":
                continue
            try:
                found.append(_openable(reader, letter, own))
            except (NoSuchMessage, SwapRefused):
                continue
            if len(found) == limit:
                break
        if len(letters) < _STEP:
            break
    return found


def tally(
    reader: Reader, account: AccountId, after: MessageId, upto: MessageId, *, own: Collection[str], new: str
) -> tuple[Tally, MessageId | None]:
    """One step of a count: what it found, and where to go on (None: done)."""
    counted = Tally()
    letters = reader.letters_between(account, after, upto, _STEP)
    for letter in letters:
        standing = _standing(letter, own, new)
        setattr(counted, standing, getattr(counted, standing) + 1)
    return counted, letters[-1].message if len(letters) == _STEP else None


def wants_packet(letter: Stored, new: str) -> bool:
    """Whether this stored letter may take one for `new`."""
    origin = letter.origin
    return (
        origin.form is Form.SPLIT
        and origin.state in _SEALED
        and letter.body is not None
        and new not in named(letter.key_packets)
    )


def widened(stored: Stored, key_packet: bytes, summary_key_packet: bytes | None) -> NewMessage:
    """The letter to file in its place; packets are `swap.checked_packet`s. Raises SwapRefused."""
    summary = stored.origin.findings.summary
    if stored.body is None or (summary is not None) != (summary_key_packet is not None):
        raise SwapRefused
    made = split_again(stored, stored.body, stored.key_packets + key_packet)
    if summary is not None and summary_key_packet is not None:
        summary = summary_key_packet + summary
    return replace(made, findings=replace(stored.origin.findings, summary=summary))


def named(message: bytes) -> dict[str, bytes]:
    """Key id of each session key packet of version 3, with the packet whole. Raises SwapRefused."""
    found: dict[str, bytes] = {}
    try:
        for part in spans(message):
            if part.tag != Tag.PKESK:
                continue
            head = key_packet(part.body(message))
            if head.version == 3 and head.key_id is not None:
                found[head.key_id] = message[part.start : part.end]
    except PacketError:
        raise SwapRefused from None
    return found


def _standing(letter: StoredLetter, own: Collection[str], new: str) -> str:
    if letter.form is not Form.SPLIT or letter.state not in _SEALED:
        return "apart"
    try:
        ids = named(letter.key_packets)
    except SwapRefused:
        return "apart"
    if new in ids:
        return "given"
    return "openable" if any(each in ids for each in own) else "apart"


def _openable(reader: Reader, letter: StoredLetter, own: Collection[str]) -> Openable:
    summary = reader.message_origin(letter.message).findings.summary
    packets = _of(letter.key_packets, own)
    return Openable(letter.message, packets, _of(summary, own) if summary is not None else None)


def _of(message: bytes, own: Collection[str]) -> bytes:
    found = b"".join(packet for key_id, packet in named(message).items() if key_id in own)
    if not found:
        raise SwapRefused
    return found
