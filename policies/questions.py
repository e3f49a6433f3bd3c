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
    CARRY = "delivery.carry"
    CLOSE_EXCHANGE = "delivery.close_exchange"
    LOG_IN = "accounts.log_in"
    OPEN_ACCOUNT = "accounts.open_account"
    SHARE = "accounts.share"
    MAKE_APP_PASSWORD = "accounts.make_app_password"  # noqa: S105 - the name of a place
    LOOK_UP = "accounts.look_up"
    DESCRIBE = "accounts.describe"
    ADMINISTER = "console.administer"


ACTIONS_OF: dict[Caller, frozenset[str]] = {
    Caller.ADMIT_SENDER: frozenset({"submit", "hand_over"}),
    Caller.ADMIT_RECIPIENT: frozenset({"receive", "write_to", "send_out"}),
    Caller.DELIVER: frozenset({"hold_in_custody"}),
    Caller.CARRY: frozenset({"carry"}),
    Caller.CLOSE_EXCHANGE: frozenset({"close_exchange"}),
    Caller.LOG_IN: frozenset({"log_in"}),
    Caller.OPEN_ACCOUNT: frozenset({"open_account"}),
    Caller.SHARE: frozenset({"share"}),
    Caller.MAKE_APP_PASSWORD: frozenset({"make_app_password"}),
    Caller.LOOK_UP: frozenset({"look_up"}),
    Caller.DESCRIBE: frozenset({"describe"}),
    Caller.ADMINISTER: frozenset({"administer"}),
}


# What the rules know of a document's confidentiality; other codes say nothing to them, and are no strangers' key to
# the memory of answers.
CONFIDENTIALITY = frozenset({"MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX"})


class Power(enum.StrEnum):
    """What an administrator may be given. The rules say which cannot be held together."""

    ACCOUNTS = "accounts"  # accounts, their passwords, certificates, suspension
    SPACES = "spaces"  # patients' spaces and enrolment codes
    KEYS = "keys"  # which certificates seal to whom
    READERS = "readers"  # who reads the accounts of others
    POLICIES = "policies"  # rules, blocked operators
    AUDIT = "audit"  # reading and exporting the trace
    OPERATION = "operation"  # checks, backups, what keeps the machine going
    LOOK = "look"  # whether the node is well; every administrator


NODE = Entity("Node", "node")


def account(
    account_id: str,
    address: str,
    kind: str,
    *,
    suspended: bool,
    members: Iterable[str] = (),
    activated: bool = True,
    practising: bool = True,
    closed: bool = False,
    opposed: bool = False,
    contact: str = "replies_only",
    sector: str = "",
    delegates: Iterable[str] = (),
) -> Entity:
    """An account. `members` and `delegates` are account ids, of those in force now.

    `activated` and `opposed` matter for patients alone, `practising` for persons (PER), `contact` and `sector` for whom
    patients write to.
    """
    attributes: dict[str, Attribute] = {
        "address": address,
        "kind": str(kind),
        "suspended": suspended,
        "closed": closed,
        "opposed": opposed,
        "practising": practising,
        "activated": activated,
        "contact": str(contact),
        "sector": sector,
        "members": tuple(members),
        "delegates": tuple(delegates),
    }
    return Entity("Account", account_id, attributes)


def system(credential: str, account_id: str, *, suspended: bool, closed: bool = False) -> Entity:
    """Software that proved the certificate binding `credential`, bound to `account_id`."""
    return Entity("System", credential, {"account": account_id, "suspended": suspended, "closed": closed})


def operator(dn: str, domains: tuple[str, ...] = (), *, blocked: bool = False) -> Entity:
    """Another operator, known by its certificate's canonical subject DN."""
    return Entity("Operator", dn, {"dn": dn, "domains": domains, "blocked": blocked})


def administrator(user: str, powers: Iterable[str] = (), *, alone: bool = False) -> Entity:
    """Who administers, by Unix user name. `alone`: owns the home of a node that names no administrator."""
    held = tuple(sorted(str(power) for power in powers))
    return Entity("Administrator", user, {"user": user, "powers": held, "alone": alone})


def may_submit(speaker: Entity, mail_from: Entity, mechanism: str, *, rights: str = "") -> Question:
    """May `speaker` (account or system) send as the account `mail_from`?

    `rights`: what the speaker may do in that account when it is another's, as letters of RFC 4314 §2.1.
    """
    return Question(speaker, "submit", mail_from, {"mechanism": mechanism, "rights": tuple(rights)})


def may_hand_over(
    dn: str,
    domains: frozenset[str],
    domain: str,
    *,
    certificate: bool,
    local: bool,
    blocked: bool = False,
) -> Question:
    """May the operator `dn`, whom the trust list grants `domains`, speak for the domain of a sender?

    `domain` is in lower case, "" for the null sender; `local`: it is one of this node; `blocked`: an
    administrator of this node blocked the operator. A large operator has thousands of domains, and only
    whether this one is among them matters to the rules: the question carries one, so it stays small and its
    answer is kept.
    """
    listed = (domain,) if domain in domains else (min(domains),) if domains else ()
    target = Entity("Domain", domain, {"name": domain})
    context: dict[str, Attribute] = {"certificate": certificate, "local": local}
    return Question(operator(dn, listed, blocked=blocked), "hand_over", target, context)


def may_receive(sender: Entity, recipient: Entity) -> Question:
    """May a letter of `sender` (account, system or operator) arrive in `recipient`?"""
    return Question(sender, "receive", recipient)


def may_write_to(
    sender: Entity,
    recipient: Entity,
    *,
    from_patient: bool,
    to_patient: bool,
    standing: str,
    blocked: bool = False,
    dispensed: bool = False,
) -> Question:
    """May `sender` write to `recipient`? Asked when one of the two is a patient (the others write freely).

    `standing`: of the exchange between them, "none", "open" or "closed"; `blocked`: the patient of the two
    blocked the other; `dispensed`: it is proven that the recipient dispensed to this patient within a year.
    """
    context: dict[str, Attribute] = {
        "from_patient": from_patient,
        "to_patient": to_patient,
        "standing": str(standing),
        "blocked": blocked,
        "dispensed": dispensed,
    }
    return Question(sender, "write_to", recipient, context)


def may_carry(sender: Entity, recipient: Entity, *, to_patient: bool, codes: Iterable[str]) -> Question:
    """May a letter of `sender` take documents with these confidentiality codes to `recipient`?"""
    told = tuple(sorted(code for code in set(codes) if code in CONFIDENTIALITY))
    return Question(sender, "carry", recipient, {"to_patient": to_patient, "codes": told})


def may_send_out(
    sender: Entity,
    domain: str,
    *,
    listed: bool,
    stale: bool = False,
    blocked: bool = False,
    from_patient: bool = False,
    to_patient: bool = False,
    standing: str = "none",
    refused: bool = False,
) -> Question:
    """May a letter of `sender` (account or system) leave for an address of another operator's `domain`?

    `listed`, `stale`, `blocked`: what the trust list and the administrators say of that domain; `to_patient`: the
    address is a patient's; `standing`, `refused`: when the sender is a patient, the exchange with this address, and
    whether the patient blocked it.
    """
    context: dict[str, Attribute] = {
        "listed": listed,
        "stale": stale,
        "blocked": blocked,
        "from_patient": from_patient,
        "to_patient": to_patient,
        "standing": str(standing),
        "refused": refused,
    }
    return Question(sender, "send_out", Entity("Domain", domain, {"name": domain}), context)


def may_close_exchange(speaker: Entity, patient: Entity, *, from_patient: bool) -> Question:
    """May `speaker` (account, system or operator) close an exchange with `patient`?"""
    return Question(speaker, "close_exchange", patient, {"from_patient": from_patient})


def may_hold_in_custody(holder: Entity) -> Question:
    """May the operator keep the key of this account, which brought none?"""
    return Question(NODE, "hold_in_custody", holder)


def may_log_in(person: Entity, mechanism: str, protocol: str, *, acr: int = 0) -> Question:
    """May this account open a session? `acr`: eIDAS level that an identity provider vouched for, 0: none."""
    return Question(person, "log_in", NODE, {"mechanism": mechanism, "protocol": protocol, "acr": acr})


def may_open_account(person: Entity, target: Entity, *, rights: str, needed: str) -> Question:
    """May `person` do in `target` what needs the right `needed` (one letter of RFC 4314 §2.1)?

    `rights`: the letters of the person's grant in force, "" when there is none; an account of one's own needs
    none.
    """
    return Question(person, "open_account", target, {"rights": tuple(rights), "needed": needed})


def may_share(person: Entity, target: Entity, *, role: str, rights: str = "") -> Question:
    """May `person`, who has `rights` in `target`, make or end readers of it in this role?"""
    return Question(person, "share", target, {"role": str(role), "rights": tuple(rights)})


def may_make_app_password(person: Entity, target: Entity, *, acr: int, strong: bool, fresh: bool) -> Question:
    """May `person` make a password of a mail program for `target`, after this login?"""
    context: dict[str, Attribute] = {"acr": acr, "strong": strong, "fresh": fresh}
    return Question(person, "make_app_password", target, context)


def may_look_up(person: Entity) -> Question:
    """May this account look somebody up in the directory?"""
    return Question(person, "look_up", NODE)


def may_describe(person: Entity, target: Entity, field: str, *, rights: str = "") -> Question:
    """May `person`, who has `rights` in `target`, say this of that mailbox in the directory (or hide it)?"""
    return Question(person, "describe", target, {"field": field, "rights": tuple(rights)})


def may_administer(by: Entity, power: str, target: Entity = NODE) -> Question:
    """May this administrator do what needs `power`, to the node or to one account?"""
    return Question(by, "administer", target, {"power": str(power)})
