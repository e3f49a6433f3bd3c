"""The rows of what became of each record a system handed in: one for a letter and a recipient.

Invariants: what was told in a letter of the morning is changed no more, it is told as learned later; an address or a
Message-ID is an HMAC here, and wrapped where it must be told again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mail_server.store.interface import Sql, Store
from mail_server.store.model import AccountId

DELIVERED, WAITING, REFUSED = "delivered", "waiting", "refused"


@dataclass(frozen=True, slots=True)
class Line:
    """A row about to be written: one letter and recipient."""

    account: AccountId
    mark: bytes
    letter: bytes | None
    whom: bytes
    recipient: str
    address: bytes | None
    reference: bytes | None = field(repr=False)
    outcome: str
    cause: str = ""
    withdrawal: bool = False


class Ledger:
    def __init__(self, store: Store) -> None:
        self._store = store

    def cause_of_address(self, sql: Sql, line: Line) -> str:
        """Why another letter to the same address was refused: the row of this one may have gone to that one."""
        row = sql.one(
            "SELECT cause FROM report_ledger WHERE account = ? AND whom = ? AND outcome = ?"
            " AND cause NOT LIKE 'smtp-%' ORDER BY at DESC LIMIT 1",
            (line.account, line.whom, REFUSED),
        )
        return row[0] if row else ""

    def settle(self, sql: Sql, line: Line, at: int) -> None:
        """The row as it stands now: made, or changed where the letter was known."""
        known = self.known(sql, line)
        if known is None:
            sql.run(
                "INSERT INTO report_ledger"
                " (account, mark, letter, whom, recipient, address, reference, at, outcome, cause, withdrawal)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (
                    line.account, line.mark, line.letter, line.whom, line.recipient, line.address,
                    line.reference, at, line.outcome, line.cause, int(line.withdrawal),
                ),
            )  # fmt: skip
            return
        outcome, cause = known
        if outcome == REFUSED and line.outcome == REFUSED and cause:
            return  # told by both sides: the cause is the first one's
        self.change(sql, line.account, line.mark, line.outcome, line.cause)

    def known(self, sql: Sql, line: Line) -> tuple[str, str] | None:
        row = sql.one(
            "SELECT outcome, cause FROM report_ledger WHERE account = ? AND mark = ?",
            (line.account, line.mark),
        )
        return None if row is None else (row[0], row[1])

    def change(self, sql: Sql, account: str, mark: bytes, outcome: str, cause: str) -> None:
        """What was not told yet changes; what was told is told again, as learned later."""
        changed = sql.run(
            "UPDATE report_ledger SET outcome = ?, cause = ? WHERE account = ? AND mark = ? AND told_day IS NULL",
            (outcome, cause, account, mark),
        )
        if not changed:
            sql.run(
                "UPDATE report_ledger SET late_cause = ?, late_day = NULL"
                " WHERE account = ? AND mark = ? AND outcome <> ? AND late_cause <> ?",
                (cause or outcome, account, mark, outcome, cause or outcome),
            )

    def mark(self, account: str, message_id: bytes, address: str) -> bytes:
        parts = (b"report ledger", account.encode(), message_id, address.lower().encode())
        return self._store.submission_fingerprint(*parts)[:16]

    def whom(self, account: str, address: str) -> bytes:
        return self._store.submission_fingerprint(b"report whom", account.encode(), address.lower().encode())[
            :16
        ]
