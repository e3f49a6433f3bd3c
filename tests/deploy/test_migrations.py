"""The migrations make exactly the tables the packages declare, on both databases, and may be run again."""

from __future__ import annotations

import sqlite3

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from deploy.node.migrations.environment import include_object
from deploy.node.migrations.metadata import directory_metadata, listings_metadata, mail_metadata
from deploy.node.migrations.run import (
    config_for,
    engine_url,
    migrate_directory,
    migrate_listings,
    migrate_mail,
)
from mail_server.conversations.roots import thread_root


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'x.db'}"
    return request.getfixturevalue("make_postgresql_database")()


@pytest.mark.parametrize("environment", ["mail", "directory", "listings"])
def test_migrations_and_tables_agree(url, environment):
    migrate, metadata = {
        "mail": (migrate_mail, mail_metadata()),
        "directory": (migrate_directory, [directory_metadata()]),
        "listings": (migrate_listings, [listings_metadata()]),
    }[environment]
    migrate(url)
    migrate(url)
    engine = create_engine(engine_url(url))
    with engine.connect() as connection:
        options = {"include_object": include_object, "compare_type": True}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    engine.dispose()
    assert differences == []


def test_tables_we_do_not_know_are_left_alone(url):
    engine = create_engine(engine_url(url))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE theirs (x INTEGER)"))
    migrate_mail(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM theirs")).scalar() == 0
    engine.dispose()


def test_a_sqlite_file_is_closed_to_others(tmp_path):
    migrate_mail(f"sqlite:///{tmp_path / 'x.db'}")
    assert (tmp_path / "x.db").stat().st_mode & 0o777 == 0o600


def test_a_migration_that_fails_leaves_nothing_half_done(tmp_path):
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE node_setting (x)")  # in the way of the first revision
    with pytest.raises(Exception, match="node_setting"):
        migrate_mail(f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert tables == ["node_setting"]


def test_exchanges_noted_by_their_thread_keep_it_as_their_root(url):
    engine = create_engine(engine_url(url))
    with engine.begin() as connection:
        command.upgrade(config_for("mail", connection), "0008")
        insert = text(
            "INSERT INTO conversation (patient, correspondent, thread_id, opener, opened_at, last_at, closed_at)"
            " VALUES ('p', :c, :t, 'gp', 1, 2, :closed)"
        )
        for who, thread, closed in (("gp", "T1", None), ("gp", "T2", 3), ("ward", "T1", None)):
            connection.execute(insert, {"c": who, "t": thread, "closed": closed})
    engine.dispose()
    migrate_mail(url)
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT correspondent, thread_id, root, closed_by FROM conversation ORDER BY 1, 2")
        ).all()
    engine.dispose()
    assert [(who, thread, bytes(root), by) for who, thread, root, by in rows] == [
        ("gp", "T1", thread_root("T1"), None),
        ("gp", "T2", thread_root("T2"), "gp"),
        ("ward", "T1", thread_root("T1"), None),
    ]


def test_accounts_and_letters_of_before_the_record_stay_as_they_are_and_copy_nothing(url):
    engine = create_engine(engine_url(url))
    with engine.begin() as connection:
        command.upgrade(config_for("mail", connection), "0013")
        _fill(connection, "account", {"id": "gp", "address": "gp@x.test"})
        _fill(connection, "message", {"account_id": "gp", "summary": b"sealed"})
        before = {table: _rows(connection, table) for table in ("account", "message")}
    engine.dispose()
    migrate_mail(url)
    migrate_mail(url)
    with engine.begin() as connection:
        after = {table: _rows(connection, table) for table in ("account", "message")}
        for table, rows in before.items():
            assert len(after[table]) == len(rows) == 1
            for was, is_now in zip(rows, after[table], strict=True):
                assert {**was, **is_now} == {**is_now, **was}, "what stands in both is the same in both"
                assert set(was) - set(is_now) == ({"manifest"} if table == "message" else set())
        assert (after["account"][0]["software"], after["account"][0]["copy_to_software"]) == ("", 0)
        for table in ("report_ledger", "report_morning", "report_wish", "wake"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0
    engine.dispose()


def _fill(connection, table, values):
    """One row: what is given, and something of its type for every other column that must have a value."""
    columns = inspect(connection).get_columns(table)
    made = {}
    for column in columns:
        name = column["name"]
        if name in values:
            made[name] = values[name]
        elif not column["nullable"] and column["default"] is None:
            python = column["type"].python_type
            made[name] = b"0123456789abcdef" if python is bytes else "x" if python is str else 1
    names = ", ".join(made)
    connection.execute(
        text(f"INSERT INTO {table} ({names}) VALUES ({', '.join(':' + name for name in made)})"), made
    )


def _rows(connection, table):
    return [dict(row) for row in connection.execute(text(f"SELECT * FROM {table}")).mappings()]
