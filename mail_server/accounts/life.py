"""The life of an account: suspended and reinstated, allowed to practise or not, unused, closed.

Invariants: a change and its trace are one transaction, which names who made it, how and from where; whoever is
suspended, closed or no longer practising has no way in from that moment on; what is closed stays closed, and its
address is never given to somebody else; nothing is closed for lying unused but after its holder was told and let
the time to object go by; a login is an objection.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mail_server.accounts.book import SHARED
from mail_server.accounts.changes import AccountError, Change, What
from mail_server.accounts.interface import Account, Contact, Kind
from mail_server.accounts.known import now_ms
from mail_server.accounts.professionals import Professionals
from mail_server.store.interface import Sql, StoreError, Transaction
from mail_server.store.model import AccountId
from policies.interface import Event

_log = logging.getLogger("vaguemestre.accounts")
_DAY = 86_400_000  # ms
_REASON_LONGEST = 200
_SECTOR = re.compile(r"SA[0-9]{2}")  # TRE_R02: a word of one's own would open nothing, and say nothing
_WRITTEN_AFTER = 5.0  # seconds: logins that come together are written together


@dataclass(frozen=True, slots=True)
class Act:
    """Who changes the life of an account, by which means and from where (reference/mssante.md, row 68)."""

    by: str = "node"  # an account id, "console:<user>", "provider:<name>", "node"
    means: str = ""  # "console", "page", "provider"
    network: str = ""  # IP address they came from
    reason: str = ""  # a sentence, for administrators: never about a patient's health


@dataclass(frozen=True, slots=True)
class Life:
    """What is known of an account's life, from its row."""

    account: AccountId
    created: int
    last_login: int | None
    notified: int | None
    closed: int | None
    suspended_reason: str


class AccountLife(Professionals):
    """The part of the accounts that says who still is one."""

    _came_last: dict[AccountId, int]
    _unwritten: dict[AccountId, int]
    _soon_written: asyncio.Task[None] | None

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._came_last = {}
        self._unwritten = {}
        self._soon_written = None

    # -- suspended

    async def suspend(
        self, account: AccountId, by: str = "node", *, reason: str = "", means: str = "", network: str = ""
    ) -> None:
        """The account neither logs in, sends nor receives until it is reinstated. At once (row 68)."""
        act = Act(by, means, network, _sentence(reason))
        await self._live(
            account,
            "UPDATE account SET suspended = 1, suspended_reason = ? WHERE id = ?",
            (act.reason, account),
            "account-suspend",
            act,
            What.SUSPENDED,
        )

    async def reinstate(
        self, account: AccountId, by: str = "node", *, reason: str = "", means: str = "", network: str = ""
    ) -> None:
        if self._known(account).closed:
            raise AccountError("account-closed", "This account is closed for good: nothing opens it again.")
        await self._live(
            account,
            "UPDATE account SET suspended = 0, suspended_reason = '' WHERE id = ?",
            (account,),
            "account-reinstate",
            Act(by, means, network, _sentence(reason)),
            What.REINSTATED,
        )

    # -- the right to practise

    async def practice_set(
        self,
        account: AccountId,
        practising: bool,
        by: str = "node",
        *,
        reason: str = "",
        means: str = "",
        network: str = "",
    ) -> None:
        """A professional lost the right to practise, or has it again: every way in and the address follow (row 29)."""
        known = self._known(account)
        if known.kind is not Kind.PER:
            raise AccountError("not-a-person", "Only a professional (PER) has the right to practise.")
        if known.practising == practising:
            return
        await self._live(
            account,
            # Said by somebody: from then on it is not the national directory's word, which alone would undo it.
            "UPDATE account SET practising = ?, struck_off_at = CASE WHEN ? = 1 THEN struck_off_at END"
            " WHERE id = ?",
            (int(practising), int(practising), account),
            "practice-regained" if practising else "practice-lost",
            Act(by, means, network, _sentence(reason)),
            What.PRACTICE_REGAINED if practising else What.PRACTICE_LOST,
        )

    # -- who may write first

    async def contact_set(
        self, account: AccountId, contact: Contact, by: str = "node", *, means: str = "", network: str = ""
    ) -> None:
        """Which patients may write first to a professional or an organisation (rows 33 and 34)."""
        known = self._known(account)
        if known.kind in (Kind.PATIENT, Kind.APP):
            raise AccountError("no-contact", "Patients write first to professionals and organisations alone.")
        if contact is Contact.OPTED_IN and known.kind is not Kind.ORG:
            raise AccountError(
                "needs-organisation", "Only an organisation (ORG) can opt in for its customers."
            )
        await self._live(
            account,
            "UPDATE account SET contact = ? WHERE id = ?",
            (contact.value, account),
            "contact-set",
            Act(by, means, network),
            What.CHANGED,
            state=contact.value,
        )

    async def sector_set(
        self, account: AccountId, sector: str, by: str = "node", *, means: str = "", network: str = ""
    ) -> None:
        """Secteur d'activité of an organisation (TRE_R02): "SA33" is a dispensing pharmacy."""
        if self._known(account).kind not in SHARED:
            raise AccountError("not-shared", "Only an organisation (ORG, CAB) has a sector.")
        sector = sector.strip().upper()
        if sector and not _SECTOR.fullmatch(sector):
            raise AccountError("bad-sector", "A sector is a code of TRE_R02, such as SA33.")
        await self._live(
            account,
            "UPDATE account SET sector = ? WHERE id = ?",
            (sector, account),
            "sector-set",
            Act(by, means, network),
            What.CHANGED,
            state=sector,
        )

    # -- closed

    async def close(
        self, account: AccountId, by: str = "node", *, reason: str = "", means: str = "", network: str = ""
    ) -> None:
        """For good: neither logs in nor receives. Its letters stay as they lie, its address is not given again."""
        if self._known(account).closed:
            raise AccountError("account-closed", "This account is closed already.")
        act = Act(by, means, network, _sentence(reason))
        now = now_ms()

        def write(sql: Sql) -> None:
            sql.run("UPDATE account SET closed = ? WHERE id = ? AND closed IS NULL", (now, account))
            sql.run("DELETE FROM app_password WHERE account = ?", (account,))
            sql.run("DELETE FROM certificate_binding WHERE account = ?", (account,))

        await self._change(
            account, write, _event("account-close", account, act, now), Change(What.CLOSED, account)
        )

    # -- unused

    def came(self, account: AccountId, at: int | None = None) -> None:
        """Someone logged in to it, by whatever way: at most one write a day for each account."""
        now = now_ms() if at is None else at
        last = self._came_last.get(account)
        if last is not None and now - last < _DAY:
            return
        self._came_last[account] = now
        self._unwritten[account] = now
        if self._soon_written is None or self._soon_written.done():
            self._soon_written = asyncio.get_running_loop().create_task(self._write_soon_who_came())

    async def write_who_came(self) -> None:
        """Write the logins that are only in memory yet. To be called before the store stops."""
        due, self._unwritten = self._unwritten, {}
        if not due:
            return

        def write(tx: Transaction) -> None:
            objecting = [one for one in due if _was_notified(tx.sql, one)]
            tx.sql.many(
                "UPDATE account SET last_login = ?, notified = NULL WHERE id = ?",
                [(at, account) for account, at in due.items()],
            )
            events = [Event("inactivity-objection", due[one], one, one) for one in objecting]
            if events:
                self._audit.append(tx.sql, events)

        try:
            await self._store.write(write)
        except BaseException:
            self._unwritten = due | self._unwritten
            raise

    async def _write_soon_who_came(self) -> None:
        await asyncio.sleep(_WRITTEN_AFTER)
        try:
            await self.write_who_came()
        except StoreError as failure:  # the next login tries again
            _log.warning("last logins were not written (%s)", type(failure).__name__)

    async def lives(self) -> dict[AccountId, Life]:
        """What the rows say of every account."""
        rows = await self._store.read(
            lambda reader: reader.sql.all(
                "SELECT id, created, last_login, notified, closed, suspended_reason FROM account"
            )
        )
        return {AccountId(row[0]): _life(row) for row in rows}

    async def notified(self, account: AccountId, at: int, outcome: str = "done") -> None:
        """The holder was told that the account lies unused: from here on the time to object runs."""
        await self._live(
            account,
            "UPDATE account SET notified = ? WHERE id = ? AND closed IS NULL",
            (at, account),
            "inactivity-notice",
            Act(),
            What.CHANGED,
            outcome=outcome,
        )

    # -- inside

    async def _live(
        self,
        account: AccountId,
        statement: str,
        values: Iterable[Any],
        action: str,
        act: Act,
        what: What,
        *,
        outcome: str = "done",
        **detail: str,
    ) -> None:
        parameters = tuple(values)

        def write(sql: Sql) -> None:
            sql.run(statement, parameters)

        event = _event(action, account, act, now_ms(), outcome=outcome, **detail)
        await self._change(account, write, event, Change(what, account))


def in_service(account: Account) -> bool:
    """Whether the account may be used at all: neither suspended, nor closed, nor struck off."""
    return not account.suspended and not account.closed and account.practising


def _event(
    action: str, account: AccountId, act: Act, at: int, *, outcome: str = "done", **detail: str
) -> Event:
    told = {name: text for name, text in (("means", act.means), ("reason", act.reason)) if text}
    return Event(action, at, act.by, account, outcome=outcome, network=act.network, detail=told | detail)


def _sentence(reason: str) -> str:
    reason = " ".join(reason.split())
    if len(reason) > _REASON_LONGEST or not reason.isprintable():
        raise AccountError("bad-reason", f"A reason is a sentence of at most {_REASON_LONGEST} characters.")
    return reason


def _was_notified(sql: Sql, account: AccountId) -> bool:
    row = sql.one("SELECT notified FROM account WHERE id = ?", (account,))
    return row is not None and row[0] is not None


def _life(row: tuple[Any, ...]) -> Life:
    key, created, last_login, notified, closed, reason = row
    return Life(
        AccountId(key), int(created), _or_none(last_login), _or_none(notified), _or_none(closed), str(reason)
    )


def _or_none(value: Any) -> int | None:
    return None if value is None else int(value)
