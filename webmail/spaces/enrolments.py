"""Enrolment codes: issued by the console, tried by who got one, dead after five wrong answers.

What a code alone opens is a question: a patient answers with birth date and the last five of the 15 digits, a
professional with the account's address. Only then does an enrolment session begin.

Invariants: one live code per account; a try is counted, durably, before its answer is looked at, so that
many at once are still five in all; a code that does not exist and a wrong answer read alike (but for the number of
tries left) and cost the same; neither code nor answer is logged or traced.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field

from directory.certificates.interface import Standing
from mail_server.accounts.changes import AccountError
from mail_server.accounts.interface import Account, Kind
from mail_server.accounts.profiles import display_name
from mail_server.store.interface import Sql, Transaction
from mail_server.store.model import AccountId
from webmail.login.ground import OF_THE_PAGE, Ground, Visitor
from webmail.login.pressure import Pressure
from webmail.login.problems import Problem
from webmail.login.sessions import Drawn, SessionKind, Way
from webmail.spaces import codes

_DAY = 86_400_000
_WHO = "enrolment-code"


@dataclass(frozen=True, slots=True)
class Answers:
    """What its holder knows beside the code."""

    birth_date: str = field(default="", repr=False)  # YYYY-MM-DD
    last_five: str = field(default="", repr=False)
    address: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Names:
    given: str = field(default="", repr=False)
    family: str = field(default="", repr=False)
    display: str = field(default="", repr=False)  # of a professional, as letters carry it (ECO.2.2.7)


@dataclass(frozen=True, slots=True)
class Enrolment:
    account: Account
    names: Names
    lost: bool  # it was open before: older letters will be locked
    has_certificate: bool


@dataclass(frozen=True, slots=True)
class _Code:
    id: str
    account: AccountId
    tries_left: int
    dead: bool


class Enrolments:
    def __init__(self, ground: Ground, pressure: Pressure) -> None:
        self._ground = ground
        self._pressure = pressure

    async def issue(self, account: AccountId, by: str) -> str:
        """A fresh code, shown once: `ABCD-EFGH-JKMN`. The one before is dead. Raises AccountError."""
        ground = self._ground
        found = ground.accounts.by_id(account)
        if found is None:
            raise AccountError("unknown-account", "There is no such account.")
        if found.kind not in OF_THE_PAGE:
            raise AccountError("not-a-person", "Only patients and professionals (PER) open the page.")
        if found.suspended:
            raise AccountError("suspended", "This account is suspended.")
        code, now = codes.generate(), ground.clock()
        mark, key = ground.secrets.code_mark(code), secrets.token_hex(8)
        expires = now + ground.settings.code_days * _DAY
        event = ground.event("code-issue", account, None, actor=by, expires=str(expires), credential=key)

        def write(tx: Transaction) -> None:
            tx.sql.run(
                "UPDATE enrolment_code SET ended = 'replaced' WHERE account = ? AND ended = ''", (account,)
            )
            tx.sql.run(
                "INSERT INTO enrolment_code (id, account, mark, created, expires, tries_left, ended)"
                " VALUES (?, ?, ?, ?, ?, ?, '')",
                (key, account, mark, now, expires, ground.settings.code_tries),
            )
            ground.trail.append(tx.sql, [event])

        await ground.store.write(write)
        return codes.shown(code)

    async def start(self, typed: str, answers: Answers, visitor: Visitor) -> tuple[Enrolment, Drawn]:
        """Raises Problem code-refused, code-dead, too-many."""
        ground = self._ground
        if ground.trace_full():
            raise Problem("busy")
        self._pressure.enter(visitor.network, _WHO)
        code = codes.normal(typed)
        mark = ground.secrets.code_mark(code if code is not None else f"mistyped {typed[:64]}")
        found = await ground.store.write(lambda tx: self._count_try(tx.sql, mark))
        account = ground.accounts.by_id(found.account) if found is not None else None
        right = self._right(account, answers)
        if found is None or account is None:
            raise await self._refused("unknown", "code-refused", "unknown-code", None, visitor)
        if found.dead or account.suspended:
            raise await self._refused(account.id, "code-dead", "dead-code", None, visitor)
        if not right:
            raise await self._refused(account.id, "code-refused", "wrong-answers", found.tries_left, visitor)
        self._pressure.succeeded(visitor.network, _WHO)
        return await self._begin(account, found.id, visitor)

    def _count_try(self, sql: Sql, mark: bytes) -> _Code | None:
        now = self._ground.clock()
        row = sql.one(
            "SELECT id, account, expires, tries_left, ended FROM enrolment_code WHERE mark = ?", (mark,)
        )
        counted = sql.run(
            "UPDATE enrolment_code SET tries_left = tries_left - 1"
            " WHERE mark = ? AND ended = '' AND tries_left > 0 AND expires > ?",
            (mark, now),
        )
        if row is None:
            return None
        return _Code(row[0], AccountId(row[1]), int(row[3]) - counted, dead=not counted)

    def _right(self, account: Account | None, answers: Answers) -> bool:
        """The same comparisons whoever it is, and when it is nobody."""
        birth_date = last_five = address = secrets.token_hex(8)
        if account is not None and account.kind is Kind.PATIENT:
            try:
                identity = self._ground.accounts.patient_identity(account.id)
            except AccountError:
                return False
            birth_date, last_five, address = identity.birth_date, identity.last_five, answers.address
        elif account is not None:
            birth_date, last_five, address = answers.birth_date, answers.last_five, account.address
        same = [
            _same(answers.birth_date.strip(), birth_date),
            _same("".join(answers.last_five.split()).upper(), last_five.upper()),
            _same(answers.address.strip().lower(), address.strip().lower()),
        ]
        return account is not None and all(same)

    async def _begin(self, account: Account, code: str, visitor: Visitor) -> tuple[Enrolment, Drawn]:
        ground = self._ground
        drawn = ground.sessions.draw(
            account,
            SessionKind.ENROLMENT,
            Way.CODE,
            code,
            label=visitor.label,
            network=visitor.network,
            shared=True,
        )
        event = ground.event("code-accepted", account.id, visitor, session=drawn.session.id, credential=code)

        def write(tx: Transaction) -> int:
            tx.sql.run(
                "UPDATE enrolment_code SET tries_left = ? WHERE id = ? AND ended = ''",
                (ground.settings.code_tries, code),
            )
            ground.sessions.write(tx.sql, drawn)
            ground.trail.append(tx.sql, [event])
            return ground.slots.state(tx.sql, account.id).generation

        generation = await ground.store.write(write)
        ground.sessions.adopt(drawn)
        ground.counters.accepted_codes += 1
        standing = ground.directory.certificate(account.address, ground.clock()).standing
        known = account.kind is Kind.PER and standing is Standing.VALID
        return Enrolment(account, names_of(ground, account), generation > 0, known), drawn

    async def _refused(
        self, subject: str, reason: str, outcome: str, tries_left: int | None, visitor: Visitor
    ) -> Problem:
        problem = Problem(reason, tries_left=tries_left)
        event = self._ground.event(
            "code-refused", subject, visitor, actor="unknown", outcome=outcome, reference=problem.reference
        )
        self._ground.audit([event])
        self._ground.counters.refused_codes += 1
        await self._pressure.failed(visitor.network, _WHO)
        return problem


def names_of(ground: Ground, account: Account) -> Names:
    """A patient's names, opened now; a professional's are those of their profile."""
    if account.kind is not Kind.PATIENT:
        profile = ground.profile_of(account.id)
        return Names(profile.given_name, profile.family_name, display_name(profile, account.kind))
    try:
        identity = ground.accounts.patient_identity(account.id)
    except AccountError:
        return Names()
    return Names(identity.first_name, identity.birth_name)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))
