"""What listed operators hear at the port between operators, of whom, and what the trace keeps of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from httpx import ASGITransport, AsyncClient, Response

from deploy.demo.pki import Organisation, TestAuthority
from deploy.node import https
from deploy.node.peer_door import PeerLookups, peer_routes
from directory.certificates.interface import CertificateStanding, Standing
from directory.harvest import Allowance
from mail_server.accounts.interface import Account, Kind, Peer
from mail_server.delivery.interface import Road
from mail_server.delivery.peer_certificates import PeerCertificates
from mail_server.outbound.peers.restricted import PATH
from mail_server.store.model import AccountId
from policies.interface import Event, PeerStanding
from policies.refusal import Refusal

NUMBER = "251036999971119@patient.mss.essai.test"
NOBODY = "251036999971218@patient.mss.essai.test"
PATIENT = Account(AccountId("A1"), "k7q2@patient.mss.essai.test", Kind.PATIENT, alias=NUMBER)
DN = "CN=smtp.voisin.test,O=VOISIN"


@dataclass
class Operator:
    """Who answers; `account` is all it has."""

    shown: bytes  # the certificate of who asks
    account: Account = PATIENT
    standing: Standing = Standing.VALID
    told: list[Event] = field(default_factory=list[Event])
    seen: list[str] = field(default_factory=list[str])
    stands: bool = True

    def by_address(self, address: str) -> Account | None:
        return self.account if address in (self.account.address, self.account.alias) else None

    # What is published stays so, whatever becomes of the account.
    def published(self, address: str) -> bytes | None:
        assert address == self.account.address
        return b"certificate"

    def certificate(self, address: str, at: int) -> CertificateStanding:
        return CertificateStanding(self.standing)

    async def judge(self, chain: Sequence[bytes], domain: str | None) -> PeerStanding:
        return PeerStanding(self.stands, dn=DN)

    def listed(self, domain: str) -> bool:
        return domain in self.domains_of(DN)

    def host_of(self, domain: str) -> str:
        return ""

    def domains_of(self, dn: str) -> frozenset[str]:
        return frozenset({"voisin.test", "mss.voisin.test"}) if dn == DN else frozenset()

    async def asked(self, address: str, content: bytes | None = None) -> Response:
        lookups = PeerLookups(
            accounts=self,
            directory=self,
            operator_held=lambda _: None,
            trust=self,
            domains_of=self.domains_of,
            largest=1_000_000,
            harvest=Allowance(1000, 1000, clock=lambda: 0, noted=lambda _: None),
            audit=self.told.extend,
            clock=lambda: 1,
            listed=self.seen.append,
        )
        web = https.application([peer_routes(lookups)])

        async def door(scope: Any, receive: Any, send: Any) -> None:
            """As the HTTPS server does: the certificate of the handshake beside the request."""
            scope["state"] = {"client_certificate": self.shown}
            await web(scope, receive, send)

        async with AsyncClient(transport=ASGITransport(door), base_url="https://peers.test") as asker:
            sent = content if content is not None else json.dumps({"address": address}).encode()
            return await asker.post(PATH, content=sent)


@pytest.fixture(scope="module")
def leaf() -> bytes:
    organisation = Organisation.with_finess("VOISIN", 5, "Ain (01)")
    return (
        TestAuthority.create()
        .issue_operator("smtp.voisin.test", organisation)
        .certificate.public_bytes(Encoding.DER)
    )


@pytest.fixture
def operator(leaf: bytes) -> Operator:
    return Operator(leaf)


async def test_a_patient_s_certificate_is_given_and_the_trace_says_to_whom(operator: Operator) -> None:
    answer = await operator.asked(NUMBER)
    assert answer.status_code == 200
    assert answer.headers["vaguemestre-largest"] == "1000000"
    told = json.loads(answer.content)
    assert told == {"address": PATIENT.address, "certificate": base64.b64encode(b"certificate").decode()}
    [event] = operator.told
    assert (event.action, event.actor, event.subject) == ("certificate-lookup", f"operator:{DN}", "A1")
    assert event.detail == {"domain": "mss.voisin.test voisin.test"}
    assert NUMBER[:15] not in repr(event)


async def test_from_where_a_listed_operator_asks_it_is_known_and_where_another_asks_is_not(
    operator: Operator,
) -> None:
    await operator.asked(NUMBER)
    assert operator.seen == ["127.0.0.1"]
    operator.stands = False
    assert (await operator.asked(NUMBER)).status_code == 403
    peers = PeerCertificates(operator, listed=operator.seen.append)
    at_door = Peer("203.0.113.25", 25, "smtp", "s", tls=True, certificate=operator.shown)
    with pytest.raises(Refusal):
        await peers.require(Road.OPERATOR, "lou@mss.voisin.test", at_door, None)
    assert operator.seen == ["127.0.0.1"]
    operator.stands = True
    await peers.require(Road.OPERATOR, "lou@mss.voisin.test", at_door, None)
    assert operator.seen == ["127.0.0.1", "203.0.113.25"]


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"\xff", b"[" * 2000, b'{"address": 1}'], ids=["", "list", "octets", "deep", "1"]
)
async def test_what_is_no_question_is_answered_in_words(operator: Operator, content: bytes) -> None:
    answer = await operator.asked("", content)
    assert (answer.status_code, operator.told) == (400, [])
    assert "address" in answer.text


@pytest.mark.parametrize(
    "gone",
    [
        replace(PATIENT, closed=True),
        replace(PATIENT, opposed=True),
        replace(PATIENT, activated=False),
        replace(PATIENT, suspended=True),
    ],
    ids=["closed", "opposed", "not activated", "suspended"],
)
async def test_who_receives_nothing_is_answered_as_nobody_is(operator: Operator, gone: Account) -> None:
    operator.account = gone
    answers = [await operator.asked(address) for address in (NOBODY, NUMBER, PATIENT.address)]
    assert {one.status_code for one in answers} == {404}
    assert {(one.content, tuple(one.headers.items())) for one in answers} == {
        (answers[0].content, tuple(answers[0].headers.items()))
    }
    assert operator.told == []


async def test_what_has_ended_is_not_given(operator: Operator) -> None:
    operator.standing = Standing.EXPIRED
    assert (await operator.asked(NUMBER)).status_code == 404
