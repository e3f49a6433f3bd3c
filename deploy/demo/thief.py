"""What someone who carries the disk away finds: searches every file for a letter's words, however written.

Used by the demo after each step, and by the canary test, which grows with every new path a letter may take.
A marker is looked for raw, in UTF-16 both ways, in base64 at its three offsets, in quoted-printable, across the
cuts of encoded text and headers, and inside whatever inflates (zlib, gzip, zstd frames).
"""

from __future__ import annotations

import base64
import contextlib
import os
import quopri
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
# Encoded text is cut in lines, and an encoded header in words (RFC 2047 §2): a marker may be cut with it.
_TEXT = re.compile(rb"[\t\r\n\x20-\x7e]{40,}+")
_JOINTS = re.compile(rb"=*\?=\s+=\?[^?\s]+\?[BbQq]\?|=?\r?\n")
_BEGINNING = 6  # bytes: at least so many of a word's beginning outlive base64, at whatever offset
_ZLIB_HEADS = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")


@dataclass(frozen=True, slots=True)
class Found:
    """A marker where it must not be."""

    path: Path
    marker: str
    how: str


def spellings(marker: str) -> dict[str, bytes]:
    """The marker as each encoding writes it; `marker` is at least 12 characters."""
    raw = marker.encode()
    found = {"raw": raw, "utf-16-le": marker.encode("utf-16-le"), "utf-16-be": marker.encode("utf-16-be")}
    quoted = quopri.encodestring(raw).strip()
    if quoted != raw:
        found["quoted-printable"] = quoted
    for offset in range(3):
        # What base64 gives for these bytes does not depend on their neighbours but for the ends: cut those.
        encoded = base64.b64encode(b"\0" * offset + raw)
        found[f"base64+{offset}"] = encoded[4 if offset else 0 : -4]
    return found


def told(data: bytes, markers: Iterable[str]) -> set[str]:
    """Those of the markers that can be read in `data`."""
    needles = _Needles(markers)
    return {marker for _, content in _layers(data) for marker, _ in needles.within(content)}


def search(paths: Iterable[Path], markers: Iterable[str]) -> list[Found]:
    """Every place below `paths` where a marker can be read; whole files, no sockets or pipes."""
    needles = _Needles(markers)
    found: list[Found] = []
    for path in _files(paths):
        try:
            data = path.read_bytes()
        except OSError:
            continue  # gone meanwhile
        for layer, content in _layers(data):
            found += [Found(path, marker, f"{layer}{how}") for marker, how in needles.within(content)]
    return found


class _Needles:
    """Markers in all their spellings. Those that begin alike are looked for at once, by their common beginning:
    hundreds of words of one make, in a home of many megabytes, cost as much as a few."""

    def __init__(self, markers: Iterable[str]) -> None:
        self._meant: dict[bytes, list[tuple[str, str]]] = {}
        for marker in dict.fromkeys(markers):
            for how, needle in spellings(marker).items():
                self._meant.setdefault(needle, []).append((marker, how))
        alike: dict[bytes, list[bytes]] = {}
        for needle in self._meant:
            alike.setdefault(needle[:_BEGINNING], []).append(needle)
        self._alike = {beginning: tuple(needles) for beginning, needles in alike.items()}

    def within(self, content: bytes) -> Iterator[tuple[str, str]]:
        """Each marker that stands in `content`, and how it is written there; once."""
        for beginning, needles in self._alike.items():
            if len(needles) == 1:
                if needles[0] in content:
                    yield from self._meant[needles[0]]
                continue
            seen: set[bytes] = set()
            position = content.find(beginning)
            while position >= 0:
                if content.startswith(needles, position):
                    seen.update(one for one in needles if content.startswith(one, position))
                position = content.find(beginning, position + 1)
            for needle in seen:
                yield from self._meant[needle]


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_file() and not path.is_symlink():
            yield path
        elif path.is_dir():
            # Not rglob, which raises where a folder goes meanwhile.
            below = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
            yield from (one for one in below if one.is_file() and not one.is_symlink())


def _layers(data: bytes) -> Iterator[tuple[str, bytes]]:
    yield "", data
    joined = b"\n".join(_JOINTS.sub(b"", match[0]) for match in _TEXT.finditer(data))
    if joined:
        yield "joined ", joined
    whole = memoryview(data)  # what begins anywhere is looked at in place: files may be large, and heads many
    for match in _ZLIB_HEADS.finditer(data):
        inflated = _inflate(whole[match.start() :], 47)
        if len(inflated) > 32:
            yield "inflated ", inflated
    position = data.find(_ZSTD_MAGIC)
    while position >= 0:
        with contextlib.suppress(zstandard.ZstdError):
            yield "zstd ", zstandard.ZstdDecompressor().decompressobj().decompress(whole[position:])
        position = data.find(_ZSTD_MAGIC, position + 4)


def _inflate(data: memoryview, window: int) -> bytes:
    inflator = zlib.decompressobj(window)
    try:
        return inflator.decompress(data, 64 * 1024 * 1024)
    except zlib.error:
        return b""
