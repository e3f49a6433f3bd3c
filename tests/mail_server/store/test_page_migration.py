"""A store of before the page: what is now kept twice is filled in, and nothing is told of before."""

from __future__ import annotations

import pytest
from alembic import command
from sqlalchemy import create_engine, text

from deploy.node.migrations.run import config_for, engine_url, migrate_mail
from mail_server.store.identifiers import thread_key
from mail_server.store.restore import renew_identities
from mail_server.store.settings import StoreSettings
from mail_server.store.store import connector_for

ACCOUNT = "a" * 20


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, tmp_path):
    """A database at the revision before."""
    url = (
        f"sqlite:///{tmp_path / 'x.db'}"
        if request.param == "sqlite"
        else request.getfixturevalue("make_postgresql_database")()
    )
    made = create_engine(engine_url(url))
    with made.begin() as connection:
        command.upgrade(config_for("mail", connection), "0002")
    yield made
    made.dispose()


def test_what_lies_there_is_filled_in(engine):
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO account_store VALUES (:a, 9, :k, 0, 0), (:b, 3, :k, 0, 0)"),
            {"a": ACCOUNT, "b": "b" * 20, "k": b"k"},
        )
        for number, size in ((1, 100), (2, 30)):
            connection.execute(
                text(
                    "INSERT INTO message (id, account_id, email_id, thread_id, form, state, blob_id, rendered, size,"
                    " received_at, created_modseq, modseq, coarse_class, closes_exchange, has_xdm, has_calendar, scan)"
                    " VALUES (:n, :a, :e, :t, 1, 0, :b, :b, :s, :at, 1, 1, 0, 0, 0, 0, 0)"
                ),
                {
                    "n": number,
                    "a": ACCOUNT,
                    "e": f"M{number}",
                    "t": f"T{number}",
                    "b": b"x",
                    "s": size,
                    "at": number,
                },
            )
        connection.execute(
            text(
                "INSERT INTO membership VALUES (7, 1, 1, 0, NULL, 1, 1, 0, 100), (7, 2, 2, 0, NULL, 1, 1, 0, 30)"
            )
        )
        connection.execute(text("INSERT INTO membership VALUES (8, 1, 1, 0, NULL, 1, 1, 0, 100)"))
    migrate_mail(engine.url.render_as_string(hide_password=False))
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT mailbox_id, uid, received_at, thread_key FROM membership ORDER BY 1, 2")
        ).all()
        accounts = connection.execute(
            text("SELECT octets, told_from, modseq FROM account_store ORDER BY account_id")
        ).all()
    one, two = thread_key("T1"), thread_key("T2")
    assert [tuple(row) for row in rows] == [(7, 1, 1, one), (7, 2, 2, two), (8, 1, 1, one)]
    assert [tuple(row) for row in accounts] == [(130, 9, 9), (0, 3, 3)]


def test_a_backup_of_before_can_be_put_back(engine, tmp_path):
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO account_store VALUES (:a, 9, :k, 0, 0)"), {"a": ACCOUNT, "k": b"k"}
        )
    url = engine.url.render_as_string(hide_password=False)
    if url.startswith("sqlite"):
        (tmp_path / "x.db").rename(tmp_path / "mail.db")
    database = "" if url.startswith("sqlite") else url.replace("+psycopg", "")
    settings = StoreSettings(database=database)
    driver = connector_for(settings, tmp_path).connect()
    driver.begin_write()
    renew_identities(driver)
    driver.commit()
    migrate_mail(settings.url(tmp_path))
    row = driver.one("SELECT modseq, told_from FROM account_store")
    driver.close()
    assert row[0] == row[1] > 9 << 20
