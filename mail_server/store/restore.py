"""Puts a backup back into a home that has no store yet.

Invariants: every digest is verified before anything is placed; every UIDVALIDITY grows, the node's restore counter
and the modseq of each account with it, so that no client takes messages of after the backup for messages of before;
the keystore is no part of it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from mail_server.store.backup import (
    FORMAT,
    MANIFEST,
    POSTGRESQL_COPY,
    SQLITE_COPY,
    BackupRefused,
    Manifest,
    file_digest,
    without_password,
)
from mail_server.store.driver import Driver
from mail_server.store.home_lock import HomeLock
from mail_server.store.segments import sync_folder
from mail_server.store.settings import StoreSettings
from mail_server.store.store import connector_for, segments_folder

RESTORES = "restores"  # node_setting: how often this store was put back; part of the JMAP state
# Modseqs of after a restore begin at so many for each second since 1970: no account changes that often, so that a
# state seen before it, or after an earlier restore of the same backup, is never met again.
_CHANGES_A_SECOND = 1 << 20
_TELLS_CHANGES = "0003"  # the schema from which on `told_from` is there

Progress = Callable[[int, int], None]  # files placed, of all


def read_manifest(source: Path) -> Manifest:
    """Raises BackupRefused for what is no finished backup of ours."""
    try:
        document = cast(dict[str, Any], json.loads((source / MANIFEST).read_bytes()))
        manifest = Manifest(**document)
    except (OSError, ValueError, TypeError):
        raise BackupRefused(f"no finished backup: {source}") from None
    if manifest.format != FORMAT:
        raise BackupRefused("the backup is of another format")
    for name in manifest.digests:
        if name not in (SQLITE_COPY, POSTGRESQL_COPY) and Path("segments") / Path(name).name != Path(name):
            raise BackupRefused("the backup names files that are not the store's")
    return manifest


def restore_store(
    settings: StoreSettings, home: Path, source: Path, progress: Progress | None = None
) -> Manifest:
    """Blocks. The schema is the backup's: run the migrations afterwards."""
    manifest = read_manifest(source)
    dialect = "postgresql" if settings.is_postgresql() else "sqlite"
    if manifest.dialect != dialect:
        raise BackupRefused(f"the backup is of {manifest.dialect}, the configuration says {dialect}")
    for name, digest in manifest.digests.items():
        length = manifest.segments.get(Path(name).name)
        path = source / name
        if not path.is_file() or file_digest(path, length) != digest:
            raise BackupRefused(f"a file of the backup is damaged: {name}")
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with HomeLock(home):
        folder = segments_folder(home)
        if (home / "mail.db").exists() or (folder.exists() and any(folder.iterdir())):
            raise BackupRefused(f"a store lies there already: {home}")
        folder.mkdir(mode=0o700, exist_ok=True)
        for done, (name, length) in enumerate(manifest.segments.items()):
            _place(source / "segments" / name, folder / name, length)
            if progress is not None:
                progress(done + 1, len(manifest.segments))
        sync_folder(folder)
        if dialect == "sqlite":
            # Under another name until its UIDVALIDITYs are new: a restore cut short leaves no store.
            half = home / "mail.restoring"
            half.mkdir(mode=0o700, exist_ok=True)
            _place(source / SQLITE_COPY, half / "mail.db", None)
            _renew(settings, half)
            (half / "mail.db").replace(home / "mail.db")
            shutil.rmtree(half)
        else:
            load_postgresql(settings.database, source / POSTGRESQL_COPY)
            _renew(settings, home)
        sync_folder(home)
    return manifest


def renew_identities(driver: Driver) -> None:
    """Inside a write transaction: new UIDVALIDITYs, one more restore, modseqs that nobody has seen."""
    now = int(time.time())
    first = now * _CHANGES_A_SECOND
    driver.run(
        "UPDATE account_store SET modseq = CASE WHEN modseq >= ? THEN modseq + 1 ELSE ? END", (first, first)
    )
    version = driver.one("SELECT version_num FROM alembic_version")
    if version is not None and version[0] >= _TELLS_CHANGES:
        driver.run("UPDATE account_store SET told_from = modseq")  # else the migration that follows says so
    driver.run(
        "UPDATE mailbox SET uidvalidity = CASE WHEN uidvalidity >= ? THEN uidvalidity + 1 ELSE ? END",
        (now, now),
    )
    driver.run(
        "UPDATE account_store SET last_uidvalidity ="
        " CASE WHEN last_uidvalidity >= ? THEN last_uidvalidity + 1 ELSE ? END",
        (now, now),
    )
    row = driver.one("SELECT value FROM node_setting WHERE key = ?", (RESTORES,))
    count = 1 if row is None else int(bytes(row[0])) + 1
    driver.run(
        "INSERT INTO node_setting (key, value) VALUES (?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (RESTORES, b"%d" % count),
    )


def _renew(settings: StoreSettings, where: Path) -> None:
    driver = connector_for(settings, where).connect()
    try:
        driver.begin_write()
        renew_identities(driver)
        driver.commit()
    finally:
        driver.close()


def load_postgresql(database: str, dump: Path) -> None:
    """Into a database where none of it is. Raises BackupRefused."""
    program = shutil.which("pg_restore")
    if program is None:
        raise BackupRefused("pg_restore is not installed: install PostgreSQL's client programs")
    connection, environment = without_password(database)
    done = subprocess.run(
        [
            program,
            "--no-owner",
            "--exit-on-error",
            "--single-transaction",
            f"--dbname={connection}",
            str(dump),
        ],
        env=environment,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise BackupRefused("pg_restore failed: is the database empty?")


def _place(source: Path, target: Path, length: int | None) -> None:
    """Copy a file (its first `length` bytes) and make it durable."""
    with source.open("rb") as reading:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as writing:
            left = source.stat().st_size if length is None else length
            while left and (piece := reading.read(min(left, 4 * 1024 * 1024))):
                writing.write(piece)
                left -= len(piece)
            writing.flush()
            os.fsync(writing.fileno())
