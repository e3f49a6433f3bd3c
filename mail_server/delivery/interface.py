"""What a door hands to delivery, and what it gets back.

Invariants: `deliver` and `keep` return only when everything they acknowledge is durable; the message's bytes
stay in memory; every refusal is a `policies.refusal.Refusal` that the audit already knows.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mail_server.accounts.interface import Identity, Peer
from mail_server.outbound.interface import Notify, PeerCertificate, Readable
from mail_server.store.model import AccountId, CoarseClass, Filed, Flag, MailboxId


class Road(enum.Enum):
    """The two roads by which a letter arrives (DESIGN §1)."""

    CLIENT = "client"  # 587/465: someone of this node, authenticated
    OPERATOR = "operator"  # 25: another operator, known by its certificate


@dataclass(frozen=True, slots=True)
class Sender:
    """A sender that was admitted at MAIL FROM."""

    road: Road
    mail_from: str  # "" for the null sender; domain in lower case
    peer: Peer
    identity: Identity | None = None  # road CLIENT
    operator_dn: str | None = None  # road OPERATOR: canonical subject DN


@dataclass(frozen=True, slots=True)
class Recipient:
    """A recipient that was admitted at RCPT TO."""

    address: str
    account: AccountId
    notify: Notify = Notify.NONE
    orcpt: str = field(default="", repr=False)  # RFC 3461 §4.2, as it was given


@dataclass(frozen=True, slots=True)
class Abroad:
    """A recipient at another operator, admitted at RCPT TO: the letter leaves for them by the queue."""

    address: str = field(repr=False)  # without `+sealed`; domain in lower case
    domain: str
    certificate: PeerCertificate | None = field(default=None, repr=False)
    """The letter leaves sealed to it. None: it leaves readable by their operator, through the egress gate."""
    sealed_only: bool = (
        False  # asked for by the account or by the address: without a certificate it does not leave
    )
    patient: bool = False  # their address is a patient's
    notify: Notify = Notify.NONE
    orcpt: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """What RCPT TO asks beside the address (RFC 3461 §4.1, §4.2)."""

    notify: Notify = Notify.NONE
    orcpt: str = field(default="", repr=False)


NOTHING_ASKED = Asked()


@dataclass(frozen=True, slots=True)
class MailParameters:
    """RFC 5321 §4.1.1.11 parameters that reach delivery, spelling kept."""

    size: int | None = None
    smtputf8: bool = False
    body: str = "7BIT"
    ret: str = ""  # "FULL" or "HDRS" (RFC 3461 §4.3); a report carries header fields alone, whatever is asked
    envid: str = field(default="", repr=False)  # RFC 3461 §4.4, xtext kept


@dataclass(slots=True)
class Envelope:
    sender: Sender
    parameters: MailParameters = field(default_factory=MailParameters)
    recipients: list[Recipient] = field(default_factory=list[Recipient])  # accounts of this node
    abroad: list[Abroad] = field(default_factory=list[Abroad])  # at other operators
    kept_in: AccountId | None = None
    """The account whose holder or readers keep the letter by themselves (JMAP: where the Email lies)."""
    trace: bytes = b""
    """The door's own `Received:` field with its CRLF (RFC 5321 §4.4). It stays out of `message`, so that a
    letter sent again after a crash is the same bytes."""
    gate_packet: bytes = field(default=b"", repr=False)
    """Beside a letter that its author sealed: the key packet by which the egress gate opens the copies of those
    abroad who have no certificate. No other copy has it."""
    continues: bool = False
    """Another recipient of a letter that an envelope before this one carried: JMAP hands each over apart. It is
    one letter for the limits."""

    def add(self, found: Recipient | Abroad) -> None:
        if isinstance(found, Abroad):
            self.abroad.append(found)
        else:
            self.recipients.append(found)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The letter is durable in every recipient's account."""

    id: str  # opaque, the audit knows it; shown in the 250 line
    leaving: Mapping[str, Readable] = field(default_factory=dict[str, Readable], repr=False)
    """Addressees of other operators, whose letters lie in the queue now, and who will be able to read them."""


class Delivery(Protocol):
    async def admit_sender(
        self, road: Road, mail_from: str, parameters: MailParameters, peer: Peer, identity: Identity | None
    ) -> Sender:
        """MAIL FROM. Raises Refusal (no certificate, unlisted, other domain, not who logged in, too big...)."""
        ...

    async def admit_recipient(
        self, envelope: Envelope, address: str, asked: Asked = NOTHING_ASKED
    ) -> Recipient | Abroad:
        """RCPT TO; the door adds the result to the envelope. Raises Refusal (unknown, relay, suspended, key...)."""
        ...

    async def deliver(self, envelope: Envelope, message: bytes) -> Accepted:
        """End of data: decide, find, seal, store, audit. Raises Refusal for the whole message."""
        ...

    async def keep(
        self,
        identity: Identity,
        mailbox: MailboxId,
        message: bytes,
        flags: Flag,
        keywords: frozenset[str],
        received_at: int | None,
        *,
        also: Sequence[MailboxId] = (),
        sealed_summary: bytes | None = None,
        coarse_class: CoarseClass | None = None,
        to_be_sent: bool = False,
    ) -> Filed:
        """IMAP APPEND, JMAP Email/import: what a mail program itself stores. Raises Refusal.

        `also`: further mailboxes of the same account. `sealed_summary`: an OpenPGP message that the page made,
        kept with a letter that came encrypted. A patient's account takes nothing in clear. `coarse_class`: of a
        letter that came encrypted, as its holder says; of one in clear it is what lies in it. `to_be_sent`: what
        is stored may be what leaves later (JMAP); then it must not name the egress gate.
        """
        ...

    def quota_of(self, account: AccountId) -> tuple[int, int]:
        """Octets used, and the limit (0: none)."""
        ...

    def refused(
        self, road: Road, peer: Peer, refusal_reason: str, detail: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Audit a refusal the door decided by itself (limits, smuggling, failed handshake)."""
        ...
