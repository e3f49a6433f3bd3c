"""Who may write to an address of another operator, and how the letter would leave for it: asked at RCPT TO.

Invariants: only senders of this node get here (a listed operator never relays through us); a domain that the trust
list does not name is refused at once; a patient writes to professionals who wrote to them alone, never to another
patient, and learns of nobody whether they exist; whom the letter could only reach readable by their operator is
refused where it was asked for sealed only; no address is in a log, the trace or an exception.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from mail_server.accounts.interface import Account
from mail_server.conversations.model import Bar, Standing
from mail_server.delivery.exchanges import Exchanges
from mail_server.delivery.gate import (
    ConversationClosed,
    Facts,
    Gate,
    Writer,
    domain_of,
    is_patients,
    not_a_correspondent,
)
from mail_server.delivery.interface import Abroad, Asked, Envelope
from mail_server.outbound.interface import PeerCertificate, PeerKeys
from policies import questions
from policies.interface import Decisions, PeerStanding
from policies.refusal import Refusal

SEALED_ONLY = "sealed"  # name+sealed@domain asks for a letter that leaves sealed or not at all
PATIENT_LIMIT = 25 * 1024 * 1024  # octets of a letter to a patient of another operator (mssante.md §3.2)


class Domains(Protocol):
    """What is known of another operator's domain while none of its certificates is in hand."""

    def standing_of(self, domain: str) -> PeerStanding:
        """Reasons: "recipient-domain-unlisted", "trust-list-stale" (temporary), "operator-blocked"."""
        ...


@dataclass(frozen=True, slots=True)
class Addressed:
    """An address of another operator, taken apart."""

    address: str  # without the tag; domain in lower case
    domain: str
    sealed_only: bool
    patient: bool


class AbroadAdmission:
    def __init__(
        self, *, gate: Gate, decisions: Decisions, exchanges: Exchanges, domains: Domains, peer_keys: PeerKeys
    ) -> None:
        self._gate = gate
        self._decisions = decisions
        self._exchanges = exchanges
        self._domains = domains
        self._peer_keys = peer_keys

    async def admit(self, envelope: Envelope, writer: Writer, address: str, asked: Asked) -> Abroad:
        """One RCPT TO of somebody here. Raises Refusal."""
        to = addressed(address)
        await self._require_allowed(writer, to)
        if to.patient and (envelope.parameters.size or 0) > PATIENT_LIMIT:
            raise too_large_for_a_patient()
        author = self._gate.speaker(envelope.sender)
        found = await self._peer_keys.find(to.address)
        require_taken(found, envelope.parameters.size or 0)
        sealed_only = to.sealed_only or (author is not None and author.sealed_only)
        if found is None and sealed_only:
            raise sealed_only_refused()
        return Abroad(
            to.address,
            to.domain,
            found,
            sealed_only=sealed_only,
            patient=to.patient,
            notify=asked.notify,
            orcpt=asked.orcpt,
        )

    async def addressee(self, speaker: Account, address: str) -> tuple[Addressed, PeerCertificate | None]:
        """The same question for who writes from the page. Raises Refusal."""
        to = addressed(address)
        await self._require_allowed(self._gate.writer_for(speaker), to)
        found = await self._peer_keys.find(to.address)
        if found is None and (to.sealed_only or speaker.sealed_only):
            raise sealed_only_refused()
        return to, found

    async def _require_allowed(self, writer: Writer, to: Addressed) -> None:
        standing = self._domains.standing_of(to.domain)
        facts = await self._exchanges.facts_abroad(writer, to.address)
        question = questions.may_send_out(
            writer.entity,
            to.domain,
            **on_the_list(standing),
            from_patient=writer.from_patient,
            to_patient=to.patient,
            standing=facts.stand.standing.value,
            refused=facts.blocked,
        )
        decision = self._decisions.decide(question)
        if not decision.allowed:
            raise _refused(decision.rule, to, facts, writer, standing)


def on_the_list(standing: PeerStanding) -> Mapping[str, bool]:
    """What the rules are told of a recipient's domain."""
    return {
        "listed": standing.allowed or standing.reason != "recipient-domain-unlisted",
        "stale": not standing.allowed and standing.temporary,
        "blocked": not standing.allowed and standing.reason == "operator-blocked",
    }


def addressed(address: str) -> Addressed:
    """`jean+sealed@peer` is `jean@peer`, sealed only (RFC 5233 calls it a subaddress; this one is ours)."""
    local, _, _ = address.rpartition("@")
    domain = domain_of(address)
    plain, plus, tag = local.rpartition("+")
    sealed_only = bool(plus) and bool(plain) and tag.lower() == SEALED_ONLY
    local = plain if sealed_only else local
    return Addressed(f"{local}@{domain}", domain, sealed_only, is_patients(f"{local}@{domain}"))


def _refused(rule: str, to: Addressed, facts: Facts, writer: Writer, standing: PeerStanding) -> Refusal:
    match rule:
        case "send-out-unlisted":
            # Row 4: which address it is must be plain; one that tells who a patient is stays unsaid.
            named = to.address if _sayable(to) else f"The domain {_ascii(to.domain)}"
            return Refusal(
                550,
                "5.7.1",
                f"{named} is not in the trust space of MSSante: nothing was sent to it",
                "recipient-domain-unlisted",
            )
        case "send-out-list-too-old":
            return Refusal(
                451,
                "4.7.1",
                standing.sentence or "The trust list is too old at the moment, please try again later",
                "trust-list-stale",
            )
        case "send-out-operator-blocked":
            return Refusal(
                550, "5.7.1", "This server has blocked the operator of this address", "operator-blocked"
            )
        case "send-out-one-you-blocked":
            return Refusal(
                550,
                "5.7.1",
                "You blocked this correspondent: unblock them to write",
                "write-to-one-you-blocked",
            )
        case "send-out-closed-exchange" if facts.stand.standing is Standing.CLOSED:
            return ConversationClosed(Bar(False, facts.stand.closed_by))
        case _ if writer.from_patient:
            return not_a_correspondent()
        case _:
            return Refusal(550, "5.7.1", "You may not write to other operators from this account", rule)


def sealed_only_refused() -> Refusal:
    """RFC 3463 §3.8 (X.7.4): the security feature that was asked for is not there."""
    return Refusal(
        550,
        "5.7.4",
        "Sealed only was asked for, and no certificate of this addressee is known: ask them to publish one,"
        " or send without sealed only",
        "sealed-only-no-certificate",
    )


def too_large_for_a_patient() -> Refusal:
    return Refusal(
        552, "5.3.4", "A letter to a patient of another operator has 25 MB at most", "too-large-for-patient"
    )


def require_taken(found: PeerCertificate | None, size: int) -> None:
    """What the addressee's operator said beforehand that it does not take. Raises Refusal."""
    if found is not None and 0 < found.largest < size:
        raise Refusal(
            552,
            "5.3.4",
            f"The addressee's operator takes letters of {found.largest} octets at most: send less at a time",
            "too-large-for-addressee",
        )


def _sayable(to: Addressed) -> bool:
    return not to.patient and to.address.isascii() and to.address.isprintable() and len(to.address) <= 254


def _ascii(domain: str) -> str:
    return domain if domain.isascii() and domain.isprintable() else "of this address"
