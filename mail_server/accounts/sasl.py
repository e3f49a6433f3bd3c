"""SASL mechanisms of the server side, sans I/O: what all have in common, PLAIN and EXTERNAL.

SCRAM is in `scram`, the mechanisms that carry a token in `oauth`. An exchange parses and answers messages; whom to
believe is asked of a `Judge`. All mechanisms are client-first (RFC 4422 §5): the first `step` takes the client's
first message, which may have come with the command or after an empty challenge that the door sent.

Invariants: whatever bytes come, `step` returns or raises `Refusal`, nothing else; a refusal tells neither
whether the account exists nor which part was wrong; an exchange that ended, well or badly, does not go on.
"""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from mail_server.accounts.app_passwords import AppPassword
from mail_server.accounts.interface import Identity
from policies.refusal import Refusal


class NotProven(Exception):
    """The client did not prove who it is. `reason` is a slug for the audit alone.

    `person`: the account of whom a good token vouched for, who then asked for what is not theirs.
    `temporary`: nothing was wrong with the proof, but it could not be looked at.
    """

    def __init__(self, reason: str, user: str = "", *, person: str = "", temporary: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.user = user
        self.person = person
        self.temporary = temporary


@dataclass(frozen=True, slots=True)
class Challenge:
    """What SCRAM needs of an account before its password is known. An unknown account has one too."""

    salt: bytes = field(repr=False)
    iterations: int
    passwords: tuple[AppPassword, ...] = field(repr=False)  # any of them may be the one; none when unknown


class Judge(Protocol):
    """Who knows the accounts. Everything raised is a `NotProven` or a `Refusal`."""

    def challenge(self, user: str) -> Challenge: ...
    async def password(self, user: str, password: str) -> Identity: ...
    async def scram(self, user: str, password: AppPassword) -> Identity: ...
    async def certificate(self, authorization: str) -> Identity: ...
    async def token(self, user: str, token: str) -> Identity:
        """`user`: the mailbox asked for; "" is one's own."""
        ...

    async def failed(self, failure: NotProven) -> Refusal:
        """Trace the failure, wait as long as it deserves, and make the answer."""
        ...


Step = Callable[[bytes], Awaitable[bytes | Identity]]


class SaslExchange(abc.ABC):
    """Base of the exchanges: implements `mail_server.accounts.interface.Exchange`."""

    LONGEST: ClassVar[int] = 4096  # bytes of one message; an address and a password fit many times

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._next: Step | None = self._first

    async def step(self, response: bytes) -> bytes | Identity:
        step, self._next = self._next, None  # an exception leaves the exchange ended
        try:
            if step is None:
                raise NotProven("exchange-ended")
            if len(response) > self.LONGEST:
                raise NotProven("malformed")
            return await step(response)
        except NotProven as failure:
            raise await self._judge.failed(failure) from None

    @abc.abstractmethod
    async def _first(self, response: bytes) -> bytes | Identity:
        """The answer to the client's first response. Raises NotProven."""


class PlainExchange(SaslExchange):
    """PLAIN (RFC 4616)."""

    async def _first(self, response: bytes) -> bytes | Identity:
        # RFC 4616 §2: message = [authzid] UTF8NUL authcid UTF8NUL passwd
        parts = text_of(response).split("\0")
        if len(parts) != 3:
            raise NotProven("malformed")
        authorization, user, password = parts
        if not user or not password:
            raise NotProven("malformed")
        if authorization and authorization.lower() != user.lower():
            raise NotProven("authorization", user)  # nobody acts as another here
        return await self._judge.password(user, password)


class ExternalExchange(SaslExchange):
    """EXTERNAL (RFC 4422 appendix A): the client certificate speaks, and the binding says for whom."""

    async def _first(self, response: bytes) -> bytes | Identity:
        authorization = text_of(response)
        if "\0" in authorization:
            raise NotProven("malformed")
        return await self._judge.certificate(authorization)


def text_of(message: bytes) -> str:
    try:
        return message.decode("utf-8")
    except UnicodeDecodeError:
        raise NotProven("malformed") from None


def saslname(text: str) -> str:
    """RFC 5801 §4: comma and equals sign are written =2C and =3D."""
    return text.replace("=2C", ",").replace("=3D", "=")
