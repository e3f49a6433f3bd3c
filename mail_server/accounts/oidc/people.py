"""Who a provider's claims are about, in our words.

Invariants: a national id and an INS are checked (digits, key) or refused; a professional is one only by a national
id, a patient only by an INS; where situations of practice are expected and not told, nobody is let in and nobody
loses anything; no claim reaches an exception or a repr.
"""

from __future__ import annotations

from typing import Any, cast

from mail_server.accounts import national_id
from mail_server.accounts.ins import InsRefused
from mail_server.accounts.ins import parse as parsed_ins
from mail_server.accounts.oidc import checks
from mail_server.accounts.oidc.interface import ProvenIdentity, TokenRefused
from mail_server.accounts.oidc.settings import ProviderSettings
from mail_server.accounts.oidc.signatures import Claims


def needed(provider: ProviderSettings) -> tuple[str, ...]:
    """The claims that say who it is."""
    names = provider.claims
    if provider.people == "patient":
        return (names.ins,)
    return (names.national_id, names.practice) if names.practice else (names.national_id,)


def proven(provider: ProviderSettings, claims: Claims) -> ProvenIdentity:
    """`claims` have passed every check. Raises TokenRefused no-identity, practice-unknown."""
    patient = provider.people == "patient"
    issued, authenticated = checks.moment(claims, "iat"), checks.moment(claims, "auth_time")
    return ProvenIdentity(
        provider=provider.name,
        subject=checks.text(claims, "sub"),
        session=checks.text(claims, "sid") or checks.text(claims, "session_state"),
        token=checks.text(claims, "jti"),
        national_id="" if patient else _national_id(claims, provider.claims.national_id),
        ins=_ins(claims, provider.claims.ins) if patient else "",
        birth_date=checks.text(claims, provider.claims.birth_date) if patient else "",
        acr=checks.level(claims),
        authenticated=authenticated or issued,
        expires=checks.moment(claims, "exp"),
        practising=patient or _practising(claims, provider),
    )


def _national_id(claims: Claims, name: str) -> str:
    found = national_id.normal(checks.text(claims, name))
    if found is None:
        raise TokenRefused("no-identity")
    return found


def _ins(claims: Claims, name: str) -> str:
    told = checks.text(claims, name)
    try:
        number = parsed_ins(told)
    except InsRefused:
        raise TokenRefused("no-identity") from None
    return number.number


def _practising(claims: Claims, provider: ProviderSettings) -> bool:
    """Whether a situation of practice is left. Struck off, somebody has none."""
    name = provider.claims.practice
    if not name:
        return True
    told = claims.get(name)
    if not isinstance(told, dict):
        raise TokenRefused("practice-unknown")
    exercises = cast("dict[str, Any]", told).get("exercices")
    if not isinstance(exercises, list):
        raise TokenRefused("practice-unknown")
    held = [cast("dict[str, Any]", one) for one in cast("list[object]", exercises) if isinstance(one, dict)]
    if provider.practice_needs == "exercise":
        return bool(held)
    return any(isinstance(one.get("activities"), list) and one["activities"] for one in held)
