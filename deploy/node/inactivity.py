"""Mailboxes nobody comes to: their holders are told, may object by logging in, then the mailbox is closed (row 28).

The notice is a command of the operator's own (a mail program, a letter to print), named in `[life]` and run without a
shell: the address and the last day are its arguments and in its environment, and nothing else is. Without one it goes
to the holder's ordinary address, where the node sends notices and knows one (`webmail.notices`).

Invariants: what was not told is never closed; a mailbox whose people came since is told nothing and not closed; one
notice that fails stops no other, and is tried again a day later; a patient's space never ends for lying unused.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from mail_server.accounts.book import SHARED
from mail_server.accounts.changes import AccountError
from mail_server.accounts.interface import Account, Kind
from mail_server.accounts.life import Life
from mail_server.accounts.service import AccountService
from mail_server.store.model import AccountId
from policies.interface import Event

_log = logging.getLogger("vaguemestre.node")
DAY = 86_400_000  # ms
_MONTH = 30.44 * DAY


class LifeSettings(BaseModel):
    """`[life]`"""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inactivity_months: int = Field(
        default=12,
        ge=1,
        le=12,
        description="Months without a login after which a mailbox's holder is told that it will be closed.",
    )
    notice_command: tuple[str, ...] = Field(
        default=(),
        description=(
            "What tells them: a program and its arguments, run without a shell. {address} and {until} (YYYY-MM-DD) are "
            "replaced; VAGUEMESTRE_ADDRESS and VAGUEMESTRE_UNTIL say the same. None: the smarthost of [notices] "
            "tells who has an ordinary address; without it nobody is told, nothing is closed."
        ),
    )
    notice_seconds: float = Field(default=30, gt=0, le=600, description="How long that program may take.")
    objection_days: int = Field(
        default=30, ge=7, le=365, description="Days to object, by logging in, before the mailbox is closed."
    )


@dataclass(frozen=True, slots=True)
class Unused:
    """A mailbox nobody came to for too long."""

    account: Account
    last: int  # ms: the last login, or when it was made
    came: int | None  # ms: the last login; None: nobody ever came
    made: int  # ms
    notified: int | None
    closes: int | None  # ms; None: its holder was not told yet


@dataclass(frozen=True, slots=True)
class Swept:
    """What one look did; addresses."""

    told: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()


class Inactivity:
    def __init__(
        self,
        settings: LifeSettings,
        accounts: AccountService,
        audit: Callable[[Sequence[Event]], None],
        clock: Callable[[], int],
        closing: Callable[[Account], None] = lambda _: None,
        by_mail: Callable[[AccountId, int], Awaitable[bool]] | None = None,
    ) -> None:
        """`closing` is told of each account that is about to be closed (its certificate is withdrawn); `by_mail`
        tells a holder at their ordinary address, where the operator names no program; False: none is known."""
        self._settings = settings
        self._accounts = accounts
        self._audit = audit
        self._clock = clock
        self._closing = closing
        self._by_mail = by_mail
        self._failed_at: dict[AccountId, int] = {}

    async def unused(self) -> list[Unused]:
        """Everyone nobody came to, the longest first."""
        await self._accounts.write_who_came()  # a login of a moment ago is an objection too
        lives = await self._accounts.lives()
        since = self._clock() - int(self._settings.inactivity_months * _MONTH)
        found: list[Unused] = []
        for account in self._accounts.all():
            if account.kind is Kind.PATIENT or account.closed or account.suspended:
                continue
            own = lives.get(account.id)
            if own is None:
                continue
            came = _last_login(account, lives)
            last = max(own.created, came or 0)
            if last > since:
                continue
            notified = own.notified
            closes = notified + self._settings.objection_days * DAY if notified is not None else None
            found.append(Unused(account, last, came, own.created, notified, closes))
        return sorted(found, key=lambda one: (one.last, one.account.address))

    async def sweep(self) -> Swept:
        """Tell who was not told, close whose time to object is over."""
        told: list[str] = []
        failed: list[str] = []
        closed: list[str] = []
        for one in await self.unused():
            address = one.account.address
            if one.closes is None:
                if self._can_tell and self._due_again(one.account.id):
                    (told if await self._tell(one.account) else failed).append(address)
            elif self._clock() >= one.closes and await self._close(one.account):
                closed.append(address)
        return Swept(tuple(told), tuple(failed), tuple(closed))

    @property
    def _can_tell(self) -> bool:
        return bool(self._settings.notice_command) or self._by_mail is not None

    def _due_again(self, account: AccountId) -> bool:
        return self._clock() - self._failed_at.get(account, -DAY) >= DAY

    async def _tell(self, account: Account) -> bool:
        now = self._clock()
        until = now + self._settings.objection_days * DAY
        if self._settings.notice_command:
            outcome = await run_notice(
                self._settings.notice_command,
                {
                    "address": account.address,
                    "until": f"{datetime.fromtimestamp(until / 1000, UTC):%Y-%m-%d}",
                },
                self._settings.notice_seconds,
            )
        else:
            laid = self._by_mail is not None and await self._by_mail(account.id, until)
            outcome = "done" if laid else "no-ordinary-address"
        if outcome == "done":
            self._failed_at.pop(account.id, None)
            await self._accounts.notified(account.id, now)
            return True
        self._failed_at[account.id] = now
        self._audit([Event("inactivity-notice", now, "node", account.id, outcome=outcome)])
        _log.warning("a notice of inactivity was not given (%s)", outcome)
        return False

    async def _close(self, account: Account) -> bool:
        await asyncio.to_thread(self._closing, account)
        try:
            await self._accounts.close(account.id, "node", reason="inactivity", means="inactivity")
        except AccountError:
            return False  # closed by somebody else meanwhile
        return True


async def run_notice(command: Sequence[str], values: Mapping[str, str], seconds: float) -> str:
    """Run the operator's program. "done", or a slug of what went wrong; its output is not kept: it may name people."""
    arguments = [_filled(each, values) for each in command]
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
    environment |= {f"VAGUEMESTRE_{name.upper()}": value for name, value in values.items()}
    nowhere = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *arguments, stdin=nowhere, stdout=nowhere, stderr=nowhere, env=environment, start_new_session=True
        )
    except (OSError, ValueError):
        return "notice-not-started"
    try:
        async with asyncio.timeout(seconds):
            code = await process.wait()
    except TimeoutError:
        return "notice-too-slow"
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return "done" if code == 0 else "notice-failed"


def _filled(argument: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        argument = argument.replace("{" + name + "}", value)
    return argument


def _last_login(account: Account, lives: Mapping[AccountId, Life]) -> int | None:
    """When the holder last came, or, to a shared mailbox, any of its readers. None: nobody ever did."""
    people = [grant.person for grant in account.grants] if account.kind in SHARED else []
    came = [life.last_login for one in (account.id, *people) if (life := lives.get(one)) is not None]
    return max((at for at in came if at), default=None)
