"""Databases with the newest schema, made once: a file to copy, and a template of others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from deploy.node.migrations.run import migrate_mail


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "mail.db"
    migrate_mail(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgresql(make_postgresql_database: Callable[..., str]) -> str:
    """Name of a migrated database, to be a template of others."""
    url = make_postgresql_database()
    migrate_mail(url)
    with psycopg.connect(url) as connection:
        return connection.info.dbname
