"""One configured provider: its published addresses and keys, its tokens verified, its questions answered.

Invariants: addresses and keys are read when they are needed and too old, by one request at a time, and never twice
within the pause, whatever strangers send; when they cannot be read nothing is believed; what the checks refuse is
refused here with the same slug.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from mail_server.accounts.oidc import checks, discovery, people, signatures
from mail_server.accounts.oidc.checks import Expected, LogoutNotice
from mail_server.accounts.oidc.discovery import Endpoints
from mail_server.accounts.oidc.http import Answer, ProviderHttp, unreachable
from mail_server.accounts.oidc.interface import ProvenIdentity, TokenRefused
from mail_server.accounts.oidc.settings import OidcSettings, ProviderSettings
from mail_server.accounts.oidc.signatures import Claims, KeyRing, SigningKey

_REQUEST_CLAIM = "urn:openid:params:jwt:claim:auth_req_id"
_ENDPOINTS_LIFETIME = 3_600_000
_PAUSE_AFTER_FAILURE = 2_000  # ms: thousands of programs that reconnect ask a provider that is down once


class Issuer:
    def __init__(
        self, provider: ProviderSettings, settings: OidcSettings, http: ProviderHttp, clock: Callable[[], int]
    ) -> None:
        self.provider = provider
        self.expected = Expected(
            issuer=provider.issuer,
            client=provider.client_id,
            audience=provider.audience or provider.client_id,
            clients=frozenset(provider.clients),
            acr_at_least=provider.acr_at_least,
            skew=provider.clock_skew * 1000,
        )
        self._http = http
        self._clock = clock
        self._endpoints: Endpoints | None = None
        self._endpoints_read = 0
        self._endpoints_failed = -_PAUSE_AFTER_FAILURE
        self._keys_failed = -_PAUSE_AFTER_FAILURE
        self._ring = KeyRing(settings.keys_minutes * 60_000)
        self._reading = asyncio.Lock()

    async def close(self) -> None:
        await self._http.close()

    # -- what it publishes

    async def endpoints(self) -> Endpoints:
        """Raises TokenRefused."""
        async with self._reading:
            return await self._read_endpoints()

    async def _read_endpoints(self) -> Endpoints:
        now = self._clock()
        if self._endpoints is not None and 0 <= now - self._endpoints_read < _ENDPOINTS_LIFETIME:
            return self._endpoints
        if 0 <= now - self._endpoints_failed < _PAUSE_AFTER_FAILURE:
            raise unreachable()
        try:
            answer = await self._http.get(self.provider.configuration_url)
            if not answer.ok:
                raise unreachable()
            self._endpoints = discovery.endpoints(answer.said, self.provider.issuer)
        except TokenRefused:
            self._endpoints_failed = self._clock()  # its end: whoever waited for it does not wait again
            raise
        self._endpoints_read = now
        return self._endpoints

    async def _key(self, wanted: signatures.Named) -> SigningKey:
        if not self._ring.stale(self._clock()) and (found := self._ring.find(wanted)) is not None:
            return found
        async with self._reading:  # whoever waited here finds what the one before read
            now = self._clock()
            stale = self._ring.stale(now)
            if not stale and (found := self._ring.find(wanted)) is not None:
                return found
            if not self._ring.may_ask(now):
                raise unreachable() if stale else TokenRefused("unknown-key")
            if 0 <= now - self._keys_failed < _PAUSE_AFTER_FAILURE:
                raise unreachable()
            try:
                where = await self._read_endpoints()
                answer = await self._http.get(where.keys)
                if not answer.ok:
                    raise unreachable()
                self._ring.take(answer.said, self._clock())
            except TokenRefused:
                # Its end: what took its time is not tried by each who waited.
                self._keys_failed = self._clock()
                raise
            self._ring.asking(self._clock())
        if (found := self._ring.find(wanted)) is None:
            raise TokenRefused("unknown-key")
        return found

    # -- its tokens

    async def signed(self, token: str) -> tuple[Claims, str]:
        """Claims and header type of a token whose signature holds. Raises TokenRefused."""
        named = signatures.named(token)
        return signatures.verified(token, await self._key(named)), named.type

    async def access_token(self, token: str) -> ProvenIdentity:
        """Whom a mail program's token speaks for. Raises TokenRefused."""
        about: Claims | None = None
        now = self._clock()
        if signatures.looks_signed(token):
            about, kind = await self.signed(token)
            checks.access_token(about, self.expected, now, header_type=kind)
        elif not self.provider.introspect:
            raise TokenRefused("malformed")
        claims: Claims = about or {}
        if self.provider.introspect:
            try:
                claims = checks.introspection(await self.introspected(token), self.expected, now, about=about)
            except TokenRefused as refused:
                if refused.reason == "revoked" and about is not None:
                    raise Revoked(checks.text(about, "sub"), checks.text(about, "jti")) from None
                raise
        return people.proven(self.provider, await self._completed(claims, token))

    async def introspected(self, token: str) -> Claims:
        where = await self.endpoints()
        if not where.introspection:
            raise unreachable()
        answer = await self._http.post(
            where.introspection, {"token": token, "token_type_hint": "access_token"}
        )
        if not answer.ok:
            raise unreachable()
        return answer.said

    async def _completed(self, claims: Claims, access_token: str) -> Claims:
        """With what userinfo tells of the person, where the token does not tell it."""
        wanted = people.needed(self.provider)
        if all(name in claims for name in wanted):
            return claims
        where = await self.endpoints()
        if not where.userinfo:
            return claims
        answer = await self._http.get(where.userinfo, access_token)
        if answer.status in (401, 403):
            raise TokenRefused("revoked")
        if not answer.ok:
            raise unreachable()
        checks.userinfo(answer.said, checks.text(claims, "sub"))
        # Only what says who it is, and nothing that was already proven by signature.
        told = {
            name: answer.said[name]
            for name in (*wanted, self.provider.claims.birth_date)
            if name in answer.said
        }
        return {**told, **claims}

    # -- logins of the page

    async def redeemed(
        self, form: Mapping[str, str], *, nonce: str | None, since: int | None = None
    ) -> ProvenIdentity:
        """Tokens for a code, or for a confirmed request (CIBA), and whom they speak for. Raises TokenRefused."""
        answer = await self.token(form)
        if not answer.ok:
            raise refused_by(answer)
        return await self.logged_in(answer.said, nonce=nonce, since=since)

    async def token(self, form: Mapping[str, str]) -> Answer:
        where = await self.endpoints()
        return await self._http.post(where.token, form)

    async def logged_in(
        self,
        tokens: Mapping[str, Any],
        *,
        nonce: str | None,
        request: str = "",
        since: int | None = None,
    ) -> ProvenIdentity:
        """`request`: the auth_req_id that was confirmed (CIBA Core §7.3.1)."""
        identity, access = tokens.get("id_token"), tokens.get("access_token")
        if not isinstance(identity, str) or not isinstance(access, str):
            raise TokenRefused("malformed")
        claims, kind = await self.signed(identity)
        if kind not in ("", "jwt"):
            raise TokenRefused("wrong-type")
        checks.id_token(claims, self.expected, self._clock(), nonce=nonce, access_token=access)
        if since is not None:
            checks.authenticated_since(claims, self.expected, since)
        if request and claims.get(_REQUEST_CLAIM, request) != request:
            raise TokenRefused("wrong-subject")
        return people.proven(self.provider, await self._completed(claims, access))

    async def ciba(self, form: Mapping[str, str]) -> Answer:
        where = await self.endpoints()
        if not where.ciba:
            raise unreachable()
        return await self._http.post(where.ciba, form)

    async def logout(self, token: str) -> LogoutNotice:
        """Raises TokenRefused."""
        claims, kind = await self.signed(token)
        return checks.logout_token(claims, self.expected, self._clock(), header_type=kind)


class Revoked(TokenRefused):
    """A token that was good by its signature, and that its provider takes back."""

    def __init__(self, subject: str, token: str) -> None:
        super().__init__("revoked")
        self.subject = subject
        self.token = token


def refused_by(answer: Answer) -> TokenRefused:
    """What the provider's own refusal means here (RFC 6749 §5.2, CIBA Core §11)."""
    match answer.error:
        case "invalid_grant":
            return TokenRefused("replayed")  # a code that served, that is too old, or is not ours
        case "expired_token":
            return TokenRefused("expired")
        case "access_denied":
            return TokenRefused("refused-there")
        case _:
            return unreachable()
