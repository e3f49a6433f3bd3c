"""A letter that came encrypted, put together again once its entity is open (RFC 9788 §4).

Invariants: who wrote it, and whatever else the caller names, is told outside alone: that is what was checked at
reception (RFC 9788 §4.4.2), and an entity that nobody could look into would else speak in anybody's name; what stays
keeps its bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mail_server.mime.headers import Field, fields, header_block, select

AUTHORS = frozenset({"from", "sender"})


def restored(outer: Sequence[Field], entity: bytes, outside: Collection[str] = AUTHORS) -> bytes:
    """The outer fields that the entity does not restate, then the entity: what stands inside is what the sender meant.

    `outside`: names of fields that the entity may not say.
    """
    inside = {found.name for found in fields(entity)} - {"hp-outer"} - set(outside)
    kept = [
        found.raw
        for found in outer
        if found.name not in inside and not found.name.startswith("content-") and found.name != "mime-version"
    ]
    if "mime-version" not in inside:
        kept.append(b"MIME-Version: 1.0\r\n")
    return b"".join((*kept, without(entity, outside)))


def without(message: bytes, names: Collection[str]) -> bytes:
    """The message with those fields cut out, field by field: text that looks like a field inside another's fold is no
    field, and stays."""
    header = header_block(message)
    unwanted = [name.encode("latin-1", "replace") for name in names]
    return select(header, unwanted, exclude=True) + message[len(header) :]
