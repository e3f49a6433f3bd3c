"""Who a request speaks for: the page's cookie, or a program's app password (Basic, Bearer).

Invariants: one proof per request; a cookie counts only for what the page itself sent (`accounts.provenance`); a
password is verified once and then known by an HMAC under a key of this process, for as long as the account still
holds it; a suspended account speaks for nobody.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass

from starlette.requests import Request

from mail_server.accounts import bearer, provenance
from mail_server.accounts.access import READ, Access
from mail_server.accounts.interface import (
    Account,
    Accounts,
    Authenticator,
    Identity,
    PageSessions,
    Peer,
)
from mail_server.jmap.interface import Turn
from mail_server.jmap.problems import BASIC, BEARER, Refused, of_login
from mail_server.jmap.services import Counters
from mail_server.jmap.settings import JmapSettings
from mail_server.store.model import AccountId
from policies.refusal import Refusal

_REMEMBERED = 20_000
_SECONDS = 600.0
_LONGEST = 2_000  # characters of an Authorization header
_LOOPBACK = frozenset({"127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Site:
    """How a request reached us, as its sender sees it."""

    scheme: str
    host: str

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}"

    @property
    def cookie(self) -> str:
        return "__Host-vaguemestre" if self.scheme == "https" else "vaguemestre"


def site_of(request: Request, settings: JmapSettings) -> Site:
    if settings.public_url is not None:
        scheme, _, host = settings.public_url.rstrip("/").partition("://")
        return Site(scheme, host)
    return Site(request.url.scheme, request.headers.get("host", ""))


@dataclass(frozen=True, slots=True)
class Guest:
    """Who speaks, proven, for one request."""

    identity: Identity
    peer: Peer
    cookie: str = ""


class Entrance:
    def __init__(
        self,
        settings: JmapSettings,
        accounts: Accounts,
        authenticator: Authenticator,
        sessions: PageSessions,
        counters: Counters,
        access: Access | None = None,
    ) -> None:
        self._settings = settings
        self._accounts = accounts
        self._authenticator = authenticator
        self._sessions = sessions
        self._counters = counters
        self._access = access or Access(accounts)
        self._known = _Known()

    async def admit(self, request: Request, *, header_needed: bool = True) -> Guest:
        """Raises Refused."""
        site = site_of(request, self._settings)
        cookie = request.cookies.get(site.cookie)
        if provenance.two_proofs(request.headers, by_cookie=cookie is not None):
            raise Refused("two-proofs")
        if cookie is not None:
            return self._by_cookie(request, site, cookie, header_needed)
        return await self._by_password(request, site)

    def still(self, guest: Guest) -> bool:
        """Whether what a long request began with still holds."""
        identity = guest.identity
        account = self._accounts.by_id(identity.account)
        if account is None or account.suspended:
            return False
        if guest.cookie:
            return self._sessions.by_cookie(guest.cookie) is not None
        return self._accounts.holds(identity.account, identity.credential)

    def turn(self, guest: Guest, using: frozenset[str]) -> Turn:
        accounts, person = self.reached(guest.identity), guest.identity.account
        rights = {each: self._access.rights(person, each) for each in accounts if each != person}
        return Turn(guest.identity, guest.peer, accounts, using, rights=rights)

    def reached(self, identity: Identity) -> dict[AccountId, Account]:
        """One's own account first, then those that are shared with its holder at this moment."""
        own = self._accounts.by_id(identity.account)
        found = {own.id: own} if own is not None else {}
        return found | {each.id: each for each in self._access.shared_with(identity.account)}

    def listened_to(self, identity: Identity) -> list[AccountId]:
        """Those whose changes one may be told of: where one may read."""
        person = identity.account
        return [each for each in self.reached(identity) if self._access.may(person, each, READ)]

    # ── the page ──

    def _by_cookie(self, request: Request, site: Site, cookie: str, header_needed: bool) -> Guest:
        own = frozenset({site.origin}) if self._settings.public_url is not None else None
        refused = provenance.refusal_of(
            request.headers,
            own_origins=own,
            host=site.host,
            scheme=site.scheme,
            header_needed=header_needed,
        )
        if refused is not None:
            raise Refused(refused)
        identity = self._sessions.by_cookie(cookie)
        account = self._accounts.by_id(identity.account) if identity is not None else None
        if identity is None or account is None or account.suspended:
            # Bearer alone: a browser asks for a password of its own where Basic is offered.
            raise Refused("no-session", challenge=BEARER)
        return Guest(identity, self._peer(request, identity.credential), cookie)

    # ── programs ──

    async def _by_password(self, request: Request, site: Site) -> Guest:
        challenge = BEARER if provenance.MARK in request.headers else f"{BASIC}, {BEARER}"
        header = request.headers.get("authorization", "")
        given = _credentials(header)
        if given is None:
            raise Refused("no-session", challenge=challenge)
        address = request.client.host if request.client else ""
        known = self._known.recall(header, address)
        if known is not None and self.still(known):
            return known
        peer = self._peer(request, secrets.token_hex(8), secure=site.scheme == "https")
        try:
            identity = await self._authenticator.login(given[0], given[1], peer)
        except Refusal as refusal:
            self._counters.login_failures += 1
            raise of_login(refusal, challenge) from None
        self._counters.logins += 1
        guest = Guest(identity, peer)
        self._known.remember(header, address, guest)
        return guest

    def _peer(self, request: Request, session: str, *, secure: bool = True) -> Peer:
        client = request.client
        address, port = (client.host, client.port) if client else ("", 0)
        # Behind a proxy on this machine, what its address says (https) is what the sender saw.
        encrypted = request.url.scheme == "https" or (secure and address in _LOOPBACK)
        return Peer(address, port, "jmap", session, tls=encrypted)


def _credentials(header: str) -> tuple[str, str] | None:
    """Address and app password of `Basic` (RFC 7617) or of a token of ours."""
    scheme, _, value = header.partition(" ")
    value = value.strip()
    if len(header) > _LONGEST or not value:
        return None
    if scheme.lower() == "bearer":
        return bearer.parsed(value)
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(value, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon and user and password else None


class _Known:
    """Authorization headers verified a while ago: by an HMAC, never the password itself."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._guests: OrderedDict[bytes, tuple[Guest, float]] = OrderedDict()

    def recall(self, header: str, address: str) -> Guest | None:
        found = self._guests.get(self._mark(header, address))
        return found[0] if found is not None and time.monotonic() < found[1] else None

    def remember(self, header: str, address: str, guest: Guest) -> None:
        mark = self._mark(header, address)
        self._guests[mark] = (guest, time.monotonic() + _SECONDS)
        self._guests.move_to_end(mark)
        if len(self._guests) > _REMEMBERED:
            self._guests.popitem(last=False)

    def _mark(self, header: str, address: str) -> bytes:
        return hmac.digest(self._key, f"{address}\0{header}".encode("utf-8", "surrogatepass"), "sha256")
