"""What a provider's answers must say before they are believed. Pure functions; the clock is an argument.

Sources: OpenID Connect Core 1.0 §3.1.3.7 (ID tokens), Back-Channel Logout 1.0 §2.6, RFC 7662 (introspection),
RFC 8725 (JWT best practices), RFC 9068 and Keycloak's `typ` (access tokens).

Invariants: each check refuses with one slug; what is missing is refused like what is wrong; a level above the one
asked for passes, one below or unknown never.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, cast

from mail_server.accounts.oidc.interface import TokenRefused
from mail_server.accounts.oidc.signatures import Claims

_LEVEL = re.compile(r"(?:.*[/:#])?eidas([123])")
_LONGEST_TEXT = 1000
_OLDEST_LOGOUT = 120_000  # ms: a logout token is sent at once, or not at all
_LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"


@dataclass(frozen=True, slots=True)
class Expected:
    """What tokens of one provider must say."""

    issuer: str
    client: str
    audience: str  # of a mail program's token
    clients: frozenset[str]  # whose tokens may be shown by mail programs
    acr_at_least: int
    skew: int  # ms


@dataclass(frozen=True, slots=True)
class LogoutNotice:
    """Whose session ended at the provider: one session, or every one of a subject."""

    subject: str = field(repr=False)
    session: str = field(repr=False)
    token: str = field(repr=False)
    at: int = 0


def id_token(claims: Claims, expected: Expected, now: int, *, nonce: str | None, access_token: str) -> None:
    """After the signature. `nonce` None: none was sent (CIBA). Raises TokenRefused."""
    _issuer(claims, expected)
    audiences = _audiences(claims)
    # OIDC Core §3.1.3.7 (3 to 5): for us, and when for others too, made for us.
    if expected.client not in audiences or (len(audiences) > 1 and claims.get("azp") != expected.client):
        raise TokenRefused("wrong-audience")
    if claims.get("azp", expected.client) != expected.client:
        raise TokenRefused("wrong-audience")
    if _text(claims, "typ").lower() not in ("", "id") or "events" in claims:
        raise TokenRefused("wrong-type")
    _times(claims, expected, now)
    if nonce is not None and not hmac.compare_digest(_text(claims, "nonce").encode(), nonce.encode()):
        raise TokenRefused("wrong-nonce")
    told = claims.get("at_hash")
    if told is not None and told != at_hash(access_token):  # §3.1.3.8: the tokens belong together
        raise TokenRefused("wrong-access-token")
    _subject(claims)
    _level(claims, expected)


def authenticated_since(claims: Claims, expected: Expected, since: int) -> None:
    """OIDC Core §3.1.2.1: asked with max_age, the provider says when the person proved themselves."""
    proved = _moment(claims, "auth_time")
    if proved is None or proved < since - expected.skew:
        raise TokenRefused("not-fresh")


def access_token(claims: Claims, expected: Expected, now: int, *, header_type: str) -> None:
    """A signed access token that a mail program shows, after the signature. Raises TokenRefused."""
    _issuer(claims, expected)
    kind = _text(claims, "typ").lower()
    # An ID token is signed by the same keys and may name the same audience: it is no access token.
    if kind not in ("", "bearer") or not (kind == "bearer" or header_type == "at+jwt"):
        raise TokenRefused("wrong-type")
    if "at_hash" in claims or "events" in claims:
        raise TokenRefused("wrong-type")
    _for_mail(claims, expected)
    _times(claims, expected, now)
    _subject(claims)
    _level(claims, expected)


def introspection(answer: Claims, expected: Expected, now: int, *, about: Claims | None) -> Claims:
    """What a provider says of a token now (RFC 7662 §2.2); `about`: what its signature proved. Raises TokenRefused."""
    if answer.get("active") is not True:
        raise TokenRefused("revoked")
    if about is not None:
        for name in ("sub", "jti", "sid"):  # the answer must be about this very token
            if name in answer and name in about and answer[name] != about[name]:
                raise TokenRefused("malformed")
    whole = {**(about or {}), **{name: value for name, value in answer.items() if value is not None}}
    if "iss" in answer or about is None:
        _issuer(whole, expected)
    if about is None:
        _for_mail(whole, expected)
    _times(whole, expected, now)
    _subject(whole)
    _level(whole, expected)
    return whole


def userinfo(answer: Claims, subject: str) -> None:
    """OIDC Core §5.3.2: about the same person, or about nobody."""
    if answer.get("sub") != subject:
        raise TokenRefused("wrong-subject")


def logout_token(claims: Claims, expected: Expected, now: int, *, header_type: str) -> LogoutNotice:
    """Back-Channel Logout 1.0 §2.6. Whether its `jti` came before is the caller's to know. Raises TokenRefused."""
    if header_type not in ("", "jwt", "logout+jwt"):
        raise TokenRefused("wrong-type")
    _issuer(claims, expected)
    # A mail program whose tokens we take may have its logouts sent here, too.
    if not {expected.client, *expected.clients} & set(_audiences(claims)):
        raise TokenRefused("wrong-audience")
    events = claims.get("events")
    if "nonce" in claims or not isinstance(events, dict):
        raise TokenRefused("wrong-type")
    if not isinstance(cast("dict[str, Any]", events).get(_LOGOUT_EVENT), dict):
        raise TokenRefused("wrong-type")
    issued = _moment(claims, "iat")
    if issued is None or issued > now + expected.skew:
        raise TokenRefused("malformed")
    expires = _moment(claims, "exp")
    if (expires is not None and now >= expires + expected.skew) or (
        now - issued > _OLDEST_LOGOUT + expected.skew
    ):
        raise TokenRefused("expired")
    subject, session, token = _text(claims, "sub"), _text(claims, "sid"), _text(claims, "jti")
    if not token or not (subject or session):
        raise TokenRefused("malformed")
    return LogoutNotice(subject, session, token, issued)


def level(claims: Claims) -> int:
    """The eIDAS level that `acr` names; 0 for none known."""
    found = _LEVEL.fullmatch(_text(claims, "acr"))
    return int(found[1]) if found else 0


def at_hash(token: str) -> str:
    """OIDC Core §3.1.3.6; both algorithms we take hash with SHA-256."""
    half = hashlib.sha256(token.encode("utf-8", "replace")).digest()[:16]
    return base64.urlsafe_b64encode(half).rstrip(b"=").decode()


def moment(claims: Claims, name: str) -> int:
    """A time claim in ms; 0 where it is not told."""
    return _moment(claims, name) or 0


def text(claims: Claims, name: str) -> str:
    return _text(claims, name)


# -- parts


def _issuer(claims: Claims, expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise TokenRefused("wrong-issuer")


def _audiences(claims: Claims) -> Collection[str]:
    told = claims.get("aud")
    if isinstance(told, str):
        return (told,)
    return (
        [one for one in cast("list[object]", told) if isinstance(one, str)] if isinstance(told, list) else ()
    )


def _for_mail(claims: Claims, expected: Expected) -> None:
    if expected.audience not in _audiences(claims):
        raise TokenRefused("wrong-audience")
    made_by = claims.get("azp", claims.get("client_id"))
    if made_by is not None and made_by != expected.client and made_by not in expected.clients:
        raise TokenRefused("wrong-audience")


def _times(claims: Claims, expected: Expected, now: int) -> None:
    expires, issued, begins = (_moment(claims, name) for name in ("exp", "iat", "nbf"))
    if expires is None or issued is None:
        raise TokenRefused("malformed")
    if now >= expires + expected.skew:
        raise TokenRefused("expired")
    if issued > now + expected.skew or (begins is not None and begins > now + expected.skew):
        raise TokenRefused("not-yet-valid")


def _subject(claims: Claims) -> None:
    if not _text(claims, "sub"):
        raise TokenRefused("no-identity")


def _level(claims: Claims, expected: Expected) -> None:
    if level(claims) < expected.acr_at_least:
        raise TokenRefused("acr-too-low")


def _moment(claims: Claims, name: str) -> int | None:
    told = claims.get(name)
    if isinstance(told, bool) or not isinstance(told, int | float) or not 0 < told < 1e11:
        return None
    return int(told * 1000)


def _text(claims: Claims, name: str) -> str:
    told = claims.get(name)
    return told if isinstance(told, str) and len(told) <= _LONGEST_TEXT else ""
