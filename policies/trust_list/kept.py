"""The last good trust list and what of it is held, in a folder of the home.

The list lies there as it came (`list-<digest>.xml`), and `state.json` says which of them is in force, since when, and
what is held. The list is written first, the state that names it last: whatever a crash leaves behind is the state
before or the state after.

Invariants: nothing counts that would be forgotten by a restart (`fsync` of file and folder before `save` returns); a
state that cannot be read is no empty state: it raises, for an empty one would let in whatever comes first.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from policies.trust_list import listing
from policies.trust_list.changes import Former, Held
from policies.trust_list.listing import Listing, ListRefused

_STATE = "state.json"


class StateDamaged(Exception):
    """What lies in the folder cannot be read. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A list that was accepted, and what is known about it."""

    document: bytes = field(repr=False)  # as it came
    listing: Listing
    accepted_at: int  # ms UTC
    confirmed_at: int  # ms UTC: when the authority was last heard saying that this is the list
    etag: str = ""
    held: tuple[Held, ...] = ()
    former: tuple[Former, ...] = field(default=(), repr=False)


class _Held(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    domain: str
    dn: str
    gone: bool
    since: int
    refused: bool


class _Former(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    domain: str
    keys: list[str]
    at: int


class _State(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    list: str  # SHA-256 of the document
    accepted_at: int
    confirmed_at: int
    etag: str
    held: list[_Held]
    former: list[_Former]


class Folder:
    """`home/trust-list`: one writer, the node."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> Kept | None:
        """What was in force; None when nothing ever was. Raises StateDamaged."""
        try:
            text = (self.path / _STATE).read_bytes()
        except FileNotFoundError:
            return None
        except OSError:
            raise self._damaged() from None
        try:
            state = _State.model_validate_json(text)
            document = self._document(state.list).read_bytes()
            if _digest(document) != state.list:
                raise self._damaged()
            return Kept(
                document,
                listing.parse(document),
                state.accepted_at,
                state.confirmed_at,
                state.etag,
                tuple(Held(**each.model_dump()) for each in state.held),
                tuple(Former(each.domain, frozenset(each.keys), each.at) for each in state.former),
            )
        except (ValidationError, OSError, ListRefused):
            raise self._damaged() from None

    def save(self, kept: Kept) -> None:
        """Durable when it returns. Raises OSError."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        digest = _digest(kept.document)
        document = self._document(digest)
        if not document.exists():
            write(document, kept.document)
        state = _State(
            list=digest,
            accepted_at=kept.accepted_at,
            confirmed_at=kept.confirmed_at,
            etag=kept.etag,
            held=[
                _Held(domain=each.domain, dn=each.dn, gone=each.gone, since=each.since, refused=each.refused)
                for each in kept.held
            ],
            former=[_Former(domain=each.domain, keys=sorted(each.keys), at=each.at) for each in kept.former],
        )
        write(self.path / _STATE, state.model_dump_json().encode())
        for other in self.path.glob("list-*.xml"):
            if other != document:
                other.unlink(missing_ok=True)

    def copy_to(self, other: Folder) -> None:
        """What was in force at one moment, while the node may be changing it. Raises StateDamaged, OSError."""
        try:
            kept = self.load()
        except StateDamaged:
            kept = self.load()  # its list was replaced between two readings
        if kept is not None:
            other.save(kept)

    def _document(self, digest: str) -> Path:
        return self.path / f"list-{digest[:16]}.xml"

    def _damaged(self) -> StateDamaged:
        return StateDamaged(
            f"What is kept of the trust list in {self.path} cannot be read: restore the folder, or move it away"
            " to begin anew with the next list, whose changes nobody will have held."
        )


def write(path: Path, data: bytes) -> None:
    """Replace a file as a whole; durable when it returns. Raises OSError."""
    beside = path.with_name(path.name + ".new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _digest(document: bytes) -> str:
    return hashlib.sha256(document).hexdigest()
