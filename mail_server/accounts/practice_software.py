"""The practice's software: which account it has, and whether copies of documents are made for it.

An administrator names the account (APP); the holder of the mailbox alone switches the copies on, since from then on
what is copied can be read by the software and by the operator (delivery/software.py).

Invariants: copies are off until the holder switched them on, and off again whenever another software is named; only an
APP account in service is named; each change is in the trace with who made it.
"""

from __future__ import annotations

from mail_server.accounts.book import SHARED
from mail_server.accounts.changes import AccountError, Change, What
from mail_server.accounts.interface import Kind
from mail_server.accounts.known import now_ms
from mail_server.accounts.struck_off import StruckOff
from mail_server.store.interface import Sql
from mail_server.store.model import AccountId
from policies.interface import Event

TAKES_COPIES = SHARED | {Kind.PER}


class PracticeSoftware(StruckOff):
    async def software_set(
        self,
        account: AccountId,
        software: AccountId | None,
        by: str = "node",
        *,
        means: str = "",
        network: str = "",
    ) -> None:
        """Name the software's account, or none. Raises AccountError."""
        known = self._known(account)
        if known.kind not in TAKES_COPIES:
            raise AccountError("no-software", "Professionals and organisations alone have practice software.")
        if software is not None:
            named = self._known(software)
            if named.kind is not Kind.APP or named.closed:
                raise AccountError("not-software", "Practice software has an account of kind APP.")
        if known.software == software:
            return

        def write(sql: Sql) -> None:
            # Who agreed to copies agreed to these being read by that software, and by no other.
            sql.run(
                "UPDATE account SET software = ?, copy_to_software = 0 WHERE id = ?",
                (software or "", account),
            )

        detail = {"account": software or "", "means": means}
        event = Event(
            "software-set",
            now_ms(),
            by,
            account,
            network=network,
            detail={name: told for name, told in detail.items() if told},
        )
        await self._change(account, write, event, Change(What.CHANGED, account))

    async def copies_set(
        self, account: AccountId, on: bool, by: str, *, session: str = "", network: str = ""
    ) -> None:
        """The holder's switch. Raises AccountError."""
        known = self._known(account)
        if on and known.software is None:
            raise AccountError("no-software", "No practice software is named for this mailbox.")
        if known.copy_to_software == on:
            return
        software = known.software or ""

        def write(sql: Sql) -> None:
            # Another software may have been named meanwhile: nobody agreed to that one.
            done = sql.run(
                "UPDATE account SET copy_to_software = ? WHERE id = ? AND software = ?",
                (int(on), account, software),
            )
            if not done:
                raise AccountError("try-again", "The practice software was changed at the same time.")

        event = Event(
            "software-copies",
            now_ms(),
            by,
            account,
            session=session,
            network=network,
            detail={"state": "on" if on else "off", "account": software},
        )
        await self._change(account, write, event, Change(What.CHANGED, account))
