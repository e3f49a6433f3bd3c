"""What the pool and its workers say to each other: length-prefixed frames, over a socketpair.

A frame is a fixed head, small fields, and one payload: `head | fields | payload`. A payload beyond `INLINE`
goes beside, over a second socketpair that threads read and write, so that the loop never copies it.
Everything is bytes, nothing is pickled. Invariants: sizes are known before anything is read; a failure
carries a slug of ours and nothing else.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable
from dataclasses import dataclass

HEAD = struct.Struct(">B?IIQ")  # what, payload goes beside, counter, size of fields, size of payload
INLINE = 2 << 20  # copying so much takes the loop 0.5 ms
_SIZE = struct.Struct(">I")

MAX_FIELDS = 16 << 20
MAX_PAYLOAD = 1 << 30


class Ask(enum.IntEnum):
    """What the pool asks."""

    LOAD = 1  # fields: signing key, its passphrase, throw-away certificate, its key id
    SEAL = 2  # fields: clear text beside, (fingerprint, key id, minimised certificate)*; payload: clear text
    OPEN = 3  # fields: secret key; payload: OpenPGP message
    SEAL_SIGNED_BESIDE = 4  # as SEAL; what lies beside is signed too
    READ = 5  # of a worker of payloads; payload: a message in clear
    VERIFY = 6  # of a worker of signatures; fields: what to verify and the keys; payload: a message in clear
    GATE_KEYS = 16  # of the egress gate: which keys it holds
    GATE_MAKE = 17  # fields: user id of a new key, the time (ms)
    GATE_OPEN = 18  # fields: fingerprint, form; payload: a letter of the queue
    GATE_DESTROY = 19  # fields: fingerprint


class Answer(enum.IntEnum):
    """What a worker answers; the counter is its peak memory in KiB."""

    READY = 16  # said once, unasked, when the worker may be used
    DONE = 17  # fields: data packet beside, (fingerprint, key packet, its beside)*; payload: data packet, or clear text
    FAILED = 18  # fields: slug


class Slug(enum.StrEnum):
    """Every way in which a worker says no."""

    NOT_LOADED = "not-loaded"
    BAD_KEY = "bad-signing-key"
    BAD_CERTIFICATE = "bad-certificate"
    CANNOT_SEAL = "cannot-seal"
    WRONG_SHAPE = "wrong-shape"  # what came out is not the universal profile, or not for these recipients
    CANNOT_OPEN = "cannot-open"
    TOO_LARGE = "too-large"
    KEY_GONE = "key-gone"  # destroyed, or never here
    KEY_UNAVAILABLE = "key-unavailable"  # the KEK or the keystore cannot be read, or GnuPG made no key
    NOT_A_LETTER = "not-a-letter"  # not the sealed letter that it was said to be
    BAD_FRAME = "bad-frame"
    INTERNAL = "internal"


class FrameError(Exception):
    """The other side does not speak this protocol."""


def pack(fields: Iterable[bytes]) -> bytes:
    """Fields, each with its length before it."""
    return b"".join(part for field in fields for part in (_SIZE.pack(len(field)), field))


def unpack(data: bytes) -> list[bytes]:
    """The opposite of `pack`."""
    found: list[bytes] = []
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise FrameError
        (size,) = _SIZE.unpack_from(data, at)
        at += 4
        if at + size > len(data):
            raise FrameError
        found.append(data[at : at + size])
        at += size
    return found


@dataclass(frozen=True, slots=True)
class Head:
    """The fixed part of a frame."""

    what: int
    beside: bool
    counter: int
    fields: int  # size
    payload: int  # size


def head(what: int, counter: int, fields: int, payload: int) -> bytes:
    """The fixed part of a frame."""
    return HEAD.pack(what, payload > INLINE, counter, fields, payload)


def read_head(data: bytes) -> Head:
    """The opposite of `head`. Raises FrameError."""
    found = Head(*HEAD.unpack(data))
    if found.fields > MAX_FIELDS or found.payload > MAX_PAYLOAD:
        raise FrameError
    return found
