"""Listings on both databases, with a schema that migrations made."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from deploy.node.migrations.run import migrate_listings
from directory.listings.database import ListingsDatabase


@pytest.fixture(scope="session")
def empty_listings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("listings") / "empty.db"
    migrate_listings(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def listings_template(make_postgresql_database: Callable[..., str]) -> str:
    """Name of a PostgreSQL database that others are copied from."""
    url = make_postgresql_database()
    migrate_listings(url)
    return make_url(url).database or ""


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ListingsDatabase]:
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("empty_listings"), tmp_path / "listings.db")
        opened = ListingsDatabase(tmp_path / "listings.db")
    else:
        make: Callable[..., str] = request.getfixturevalue("make_postgresql_database")
        opened = ListingsDatabase(make(request.getfixturevalue("listings_template")))
    yield opened
    opened.close()
