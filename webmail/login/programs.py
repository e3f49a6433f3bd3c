"""Passwords of mail programs, as their holder makes and ends them in the page.

Invariant: one is made only where the rules allow it, in a session that is fresh and strong; else the refusal is traced.
"""

from __future__ import annotations

from dataclasses import dataclass

from mail_server.accounts.app_passwords import AppPassword, NewAppPassword
from mail_server.accounts.changes import AccountError
from mail_server.accounts.entities import account_entity
from mail_server.accounts.interface import Account, Kind
from policies import questions
from webmail.login.ground import Ground, Visitor
from webmail.login.problems import Problem
from webmail.login.sessions import PageSession

_DAY = 86_400_000
PROGRAMS = ("imap", "submission", "jmap", "ldap")


@dataclass(frozen=True, slots=True)
class WantedPassword:
    """A password of a mail program, as its holder bounds it."""

    label: str
    protocols: tuple[str, ...] = PROGRAMS
    days: int = 90
    network: str = ""


class Programs:
    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def passwords(self, session: PageSession) -> list[tuple[AppPassword, int | None]]:
        account = self._of_a_professional(session)
        accounts = self._ground.accounts
        return [(each, accounts.last_used(each)) for each in accounts.app_passwords(account.id)]

    def may_add(self, session: PageSession) -> str:
        """The rule that stands in the way; "" when none does."""
        ground = self._ground
        person = account_entity(ground.account(session))
        asked = questions.may_make_app_password(
            person,
            person,
            acr=session.acr,
            strong=session.strong,
            fresh=ground.sessions.fresh(session),
        )
        decision = ground.decisions.decide(asked)
        return "" if decision.allowed else decision.rule

    async def add(
        self, session: PageSession, wanted: WantedPassword, visitor: Visitor
    ) -> tuple[NewAppPassword, int]:
        """With the time it ends. Raises Problem forbidden, step-up-needed, bad-request."""
        ground = self._ground
        account = self._of_a_professional(session)
        if rule := self.may_add(session):
            fresh = ground.sessions.fresh(session)
            problem = (
                Problem("forbidden")
                if fresh and session.strong
                else Problem("step-up-needed", detail="fresh" if not fresh else "strong")
            )
            ground.audit(
                [ground.event("password-add", account.id, visitor, outcome=rule, reference=problem.reference)]
            )
            raise problem
        expires = ground.clock() + wanted.days * _DAY
        try:
            made = await ground.accounts.app_password_create(
                account.id,
                wanted.label,
                protocols=wanted.protocols,
                expires=expires,
                network=wanted.network,
                made_by=session.id,
                by=account.id,
            )
        except AccountError as refused:
            raise Problem("busy" if refused.reason == "try-again" else "bad-request") from None
        return made, expires

    async def revoke(self, session: PageSession, credential: str) -> None:
        account = self._of_a_professional(session)
        try:
            await self._ground.accounts.app_password_revoke(account.id, credential, by=account.id)
        except AccountError:
            raise Problem("unknown-credential") from None

    def _of_a_professional(self, session: PageSession) -> Account:
        account = self._ground.account(session)
        if account.kind is not Kind.PER:
            raise Problem("forbidden")
        return account
