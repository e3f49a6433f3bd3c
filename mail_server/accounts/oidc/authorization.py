"""A login at a provider by the authorization code flow (RFC 6749 §4.1), with PKCE S256, state and nonce; sans I/O.

Invariants: state, nonce and code verifier are drawn anew for each login and serve once; an answer that names another
issuer, or none where this provider always names itself, is a mix-up (RFC 9207 §2.4); nothing that an answer brings
is believed but its code, which only this provider's token endpoint redeems.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from mail_server.accounts.oidc.discovery import Endpoints
from mail_server.accounts.oidc.interface import TokenRefused
from mail_server.accounts.oidc.settings import ProviderSettings

_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Begun:
    """A login that a browser was sent away for."""

    provider: str
    redirect: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    since: int | None = None  # ms: people must have proved themselves there after this


def begin(provider: str, redirect: str, since: int | None = None) -> Begun:
    """`since`: the person proves themselves again, whatever session they have there."""
    return Begun(
        provider,
        redirect,
        state=secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(48),
        since=since,
    )


def request_url(begun: Begun, provider: ProviderSettings, where: Endpoints) -> str:
    """Where the browser goes."""
    challenge = hashlib.sha256(begun.verifier.encode()).digest()
    asked = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": begun.redirect,
        "scope": provider.scope,
        "state": begun.state,
        "nonce": begun.nonce,
        "acr_values": f"eidas{provider.acr_at_least}",
        "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
        "code_challenge_method": "S256",  # RFC 7636 §4.3
    }
    if begun.since is not None:
        asked |= {"prompt": "login", "max_age": "0"}
    parts = urlsplit(where.authorization)
    query = [*parse_qsl(parts.query, keep_blank_values=True), *asked.items()]
    return urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(query), ""))


def code_of(answer: Mapping[str, str], provider: ProviderSettings, where: Endpoints) -> str:
    """The code of an answer that came back for this provider. Raises TokenRefused."""
    issuer = answer.get("iss")
    if issuer is None and where.tells_issuer:
        raise TokenRefused("wrong-issuer")
    if issuer is not None and issuer != provider.issuer:
        raise TokenRefused("wrong-issuer")
    if "error" in answer:  # RFC 6749 §4.1.2.1: its words are not repeated
        raise TokenRefused("refused-there")
    code = answer.get("code", "")
    if not 0 < len(code) <= _LONGEST:
        raise TokenRefused("malformed")
    return code


def redemption(begun: Begun, code: str) -> dict[str, str]:
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": begun.redirect,
        "code_verifier": begun.verifier,
    }
