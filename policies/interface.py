"""Decisions, trust list and audit as others see them.

Invariants: whatever cannot be evaluated is refused; every decision names the rule (`@id`) that made it; an
audit entry carries no content, no subject, no secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Attribute = str | bool | int | Sequence[str]


@dataclass(frozen=True, slots=True)
class Entity:
    """A Cedar entity: `Entity("Account", "ab2c...", {"kind": "PER", "suspended": False})`."""

    type: str
    id: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict[str, Attribute])


@dataclass(frozen=True, slots=True)
class Question:
    """May `principal` do `action` on `resource`? Types and attributes: rules/schema.cedarschema."""

    principal: Entity
    action: str  # "submit", "log_in"...: one of `questions.ACTIONS_OF`
    resource: Entity
    context: Mapping[str, Attribute] = field(default_factory=dict[str, Attribute])


@dataclass(frozen=True, slots=True)
class Decision:
    allowed: bool
    rule: str  # @id of the deciding rule; "default-refuse" when none permitted; "evaluation-error" on failure


class Decisions(Protocol):
    def decide(self, question: Question) -> Decision: ...


class TrustList(Protocol):
    def domains_of(self, dn: str) -> frozenset[str]:
        """Lower-case domains a canonical subject DN may speak for; empty when unlisted."""
        ...


@dataclass(frozen=True, slots=True)
class PeerStanding:
    """What is known now of the operator behind a certificate."""

    allowed: bool
    dn: str = ""  # canonical subject; "" when it cannot be compared
    reason: str = (
        ""  # slug of the refusal: "certificate-revoked", "trust-list-stale", "certificate-unlisted"...
    )
    sentence: str = ""  # ASCII, for a person
    temporary: bool = False  # whether the same may be allowed later without anybody changing a certificate


class PeerTrust(Protocol):
    """One judgement of another operator, for both directions (reference/mssante.md §9, rows 1 to 10)."""

    async def judge(self, chain: Sequence[bytes], domain: str | None) -> PeerStanding:
        """May who shows this certificate speak, or receive, for `domain` (None: for any of theirs)?

        `chain`: DER, the leaf first, what the peer sent; TLS has verified it. Looks at the list and its age, at
        revocation of the leaf and its issuers, at blocks.
        """
        ...

    def listed(self, domain: str) -> bool:
        """Whether the list in force names this domain, and may still be used for somebody."""
        ...

    def host_of(self, domain: str) -> str:
        """The server that the list names for a domain (the CN of one of its certificates); "" for none."""
        ...


@dataclass(frozen=True, slots=True)
class Event:
    """One act to be written in the trace: who, what, on what, with which outcome. Never content."""

    action: (
        str  # "deliver", "refuse", "login", "login-failed", "read", "keep", "member-add", "key-publish"...
    )
    at: int  # ms UTC
    actor: str  # account id, "operator:<dn>", "console:<user>", "node"
    subject: str = ""  # account, message or mailbox id acted upon
    outcome: str = "done"  # "done" or the refusal's reason slug
    reference: str = ""  # opaque id shown to the peer, or message EMAILID
    session: str = ""
    network: str = ""  # peer IP
    detail: Mapping[str, str] = field(default_factory=dict[str, str])
    behalf: str = ""  # for whom: the account in whose name it was done, when that is not the actor's own
    kind: str = ""  # of what: "message", "record", "agenda", "attachment", "key"...
    door: str = ""  # by which way: "imap", "submission", "jmap", "page", "console"...


class SqlConnection(Protocol):
    """The part of the store's `Sql` the trail writes through (`?` marks parameters, both dialects)."""

    @property
    def dialect(self) -> str: ...
    def run(self, statement: str, parameters: Sequence[Any] = ()) -> int: ...
    def one(self, statement: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None: ...
    def all(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]: ...


class AuditTrail(Protocol):
    def append(self, sql: SqlConnection, events: Sequence[Event]) -> None:
        """Chain the events inside the caller's transaction. One writer per chain (chain = node)."""
        ...
