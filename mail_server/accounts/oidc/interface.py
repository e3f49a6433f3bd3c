"""What an identity provider vouches for, as SASL and the page see it.

The product knows providers as OIDC issuers named in its configuration ("psc", "apcv"); nothing of one provider
is in the code but the names of its claims, which are configuration too.

Invariants: a token is never stored, logged or shown; of a session at the provider only sub, sid and jti are kept,
and in memory; what cannot be verified is refused with a slug for the trace, and nothing of the token's content.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from mail_server.store.model import AccountId


@dataclass(frozen=True, slots=True)
class ProvenIdentity:
    """A person as a provider vouched for, after every check of issuer, audience, signature, times and level."""

    provider: str  # its name in our configuration, never a URL out of a token
    subject: str = field(repr=False)  # sub
    session: str = field(repr=False)  # sid, else session_state; "" when the provider told none
    token: str = field(repr=False)  # jti
    national_id: str = field(default="", repr=False)  # idNat_PS: "8" and RPPS; "" for a patient
    ins: str = field(default="", repr=False)  # verified INS, 15 digits; "" for a professional
    birth_date: str = field(default="", repr=False)  # of a patient, "YYYY-MM-DD"; "" when not told
    acr: int = 0  # eIDAS level, 1 to 3
    authenticated: int = 0  # auth_time, ms
    expires: int = 0  # of the token, ms
    practising: bool = True  # False: no situation of practice is left, or struck off


class TokenRefused(Exception):
    """`reason` is a stable slug: expired, not-yet-valid, wrong-issuer, wrong-audience, wrong-algorithm, wrong-type,
    wrong-nonce, not-fresh, wrong-subject, wrong-access-token, bad-signature, acr-too-low, revoked, replayed,
    malformed, unknown-key, no-identity, practice-unknown, practice-lost, unknown-person, session-too-old,
    refused-there (by the person or the provider), provider-unreachable (temporary).

    `account`: whom it concerned, where that was proven, for the trace."""

    def __init__(self, reason: str, *, temporary: bool = False, account: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.temporary = temporary
        self.account = account


class AccessTokens(Protocol):
    """Verifies access tokens that mail programs show (SASL XOAUTH2, OAUTHBEARER)."""

    def offered(self) -> bool:
        """Whether any provider issues tokens for mail programs."""
        ...

    async def verify(self, token: str) -> ProvenIdentity:
        """Raises TokenRefused."""
        ...

    def configuration(self) -> tuple[str, str]:
        """Scope and OpenID configuration address for the failure challenge (RFC 7628 §3.2.2)."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderLogin:
    credential: str  # "oidc:" and 20 letters; the same for one session at the provider and one account
    until: int  # ms: 30 minutes from now, and never beyond 4 hours after that session was first seen


class ProviderSessions(Protocol):
    """Sessions at providers that opened something here. In memory alone."""

    ended: list[Callable[[AccountId, str], None]]
    """Called with account and credential when a session ended: back-channel logout, revocation."""

    def open(self, proven: ProvenIdentity, account: AccountId) -> ProviderLogin:
        """Raises TokenRefused ("session-too-old", "revoked")."""
        ...

    def holds(self, account: AccountId, credential: str) -> bool: ...
