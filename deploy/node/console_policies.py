"""The console's commands about rules: why an answer is as it is, reading the rules again, blocking an operator.

Invariants: an explanation reads what the node knows and changes nothing, and where it tells of a patient's exchanges it
is in the trace first; a block is durable with its trace before it
is said to be set, and counts from the next MAIL FROM on; no answer names a patient but by their opaque address.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from deploy.node import rules, whence
from deploy.node.administrators import User, user_named
from deploy.node.composition import Node, now
from deploy.node.control import CommandFailed
from deploy.node.leaving import ListedDomains
from mail_server.accounts.entities import account_entity, rights_in
from mail_server.accounts.interface import Account, Kind
from mail_server.accounts.service import PROTOCOLS
from mail_server.delivery.abroad import addressed, on_the_list
from mail_server.delivery.gate import domain_of
from policies import explain, local_rules, questions
from policies.interface import Attribute, Entity, Event
from policies.trust_list import blocks
from policies.trust_list.names import NameRefused, canonical

_REASON_LONGEST = 200
_OF_RIGHTS = frozenset({"submit", "open_account", "share", "describe"})


class PolicyCommands:
    """Explaining, reading again, software with passwords, blocked operators."""

    def __init__(self, node: Node, user: User) -> None:
        self._node = node
        self._by = user.by

    # -- why

    async def policies_explain(
        self, principal: str, action: str, resource: str, context: list[str]
    ) -> dict[str, Any]:
        try:
            given = explain.given_context(context)
            abroad = self._abroad(resource) if action == "send_out" else None
            who = self._entity(principal, "principal")
            what = abroad[0] if abroad else self._entity(resource, "resource")
            known = await self._known(action, self._account(principal), self._account(resource), who, what)
            if abroad:
                known = {**known, **await self._standing_abroad(self._account(principal), *abroad)}
            question, assumed = explain.ask(who, action, what, given, known)
        except explain.NotUnderstood as refused:
            raise CommandFailed(str(refused)) from None
        return explain.explain(self._node.decisions, question, assumed).as_json()

    def _entity(self, words: str, name: str) -> Entity:
        account = self._account(words)
        if account is not None:
            return account_entity(account, now())
        kind, _, rest = words.partition(":")
        if "@" in kind:
            raise CommandFailed(f"There is no account {words}.")
        if kind == "administrator" and rest and "=" not in rest:
            return self._node.administrators.entity(user_named(rest))
        if kind == "operator" and rest and not explain.names_attributes(rest):
            return self._operator(rest)
        return explain.described(words, name)

    def _abroad(self, words: str) -> tuple[Entity, str] | None:
        """The domain of another operator that `domain:x.fr` or an address there names, and the address."""
        kind, _, rest = words.partition(":")
        domain = domain_of(words) if "@" in words else rest.lower() if kind == "domain" else ""
        if not domain or explain.names_attributes(rest) or self._node.accounts.is_local_domain(domain):
            return None
        return Entity("Domain", domain, {"name": domain}), words if "@" in words else ""

    async def _standing_abroad(
        self, speaker: Account | None, domain: Entity, address: str
    ) -> Mapping[str, Attribute]:
        """What the trust list says of a domain, and how a patient stands with an address there."""
        node = self._node
        domains = ListedDomains(node.trust_list, node.peer_trust, node.operator_blocks.blocked)
        known: dict[str, Attribute] = dict(on_the_list(domains.standing_of(domain.id)))
        if not address:
            return known
        to = addressed(address)
        known["to_patient"] = to.patient
        if speaker is not None and speaker.kind is Kind.PATIENT:
            await self._tell(speaker)
            facts = await node.correspondence.exchanges.facts_abroad(
                node.gate.writer_for(speaker), to.address
            )
            known |= {"standing": facts.stand.standing.value, "refused": facts.blocked}
        return known

    def _operator(self, dn: str) -> Entity:
        try:
            known = canonical(dn)
        except NameRefused as refused:
            raise CommandFailed(f"This is no name of a certificate: {refused}.") from None
        listed = tuple(sorted(self._node.trust_list.domains_of(known)))
        return questions.operator(known, listed, blocked=self._node.operator_blocks.blocked(known))

    def _account(self, words: str) -> Account | None:
        return self._node.accounts.by_address(words) if "@" in words else None

    async def _known(
        self, action: str, speaker: Account | None, target: Account | None, who: Entity, what: Entity
    ) -> Mapping[str, Attribute]:
        """What the node itself knows of the circumstances."""
        if action == "hand_over" and what.type == "Domain":
            return {"local": self._node.accounts.is_local_domain(what.id)}
        if action in _OF_RIGHTS and speaker is not None and target is not None:
            return {"rights": tuple(rights_in(target, speaker.id, now()))}
        if action == "carry":
            return {"to_patient": what.attributes.get("kind") == "PATIENT"}
        if action in ("close_exchange", "send_out"):
            return {"from_patient": who.attributes.get("kind") == "PATIENT"}
        if action != "write_to":
            return {}
        known: dict[str, Attribute] = {
            "from_patient": who.attributes.get("kind") == "PATIENT",
            "to_patient": what.attributes.get("kind") == "PATIENT",
        }
        if speaker is not None and target is not None and Kind.PATIENT in (speaker.kind, target.kind):
            writer = self._node.gate.writer_for(speaker)
            await self._tell(speaker if speaker.kind is Kind.PATIENT else target)
            facts = await self._node.correspondence.exchanges.facts(writer, target.address)
            known |= {
                "standing": facts.stand.standing.value,
                "blocked": facts.blocked,
                "dispensed": facts.dispensed,
            }
        return known

    async def _tell(self, patient: Account) -> None:
        """Who is in an exchange with a patient, or is blocked by them, is told to nobody without a trace."""
        event = Event("policies-explain", now(), self._by, patient.id, door="console")
        await self._node.store.write(lambda transaction: self._node.trail.append(transaction.sql, [event]))

    # -- software

    async def software_access(self) -> list[dict[str, Any]]:
        """Software accounts: how many app passwords each has, and the rule that lets it use them, if any."""
        accounts = self._node.accounts
        return [
            {
                "address": each.address,
                "passwords": len(accounts.app_passwords(each.id)),
                "certificates": len(accounts.bindings(each.id)),
                "rule": self._password_rule(each),
            }
            for each in accounts.all()
            if each.kind is Kind.APP and not each.closed
        ]

    def _password_rule(self, account: Account) -> str:
        software = account_entity(account, now())
        for mechanism in local_rules.MECHANISMS:
            for protocol in sorted(PROTOCOLS):
                question = questions.may_log_in(software, mechanism, protocol)
                decision = self._node.decisions.examine(question).decision
                if decision.allowed:
                    return decision.rule
        return ""

    # -- rules

    async def policies_reload(self, dry_run: bool) -> dict[str, Any]:
        node = self._node
        return await rules.reload(node.decisions, node.trace.note, now(), by=self._by, dry_run=dry_run)

    # -- operators

    async def operator_block(self, dn: str, reason: str, network: str = "") -> dict[str, Any]:
        if not 0 < len(reason.strip()) <= _REASON_LONGEST or not reason.isprintable():
            raise CommandFailed(f"A reason is 1 to {_REASON_LONGEST} printable characters (--reason).")
        block = blocks.Block(_name(dn), now(), reason.strip(), self._by)
        detail = {"dn": block.dn, "reason": block.reason, "means": whence.MEANS}
        event = Event("operator-block", block.since, self._by, network=whence.address(network), detail=detail)

        def write(transaction: Any) -> list[blocks.Block]:
            blocks.write(transaction.sql, block)
            self._node.trail.append(transaction.sql, [event])
            return blocks.read(transaction.sql)

        self._node.operator_blocks.use(await self._node.store.write(write))
        return {"dn": block.dn, "blocked": True, "listed": bool(self._node.trust_list.domains_of(block.dn))}

    async def operator_unblock(self, dn: str, reason: str, network: str = "") -> dict[str, Any]:
        name = _name(dn)
        detail = {"dn": name, "means": whence.MEANS}
        detail |= {"reason": reason.strip()} if reason.strip() else {}
        event = Event("operator-unblock", now(), self._by, network=whence.address(network), detail=detail)

        def write(transaction: Any) -> list[blocks.Block]:
            if not blocks.remove(transaction.sql, name):
                raise CommandFailed("This operator is not blocked.")
            self._node.trail.append(transaction.sql, [event])
            return blocks.read(transaction.sql)

        self._node.operator_blocks.use(await self._node.store.write(write))
        return {"dn": name, "blocked": False}

    async def operator_list(self) -> list[dict[str, Any]]:
        return [
            {
                "dn": block.dn,
                "since": datetime.fromtimestamp(block.since / 1000, UTC).strftime("%Y-%m-%d %H:%M"),
                "reason": block.reason,
                "by": block.by,
            }
            for block in self._node.operator_blocks.all()
        ]


def _name(dn: str) -> str:
    try:
        return canonical(dn)
    except NameRefused as refused:
        raise CommandFailed(f"This is no name of a certificate: {refused}.") from None
