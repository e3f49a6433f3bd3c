"""A national file as lines of octets, from a plain file or from inside a zip, which is never unpacked.

PS_LibreAcces.zip holds three files; the one whose first line is a national file's header is read.

Invariants: memory is one block and one line, whatever is in the file; an archive that is encrypted, holds no national
file or two, or grows out of all proportion is refused while it is read; a line longer than `LONGEST_LINE` comes as its
beginning alone, which no reader takes for a line.
"""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from directory.imports.columns import source_of
from directory.imports.wrong import ImportRefused

LONGEST_LINE = 16_384
_BLOCK = 1 << 20
_LARGEST = 16 << 30  # octets of a file as it is read
_MOST_FILES = 20  # of an archive: each is looked into
_RATIO = 200  # of what comes out to what the archive holds; the real files have 5
_BOM = b"\xef\xbb\xbf"
_ENCRYPTED = 0x1
_STORED_OR_DEFLATED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(slots=True)
class Reading:
    """How far it is, in octets of the text."""

    total: int
    done: int = 0


def size_of(path: Path) -> int:
    """Octets of the text, as far as the file says. Raises ImportRefused."""
    if not zipfile.is_zipfile(path):
        return path.stat().st_size
    with _archive(path) as archive:
        return _member(archive).file_size


def lines(path: Path, reading: Reading | None = None) -> Generator[bytes]:
    """Lines without their ends; the first has no byte order mark. Raises ImportRefused, OSError."""
    with contextlib.ExitStack() as stack:
        stream: IO[bytes]
        limit = _LARGEST
        if zipfile.is_zipfile(path):
            archive = stack.enter_context(_archive(path))
            member = _member(archive)
            limit = min(_LARGEST, max(member.compress_size, 1) * _RATIO + _BLOCK)
            stream = stack.enter_context(archive.open(member))
        else:
            stream = stack.enter_context(path.open("rb"))
        yield from _lines(stream, limit, reading)


def _lines(stream: IO[bytes], limit: int, reading: Reading | None) -> Generator[bytes]:
    rest, total, first = b"", 0, True
    while block := _block(stream):
        total += len(block)
        if total > limit:
            raise ImportRefused("archive-bomb", "The archive grows out of all proportion: it is not read.")
        if first:
            block, first = block.removeprefix(_BOM), False
        found = (rest + block).split(b"\n")
        rest = found.pop()
        if len(rest) > LONGEST_LINE:
            rest = rest[: LONGEST_LINE + 1]  # too long already: what follows of it is not kept
        if reading is not None:
            reading.done = total
        for line in found:
            yield line.removesuffix(b"\r")
    if rest:
        yield rest.removesuffix(b"\r")


def _block(stream: IO[bytes], size: int | None = None) -> bytes:
    try:
        return stream.read(_BLOCK if size is None else size)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        raise ImportRefused("archive-broken", "The archive is broken.") from None


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise ImportRefused("archive-broken", "The archive is broken.") from None


def _member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    files = [one for one in archive.infolist() if not one.is_dir()]
    if len(files) > _MOST_FILES:
        raise ImportRefused(
            "archive-several", f"The archive holds {len(files)} files: too many to look into."
        )
    for one in files:
        _admitted(one)
    if len(files) == 1:
        return files[0]
    national = [one for one in files if _is_national(archive, one)]
    if len(national) != 1:
        found = f"{len(national) or 'none'} of them national"
        raise ImportRefused(
            "archive-several",
            f"The archive holds {len(files)} files, {found}: one national file is expected.",
        )
    return national[0]


def _admitted(member: zipfile.ZipInfo) -> None:
    if member.flag_bits & _ENCRYPTED:
        raise ImportRefused("archive-encrypted", "The archive is encrypted.")
    if member.compress_type not in _STORED_OR_DEFLATED:
        raise ImportRefused("archive-method", "The archive is compressed in a way that is not read.")
    if member.file_size > _LARGEST or member.file_size > max(member.compress_size, 1) * _RATIO + _BLOCK:
        raise ImportRefused("archive-bomb", "The archive grows out of all proportion: it is not read.")


def _is_national(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    """By its first line: names of files change from one edition to the next."""
    with archive.open(member) as stream:
        first, _, _ = _block(stream, LONGEST_LINE).removeprefix(_BOM).partition(b"\n")
    try:
        return bool(source_of(first.removesuffix(b"\r")))
    except ImportRefused:
        return False
