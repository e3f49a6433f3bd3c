"""The console's commands about the trust list: how it stands, asking for a newer one, deciding what is held.

Invariants: who decides is in the trace by name, with each domain; what was decided is durable before it is said;
nothing here lets an operator in that the list does not name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from deploy.node.composition import Node, now
from deploy.node.control import CommandFailed
from policies.trust_list.changes import Held
from policies.trust_list.names import NameRefused, same, subject_dn
from policies.trust_list.revocation.chain import NotAuthorities, certificates_in
from policies.trust_list.revocation.checker import ListStanding
from policies.trust_list.space import Report, chosen_by
from policies.trust_list.standing import HOUR_MS


class TrustCommands:
    def __init__(self, node: Node, by: str) -> None:
        self._node = node
        self._space = node.trust.space
        self._by = by

    async def trust_list_show(self) -> dict[str, Any]:
        listing, confirmed = self._space.listing, self._space.confirmed_at
        settings = self._node.config.policies
        own = await asyncio.to_thread(self._own_name)
        rows = listing.rows if listing is not None else ()
        return {
            "source": settings.trust_list_url or (str(settings.trust_list) if settings.trust_list else None),
            "fetched": self._space.fetches,
            "rows": len(rows),
            "domains": len({row.domain for row in rows}),
            "unusable": listing.unusable if listing is not None else 0,
            "generated": _time(int(listing.generated.timestamp() * 1000)) if listing is not None else None,
            "confirmed": _time(confirmed),
            "age_hours": None if confirmed is None else round((now() - confirmed) / HOUR_MS, 1),
            "age": self._space.age.value,
            "last_refusal": self._space.last_refusal,
            "held": sum(not each.refused for each in self._space.held),
            "refused": sum(each.refused for each in self._space.held),
            "known_peers": len(self._node.trust.known),
            "ours": [self._ours(domain, own) for domain in self._domains()],
            "own_name": own or None,
            "ocsp": settings.ocsp,
            "revocation": [_revocation(each) for each in self._node.trust.revocation.standings()],
        }

    def _domains(self) -> list[str]:
        accounts = self._node.config.accounts
        patient = self._node.accounts.patient_domain
        return list(dict.fromkeys([*accounts.domains, *([patient] if patient else [])]))

    def _ours(self, domain: str, own: str) -> dict[str, Any]:
        given = self._space.names_of(domain)
        return {"domain": domain, "listed": bool(given), "by_us": any(same(own, dn) for dn in given)}

    def _own_name(self) -> str:
        """The name that other operators see; "" when it cannot be read."""
        config = self._node.config
        file = config.outbound.certificate or config.tls.certificate
        try:
            return subject_dn(certificates_in(file)[0].public_bytes(Encoding.DER)) if file is not None else ""
        except (OSError, NotAuthorities, NameRefused, IndexError):
            return ""

    async def trust_list_fetch(self, smaller: bool = False) -> dict[str, Any]:
        if self._space.fetches:
            problems = await self._node.trust.revocation.refresh()
            report = await self._space.fetch(smaller=smaller, by=self._by)
        else:
            problems = []
            report = await self._space.reload_file(smaller=smaller, by=self._by)
        return _reported(report) | {"revocation_problems": problems}

    async def trust_list_pending(self) -> list[dict[str, Any]]:
        """One line for each name, with its domains: a merge of operators is one line."""
        return _grouped(self._space.held, self._space.delay_ms)

    async def trust_list_apply(self, what: str = "") -> dict[str, Any]:
        return self._decided("applied", what, await self._space.apply(_chosen(what), self._by))

    async def trust_list_refuse(self, what: str = "") -> dict[str, Any]:
        return self._decided("refused", what, await self._space.refuse(_chosen(what), self._by))

    def _decided(self, outcome: str, what: str, done: list[Held]) -> dict[str, Any]:
        if not done:
            about = f" about {what}" if what else ""
            raise CommandFailed(f"No change{about} is held (`vaguemestre trust-list pending` lists them).")
        return {"outcome": outcome, "changes": _grouped(done, self._space.delay_ms), "count": len(done)}


def _chosen(what: str) -> Callable[[Held], bool]:
    try:
        return chosen_by(what.strip())
    except NameRefused as refused:
        raise CommandFailed(f"This is no name of a certificate: {refused}.") from None


def _grouped(held: list[Held] | tuple[Held, ...], delay_ms: int) -> list[dict[str, Any]]:
    groups: dict[tuple[str, bool, bool], list[Held]] = {}
    for each in held:
        groups.setdefault((each.dn, each.gone, each.refused), []).append(each)
    return [
        {
            "dn": dn,
            "change": "removed" if gone else "added",
            "count": len(group),
            "domains": sorted(each.domain for each in group),
            "since": _time(min(each.since for each in group)),
            "counts_from": None if refused else _time(max(each.since for each in group) + delay_ms),
            "refused": refused,
        }
        for (dn, gone, refused), group in groups.items()
    ]


def _reported(report: Report) -> dict[str, Any]:
    changed = report.changed
    return {
        "applied": report.applied,
        "reason": report.reason,
        "sentence": report.sentence,
        "rows": report.rows,
        "domains_added": list(changed.domains_added),
        "domains_removed": list(changed.domains_removed),
        "names_added": len(changed.names_added),
        "names_removed": len(changed.names_removed),
        "held": report.held,
    }


def _revocation(standing: ListStanding) -> dict[str, Any]:
    return {
        "source": standing.source,
        "issuer": standing.issuer,
        "entries": standing.entries,
        "number": standing.number,
        "delta": standing.delta,
        "until": _time(standing.until or None),
        "read": _time(standing.read_at),
        "problem": standing.problem,
    }


def _time(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M")
