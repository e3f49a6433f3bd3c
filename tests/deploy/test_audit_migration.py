"""The trace of before is written anew in its new form, with what it proved until then."""

from __future__ import annotations

import hashlib
import json

import pytest
from alembic import command
from sqlalchemy import create_engine, text

from deploy.node.migrations.run import engine_url, migrate_mail
from mail_server.store.settings import StoreSettings
from mail_server.store.store import connector_for
from policies.audit.query import Filter, find
from policies.audit.verify import verify


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'mail.db'}"
    return request.getfixturevalue("make_postgresql_database")()


def rows_of_before(number):
    previous = bytes(32)
    for seq in range(1, number + 1):
        action = "login" if seq % 2 else "read"
        fields = (
            "node",
            seq,
            seq * 1000,
            action,
            "martin",
            "martin",
            "done",
            f"M{seq}",
            "s",
            "192.0.2.1",
            '{"size":"3"}',
        )
        encoded = json.dumps(fields, ensure_ascii=True, separators=(",", ":"), sort_keys=True)
        digest = hashlib.sha256(b"vaguemestre audit 1\n" + previous + encoded.encode()).digest()
        yield (*fields, previous, digest)
        previous = digest


@pytest.mark.parametrize(
    ("damage", "state"), [("", "whole"), ("UPDATE audit_entry SET actor = 'x' WHERE seq = 7", "broken-at-7")]
)
def test_entries_of_before_are_chained_anew_and_the_old_head_is_told(
    url, tmp_path, monkeypatch, damage, state
):
    upgraded = command.upgrade
    with monkeypatch.context() as patch:
        patch.setattr(command, "upgrade", lambda config, revision: upgraded(config, "0009"))
        migrate_mail(url)
    engine = create_engine(engine_url(url))
    names = ("chain", "seq", "at", "action", "actor", "subject", "outcome", "reference", "session")
    names += ("network", "detail", "previous", "hash")
    insert = (
        f"INSERT INTO audit_entry ({', '.join(names)}) VALUES ({', '.join(':' + name for name in names)})"
    )
    rows = list(rows_of_before(2500))
    with engine.begin() as connection:
        connection.execute(text(insert), [dict(zip(names, row, strict=True)) for row in rows])
        if damage:
            connection.execute(text(damage))
    engine.dispose()

    migrate_mail(url)

    database = url if url.startswith("postgresql") else ""
    sql = connector_for(StoreSettings(database=database), tmp_path).connect()
    try:
        verdict = verify(sql, "node")
        assert (verdict.breaks, verdict.entries) == ([], 2501)
        found = find(sql, Filter(last=3000))
        told = next(entry for entry in found if entry.action == "audit-converted")
        assert told.details == {"count": "2500", "before": rows[-1][-1].hex(), "state": state}
        old = next(entry for entry in found if entry.seq == 2)
        assert (old.action, old.actor, old.at, old.reference) == ("read", "martin", 2000, "M2")
        assert old.details == {"size": "3", "first": "yes"}
        assert [entry.seq for entry in find(sql, Filter(party="martin", last=2))] == [2499, 2500]
    finally:
        sql.close()
