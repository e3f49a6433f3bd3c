"""Who shows an access token of an identity provider, and whether they may have the mailbox they ask for.

Invariants: the person is who the token vouches for and nobody else: the mailbox asked for only narrows it down, to
their own or one they read (reference/mssante.md row 18), and they stay themselves in the trace; the token is
verified by who knows the providers and kept nowhere.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from mail_server.accounts.entities import account_entity, rights_in
from mail_server.accounts.interface import Account, Kind
from mail_server.accounts.oidc.interface import (
    AccessTokens,
    ProvenIdentity,
    ProviderLogin,
    ProviderSessions,
    TokenRefused,
)
from mail_server.accounts.sasl import NotProven
from policies import questions
from policies.interface import Decisions


class People(Protocol):
    def by_address(self, address: str) -> Account | None: ...
    def by_national_id(self, national_id: str) -> Account | None: ...


class Holder(NamedTuple):
    """A person a token vouched for, with their own account."""

    account: Account
    proven: ProvenIdentity


class TokenLogins:
    def __init__(
        self, people: People, decisions: Decisions, tokens: AccessTokens, sessions: ProviderSessions
    ) -> None:
        self._people = people
        self._decisions = decisions
        self._tokens = tokens
        self._sessions = sessions

    def offered(self) -> bool:
        return self._tokens.offered()

    def configuration(self) -> tuple[str, str]:
        return self._tokens.configuration()

    async def holder(self, user: str, token: str) -> Holder:
        """Whose token it is, who asks for the mailbox `user` ("": their own). Raises NotProven."""
        try:
            proven = await self._tokens.verify(token)
        except TokenRefused as refused:
            raise NotProven(
                refused.reason, user, person=refused.account, temporary=refused.temporary
            ) from None
        account = self._people.by_national_id(proven.national_id) if proven.national_id else None
        if account is None or account.kind is not Kind.PER:
            raise NotProven("person-unknown", user)
        if not proven.practising:
            raise NotProven("not-practising", account.address)
        self._require_theirs(account, user)
        return Holder(account, proven)

    def open(self, holder: Holder) -> ProviderLogin:
        """A session of the provider's opens something here. Raises NotProven."""
        try:
            return self._sessions.open(holder.proven, holder.account.id)
        except TokenRefused as refused:
            raise NotProven(
                refused.reason, holder.account.address, person=holder.account.id, temporary=refused.temporary
            ) from None

    def _require_theirs(self, person: Account, user: str) -> None:
        target = self._people.by_address(user) if user else person
        if target is None:
            raise NotProven("mailbox-unknown", user, person=person.id)
        if target.id == person.id:
            return
        asked = questions.may_open_account(
            account_entity(person), account_entity(target), rights=rights_in(target, person.id), needed="r"
        )
        decision = self._decisions.decide(asked)
        if not decision.allowed:
            raise NotProven(decision.rule, user, person=person.id)
