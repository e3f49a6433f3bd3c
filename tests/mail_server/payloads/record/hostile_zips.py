"""ZIPs that lie: names, sizes, places, encryption, bombs."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping

from tests.mail_server.payloads.record.archives import good, members
from tests.mail_server.payloads.record.hostile import Case
from tests.mail_server.payloads.record.zips import (
    FULL32,
    Member,
    deflated,
    packed,
    unicode_path,
    wide_extra,
)

NOTE = b"Une note."


def cases() -> Iterator[Case]:
    for group in (_broken, _ends, _names, _modes, _lies, _places, _bombs):
        for name, data in group():
            yield Case(name, "archive", data)


def _with(*more: Member) -> bytes:
    return packed([*members(), *more])


def _broken() -> Iterator[tuple[str, bytes]]:
    whole = good()
    yield "nothing at all", b""
    yield "no archive", b"%PDF-1.4 not an archive"
    yield "its first four octets", b"PK\x03\x04"
    yield "its end alone, empty", b"PK\x05\x06" + bytes(18)
    for cut in (1, 10, 21, 22, 100, len(whole) // 2, len(whole) - 40):
        yield f"cut {cut} octets before its end", whole[:-cut]
    yield "something before it", b"#! a script\n" + whole
    yield "much behind it", whole + b"A" * 40
    yield "a little behind it that is not white", whole + b"<x/>"
    yield "an octet of a file turned", packed([Member(b"METADATA.XML", NOTE * 50, raw=_turned(NOTE * 50))])
    yield "packed data that is none", packed([Member(b"a.txt", NOTE, raw=b"\xff\xff\xff\xff")])
    yield "packed data cut short", packed([Member(b"a.txt", NOTE * 99, raw=deflated(NOTE * 99)[:-4])])
    yield "packed data that is empty", packed([Member(b"a.txt", b"", raw=b"")])
    yield "a wrong checksum", packed([Member(b"a.txt", NOTE, local={"crc": 1}, central={"crc": 1})])
    yield (
        "a stored file with a wrong checksum",
        packed([Member(b"a.txt", NOTE, method=0, local={"crc": 7}, central={"crc": 7})]),
    )


def _turned(data: bytes) -> bytes:
    raw = bytearray(zlib.compressobj(0, zlib.DEFLATED, -15).compress(data))
    stored = b"\x01" + struct.pack("<HH", len(data), len(data) ^ 0xFFFF) + data
    raw = bytearray(stored)
    raw[-3] ^= 1
    return bytes(raw)


def _ends() -> Iterator[tuple[str, bytes]]:
    lies: Mapping[str, Mapping[str, int | bytes]] = {
        "one file more than there are": {"here": 5, "entries": 5},
        "one file less than there are": {"here": 3, "entries": 3},
        "other counts here and in all": {"here": 4, "entries": 5},
        "no file": {"here": 0, "entries": 0},
        "the first disk of two": {"disk": 0, "first": 1},
        "the second disk": {"disk": 1},
        "a directory that begins later": {"start": 99_999},
        "a directory at the very start": {"start": 0},
        "a directory larger than it is": {"size": 99_999},
        "a directory of no octet": {"size": 0},
        "a comment longer than it is": {"comment_length": 500},
        "an end inside its own comment": {"comment": b"x" * 8 + b"PK\x05\x06" + bytes(30)},
        "counts for ZIP64 without its record": {"here": 0xFFFF, "entries": 0xFFFF},
        "sizes for ZIP64 without its record": {"size": FULL32},
        "a gap before the directory that hides a file": {"gap": packed([Member(b"b.txt", NOTE)])},
    }
    for name, end in lies.items():
        yield name, packed(members(), end)
    wide: Mapping[str, Mapping[str, int | bytes]] = {
        "a ZIP64 record that is elsewhere": {"record": 10},
        "a ZIP64 record beyond the end": {"record": 1 << 40},
        "a ZIP64 record of several disks": {"disks": 3},
        "a ZIP64 count beyond the true one": {"w_here": 9, "w_entries": 9},
        "a ZIP64 count without end": {"w_here": (1 << 64) - 1, "w_entries": (1 << 64) - 1},
        "a ZIP64 directory of another size": {"w_size": 1 << 50},
        "a ZIP64 directory elsewhere": {"w_start": 1},
        "a ZIP64 disk": {"w_disk": 4},
        "a ZIP64 count that the narrow one denies": {"here": 2, "entries": 2},
        "a ZIP64 place that the narrow one denies": {"start": 3},
    }
    for name, end in wide.items():
        yield name, packed(members(), end, zip64=True)
    yield "501 files", packed([Member(b"%d.txt" % number, b"x", method=0) for number in range(501)])


def _names() -> Iterator[tuple[str, bytes]]:
    for shown, name in {
        "up": b"../a.txt",
        "up in the middle": b"IHE_XDM/../../a.txt",
        "up with backslashes": b"..\\..\\a.txt",
        "up with both": b"IHE_XDM\\../a.txt",
        "only up": b"..",
        "up as a folder": b"../",
        "absolute": b"/etc/cron.d/a",
        "absolute with a backslash": b"\\windows\\a.txt",
        "a share": b"\\\\server\\share\\a.txt",
        "a drive": b"C:\\a.txt",
        "a drive without a slash": b"d:a.txt",
        "with a zero octet": b"a.txt\0.exe",
        "with a line end": b"a\r\nb.txt",
        "with an escape": b"\x1b[2Ja.txt",
        "with a stream of Windows": b"a.txt:hidden",
        "empty": b"",
        "a dot": b".",
        "only slashes in the middle": b".//./",
        "longer than any": b"a" * 241,
        "said to be UTF-8 and not": b"\xe9t\xe9.txt",
    }.items():
        yield f"a name {shown}", _with(Member(name, NOTE, flags=0x0800))
    other = unicode_path(b"a.txt", "../è.txt".encode())
    yield "a second name for a file", _with(Member(b"a.txt", NOTE, central_extra=other))
    yield "a name twice", _with(Member(b"a.txt", NOTE), Member(b"a.txt", NOTE * 2))
    yield "METADATA.XML twice", _with(Member(b"IHE_XDM/SUBSET01/METADATA.XML", b"<a/>"))
    yield "a name twice in other letters", _with(Member(b"readme.txt", NOTE))
    yield "a name twice by its dots", _with(Member(b"./README.TXT", NOTE))
    yield "a name twice by its slashes", _with(Member(b"IHE_XDM\\SUBSET01\\DOC0001.XML", NOTE))
    yield "a file and a folder of one name", _with(Member(b"README.TXT/", b"", method=0))


def _modes() -> Iterator[tuple[str, bytes]]:
    for shown, flags in {"encrypted": 1, "strongly encrypted": 0x41, "a masked directory": 0x2000}.items():
        yield shown, _with(Member(b"a.txt", NOTE, flags=flags))
    yield "encrypted in its header alone", _with(Member(b"a.txt", NOTE, local={"flags": 1}))
    yield "encrypted in the directory alone", _with(Member(b"a.txt", NOTE, central={"flags": 1}))
    yield (
        "AES of WinZip",
        _with(Member(b"a.txt", NOTE, method=0, local={"method": 99}, central={"method": 99})),
    )
    for method in (1, 6, 9, 12, 14, 93, 95, 98):
        told: dict[str, int | bytes] = {"method": method}
        yield f"packed by method {method}", _with(Member(b"a.txt", NOTE, method=0, local=told, central=told))
    for shown, kind in {
        "a symbolic link": 0o120777,
        "a device": 0o060660,
        "a character device": 0o020660,
        "a pipe": 0o010644,
        "a socket": 0o140777,
    }.items():
        yield shown, _with(Member(b"a.txt", b"/etc/passwd", central={"attributes": kind << 16}))
    yield "a folder with content", _with(Member(b"folder/", NOTE))
    yield "a file on another disk", _with(Member(b"a.txt", NOTE, central={"disk": 2}))


def _lies() -> Iterator[tuple[str, bytes]]:
    for shown, central in {
        "another name in the directory": {"name": b"b.txt"},
        "another method in the directory": {"method": 0, "size": len(deflated(NOTE))},
        "another checksum in the directory": {"crc": 5},
        "another size in the directory": {"size": 3},
        "another packed size in the directory": {"packed": 3},
        "sizes said to follow, in the directory alone": {"flags": 8},
    }.items():
        yield shown, _with(Member(b"a.txt", NOTE, central=central))
    yield "sizes said to follow, in the header alone", _with(Member(b"a.txt", NOTE, local={"flags": 8}))
    both: dict[str, int | bytes] = {"size": 4}
    yield "more in it than it says", _with(Member(b"a.txt", NOTE, local=both, central=both))
    both = {"size": 400}
    yield "less in it than it says", _with(Member(b"a.txt", NOTE, local=both, central=both))
    raw = deflated(NOTE) + b"and more"
    yield "octets behind the packed data", _with(Member(b"a.txt", NOTE, raw=raw))
    both = {"size": 5}
    yield "a stored file of two sizes", _with(Member(b"a.txt", NOTE, method=0, local=both, central=both))
    zero: dict[str, int | bytes] = {"crc": 0, "packed": 0, "size": 0}
    yield "sizes to follow that do not", _with(Member(b"a.txt", NOTE, flags=8, local=zero))
    wrong = struct.pack("<4sIII", b"PK\x07\x08", 1, 2, 3)
    yield (
        "sizes that follow and are not true",
        _with(Member(b"a.txt", NOTE, flags=8, local=zero, after=wrong)),
    )
    told: dict[str, int | bytes] = {"size": FULL32, "packed": FULL32}
    yield "ZIP64 sizes that are nowhere", _with(Member(b"a.txt", NOTE, central=told))
    short = wide_extra(len(NOTE))
    yield (
        "ZIP64 sizes of which one is missing",
        _with(Member(b"a.txt", NOTE, central=told, central_extra=short)),
    )
    huge = wide_extra((1 << 63) + 5, len(deflated(NOTE)))
    yield "a ZIP64 size beyond any", _with(Member(b"a.txt", NOTE, central=told, central_extra=huge))
    yield (
        "a ZIP64 place beyond the end",
        _with(Member(b"a.txt", NOTE, central={"offset": FULL32}, central_extra=wide_extra(1 << 40))),
    )
    yield "ZIP64 in the header alone, without sizes", _with(Member(b"a.txt", NOTE, local=told))


def _places() -> Iterator[tuple[str, bytes]]:
    yield (
        "a file that lies where another does",
        _with(Member(b"README.TXT".replace(b"R", b"r", 1), b"Archive IHE_XDM\r\n", central={"offset": 0})),
    )
    kernel = packed([Member(b"a.txt", NOTE * 100)])
    inside = Member(b"outer.bin", kernel, method=0)
    place = 30 + len(b"outer.bin")
    lines = packed([inside, Member(b"a.txt", NOTE * 100, central={"offset": place})])
    yield "a file inside another", lines
    yield (
        "many files over one",
        packed(
            [
                Member(b"0.txt", b"\0" * 5000),
                *[Member(b"%d.txt" % one, b"\0" * 5000, raw=b"", central=_same()) for one in range(1, 9)],
            ]
        ),
    )
    yield "a file that the directory does not list", packed([*members(), Member(b"x.txt", NOTE, alone=True)])
    yield (
        "a first file that the directory does not list",
        packed([Member(b"x.txt", NOTE, alone=True), *members()]),
    )
    yield "a place beyond the end", _with(Member(b"a.txt", NOTE, central={"offset": 1 << 30}))
    yield "a place where no header is", _with(Member(b"a.txt", NOTE, central={"offset": 7}))
    long: dict[str, int | bytes] = {"packed": 9_999, "size": 9_999}
    yield (
        "data that runs into the directory",
        _with(Member(b"a.txt", NOTE, method=0, local=long, central=long)),
    )


def _same() -> dict[str, int | bytes]:
    return {"offset": 0, "packed": len(deflated(b"\0" * 5000)), "name": b"0.txt"}


def _bombs() -> Iterator[tuple[str, bytes]]:
    yield "a thousand times its size", _with(Member(b"a.txt", bytes(3 << 20)))
    yield (
        "one that says it is a bomb",
        _with(Member(b"a.txt", NOTE, local={"size": 1 << 30}, central={"size": 1 << 30})),
    )
    yield "one that says it is none", _with(_small(Member(b"a.txt", bytes(3 << 20))))
    each = bytes(900_000)
    yield "many small ones that make a large one", packed([Member(b"%d" % one, each) for one in range(90)])
    yield (
        "four gigabytes by ZIP64",
        _with(
            Member(
                b"a.txt",
                NOTE,
                local={"size": FULL32},
                local_extra=wide_extra(4 << 30),
                central={"size": FULL32},
                central_extra=wide_extra(4 << 30),
            )
        ),
    )
    flat = packed([Member(b"%d" % one, bytes(900_000)) for one in range(4)])
    for _ in range(3):
        flat = packed([Member(b"inner.zip", flat), Member(b"again.zip", flat)])
    yield "archives in archives", flat
    yield "larger than any letter", bytes((32 << 20) + 1)


def _small(member: Member) -> Member:
    told: dict[str, int | bytes] = {"size": 4_000, "crc": 0}
    return Member(member.name, member.data, local=told, central=told)
