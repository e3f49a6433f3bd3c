"""What an account asks of letters to other operators, and a patient's opposition to letters.

Invariants: an administrator, or the holder, says it, and the trace has who; it counts from the next RCPT TO on; an
opposition is a patient's alone, and to whoever writes it looks as if there were no such mailbox.
"""

from __future__ import annotations

from collections.abc import Callable

from mail_server.accounts.changes import AccountError, Change, What
from mail_server.accounts.interface import Kind, Results
from mail_server.accounts.known import now_ms
from mail_server.accounts.practice_software import PracticeSoftware
from mail_server.store.interface import Sql
from mail_server.store.model import AccountId
from policies.interface import Event


class OutboundWishes(PracticeSoftware):
    async def outbound_set(
        self,
        account: AccountId,
        by: str,
        *,
        sealed_only: bool | None = None,
        results: Results | None = None,
        means: str = "",
        session: str = "",
        network: str = "",
    ) -> None:
        """None leaves as it is. Durable on return. Raises AccountError."""
        known = self._known(account)
        if known.closed:
            raise AccountError("account-closed", "This account is closed for good.")
        sealed = known.sealed_only if sealed_only is None else sealed_only
        told = known.results if results is None else results
        if (sealed, told) == (known.sealed_only, known.results):
            return

        def write(sql: Sql) -> None:
            sql.run(
                "UPDATE account SET sealed_only = ?, results = ? WHERE id = ?",
                (int(sealed), told.value if told else "", account),
            )

        state = (
            f"{'sealed only' if sealed else 'sealed where it can be'}, results {(told or known.told).value}"
        )
        await self._asked(account, write, "outbound-set", by, means, session, network, state)

    async def opposed_set(
        self,
        account: AccountId,
        opposed: bool,
        by: str,
        *,
        means: str = "",
        session: str = "",
        network: str = "",
    ) -> None:
        """A patient wants no letters from the service, or wants them again. Raises AccountError."""
        known = self._known(account)
        if known.kind is not Kind.PATIENT:
            raise AccountError("not-a-patient", "This account is not a patient's space.")
        if known.closed:
            raise AccountError("account-closed", "This space is closed for good.")
        if known.opposed == opposed:
            return
        since = now_ms() if opposed else None

        def write(sql: Sql) -> None:
            sql.run("UPDATE account SET opposed = ? WHERE id = ?", (since, account))

        state = "opposed" if opposed else "open"
        await self._asked(account, write, "space-oppose", by, means, session, network, state)

    async def _asked(
        self,
        account: AccountId,
        write: Callable[[Sql], None],
        action: str,
        by: str,
        means: str,
        session: str,
        network: str,
        state: str,
    ) -> None:
        detail = {"state": state} | ({"means": means} if means else {})
        event = Event(action, now_ms(), by, account, session=session, network=network, detail=detail)
        await self._change(account, write, event, Change(What.CHANGED, account))
