"""`/api/practice-copy`: whether documents that come in clear are also laid down for the practice's software.

Invariants: the holder switches it, for a shared account a member who may administer it; after a fresh proof, since what
is copied can be read by the software and by the operator; which software it is, only an administrator says.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import StrictBool

from mail_server.accounts.changes import AccountError
from mail_server.accounts.interface import Account
from mail_server.accounts.practice_software import TAKES_COPIES
from webmail.login.front import Body, Front, answer, body, router
from webmail.login.ground import Ground, Visitor
from webmail.login.problems import Problem
from webmail.login.sessions import PageSession
from webmail.spaces.administered import administered
from webmail.spaces.conversations import Writing, reading


class Switch(Body):
    on: StrictBool


class PracticeCopy:
    def __init__(self, ground: Ground, writing: Writing) -> None:
        self._ground = ground
        self._writing = writing

    def standing(self, session: PageSession, account: str) -> dict[str, Any]:
        found = self._account(session, account)
        named = self._ground.accounts.by_id(found.software) if found.software else None
        return {
            "software": named.address if named is not None else None,
            "on": found.copy_to_software and named is not None,
        }

    async def switch(
        self, session: PageSession, visitor: Visitor, account: str, wanted: Switch
    ) -> dict[str, Any]:
        found = self._account(session, account)
        if not self._ground.sessions.fresh(session):
            raise Problem("step-up-needed", detail="fresh")
        try:
            await self._ground.accounts.copies_set(
                found.id, wanted.on, by=session.account, session=session.id, network=visitor.network
            )
        except AccountError as refused:
            raise Problem("bad-request", detail=refused.reason) from None
        return self.standing(session, account)

    def _account(self, session: PageSession, named: str) -> Account:
        """Raises Problem forbidden."""
        found = administered(self._ground, self._writing, session, named)
        if found.kind not in TAKES_COPIES:
            raise Problem("forbidden")
        return found


def practice_copy_routes(front: Front, copies: PracticeCopy) -> APIRouter:
    routes = router()

    @routes.get("/practice-copy")
    async def standing(request: Request) -> Response:
        session = reading(front, request)
        return answer(copies.standing(session, request.query_params.get("account", "")[:64]))

    @routes.put("/practice-copy")
    async def switch(request: Request) -> Response:
        session, visitor = front.acting(request)
        account = request.query_params.get("account", "")[:64]
        return answer(await copies.switch(session, visitor, account, await body(request, Switch)))

    return routes
