"""How much one account may hold, answered from the store's memory.

Invariants: a full mailbox is a refusal for now (its holder can make room), what would never fit is one for good;
whatever was said before the bytes came, an account ends at most one letter above its limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mail_server.store.model import AccountId
from policies.refusal import Refusal


class Quota:
    def __init__(self, used: Callable[[AccountId], int], limit: int) -> None:
        self._used = used
        self._limit = limit
        self.asked = 0
        self.refused = 0
        self.fullest = 0  # the most that was found in an account that was asked about

    def of(self, account: AccountId) -> tuple[int, int]:
        """Octets used, and the limit (0: none)."""
        return self._used(account), self._limit

    def require(self, account: AccountId, size: int) -> None:
        """Room for `size` more octets (0: not known yet). Raises Refusal."""
        if not self._limit:
            return
        self.asked += 1
        self.fullest = max(self.fullest, self._used(account))
        try:
            self._require(account, size)
        except Refusal:
            self.refused += 1
            raise

    def _require(self, account: AccountId, size: int) -> None:
        if size > self._limit:
            # RFC 5321 §4.2.2 and RFC 3463 §3.3 (X.2.2): no removal makes room for it.
            raise Refusal(552, "5.2.2", "This message is larger than the whole mailbox", "over-quota")
        used = self._used(account)
        if used >= self._limit or used + size > self._limit:
            raise Refusal(
                452, "4.2.2", "This mailbox is full at the moment: try again in a day", "over-quota"
            )

    def require_all(self, accounts: Sequence[AccountId], size: int) -> None:
        """At the end of DATA, when the size is known and others may have been faster. Raises Refusal.

        One letter has one answer for all its recipients (RFC 5321 §4.2.5). Those who have room must not wait for one
        who has not: it is refused when nobody has room. A mailbox that is full already was refused at RCPT TO; one
        that this letter fills goes above its limit once, by it, and takes no other.
        """
        refusals: list[Refusal] = []
        for account in accounts:
            try:
                self.require(account, size)
            except Refusal as refusal:
                if self._used(account) >= self._limit + size:
                    raise
                refusals.append(refusal)
        if accounts and len(refusals) == len(accounts):
            raise refusals[0]
