"""What is told to senders, as those see it who settle letters: the queue, and delivery for letters that stay here.

Invariants: what is owed is written in the transaction that settles, so that no crash loses it or tells it twice;
who is told of what is decided here alone (RFC 3461, or the account's wish), never by who settles.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mail_server.outbound.interface import Outcome, OutgoingRecipient, Readable
from mail_server.store.interface import Transaction
from mail_server.store.model import AccountId


class Fate(enum.StrEnum):
    """What became of a letter for one recipient."""

    RELAYED = "relayed"  # the other operator has taken it over
    DELAYED = "delayed"  # not yet, and it is still tried: said once
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"  # by the operator of this node
    DELIVERED = "delivered"  # laid down in an account of this node


class Kept(enum.StrEnum):
    """Who can open a letter that was laid down here, as its sender may know: not whether a patient has come yet."""

    NOBODY_ELSE = "nobody-else"  # the addressee alone
    OPERATOR = "operator"  # this operator holds the key
    PATIENT = "patient"  # this operator until the patient opens their space, then the patient alone


@dataclass(frozen=True, slots=True)
class Told:
    """The letter, as far as a report speaks of it."""

    account: AccountId | None  # in whose name it left
    mail_from: str = field(repr=False)
    reference: str  # one for all queue letters of a submission: they are told of together
    accepted_at: int  # ms
    head: bytes = field(repr=False)  # outer header fields; no subject
    envid: str = field(default="", repr=False)
    readable: Readable = Readable.SEALED
    result: bool = False  # the account asks to be told (contract of `Outgoing.result`)
    smtputf8: bool = False


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of it for one recipient. `last`: the latest attempt, None when there was none."""

    recipient: OutgoingRecipient
    fate: Fate
    last: Outcome | None = None
    until: int = 0  # ms; of what is DELAYED: until when it is tried
    kept: Kept | None = None  # of what is DELIVERED


class Owing(Protocol):
    def owe(self, transaction: Transaction, letter: Told, settled: Sequence[Settled], at: int) -> None:
        """Write down what its sender is to be told of these recipients, if anything. Costs nothing if nothing is."""
        ...

    def wake(self) -> None:
        """After the commit: something may be owed."""
        ...
