"""The console's commands about patients' spaces and the codes that open the page.

Invariants: answers name a space by its opaque address, and show its 15 digits only to who has just typed them; a
code is in the answer that made it and nowhere else.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.node.composition import Node
from deploy.node.control import CommandFailed
from mail_server.accounts.interface import Account, Kind
from mail_server.accounts.patients import PatientIdentity
from mail_server.store.model import MessageId, State

_MOST_COUNTED = 10_000


class SpaceCommands:
    """`space_add`, `space_list`, `enrolment_code`."""

    def __init__(self, node: Node, by: str) -> None:
        self._node = node
        self._by = by

    async def space_add(
        self,
        matricule: str,
        family_name: str,
        given_names: str,
        sex: str,
        birth_date: str,
        birth_place: str,
    ) -> dict[str, Any]:
        identity = PatientIdentity(
            number=matricule,
            birth_name=family_name,
            given_names=tuple(given_names.replace(",", " ").split()),
            birth_date=birth_date,
            sex=sex,
            birth_place=birth_place,
        )
        account = await self._node.accounts.patient_add(identity, by=self._by)
        return {"shown": account.shown, **await self._coded(account)}

    async def enrolment_code(self, address: str) -> dict[str, Any]:
        accounts = self._node.accounts
        account = accounts.by_address(address) or accounts.by_ins(address)
        if account is None:
            raise CommandFailed("There is no such account.")
        return await self._coded(account)

    async def space_list(self) -> list[dict[str, Any]]:
        spaces = [each for each in self._node.accounts.all() if each.kind is Kind.PATIENT]
        return [
            {
                "address": each.address,
                "activated": each.activated,
                "suspended": each.suspended,
                "waiting": await self._waiting(each),
            }
            for each in spaces
        ]

    async def _waiting(self, account: Account) -> int:
        found = await self._node.store.read(
            lambda reader: reader.messages_in_state(account.id, [State.WAITING], MessageId(0), _MOST_COUNTED)
        )
        return len(found)

    async def _coded(self, account: Account) -> dict[str, Any]:
        code = await self._node.page.enrolments.issue(account.id, by=self._by)
        settings = self._node.config.page
        where = settings.public_url or f"https://{self._node.config.web.mail_host or 'this node'}"
        until = datetime.now(UTC) + timedelta(days=settings.code_days)
        return {
            "address": account.address,
            "code": code,
            "link": f"{where.rstrip('/')}/activer",
            "expires": until.strftime("%Y-%m-%d"),
        }
