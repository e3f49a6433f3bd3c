"""The console's part for what others are told of our mailboxes: published, withdrawn, how each stands, how programs
find them.

Invariants: each change is in the trace with who made it, from where and why; a patient's space is published nowhere.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from deploy.node import directory_report, whence
from deploy.node.autoconfig import services_of
from deploy.node.clock import now
from deploy.node.control import CommandFailed
from deploy.node.node import Node
from directory.autoconfig.records import records, zone
from directory.listings.elsewhere import Elsewhere
from directory.publication.client.states import Standing, entry_of
from mail_server.accounts.interface import Account, Kind
from mail_server.accounts.life import in_service
from policies.interface import Event

_LONGEST_REASON = 200
_PUBLIC = frozenset({Kind.PER, Kind.ORG, Kind.APP, Kind.CAB})


class PublicationCommands:
    """`directory_publish`, `directory_withdraw`, `directory_publications`, `directory_report`, …"""

    def __init__(self, node: Node, by: str) -> None:
        self._node = node
        self._by = by

    async def directory_publish(
        self, address: str = "", every: bool = False, network: str = ""
    ) -> list[dict[str, Any]]:
        """Lift a withdrawal, and ask again where the national directory refused. `every`: of all our mailboxes."""
        if every == bool(address):
            raise CommandFailed("Name one address, or say --all.")
        if address and self._node.accounts.by_address(address) is None:
            return await self._lifted(address, network)
        accounts = [self._account(address)] if address else self._all()
        if address and not in_service(accounts[0]):
            raise CommandFailed(
                f"{accounts[0].address} is suspended, closed or not practising: reinstate it first."
            )
        publications = self._node.publications
        before = publications.withdrawn()
        await publications.publish(
            account.address for account in accounts if address or account.address not in before
        )
        await self._node.own_listings.sync()
        if address:
            self._note("listing-published", accounts[0], "", network)
        stand = {one.address: one for one in await publications.standings()}
        return [self._told(account, stand.get(account.address)) for account in accounts]

    async def directory_withdraw(self, address: str, reason: str = "", network: str = "") -> dict[str, Any]:
        """Nobody finds it any more, here nor at the national directory; letters still arrive."""
        reason = " ".join(reason.split())
        if len(reason) > _LONGEST_REASON or not reason.isprintable():
            raise CommandFailed(f"A reason is a sentence of at most {_LONGEST_REASON} characters.")
        if self._node.accounts.by_address(address) is None:
            return await self._objected(address, reason, network)
        account = self._account(address)
        await self._node.publications.withdraw(account.address, reason)
        await self._node.own_listings.sync()
        self._note("listing-withdrawn", account, reason, network)
        stand = {one.address: one for one in await self._node.publications.standings()}
        return self._told(account, stand.get(account.address))

    async def directory_publications(self) -> dict[str, Any]:
        """How each of our mailboxes stands."""
        publications = self._node.publications
        stand = {one.address: one for one in await publications.standings()}
        return {
            "national_directory": self._node.config.publication.national_directory,
            "key_refused": (await publications.tally()).shut,
            "mailboxes": [self._told(account, stand.get(account.address)) for account in self._all()],
            "elsewhere": [
                _told_elsewhere(account, one)
                for account, one in await asyncio.to_thread(self._node.elsewhere.standing)
                if one.listed or one.objected_at is not None
            ],
        }

    async def directory_report(
        self, kinds: list[str] | None = None, wrong: bool = False
    ) -> list[dict[str, str]]:
        try:
            wanted = frozenset(Kind(one.strip().upper()) for one in kinds or ()) or _PUBLIC
        except ValueError:
            wanted = frozenset[Kind]()
        if not wanted or not wanted <= _PUBLIC:
            raise CommandFailed(f"--kind is one of {', '.join(sorted(_PUBLIC))}.")
        found = await directory_report.lines(self._node, now(), wanted)
        return directory_report.as_rows([line for line in found if line.wrong or not wrong])

    async def directory_autoconfig(self, domain: str) -> dict[str, Any]:
        """What the domain's zone must say, and where programs are told their settings."""
        services = services_of(self._node.config)
        domain = domain.strip().lower().rstrip(".")
        if not services.serves(domain):
            ours = ", ".join(services.domains)
            raise CommandFailed(f"{domain or 'No name'} is no domain of mailboxes here. They are: {ours}.")
        return {
            "domain": domain,
            "zone": zone(services, domain),
            "records": [asdict(record) for record in records(services, domain)],
            "addresses": _addresses(services.page, domain),
        }

    async def _objected(self, address: str, reason: str, network: str) -> dict[str, Any]:
        """A professional of ours objects to a mailbox that another operator published under their name."""
        address = address.strip().lower()
        found = await self._node.elsewhere.object_to(address, reason)
        if not found:
            raise CommandFailed(f"There is no mailbox {address} that the directory could tell of.")
        for account in found:
            self._note("listing-withdrawn", account, reason, network, "objection")
        return {"address": address, "state": "objected", "of": [one.address for one in found]}

    async def _lifted(self, address: str, network: str) -> list[dict[str, Any]]:
        address = address.strip().lower()
        found = await self._node.elsewhere.lift(address)
        if not found:
            raise CommandFailed(f"There is no mailbox {address} that the directory could tell of.")
        for account in found:
            self._note("listing-published", account, "", network, "objection")
        return [{"address": address, "state": "lifted", "of": [one.address for one in found]}]

    def _told(self, account: Account, standing: Standing | None) -> dict[str, Any]:
        standing = standing or Standing(account.address)
        there = entry_of(standing.published)
        return {
            "address": account.address,
            "kind": account.kind.value,
            "state": self._node.publications.shown(standing).value,
            "since": _time(standing.published_at) if there is not None else None,
            "red_list": there.red_list if there is not None else None,
            "reason": standing.reason or None,
            "words": standing.words or None,
            "tries": standing.tries,
            "next": _time(standing.next_at) if not standing.settled and not standing.refused else None,
            "withdrawn": _time(standing.withdrawn_at),
            "withdrawn_reason": standing.withdrawn_reason or None,
        }

    def _all(self) -> list[Account]:
        ours = (account for account in self._node.accounts.all() if account.kind in _PUBLIC)
        return sorted(ours, key=lambda account: account.address)

    def _account(self, address: str) -> Account:
        found = self._node.accounts.by_address(address)
        if found is None or found.kind not in _PUBLIC:
            raise CommandFailed(f"There is no mailbox {address} that the directory could tell of.")
        return found

    def _note(self, action: str, account: Account, reason: str, network: str, cause: str = "") -> None:
        detail = {"means": whence.MEANS} | ({"reason": reason} if reason else {})
        detail |= {"cause": cause} if cause else {}
        event = Event(action, now(), self._by, account.id, network=whence.address(network), detail=detail)
        self._node.trace.note([event])


def _told_elsewhere(account: Account, one: Elsewhere) -> dict[str, Any]:
    return {
        "address": one.address,
        "of": account.address,
        "publisher": one.publisher or None,
        "told": _time(one.told_at),
        "objected": _time(one.objected_at),
        "reason": one.reason or None,
    }


def _addresses(page: str, domain: str) -> dict[str, str]:
    if not page:
        return {}
    return {
        "thunderbird": f"https://autoconfig.{domain}/mail/config-v1.1.xml",
        "outlook": f"https://autodiscover.{domain}/autodiscover/autodiscover.xml",
        "apple": f"{page}/apple.mobileconfig?emailaddress=ADDRESS",
    }


def _time(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M")
