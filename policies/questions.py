"""Builds the questions the product asks, one function per action of rules/schema.cedarschema.

Invariants: every action is asked from one place, named by a `Caller`; a rule that names another place fails
`check()`. Values are plain: no account, certificate or message object of another package enters here.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

from policies.interface import Attribute, Entity, Question


class Caller(enum.StrEnum):
    """The points of the product that ask. `@caller` of a rule is one of these; each has a rule."""

    ADMIT_SENDER = "delivery.admit_sender"
    ADMIT_RECIPIENT = "delivery.admit_recipient"
    DELIVER = "delivery.deliver"
    LOG_IN = "accounts.log_in"


ACTIONS_OF: dict[Caller, frozenset[str]] = {
    Caller.ADMIT_SENDER: frozenset({"submit", "hand_over"}),
    Caller.ADMIT_RECIPIENT: frozenset({"receive", "write_to"}),
    Caller.DELIVER: frozenset({"hold_in_custody"}),
    Caller.LOG_IN: frozenset({"log_in"}),
}

NODE = Entity("Node", "node")


def account(
    account_id: str,
    address: str,
    kind: str,
    *,
    suspended: bool,
    members: Iterable[str] = (),
    activated: bool = True,
) -> Entity:
    """An account. `members` are account ids; `activated` matters for patients alone."""
    attributes: dict[str, Attribute] = {
        "address": address,
        "kind": str(kind),
        "suspended": suspended,
        "activated": activated,
        "members": tuple(members),
    }
    return Entity("Account", account_id, attributes)


def system(credential: str, account_id: str, *, suspended: bool) -> Entity:
    """Software that proved the certificate binding `credential`, bound to `account_id`."""
    return Entity("System", credential, {"account": account_id, "suspended": suspended})


def operator(dn: str, domains: tuple[str, ...] = ()) -> Entity:
    """Another operator, known by its certificate's canonical subject DN."""
    return Entity("Operator", dn, {"dn": dn, "domains": domains})


def may_submit(speaker: Entity, mail_from: Entity, mechanism: str) -> Question:
    """May `speaker` (account or system) send as the account `mail_from`?"""
    return Question(speaker, "submit", mail_from, {"mechanism": mechanism})


def may_hand_over(
    dn: str, domains: frozenset[str], domain: str, *, certificate: bool, local: bool
) -> Question:
    """May the operator `dn`, whom the trust list grants `domains`, speak for the domain of a sender?

    `domain` is in lower case, "" for the null sender; `local`: it is one of this node. A large operator has
    thousands of domains, and only whether this one is among them matters to the rules: the question carries
    one, so it stays small and its answer is kept.
    """
    listed = (domain,) if domain in domains else (min(domains),) if domains else ()
    target = Entity("Domain", domain, {"name": domain})
    return Question(operator(dn, listed), "hand_over", target, {"certificate": certificate, "local": local})


def may_receive(sender: Entity, recipient: Entity) -> Question:
    """May a letter of `sender` (account, system or operator) arrive in `recipient`?"""
    return Question(sender, "receive", recipient)


def may_write_to(sender: Entity, recipient: Entity, *, from_patient: bool, open_exchange: bool) -> Question:
    """May `sender` write to `recipient`? Asked when one of the two is a patient (the others write freely)."""
    context: dict[str, Attribute] = {"from_patient": from_patient, "open": open_exchange}
    return Question(sender, "write_to", recipient, context)


def may_hold_in_custody(holder: Entity) -> Question:
    """May the operator keep the key of this account, which brought none?"""
    return Question(NODE, "hold_in_custody", holder)


def may_log_in(person: Entity, mechanism: str, protocol: str) -> Question:
    """May this account open a session?"""
    return Question(person, "log_in", NODE, {"mechanism": mechanism, "protocol": protocol})
