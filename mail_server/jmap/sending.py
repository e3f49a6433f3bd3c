"""A submission leaves: each recipient in an envelope of its own, as SMTP would have it (RFC 8621 §7).

Invariants: a recipient is handed the same bytes in the same envelope at every attempt, so that delivery knows a
letter it has filed already and nobody gets it twice; what is refused for good is told and never tried again.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from mail_server.accounts.interface import HELD, Identity, Peer
from mail_server.delivery.interface import Accepted, Delivery, Envelope, Road, Sender
from mail_server.jmap.envelopes import asked_of, parameters_of
from mail_server.jmap.submission_rows import Addressed, Outcome
from mail_server.outbound.interface import Readable
from mail_server.store.model import AccountId
from policies.refusal import Refusal

QUEUED = Outcome("250 2.1.5 Waiting to leave", "queued")


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who sends: the one who is here, or who was here when the letter was handed over."""

    identity: Identity
    peer: Peer
    kept_in: AccountId | None = None  # the account that the letter lies in, before and after

    def later(self, submission: str) -> Speaker:
        """The same, once nobody is there any more."""
        who = self.identity
        return Speaker(
            Identity(who.account, who.address, who.kind, HELD, submission), self.peer, self.kept_in
        )


async def admit(
    delivery: Delivery, speaker: Speaker, to: Addressed, size: int
) -> tuple[Sender, dict[str, Refusal]]:
    """Whether it may leave, asked before a byte of it is taken. Raises Refusal for the sender."""
    parameters = parameters_of(to, size)
    sender = await delivery.admit_sender(
        Road.CLIENT, to.mail_from, parameters, speaker.peer, speaker.identity
    )
    refused: dict[str, Refusal] = {}
    for address in to.recipients:
        try:
            await delivery.admit_recipient(Envelope(sender, parameters), address, asked_of(to, address))
        except Refusal as refusal:
            refused[address] = refusal
    return sender, refused


async def send(
    delivery: Delivery, speaker: Speaker, to: Addressed, message: bytes, among: Sequence[str]
) -> dict[str, Refusal]:
    """Deliver to `among`; outcomes are written into `to`, refusals also given back."""
    refused: dict[str, Refusal] = {}
    parameters = parameters_of(to, len(message))
    try:
        sender = await delivery.admit_sender(
            Road.CLIENT, to.mail_from, parameters, speaker.peer, speaker.identity
        )
    except Refusal as refusal:
        refused = dict.fromkeys(among, refusal)
    else:
        for number, address in enumerate(among):
            envelope = Envelope(
                sender,
                parameters,
                continues=number > 0,
                kept_in=speaker.kept_in,
                gate_packet=base64.b64decode(to.gate_packet),
            )
            try:
                envelope.add(await delivery.admit_recipient(envelope, address, asked_of(to, address)))
                accepted = await delivery.deliver(envelope, message)
            except Refusal as refusal:
                refused[address] = refusal
            else:
                to.outcomes[address] = accepted_outcome(accepted)
    for address, refusal in refused.items():
        to.outcomes[address] = refused_outcome(refusal)
    return refused


def accepted_outcome(accepted: Accepted) -> Outcome:
    """Filed here, or on its way to another operator: then what becomes of it is the queue's to tell."""
    if not accepted.leaving:
        return Outcome(f"250 2.0.0 Accepted (ref {accepted.id})", "yes")
    readable = next(iter(accepted.leaving.values()))
    leaves = "gate" if readable is Readable.GATED else readable.value
    return Outcome(
        f"250 2.1.5 Waiting to leave (ref {accepted.id})", "queued", reference=accepted.id, leaves=leaves
    )


def refused_outcome(refusal: Refusal) -> Outcome:
    return Outcome(refusal.smtp_line, "queued" if refusal.temporary else "no", refusal.reason)
