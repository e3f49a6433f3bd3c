"""An account as the rules see it: the one place that makes its entity.

Invariants: whose time has not come or is over is no member and no delegate; the entity holds nothing of a
patient's identity (their opaque address, never the alias).
"""

from __future__ import annotations

import time

from mail_server.accounts.interface import Account, Role
from mail_server.store.model import AccountId
from policies import questions
from policies.interface import Entity

EVERY_RIGHT = "aeiklprstwx"  # RFC 4314 §2.1; the holder's
MEMBER_RIGHTS = "eilprstwx"  # what a member has who was given nothing else


def account_entity(account: Account, at: int | None = None) -> Entity:
    """The account as the rules see it at `at` (ms UTC; now when left out)."""
    members, delegates = account.members, ()
    if account.grants:
        at = _now() if at is None else at
        lapsed = {grant.person for grant in account.grants if not grant.in_force(at)}
        members = tuple(each for each in members if each not in lapsed)
        delegates = tuple(
            grant.person
            for grant in account.grants
            if grant.role is Role.DELEGATE and grant.person not in lapsed
        )
    return questions.account(
        account.id,
        account.address,
        account.kind.value,
        suspended=account.suspended,
        members=members,
        activated=account.activated,
        practising=account.practising,
        closed=account.closed,
        opposed=account.opposed,
        contact=account.contact.value,
        sector=account.sector,
        delegates=delegates,
    )


def rights_in(account: Account, person: AccountId, at: int | None = None) -> str:
    """What `person` may do in `account` at `at`: letters of RFC 4314 §2.1, "" for nothing."""
    if person == account.id:
        return EVERY_RIGHT
    at = _now() if at is None else at
    for grant in account.grants:
        if grant.person == person:
            return grant.rights if grant.in_force(at) else ""
    return MEMBER_RIGHTS if person in account.members else ""


def _now() -> int:
    return time.time_ns() // 1_000_000
