"""Letters that leave for other operators, as delivery, the queue, the SMTP client and the reports see them.

Invariants: what the queue holds is sealed, to the addressee's own certificate or to the egress key; a recipient has
one fate (`Verdict`) for each attempt, and one last fate; the bytes handed over are opened as late as the protocol
allows (`Content`), kept by nobody; an address is never in a log line, an id or the trace of the queue.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from directory.openpgp.certificate import Certificate
from mail_server.store.interface import Transaction
from mail_server.store.model import AccountId, StagedBlob


class Notify(enum.IntFlag):
    """RCPT NOTIFY= (RFC 3461 §4.1). NONE: the parameter was not given."""

    NONE = 0
    SUCCESS = 1
    FAILURE = 2
    DELAY = 4
    NEVER = 8


class Readable(enum.StrEnum):
    """Who can read the letter at the other side; the words of the success report."""

    SEALED = "sealed"  # its addressee alone
    SEALED_TO_OPERATOR = (
        "sealed-to-operator"  # sealed to a certificate that the other operator holds for them
    )
    GATED = "gated"  # it leaves in clear inside mutual TLS: the other operator can read it


class Form(enum.IntEnum):
    """What the queued bytes are."""

    WIRE = 1  # as they go over the wire: sealed to the addressee, or a report without content
    GATED = 2  # an OpenPGP message to the egress key; opened, it is what goes over the wire
    GATED_BY_AUTHOR = (
        3  # a whole PGP/MIME letter made by the page, one of whose key packets is the egress key's
    )


@dataclass(frozen=True, slots=True)
class OutgoingRecipient:
    address: str = field(repr=False)
    notify: Notify = Notify.NONE
    orcpt: str = field(default="", repr=False)  # RFC 3461 §4.2, as it was given ("rfc822;...", xtext kept)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One letter for recipients of one domain, to be laid into the queue in the transaction that answers 250."""

    account: AccountId | None  # in whose name it leaves; None: the node itself
    mail_from: str = field(repr=False)  # "" for the null sender: nothing is ever reported of it
    domain: str  # of every recipient, lower case
    recipients: tuple[OutgoingRecipient, ...]
    content: StagedBlob  # under the node's shared key (owner None)
    form: Form
    egress: str  # fingerprint of the egress certificate that opens it; "" for WIRE
    readable: Readable
    size: int  # octets on the wire, as far as known: announced in SIZE
    head: bytes = field(repr=False)  # outer header fields for RET=HDRS: never a subject, never content
    reference: str  # opaque, told in the 250 line, found in the trace
    accepted_at: int  # ms
    envid: str = field(default="", repr=False)  # RFC 3461 §4.4, xtext kept
    smtputf8: bool = False  # an address or a header field is not ASCII (RFC 6531)
    eight_bit: bool = False  # BODY=8BITMIME (RFC 6152)
    result: bool = False  # the sender's account asks to be told the result, NOTIFY or not


class Verdict(enum.IntEnum):
    DELIVERED = 1
    LATER = 2
    FAILED = 3


class Phase(enum.StrEnum):
    """Where an attempt ended."""

    ROUTE = "route"
    CONNECT = "connect"
    GREETING = "greeting"
    TLS = "tls"
    TRUST = "trust"  # the certificate of the other side
    HELLO = "hello"
    MAIL = "mail"
    RCPT = "rcpt"
    OPEN = "open"  # our own gate
    DATA = "data"
    CONTENT = "content"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt brought for one recipient."""

    verdict: Verdict
    phase: Phase
    reason: (
        str  # stable slug, for the log, the metrics and the trace: "peer-4yz", "no-starttls", "not-listed"...
    )
    code: int = 0  # the peer's reply code; 0: no reply
    enhanced: str = ""  # "4.4.1", from the peer or ours (RFC 3463)
    said: str = field(default="", repr=False)  # the peer's words: printable ASCII, at most 200 characters
    host: str = ""  # who said so
    unsure: bool = False  # cut off between the end of content and its reply: it may have arrived
    dsn: bool = (
        False  # the peer offered DSN and was told what is asked: its success report follows (RFC 3461 §5.2.1)
    )


Content = Callable[[], Awaitable[bytes]]
"""Gives the wire bytes, at the moment they are sent. Raises `NotOpened`."""


class NotOpened(Exception):
    """The gate could not open a letter. `lasting`: it never will (its key is gone, its bytes are damaged)."""

    def __init__(self, slug: str, *, lasting: bool = False) -> None:
        super().__init__(slug)
        self.slug = slug
        self.lasting = lasting


@dataclass(frozen=True, slots=True)
class Leaving:
    """One letter of the queue on its way out, with the recipients of this attempt."""

    id: int
    reference: str
    mail_from: str = field(repr=False)
    recipients: tuple[OutgoingRecipient, ...]
    size: int
    envid: str = field(default="", repr=False)
    smtputf8: bool = False
    eight_bit: bool = False


class Handover(Protocol):
    """The SMTP client: connections to one domain's hosts, kept open between letters."""

    async def hand_over(self, domain: str, letter: Leaving, content: Content) -> Sequence[Outcome]:
        """One outcome per recipient, in their order. Never raises for what a peer does."""
        ...

    async def close(self) -> None:
        """QUIT what is idle, cut what is not."""
        ...


class OutboundQueue(Protocol):
    def lay(self, transaction: Transaction, letter: Outgoing) -> int:
        """Into the queue, in the caller's transaction; the letter's id. Raises NoSpace."""
        ...

    def wake(self) -> None:
        """After the commit: something is due."""
        ...


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """A certificate that another operator publishes for an address, gated (`directory.openpgp.gate`)."""

    certificate: Certificate
    operator_held: bool  # it says by its notation that the operator holds the secret
    largest: int = 0  # octets of a letter that the address takes; 0: its operator did not say


class PeerKeys(Protocol):
    async def find(self, address: str) -> PeerCertificate | None:
        """The addressee's certificate, from the cache or from where their operator publishes it (WKD).

        None: there is none. While their operator does not answer, one known before goes on being used for a bounded
        time: silence must not turn a sealed letter into one in clear.
        """
        ...


class Egress(Protocol):
    """The gate by which a letter leaves readable by the other operator; its key is in a process of its own."""

    @property
    def certificate(self) -> Certificate:
        """To which such letters are sealed now."""
        ...

    def taken(self, key_id: str) -> Certificate | None:
        """The egress certificate, in use or replaced a short while ago, that a key packet with this id is for."""
        ...

    async def open(self, fingerprint: str, form: Form, queued: bytes) -> bytes:
        """The bytes for the wire, in memory. Raises NotOpened."""
        ...
