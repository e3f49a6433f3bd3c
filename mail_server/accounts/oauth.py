"""OAUTHBEARER (RFC 7628) and XOAUTH2: a mail program shows an access token of an identity provider. Sans I/O.

Both say which mailbox is asked for and carry the token; both hear of a failure by a JSON challenge, answer it with
nothing, and are then refused. XOAUTH2 is older, written down by no RFC, and what most programs speak.

Invariants: those of `sasl`; a token is handed to the judge and kept nowhere; the challenge of a failure is the same
whatever was wrong with the token, the person or the mailbox, and names only where tokens come from (RFC 7628 §3.2.2);
a failure is in the trace before the challenge leaves, whether or not the client answers it.
"""

from __future__ import annotations

import abc
import json
import re
from typing import ClassVar, NamedTuple

from mail_server.accounts.interface import Identity
from mail_server.accounts.sasl import Judge, NotProven, SaslExchange, saslname, text_of
from policies.refusal import Refusal

_MALFORMED = "malformed"
# RFC 7628 §3.1: kvpair = key "=" value kvsep, and a last kvsep.
_PAIRS = re.compile(r"(?:[A-Za-z]+=[\x20-\x7e\t\r\n]*\x01)*\x01")
# RFC 7628 §3.1 and RFC 5801 §4. There is no -PLUS of this mechanism, so nobody can bind with it.
_GS2 = re.compile(r"[ny],(?:a=(?P<authzid>(?:[^=,\0\x01]|=2C|=3D)+))?,\x01")
_BEARER = re.compile(r"bearer +(?P<token>[A-Za-z0-9._~+/-]+=*) *", re.IGNORECASE)  # RFC 6750 §2.1


class Asked(NamedTuple):
    user: str  # the mailbox; "": one's own
    token: str

    def __repr__(self) -> str:
        return "Asked(...)"


class TokenExchange(SaslExchange):
    LONGEST: ClassVar[int] = 12_288  # what fits into SMTP's longest line (RFC 4954 §4), and any token known

    def __init__(self, judge: Judge, scope: str = "", configuration: str = "") -> None:
        super().__init__(judge)
        self._scope = scope
        self._configuration = configuration
        self._refusal: Refusal | None = None

    async def _first(self, response: bytes) -> bytes | Identity:
        try:
            asked = self._asked(text_of(response))
            return await self._judge.token(asked.user, asked.token)
        except NotProven as failure:
            self._refusal = await self._judge.failed(failure)
            if failure.temporary:
                raise self._refusal from None  # the token may be good: it must not be thrown away
            self._next = self._refuse
            status = "invalid_request" if failure.reason == _MALFORMED else "invalid_token"
            return json.dumps(self._challenge(status), separators=(",", ":")).encode("ascii")

    async def _refuse(self, _: bytes) -> bytes | Identity:
        # RFC 7628 §3.2.3: the client answers ^A, XOAUTH2's nothing; whatever it says, it is refused.
        assert self._refusal is not None
        raise self._refusal

    @abc.abstractmethod
    def _asked(self, text: str) -> Asked: ...

    @abc.abstractmethod
    def _challenge(self, status: str) -> dict[str, str]: ...


class OAuthBearerExchange(TokenExchange):
    """OAUTHBEARER (RFC 7628)."""

    def _asked(self, text: str) -> Asked:
        header = _GS2.match(text)
        if header is None:
            raise NotProven(_MALFORMED)
        user = saslname(header["authzid"] or "")
        # host and port (RFC 7628 §3.1.1) say what the client thinks it talks to; TLS has proven it already.
        return Asked(user, _bearer(_pairs(text[header.end() :]).get("auth", ""), user))

    def _challenge(self, status: str) -> dict[str, str]:
        told = {"status": status, "scope": self._scope, "openid-configuration": self._configuration}
        return {name: value for name, value in told.items() if value}


class XOAuth2Exchange(TokenExchange):
    """XOAUTH2: `user=` mailbox ^A `auth=Bearer ` token ^A ^A."""

    def _asked(self, text: str) -> Asked:
        user_part, separator, rest = text.partition("\x01")
        user = user_part.removeprefix("user=")
        if not separator or user == user_part or not user or "\0" in user:
            raise NotProven(_MALFORMED)
        return Asked(user, _bearer(_pairs(rest).get("auth", ""), user))

    def _challenge(self, status: str) -> dict[str, str]:
        code = "400" if status == "invalid_request" else "401"
        told = {"status": code, "schemes": "bearer", "scope": self._scope}
        return {name: value for name, value in told.items() if value}


def _pairs(text: str) -> dict[str, str]:
    if _PAIRS.fullmatch(text) is None:
        raise NotProven(_MALFORMED)
    found: dict[str, str] = {}
    for pair in text.split("\x01")[:-2]:
        name, _, value = pair.partition("=")
        if name.lower() in found:
            raise NotProven(_MALFORMED)  # two tokens: nobody may choose which of them counts
        found[name.lower()] = value
    return found


def _bearer(header: str, user: str) -> str:
    credentials = _BEARER.fullmatch(header)
    if credentials is None:
        raise NotProven(_MALFORMED, user)
    return credentials["token"]
