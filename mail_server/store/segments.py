"""Append-only files for bodies too large for the database.

A record is a header (magic, blob id, sizes, codec, checksum of data and header) and the stored bytes; it tells
all of itself, so `check` reads a segment without the database.
Invariants: a file grows only at its end, by one writer; `sync` returns when what was appended, and the folder
that names a new file, are on the disk; bytes of a commit that was given up are dead space, never overwritten.
"""

from __future__ import annotations

import os
import secrets
import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mail_server.store.interface import Damaged

_HEADER = struct.Struct(
    ">4sB32sBQQI"
)  # magic, version, blob id, codec, clear size, stored size, crc of the data
_CRC = struct.Struct(">I")  # of the header
MAGIC = b"VMsg"
VERSION = 1
OVERHEAD = _HEADER.size + _CRC.size
_OPEN_FILES = 128


@dataclass(frozen=True, slots=True)
class Record:
    """One whole record found in a segment; `position` is where its stored bytes begin."""

    blob_id: bytes
    codec: int
    clear_size: int
    stored_size: int
    position: int
    sound: bool  # the checksum of the data holds


def segment_path(folder: Path, segment: int) -> Path:
    return folder / f"{segment:012x}.seg"


def segment_id(path: Path) -> int:
    return int(path.stem, 16)


class SegmentReader:
    """Positional reads from any thread; keeps the most used files open."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[int, int] = {}
        self._lock = threading.Lock()

    def read(self, segment: int, position: int, length: int) -> bytes:
        try:
            with self._lock:
                descriptor = os.dup(self._file(segment))
        except FileNotFoundError:
            raise Damaged("a segment file is missing") from None
        try:
            data = os.pread(descriptor, length, position)
            while len(data) < length and (
                more := os.pread(descriptor, length - len(data), position + len(data))
            ):
                data += more
        finally:
            os.close(descriptor)
        if len(data) != length:
            raise Damaged("a segment file is too short")
        return data

    def close(self) -> None:
        with self._lock:
            for descriptor in self._files.values():
                os.close(descriptor)
            self._files.clear()

    def _file(self, segment: int) -> int:
        descriptor = self._files.pop(segment, None)
        if descriptor is None:
            descriptor = os.open(segment_path(self._folder, segment), os.O_RDONLY)
            if len(self._files) >= _OPEN_FILES:
                os.close(self._files.pop(next(iter(self._files))))
        self._files[segment] = descriptor  # last in: last out
        return descriptor


class SegmentWriter:
    """The one appender. `current` and `length` describe the open file."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._descriptor = -1
        self.current = 0
        self.length = 0
        self._new_file = False
        self._unsynced: list[int] = []  # descriptors of files left behind by a roll-over in this commit

    def resume(self, segment: int, length: int) -> bool:
        """Go on with a segment of an earlier run, if its file is exactly as long as the database says."""
        path = segment_path(self._folder, segment)
        if length >= self._limit or not path.exists() or path.stat().st_size != length:
            return False
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        self.current, self.length = segment, length
        return True

    def append(
        self, blob_id: bytes, codec: int, clear_size: int, stored: bytes | bytearray
    ) -> tuple[int, int]:
        """Returns (segment, position of the stored bytes). Not durable before `sync`."""
        if self._descriptor < 0 or self.length >= self._limit:
            self._roll_over()
        header = _HEADER.pack(MAGIC, VERSION, blob_id, codec, clear_size, len(stored), zlib.crc32(stored))
        pieces = [header + _CRC.pack(zlib.crc32(header)), stored]
        total = OVERHEAD + len(stored)
        try:
            written = os.writev(self._descriptor, pieces)
            if written < total:
                rest = memoryview(b"".join(pieces))
                while written < total:
                    written += os.write(self._descriptor, rest[written:])
        except OSError:
            self._take_back()
            raise
        position = self.length + OVERHEAD
        self.length += total
        return self.current, position

    def sync(self) -> None:
        while self._unsynced:
            descriptor = self._unsynced[-1]
            os.fdatasync(descriptor)
            self._unsynced.pop()
            os.close(descriptor)
        if self._descriptor >= 0:
            os.fdatasync(self._descriptor)
        if self._new_file:
            sync_folder(self._folder)
            self._new_file = False

    def close(self) -> None:
        for descriptor in [*self._unsynced, self._descriptor]:
            if descriptor >= 0:
                os.close(descriptor)
        self._unsynced.clear()
        self._descriptor = -1

    def _roll_over(self) -> None:
        if self._descriptor >= 0:
            self._unsynced.append(self._descriptor)
            self._descriptor = -1
        segment = secrets.randbits(47)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        self._descriptor = os.open(segment_path(self._folder, segment), flags, 0o600)
        self.current, self.length, self._new_file = segment, 0, True

    def _take_back(self) -> None:
        """A write that failed half way: nothing names its bytes, and the next record must not follow them."""
        try:
            os.ftruncate(self._descriptor, self.length)
        except OSError:
            self._unsynced.append(self._descriptor)
            self._descriptor = -1

    def discard(self) -> None:
        """After a failed sync: the kernel may have dropped pages and call the next sync good. Begin a new file."""
        self.close()


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def records(path: Path) -> Iterator[Record | int]:
    """Every record of a segment file in order; then, if the tail is torn, the position where sense ends."""
    with path.open("rb") as file:
        at = 0
        size = path.stat().st_size
        while at < size:
            head = file.read(OVERHEAD)
            if len(head) < OVERHEAD:
                yield at
                return
            magic, version, blob_id, codec, clear_size, stored_size, crc = _HEADER.unpack_from(head)
            (header_crc,) = _CRC.unpack_from(head, _HEADER.size)
            if magic != MAGIC or version != VERSION or header_crc != zlib.crc32(head[: _HEADER.size]):
                yield at
                return
            if at + OVERHEAD + stored_size > size:
                yield at
                return
            found = 0
            left = stored_size
            while left:
                piece = file.read(min(left, 1 << 20))
                if not piece:
                    break
                found = zlib.crc32(piece, found)
                left -= len(piece)
            yield Record(blob_id, codec, clear_size, stored_size, at + OVERHEAD, found == crc)
            at += OVERHEAD + stored_size
