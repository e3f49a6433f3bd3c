"""A ZIP of a stranger, read whole in memory and believed in nothing.

One reader of our own, because what is asked here is what libraries forgive: every figure of the directory must be true,
and the directory, the headers before each file and the files must tell one story, so that no two programs see two
archives. The page has the same reader (`webmail/ui/src/worker/record/zip.ts`).
Invariants: nothing is ever written to a disk; no file is unpacked before its sizes are known to be within bounds, nor
beyond the size it states; names come out relative, with "/", once each whatever their case; archives inside are left
closed; what fails is `RecordRefused`, whose words hold no name of a file.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from typing import Final

from mail_server.payloads.record.refusal import AnsCode, RecordRefused

LIMIT: Final = 32 * 1024 * 1024  # octets of the archive
TOTAL: Final = 64 * 1024 * 1024  # octets of all its files
RATIO: Final = 200  # how much smaller a file may be packed, beyond the first `SMALL` octets
SMALL: Final = 1024 * 1024
FILES: Final = 500
NAME: Final = 240

_END: Final = b"PK\x05\x06"
_END64: Final = b"PK\x06\x06"
_LOCATOR64: Final = b"PK\x06\x07"
_ENTRY: Final = b"PK\x01\x02"
_LOCAL: Final = b"PK\x03\x04"
_DESCRIPTOR: Final = b"PK\x07\x08"
_FULL16: Final = 0xFFFF
_FULL32: Final = 0xFFFFFFFF
_ENCRYPTED: Final = 0x0001 | 0x0040 | 0x2000  # APPNOTE 4.4.4: encrypted, strongly, or the directory itself
_DEFERRED: Final = 0x0008  # sizes stand after the data
_UTF8: Final = 0x0800
_DRIVE: Final = re.compile(r"[A-Za-z]:")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f:]")


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    raw: bytes  # its name as it stands
    folder: bool
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int


@dataclass(frozen=True, slots=True)
class _Directory:
    start: int
    end: int
    entries: int


def read_zip(data: bytes) -> dict[str, bytes]:
    """Its files by name, in the order of its directory. Raises `RecordRefused`."""
    if len(data) > LIMIT:
        raise _refused("zip-too-large", "The archive is too large")
    try:
        return _read(data)
    except struct.error:
        raise _refused("zip-broken", "The archive is damaged") from None


def _read(data: bytes) -> dict[str, bytes]:
    directory = _directory(data)
    entries = _entries(data, directory)
    _checked_names(entries)
    _checked_sizes(entries)
    places = [_place(data, entry, directory.start) for entry in entries]
    _checked_places(data, places, directory.start)
    return {
        entry.name: _unpacked(data, entry, start)
        for entry, (_, start, _) in zip(entries, places, strict=True)
        if not entry.folder
    }


def _directory(data: bytes) -> _Directory:
    """Where the central directory lies (APPNOTE 4.3.16), with ZIP64's figures where they are needed (4.3.14)."""
    at = data.rfind(_END, max(0, len(data) - 22 - _FULL16))
    if at < 0 or not data.startswith((_LOCAL, _END)):
        raise _refused("zip-broken", "The archive is damaged or is none")
    disk, first, here, entries, size, start, comment = struct.unpack_from("<HHHHIIH", data, at + 4)
    after = data[at + 22 + comment :]
    if at + 22 + comment > len(data) or len(after) > 16 or after.strip(b"\r\n\0 "):
        raise _refused("zip-broken", "The archive is damaged")
    end = at
    full = here == _FULL16 or entries == _FULL16 or size == _FULL32 or start == _FULL32
    located = at >= 20 and data.startswith(_LOCATOR64, at - 20)
    if full or located:
        if not located:
            raise _refused("zip-lie", "The archive states sizes that are not true")
        disk64, end, disks = struct.unpack_from("<IQI", data, at - 16)
        if disk64 != 0 or disks > 1 or end + 56 > at - 20 or not data.startswith(_END64, end):
            raise _refused("zip-lie", "The archive states sizes that are not true")
        disk64, first64, here64, entries64, size64, start64 = struct.unpack_from("<IIQQQQ", data, end + 16)
        narrow = ((here, here64), (entries, entries64), (size, size64), (start, start64))
        if disk64 or first64 or any(a not in (b, _FULL16, _FULL32) for a, b in narrow):
            raise _refused("zip-lie", "The archive states sizes that are not true")
        here, entries, size, start = here64, entries64, size64, start64
    elif disk or first:
        raise _refused("zip-parts", "The archive is one part of several")
    if here != entries:
        raise _refused("zip-parts", "The archive is one part of several")
    if start + size != end:
        raise _refused("zip-lie", "The archive states sizes that are not true")
    if entries > FILES:
        raise _refused("zip-too-many", "The archive holds too many files")
    return _Directory(start, end, entries)


def _entries(data: bytes, directory: _Directory) -> list[_Entry]:
    found: list[_Entry] = []
    at = directory.start
    for _ in range(directory.entries):
        if not data.startswith(_ENTRY, at) or at + 46 > directory.end:
            raise _refused("zip-lie", "The directory of the archive does not list what it says")
        fields = struct.unpack_from("<HHHHHHIIIHHHHHII", data, at + 4)
        _, _, flags, method, _, _, crc, packed, size, name, extra, comment, disk, _, attributes, offset = (
            fields
        )
        after = at + 46 + name + extra + comment
        if after > directory.end:
            raise _refused("zip-lie", "The directory of the archive does not list what it says")
        if flags & _ENCRYPTED or method == 99:
            raise _refused("zip-encrypted", "The archive is encrypted")
        if method not in (0, 8):
            raise _refused("zip-method", "The archive is packed in a way that is not taken")
        kind = attributes >> 28  # of a Unix file: 4 a folder, 8 a file
        if kind not in (0, 4, 8):
            raise _refused("zip-link", "The archive holds a link or a device")
        raw = data[at + 46 : at + 46 + name]
        extras = data[at + 46 + name : at + 46 + name + extra]
        size, packed, offset = _wide(extras, (size, packed, offset))
        if disk not in (0, _FULL16):
            raise _refused("zip-parts", "The archive is one part of several")
        shown = _name(raw, flags, extras)
        folder = shown.endswith("/")
        found.append(_Entry(shown, raw, folder, flags, method, crc, packed, size, offset))
        at = after
    if at != directory.end:
        raise _refused("zip-lie", "The directory of the archive does not list what it says")
    return found


def _extra(extras: bytes, wanted: int) -> bytes | None:
    at = 0
    while at + 4 <= len(extras):
        kind, size = struct.unpack_from("<HH", extras, at)
        if kind == wanted:
            return extras[at + 4 : at + 4 + size]
        at += 4 + size
    return None


def _wide(extras: bytes, narrow: tuple[int, int, int]) -> tuple[int, int, int]:
    """Size, packed size and offset, each from the ZIP64 field where the narrow one is full (APPNOTE 4.5.3)."""
    if _FULL32 not in narrow:
        return narrow
    wide = _extra(extras, 0x0001) or b""
    at = 0
    made: list[int] = []
    for figure in narrow:
        if figure == _FULL32:
            if at + 8 > len(wide):
                raise _refused("zip-lie", "The archive states sizes that are not true")
            (figure,) = struct.unpack_from("<Q", wide, at)
            at += 8
        made.append(figure)
    return made[0], made[1], made[2]


def _name(raw: bytes, flags: int, extras: bytes) -> str:
    """A relative name with "/"; refused when any program could take it for a place outside."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        if flags & _UTF8:
            raise _refused("zip-name", "The archive holds a name that is not taken") from None
        text = raw.decode("latin-1")
    other = _extra(extras, 0x7075)  # Info-ZIP's Unicode path: version, CRC, name
    if other is not None and other[5:] != text.encode("utf-8"):
        raise _refused("zip-name", "The archive gives one file two names")
    text = text.replace("\\", "/")
    if text.startswith("/") or _DRIVE.match(text):
        raise _refused("zip-absolute", "The archive holds a name that leads outside it")
    parts = text.split("/")
    if ".." in parts:
        raise _refused("zip-slip", "The archive holds a name that leads outside it")
    if _CONTROL.search(text) or len(text) > NAME:
        raise _refused("zip-name", "The archive holds a name that is not taken")
    kept = "/".join(part for part in parts if part not in ("", "."))
    if not kept:
        raise _refused("zip-name", "The archive holds a name that is not taken")
    return kept + "/" if text.endswith("/") else kept


# ASCII alone: what "the same letter" is beyond it differs between programs.
_FOLDED: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def folded(name: str) -> str:
    """A name as it is compared: whatever the case of its ASCII letters."""
    return name.translate(_FOLDED)


def _checked_names(entries: list[_Entry]) -> None:
    seen: set[str] = set()
    for entry in entries:
        name = folded(entry.name.removesuffix("/"))
        if name in seen:
            raise _refused("zip-duplicate", "The archive holds one name twice")
        seen.add(name)


def _checked_sizes(entries: list[_Entry]) -> None:
    total = 0
    for entry in entries:
        total += entry.size
        if entry.size > SMALL and entry.size > RATIO * entry.packed:
            raise _refused("zip-bomb", "The archive unpacks to far more than it is")
        if entry.folder and (entry.size or entry.packed > 2):
            raise _refused("zip-lie", "The archive holds a folder with content of its own")
        if entry.method == 0 and entry.size != entry.packed:
            raise _refused("zip-lie", "The archive states sizes that are not true")
    if total > TOTAL:
        raise _refused("zip-bomb", "The archive unpacks to far more than it is")


def _place(data: bytes, entry: _Entry, directory: int) -> tuple[int, int, int]:
    """Where a file's header begins, its data, and where both end. The header must agree with the directory."""
    at = entry.offset
    if at + 30 > directory or not data.startswith(_LOCAL, at):
        raise _refused("zip-disagree", "The archive tells two different stories of one file")
    _, flags, method, _, _, crc, packed, size, name, extra = struct.unpack_from("<HHHHHIIIHH", data, at + 4)
    start = at + 30 + name + extra
    end = start + entry.packed
    if flags & _ENCRYPTED:
        raise _refused("zip-encrypted", "The archive is encrypted")
    if end > directory:
        raise _refused("zip-overlap", "The archive holds files that lie over each other")
    same = data[at + 30 : at + 30 + name] == entry.raw and method == entry.method
    if not same or (flags ^ entry.flags) & _DEFERRED:
        raise _refused("zip-disagree", "The archive tells two different stories of one file")
    if _FULL32 in (packed, size):
        size, packed, _ = _wide(data[at + 30 + name : start], (size, packed, 0))
    told = (crc, packed, size)
    true = (entry.crc, entry.packed, entry.size)
    if told != true and not (flags & _DEFERRED and told == (0, 0, 0)):
        raise _refused("zip-disagree", "The archive tells two different stories of one file")
    if flags & _DEFERRED:
        end += _descriptor(data, end, true, told == true)
    return at, start, end


def _descriptor(data: bytes, at: int, true: tuple[int, int, int], needless: bool) -> int:
    """How long the figures after a file's data are (APPNOTE 4.3.9); they must be true."""
    for signature in (_DESCRIPTOR, b""):
        for form in ("<III", "<IQQ"):
            figures = signature + struct.pack(form, *true)
            if data.startswith(figures, at):
                return len(figures)
    if needless:
        return 0
    raise _refused("zip-disagree", "The archive tells two different stories of one file")


def _checked_places(data: bytes, places: list[tuple[int, int, int]], directory: int) -> None:
    """No two files share an octet, and nothing that looks like a file lies where the directory names none."""
    before = 0
    for at, _, end in sorted(places):
        if at < before:
            raise _refused("zip-overlap", "The archive holds files that lie over each other")
        if at > before and data.startswith(_LOCAL, before):
            raise _refused("zip-hidden", "The archive holds a file that it does not list")
        before = end
    if data.startswith(_LOCAL, before) and before < directory:
        raise _refused("zip-hidden", "The archive holds a file that it does not list")


def _unpacked(data: bytes, entry: _Entry, start: int) -> bytes:
    packed = data[start : start + entry.packed]
    if entry.method == 8:
        packer = zlib.decompressobj(-15)
        try:
            packed = packer.decompress(packed, entry.size + 1)
        except zlib.error:
            raise _refused("zip-broken", "The archive is damaged") from None
        if len(packed) > entry.size or packer.unused_data or packer.unconsumed_tail:
            raise _refused("zip-lie", "The archive states sizes that are not true")
        if not packer.eof:
            raise _refused("zip-broken", "The archive is damaged")
        if len(packed) != entry.size:
            raise _refused("zip-lie", "The archive states sizes that are not true")
    if zlib.crc32(packed) != entry.crc:
        raise _refused("zip-broken", "The archive is damaged")
    return packed


def _refused(slug: str, sentence: str) -> RecordRefused:
    return RecordRefused(AnsCode.OTHER, slug, sentence)
