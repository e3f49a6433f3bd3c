"""How the page stands: what is held, late or unfinished. For `vaguemestre doctor` and for the metrics.

Invariants: numbers and opaque ids only, never an address that a patient is known by; nothing is changed; walking
many accounts lets others run in between.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.node.composition import Node
from mail_server.accounts.interface import Account, Kind
from mail_server.delivery.plan import Treatment
from mail_server.delivery.retirement import OPEN_STATES
from mail_server.jmap.submission_rows import Undo
from mail_server.store.interface import Reader
from mail_server.store.model import AccountId, MessageId
from policies.refusal import Refusal

LATE_MS = 15 * 60_000  # after its time, for a letter that should have left
_MOST_COUNTED = 10_000
_AT_A_TIME = 500


# Gauges of the metrics.
SHOWN = {
    "jmap_submissions_held": "Letters handed over that may still be called back.",
    "jmap_submissions_late": "Letters handed over that should have left a quarter of an hour ago.",
    "reseal_accounts": "Accounts with a key of their own whose older letters are not all sealed to it.",
    "reseal_letters": "Letters of those accounts that an operator-held key still opens.",
}


@dataclass(frozen=True, slots=True)
class Submissions:
    """Letters handed over to JMAP that have not left."""

    held: int  # may still be called back
    late: int  # should have left long ago
    oldest_late: int | None  # when it should have: ms UTC


@dataclass(frozen=True, slots=True)
class Codes:
    """Enrolment codes that nobody may use any more, of people who have no newer one."""

    alive: int
    expired: int  # never used
    blocked: int  # wrong answers


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An account with its own certificate whose operator-held key is still needed."""

    address: str  # opaque, for a patient
    patient: bool
    left: int  # letters
    since: int | None  # ms UTC: when the space was opened


@dataclass(frozen=True, slots=True)
class Uploads:
    octets: int
    fullest: int  # octets of the account that has most


@dataclass(frozen=True, slots=True)
class Standing:
    submissions: Submissions
    codes: Codes
    uploads: Uploads
    unfinished: Sequence[Unfinished]

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


async def standing(node: Node, now: int) -> Standing:
    def read(reader: Reader) -> tuple[Submissions, Codes, Uploads]:
        return submissions(reader, now), _codes(reader, now), _uploads(reader)

    found = await node.store.read(read)
    return Standing(*found, unfinished=await unfinished(node))


async def shown(node: Node, now: int) -> dict[str, float]:
    handed_over = await node.store.read(lambda reader: submissions(reader, now))
    accounts = await unfinished(node)
    letters = sum(one.left for one in accounts)
    return dict(zip(SHOWN, (handed_over.held, handed_over.late, len(accounts), letters), strict=True))


def submissions(reader: Reader, now: int) -> Submissions:
    held = _number(
        reader, "SELECT count(*) FROM jmap_submission WHERE due IS NOT NULL AND undo = ?", int(Undo.PENDING)
    )
    before = now - LATE_MS
    row = reader.sql.one(
        "SELECT count(*), min(send_at) FROM jmap_submission WHERE due IS NOT NULL AND send_at < ?", (before,)
    )
    late, oldest = row or (0, None)
    return Submissions(held, int(late), oldest)


def _codes(reader: Reader, now: int) -> Codes:
    where = "SELECT count(*) FROM enrolment_code WHERE ended = '' AND"
    return Codes(
        alive=_number(reader, f"{where} tries_left > 0 AND expires > ?", now),
        expired=_number(reader, f"{where} tries_left > 0 AND expires <= ?", now),
        blocked=_number(reader, f"{where} tries_left <= ?", 0),
    )


def _uploads(reader: Reader) -> Uploads:
    row = reader.sql.one(
        "SELECT sum(octets), max(octets) FROM (SELECT sum(b.clear_size) AS octets FROM upload u"
        " JOIN blob b ON b.blob_id = u.blob_id GROUP BY u.account_id) AS of_one"
    )
    octets, fullest = row or (0, 0)
    return Uploads(int(octets or 0), int(fullest or 0))


def _number(reader: Reader, query: str, value: int) -> int:
    row = reader.sql.one(query, (value,))
    return int(row[0]) if row is not None else 0


async def unfinished(node: Node) -> list[Unfinished]:
    """Whose re-seal goes on, or stands still: seldom anybody, so the walk is of keys, in memory."""
    waiting: list[Account] = []
    for number, name in enumerate(node.operator_keys.accounts()):
        if number % _AT_A_TIME == _AT_A_TIME - 1:
            await asyncio.sleep(0)
        account = node.accounts.by_id(AccountId(name))
        if account is not None and _has_own_certificate(node, account):
            waiting.append(account)
    return await node.store.read(_looked_at(waiting)) if waiting else []


def _has_own_certificate(node: Node, account: Account) -> bool:
    if account.kind is Kind.PATIENT:
        return account.activated
    try:
        return node.planner.plan(account).treatment is Treatment.SEAL
    except Refusal:
        return False


def _looked_at(accounts: Sequence[Account]) -> Callable[[Reader], list[Unfinished]]:
    def read(reader: Reader) -> list[Unfinished]:
        found: list[Unfinished] = []
        for account in accounts:
            left = len(reader.messages_in_state(account.id, OPEN_STATES, MessageId(0), _MOST_COUNTED))
            row = reader.sql.one("SELECT activated_at FROM patient WHERE account = ?", (account.id,))
            since = row[0] if row is not None else None
            found.append(Unfinished(account.address, account.kind is Kind.PATIENT, left, since))
        return found

    return read
