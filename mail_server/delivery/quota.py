"""How much one account may hold, answered from the store's memory.

Invariants: a full mailbox is a refusal for now (its holder can make room), what would never fit is one for good.
"""

from __future__ import annotations

from collections.abc import Callable

from mail_server.store.model import AccountId
from policies.refusal import Refusal


class Quota:
    def __init__(self, used: Callable[[AccountId], int], limit: int) -> None:
        self._used = used
        self._limit = limit

    def of(self, account: AccountId) -> tuple[int, int]:
        """Octets used, and the limit (0: none)."""
        return self._used(account), self._limit

    def require(self, account: AccountId, size: int) -> None:
        """Room for `size` more octets (0: not known yet). Raises Refusal."""
        if not self._limit:
            return
        if size > self._limit:
            # RFC 5321 §4.2.2 and RFC 3463 §3.3 (X.2.2): no removal makes room for it.
            raise Refusal(552, "5.2.2", "This message is larger than the whole mailbox", "over-quota")
        used = self._used(account)
        if used >= self._limit or used + size > self._limit:
            raise Refusal(452, "4.2.2", "This mailbox is full at the moment", "over-quota")
