"""`/api/`: enrolment, keys, re-seal, whom to write to. Thin: the services decide."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from webmail.login.front import MAX_STRANGERS_BODY, Front, answer, body, router, text
from webmail.login.ground import Ground
from webmail.login.problems import Problem
from webmail.login.sessions import PageSession, SessionKind
from webmail.spaces import bodies
from webmail.spaces.activation import Activation
from webmail.spaces.answers import SessionAnswers
from webmail.spaces.challenges import Challenges
from webmail.spaces.enrolments import Answers, Enrolments
from webmail.spaces.keys import Keys
from webmail.spaces.lookups import Found, Lookups
from webmail.spaces.reseal import Reseal


def enrolment_routes(
    ground: Ground,
    front: Front,
    enrolments: Enrolments,
    challenges: Challenges,
    activation: Activation,
    answers: SessionAnswers,
) -> APIRouter:
    routes = router()

    @routes.post("/enrolment/start")
    async def start(request: Request) -> Response:
        front.check_origin(request)
        given = await body(request, bodies.Start, MAX_STRANGERS_BODY)
        known = Answers(given.birthDate or "", given.lastFive or "", given.address or "")
        found, drawn = await enrolments.start(given.code, known, front.visitor(request))
        told = {
            "account": found.account.id,
            "kind": found.account.kind.value,
            "address": found.account.address,
            "shown": found.account.shown,
            "givenName": found.names.given,
            "familyName": found.names.family,
            "lost": found.lost,
            "hasCertificate": found.has_certificate,
        }
        return front.give(answer(told), request, drawn)

    @routes.post("/keys/challenge")
    async def challenge(request: Request) -> Response:
        try:
            session, _ = front.acting(request, kind=SessionKind.ENROLMENT)
        except Problem as problem:
            if problem.reason != "no-session":
                raise
            session, _ = front.acting(request)
        given = await body(request, bodies.Challenged)
        asked, message = await challenges.begin(ground.account(session), session.id, given.certificate)
        return answer({"challenge": asked, "message": text(message)})

    @routes.post("/enrolment/complete")
    async def complete(request: Request) -> Response:
        session, visitor = front.acting(request, kind=SessionKind.ENROLMENT)
        given = await body(request, bodies.Complete)
        drawn = await activation.complete(
            session,
            given.password.as_new(),
            given.recovery.as_new(),
            given.key.as_new() if given.key is not None else None,
            visitor,
        )
        return front.give(answer(await answers.of(drawn.session)), request, drawn)

    return routes


def key_routes(
    front: Front, keys: Keys, reseal: Reseal, lookups: Lookups, answers: SessionAnswers
) -> APIRouter:
    routes = router()

    @routes.put("/key")
    async def bring(request: Request) -> Response:
        session, visitor = front.acting(request)
        given = await body(request, bodies.SentKey)
        await keys.bring(session, given.as_new(), visitor)
        return answer(await answers.of(session))

    @routes.get("/keys/old")
    async def old(request: Request) -> Response:
        session = front.session(request)
        if session.renew:
            raise Problem("renew-first" if session.must_renew else "totp-required")
        return answer(
            {
                "keys": [
                    {
                        "fingerprint": one.fingerprint,
                        "wrappedSecret": text(one.wrapped_secret),
                        "recovery": {"wrapped": text(one.recovery)},
                    }
                    for one in await keys.old(session)
                ]
            }
        )

    @routes.put("/keys/{fingerprint}")
    async def rewrap(request: Request, fingerprint: str) -> Response:
        session, visitor = front.acting(request)
        given = await body(request, bodies.Rewrapped)
        await keys.rewrap(session, fingerprint, given.wrappedSecret, visitor)
        return answer(await answers.of(session))

    @routes.get("/reseal")
    async def standing(request: Request) -> Response:
        front.check_origin(request)  # it may hand the waiting key out: no other page may ask
        session = unrestricted(front, request)
        found = await reseal.standing(session, front.visitor(request, session))
        return answer({"left": found.left, "total": found.total, "waitingKey": text(found.waiting_key)})

    @routes.get("/reseal/letters")
    async def letters(request: Request) -> Response:
        session = unrestricted(front, request)
        found, left = await reseal.letters(
            session, number_asked(request, "after", 0), number_asked(request, "limit", 50)
        )
        return answer(
            {
                "letters": [
                    {
                        "id": one.message,
                        "keyPackets": text(one.key_packets),
                        "summaryKeyPackets": text(one.summary_key_packets),
                    }
                    for one in found
                ],
                "left": left,
            }
        )

    @routes.post("/reseal/letters")
    async def replace(request: Request) -> Response:
        session, visitor = front.acting(request)
        given = await body(request, bodies.Letters)
        done, left = await reseal.replace(session, [one.as_new() for one in given.letters], visitor)
        return answer({"done": done, "left": left})

    @routes.post("/certificates")
    async def certificates(request: Request) -> Response:
        session, _ = front.acting(request)
        given = await body(request, bodies.Addresses)
        found = await lookups.certificates(session, given.addresses)
        return answer({"addressees": [_addressee(one) for one in found]})

    @routes.get("/correspondents")
    async def correspondents(request: Request) -> Response:
        session = unrestricted(front, request)
        return answer(
            {
                "correspondents": [
                    {
                        "address": one.address,
                        "open": one.open,
                        "lastAt": one.last_at,
                        "closedThreads": sorted(one.closed),
                        "pharmacy": lookups.is_pharmacy(one.address),
                    }
                    for one in await lookups.correspondents(session)
                ]
            }
        )

    return routes


def unrestricted(front: Front, request: Request) -> PageSession:
    """A session with nothing to renew first: what it reads here is more than its own standing."""
    session = front.session(request)
    if session.renew:
        raise Problem("renew-first" if session.must_renew else "totp-required")
    return session


def _addressee(found: Found) -> dict[str, Any]:
    near = {"suggestions": list(found.suggestions)} if found.suggestions else {}
    if found.addressee is None:
        return {"address": found.asked, "error": found.error, "message": found.sentence} | near
    return {
        "address": found.addressee.address,
        "guard": found.addressee.guard,
        "certificates": [text(one) for one in found.addressee.certificates],
        "patient": found.addressee.patient,
        **({"largest": found.addressee.largest} if found.addressee.largest else {}),
    } | near


def number_asked(request: Request, name: str, otherwise: int) -> int:
    given = request.query_params.get(name, "")
    if not given:
        return otherwise
    if not (given.isascii() and given.isdecimal()) or len(given) > 18:
        raise Problem("bad-request")
    return int(given)
