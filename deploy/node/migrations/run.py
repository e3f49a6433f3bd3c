"""Runs the migrations from code (`init`, start of `serve`).

Invariants: several nodes that start at once migrate one after the other; a migration is whole or not at all; a
new SQLite file is closed to other users from the first byte.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text

_HERE = Path(__file__).parent
_LOCK = 0x766D6D67  # an arbitrary number for PostgreSQL's advisory lock


def migrate_mail(url: str) -> None:
    """Bring mail.db to the newest schema; `url` is StoreSettings.url(home)."""
    _migrate("mail", url)


def migrate_directory(url: str) -> None:
    """Bring directory.db to the newest schema."""
    _migrate("directory", url)


def migrate_listings(url: str) -> None:
    """Bring listings.db, or its tables in PostgreSQL, to the newest schema."""
    _migrate("listings", url)


def config_for(environment: str, connection: Connection) -> Config:
    """Alembic's configuration of one environment, on an open connection."""
    config = Config()
    config.set_main_option("script_location", str(_HERE / environment).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def engine_url(url: str) -> str:
    """SQLAlchemy's spelling, with psycopg 3 named."""
    parsed = make_url(url)
    if parsed.get_backend_name() in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed.render_as_string(hide_password=False)


def _migrate(environment: str, url: str) -> None:
    if url.startswith("sqlite:///"):
        _make_file(Path(url.removeprefix("sqlite:///")))
    engine = create_engine(engine_url(url))
    if engine.dialect.name == "sqlite":
        _begin_explicitly(engine)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
            command.upgrade(config_for(environment, connection), "head")
    finally:
        engine.dispose()


def _make_file(path: Path) -> None:
    path.touch(mode=0o600)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _begin_explicitly(engine: Engine) -> None:
    """Python's driver would commit before each CREATE TABLE; with our own BEGIN a migration is whole."""

    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)
