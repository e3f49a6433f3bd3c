"""Sent in common: what one person sends for another account leaves a copy there that all its readers can open.

Invariants: the copy is sealed to the account's readers, like a letter to it; a letter that its author's program
sealed stays as it came; the same letter lies in that Sent once, whether the program keeps a copy there as well,
before or after, within a day; who wrote is in the trace as themselves.
"""

from __future__ import annotations

from dataclasses import replace

from mail_server import mime
from mail_server.accounts.interface import Accounts, Kind
from mail_server.delivery.examine import Letter
from mail_server.delivery.interface import Envelope
from mail_server.delivery.plan import Plan, Planner
from mail_server.store.interface import Reader, Transaction
from mail_server.store.model import AccountId, Filed, NewMessage, SpecialUse
from policies.refusal import Refusal

_DAY = 86_400_000  # ms


def sent_plan(
    envelope: Envelope, accounts: Accounts, planner: Planner, *, gated: bool = False
) -> Plan | None:
    """How the copy in the Sent of the account one writes for is sealed; None where no copy is due.

    `gated`: the letter leaves readable by another operator, and its copy says so.
    """
    sender = envelope.sender
    author = accounts.by_address(sender.mail_from) if sender.mail_from else None
    if sender.identity is None or author is None or author.kind is Kind.PATIENT:
        return None
    if author.id in (sender.identity.account, envelope.kept_in):
        return None
    try:
        return replace(planner.plan(author), sent=True, gated=gated)
    except Refusal:
        return None  # their own letters cannot be sealed now; those they write go all the same


def own_id(letter: Letter) -> bytes:
    """The letter's Message-ID; b"" without one."""
    for found in letter.fields:
        if found.name == "message-id":
            return next(iter(mime.message_ids(found.value)), b"")
    return b""


def file_sent(transaction: Transaction, copy: NewMessage, message_id: bytes, at: int) -> Filed | None:
    """Inside the transaction of the letter; None when a copy lies there already."""
    if message_id and known(transaction, copy.account, message_id, at) is not None:
        return None
    filed = transaction.file(copy)
    if message_id:
        transaction.note_sent(message_id, filed, at)
    return filed


def known(reader: Reader, account: AccountId, message_id: bytes, at: int) -> Filed | None:
    return reader.sent_copy(account, message_id, at - _DAY)


def is_sent_of(reader: Reader, copy: NewMessage) -> bool:
    """Whether a copy that a program keeps goes to the account's Sent."""
    if isinstance(copy.mailbox, SpecialUse):
        return copy.mailbox is SpecialUse.SENT
    return reader.mailbox(copy.mailbox).special_use is SpecialUse.SENT
