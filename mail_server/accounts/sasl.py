"""SASL mechanisms of the server side, sans I/O: PLAIN, SCRAM-SHA-256, EXTERNAL.

An exchange parses and answers messages; whom to believe is asked of a `Judge`. All three mechanisms are
client-first (RFC 4422 §5): the first `step` takes the client's first message, which may have come with the
command or after an empty challenge that the door sent.

Invariants: whatever bytes come, `step` returns or raises `Refusal`, nothing else; a refusal tells neither
whether the account exists nor which part was wrong; an exchange that ended, well or badly, does not go on.
"""

from __future__ import annotations

import abc
import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from mail_server.accounts.app_passwords import AppPassword
from mail_server.accounts.interface import Identity
from policies.refusal import Refusal

LONGEST = 4096  # bytes of one message; an address and a password fit many times
_NONCE_BYTES = 18


class NotProven(Exception):
    """The client did not prove who it is. `reason` is a slug for the audit alone."""

    def __init__(self, reason: str, user: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.user = user


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
    async def failed(self, failure: NotProven) -> Refusal:
        """Trace the failure, wait as long as it deserves, and make the answer."""
        ...


Step = Callable[[bytes], Awaitable[bytes | Identity]]


class SaslExchange(abc.ABC):
    """Base of the exchanges: implements `mail_server.accounts.interface.Exchange`."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._next: Step | None = self._first

    async def step(self, response: bytes) -> bytes | Identity:
        step, self._next = self._next, None  # an exception leaves the exchange ended
        try:
            if step is None:
                raise NotProven("exchange-ended")
            if len(response) > LONGEST:
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
        parts = _text(response).split("\0")
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
        authorization = _text(response)
        if "\0" in authorization:
            raise NotProven("malformed")
        return await self._judge.certificate(authorization)


# RFC 5802 §7. The gs2 header: channel binding flag, then perhaps an authorization id.
_GS2 = re.compile(r"(?P<flag>[ny]|p=[A-Za-z0-9.-]+),(?:a=(?P<authzid>(?:[^=,\0]|=2C|=3D)+))?,")
_CLIENT_FIRST = re.compile(
    r"n=(?P<user>(?:[^=,\0]|=2C|=3D)+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,\0]+)*"
)
_CLIENT_FINAL = re.compile(
    r"(?P<without_proof>c=(?P<binding>[A-Za-z0-9+/=]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)"
    r"(?:,[A-Za-z]=[^,\0]+)*?),p=(?P<proof>[A-Za-z0-9+/=]+)"
)


class ScramExchange(SaslExchange):
    """SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding."""

    def __init__(self, judge: Judge, nonce: Callable[[], str] | None = None) -> None:
        super().__init__(judge)
        self._server_nonce = nonce or (lambda: secrets.token_urlsafe(_NONCE_BYTES))

    async def _first(self, response: bytes) -> bytes | Identity:
        text = _text(response)
        header = _GS2.match(text)
        if header is None:
            raise NotProven("malformed")
        if header["flag"].startswith("p"):
            # RFC 5802 §6: a channel binding we never offered. "y" is right of a client that could bind: we
            # offer no -PLUS, so nothing was stripped on the way.
            raise NotProven("channel-binding")
        # RFC 5802 §5.1: "m=" is a mandatory extension, which a server that knows none must refuse: it does
        # not match, for "n=" has to come first.
        bare = _CLIENT_FIRST.fullmatch(text, header.end())
        if bare is None:
            raise NotProven("malformed")
        user = _saslname(bare["user"])
        if header["authzid"] and _saslname(header["authzid"]).lower() != user.lower():
            raise NotProven("authorization", user)
        self._user = user
        self._gs2 = header[0]
        self._challenge = self._judge.challenge(user)
        self._nonce = bare["nonce"] + self._server_nonce()
        salt = base64.b64encode(self._challenge.salt).decode("ascii")
        server_first = f"r={self._nonce},s={salt},i={self._challenge.iterations}"
        self._so_far = f"{bare[0]},{server_first}"
        self._next = self._final
        return server_first.encode("utf-8")

    async def _final(self, response: bytes) -> bytes | Identity:
        final = _CLIENT_FINAL.fullmatch(_text(response))
        if final is None:
            raise NotProven("malformed", self._user)
        # RFC 5802 §5.1: "c=" repeats the gs2 header (no binding data), "r=" the whole nonce.
        same_header = hmac.compare_digest(_decoded(final["binding"], self._user), self._gs2.encode("utf-8"))
        same_nonce = hmac.compare_digest(final["nonce"].encode(), self._nonce.encode())
        if not (same_header and same_nonce):
            raise NotProven("malformed", self._user)
        message = f"{self._so_far},{final['without_proof']}".encode()
        password = self._proven(_decoded(final["proof"], self._user), message)
        if password is None:
            raise NotProven("wrong-password", self._user)
        self._identity = await self._judge.scram(self._user, password)
        self._next = self._end
        signature = hmac.digest(password.verifier.server_key, message, "sha256")
        return b"v=" + base64.b64encode(signature)

    def _proven(self, proof: bytes, message: bytes) -> AppPassword | None:
        """The password whose client key the proof holds (RFC 5802 §3). All are tried, whichever fits."""
        found: AppPassword | None = None
        if len(proof) != hashlib.sha256().digest_size:
            return None
        for password in self._challenge.passwords:
            signature = hmac.digest(password.verifier.stored_key, message, "sha256")
            client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
            if hmac.compare_digest(hashlib.sha256(client_key).digest(), password.verifier.stored_key):
                found = password
        return found

    async def _end(self, response: bytes) -> bytes | Identity:
        if response:
            raise NotProven("malformed", self._user)
        return self._identity


def _text(message: bytes) -> str:
    try:
        return message.decode("utf-8")
    except UnicodeDecodeError:
        raise NotProven("malformed") from None


def _saslname(text: str) -> str:
    return text.replace("=2C", ",").replace("=3D", "=")


def _decoded(text: str, user: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NotProven("malformed", user) from None
