"""Logging in on the page through an identity provider: away, back, again for a step-up, and out.

The checks of what the provider says are `mail_server.accounts.oidc`'s; here a browser is matched with the login it
began, a proven person with their account, and a session is made, raised or ended.

Invariants: a state serves once, for the provider it was made for and in the browser that began (a cookie of its own);
what the provider is given and gives stands in no log and no trace, only the slug of a refusal; a step-up raises the
session of the person who is in, never somebody else's; sessions that end at the provider end here durably, before the
provider is told so.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mail_server.accounts.interface import Account, Kind
from mail_server.accounts.networks import place_of
from mail_server.accounts.oidc.authorization import Begun
from mail_server.accounts.oidc.checks import LogoutNotice
from mail_server.accounts.oidc.interface import ProvenIdentity, TokenRefused
from mail_server.accounts.oidc.service import OidcService
from mail_server.accounts.oidc.settings import ProviderSettings
from mail_server.store.interface import Transaction
from mail_server.store.model import AccountId
from webmail.login.ground import Ground, Visitor
from webmail.login.once import Once
from webmail.login.problems import Problem
from webmail.login.service import LoginService
from webmail.login.sessions import Drawn, PageSession, Vouched
from webmail.login.tries import CodeTries

LIFETIME = 10 * 60_000
_HOUR = 3_600_000
_RUBBISH_TOLD, _RUBBISH_WINDOW = 30, 60_000  # refused logouts of one place that stand in the trace
# What people are told; the trace has the exact slug.
_PROBLEMS = {
    "acr-too-low": "level-too-low",
    "practice-lost": "not-practising",
    "provider-unreachable": "provider-unreachable",
    "unknown-person": "no-account-here",
    "unknown-provider": "unknown-provider",
}


@dataclass(frozen=True, slots=True)
class _Away:
    """A browser that was sent to a provider."""

    begun: Begun
    browser: bytes = field(repr=False)  # SHA-256 of its cookie
    shared: bool
    session: str  # for a step-up: the session to raise


@dataclass(frozen=True, slots=True)
class SentAway:
    url: str = field(repr=False)
    cookie: str = field(repr=False)


class ProviderLogins:
    def __init__(self, ground: Ground, oidc: OidcService, login: LoginService) -> None:
        self._ground = ground
        self._oidc = oidc
        self._login = login
        self._away: Once[_Away] = Once(ground.clock, LIFETIME)
        self._rubbish = CodeTries(ground.clock, _RUBBISH_TOLD, _RUBBISH_WINDOW)

    def providers(self) -> list[dict[str, str | bool]]:
        """What the page shows of them to everybody."""
        return [
            {"name": each.name, "label": each.shown, "people": each.people, "ciba": each.ciba}
            for each in self._oidc.providers()
        ]

    # -- away and back

    async def start(
        self, provider: str, visitor: Visitor, *, shared: bool, session: PageSession | None
    ) -> SentAway:
        """`session`: the one to raise (step-up). Raises Problem."""
        redirect = f"{visitor.origin}/api/login/oidc/{provider}/return"
        try:
            begun, url = await self._oidc.begin(provider, redirect, fresh=session is not None)
        except TokenRefused as refused:
            raise await self.refused(refused, provider, visitor) from None
        cookie = secrets.token_urlsafe(32)
        away = _Away(begun, _digest(cookie), shared, session.id if session is not None else "")
        self._away.put(away, place_of(visitor.network), key=begun.state)
        return SentAway(url, cookie)

    async def back(self, provider: str, answer: Mapping[str, str], cookie: str, visitor: Visitor) -> Drawn:
        """A browser comes back with the provider's answer. Raises Problem."""
        away = self._away.take(answer.get("state", ""))
        if away is None:  # never begun, or answered before
            self._login.stranger_at_return(provider, visitor)
            raise await self._wrong("other-browser", "unknown-state", provider, visitor)
        if away.begun.provider != provider:
            raise await self._wrong("provider-refused", "mix-up", provider, visitor)
        if not hmac.compare_digest(away.browser, _digest(cookie)):
            raise await self._wrong("other-browser", "state-of-another-browser", provider, visitor)
        try:
            proven, account = await self._oidc.finish(away.begun, answer)
        except TokenRefused as refused:
            raise await self.refused(refused, provider, visitor) from None
        if away.session:
            return await self._raise(away.session, proven, account, visitor)
        return await self.enter(proven, account, away.shared, visitor)

    async def enter(self, proven: ProvenIdentity, account: Account, shared: bool, visitor: Visitor) -> Drawn:
        """A proven person comes in. Raises Problem."""
        if not account.activated:
            raise await self._wrong("not-activated", "not-activated", proven.provider, visitor, account)
        if self._differs(proven, account):
            raise await self._wrong("provider-refused", "traits-differ", proven.provider, visitor, account)
        vouched = self._vouched(proven)
        if vouched.until <= self._ground.clock():
            raise await self._wrong("provider-refused", "session-too-old", proven.provider, visitor, account)
        drawn = await self._login.by_provider(account, vouched, shared, visitor)
        try:
            self._oidc.require_open(proven)
        except TokenRefused as refused:
            # It ended at the provider while it was written here: the logout could not see it yet.
            await self._end_these([drawn.session], proven.provider, visitor)
            raise await self.refused(refused, proven.provider, visitor) from None
        return drawn

    async def _raise(self, session: str, proven: ProvenIdentity, account: Account, visitor: Visitor) -> Drawn:
        known = self._ground.sessions.by_id(session)
        if known is None:
            raise Problem("no-session")
        if known.account != account.id:
            raise await self._wrong("other-person", "another-person", proven.provider, visitor, account)
        return replace(
            await self._login.step_up_by_provider(known, self._vouched(proven), visitor), raised=True
        )

    def _differs(self, proven: ProvenIdentity, account: Account) -> bool:
        """Whether the provider tells another birth date than the space was made with: two identities in one number."""
        if account.kind is not Kind.PATIENT or not proven.birth_date:
            return False
        return self._ground.accounts.patient_identity(account.id).birth_date != proven.birth_date

    def _vouched(self, proven: ProvenIdentity) -> Vouched:
        name, mark = proven.provider, self._ground.secrets.provider_mark
        settings = self._oidc.provider(name)
        assert settings is not None
        begun = min(proven.authenticated, self._ground.clock())
        return Vouched(
            provider=name,
            acr=proven.acr,
            until=begun + settings.session_hours * _HOUR,
            session=mark(name, "session", proven.session) if proven.session else b"",
            subject=mark(name, "subject", proven.subject),
        )

    # -- refusals

    async def refused(self, refused: TokenRefused, provider: str, visitor: Visitor) -> Problem:
        """Traced; what the person is told."""
        account = self._ground.accounts.by_id(AccountId(refused.account)) if refused.account else None
        reason = _PROBLEMS.get(refused.reason, "provider-refused")
        return await self._wrong(reason, refused.reason, provider, visitor, account)

    async def _wrong(
        self, reason: str, outcome: str, provider: str, visitor: Visitor, account: Account | None = None
    ) -> Problem:
        known = provider if self._oidc.provider(provider) is not None else "unknown"
        return await self._login.provider_refused(reason, outcome, account, known, visitor)

    # -- out

    async def logged_out(self, provider: str, token: str, visitor: Visitor) -> None:
        """OpenID Back-Channel Logout 1.0 §2.7: everything that session opened here ends. Raises TokenRefused."""
        ground = self._ground
        try:
            notice = await self._oidc.logged_out(provider, token)
        except TokenRefused as refused:
            if not self._worth_telling(visitor):
                raise
            known = self._oidc.provider(provider)
            ground.audit(
                [
                    ground.event(
                        "provider-logout",
                        "unknown",
                        visitor,
                        actor=f"provider:{known.name if known is not None else 'unknown'}",
                        outcome=refused.reason,
                    )
                ]
            )
            raise
        await self._end(provider, notice, visitor)
        self._oidc.logout_done(provider, notice)

    def _worth_telling(self, visitor: Visitor) -> bool:
        """Anybody may post what is no logout: from one place it fills the trace up to here and no further."""
        try:
            self._rubbish.enter("", visitor.network)
        except Problem:
            return False
        self._rubbish.wrong("", visitor.network)
        return True

    async def _end(self, provider: str, notice: LogoutNotice, visitor: Visitor) -> None:
        mark = self._ground.secrets.provider_mark
        marked = (
            mark(provider, "session", notice.session)
            if notice.session
            else mark(provider, "subject", notice.subject)
        )
        await self._end_these(self._ground.sessions.of_provider(marked), provider, visitor)

    async def _end_these(self, ended: Sequence[PageSession], provider: str, visitor: Visitor) -> None:
        ground = self._ground
        acts = [
            ground.event(
                "session-end",
                each.account,
                visitor,
                actor=f"provider:{provider}",
                credential=each.id,
                cause="provider-logout",
            )
            for each in ended
        ]

        def write(tx: Transaction) -> None:
            for each in ended:
                ground.sessions.delete_one(tx.sql, each.account, each.id)
            ground.trail.append(tx.sql, acts)

        if ended:
            await ground.store.write(write)
        for each in ended:
            ground.sessions.forget_one(each.id)

    def provider(self, name: str) -> ProviderSettings | None:
        return self._oidc.provider(name)


def _digest(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("utf-8", "replace")).digest()
