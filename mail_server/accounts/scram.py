"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), sans I/O.

-PLUS binds the login to the TLS connection by the certificate that the server showed on it (tls-server-end-point,
RFC 5929 §4): who stands in between with another certificate is found out, by the client and by us.

Invariants: those of `sasl`; where -PLUS is offered, a client that says it could bind but was offered nothing to
bind with is refused, for somebody took the offer away (RFC 5802 §6); all passwords of an account are tried,
whichever fits.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable

from mail_server.accounts.app_passwords import AppPassword
from mail_server.accounts.interface import Identity
from mail_server.accounts.sasl import Judge, NotProven, SaslExchange, saslname, text_of

BINDING = "tls-server-end-point"
_NONCE_BYTES = 18

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
    """One login. `end_point`: what this connection can be bound to; `plus`: the client chose -PLUS."""

    def __init__(
        self,
        judge: Judge,
        nonce: Callable[[], str] | None = None,
        *,
        end_point: bytes | None = None,
        plus: bool = False,
    ) -> None:
        super().__init__(judge)
        self._server_nonce = nonce or (lambda: secrets.token_urlsafe(_NONCE_BYTES))
        self._end_point = end_point
        self._plus = plus

    async def _first(self, response: bytes) -> bytes | Identity:
        text = text_of(response)
        header = _GS2.match(text)
        if header is None:
            raise NotProven("malformed")
        # RFC 5802 §5.1: "m=" is a mandatory extension, which a server that knows none must refuse: it does
        # not match, for "n=" has to come first.
        bare = _CLIENT_FIRST.fullmatch(text, header.end())
        if bare is None:
            raise NotProven("malformed")
        user = saslname(bare["user"])
        self._bound = header[0].encode("utf-8") + self._binding(header["flag"], user)
        if header["authzid"] and saslname(header["authzid"]).lower() != user.lower():
            raise NotProven("authorization", user)
        self._user = user
        self._challenge = self._judge.challenge(user)
        self._nonce = bare["nonce"] + self._server_nonce()
        salt = base64.b64encode(self._challenge.salt).decode("ascii")
        server_first = f"r={self._nonce},s={salt},i={self._challenge.iterations}"
        self._so_far = f"{bare[0]},{server_first}"
        self._next = self._final
        return server_first.encode("utf-8")

    def _binding(self, flag: str, user: str) -> bytes:
        """The channel binding data that "c=" must repeat (RFC 5802 §6)."""
        if self._plus:
            if flag != f"p={BINDING}" or self._end_point is None:
                raise NotProven("channel-binding-type", user)
            return self._end_point
        if flag.startswith("p"):
            raise NotProven("channel-binding-type", user)  # bound, under the name that does not bind
        if flag == "y" and self._end_point is not None:
            # It could bind and thinks that we could not: our offer was taken away on the way.
            raise NotProven("channel-binding-stripped", user)
        return b""

    async def _final(self, response: bytes) -> bytes | Identity:
        final = _CLIENT_FINAL.fullmatch(text_of(response))
        if final is None:
            raise NotProven("malformed", self._user)
        # RFC 5802 §5.1: "c=" repeats the gs2 header and the binding data, "r=" the whole nonce.
        if not hmac.compare_digest(_decoded(final["binding"], self._user), self._bound):
            raise NotProven("channel-binding" if self._plus else "malformed", self._user)
        if not hmac.compare_digest(final["nonce"].encode(), self._nonce.encode()):
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


def _decoded(text: str, user: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NotProven("malformed", user) from None
