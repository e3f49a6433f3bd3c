"""How many octets each account holds, in memory beside the database, so that a door may ask at every recipient.

Invariants: what enters is committed; of two values for an account the one of the later change stays, whichever
thread or node it comes from.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from mail_server.store.interface import Sql
from mail_server.store.model import AccountId

Used = tuple[int, int]  # modseq of the change, octets since


class Octets:
    def __init__(self) -> None:
        self._used: dict[AccountId, Used] = {}
        self._lock = threading.Lock()

    def of(self, account: AccountId) -> int:
        known = self._used.get(account)
        return 0 if known is None else known[1]

    def adopt(self, later: Mapping[AccountId, Used]) -> None:
        with self._lock:
            for account, used in later.items():
                known = self._used.get(account)
                if known is None or known[0] <= used[0]:
                    self._used[account] = used

    def load(self, sql: Sql, accounts: Iterable[AccountId] | None = None) -> None:
        """From the database: some accounts, or all."""
        statement = "SELECT account_id, modseq, octets FROM account_store"
        if accounts is None:
            rows = sql.all(statement)
        else:
            rows = [row for one in accounts for row in sql.all(f"{statement} WHERE account_id = ?", (one,))]
        self.adopt({account: (modseq, octets) for account, modseq, octets in rows})
