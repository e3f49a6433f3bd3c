"""A login confirmed on the person's own device (OpenID CIBA Core 1.0, poll mode).

Invariants: the provider is never asked faster than it said (§7.3, §11: `slow_down` adds five seconds for good); a
request is over when it was confirmed, refused or too old, and serves once; the token names this very request.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mail_server.accounts.oidc.http import unreachable
from mail_server.accounts.oidc.interface import ProvenIdentity, TokenRefused
from mail_server.accounts.oidc.issuer import Issuer, refused_by

_GRANT = "urn:openid:params:grant-type:ciba"
_SHORTEST, _USUAL, _LONGEST = 1, 5, 60  # seconds between two questions
_SLOWER = 5_000
_LONGEST_LIFE = 600  # seconds


@dataclass(slots=True)
class Asked:
    """A request that waits for its person."""

    provider: str
    national_id: str = field(repr=False)
    request: str = field(repr=False)  # auth_req_id
    interval: int  # ms
    expires: int
    next: int  # ms: not to be asked before
    over: bool = False


async def begin(issuer: Issuer, national_id: str, message: str, now: int) -> Asked:
    """Raises TokenRefused."""
    provider = issuer.provider
    answer = await issuer.ciba(
        {
            "scope": provider.scope,
            "login_hint": national_id,
            "binding_message": message,
            "acr_values": f"eidas{provider.acr_at_least}",
        }
    )
    if not answer.ok:
        if answer.error in ("unknown_user_id", "access_denied", "unauthorized_user"):
            raise TokenRefused("refused-there")
        raise unreachable()
    request = answer.said.get("auth_req_id")
    if not isinstance(request, str) or not 0 < len(request) <= 1024:
        raise TokenRefused("malformed")
    interval = 1000 * _seconds(answer.said.get("interval"), _USUAL, _SHORTEST, _LONGEST)
    life = 1000 * _seconds(answer.said.get("expires_in"), 120, _SHORTEST, _LONGEST_LIFE)
    return Asked(provider.name, national_id, request, interval, now + life, now + interval)


async def poll(issuer: Issuer, asked: Asked, now: int) -> ProvenIdentity | None:
    """None: not yet. Raises TokenRefused expired, refused-there, and what an ID token is refused for."""
    if asked.over or now >= asked.expires:
        asked.over = True
        raise TokenRefused("expired")
    if now < asked.next:
        return None
    asked.next = now + asked.interval  # before the question: two at once ask once
    answer = await issuer.token({"grant_type": _GRANT, "auth_req_id": asked.request})
    if answer.ok:
        asked.over = True
        return await issuer.logged_in(answer.said, nonce=None, request=asked.request)
    match answer.error:
        case "authorization_pending":
            return None
        case "slow_down":
            asked.interval += _SLOWER
            asked.next = now + asked.interval
            return None
        case _:
            refused = refused_by(answer)
            asked.over = not refused.temporary
            raise refused


def _seconds(told: Any, usual: int, least: int, most: int) -> int:
    return max(least, min(told, most)) if isinstance(told, int) and not isinstance(told, bool) else usual
