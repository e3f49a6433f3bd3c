"""Checks segment files record by record, and the database's idea of them. No key is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from mail_server.store.driver import Driver
from mail_server.store.findings import Fault, Finding
from mail_server.store.segments import OVERHEAD, records, segment_id, segment_path

_PAGE = 1000


def check_segments(sql: Driver, folder: Path, progress: Callable[[int, int], None]) -> Iterator[Finding]:
    known: dict[int, int] = {row[0]: row[1] for row in sql.all("SELECT id, length FROM segment")}
    for done, (segment, length) in enumerate(sorted(known.items())):
        progress(done, len(known))
        yield from _segment(sql, folder, segment, length)
    progress(len(known), len(known))
    for path in sorted(folder.glob("*.seg")):
        # A file that a running server began after our snapshot looks the same: harmless either way.
        if segment_id(path) not in known:
            yield Finding(
                Fault.UNKNOWN_SEGMENT, path.name, f"{path.stat().st_size} bytes that no commit names"
            )


def _segment(sql: Driver, folder: Path, segment: int, length: int) -> Iterator[Finding]:
    path = segment_path(folder, segment)
    used = any(True for _ in _blobs(sql, segment))
    if not path.exists():
        if used:
            yield Finding(Fault.SEGMENT_MISSING, path.name, "its file is not there")
        return
    size = path.stat().st_size
    if size < length:
        yield Finding(Fault.SEGMENT_SHORT, path.name, f"{size} bytes, committed {length}")
    whole: dict[int, bytes] = {}
    for record in records(path):
        if isinstance(record, int):
            if record < length:
                yield Finding(Fault.RECORD_DAMAGED, path.name, f"no record at {record}")
            else:
                yield Finding(Fault.TORN_TAIL, path.name, f"{size - record} bytes after {record}")
        elif record.sound:
            whole[record.position] = record.blob_id
        else:
            yield Finding(
                Fault.RECORD_DAMAGED, path.name, f"checksum of the record at {record.position - OVERHEAD}"
            )
    for blob_id, position, stored_size in _blobs(sql, segment):
        if position + stored_size > length:
            yield Finding(
                Fault.SEGMENT_SHORT, path.name, f"a blob at {position} lies beyond what is committed"
            )
        if whole.get(position) != blob_id:
            yield Finding(Fault.RECORD_DAMAGED, path.name, f"no whole record for the blob at {position}")


def _blobs(sql: Driver, segment: int) -> Iterator[tuple[bytes, int, int]]:
    after = -1
    while True:
        rows = sql.all(
            "SELECT blob_id, position, stored_size FROM blob WHERE segment = ? AND position > ?"
            " ORDER BY position LIMIT ?",
            (segment, after, _PAGE),
        )
        if not rows:
            return
        for blob_id, position, stored_size in rows:
            yield bytes(blob_id), position, stored_size
        after = rows[-1][1]
