"""`/api/`: exchanges of a letter and their end, whom a patient blocks, which patients may write first, receipts.

Invariants: a letter is looked at in an account that the person reads, and nothing is told of any other; a
professional's account alone closes; a patient blocks for themselves alone; who reads a shared account changes what
it takes only with the right to administer it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import StringConstraints

from mail_server.accounts.changes import AccountError
from mail_server.accounts.interface import Account, Contact, Kind
from mail_server.conversations.blocks import Blocks, TooManyBlocks
from mail_server.conversations.closings import Actor, Closings, ShownExchange
from mail_server.delivery.receipts import Receipts
from mail_server.store.interface import NoSuchMessage, Reader, Transaction
from mail_server.store.model import AccountId
from webmail.login.front import Body, Front, answer, body, nothing, router
from webmail.login.ground import Ground, Visitor
from webmail.login.problems import Problem
from webmail.login.sessions import PageSession

_Id = Annotated[str, StringConstraints(max_length=64)]
_MAY_READ, _MAY_FILE, _MAY_ADMINISTER = "r", "i", "a"  # RFC 4314 §2.1
_TAKES = {
    Kind.PER: (Contact.REPLIES_ONLY, Contact.OPEN),
    Kind.CAB: (Contact.REPLIES_ONLY, Contact.OPEN),
    Kind.ORG: (Contact.REPLIES_ONLY, Contact.OPTED_IN, Contact.OPEN),
}


@dataclass(frozen=True, slots=True)
class Writing:
    """What of the node these routes work with."""

    closings: Closings
    blocks: Blocks
    receipts: Receipts
    may: Callable[[AccountId, AccountId, str], bool]  # person, account, right


class Named(Body):
    account: _Id
    email: _Id


class Blocked(Body):
    address: Annotated[str, StringConstraints(max_length=320)]


class Takes(Body):
    contact: _Id


class Exchanges:
    """What the routes do, for a session."""

    def __init__(self, ground: Ground, writing: Writing) -> None:
        self._ground = ground
        self._writing = writing

    def account(self, session: PageSession, named: str, right: str) -> Account:
        """The session's own account, or one it has this right in. Raises Problem forbidden."""
        own = self._ground.account(session)
        if named in ("", own.id):
            return own
        found = self._ground.accounts.by_id(AccountId(named))
        if found is None or not self._writing.may(own.id, found.id, right):
            raise Problem("forbidden")
        return found

    async def of(self, session: PageSession, account: str, email: str) -> list[ShownExchange]:
        found = self.account(session, account, _MAY_READ)
        try:
            return await self._writing.closings.of_letter(found, email)
        except NoSuchMessage:
            raise Problem("unknown-letter") from None

    async def close(self, session: PageSession, visitor: Visitor, named: Named) -> list[ShownExchange]:
        found = self.account(session, named.account, _MAY_FILE)
        if found.kind is Kind.PATIENT:
            raise Problem("forbidden")
        try:
            return await self._writing.closings.close_letter(
                found, named.email, Actor(session.account, session.id, visitor.network)
            )
        except NoSuchMessage:
            raise Problem("unknown-letter") from None

    async def opened(self, session: PageSession, named: Named) -> None:
        found = self.account(session, named.account, _MAY_READ)

        def headers(reader: Reader) -> list[bytes]:
            return [row.rendered.header for row in reader.emails(found.id, [named.email])]

        blocks = await self._ground.store.read(headers)
        if not blocks:
            raise Problem("unknown-letter")
        await self._writing.receipts.opened(found.id, blocks)

    # -- blocks

    def patient(self, session: PageSession) -> Account:
        account = self._ground.account(session)
        if account.kind is not Kind.PATIENT:
            raise Problem("forbidden")
        return account

    async def blocks(self, session: PageSession) -> list[dict[str, Any]]:
        patient = self.patient(session)
        found = await self._ground.store.read(lambda reader: self._writing.blocks.of(reader, patient.id))
        return [{"address": one.address, "kind": one.kind, "since": one.since} for one in found]

    async def block(self, session: PageSession, address: str) -> None:
        patient, now = self.patient(session), self._ground.clock()

        def write(transaction: Transaction) -> bool:
            return self._writing.blocks.block(transaction, patient, address, now)

        try:
            if not await self._ground.store.write(write):
                raise Problem("bad-request", detail="not-a-correspondent")
        except TooManyBlocks:
            raise Problem("too-large") from None

    async def unblock(self, session: PageSession, address: str) -> None:
        patient, now = self.patient(session), self._ground.clock()
        await self._ground.store.write(
            lambda transaction: self._writing.blocks.unblock(transaction, patient, address, now)
        )

    # -- who may write first

    def contact(self, session: PageSession, account: str) -> dict[str, Any]:
        found = self.account(session, account, _MAY_READ)
        if found.kind not in _TAKES:
            raise Problem("forbidden")
        return {"contact": found.contact.value, "choices": [each.value for each in _TAKES[found.kind]]}

    async def take(self, session: PageSession, visitor: Visitor, account: str, wanted: str) -> dict[str, Any]:
        found = self.account(session, account, _MAY_ADMINISTER)
        choices = _TAKES.get(found.kind)
        if choices is None:
            raise Problem("forbidden")
        if wanted not in [each.value for each in choices]:
            raise Problem("bad-request", detail="contact")
        try:
            await self._ground.accounts.contact_set(
                found.id, Contact(wanted), by=session.account, network=visitor.network
            )
        except AccountError as refused:
            raise Problem("forbidden", detail=refused.reason) from None
        return self.contact(session, account)


def conversation_routes(front: Front, exchanges: Exchanges) -> APIRouter:
    routes = router()

    @routes.get("/conversations")
    async def conversations(request: Request) -> Response:
        session = reading(front, request)
        asked = request.query_params
        found = await exchanges.of(session, asked.get("account", "")[:64], asked.get("email", "")[:64])
        return answer({"conversations": [_told(one) for one in found]})

    @routes.post("/conversations/close")
    async def close(request: Request) -> Response:
        session, visitor = front.acting(request)
        found = await exchanges.close(session, visitor, await body(request, Named))
        return answer({"conversations": [_told(one) for one in found]})

    @routes.post("/receipts")
    async def opened(request: Request) -> Response:
        session, _ = front.acting(request)
        await exchanges.opened(session, await body(request, Named))
        return nothing()

    @routes.get("/blocks")
    async def blocks(request: Request) -> Response:
        return answer({"blocks": await exchanges.blocks(reading(front, request))})

    @routes.post("/blocks")
    async def block(request: Request) -> Response:
        session, _ = front.acting(request)
        await exchanges.block(session, (await body(request, Blocked)).address)
        return answer({"blocks": await exchanges.blocks(session)})

    @routes.delete("/blocks/{address}")
    async def unblock(request: Request, address: str) -> Response:
        session, _ = front.acting(request)
        await exchanges.unblock(session, address[:320])
        return nothing()

    @routes.get("/contact")
    async def contact(request: Request) -> Response:
        session = reading(front, request)
        return answer(exchanges.contact(session, request.query_params.get("account", "")[:64]))

    @routes.put("/contact")
    async def take(request: Request) -> Response:
        session, visitor = front.acting(request)
        account = request.query_params.get("account", "")[:64]
        return answer(await exchanges.take(session, visitor, account, (await body(request, Takes)).contact))

    return routes


def reading(front: Front, request: Request) -> PageSession:
    """A session with nothing to renew first."""
    session = front.session(request)
    if session.renew:
        raise Problem("renew-first" if session.must_renew else "totp-required")
    return session


def _told(one: ShownExchange) -> dict[str, Any]:
    return {
        "id": one.id,
        "correspondent": one.correspondent,
        "open": one.open,
        "closedBy": one.closed_by or None,
        "closedAt": one.closed_at,
        "closedHow": one.closed_how or None,
        "answerable": one.answerable,
    }
