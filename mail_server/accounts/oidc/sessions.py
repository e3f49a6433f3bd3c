"""Sessions at providers that opened something here, and those that ended. In memory alone.

Of a session only the provider's names for it are kept (sub, sid, jti). A connection lasts as long as its provider's
settings say, and none outlives the session at the provider by more than that: four hours after people proved
themselves there, everything is over.

Invariants: what ended does not open again; memory is bounded, the oldest goes first; whoever has something open is
told at once, and one listener that fails keeps the others from nothing.
"""

from __future__ import annotations

import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from mail_server.accounts.oidc.checks import LogoutNotice
from mail_server.accounts.oidc.interface import ProvenIdentity, ProviderLogin, TokenRefused
from mail_server.accounts.oidc.settings import ProviderSettings
from mail_server.store.model import AccountId

_log = logging.getLogger("vaguemestre.accounts")
_MOST = 50_000
_MOST_TOKENS = 64  # of one session: a new one every two minutes, over the hours that matter
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_HOUR = 3_600_000
_DAY = 24 * _HOUR


@dataclass(slots=True)
class _Session:
    account: AccountId
    credential: str
    bound: str = field(repr=False)  # the account's national id when it opened
    until: int = 0
    tokens: OrderedDict[str, None] = field(default_factory=OrderedDict[str, None], repr=False)


_Key = tuple[str, str, str, AccountId]


class OpenSessions:
    def __init__(self, clock: Callable[[], int], bound: Callable[[AccountId], str]) -> None:
        """`bound`: the national id of an account now."""
        self._clock = clock
        self._bound = bound
        self._sessions: OrderedDict[_Key, _Session] = OrderedDict()
        self._by_credential: dict[str, _Key] = {}
        self._ended_sessions: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._ended_subjects: OrderedDict[tuple[str, str], int] = OrderedDict()
        self.ended: list[Callable[[AccountId, str], None]] = []

    def __len__(self) -> int:
        return len(self._sessions)

    def check(self, proven: ProvenIdentity) -> None:
        """Raises TokenRefused revoked for a session that ended."""
        if proven.session and (proven.provider, proven.session) in self._ended_sessions:
            raise TokenRefused("revoked")
        if proven.authenticated <= self._ended_subjects.get((proven.provider, proven.subject), -1):
            raise TokenRefused("revoked")

    def open(self, proven: ProvenIdentity, account: AccountId, provider: ProviderSettings) -> ProviderLogin:
        """Raises TokenRefused revoked, session-too-old."""
        self.check(proven)
        now = self._clock()
        lasts = provider.session_hours * _HOUR
        key = (proven.provider, proven.subject, proven.session, account)
        known = self._sessions.get(key)
        # Without a name for the session, whoever proved themselves again began another.
        if known is None or (not proven.session and proven.authenticated >= known.until):
            begun = min(now, proven.authenticated or now)
            known = _Session(account, _credential(), self._bound(account), begun + lasts)
            self._put(key, known)
        if now >= known.until:
            raise TokenRefused("session-too-old")
        known.tokens[proven.token] = None
        while len(known.tokens) > _MOST_TOKENS:
            known.tokens.popitem(last=False)
        self._sessions.move_to_end(key)
        return ProviderLogin(known.credential, min(now + provider.connection_minutes * 60_000, known.until))

    def holds(self, account: AccountId, credential: str) -> bool:
        key = self._by_credential.get(credential)
        known = self._sessions.get(key) if key is not None else None
        return (
            known is not None
            and known.account == account
            and self._clock() < known.until
            and known.bound == self._bound(account)
        )

    # -- ends

    def end(self, provider: str, notice: LogoutNotice) -> int:
        """A session, or every session of a subject, ended at the provider. How many were open here."""
        now = self._clock()
        if notice.session:
            _remember(self._ended_sessions, (provider, notice.session), now)
        else:
            _remember(self._ended_subjects, (provider, notice.subject), max(now, notice.at))
        ended = [
            key
            for key in self._sessions
            if key[0] == provider
            and (not notice.subject or key[1] == notice.subject)
            and (not notice.session or key[2] == notice.session)
        ]
        for key in ended:
            self._drop(key)
        return len(ended)

    def token_revoked(self, provider: str, subject: str, token: str) -> None:
        """A token that opened something is taken back: what it opened closes. The session may open anew."""
        for key in [each for each in self._sessions if each[:2] == (provider, subject)]:
            if token and token in self._sessions[key].tokens:
                self._drop(key)

    def end_account(self, account: AccountId) -> None:
        for key in [each for each, known in self._sessions.items() if known.account == account]:
            self._drop(key)

    def sweep(self) -> None:
        """Forget what was over a day ago."""
        now = self._clock()
        for key in [each for each, known in self._sessions.items() if now >= known.until + _DAY]:
            self._forget(key)
        for names in (self._ended_sessions, self._ended_subjects):
            while names and next(iter(names.values())) < now - _DAY:
                names.popitem(last=False)

    # -- inside

    def _put(self, key: _Key, session: _Session) -> None:
        self._forget(key)
        self._sessions[key] = session
        self._by_credential[session.credential] = key
        if len(self._sessions) > _MOST:
            self._drop(next(iter(self._sessions)))

    def _forget(self, key: _Key) -> _Session | None:
        known = self._sessions.pop(key, None)
        if known is not None:
            self._by_credential.pop(known.credential, None)
        return known

    def _drop(self, key: _Key) -> None:
        known = self._forget(key)
        if known is None:
            return
        for listener in list(self.ended):
            try:
                listener(known.account, known.credential)
            except Exception:  # one door that fails must not keep the others from closing
                _log.exception("a listener failed on the end of a provider's session")


def _remember(names: OrderedDict[tuple[str, str], int], name: tuple[str, str], at: int) -> None:
    names[name] = at
    names.move_to_end(name)
    if len(names) > _MOST:
        names.popitem(last=False)


def _credential() -> str:
    return "oidc:" + "".join(secrets.choice(_LETTERS) for _ in range(20))
