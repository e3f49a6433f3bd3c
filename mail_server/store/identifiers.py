"""Ids that the store gives to messages, threads and blobs.

Invariants: an id is never given twice (48 random bits within one millisecond, 208 for blobs), and no right hangs on
its being hard to guess: who asks by id is asked for the account. Ids begin with the time they were made, so that the
indexes of them grow at their end: with random ones each letter dirties a page of its own in each.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable
from os import urandom

_TIME = 6  # bytes: milliseconds until the year 10889
_EMAIL = re.compile(r"M[0-9a-f]{24}")
_SAFE = re.compile(r"[A-Za-z0-9_-]{1,255}")  # RFC 8620 §1.2


def moment() -> bytes:
    return (time.time_ns() // 1_000_000).to_bytes(_TIME, "big")


def new_id(kind: str) -> str:
    """`M` for a message, `T` for a thread, `U` for an upload, `Q` for what waits to leave."""
    return kind + (moment() + urandom(6)).hex()


def is_email_id(text: str) -> bool:
    return _EMAIL.fullmatch(text) is not None


def email_ids(asked: Iterable[str]) -> list[str]:
    """Those that could be ours, once each: what a client makes up never reaches the database."""
    return [one for one in dict.fromkeys(asked) if _EMAIL.fullmatch(one)]


def safe_ids(asked: Iterable[str]) -> list[str]:
    return [one for one in dict.fromkeys(asked) if _SAFE.fullmatch(one)]


def thread_key(thread_id: str) -> int:
    """64 bits for a thread, so that threads are counted in the narrow table alone.

    Two threads of an account of 100,000 share one with a chance of 1 in 3,700,000,000; a list that shows one letter
    per thread would then hide one.
    """
    digest = hashlib.blake2b(thread_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
