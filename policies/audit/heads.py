"""Heads of the trace, signed and noted outside the node, so that a cut at the end and a chain written anew show.

One line of JSON for a class of a chain: its day and last link, the chain's last number, when it was noted and why, the
hash of the line before of the same chain, and an Ed25519 signature over the rest. Lines are added, never changed.

A node that is killed, or a disk that is full, may leave a line torn: it is told and breaks nothing, since the line
after it still holds the hash of the last whole one. Whole lines that were cut short afterwards show there.

Invariants: `note` returns once the lines are on the disk; a line that nobody signed with the key asked for is reported
as forged and expects nothing; reading never raises for what stands in the file.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from policies.audit.classes import Retention
from policies.audit.trail import NO_DAY, Heads
from policies.audit.verify import Expected
from policies.retention.periods import day_of, number_of

_MARK = b"vaguemestre audit head 1\n"
_LONGEST = 4096  # octets of a line
_OPENING = b'{"at":'  # of every line, since its names are sorted
_TAIL = 256 * 1024  # octets read again at a start, of a file that grows for years

_dumps = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), sort_keys=True).encode


@dataclass(frozen=True, slots=True)
class Fault:
    """A line of the file that cannot be relied on."""

    line: int
    reason: str  # "forged", "unreadable", "line-missing", "torn"

    @property
    def harmless(self) -> bool:
        """A crash leaves such a line; that nothing was taken away there, the next line's hash shows."""
        return self.reason == "torn"


@dataclass(frozen=True, slots=True)
class Noted:
    """What a file of heads says of one chain."""

    expected: Sequence[Expected] = ()
    faults: Sequence[Fault] = ()
    lines: int = 0
    latest: int = 0  # when the last one was noted, ms
    keys: frozenset[str] = frozenset()  # who signed the lines that hold, in hex


@dataclass(slots=True)
class HeadsFile:
    """The file of one node, open to be added to."""

    path: Path
    chain: str
    key: Ed25519PrivateKey = field(repr=False)
    _before: str | None = None
    _noted: dict[str, str] = field(default_factory=dict[str, str])  # class → the link of its last line

    def note(self, heads: Heads, at: int, why: str) -> int:
        """Add a line for each class that went on since the last call; how many. Raises OSError."""
        lines: list[bytes] = []
        if self._before is None:
            self._before, self._noted = _last_lines(self.path, self.chain)
        before, noted_now = self._before, dict(self._noted)
        for each in Retention:
            day, link = heads.of(each)
            if day == NO_DAY or noted_now.get(each.word) == link.hex():
                continue
            noted_now[each.word] = link.hex()
            line = signed(self.key, self.chain, each, day, heads.seq, link, at, why, before)
            before = hashlib.sha256(line).hexdigest()
            lines.append(line + b"\n")
        if lines:
            self._before = None  # when this fails, some of the lines may stand there: the file is asked again
            _append(self.path, b"".join(lines))
        self._before, self._noted = before, noted_now
        return len(lines)


def signed(
    key: Ed25519PrivateKey,
    chain: str,
    retention: Retention,
    day: int,
    seq: int,
    link: bytes,
    at: int,
    why: str,
    before: str,
) -> bytes:
    head: dict[str, Any] = {
        "at": at,
        "before": before,
        "chain": chain,
        "class": retention.word,
        "day": day_of(day).isoformat(),
        "key": key.public_key().public_bytes_raw().hex(),
        "link": link.hex(),
        "seq": seq,
        "why": why,
    }
    signature = key.sign(_MARK + _dumps(head).encode("ascii"))
    return _dumps({**head, "signature": signature.hex()}).encode("ascii")


def read(path: Path, chain: str, key: str | None = None) -> Noted:
    """What the file says of a chain; `key` (hex) is the only one whose signature counts. Raises OSError."""
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is no file of heads")  # a device or a pipe has no end
    with path.open("rb") as file:
        return noted(file, chain, key)


def noted(lines: Iterable[bytes], chain: str, key: str | None = None) -> Noted:
    expected: list[Expected] = []
    faults: list[Fault] = []
    keys: set[str] = set()
    before: str | None = None
    number = latest = own = 0
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip(b"\n")
        head = _parsed(line)
        if head is None:
            faults.append(Fault(number, "torn" if _torn(line) else "unreadable"))
            continue
        if head["chain"] != chain:
            continue
        own += 1
        if before is not None and head["before"] != before:
            faults.append(Fault(number, "line-missing"))
        before = hashlib.sha256(line).hexdigest()
        found = _checked(head, key)
        if found is None:
            faults.append(Fault(number, "forged"))
            continue
        expected.append(found)
        keys.add(str(head["key"]))
        latest = max(latest, int(head["at"]))
    return Noted(expected, faults, own, latest, frozenset(keys))


def _torn(line: bytes) -> bool:
    """The beginning of a line and no more, or room that was made for one and never written."""
    if not line.strip(b"\0"):
        return True
    begun = line.startswith(_OPENING) or _OPENING.startswith(line)
    return begun and len(line) <= _LONGEST and not line.endswith(b"}")


def _parsed(line: bytes) -> dict[str, Any] | None:
    if len(line) > _LONGEST:
        return None
    try:
        loaded: Any = json.loads(line)
    except ValueError:
        return None
    if not isinstance(loaded, dict):
        return None
    head = cast(dict[str, Any], loaded)
    words = ("before", "chain", "class", "day", "key", "link", "signature", "why")
    if not all(isinstance(head.get(name), str) for name in words):
        return None
    if not all(isinstance(head.get(name), int) for name in ("at", "seq")):
        return None
    return head


def _checked(head: dict[str, Any], key: str | None) -> Expected | None:
    """What a line claims, once its signature holds."""
    if key is not None and head["key"] != key:
        return None
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(head["key"]))
        rest = {name: value for name, value in head.items() if name != "signature"}
        public.verify(bytes.fromhex(head["signature"]), _MARK + _dumps(rest).encode("ascii"))
        day = number_of(dt.date.fromisoformat(head["day"]))
        retention = Retention[head["class"].upper()]
        return Expected(int(retention), day, head["seq"], bytes.fromhex(head["link"]))
    except (InvalidSignature, ValueError, KeyError):
        return None


def _last_lines(path: Path, chain: str) -> tuple[str, dict[str, str]]:
    """The hash of this chain's last line in the file, and each class's last link; nothing when it has none lately."""
    found, links = "", dict[str, str]()
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        for raw in file:
            line = raw.rstrip(b"\n")
            head = _parsed(line)
            if head is not None and head["chain"] == chain:
                found = hashlib.sha256(line).hexdigest()
                links[head["class"]] = head["link"]
    return found, links


def _append(path: Path, lines: bytes) -> None:
    """Durable on return; a line torn by a crash is ended first."""
    new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
    with open(descriptor, "r+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            if file.read(1) != b"\n":
                lines = b"\n" + lines
        while lines:
            lines = lines[file.write(lines) :]  # a disk nearly full takes a part
        os.fsync(file.fileno())
    if new:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
