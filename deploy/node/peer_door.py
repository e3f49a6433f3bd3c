"""Where listed operators ask for certificates that are not public: patients', and of whoever is on the red list.

`POST /peers/certificate`, `{"address": "…"}`, over mutual TLS; answered with `{"address", "certificate"}`, the address
being the one the certificate names. It is found by a line of the policy file of each domain's Web Key Directory.

Invariants: who asks has shown a client certificate that the trust list names now; an address stands in the request's
body alone, and in no log; unknown, closed, opposed, not activated: one and the same answer, which costs the asker as
much of their allowance as any other; each certificate that is given is in the trace, by the account's id and the
operator's domain.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, cast

from fastapi import APIRouter, Request, Response

from directory.certificates.interface import CertificateStanding, Standing
from directory.harvest import Harvest, TooMuch
from directory.publication.capability import LARGEST_FIELD
from mail_server.accounts.interface import Account, Kind
from mail_server.accounts.life import in_service
from mail_server.delivery.peer_certificates import for_clients
from mail_server.outbound.peers.restricted import KEYWORD, PATH
from policies.interface import Event, PeerStanding

_LARGEST = 2048  # octets of a question
_LONGEST = 320  # of an address
_MOST_DOMAINS = 3  # of an operator's, that the trace names
_HEADERS = {"Cache-Control": "private, max-age=60", "X-Content-Type-Options": "nosniff"}
_DOOR = "peers"


class Directory(Protocol):
    """`directory.certificates.service.DirectoryService`."""

    def certificate(self, address: str, at: int) -> CertificateStanding: ...
    def published(self, address: str) -> bytes | None: ...


class Accounts(Protocol):
    def by_address(self, address: str) -> Account | None: ...


class Trust(Protocol):
    async def judge(self, chain: Sequence[bytes], domain: str | None) -> PeerStanding: ...


@dataclass(slots=True)
class Counters:
    """For the metrics."""

    asked: int = 0
    given: int = 0
    refused: int = 0  # askers
    slowed: int = 0  # too many questions


@dataclass(frozen=True, slots=True)
class Given:
    account: Account
    certificate: bytes


class PeerLookups:
    def __init__(
        self,
        *,
        accounts: Accounts,
        directory: Directory,
        operator_held: Callable[[str], bytes | None],
        trust: Trust,
        domains_of: Callable[[str], Collection[str]],
        largest: int,
        harvest: Harvest,
        audit: Callable[[Sequence[Event]], None],
        clock: Callable[[], int],
        listed: Callable[[str], None] = lambda _host: None,
    ) -> None:
        """`operator_held`: the certificate of a professional who has none of their own. `domains_of`: for which
        the trust list has an operator's certificate, by its subject. `largest`: octets of a letter that we take.
        `listed` is told from where a listed operator asks."""
        self._listed = listed
        self._accounts = accounts
        self._directory = directory
        self._operator_held = operator_held
        self._trust = trust
        self._domains_of = domains_of
        self._more = {LARGEST_FIELD: str(largest)}
        self._harvest = harvest
        self._audit = audit
        self._clock = clock
        self.counters = Counters()

    async def answer(self, request: Request) -> Response:
        self.counters.asked += 1
        certificate: bytes | None = getattr(request.state, "client_certificate", None)
        standing = await self._judged(certificate)
        if not standing.allowed:
            self.counters.refused += 1
            status = 503 if standing.temporary else 403
            return _words(standing.sentence, status)
        if request.client is not None:
            self._listed(request.client.host)
        address = await _address(request)
        if address is None:
            return _words('The body of the request is {"address": "..."}.', 400)
        asker = f"key:{standing.dn}"
        try:
            self._harvest.require(asker, trusted=True, door=_DOOR)
            # Counted whether there is one or not: who guesses numbers is told the same, and no sooner.
            self._harvest.shown(asker, [address], trusted=True, door=_DOOR)
        except TooMuch as refused:
            self.counters.slowed += 1
            return _words("Too many questions for now.", 429, {"Retry-After": str(refused.retry_after)})
        given = self.given(address)
        if given is None:
            return Response(status_code=404, headers=_HEADERS)
        self.counters.given += 1
        self._note(standing.dn, given.account)
        told = {"address": given.account.address, "certificate": base64.b64encode(given.certificate).decode()}
        return Response(json.dumps(told), 200, _HEADERS | self._more, "application/json")

    def given(self, address: str) -> Given | None:
        account = self._accounts.by_address(address)
        if account is None or not in_service(account) or not account.activated or account.opposed:
            return None
        certificate = self._directory.published(account.address)
        # Expired: it seals nothing any more. Revoked: with its revocation, which is what a peer must hear of.
        if self._directory.certificate(account.address, self._clock()).standing is Standing.EXPIRED:
            certificate = None
        if certificate is None and account.kind is not Kind.PATIENT:
            certificate = self._operator_held(account.address)
        return Given(account, certificate) if certificate is not None else None

    async def _judged(self, certificate: bytes | None) -> PeerStanding:
        if certificate is None:
            return PeerStanding(False, sentence="Show the certificate that the trust list has of you")
        if not for_clients(certificate):
            return PeerStanding(False, sentence="Your certificate is not one for client authentication")
        return await self._trust.judge([certificate], None)

    def _note(self, dn: str, account: Account) -> None:
        domains = " ".join(sorted(self._domains_of(dn))[:_MOST_DOMAINS])
        event = Event(
            "certificate-lookup", self._clock(), f"operator:{dn}", account.id, kind="key", door=_DOOR
        )
        self._audit([replace(event, detail={"domain": domains})])


def peer_routes(lookups: PeerLookups) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    router.add_api_route(PATH, lookups.answer, methods=["POST"])
    return router


def policy_line(host: str, port: int) -> str:
    """Of a policy file: where listed operators ask."""
    return f"{KEYWORD}: {host}:{port}"


async def _address(request: Request) -> str | None:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _LARGEST:
            return None
    try:
        told = cast("object", json.loads(bytes(body)))
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    address = cast("dict[str, object]", told).get("address")
    if not isinstance(address, str) or not 0 < len(address) <= _LONGEST or "@" not in address:
        return None
    return address.lower()


def _words(sentence: str, status: int, more: dict[str, str] | None = None) -> Response:
    return Response(f"{sentence}\n", status, {"Cache-Control": "no-store"} | (more or {}), "text/plain")
