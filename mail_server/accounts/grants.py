"""Who reads an account that is not theirs: members of a shared one, delegates of a person, with rights and an end.

Invariants: every reader is a person (PER) with an account, and so a key, of their own; a grant counts from its
`since` up to its `until`, by the clock, and whoever asks in between needs no sweep to be right; one whose time is
over is removed once, with its entry in the trace; a patient's space and a system's account are shared with nobody.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from mail_server.accounts.book import SHARED, Record
from mail_server.accounts.changes import AccountError, Change, What
from mail_server.accounts.entities import EVERY_RIGHT, MEMBER_RIGHTS
from mail_server.accounts.interface import Account, Grant, Kind, Role
from mail_server.accounts.known import read_record
from mail_server.accounts.spaces import PatientSpaces
from mail_server.store.interface import StoreError, Transaction
from mail_server.store.model import AccountId
from policies.interface import Event

_log = logging.getLogger("vaguemestre.accounts")
SWEEP_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class _Step:
    """What is written of one account, traced and then told."""

    write: Callable[[Transaction], None]
    events: tuple[Event, ...]
    changes: tuple[Change, ...]


class Grants(PatientSpaces):
    """The part of the accounts that concerns readers."""

    _swept_at: int = 0

    async def grant_set(
        self,
        account: AccountId,
        person: AccountId,
        role: Role,
        rights: str,
        until: int | None,
        by: str,
        *,
        since: int | None = None,
    ) -> Grant:
        """Let a person read an account, or change how. Raises AccountError."""
        holder = self._known(account)
        self._needs_role(holder, role)
        self._needs_reader(holder, person)
        now = self.clock()
        before = next((each for each in holder.grants if each.person == person), None)
        begins = since if since is not None else before.since if before is not None else now
        if until is not None and until <= max(now, begins):
            raise AccountError("bad-end", "The end lies in the past, or before the beginning.")
        made = Grant(person, role, sorted_rights(rights), begins, until)

        def write(tx: Transaction) -> None:
            tx.sql.run(
                "INSERT INTO account_member (account, member, since, role, rights, until) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (account, member) DO UPDATE SET since = excluded.since, role = excluded.role,"
                " rights = excluded.rights, until = excluded.until",
                (account, person, begins, role.value, made.rights, until),
            )

        action = f"{role.value}-add" if before is None else f"{role.value}-change"
        detail = {"member": person, "rights": made.rights}
        if until is not None:
            detail["until"] = str(until)
        if begins > now:
            detail["since"] = str(begins)
        told = Change(What.MEMBER_ADDED if before is None else What.CHANGED, account, person)
        await self._take(account, _Step(write, (Event(action, now, by, account, detail=detail),), (told,)))
        return made

    async def grant_end(self, account: AccountId, person: AccountId, by: str) -> None:
        """From the next letter on, nothing of the account is for this person. Raises AccountError."""
        found = next((each for each in self._known(account).grants if each.person == person), None)
        if found is None:
            raise AccountError("not-a-member", "This person is not a reader of it.")
        await self._take(account, self._ending(account, found, by, "done"))

    async def seen_per_person_set(self, account: AccountId, on: bool, by: str) -> None:
        """Whether each reader has their own \\Seen and subscriptions there. Raises AccountError."""
        if self._known(account).kind not in SHARED | {Kind.PER}:
            raise AccountError("not-shared", "This account has one reader alone.")
        mode = "per-person" if on else "common"

        def write(tx: Transaction) -> None:
            tx.sql.run("UPDATE account SET seen_per_person = ? WHERE id = ?", (int(on), account))

        event = Event("seen-set", self.clock(), by, account, detail={"mode": mode})
        await self._take(account, _Step(write, (event,), (Change(What.CHANGED, account),)))

    # -- members of a shared account, in the words of before

    async def member_add(self, shared: AccountId, person: AccountId, by: str = "node") -> None:
        """Make a person a reader of a shared account, from the next message on."""
        await self.grant_set(shared, person, Role.MEMBER, MEMBER_RIGHTS, None, by)

    async def member_remove(self, shared: AccountId, person: AccountId, by: str = "node") -> None:
        """From the next message on, nothing of the shared account is for this person."""
        self._needs_role(self._known(shared), Role.MEMBER)
        await self.grant_end(shared, person, by)

    # -- time

    async def sweep_grants(self) -> None:
        """Remove the grants whose time is over; tell those whose time has come."""
        now, before = self.clock(), self._swept_at
        self._swept_at = now
        for holder in self.all():
            for grant in holder.grants:
                if grant.until is not None and grant.until <= now and grant.rights:
                    await self._take(holder.id, self._ending(holder.id, grant, "node", "ended"))
                elif before and before < grant.since <= now:
                    self._announce(Change(What.MEMBER_ADDED, holder.id, grant.person))

    async def watch_grants(self) -> None:
        """Sweep for as long as the node serves."""
        while True:
            try:
                await self.sweep_grants()
            except (AccountError, StoreError) as failure:  # rights are right without it: tried again
                _log.error("readers whose time is over were not removed (%s)", type(failure).__name__)
            await asyncio.sleep(SWEEP_SECONDS)

    # -- inside

    def _ending(self, account: AccountId, grant: Grant, by: str, outcome: str) -> _Step:
        # A shared account whose last reader's time is over is not one that never had any: its letters wait at their
        # sender's for somebody to be let in, and are not laid down openable by the operator. So the row stays.
        stays = outcome == "ended" and grant.role is Role.MEMBER
        statement = "UPDATE account_member SET rights = ''" if stays else "DELETE FROM account_member"

        def write(tx: Transaction) -> None:
            gone = tx.sql.run(
                f"{statement} WHERE account = ? AND member = ? AND since = ?",
                (account, grant.person, grant.since),
            )
            if not gone:
                raise AccountError("not-a-member", "This person is not a reader of it.")
            tx.forget_reader(account, grant.person)

        event = Event(
            f"{grant.role.value}-remove",
            self.clock(),
            by,
            account,
            outcome,
            detail={"member": grant.person},
        )
        return _Step(write, (event,), (Change(What.MEMBER_REMOVED, account, grant.person),))

    async def _take(self, account: AccountId, step: _Step) -> None:
        async with self._writing:

            def operation(tx: Transaction) -> Record:
                step.write(tx)
                self._audit.append(tx.sql, list(step.events))
                return read_record(tx.sql, account, self._opener())

            self._book.put(await self._store.write(operation))
        for change in step.changes:
            self._announce(change)

    def _needs_role(self, holder: Account, role: Role) -> None:
        if role is Role.MEMBER and holder.kind not in SHARED:
            raise AccountError("not-shared", "Only a shared account (ORG, CAB) has members.")
        if role is Role.DELEGATE and holder.kind is not Kind.PER:
            raise AccountError("not-a-person", "Only a personal account (PER) has delegates.")

    def _needs_reader(self, holder: Account, person: AccountId) -> None:
        found = self._known(person)
        if found.kind is not Kind.PER:
            raise AccountError("not-a-person", "Only a personal account (PER) can be a reader.")
        if found.id == holder.id:
            raise AccountError("own-account", "This is their own account.")
        if found.closed:
            raise AccountError("closed", "This account is closed for good.")


def role_for(kind: Kind) -> Role:
    """Who reads an account of this kind beside its holder."""
    return Role.DELEGATE if kind is Kind.PER else Role.MEMBER


def sorted_rights(letters: str) -> str:
    """RFC 4314 letters, each once, in the order of the alphabet. Raises AccountError."""
    chosen = set(letters.lower())
    if not chosen or not chosen <= set(EVERY_RIGHT):
        raise AccountError("bad-rights", f"Rights are letters out of {EVERY_RIGHT} (RFC 4314).")
    return "".join(sorted(chosen))
