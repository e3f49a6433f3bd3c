"""Identity providers as the rest of the node knows them: tokens of mail programs, logins of the page, logouts.

Implements `AccessTokens` and `ProviderSessions`. Who a token speaks for is looked up among the accounts here, so that
every way in asks the same questions of national id, practice and INS.

Invariants: nothing of a token is kept beyond seconds, and then as an HMAC under a key of this process; a logout token
serves once; whoever's provider shows no practice left loses it before they are refused.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import httpx

from mail_server.accounts.interface import Account
from mail_server.accounts.oidc import authorization, ciba, signatures
from mail_server.accounts.oidc.authorization import Begun
from mail_server.accounts.oidc.checks import LogoutNotice
from mail_server.accounts.oidc.ciba import Asked
from mail_server.accounts.oidc.http import ProviderHttp
from mail_server.accounts.oidc.interface import ProvenIdentity, ProviderLogin, TokenRefused
from mail_server.accounts.oidc.issuer import Issuer, Revoked
from mail_server.accounts.oidc.sessions import OpenSessions
from mail_server.accounts.oidc.settings import OidcSettings, ProviderSettings
from mail_server.store.model import AccountId

_T = TypeVar("_T")
_REMEMBERED = 20_000
_LOGOUT_MEMORY = 10 * 60_000  # ms: longer than a logout token is taken


class KnownPeople(Protocol):
    """What of the accounts is asked here."""

    def by_id(self, account: AccountId) -> Account | None: ...
    def by_national_id(self, national_id: str) -> Account | None: ...
    def by_ins(self, text: str) -> Account | None: ...
    async def practice_set(self, account: AccountId, practising: bool, by: str = "node") -> None: ...


@dataclass(slots=True)
class OidcCounters:
    """Since the start."""

    tokens_accepted: int = 0
    tokens_refused: int = 0
    logins_begun: int = 0
    logins_proven: int = 0
    logins_refused: int = 0
    logouts: int = 0
    practice_lost: int = 0
    provider_failures: int = 0  # a provider did not answer, or not in time
    sessions_open: int = 0  # of mail programs; may fall


class OidcService:
    """Without providers: offers nothing, refuses everything."""

    def __init__(
        self,
        settings: OidcSettings,
        accounts: KnownPeople,
        *,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Reads the clients' secrets. Raises OSError, ssl.SSLError, ValueError."""
        self._accounts = accounts
        self._clock = clock
        self._issuers = {
            each.name: Issuer(each, settings, ProviderHttp(each, settings, transport), clock)
            for each in settings.providers
        }
        self._by_issuer = {each.provider.issuer: each for each in self._issuers.values()}
        self._mail = [each for each in self._issuers.values() if each.provider.mail_tokens]
        self._sessions = OpenSessions(clock, self._bound)
        self.ended = self._sessions.ended
        self._fresh = _Fresh(clock)
        self._logouts: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._counters = OidcCounters()

    async def close(self) -> None:
        for issuer in self._issuers.values():
            await issuer.close()

    @property
    def counters(self) -> OidcCounters:
        self._counters.sessions_open = len(self._sessions)
        return self._counters

    def providers(self) -> Sequence[ProviderSettings]:
        return [each.provider for each in self._issuers.values()]

    def provider(self, name: str) -> ProviderSettings | None:
        found = self._issuers.get(name)
        return found.provider if found is not None else None

    # -- AccessTokens

    def offered(self) -> bool:
        return bool(self._mail)

    def configuration(self) -> tuple[str, str]:
        if not self._mail:
            return "", ""
        first = self._mail[0].provider
        return first.scope, first.configuration_url

    async def verify(self, token: str) -> ProvenIdentity:
        """Raises TokenRefused; whoever lost practice loses it here, and is refused."""
        try:
            issuer = self._issuer_of(token)
            proven = self._fresh.recall(token) or await self._verified(issuer, token)
            self._sessions.check(proven)
            await self._needs_practice(proven)
        except TokenRefused as refused:
            self._counters.tokens_refused += 1
            self._note_failure(refused)
            raise
        self._fresh.remember(token, proven, issuer.provider.introspection_memory)
        self._counters.tokens_accepted += 1
        return proven

    async def _verified(self, issuer: Issuer, token: str) -> ProvenIdentity:
        try:
            return await issuer.access_token(token)
        except Revoked as revoked:
            self._sessions.token_revoked(issuer.provider.name, revoked.subject, revoked.token)
            raise TokenRefused("revoked") from None

    def _issuer_of(self, token: str) -> Issuer:
        """Whose token it says it is: only a signature by that issuer's keys makes it so."""
        if len(token) > signatures.LONGEST or not token.isascii() or not token.isprintable() or not token:
            raise TokenRefused("malformed")
        if not self._mail:
            raise TokenRefused("unknown-key")
        if signatures.looks_signed(token):
            found = self._by_issuer.get(signatures.issuer_named(token))
            if found is None or not found.provider.mail_tokens:
                raise TokenRefused("wrong-issuer")
            return found
        # An opaque token is shown to the one provider it can be of, never tried at several.
        if len(self._mail) != 1:
            raise TokenRefused("malformed")
        return self._mail[0]

    # -- ProviderSessions

    def open(self, proven: ProvenIdentity, account: AccountId) -> ProviderLogin:
        self._sessions.sweep()
        return self._sessions.open(proven, account, self._known(proven.provider).provider)

    def holds(self, account: AccountId, credential: str) -> bool:
        return self._sessions.holds(account, credential)

    def _bound(self, account: AccountId) -> str:
        found = self._accounts.by_id(account)
        return found.national_id if found is not None else ""

    # -- logins of the page

    async def begin(self, provider: str, redirect: str, *, fresh: bool = False) -> tuple[Begun, str]:
        """A login, and where the browser goes for it. Raises TokenRefused."""
        issuer = self._known(provider)
        begun = authorization.begin(provider, redirect, self._clock() if fresh else None)
        where = await self._asked(issuer.endpoints())
        self._counters.logins_begun += 1
        return begun, authorization.request_url(begun, issuer.provider, where)

    async def finish(self, begun: Begun, answer: Mapping[str, str]) -> tuple[ProvenIdentity, Account]:
        """Whom the provider's answer proves. The caller has matched browser and state. Raises TokenRefused."""
        issuer = self._known(begun.provider)
        where = await self._asked(issuer.endpoints())
        code = authorization.code_of(answer, issuer.provider, where)
        form = authorization.redemption(begun, code)
        return await self._recognised(
            await self._asked(issuer.redeemed(form, nonce=begun.nonce, since=begun.since))
        )

    async def ciba_begin(self, provider: str, national_id: str, message: str) -> Asked:
        """Ask somebody on their own device. Raises TokenRefused."""
        issuer = self._known(provider)
        if not issuer.provider.ciba:
            raise TokenRefused("unknown-provider")
        self._counters.logins_begun += 1
        return await self._asked(ciba.begin(issuer, national_id, message, self._clock()))

    async def ciba_poll(self, asked: Asked) -> tuple[ProvenIdentity, Account] | None:
        """None: not confirmed yet (`asked` says when to ask again). Raises TokenRefused."""
        issuer = self._known(asked.provider)
        proven = await self._asked(ciba.poll(issuer, asked, self._clock()))
        if proven is None:
            return None
        if proven.national_id != asked.national_id:  # somebody else confirmed
            raise TokenRefused("wrong-subject")
        return await self._recognised(proven)

    async def _recognised(self, proven: ProvenIdentity) -> tuple[ProvenIdentity, Account]:
        account = self.account_of(proven)
        if account is None:
            raise TokenRefused("unknown-person")
        try:
            self._sessions.check(proven)
        except TokenRefused as refused:
            raise TokenRefused(refused.reason, account=account.id) from None
        await self._needs_practice(proven)
        self._counters.logins_proven += 1
        return proven, account

    def account_of(self, proven: ProvenIdentity) -> Account | None:
        """The one account of the person: by national id, or the space of an INS."""
        if proven.ins:
            return self._accounts.by_ins(proven.ins)
        return self._accounts.by_national_id(proven.national_id) if proven.national_id else None

    async def _needs_practice(self, proven: ProvenIdentity) -> None:
        """Whoever has no practice left loses every way in, at once, and not only this one."""
        if proven.practising:
            return
        account = self.account_of(proven)
        if account is not None and account.practising:
            self._counters.practice_lost += 1
            await self._accounts.practice_set(account.id, False, by=f"provider:{proven.provider}")
        raise TokenRefused("practice-lost", account=account.id if account is not None else "")

    async def _asked(self, request: Awaitable[_T]) -> _T:
        try:
            return await request
        except TokenRefused as refused:
            self._counters.logins_refused += 1
            self._note_failure(refused)
            raise

    def require_open(self, proven: ProvenIdentity) -> None:
        """Whether its session at the provider goes on, as far as is known by now. Raises TokenRefused revoked."""
        self._sessions.check(proven)

    # -- logouts

    async def logged_out(self, provider: str, token: str) -> LogoutNotice:
        """A session ended at the provider: what mail programs opened with it ends here. Raises TokenRefused.

        Once whoever else opened something with it has ended that too, `logout_done` makes the token serve no more.
        """
        issuer = self._known(provider)
        try:
            notice = await issuer.logout(token)
        except TokenRefused as refused:
            self._note_failure(refused)
            raise
        if (provider, notice.token) in self._logouts:
            raise TokenRefused("replayed")
        self._fresh.clear()
        self._sessions.end(provider, notice)
        return notice

    def logout_done(self, provider: str, notice: LogoutNotice) -> None:
        now = self._clock()
        while self._logouts and next(iter(self._logouts.values())) < now - _LOGOUT_MEMORY:
            self._logouts.popitem(last=False)
        self._logouts[provider, notice.token] = now
        if len(self._logouts) > _REMEMBERED:
            self._logouts.popitem(last=False)
        self._counters.logouts += 1

    # -- inside

    def _known(self, provider: str) -> Issuer:
        found = self._issuers.get(provider)
        if found is None:
            raise TokenRefused("unknown-provider")
        return found

    def _note_failure(self, refused: TokenRefused) -> None:
        if refused.reason == "provider-unreachable":
            self._counters.provider_failures += 1


class _Fresh:
    """Tokens verified seconds ago, so that a program that opens five connections asks its provider once.

    Holds an HMAC of the token under a key of this process, and whom it proved; never longer than the token lives.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, tuple[ProvenIdentity, int]] = OrderedDict()

    def recall(self, token: str) -> ProvenIdentity | None:
        found = self._known.get(self._mark(token))
        return found[0] if found is not None and self._clock() < found[1] else None

    def remember(self, token: str, proven: ProvenIdentity, seconds: float) -> None:
        mark = self._mark(token)
        if not seconds or self.recall(token) is not None:
            return  # what is remembered is not remembered longer for being asked again
        self._known[mark] = proven, min(self._clock() + int(seconds * 1000), proven.expires)
        self._known.move_to_end(mark)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def clear(self) -> None:
        self._known.clear()

    def _mark(self, token: str) -> bytes:
        return hmac.digest(self._key, token.encode("utf-8", "replace"), "sha256")
