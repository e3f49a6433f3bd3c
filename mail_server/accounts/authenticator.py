"""Proves who is speaking: implements `Authenticator` over the accounts, the log_in policy and the trace.

Invariants: nothing is offered or begun before TLS; an unknown account, an account without password and a
wrong password cost the same and read the same; every success and failure is audited, with the same
reference as the peer is shown; a right password is never refused because others failed (see throttle.py).
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

from mail_server.accounts import app_passwords
from mail_server.accounts.app_passwords import AppPassword
from mail_server.accounts.entities import account_entity
from mail_server.accounts.interface import Account, Exchange, Identity, Peer
from mail_server.accounts.oauth import OAuthBearerExchange, XOAuth2Exchange
from mail_server.accounts.oidc.interface import AccessTokens, ProviderSessions
from mail_server.accounts.sasl import Challenge, ExternalExchange, NotProven, PlainExchange
from mail_server.accounts.scram import ScramExchange
from mail_server.accounts.service import AccountService
from mail_server.accounts.settings import AccountsSettings
from mail_server.accounts.throttle import Throttle
from mail_server.accounts.token_logins import TokenLogins
from policies import questions
from policies.interface import Decisions, Event
from policies.refusal import Refusal
from policies.trust_list.revocation.interface import Finding, NothingToCheckWith, Revocation

_REMEMBERED = 20_000
_WRONG = "wrong-password"


class PasswordAuthenticator:
    """One for the node: it holds what is remembered between connections."""

    def __init__(
        self,
        accounts: AccountService,
        decisions: Decisions,
        audit: Callable[[Sequence[Event]], None],
        settings: AccountsSettings,
        *,
        tokens: AccessTokens | None = None,
        provider_sessions: ProviderSessions | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        trace_full: Callable[[], bool] = lambda: False,
        revocation: Revocation | None = None,
    ) -> None:
        """Without `tokens` and `provider_sessions` no token is taken; without `revocation` nothing is known of it."""
        self.revocation = revocation or NothingToCheckWith()
        self.accounts = accounts
        self._decisions = decisions
        self._audit = audit
        self._sleep = sleep
        self._trace_full = trace_full
        self._throttle = Throttle(
            settings.failure_delay,
            settings.longest_delay,
            settings.failure_memory,
            free_of_place=settings.failures_free_of_place,
            free_of_account=settings.failures_free_of_account,
        )
        self._clean_lane = asyncio.Semaphore(settings.password_threads)
        self._suspect_lane = asyncio.Semaphore(1)
        self._verified = _Verified(settings.verified_password_memory)
        self._binds_channels = settings.channel_binding
        self._tokens = (
            TokenLogins(accounts, decisions, tokens, provider_sessions)
            if tokens is not None and provider_sessions is not None
            else None
        )

    @property
    def tokens(self) -> TokenLogins | None:
        """Who takes tokens of identity providers; None while none is configured."""
        return self._tokens if self._tokens is not None and self._tokens.offered() else None

    @property
    def throttle(self) -> Throttle:
        return self._throttle

    def mechanisms(self, peer: Peer) -> Sequence[str]:
        if not peer.tls:
            return ()
        offered = ["SCRAM-SHA-256", "PLAIN"]
        if self._end_point(peer) is not None:
            offered.insert(0, "SCRAM-SHA-256-PLUS")
        if self.tokens is not None:
            offered += ["OAUTHBEARER", "XOAUTH2"]
        if peer.certificate is not None and self.accounts.binding_of(peer.certificate):
            offered.insert(0, "EXTERNAL")
        return offered

    def _end_point(self, peer: Peer) -> bytes | None:
        return peer.end_point if self._binds_channels else None

    def begin(self, mechanism: str, peer: Peer) -> Exchange:
        if not peer.tls:
            # RFC 4954 §4 and RFC 3207: no credential in the clear.
            raise Refusal(538, "5.7.11", "Encryption required: start TLS first", "tls-required")
        self._needs_trace()
        mechanism = mechanism.upper()
        judge, end_point, tokens = _PeerJudge(self, peer, mechanism), self._end_point(peer), self.tokens
        match mechanism:
            case "PLAIN":
                return PlainExchange(judge)
            case "SCRAM-SHA-256":
                return ScramExchange(judge, end_point=end_point)
            case "SCRAM-SHA-256-PLUS" if end_point is not None:
                return ScramExchange(judge, end_point=end_point, plus=True)
            case "OAUTHBEARER" if tokens is not None:
                return OAuthBearerExchange(judge, *tokens.configuration())
            case "XOAUTH2" if tokens is not None:
                return XOAuth2Exchange(judge, *tokens.configuration())
            case "EXTERNAL" if peer.certificate is not None:
                return ExternalExchange(judge)
            case _:
                raise Refusal(504, "5.5.4", "This mechanism is not offered here", "unknown-mechanism")

    async def login(self, user: str, password: str, peer: Peer) -> Identity:
        if not peer.tls:
            raise Refusal(538, "5.7.11", "Encryption required: start TLS first", "tls-required")
        self._needs_trace()
        judge = _PeerJudge(self, peer, "PLAIN")
        try:
            return await judge.password(user, password)
        except NotProven as failure:
            raise await judge.failed(failure) from None

    def _needs_trace(self) -> None:
        """Nobody comes in while their coming could not be told."""
        if self._trace_full():
            # RFC 4954 §6
            raise Refusal(454, "4.7.0", "Temporary authentication failure, try again later", "trace-full")

    # -- what the judge of a connection asks

    async def check_password(self, user: str, password: str, peer: Peer) -> tuple[Account, AppPassword]:
        """The account and which of its passwords this is. Raises NotProven."""
        typed = app_passwords.as_generated(password)
        account, candidates = self.candidates(user)
        if account and (known := self._verified.recall(account.id, typed)):
            for candidate in candidates:
                if candidate.id == known:
                    return account, candidate
        salt = self.accounts.salt_for(user)
        iterations = candidates[0].verifier.iterations if candidates else app_passwords.ITERATIONS
        lane = self._suspect_lane if self._throttle.suspect(peer.address, user) else self._clean_lane
        secret = typed.encode("utf-8", "surrogatepass")
        async with lane:
            salted = await asyncio.to_thread(app_passwords.salted, secret, salt, iterations)
        made = app_passwords.of_salted(salted, salt, iterations)
        # Read again: the password may have been revoked while its turn was awaited.
        account, candidates = self.candidates(user)
        for candidate in candidates:
            if hmac.compare_digest(made.stored_key, candidate.verifier.stored_key) and account:
                self._verified.remember(account.id, typed, candidate.id)
                return account, candidate
        raise NotProven(_WRONG, user)

    def candidates(self, user: str) -> tuple[Account | None, tuple[AppPassword, ...]]:
        """The account of an address and all its passwords; which of them may serve here is asked of the right one."""
        account = self.accounts.by_address(user)
        return (account, self.accounts.app_passwords(account.id)) if account is not None else (None, ())

    def admit(self, account: Account, credential: str, mechanism: str, peer: Peer) -> Identity:
        """The proof is good: ask the policy, and trace. Raises NotProven."""
        self.ask(account, mechanism, peer)
        return self.admitted(
            account, Identity(account.id, account.address, account.kind, mechanism, credential), peer
        )

    def ask(self, account: Account, mechanism: str, peer: Peer, acr: int = 0) -> None:
        question = questions.may_log_in(account_entity(account), mechanism, peer.protocol, acr=acr)
        decision = self._decisions.decide(question)
        if not decision.allowed:
            raise NotProven(decision.rule, account.address)

    def admitted(self, account: Account, identity: Identity, peer: Peer) -> Identity:
        if not self.accounts.holds(account.id, identity.credential):
            raise NotProven("credential-revoked", account.address)  # revoked while it was being proven
        self._throttle.succeeded(peer.address, account.address)
        detail = {
            "mechanism": identity.mechanism,
            "protocol": peer.protocol,
            "credential": identity.credential,
        }
        self._audit([_event("login", peer, account.id, account.id, "done", "", detail)])
        self.accounts.came(account.id, _now())
        return identity

    async def failed(self, failure: NotProven, mechanism: str, peer: Peer) -> Refusal:
        refusal = _refusal(failure)
        account = self.accounts.by_address(failure.user)
        detail = {"mechanism": mechanism, "protocol": peer.protocol}
        if account is None and self.accounts.may_be_told(failure.user):
            detail["address"] = failure.user.lower()
        whose = account.id if account else "unknown"
        who = failure.person or whose  # whom a good token vouched for, or who it would have been
        self._audit([_event("login-failed", peer, who, whose, failure.reason, refusal.id, detail)])
        if failure.temporary:
            return refusal
        if delay := self._throttle.failed(peer.address, account.address if account else failure.user):
            await self._sleep(delay)
        return refusal


class _PeerJudge:
    """Implements `sasl.Judge` for one connection."""

    def __init__(self, authenticator: PasswordAuthenticator, peer: Peer, mechanism: str) -> None:
        self._authenticator = authenticator
        self._peer = peer
        self._mechanism = mechanism

    def challenge(self, user: str) -> Challenge:
        accounts = self._authenticator.accounts
        _, candidates = self._authenticator.candidates(user)
        iterations = candidates[0].verifier.iterations if candidates else app_passwords.ITERATIONS
        return Challenge(accounts.salt_for(user), iterations, candidates or (_NOBODY,))

    async def password(self, user: str, password: str) -> Identity:
        account, credential = await self._authenticator.check_password(user, password, self._peer)
        return self._admit(account, credential)

    async def scram(self, user: str, password: AppPassword) -> Identity:
        # Read again: what the challenge was made of may have been revoked meanwhile.
        account, candidates = self._authenticator.candidates(user)
        if account is None or all(each.id != password.id for each in candidates):
            raise NotProven(_WRONG, user)
        return self._admit(account, password)

    async def certificate(self, authorization: str) -> Identity:
        accounts = self._authenticator.accounts
        certificate = self._peer.certificate
        binding = accounts.binding_of(certificate) if certificate is not None else None
        account = accounts.by_id(binding.account) if binding else None
        if certificate is None or binding is None or account is None:
            raise NotProven("certificate-not-bound", authorization)
        if authorization and authorization.lower() != account.address:
            raise NotProven("authorization", account.address)
        await self._require_unrevoked(certificate, account)
        return self._authenticator.admit(account, binding.id, self._mechanism, self._peer)

    async def _require_unrevoked(self, certificate: bytes, account: Account) -> None:
        """TLS verified its chain, not that its authority still stands by it. Raises NotProven."""
        finding = await self._authenticator.revocation.look([certificate])
        if finding is Finding.REVOKED:
            raise NotProven("certificate-revoked", account.address)
        if finding is Finding.UNKNOWN:
            raise NotProven("revocation-unknown", account.address, temporary=True)

    async def token(self, user: str, token: str) -> Identity:
        authenticator = self._authenticator
        tokens = authenticator.tokens
        if tokens is None:
            raise NotProven("token-not-taken", user)
        holder = await tokens.holder(user, token)
        account, acr = holder.account, holder.proven.acr
        authenticator.ask(account, self._mechanism, self._peer, acr)
        login = tokens.open(holder)
        identity = Identity(
            *(account.id, account.address, account.kind, self._mechanism, login.credential),
            until=login.until,
            acr=acr,
        )
        return authenticator.admitted(account, identity, self._peer)

    async def failed(self, failure: NotProven) -> Refusal:
        return await self._authenticator.failed(failure, self._mechanism, self._peer)

    def _admit(self, account: Account, password: AppPassword) -> Identity:
        """The password is right: is this where, and whence, it may be used?"""
        now = _now()
        if objection := password.objection(self._peer.protocol, self._peer.address, now):
            raise NotProven(objection, account.address)
        identity = self._authenticator.admit(account, password.id, self._mechanism, self._peer)
        self._authenticator.accounts.used(password, now, self._peer.address)
        return identity


class _Verified:
    """Passwords verified a moment ago, so that 5,000 programs that reconnect cost one PBKDF2 each, once.

    Holds an HMAC of account and password under a key of this process: neither the password nor anything that
    can be tried against elsewhere.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    def recall(self, account: str, password: str) -> str | None:
        found = self._known.get(self._mark(account, password))
        return found[0] if found and time.monotonic() < found[1] else None

    def remember(self, account: str, password: str, credential: str) -> None:
        if not self._seconds:
            return
        mark = self._mark(account, password)
        self._known[mark] = (credential, time.monotonic() + self._seconds)
        self._known.move_to_end(mark)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _mark(self, account: str, password: str) -> bytes:
        return hmac.digest(self._key, f"{account}\0{password}".encode("utf-8", "surrogatepass"), "sha256")


# Compared against when there is nothing to compare with, so that the work is the same. Its keys are random.
_NOBODY = AppPassword(
    id="",
    account="",
    label="",
    verifier=app_passwords.Verifier(
        b"", app_passwords.ITERATIONS, secrets.token_bytes(32), secrets.token_bytes(32)
    ),
    protocols=frozenset(),
    created=0,
)


def _refusal(failure: NotProven) -> Refusal:
    reason = failure.reason
    if failure.temporary:
        # RFC 4954 §6
        return Refusal(454, "4.7.0", "Temporary authentication failure, try again later", reason)
    if reason == "log-in-suspended":
        # Told only to who proved to hold the account (RFC 5248 §2.4, X.7.13).
        return Refusal(535, "5.7.13", "This account is suspended", reason)
    return Refusal(535, "5.7.8", "Authentication failed", reason)


def _event(
    action: str, peer: Peer, actor: str, subject: str, outcome: str, reference: str, detail: dict[str, str]
) -> Event:
    return Event(action, _now(), actor, subject, outcome, reference, peer.session, peer.address, detail)


def _now() -> int:
    return time.time_ns() // 1_000_000
