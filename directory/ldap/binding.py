"""Bind (RFC 4511 §4.2, RFC 4513 §5): nobody, an address with an app password, or SASL.

Invariants: no password is looked at before TLS; what failed says no more than that; a connection that fails too often
is ended (that guesses are slowed is the logins' own).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from directory.ldap.interface import Bound, Client, Exchange, Logins, NotProven
from directory.ldap.protocol import names
from directory.ldap.protocol.codes import ResultCode
from directory.ldap.protocol.messages import Bind, Sasl, Simple
from directory.ldap.protocol.names import BadName

_MOST_FAILURES = 5
_MOST_STEPS = 6
_LONGEST_NAME = 1024  # characters; reading one holds up everybody else
_ENCRYPT = "Encryption required: start TLS first"


@dataclass(frozen=True, slots=True)
class Outcome:
    code: ResultCode
    words: str = ""
    bound: Bound | None = None
    credentials: bytes | None = field(default=None, repr=False)
    give_up: bool = False


class Binder:
    """Of one connection."""

    def __init__(self, logins: Logins) -> None:
        self._logins = logins
        self._failures = 0
        self._exchange: Exchange | None = None
        self._mechanism = ""
        self._steps = 0

    async def bind(self, request: Bind, client: Client) -> Outcome:
        try:
            if isinstance(request.authentication, Simple):
                self._exchange = None
                return await self._simple(request.name, request.authentication.password, client)
            return await self._sasl(request.authentication, client)
        except NotProven as failure:
            self._exchange = None
            if failure.temporary:
                return Outcome(ResultCode.BUSY, failure.sentence)
            self._failures += 1
            give_up = self._failures >= _MOST_FAILURES
            return Outcome(ResultCode.INVALID_CREDENTIALS, failure.sentence, give_up=give_up)

    async def _simple(self, name: str, password: bytes, client: Client) -> Outcome:
        if not name and not password:
            return Outcome(ResultCode.SUCCESS)  # RFC 4513 §5.1.1: anonymous
        if not password:
            # RFC 4513 §5.1.2: a name without a password proves nothing, and is often a mistake.
            return Outcome(ResultCode.UNWILLING_TO_PERFORM, "A name needs its password")
        if not client.tls:
            return Outcome(ResultCode.CONFIDENTIALITY_REQUIRED, _ENCRYPT)
        user = address_of(name)
        try:
            secret = password.decode("utf-8")
        except UnicodeDecodeError:
            user = None
            secret = ""
        if user is None:
            raise NotProven("Authentication failed")
        return Outcome(ResultCode.SUCCESS, bound=await self._logins.simple(user, secret, client))

    async def _sasl(self, asked: Sasl, client: Client) -> Outcome:
        exchange = self._exchange if asked.mechanism == self._mechanism else None
        self._exchange = None
        if exchange is None:
            if not client.tls:
                return Outcome(ResultCode.CONFIDENTIALITY_REQUIRED, _ENCRYPT)
            if asked.mechanism not in self._logins.mechanisms(client):
                return Outcome(ResultCode.AUTH_METHOD_NOT_SUPPORTED, "This mechanism is not offered here")
            exchange, self._steps = self._logins.begin(asked.mechanism, client), 0
            if asked.credentials is None and asked.mechanism != "EXTERNAL":
                return self._go_on(exchange, asked.mechanism, b"")
        answer = await exchange.step(asked.credentials or b"")
        if isinstance(answer, Bound):
            return Outcome(ResultCode.SUCCESS, bound=answer)
        return self._go_on(exchange, asked.mechanism, answer)

    def _go_on(self, exchange: Exchange, mechanism: str, challenge: bytes) -> Outcome:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise NotProven("Authentication failed")
        self._exchange, self._mechanism = exchange, mechanism
        return Outcome(ResultCode.SASL_BIND_IN_PROGRESS, credentials=challenge)


def address_of(name: str) -> str | None:
    """The address a bind name stands for: `uid=<address>,…`, `mail=<address>,…`, or the address alone.

    People write their address where a program asks for a "bind DN"; no distinguished name looks like one.
    """
    if len(name) > _LONGEST_NAME:
        return None
    if "@" in name and "=" not in name:
        return name.strip()
    try:
        parts = names.parsed(name).parts
    except BadName:
        return None
    found = dict(parts[0]) if parts else {}
    return found.get("uid") or found.get("mail")
