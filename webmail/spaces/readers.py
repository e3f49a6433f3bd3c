"""Who reads which account, on the page: told, changed, ended; and the routes of the past for a new reader.

Invariants: who reads an account is told to who may change it; someone new, or more rights, needs a session that has
just proved who it is; every refusal is a sentence in French with the reason beside it.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field, StringConstraints

from directory.openpgp.armor import armor
from mail_server.accounts.changes import AccountError
from mail_server.accounts.entities import rights_in
from mail_server.accounts.grants import role_for, sorted_rights
from mail_server.accounts.interface import Account, Grant, Kind
from mail_server.delivery.sharing import ReaderChanges
from mail_server.store.model import AccountId
from webmail.login.front import Body, Front, answer, body, nothing, router, text
from webmail.login.ground import Ground
from webmail.login.problems import Problem
from webmail.login.sessions import PageSession
from webmail.spaces import bodies
from webmail.spaces.past import Past
from webmail.spaces.routes import number_asked, unrestricted

_SENTENCES = {
    "not-yours": "Vous ne pouvez pas décider qui lit ce compte.",
    "no-key": "Cette personne n’a pas encore de clé : elle doit d’abord ouvrir sa messagerie.",
    "bad-rights": "Ces droits ne sont pas connus ici.",
    "bad-end": "La date de fin est passée.",
    "not-a-person": "Seule une personne qui a son propre compte peut lire celui d’une autre.",
    "not-shared": "Ce compte ne se partage pas ainsi.",
    "own-account": "C’est déjà votre compte.",
    "not-a-member": "Cette personne ne lit pas ce compte.",
    "closed": "Ce compte est fermé.",
}


class Given(Body):
    role: Annotated[str, StringConstraints(max_length=16)]
    rights: Annotated[str, StringConstraints(max_length=32)]
    until: Annotated[int, Field(ge=0, lt=2**53)] | None = None


class SeenChoice(Body):
    perPerson: bool


class Readers:
    def __init__(self, ground: Ground, sharing: ReaderChanges, past: Past) -> None:
        self._ground = ground
        self._sharing = sharing
        self._past = past

    async def accounts(self, session: PageSession) -> list[dict[str, Any]]:
        person = self._ground.account(session)
        if person.kind is not Kind.PER:
            return []
        shared = self._ground.accounts.shared_with(person.id)
        return [await self._told(person, each) for each in (person, *shared)]

    async def let(self, session: PageSession, account: str, address: str, given: Given) -> dict[str, Any]:
        """Raises Problem."""
        speaker, target = self._ground.account(session), self._account(session, account)
        person = self._ground.accounts.by_address(address)
        if person is None or person.kind is Kind.PATIENT:  # nobody learns here who is a patient
            raise Problem("bad-request", sentence=_SENTENCES["not-a-person"], detail="unknown-person")
        if given.role != role_for(target.kind).value:
            raise Problem("bad-request", sentence=_SENTENCES["not-shared"], detail="not-shared")
        try:
            wider = set(sorted_rights(given.rights)) - set(rights_in(target, person.id))
            before = next((each for each in target.grants if each.person == person.id), None)
            longer = before is not None and before.until is not None and (given.until or 2**53) > before.until
            if (wider or longer) and not self._ground.sessions.fresh(session):
                raise Problem("step-up-needed", detail="fresh")
            made = await self._sharing.let(speaker.id, target.id, person.id, given.rights, given.until)
        except AccountError as error:
            raise _problem(error) from None
        return await self._entry(target.id, made)

    async def end(self, session: PageSession, account: str, person: str) -> None:
        speaker, target = self._ground.account(session), self._account(session, account)
        try:
            await self._sharing.end(speaker.id, target.id, AccountId(person))
        except AccountError as error:
            raise _problem(error) from None

    async def set_seen(self, session: PageSession, account: str, per_person: bool) -> dict[str, Any]:
        speaker, target = self._ground.account(session), self._account(session, account)
        try:
            await self._sharing.set_seen(speaker.id, target.id, per_person)
        except AccountError as error:
            raise _problem(error) from None
        return await self._told(speaker, self._ground.accounts.by_id(target.id) or target)

    # -- inside

    def _account(self, session: PageSession, account: str) -> Account:
        """Raises Problem forbidden: for an unknown account as for one that is not theirs."""
        found = self._ground.accounts.by_id(AccountId(account))
        if found is None or not rights_in(found, self._ground.account(session).id):
            raise Problem("forbidden")
        return found

    async def _told(self, person: Account, account: Account) -> dict[str, Any]:
        own = account.id == person.id
        may_share = self._sharing.may_share(person.id, account)
        grant = next((each for each in account.grants if each.person == person.id), None)
        now = self._ground.clock()
        readers = [
            await self._entry(account.id, each)
            for each in (account.grants if may_share else ())
            if each.rights and (each.until is None or each.until > now)
        ]
        return {
            "account": account.id,
            "address": account.address,
            "kind": account.kind.value,
            "own": own,
            "rights": rights_in(account, person.id),
            "role": "holder" if own or grant is None else grant.role.value,
            "mayShare": may_share,
            "seenPerPerson": account.seen_per_person,
            "readers": readers,
        }

    async def _entry(self, account: AccountId, grant: Grant) -> dict[str, Any]:
        person = self._ground.accounts.by_id(grant.person)
        past = (await self._past.standing(account)).get(grant.person)
        return {
            "person": grant.person,
            "address": person.address if person is not None else "",
            "role": grant.role.value,
            "rights": grant.rights,
            "since": grant.since,
            "until": grant.until,
            "past": None if past is None else {"left": past[0], "total": past[1]},
        }


def _problem(error: AccountError) -> Problem:
    reason = "forbidden" if error.reason in ("not-yours", "no-key") else "bad-request"
    return Problem(reason, sentence=_SENTENCES.get(error.reason, ""), detail=error.reason)


def reader_routes(front: Front, readers: Readers, past: Past) -> APIRouter:
    routes = router()

    @routes.get("/readers")
    async def told(request: Request) -> Response:
        return answer({"accounts": await readers.accounts(unrestricted(front, request))})

    @routes.put("/readers/{account}/seen")
    async def seen(request: Request, account: str) -> Response:
        session, _ = front.acting(request)
        given = await body(request, SeenChoice)
        return answer(await readers.set_seen(session, account, given.perPerson))

    @routes.put("/readers/{account}/{person}")
    async def let(request: Request, account: str, person: str) -> Response:
        session, _ = front.acting(request)
        given = await body(request, Given)
        return answer(await readers.let(session, account, person, given))

    @routes.delete("/readers/{account}/{person}")
    async def end(request: Request, account: str, person: str) -> Response:
        session, _ = front.acting(request)
        await readers.end(session, account, person)
        return nothing()

    @routes.post("/past/{account}/{person}")
    async def begin(request: Request, account: str, person: str) -> Response:
        session, visitor = front.acting(request)
        begun = await past.begin(session, visitor, account, person)
        return answer(
            {
                "total": begun.total,
                "left": begun.left,
                "apart": begun.apart,
                "certificate": armor(begun.certificate, "PUBLIC KEY BLOCK").decode("ascii"),
            }
        )

    @routes.get("/past/{account}/{person}/letters")
    async def letters(request: Request, account: str, person: str) -> Response:
        session = unrestricted(front, request)
        after, limit = number_asked(request, "after", 0), number_asked(request, "limit", 50)
        found, left = await past.letters(
            session, front.visitor(request, session), account, person, after, limit
        )
        told = [
            {
                "id": one.message,
                "keyPackets": text(one.key_packets),
                "summaryKeyPackets": text(one.summary_key_packets),
            }
            for one in found
        ]
        return answer({"letters": told, "left": left})

    @routes.post("/past/{account}/{person}/letters")
    async def add(request: Request, account: str, person: str) -> Response:
        session, visitor = front.acting(request)
        given = await body(request, bodies.Letters)
        packets = [one.as_new() for one in given.letters]
        done, left = await past.add(session, visitor, account, person, packets)
        return answer({"done": done, "left": left})

    return routes
