"""The directory in a backup: certificates, keys and what waits to be published; a file, or tables of PostgreSQL.

The listings are in no backup: our own come back at the start, the national files by an import, other operators'
addresses when they publish again.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from deploy.node.config import Config
from deploy.node.failures import StartError
from deploy.node.home import Home
from deploy.node.migrations.metadata import listings_tables
from mail_server.store.backup import dump_postgresql, snapshot_sqlite
from mail_server.store.restore import load_postgresql

SQLITE_COPY = "directory.db"
POSTGRESQL_COPY = "directory.pgdump"


def copy_directory(config: Config, home: Home, to: Path) -> None:
    """Beside a running node. Raises BackupRefused."""
    if config.directory.is_postgresql():
        dump_postgresql(config.directory.database, to / POSTGRESQL_COPY, without=listings_tables())
    else:
        snapshot_sqlite(home.directory_database, to / SQLITE_COPY)


def restore_directory(config: Config, home: Home, source: Path) -> None:
    """Into a home, or a database, that holds no directory yet. Raises BackupRefused, StartError."""
    kept, other = SQLITE_COPY, POSTGRESQL_COPY
    if config.directory.is_postgresql():
        kept, other = other, kept
    if not (source / kept).exists():
        raise StartError(
            f"The configuration of this backup says that the directory lies in {kept}, and it holds {other}."
            if (source / other).exists()
            else f"{source} holds no directory."
        )
    if config.directory.is_postgresql():
        load_postgresql(config.directory.database, source / kept)
    else:
        shutil.copy2(source / kept, home.directory_database)
