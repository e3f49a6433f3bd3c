"""Whether what a session was opened with still holds: asked by every door while the session lasts.

Invariant: whatever ends a way in (suspension, closure, the right to practise lost, a password revoked or expired, a
certificate unbound, a provider's session over, its half hour gone) is seen here, the next time it is asked.
"""

from __future__ import annotations

import enum
import time

from mail_server.accounts.interface import Accounts, Identity


class Ended(enum.Enum):
    """Why a session may not go on; the value is the slug for the trace."""

    ACCOUNT = "account-suspended"
    CREDENTIAL = "credential-revoked"
    TIME = "session-over"


def ended(accounts: Accounts, identity: Identity, at: int | None = None) -> Ended | None:
    """None while it holds. `at`: ms, now when left out."""
    account = accounts.by_id(identity.account)
    if account is None or account.suspended or account.closed:
        return Ended.ACCOUNT
    if identity.until is not None and (at if at is not None else _now()) >= identity.until:
        return Ended.TIME
    return None if accounts.holds(identity.account, identity.credential) else Ended.CREDENTIAL


def _now() -> int:
    return time.time_ns() // 1_000_000
