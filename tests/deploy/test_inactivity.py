"""A mailbox nobody comes to: told by the operator's own program, closed once the time to object is over."""

from __future__ import annotations

import secrets
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa

import mail_server.accounts.tables
import mail_server.store.tables
import policies.audit.tables
from deploy.node.inactivity import DAY, Inactivity, LifeSettings, run_notice
from mail_server.accounts.interface import Account, Kind
from mail_server.accounts.known import now_ms
from mail_server.accounts.service import AccountService
from mail_server.accounts.settings import AccountsSettings
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.store.settings import StoreSettings
from mail_server.store.store import open_store
from policies.audit.trail import ChainedTrail
from policies.interface import Event

DOMAIN = "chu.test"
YEAR = 366 * DAY
# Writes its arguments and what it finds in its environment, one a line.
TELL = (
    "import os, sys; open(sys.argv[1], 'a').write("
    "f\"{sys.argv[2]} {sys.argv[3]} {os.environ['VAGUEMESTRE_ADDRESS']} {os.environ['VAGUEMESTRE_UNTIL']}\\n\")"
)


@dataclass
class Office:
    accounts: AccountService
    folder: Path
    now: int = field(default_factory=now_ms)
    events: list[Event] = field(default_factory=list[Event])
    withdrawn: list[str] = field(default_factory=list[str])

    def inactivity(self, *command: str) -> Inactivity:
        settings = LifeSettings(
            notice_command=command
            or (sys.executable, "-c", TELL, str(self.folder / "told"), "{address}", "{until}"),
            objection_days=30,
        )
        return Inactivity(
            settings,
            self.accounts,
            self.events.extend,
            lambda: self.now,
            lambda account: self.withdrawn.append(account.address),
        )

    @property
    def told(self) -> list[str]:
        file = self.folder / "told"
        return file.read_text().splitlines() if file.exists() else []

    def account(self, account: Account) -> Account:
        found = self.accounts.by_id(account.id)
        assert found is not None
        return found


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    settings = StoreSettings(free_space_floor=0)
    engine = sa.create_engine(settings.url(tmp_path))
    for package in (mail_server.store.tables, mail_server.accounts.tables, policies.audit.tables):
        package.metadata.create_all(engine)
    engine.dispose()
    keys = AesKeyWrapper(secrets.token_bytes(32))
    store = open_store(settings, tmp_path, keys)
    await store.start()
    accounts = AccountService(
        store, ChainedTrail("node"), AccountsSettings(domains=(DOMAIN,), test_patients=True), keys=keys
    )
    await accounts.start()
    yield Office(accounts, tmp_path)
    await accounts.flush()
    await store.stop()


async def test_who_came_within_the_time_is_left_alone(office: Office) -> None:
    await office.accounts.add(f"gp@{DOMAIN}", Kind.PER)
    office.now += YEAR - 10 * DAY
    swept = await office.inactivity().sweep()
    assert (swept.told, swept.closed) == ((), ())
    assert office.told == []


async def test_who_did_not_come_is_told_once_with_the_last_day(office: Office) -> None:
    await office.accounts.add(f"gp@{DOMAIN}", Kind.PER)
    office.now += YEAR
    inactivity = office.inactivity()
    assert (await inactivity.sweep()).told == (f"gp@{DOMAIN}",)
    assert (await inactivity.sweep()).told == ()
    (line,) = office.told
    address, until, named, last_day = line.split(" ")
    assert (address, until) == (named, last_day) == (f"gp@{DOMAIN}", until)
    (one,) = await inactivity.unused()
    assert one.closes == office.now + 30 * DAY


async def test_who_does_not_object_is_closed_and_published_no_more(office: Office) -> None:
    gp = await office.accounts.add(f"gp@{DOMAIN}", Kind.PER)
    office.now += YEAR
    inactivity = office.inactivity()
    await inactivity.sweep()
    office.now += 30 * DAY - 1
    assert (await inactivity.sweep()).closed == ()
    office.now += 1
    assert (await inactivity.sweep()).closed == (f"gp@{DOMAIN}",)
    assert office.account(gp).closed
    assert office.withdrawn == [f"gp@{DOMAIN}"]


async def test_a_login_is_an_objection(office: Office) -> None:
    gp = await office.accounts.add(f"gp@{DOMAIN}", Kind.PER)
    office.now += YEAR
    inactivity = office.inactivity()
    await inactivity.sweep()
    office.accounts.came(gp.id, office.now + DAY)
    assert await inactivity.unused() == []  # at once: an administrator who looks is not told of her any more
    office.now += 31 * DAY
    assert (await inactivity.sweep()).closed == ()
    assert not office.account(gp).closed


async def test_without_a_program_nobody_is_told_and_nothing_is_closed(office: Office) -> None:
    gp = await office.accounts.add(f"gp@{DOMAIN}", Kind.PER)
    inactivity = Inactivity(LifeSettings(), office.accounts, office.events.extend, lambda: office.now)
    for _ in range(3):
        office.now += YEAR
        swept = await inactivity.sweep()
        assert (swept.told, swept.closed) == ((), ())
    assert not office.account(gp).closed


async def test_a_notice_that_fails_is_traced_tried_a_day_later_and_closes_nothing(office: Office) -> None:
    gp = await office.accounts.add(f"gp@{DOMAIN}", Kind.PER)
    office.now += YEAR
    inactivity = office.inactivity(sys.executable, "-c", "raise SystemExit(3)")
    assert (await inactivity.sweep()).failed == (f"gp@{DOMAIN}",)
    assert (await inactivity.sweep()).failed == ()
    office.now += DAY
    assert (await inactivity.sweep()).failed == (f"gp@{DOMAIN}",)
    assert [(event.action, event.outcome) for event in office.events] == [
        ("inactivity-notice", "notice-failed")
    ] * 2
    office.now += 60 * DAY
    await inactivity.sweep()
    assert not office.account(gp).closed


async def test_a_shared_mailbox_is_used_when_one_of_its_members_comes(office: Office) -> None:
    ward = await office.accounts.add(f"ward@{DOMAIN}", Kind.ORG)
    nurse = await office.accounts.add(f"nurse@{DOMAIN}", Kind.PER)
    await office.accounts.member_add(ward.id, nurse.id)
    office.now += YEAR
    office.accounts.came(nurse.id, office.now - DAY)
    assert (await office.inactivity().sweep()).told == ()


async def test_who_never_came_has_a_day_of_making_and_none_of_a_login(office: Office) -> None:
    await office.accounts.add(f"new@{DOMAIN}", Kind.PER)
    once = await office.accounts.add(f"once@{DOMAIN}", Kind.PER)
    login = office.now + DAY
    office.accounts.came(once.id, login)
    office.now += YEAR + 2 * DAY
    never, came = await office.inactivity().unused()
    assert (never.account.address, never.came, never.last) == (f"new@{DOMAIN}", None, never.made)
    assert (came.account.address, came.came, came.last) == (once.address, login, login)
    assert came.made < login


async def test_a_suspended_account_keeps_its_place(office: Office) -> None:
    gp = await office.accounts.add(f"gp@{DOMAIN}", Kind.PER)
    await office.accounts.suspend(gp.id, reason="essai")
    office.now += YEAR
    assert await office.inactivity().unused() == []


async def test_no_shell_ever_sees_an_address(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    values = {"address": f"a$(touch {mark})`touch {mark}`;touch {mark}@x", "until": "2027-01-01"}
    command = (sys.executable, "-c", "import sys; sys.exit(sys.argv[1] != sys.argv[1])", "{address}")
    assert await run_notice(command, values, 30) == "done"
    assert not mark.exists()


@pytest.mark.parametrize(
    ("command", "seconds", "outcome"),
    [
        ((sys.executable, "-c", "import time; time.sleep(60)"), 0.2, "notice-too-slow"),
        (("/nowhere/at/all",), 5, "notice-not-started"),
        ((sys.executable, "-c", "raise SystemExit(1)"), 30, "notice-failed"),
    ],
)
async def test_a_program_that_fails_is_told_by_a_word(
    command: tuple[str, ...], seconds: float, outcome: str
) -> None:
    assert await run_notice(command, {"address": "a@b", "until": "2027-01-01"}, seconds) == outcome
