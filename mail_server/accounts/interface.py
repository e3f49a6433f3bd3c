"""Accounts and the proof of who is speaking, as the doors and delivery see them.

Invariants: look-ups by address are case-blind; a suspended account neither logs in nor receives; a person
always logs in as themselves (a shared account has no password).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mail_server.store.model import AccountId


class Kind(enum.StrEnum):
    """Mailbox kinds of MSSante (TRE_R257-TypeBAL), plus the patient's (reference/mssante.md §3.1)."""

    PER = "PER"
    ORG = "ORG"
    APP = "APP"
    CAB = "CAB"
    PATIENT = "PATIENT"


class Contact(enum.StrEnum):
    """Which patients may write first to an account (reference/mssante.md §3.2, rows 33 and 34)."""

    REPLIES_ONLY = "replies_only"  # only who was written to
    OPTED_IN = "opted_in"  # also who can show a dispensing there within a year (pharmacies)
    OPEN = "open"  # every patient of this node


class Results(enum.StrEnum):
    """Of which letters that left for other operators an account is told, where the letter does not ask (RFC 3461)."""

    READABLE = "readable"  # of those that left readable by the other operator
    ALWAYS = "always"
    ASKED = "asked"  # of none but those whose letter asks


class Role(enum.StrEnum):
    """Why a person reads an account that is not theirs."""

    MEMBER = "member"  # of a shared account, ORG or CAB
    DELEGATE = "delegate"  # of a person (PER): secretary, locum


@dataclass(frozen=True, slots=True)
class Grant:
    """A person who reads another account, as themselves and with their own key."""

    person: AccountId
    role: Role
    rights: str  # RFC 4314 §2.1 letters, in the order of the alphabet
    since: int  # ms
    until: int | None = None  # ms; from then on it counts no more

    def in_force(self, at: int) -> bool:
        return self.since <= at and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True)
class Account:
    id: AccountId
    address: str  # lower case
    kind: Kind
    suspended: bool = False
    members: tuple[AccountId, ...] = ()  # ORG and CAB: PER accounts that read it (persons of `grants`)
    activated: bool = True
    """A patient's space: opened by its holder, whose key alone opens what arrives. True for all other kinds."""
    alias: str = field(default="", repr=False)
    """The address correspondents write to and see, where it is not `address`: the 15 digits of a patient's INS.
    It tells who the patient is: letters alone carry it, never a log, the trace or an id."""
    grants: tuple[Grant, ...] = ()
    """Everyone else who reads it, also those whose time has not come or is over: ask `Grant.in_force`."""
    national_id: str = field(default="", repr=False)
    """PER: idNat_PS, "8" and the RPPS number (or "0" and ADELI), which an identity provider must vouch for."""
    practising: bool = True
    """PER: has the right to practise. Who lost it loses every way in, and their address receives no more."""
    contact: Contact = Contact.REPLIES_ONLY
    sector: str = ""  # Secteur d'activité of an organisation (TRE_R02), such as "SA33", a dispensing pharmacy
    closed: bool = False  # for good: neither logs in nor receives, its address is not given again
    seen_per_person: bool = False  # shared accounts: each reader has their own \Seen (RFC 4314 §4)
    software: AccountId | None = None
    """The practice software's own account (APP), as an administrator set it for this PER, ORG or CAB."""
    copy_to_software: bool = False
    """Its holder switched on that documents which come in clear are also laid down there, in custody."""
    sealed_only: bool = False
    """What it sends to other operators leaves sealed to the addressee, or does not leave."""
    results: Results | None = None  # None: as its kind has it
    opposed: bool = False
    """A patient who opposed letters from the service: whoever writes hears what an unknown address would say."""

    @property
    def told(self) -> Results:
        """Of which letters that left it is told: people and organisations, of those that others could read."""
        if self.results is not None:
            return self.results
        return Results.ASKED if self.kind in (Kind.APP, Kind.PATIENT) else Results.READABLE

    @property
    def shown(self) -> str:
        """The address that correspondents see."""
        return self.alias or self.address


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a session speaks for, proven."""

    account: AccountId
    address: str
    kind: Kind
    mechanism: str  # PLAIN, SCRAM-SHA-256, SCRAM-SHA-256-PLUS, OAUTHBEARER, XOAUTH2, EXTERNAL, PAGE, HELD
    credential: str  # id of the app password, certificate binding, page or provider session, for the audit
    until: int | None = None  # ms: when what was opened with it ends at the latest; None: no such end
    acr: int = 0  # eIDAS level an identity provider vouched for (1 to 3); 0: none did


PAGE = "PAGE"  # logged in on the page; the credential is the session's id
HELD = "HELD"  # nobody is there: a submission that its author handed over earlier leaves now (RFC 8621 §7)


class Accounts(Protocol):
    """Read side, answered from memory (never blocks the loop)."""

    def by_address(self, address: str) -> Account | None: ...
    def by_id(self, account: AccountId) -> Account | None: ...
    def shared_with(self, person: AccountId) -> Sequence[Account]:
        """Accounts of others that are shared with this person now (members, delegates), by address."""
        ...

    def is_local_domain(self, domain: str) -> bool: ...
    def readers(self, account: AccountId) -> Sequence[Account]:
        """Whose certificates form the sealing set now: the holder with their delegates, or the members."""
        ...

    def holds(self, account: AccountId, credential: str) -> bool:
        """Whether an `Identity.credential` is still the account's and in time: asked while a session lasts."""
        ...


class PageSessions(Protocol):
    """Sessions of the page, answered from memory."""

    def by_cookie(self, cookie: str) -> Identity | None:
        """Who the cookie's value speaks for; None for an unknown, ended or unfinished session."""
        ...


class Exchange(Protocol):
    """One SASL exchange, sans I/O; the same object serves SMTP and IMAP (RFC 4422)."""

    async def step(self, response: bytes) -> bytes | Identity:
        """Give the client's decoded response; get the next challenge, or the identity when it is proven.

        SCRAM: after the server-final challenge the client answers empty, then comes the identity.
        Raises `policies.refusal.Refusal` (535 5.7.8) on failure.
        """
        ...


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection."""

    address: str  # IP, for limits and the audit
    port: int
    protocol: str  # "smtp", "submission", "imap", "jmap", "ldap", "page"
    session: str  # opaque id, in every log line and audit entry of the session
    tls: bool
    certificate: bytes | None = None  # DER, chain already verified by the TLS layer
    end_point: bytes | None = field(default=None, repr=False)
    """What a login can be bound to (RFC 5929 §4.1): the hash of the certificate we showed on this connection."""


class Authenticator(Protocol):
    def mechanisms(self, peer: Peer) -> Sequence[str]:
        """SASL names to advertise now: nothing before TLS; EXTERNAL only when a certificate is bound."""
        ...

    def begin(self, mechanism: str, peer: Peer) -> Exchange:
        """Raises Refusal 504 5.5.4 for an unknown mechanism, 538 5.7.11 before TLS."""
        ...

    async def login(self, user: str, password: str, peer: Peer) -> Identity:
        """IMAP LOGIN. Raises Refusal 535 5.7.8. Successes and failures are audited."""
        ...
