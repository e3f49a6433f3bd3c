"""`/api/notice-address`: where a holder is told that something new has come.

Invariants: the address is shown back cut short; it is changed after a fresh proof of who one is, and counts once the
code that was sent there has come back; tries are bounded with the code itself, and codes by the hour.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field

from mail_server.accounts.interface import Kind
from webmail.login.front import Body, Front, answer, body, router
from webmail.login.ground import Ground
from webmail.login.problems import Problem
from webmail.login.sessions import PageSession
from webmail.notices.service import AddressRefused, Notices, Standing
from webmail.spaces.conversations import reading


class Wanted(Body):
    address: Annotated[str, Field(max_length=254)]
    language: Annotated[str, Field(max_length=2)] = "fr"


class Code(Body):
    code: Annotated[str, Field(max_length=16)]


def notice_routes(ground: Ground, front: Front, notices: Notices) -> APIRouter:
    routes = router()

    def holder(session: PageSession, *, fresh: bool = False) -> PageSession:
        """Raises Problem forbidden, step-up-needed."""
        if ground.account(session).kind is not Kind.PATIENT:
            raise Problem("forbidden")
        if fresh and not ground.sessions.fresh(session):
            raise Problem("step-up-needed", detail="fresh")
        return session

    @routes.get("/notice-address")
    async def standing(request: Request) -> Response:
        return answer(_told(await notices.standing(holder(reading(front, request)).account)))

    @routes.put("/notice-address")
    async def ask(request: Request) -> Response:
        session, _ = front.acting(request)
        given = await body(request, Wanted)
        account = holder(session, fresh=True).account
        try:
            await notices.ask(account, given.address.strip(), given.language)
        except AddressRefused as refused:
            if refused.reason == "too-many":
                raise Problem("too-many", retry_after=3600) from None
            raise Problem("bad-request", detail=refused.reason) from None
        return answer(_told(await notices.standing(account)))

    @routes.post("/notice-address/confirm")
    async def confirm(request: Request) -> Response:
        session, _ = front.acting(request)
        given = await body(request, Code)
        if not await notices.confirm(holder(session).account, given.code):
            raise Problem("totp-refused")
        return answer(_told(await notices.standing(session.account)))

    @routes.delete("/notice-address")
    async def forget(request: Request) -> Response:
        session, _ = front.acting(request)
        await notices.forget(holder(session).account)
        return answer(_told(await notices.standing(session.account)))

    return routes


def _told(one: Standing) -> dict[str, Any]:
    return {
        "offered": one.offered,
        "shown": one.shown,
        "language": one.language,
        "confirmed": one.confirmed,
        "refused": one.refused,
    }
