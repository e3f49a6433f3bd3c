"""What the queue says of one recipient of another operator, as a DeliveryStatus tells it (RFC 8621 §7). No I/O."""

from __future__ import annotations

from mail_server.outbound.interface import Outcome as Attempt
from mail_server.outbound.reports.interface import Fate
from mail_server.outbound.rows import RecipientStanding, RecipientState

_WORDS = {
    Fate.FAILED: "554 5.0.0 The other operator did not take it",
    Fate.EXPIRED: "554 5.4.7 Not delivered within the time it was tried",
    Fate.CANCELLED: "554 5.3.0 Cancelled by an administrator",
}
# RFC 8621 §7: "yes" is for the recipient's own mailbox; of what another operator took over no more is known.
_DELIVERED = {Fate.RELAYED: "unknown", Fate.DELAYED: "queued"}
# Vendor property `reason`, beside those of refusals here: what a person is told.
_REASONS = {
    Fate.FAILED: "refused-elsewhere",
    Fate.EXPIRED: "not-taken-in-time",
    Fate.CANCELLED: "cancelled",
}
_OF_STATE = {
    RecipientState.DELIVERED: Fate.RELAYED,
    RecipientState.FAILED: Fate.FAILED,
    RecipientState.EXPIRED: Fate.EXPIRED,
    RecipientState.CANCELLED: Fate.CANCELLED,
}


def delivered_of(fate: Fate) -> str:
    return _DELIVERED.get(fate, "no")


def reason_of(fate: Fate) -> str:
    return _REASONS.get(fate, "")


def standing_of(found: RecipientStanding) -> tuple[str, str, str] | None:
    """`delivered`, the reply and the reason for what is settled already; None for what still waits."""
    fate = _OF_STATE.get(found.state)
    if fate is None:
        return None
    return delivered_of(fate), reply_of(fate, found.last), reason_of(fate)


def reply_of(fate: Fate, last: Attempt | None) -> str:
    if last is not None and last.code:
        said = " ".join(word for word in (last.enhanced, last.said) if word)
        return f"{last.code} {said}".strip()
    return _WORDS.get(fate, "250 2.0.0 Taken over by the other operator")
