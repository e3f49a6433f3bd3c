"""What the queue tells of letters that left for other operators, told on in the status of their submission.

Invariants: `Owing` of the queue: written in the transaction that settles, whoever hands the letter over; a submission
that cannot be read stops no letter; an account is woken after the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mail_server.jmap.fates import delivered_of, reason_of, reply_of
from mail_server.jmap.submission_rows import SubmissionRows
from mail_server.outbound.reports.interface import Fate, Settled, Told
from mail_server.store.interface import Transaction
from mail_server.store.model import AccountId


class Departed:
    def __init__(self, rows: SubmissionRows, changed: Callable[[AccountId], None]) -> None:
        self._rows = rows
        self._tell = changed
        self._changed: set[AccountId] = set()  # filled by the store's thread, emptied by the loop

    def owe(self, transaction: Transaction, letter: Told, settled: Sequence[Settled], at: int) -> None:
        for one in settled:
            account = self._rows.learned(
                transaction.sql,
                letter.reference,
                delivered_of(one.fate),
                reply_of(one.fate, one.last),
                reason_of(one.fate),
                final=one.fate is not Fate.DELAYED,
            )
            if account is not None:
                self._changed.add(account)

    def wake(self) -> None:
        while self._changed:
            self._tell(self._changed.pop())
