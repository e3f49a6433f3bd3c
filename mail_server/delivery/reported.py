"""Reports and this package: what is owed about letters laid down here, and how a report is filed to who is told.

Invariants: what is owed is noted in the transaction that files the letter; a sender learns of an account no more than
its shown address and who holds its key; a report is sealed and filed like any letter, from nobody.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace

from mail_server.accounts.interface import Account, Accounts, Kind, Peer
from mail_server.delivery import outer
from mail_server.delivery.examine import Letter
from mail_server.delivery.exchanges import Note, is_automatic
from mail_server.delivery.gate import Gate
from mail_server.delivery.interface import Envelope, Recipient, Road, Sender
from mail_server.delivery.plan import Planner, Treatment
from mail_server.delivery.receipts import Notifies
from mail_server.outbound.interface import Notify, OutgoingRecipient
from mail_server.outbound.reports.interface import Fate, Kept, Owing, Settled, Told
from mail_server.store.interface import Transaction
from mail_server.store.model import Filed
from policies.refusal import Refusal

_NODE = Peer("", 0, "", "", tls=True)


class LocalReports:
    """Success of letters that stay here, for who asked: NOTIFY=SUCCESS (RFC 3461 §5.2.3)."""

    def __init__(self, *, accounts: Accounts, gate: Gate, planner: Planner, owing: Owing) -> None:
        self._accounts = accounts
        self._gate = gate
        self._planner = planner
        self._owing = owing

    def note(self, envelope: Envelope, letter: Letter) -> Note | None:
        asked = [one for one in envelope.recipients if Notify.SUCCESS in one.notify]
        if not asked or not envelope.sender.mail_from or is_automatic(letter):
            return None
        author = self._gate.author(envelope.sender)
        told = Told(
            account=author.id if author is not None else None,
            mail_from=author.address if author is not None else envelope.sender.mail_from,
            reference="R" + secrets.token_hex(12),
            accepted_at=0,
            head=outer.outer_block(letter.fields),
            envid=envelope.parameters.envid,
            smtputf8=envelope.parameters.smtputf8,
        )

        def write(transaction: Transaction, _: Sequence[Filed], at: int) -> None:
            settled = [
                Settled(
                    OutgoingRecipient(account.shown, one.notify, one.orcpt),
                    Fate.DELIVERED,
                    kept=self._kept(account),
                )
                for one in asked
                if (account := self._accounts.by_id(one.account)) is not None
            ]
            self._owing.owe(transaction, replace(told, accepted_at=at), settled, at)

        return write

    def _kept(self, account: Account) -> Kept:
        if account.kind is Kind.PATIENT:
            return Kept.PATIENT  # whether they have opened their space is theirs to tell
        try:
            treatment = self._planner.plan(account).treatment
        except Refusal:
            treatment = Treatment.SEAL  # and then nothing is filed
        return Kept.NOBODY_ELSE if treatment is Treatment.SEAL else Kept.OPERATOR


class FiledReports:
    """`mail_server.outbound.reports.owed.Files`: a report to an account of this node."""

    def __init__(self, delivery: Notifies) -> None:
        self._delivery = delivery

    async def file(
        self,
        account: Account,
        message: bytes,
        fingerprint: bytes,
        note: Callable[[Transaction, int], None],
    ) -> None:
        envelope = Envelope(Sender(Road.OPERATOR, "", _NODE))
        envelope.recipients.append(Recipient(account.address, account.id))

        def write(transaction: Transaction, _: Sequence[Filed], at: int) -> None:
            note(transaction, at)

        await self._delivery.notify(envelope, message, fingerprint, write)
