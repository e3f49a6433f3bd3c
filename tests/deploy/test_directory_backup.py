"""What of the directory is in a backup, and what comes back without one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.demo import people
from deploy.node.composition import now, opened
from deploy.node.config import load
from deploy.node.control import unheard
from deploy.node.home import Home
from deploy.node.recovery import backup_node, restore_home
from directory.listings.writing import put_mailboxes
from directory.model import Kind as Listed
from directory.model import Mailbox
from mail_server.accounts.interface import Kind
from tests.worlds import new_home

DOMAIN = "mss.essai.test"
ZOE = f"zoe.martin@{DOMAIN}"


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest, make_postgresql_database: Callable[..., str]) -> list[str]:
    """Where the directory lies, and where it is put back."""
    return ["", ""] if request.param == "sqlite" else [make_postgresql_database(), make_postgresql_database()]


async def test_certificates_are_in_a_backup_and_listings_come_back_by_themselves(
    databases: list[str], tmp_path: Path
) -> None:
    sections = {"directory": {"database": databases[0]}}
    home = await asyncio.to_thread(new_home, tmp_path, DOMAIN, sections)
    key = people.make_key("Zoé Martin", ZOE, "phrase", tmp_path / "keys")
    async with opened(Home(home), load(home / "vaguemestre.toml")) as node:
        zoe = await node.accounts.add(ZOE, Kind.PER)
        await node.profiles.change(zoe, {"given_name": "Zoé", "family_name": "Martin"}, "node")
        certificate = node.directory.publish(ZOE, key.public.read_bytes(), now())
        elsewhere = Mailbox("eve@ailleurs.test", Listed.PER, family="Dumas")
        node.listings_database.write(lambda sql: put_mailboxes(sql, [elsewhere], at=now()))
        await node.own_listings.sync()
        await backup_node(node, tmp_path / "backup", None, unheard)
    held = b"".join(path.read_bytes() for path in (tmp_path / "backup").rglob("*") if path.is_file())
    assert b"eve@ailleurs.test" not in held
    assert not list((tmp_path / "backup").glob("listings*"))
    again = tmp_path / "again"
    settings = tmp_path / "backup" / "vaguemestre.toml"
    settings.write_text(settings.read_text().replace(databases[0] or "-", databases[1] or "-"))
    await restore_home(tmp_path / "backup", again, None)
    async with opened(Home(again), load(again / "vaguemestre.toml")) as node:
        assert node.directory.published(ZOE) is not None
        assert node.directory.history(ZOE)[0].fingerprint == certificate.fingerprint
        await node.own_listings.sync()
        rows = node.listings_database.read(lambda sql: sql.all("SELECT address, given, family FROM card"))
        assert rows == [(ZOE, "Zoé", "Martin")]
