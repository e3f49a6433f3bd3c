"""What a peer is told when the rules refuse, by the @id of the rule: SMTP replies are ASCII English (RFC 5321 §4.2.1).

Invariant: a rule without a line here is refused all the same, in general words.
"""

from __future__ import annotations

from policies.refusal import Refusal

_SUBMIT = {
    "submit-suspended": ("This account is suspended: it sends nothing", "account-suspended"),
    "submit-closed": ("This account is closed: it sends nothing", "account-closed"),
    "submit-not-practising": (
        "Who no longer has the right to practise sends nothing here",
        "account-not-practising",
    ),
    "evaluation-error": ("The rules of this server could not be read for this sender", "evaluation-error"),
}
_RECEIVE = {
    "receive-suspended": ("This mailbox is suspended", "recipient-suspended"),
    "receive-closed": ("This mailbox is closed for good", "recipient-closed"),
    "receive-not-practising": (
        "This professional no longer practises: the mailbox takes no more mail",
        "recipient-not-practising",
    ),
    "evaluation-error": ("The rules of this server could not be read for this mailbox", "evaluation-error"),
}
_HAND_OVER = {
    "operator-blocked": (
        "This server has blocked your operator: write to its administrators",
        "operator-blocked",
    ),
}


def not_submitted(rule: str) -> Refusal:
    words, reason = _SUBMIT.get(
        rule,
        (
            "You may send only as the address you logged in with, or for a mailbox you are a member of",
            "sender-not-yours",
        ),
    )
    return Refusal(550, "5.7.1", words, reason)


def not_received(rule: str) -> Refusal:
    """RFC 3463 §3.3 (X.2.1): the mailbox is disabled."""
    words, reason = _RECEIVE.get(rule, ("This mailbox takes no mail from you", rule))
    return Refusal(550, "5.2.1", words, reason)


def not_handed_over(rule: str) -> Refusal:
    words, reason = _HAND_OVER.get(
        rule,
        ("Your certificate does not speak for the domain of this sender", "certificate-of-another-domain"),
    )
    return Refusal(550, "5.7.1", words, reason)
