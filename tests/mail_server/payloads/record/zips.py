"""A ZIP writer that lies when told to: every figure of every header can be another than the true one."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

FULL16 = 0xFFFF
FULL32 = 0xFFFFFFFF


@dataclass
class Member:
    """One file. `local` and `central` override figures of its two headers: name, flags, method, crc, packed, size,
    offset, attributes, disk."""

    name: bytes
    data: bytes = b""
    method: int = 8
    flags: int = 0
    raw: bytes | None = None  # packed, when it is not `data` packed
    local: Mapping[str, int | bytes] = field(default_factory=dict[str, "int | bytes"])
    central: Mapping[str, int | bytes] = field(default_factory=dict[str, "int | bytes"])
    local_extra: bytes = b""
    central_extra: bytes = b""
    after: bytes = b""  # between its data and what follows
    alone: bool = False  # without a line in the directory

    def figures(self) -> dict[str, int | bytes]:
        packed = self.packed()
        return {
            "name": self.name,
            "flags": self.flags,
            "method": self.method,
            "crc": zlib.crc32(self.data),
            "packed": len(packed),
            "size": len(self.data),
            "attributes": 0,
            "disk": 0,
        }

    def packed(self) -> bytes:
        if self.raw is not None:
            return self.raw
        return deflated(self.data) if self.method == 8 else self.data


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def packed(
    members: Sequence[Member], end: Mapping[str, int | bytes] | None = None, zip64: bool = False
) -> bytes:
    """The archive. `end` overrides figures of the end record: disk, first, here, entries, size, start, comment; also
    `before` and `after` (octets around the whole), `gap` (before the directory), `record` (instead of ZIP64's)."""
    told = dict(end or {})
    before = told.get("before", b"")
    out = before if isinstance(before, bytes) else b""
    lines = b""
    listed = 0
    for member in members:
        figures = member.figures()
        here = {**figures, **member.local}
        offset = len(out)
        name = here["name"]
        assert isinstance(name, bytes)
        out += b"PK\x03\x04" + struct.pack(
            "<HHHHHIIIHH",
            *(20, here["flags"], here["method"], 0, 33),
            *(here["crc"], here["packed"], here["size"], len(name), len(member.local_extra)),
        )
        out += name + member.local_extra + member.packed() + member.after
        if member.alone:
            continue
        there = {**figures, "offset": offset, **member.central}
        name = there["name"]
        assert isinstance(name, bytes)
        listed += 1
        lines += b"PK\x01\x02" + struct.pack(
            "<HHHHHHIIIHHHHHII",
            *(0x031E, 20, there["flags"], there["method"], 0, 33),
            *(there["crc"], there["packed"], there["size"], len(name), len(member.central_extra), 0),
            *(there["disk"], 0, there["attributes"], there["offset"]),
        )
        lines += name + member.central_extra
    gap = told.get("gap", b"")
    assert isinstance(gap, bytes)
    out += gap
    true = {"disk": 0, "first": 0, "here": listed, "entries": listed, "size": len(lines), "start": len(out)}
    out += lines
    if zip64:
        place = len(out)
        wide = {**true, **{name[2:]: value for name, value in told.items() if name.startswith("w_")}}
        out += b"PK\x06\x06" + struct.pack(
            "<QHHIIQQQQ",
            *(44, 45, 45, wide["disk"], wide["first"]),
            *(wide["here"], wide["entries"], wide["size"], wide["start"]),
        )
        out += b"PK\x06\x07" + struct.pack("<IQI", 0, told.get("record", place), told.get("disks", 1))
        true |= {"here": FULL16, "entries": FULL16, "size": FULL32, "start": FULL32}
    figures = {**true, **{name: value for name, value in told.items() if name in true}}
    comment = told.get("comment", b"")
    assert isinstance(comment, bytes)
    length = told.get("comment_length", len(comment))
    out += b"PK\x05\x06" + struct.pack(
        "<HHHHIIH",
        *(figures["disk"], figures["first"], figures["here"], figures["entries"]),
        *(figures["size"], figures["start"], length),
    )
    after = told.get("after", b"")
    assert isinstance(after, bytes)
    return out + comment + after


def wide_extra(*figures: int) -> bytes:
    """The ZIP64 extra field."""
    return struct.pack("<HH", 1, 8 * len(figures)) + struct.pack(f"<{len(figures)}Q", *figures)


def unicode_path(name: bytes, other: bytes) -> bytes:
    """Info-ZIP's second name for a file."""
    body = b"\x01" + struct.pack("<I", zlib.crc32(name)) + other
    return struct.pack("<HH", 0x7075, len(body)) + body
