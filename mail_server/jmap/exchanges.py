"""What JMAP tells and does of exchanges with patients: vendor properties of an Email, filing in `Clos`.

Invariants: what is told comes from rows alone, no body is read for it; filing a letter in `Clos` closes its exchange
in the transaction that files it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mail_server import mime
from mail_server.accounts.interface import Account, Kind
from mail_server.conversations.closings import Actor, Closings, Wish
from mail_server.delivery.receipts import Receipts, ReceiptsAsked
from mail_server.jmap.interface import Turn
from mail_server.store.interface import Reader, Store, Transaction
from mail_server.store.model import AccountId, EmailRow, MailboxId

PROPERTIES = ("receiptRequested", "answer", "closedBy")


@dataclass(frozen=True, slots=True)
class Exchanges:
    """What the door is given of them."""

    closings: Closings
    asked: ReceiptsAsked
    receipts: Receipts

    def told(self, account: Account, reader: Reader, row: EmailRow, names: frozenset[str]) -> dict[str, Any]:
        fields = mime.fields(row.rendered.header)
        told: dict[str, Any] = {}
        if "receiptRequested" in names:
            told["receiptRequested"] = self.asked.requested(reader, account, fields)
        if names & {"answer", "closedBy"}:
            bar = self.closings.bar(reader, account, fields)
            told["closedBy"] = bar.closed_by or None if bar is not None else None
            told["answer"] = "open"
            if bar is not None:
                told["answer"] = "message-closed" if bar.message_alone else "closed"
        return {name: value for name, value in told.items() if name in names}

    async def opened(self, store: Store, account: Account | None, email_ids: Sequence[str]) -> None:
        """Contents are about to be shown: durable on return. Raises StoreError."""
        if account is None or account.kind is not Kind.PATIENT or not email_ids:
            return
        headers = await store.read(
            lambda reader: [row.rendered.header for row in reader.emails(account.id, email_ids)]
        )
        await self.receipts.opened(account.id, headers)


@dataclass(frozen=True, slots=True)
class Closing:
    """Letters that may go to `Clos` in one Email/set."""

    mailbox: MailboxId
    wish: Wish

    def filed(self, transaction: Transaction, row: EmailRow, wanted: frozenset[MailboxId]) -> None:
        before = {each.mailbox for each in row.placements}
        if self.mailbox in wanted and self.mailbox not in before:
            self.wish(transaction, row.rendered.header)


async def closing_of(
    exchanges: Exchanges | None,
    store: Store,
    turn: Turn,
    account: AccountId,
    updates: Mapping[str, tuple[str, Mapping[str, Any]]],
) -> Closing | None:
    """Asked before the transaction: what of these updates may close an exchange."""
    moved = [
        email
        for email, patch in updates.values()
        if any(key.partition("/")[0] == "mailboxIds" for key in patch)
    ]
    if exchanges is None or not moved:
        return None
    closings = exchanges.closings
    mailbox = await store.read(lambda reader: closings.mailbox(reader, account))
    if mailbox is None:
        return None
    wish = await closings.wish(
        account,
        Actor(turn.identity.account, turn.peer.session, turn.peer.address),
        lambda reader: [row.rendered.header for row in reader.emails(account, moved)],
    )
    return Closing(mailbox.id, wish) if wish is not None else None
