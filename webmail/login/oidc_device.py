"""Logging in by confirming on one's own device (CIBA, poll): the page waits while the provider asks the person.

Invariants: somebody unknown is answered like somebody who never confirms; nobody's device can be made to ring without
end (few requests per person and per place of the network); a request is polled with the id that its browser alone was
given, serves once, and is forgotten when it is over.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass, field

from mail_server.accounts.interface import Account
from mail_server.accounts.networks import place_of
from mail_server.accounts.oidc import ciba
from mail_server.accounts.oidc.interface import TokenRefused
from mail_server.accounts.oidc.service import OidcService
from webmail.login.ground import Ground, Visitor
from webmail.login.oidc import ProviderLogins
from webmail.login.problems import Problem
from webmail.login.sessions import Drawn
from webmail.login.tries import CodeTries

_MOST = 5_000
_LIFE = 120_000  # ms: what somebody unknown is told
_FIRST_INTERVAL = 5_000
_RINGS, _RING_WINDOW = 5, 10 * 60_000
_RINGS_OF_A_PLACE = 60


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the browser is told when it begins."""

    id: str = field(repr=False)
    code: str  # shown on both screens, so that people confirm their own login
    interval: int  # seconds
    expires: int  # ms


class DeviceLogins:
    def __init__(self, ground: Ground, oidc: OidcService, logins: ProviderLogins) -> None:
        self._ground = ground
        self._oidc = oidc
        self._logins = logins
        self._waiting: OrderedDict[str, ciba.Asked] = OrderedDict()
        self._rings = CodeTries(ground.clock, _RINGS, _RING_WINDOW)
        self._rings_of_places = CodeTries(ground.clock, _RINGS_OF_A_PLACE, _RING_WINDOW)

    async def start(self, provider: str, user: str, visitor: Visitor) -> Waiting:
        """Raises Problem unknown-provider, too-many, provider-unreachable."""
        settings = self._oidc.provider(provider)
        if settings is None or not settings.ciba:
            raise Problem("unknown-provider")
        account = self._person(user)
        who = account.id if account is not None else self._ground.secrets.tried_mark(user)
        self._rings.enter(who, "")
        self._rings_of_places.enter("", place_of(visitor.network))
        self._rings.wrong(who, "")
        self._rings_of_places.wrong("", place_of(visitor.network))
        code = f"{secrets.randbelow(90) + 10} {secrets.randbelow(90) + 10}"
        asked = await self._asked(provider, account, code, visitor)
        key = secrets.token_urlsafe(24)
        self._waiting[key] = asked
        self._sweep()
        return Waiting(key, code, max(1, asked.interval // 1000), asked.expires)

    async def _asked(self, provider: str, account: Account | None, code: str, visitor: Visitor) -> ciba.Asked:
        if account is not None:
            try:
                return await self._oidc.ciba_begin(provider, account.national_id, code)
            except TokenRefused as refused:
                problem = await self._logins.refused(refused, provider, visitor)
                if refused.reason != "refused-there":  # the provider knows nobody of this name
                    raise problem from None
        now = self._ground.clock()
        return ciba.Asked(provider, "", "", _FIRST_INTERVAL, now + _LIFE, now + _LIFE)

    def _person(self, user: str) -> Account | None:
        """By address or national identifier; None for who cannot be asked."""
        accounts = self._ground.accounts
        found = self._ground.find(user) or accounts.by_national_id(user.strip().upper())
        return found if found is not None and found.national_id else None

    async def poll(self, provider: str, key: str, shared: bool, visitor: Visitor) -> Drawn | int:
        """In, or the seconds until it is worth asking again. Raises Problem."""
        asked = self._waiting.get(key)
        if asked is None or asked.provider != provider:
            raise Problem("challenge-refused")
        try:
            found = await self._oidc.ciba_poll(asked)
        except TokenRefused as refused:
            if not refused.temporary:
                self._waiting.pop(key, None)
            raise await self._logins.refused(refused, provider, visitor) from None
        if found is None:
            return max(1, asked.interval // 1000)
        self._waiting.pop(key, None)
        proven, account = found
        self._rings.right(account.id, "")
        return await self._logins.enter(proven, account, shared, visitor)

    def _sweep(self) -> None:
        now = self._ground.clock()
        while self._waiting:
            key, oldest = next(iter(self._waiting.items()))
            if len(self._waiting) <= _MOST and now < oldest.expires + _LIFE:
                return
            del self._waiting[key]
