"""`/api/outbound`: what a holder asks of letters to other operators: sealed only, and which results they are told.

Invariants: the holder says it, for a shared account a member who may administer it; what is switched on keeps letters
from leaving readable, what is switched off lets them: that takes a fresh proof.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import StrictBool

from mail_server.accounts.changes import AccountError
from mail_server.accounts.interface import Results
from webmail.login.front import Body, Front, answer, body, router
from webmail.login.ground import Ground, Visitor
from webmail.login.problems import Problem
from webmail.login.sessions import PageSession
from webmail.spaces.administered import administered
from webmail.spaces.conversations import Writing, reading


class Wishes(Body):
    sealedOnly: StrictBool | None = None
    results: Results | None = None


class OutboundChoice:
    def __init__(self, ground: Ground, writing: Writing) -> None:
        self._ground = ground
        self._writing = writing

    def standing(self, session: PageSession, account: str) -> dict[str, Any]:
        found = administered(self._ground, self._writing, session, account)
        return {"sealedOnly": found.sealed_only, "results": found.told.value}

    async def choose(
        self, session: PageSession, visitor: Visitor, account: str, wanted: Wishes
    ) -> dict[str, Any]:
        found = administered(self._ground, self._writing, session, account)
        loosens = wanted.sealedOnly is False and found.sealed_only
        if loosens and not self._ground.sessions.fresh(session):
            raise Problem("step-up-needed", detail="fresh")
        try:
            await self._ground.accounts.outbound_set(
                found.id,
                session.account,
                sealed_only=wanted.sealedOnly,
                results=wanted.results,
                means="page",
                session=session.id,
                network=visitor.network,
            )
        except AccountError as refused:
            raise Problem("bad-request", detail=refused.reason) from None
        return self.standing(session, account)


def outbound_routes(front: Front, choice: OutboundChoice) -> APIRouter:
    routes = router()

    @routes.get("/outbound")
    async def standing(request: Request) -> Response:
        session = reading(front, request)
        return answer(choice.standing(session, request.query_params.get("account", "")[:64]))

    @routes.put("/outbound")
    async def choose(request: Request) -> Response:
        session, visitor = front.acting(request)
        account = request.query_params.get("account", "")[:64]
        return answer(await choice.choose(session, visitor, account, await body(request, Wishes)))

    return routes
