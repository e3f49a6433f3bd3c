"""A consistent copy of the store, taken beside a running server.

The database first (one snapshot), then each segment up to a length that was committed by then; the bytes a
snapshot names are on the disk before its COMMIT, so the copy is whole. Invariants: neither the keystore nor the
KEK is ever in it (the files to copy are named, none is found by looking); everything is fsynced on return; a
manifest with a digest per file comes last, so a backup without one is known to be unfinished.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from mail_server.keys.interface import KeyWrapper
from mail_server.store.interface import StoreError
from mail_server.store.segments import segment_path, sync_folder
from mail_server.store.settings import StoreSettings
from mail_server.store.store import connector_for, segments_folder

FORMAT = 1
MANIFEST = "store.json"
SQLITE_COPY = "mail.db"
POSTGRESQL_COPY = "mail.pgdump"
_PIECE = 4 * 1024 * 1024

Progress = Callable[[int, int], None]  # bytes of segments copied, of all


class BackupRefused(StoreError):
    """The backup cannot be made or put back; the sentence is for the administrator."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds."""

    format: int
    dialect: str
    kek_id: str  # which KEK opens it
    created: int  # ms
    segments: dict[str, int]  # name: length
    digests: dict[str, str]  # relative path: sha-256


def backup_store(
    settings: StoreSettings,
    home: Path,
    keys: KeyWrapper,
    target: Path,
    progress: Progress | None = None,
    *,
    link: bool = False,
) -> Manifest:
    """Blocks. `target` is a new or empty folder. `link` makes hard links of segments (same file system)."""
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any((target / name).exists() for name in (MANIFEST, SQLITE_COPY, POSTGRESQL_COPY, "segments")):
        raise BackupRefused(f"a backup lies there already: {target}")
    digests: dict[str, str] = {}
    if settings.is_postgresql():
        digests[POSTGRESQL_COPY] = dump_postgresql(settings.database, target / POSTGRESQL_COPY)
        lengths = _lengths(settings, home)
    else:
        snapshot_sqlite(home / "mail.db", target / SQLITE_COPY)
        digests[SQLITE_COPY] = file_digest(target / SQLITE_COPY)
        lengths = _lengths(settings, target)
    folder = target / "segments"
    folder.mkdir(mode=0o700)
    total, done = sum(lengths.values()), 0
    copied: dict[str, int] = {}
    for segment, length in sorted(lengths.items()):
        source = segment_path(segments_folder(home), segment)
        if not source.exists():
            continue  # another node's, or wholly dead: `check` tells which
        digests[f"segments/{source.name}"] = _copy(source, folder / source.name, length, link=link)
        copied[source.name] = length
        done += length
        if progress is not None:
            progress(done, total)
    sync_folder(folder)
    manifest = Manifest(
        FORMAT,
        "postgresql" if settings.is_postgresql() else "sqlite",
        keys.kek_id,
        time.time_ns() // 1_000_000,
        copied,
        digests,
    )
    _write(target / MANIFEST, json.dumps(asdict(manifest), indent=1).encode())
    sync_folder(target)
    return manifest


def snapshot_sqlite(source: Path, target: Path) -> None:
    """A consistent copy of a SQLite file in use, whole in one file, fsynced."""
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as reading,
        closing(sqlite3.connect(target)) as writing,
    ):
        reading.execute("PRAGMA temp_store = MEMORY")
        reading.backup(writing)  # in one step: a writer meanwhile cannot make it begin again
        writing.execute("PRAGMA journal_mode = DELETE")
    target.chmod(0o600)
    _sync(target)


def _lengths(settings: StoreSettings, where: Path) -> dict[int, int]:
    driver = connector_for(settings, where, read_only=True).connect()
    try:
        return {row[0]: row[1] for row in driver.all("SELECT id, length FROM segment")}
    finally:
        driver.close()


def dump_postgresql(database: str, target: Path, without: Sequence[str] = ()) -> str:
    """The whole database, but for the tables named in `without`; fsynced. Its digest. Raises BackupRefused."""
    program = shutil.which("pg_dump")
    if program is None:
        raise BackupRefused("pg_dump is not installed: install PostgreSQL's client programs to make a backup")
    connection, environment = without_password(database)
    done = subprocess.run(
        [
            program,
            "--format=custom",
            "--no-owner",
            *(f"--exclude-table={table}" for table in without),
            f"--file={target}",
            f"--dbname={connection}",
        ],
        env=environment,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise BackupRefused("pg_dump failed; run it by hand to see why")
    target.chmod(0o600)
    _sync(target)
    return file_digest(target)


def without_password(database: str) -> tuple[str, dict[str, str]]:
    """Connection text fit for a command line, and an environment that carries the password."""
    parts = conninfo_to_dict(database)
    password = parts.pop("password", None)
    environment = dict(os.environ)
    if password:
        environment["PGPASSWORD"] = str(password)
    return make_conninfo("", **parts), environment


def _copy(source: Path, target: Path, length: int, *, link: bool) -> str:
    """Copy the first `length` bytes; the digest is over exactly these."""
    if link:
        os.link(source, target)
        return file_digest(target, length)
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("xb") as writing:
        left = length
        while left:
            piece = reading.read(min(left, _PIECE))
            if not piece:
                raise BackupRefused(f"a segment is shorter than what was committed: {source.name}")
            digest.update(piece)
            writing.write(piece)
            left -= len(piece)
        writing.flush()
        os.fsync(writing.fileno())
    target.chmod(0o600)
    return digest.hexdigest()


def file_digest(path: Path, length: int | None = None) -> str:
    """SHA-256 of a file, or of its first `length` bytes, in hex."""
    digest = hashlib.sha256()
    left = path.stat().st_size if length is None else length
    with path.open("rb") as file:
        while left and (piece := file.read(min(left, _PIECE))):
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest()


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
