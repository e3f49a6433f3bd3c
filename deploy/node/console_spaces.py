"""The console's commands about patients' spaces and the codes that open the page.

Invariants: answers name a space by its opaque address, and show its 15 digits only to who has just typed them; a
code is in the answer that made it and nowhere else; what contradicts a number is told, and never refused, since
numbers have exceptions: an activation asks for the birth date as it was typed here.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.node.composition import Node
from deploy.node.control import CommandFailed
from mail_server.accounts import ins
from mail_server.accounts.changes import AccountError
from mail_server.accounts.interface import Account, Kind
from mail_server.accounts.patients import PatientIdentity
from mail_server.conversations.blocks import a_year_before
from mail_server.store.interface import Transaction
from mail_server.store.model import MessageId, State
from policies.interface import Event

_MOST_COUNTED = 10_000
_LIKE_A_NUMBER = 12  # digits
_MONTHS = range(1, 13)  # others stand for a month that is not known


class SpaceCommands:
    """`space_add`, `space_list`, `enrolment_code`, `space_dispensing`."""

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
        try:
            account = await self._node.accounts.patient_add(identity, by=self._by)
        except AccountError as failure:
            if failure.reason != "patient-known":
                raise
            raise CommandFailed(
                "This patient has a space here already: `vaguemestre space code` makes a fresh code for it."
            ) from None
        number = ins.parse(matricule).number
        found = doubts(number, sex, birth_date)
        return {"shown": account.shown, **await self._coded(account), "doubts": found}

    async def enrolment_code(self, address: str) -> dict[str, Any]:
        return await self._coded(self._found(address))

    async def space_dispensing(self, patient: str, pharmacy: str, date: str) -> dict[str, Any]:
        """The operator's pharmacy system says that this pharmacy dispensed to this patient on that day."""
        space, seller = self._found(patient), self._node.accounts.by_address(pharmacy)
        if space.kind is not Kind.PATIENT:
            raise CommandFailed("This account is not a patient's space.")
        if seller is None or seller.kind is not Kind.ORG:
            raise CommandFailed("The pharmacy is an organisation (ORG) of this node.")
        try:
            day = datetime.strptime(date, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            raise CommandFailed("The day is YYYY-MM-DD.") from None
        at, now = int(day.timestamp() * 1000), int(datetime.now(UTC).timestamp() * 1000)
        if at > now:
            raise CommandFailed("That day is still to come.")
        if at < a_year_before(now):
            raise CommandFailed("A dispensing counts for a year: this one is older.")
        dispensings = self._node.correspondence.dispensings
        event = Event("dispensing", now, self._by, space.id, detail={"account": seller.id})

        def write(transaction: Transaction) -> None:
            dispensings.forget_old(transaction, now)
            dispensings.record(transaction, space.id, seller.id, at)
            self._node.trail.append(transaction.sql, [event])

        await self._node.store.write(write)
        return {"address": space.address, "pharmacy": seller.address, "date": date}

    def _found(self, name: str) -> Account:
        """Raises CommandFailed, InsRefused."""
        accounts = self._node.accounts
        account = accounts.by_address(name) or accounts.by_ins(name)
        if account is not None:
            return account
        number, _, _ = name.partition("@")
        if sum(each.isdigit() for each in number) >= _LIKE_A_NUMBER:
            ins.parse(number)
            raise CommandFailed("No space here is of this number: `vaguemestre space add` makes one.")
        raise CommandFailed("There is no such account.")

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
        where = self._node.config.page_address
        until = datetime.now(UTC) + timedelta(days=self._node.config.page.code_days)
        return {
            "address": account.address,
            "kind": account.kind.value,
            "code": code,
            "link": f"{where}/activer" if where else None,
            "expires": until.strftime("%Y-%m-%d"),
        }


def doubts(number: str, sex: str, birth_date: str) -> list[str]:
    """What of the traits the number itself contradicts, for somebody to look at again."""
    found: list[str] = []
    if {"1": "M", "2": "F"}.get(number[0], sex) != sex and sex != "I":
        found.append("The number's first digit is of the other sex.")
    year, month = number[1:3], int(number[3:5])
    if year != birth_date[2:4] or (month in _MONTHS and month != int(birth_date[5:7])):
        found.append("The number's year and month are not those of the birth date.")
    return found
