"""`/api/`: logging in and out, sessions, ways in, second factor, mail programs. Thin: the services decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from mail_server.accounts import bearer
from webmail.login import bodies
from webmail.login.changes import Changes
from webmail.login.endings import Endings
from webmail.login.front import MAX_STRANGERS_BODY, Front, answer, body, nothing, router, text
from webmail.login.ground import Ground
from webmail.login.programs import Programs
from webmail.login.service import LoginService
from webmail.login.sessions import Drawn, PageSession, Renew
from webmail.spaces.answers import SessionAnswers


@dataclass(frozen=True, slots=True)
class OperatorInfo:
    """What the page tells everybody of the node."""

    name: str
    contact: str
    message_limit: int
    gateway: Callable[[], str] = lambda: ""  # armored public certificate of the authority


def login_routes(
    ground: Ground,
    front: Front,
    login: LoginService,
    answers: SessionAnswers,
    operator: OperatorInfo,
    providers: Sequence[Mapping[str, str | bool]] = (),
) -> APIRouter:
    routes = router()
    settings = ground.settings

    async def entered(request: Request, drawn: Drawn) -> Response:
        return front.give(answer(await answers.of(drawn.session)), request, drawn)

    @routes.get("/operator")
    async def told(request: Request) -> Response:
        return answer(
            {
                "operator": operator.name,
                "contact": operator.contact,
                "limits": {
                    "attachment": settings.attachment_limit,
                    "message": operator.message_limit,
                    "attachments": settings.attachments_limit,
                },
                "undoSeconds": settings.undo_seconds,
                "totpForProfessionals": settings.totp_for_professionals,
                "gateway": operator.gateway(),
                "providers": [dict(each) for each in providers],
            }
        )

    @routes.post("/login/parameters")
    async def parameters(request: Request) -> Response:
        front.check_origin(request)
        asked = await body(request, bodies.Who, MAX_STRANGERS_BODY)
        how = await login.parameters(asked.user)
        params = {"algorithm": "argon2id", "memory": how.memory, "passes": how.passes, "lanes": how.lanes}
        return answer({"salt": text(how.salt), "params": params})

    @routes.post("/login")
    async def by_password(request: Request) -> Response:
        front.check_origin(request)
        given = await body(request, bodies.PasswordLogin, MAX_STRANGERS_BODY)
        drawn = await login.by_password(
            given.user, given.login, given.totp, given.shared, front.visitor(request)
        )
        return await entered(request, drawn)

    @routes.post("/login/recovery")
    async def by_recovery(request: Request) -> Response:
        front.check_origin(request)
        given = await body(request, bodies.RecoveryLogin, MAX_STRANGERS_BODY)
        drawn = await login.by_recovery(given.user, given.login, given.totp, front.visitor(request))
        return await entered(request, drawn)

    @routes.post("/login/passkey/start")
    async def passkey_start(request: Request) -> Response:
        front.check_origin(request)
        await body(request, bodies.Empty, MAX_STRANGERS_BODY)
        asked, options = login.passkey_options(front.visitor(request))
        return answer({"id": asked, "options": options})

    @routes.post("/login/passkey")
    async def by_passkey(request: Request) -> Response:
        front.check_origin(request)
        given = await body(request, bodies.PasskeyLogin, MAX_STRANGERS_BODY)
        drawn = await login.by_passkey(given.id, given.credential, given.shared, front.visitor(request))
        return await entered(request, drawn)

    @routes.post("/step-up")
    async def step_up(request: Request) -> Response:
        session, visitor = front.acting(request)
        given = await body(request, bodies.StepUp, MAX_STRANGERS_BODY)
        return await entered(request, await login.step_up(session, given.login, given.totp, visitor))

    @routes.post("/step-up/passkey/start")
    async def step_up_start(request: Request) -> Response:
        _, visitor = front.acting(request)
        await body(request, bodies.Empty, MAX_STRANGERS_BODY)
        asked, options = login.passkey_options(visitor)
        return answer({"id": asked, "options": options})

    @routes.post("/step-up/passkey")
    async def step_up_by_passkey(request: Request) -> Response:
        session, visitor = front.acting(request)
        given = await body(request, bodies.PasskeyAnswer, MAX_STRANGERS_BODY)
        drawn = await login.step_up_by_passkey(session, given.id, given.credential, visitor)
        return await entered(request, drawn)

    @routes.get("/session")
    async def here(request: Request) -> Response:
        return answer(await answers.of(front.session(request)))

    return routes


def session_routes(ground: Ground, front: Front, endings: Endings) -> APIRouter:
    routes = router()

    @routes.post("/logout")
    async def log_out(request: Request) -> Response:
        leaving = front.leaving(request)
        if leaving is not None:
            await endings.log_out(*leaving)
        return front.take_back(nothing(), request)

    @routes.get("/sessions")
    async def sessions(request: Request) -> Response:
        mine = front.session(request)
        return answer(
            {
                "sessions": [
                    {
                        "id": each.id,
                        "label": each.label,
                        "created": each.created,
                        "lastSeen": last_seen,
                        "network": each.network,
                        "current": each.id == mine.id,
                    }
                    for each, last_seen in ground.sessions.of(mine.account)
                ]
            }
        )

    @routes.delete("/sessions/{other}")
    async def end_one(request: Request, other: str) -> Response:
        session, visitor = front.acting(request)
        await endings.one(session, other, visitor)
        return nothing()

    @routes.delete("/sessions")
    async def end_others(request: Request) -> Response:
        session, visitor = front.acting(request)
        await endings.all_others(session, visitor)
        return nothing()

    return routes


def account_routes(front: Front, changes: Changes, answers: SessionAnswers) -> APIRouter:
    routes = router()

    async def changed(request: Request, session: PageSession, drawn: Drawn | None = None) -> Response:
        now = session if drawn is None else drawn.session
        return front.give(answer(await answers.of(now)), request, drawn)

    @routes.put("/password")
    async def password(request: Request) -> Response:
        session, visitor = front.acting(request, renewing=Renew.PASSWORD | Renew.RECOVERY)
        given = await body(request, bodies.ChangePassword)
        drawn = await changes.password(session, given.current, given.password.as_new(), visitor)
        return await changed(request, session, drawn)

    @routes.put("/recovery")
    async def recovery(request: Request) -> Response:
        session, visitor = front.acting(request, renewing=Renew.PASSWORD | Renew.RECOVERY)
        given = await body(request, bodies.ChangeRecovery)
        new = bodies.RecoverySlot.model_construct(login=given.login, wrapped=given.wrapped).as_new()
        drawn = await changes.recovery(session, given.current, new, visitor)
        return await changed(request, session, drawn)

    @routes.post("/passkeys/start")
    async def passkey_start(request: Request) -> Response:
        session, visitor = front.acting(request)
        await body(request, bodies.Empty)
        asked, options = await changes.passkey_options(session, visitor)
        return answer({"id": asked, "options": options})

    @routes.post("/passkeys")
    async def passkey_add(request: Request) -> Response:
        session, visitor = front.acting(request)
        given = await body(request, bodies.NewPasskey)
        await changes.passkey_add(session, given.id, given.credential, given.label, given.wrapped, visitor)
        return await changed(request, session)

    @routes.delete("/slots/{slot}")
    async def remove_slot(request: Request, slot: str) -> Response:
        session, visitor = front.acting(request)
        await changes.remove_slot(session, slot, visitor)
        return await changed(request, session)

    @routes.post("/totp/start")
    async def totp_start(request: Request) -> Response:
        session, _ = front.acting(request, renewing=Renew.TOTP)
        await body(request, bodies.Empty)
        secret, uri = changes.totp_start(session)
        return answer({"secret": secret, "uri": uri})

    @routes.post("/totp")
    async def totp_confirm(request: Request) -> Response:
        session, visitor = front.acting(request, renewing=Renew.TOTP)
        given = await body(request, bodies.TotpCode)
        drawn = await changes.totp_confirm(session, given.code, visitor)
        return await changed(request, session, drawn)

    @routes.delete("/totp")
    async def totp_stop(request: Request) -> Response:
        session, visitor = front.acting(request)
        given = await body(request, bodies.TotpCode)
        await changes.totp_stop(session, given.code, visitor)
        return await changed(request, session)

    return routes


def program_routes(ground: Ground, front: Front, programs: Programs) -> APIRouter:
    routes = router()

    @routes.get("/app-passwords")
    async def app_passwords(request: Request) -> Response:
        session = front.session(request)
        known = programs.passwords(session)
        return answer(
            {
                "passwords": [
                    {
                        "id": each.id,
                        "label": each.label,
                        "protocols": sorted(each.protocols),
                        "created": each.created,
                        "expires": each.expires,
                        "lastUsed": last_used,
                        "network": each.network,
                    }
                    for each, last_used in known
                ],
                "allowed": not programs.may_add(session),
            }
        )

    @routes.post("/app-passwords")
    async def app_password_add(request: Request) -> Response:
        session, visitor = front.acting(request)
        given = await body(request, bodies.AppPassword)
        made, expires = await programs.add(session, given.as_wanted(), visitor)
        token = bearer.token(ground.account(session).address, made.secret)
        return answer({"id": made.id, "password": made.secret, "token": token, "expires": expires})

    @routes.delete("/app-passwords/{credential}")
    async def app_password_revoke(request: Request, credential: str) -> Response:
        session, _ = front.acting(request)
        await programs.revoke(session, credential)
        return nothing()

    return routes
