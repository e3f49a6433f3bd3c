"""A provider of test, without its HTTP: people, clients, sessions, codes, tokens, confirmations on a device.

Lifetimes are the national provider's: a code one minute, an access token two, a refresh token thirty, a session four
hours. `lies` and the acts below let a test make it misbehave.

Invariants: a code serves once, and with it dies what it gave (RFC 6749 §4.1.2); a refusal is an OAuth error by name.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from deploy.demo.identity.people import Patient, Person, Professional
from deploy.demo.identity.tokens import Lies, Signer, at_hash, challenge_of

CODE_SECONDS = 60
ACCESS_SECONDS = 120
REFRESH_SECONDS = 30 * 60
SESSION_SECONDS = 4 * 3600
CIBA_GRANT = "urn:openid:params:grant-type:ciba"
_LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"


class OAuthRefused(Exception):
    """`error` is a code of RFC 6749 §5.2 or of CIBA Core §11."""

    def __init__(self, error: str, status: int = 400) -> None:
        super().__init__(error)
        self.error = error
        self.status = status


@dataclass(frozen=True, slots=True)
class Client:
    id: str
    secret: str = field(repr=False)
    redirects: tuple[str, ...] = ()
    audience: str = ""  # of its access tokens; "" itself
    logout: str = ""  # where back-channel logouts are sent
    ciba: bool = False


@dataclass(slots=True)
class Session:
    id: str
    person: str
    begun: int  # seconds
    clients: set[str]
    alive: bool = True


@dataclass(slots=True)
class _Grant:
    """A code, a refresh token or a confirmation: what tokens are given for."""

    session: Session
    client: str
    until: int
    redirect: str = ""
    nonce: str = ""
    challenge: str = ""
    request: str = ""
    spent: bool = False
    tokens: list[str] = field(default_factory=list[str])  # jti


@dataclass(slots=True)
class Confirmation:
    """A CIBA request: shown on the person's device with its message."""

    request: str
    client: str
    person: str
    message: str
    until: int
    interval: int
    asked: int = 0
    answer: str = "pending"  # "approved", "denied"


class Realm:
    def __init__(
        self,
        issuer: str,
        people: Iterable[Person],
        clients: Iterable[Client],
        *,
        acr: str = "eidas1",
        algorithm: str = "RS256",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.issuer = issuer
        self.people: dict[str, Person] = {each.name: each for each in people}
        self.clients: dict[str, Client] = {each.id: each for each in clients}
        self.acr = acr
        self.signer = Signer(algorithm)
        self.lies = Lies()
        self.confirmations: dict[str, Confirmation] = {}
        self.sessions: dict[str, Session] = {}
        self.down = False  # answers nothing but 503
        self.asked = 0  # questions of clients, of any kind
        self._clock = clock
        self._codes: dict[str, _Grant] = {}
        self._refreshes: dict[str, _Grant] = {}
        self._revoked: set[str] = set()
        self._access: dict[str, tuple[Session, str, int, str]] = {}  # token → session, client, until, jti

    def now(self) -> int:
        return int(self._clock())

    # -- people and their sessions

    def log_in(self, person: str, client: str) -> Session:
        if person not in self.people:
            raise OAuthRefused("access_denied")
        session = Session(str(uuid.uuid4()), person, self.now(), {client})
        self.sessions[session.id] = session
        return session

    def strike_off(self, person: str) -> None:
        known = self.people[person]
        assert isinstance(known, Professional)
        self.people[person] = replace(known, struck_off=True, practices=())

    def end(self, session: Session) -> list[tuple[Client, str]]:
        """The session is over. Whom to tell, with a logout token each."""
        session.alive = False
        told = [self.clients[each] for each in sorted(session.clients) if self.clients[each].logout]
        return [(client, self.logout_token(client.id, session)) for client in told]

    def logout_token(self, client: str, session: Session, *, session_named: bool = True) -> str:
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": client,
            "iat": self.now(),
            "exp": self.now() + 120,
            "jti": str(uuid.uuid4()),
            "sub": self.subject(session.person),
            "events": {_LOGOUT_EVENT: {}},
            **({"sid": session.id} if session_named else {}),
        }
        return self.signer.sign(claims, self.lies, "logout+jwt")

    def subject(self, person: str) -> str:
        known = self.people[person]
        steady = uuid.uuid5(uuid.NAMESPACE_URL, f"{self.issuer}/{person}")
        return str(steady) if isinstance(known, Patient) else f"f:{steady}:{known.national_id}"

    # -- codes

    def code(
        self, person: str, client: str, redirect: str, *, nonce: str = "", challenge: str = ""
    ) -> tuple[str, Session]:
        session = self.log_in(person, client)
        code = secrets.token_urlsafe(32)
        self._codes[code] = _Grant(
            session, client, self.now() + CODE_SECONDS, redirect, nonce=nonce, challenge=challenge
        )
        return code, session

    def redeem(self, client: Client, form: Mapping[str, str]) -> dict[str, Any]:
        """The token endpoint. Raises OAuthRefused."""
        match form.get("grant_type"):
            case "authorization_code":
                return self._by_code(client, form)
            case "refresh_token":
                return self._by_refresh(client, form.get("refresh_token", ""))
            case grant if grant == CIBA_GRANT:
                return self._by_confirmation(client, form.get("auth_req_id", ""))
            case _:
                raise OAuthRefused("unsupported_grant_type")

    def _by_code(self, client: Client, form: Mapping[str, str]) -> dict[str, Any]:
        grant = self._codes.get(form.get("code", ""))
        if grant is None or grant.client != client.id or self.now() >= grant.until:
            raise OAuthRefused("invalid_grant")
        if grant.spent:
            self._revoked.update(grant.tokens)
            raise OAuthRefused("invalid_grant")
        grant.spent = True
        if grant.redirect != form.get("redirect_uri"):
            raise OAuthRefused("invalid_grant")
        if grant.challenge and challenge_of(form.get("code_verifier", "")) != grant.challenge:
            raise OAuthRefused("invalid_grant")
        return self._tokens(grant)

    def _by_refresh(self, client: Client, token: str) -> dict[str, Any]:
        grant = self._refreshes.pop(token, None)
        if grant is None or grant.client != client.id or self.now() >= grant.until:
            raise OAuthRefused("invalid_grant")
        if not self._lasts(grant.session):
            raise OAuthRefused("invalid_grant")
        return self._tokens(grant)

    # -- confirmations on a device

    def ask(self, client: Client, form: Mapping[str, str]) -> dict[str, Any]:
        """The CIBA endpoint. Raises OAuthRefused."""
        person = form.get("login_hint", "")
        if not client.ciba:
            raise OAuthRefused("unauthorized_client")
        if person not in self.people:
            raise OAuthRefused("unknown_user_id")
        made = Confirmation(
            secrets.token_urlsafe(24), client.id, person, form.get("binding_message", ""), self.now() + 120, 1
        )
        self.confirmations[made.request] = made
        return {"auth_req_id": made.request, "expires_in": 120, "interval": made.interval}

    def _by_confirmation(self, client: Client, request: str) -> dict[str, Any]:
        found = self.confirmations.get(request)
        if found is None or found.client != client.id:
            raise OAuthRefused("invalid_grant")
        now = self.now()
        too_soon, found.asked = now < found.asked + found.interval, now
        if now >= found.until:
            raise OAuthRefused("expired_token")
        if found.answer == "denied":
            raise OAuthRefused("access_denied")
        if found.answer == "pending":
            if too_soon:
                found.interval += 5
                raise OAuthRefused("slow_down")
            raise OAuthRefused("authorization_pending")
        del self.confirmations[request]
        session = self.log_in(found.person, client.id)
        return self._tokens(_Grant(session, client.id, now + CODE_SECONDS, request=request))

    # -- tokens

    def tokens_for(self, person: str, client: str) -> dict[str, Any]:
        """As after a login of a mail program; for tests and the demo."""
        session = self.log_in(person, client)
        return self._tokens(_Grant(session, client, self.now() + CODE_SECONDS))

    def _tokens(self, grant: _Grant) -> dict[str, Any]:
        session, now = grant.session, self.now()
        jti = str(uuid.uuid4())
        common = {
            "iss": self.issuer,
            "sub": self.subject(session.person),
            "azp": grant.client,
            "iat": now,
            "auth_time": session.begun,
            "sid": session.id,
            "session_state": session.id,
            "acr": self.acr,
            **({"nonce": grant.nonce} if grant.nonce else {}),
        }
        audience = self.clients[grant.client].audience or grant.client
        named = self._named(session.person)
        access = self.signer.sign(
            {
                **common,
                **named,
                "aud": audience,
                "typ": "Bearer",
                "jti": jti,
                "exp": now + ACCESS_SECONDS,
                "scope": "openid scope_all",
            },
            self.lies,
        )
        refresh = secrets.token_urlsafe(32)
        self._refreshes[refresh] = replace(grant, until=now + REFRESH_SECONDS, spent=False, tokens=[])
        self._access[access] = (session, grant.client, now + ACCESS_SECONDS, jti)
        grant.tokens.append(jti)
        identity = {
            **common,
            **named,
            "aud": grant.client,
            "typ": "ID",
            "jti": str(uuid.uuid4()),
            "exp": now + ACCESS_SECONDS,
            "at_hash": at_hash(access),
            **({"urn:openid:params:jwt:claim:auth_req_id": grant.request} if grant.request else {}),
        }
        return {
            "access_token": access,
            "expires_in": ACCESS_SECONDS,
            "refresh_token": refresh,
            "refresh_expires_in": REFRESH_SECONDS,
            "token_type": "Bearer",
            "id_token": self.signer.sign(identity, self.lies),
            "session_state": session.id,
            "scope": "openid scope_all",
        }

    def _named(self, person: str) -> dict[str, Any]:
        """What already stands in tokens of a professional; a patient's number stands in userinfo alone."""
        known = self.people[person]
        if isinstance(known, Patient):
            return {}
        return {"SubjectNameID": known.national_id, "preferred_username": known.national_id}

    def userinfo(self, access: str) -> dict[str, Any]:
        """Raises OAuthRefused."""
        session, _, _, _ = self._good(access)
        return {"sub": self.subject(session.person), **self.people[session.person].claims()}

    def introspect(self, access: str) -> dict[str, Any]:
        """RFC 7662 §2.2."""
        try:
            session, client, until, jti = self._good(access)
        except OAuthRefused:
            return {"active": False}
        return {
            "active": True,
            "iss": self.issuer,
            "sub": self.subject(session.person),
            "aud": self.clients[client].audience or client,
            "azp": client,
            "client_id": client,
            "typ": "Bearer",
            "exp": until,
            "iat": until - ACCESS_SECONDS,
            "auth_time": session.begun,
            "jti": jti,
            "session_state": session.id,
            "acr": self.acr,
            "scope": "openid scope_all",
            **self._named(session.person),
        }

    def revoke(self, token: str) -> None:
        if (known := self._access.get(token)) is not None:
            self._revoked.add(known[3])
        self._refreshes.pop(token, None)

    def _good(self, access: str) -> tuple[Session, str, int, str]:
        known = self._access.get(access)
        if known is None or known[3] in self._revoked or self.now() >= known[2] or not self._lasts(known[0]):
            raise OAuthRefused("invalid_token", 401)
        return known

    def _lasts(self, session: Session) -> bool:
        return session.alive and self.now() < session.begun + SESSION_SECONDS
