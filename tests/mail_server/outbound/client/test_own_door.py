"""The client at the product's own port 25: mutual TLS, every extension of both sides."""

from __future__ import annotations

import ssl

import pytest

from mail_server.delivery.interface import Road
from mail_server.outbound.client.client import SmtpClient
from mail_server.outbound.interface import Notify, Verdict
from mail_server.outbound.settings import OutboundSettings
from mail_server.smtp.server import Entrance, SmtpDoor
from mail_server.smtp.settings import SmtpSettings
from policies.refusal import Refusal
from tests.mail_server.outbound.client.scripted import (
    DOMAIN,
    LETTER,
    SETTINGS,
    Contents,
    FakeNames,
    Pki,
    Trust,
    asked,
    letter,
)
from tests.mail_server.smtp.conftest import FakeAccounts, FakeAuthenticator, FakeDelivery

pytestmark = pytest.mark.timeout(30)


async def test_both_sides_agree_on_every_extension(pki: Pki) -> None:
    delivery = FakeDelivery(
        refused_recipients={f"c@{DOMAIN}": Refusal(550, "5.1.1", "Message non distribue", "unknown")}
    )
    settings = SmtpSettings(
        hostname="mx.autre.example",
        listen=("127.0.0.1",),
        operator_port=0,
        submission_port=0,
        submissions_port=0,
        greeting_pause_seconds=0,
    )
    contexts = {road: pki.server(verify_mode=ssl.CERT_OPTIONAL) for road in Road}
    door = SmtpDoor(settings, delivery, FakeAuthenticator(), FakeAccounts(), contexts, lambda _: None)  # type: ignore[arg-type]
    await door.start()
    given = {**SETTINGS, "routes": {DOMAIN: f"127.0.0.1:{door.ports[Entrance.OPERATOR]}"}}
    client = SmtpClient(
        OutboundSettings.model_validate(given), "mx.ici.example", Trust(), pki.ours(), FakeNames()
    )
    big = (b"." + b"x" * 75 + b"\r\n") * 20_000
    leaving = letter(
        asked(f"a@{DOMAIN}", Notify.SUCCESS | Notify.FAILURE, f"rfc822;a@{DOMAIN}"),
        asked(f"hélène@{DOMAIN}"),
        asked(f"c@{DOMAIN}"),
        envid="QQ1",
        smtputf8=True,
        eight_bit=True,
    )
    try:
        first, second, third = await client.hand_over(DOMAIN, leaving, Contents())
        (again,) = await client.hand_over(DOMAIN, letter(size=len(big)), Contents(big))
        delivery.error = Refusal(451, "4.3.0", "Try again later", "not-now")
        (later,) = await client.hand_over(DOMAIN, letter(), Contents())
    finally:
        await client.close()
        await door.stop()
    assert [one.verdict for one in (first, second, again)] == [Verdict.DELIVERED] * 3
    assert first.dsn
    assert (third.verdict, third.code, third.enhanced) == (Verdict.FAILED, 550, "5.1.1")
    assert (later.verdict, later.code) == (Verdict.LATER, 451)
    assert delivery.bodies[0].endswith(LETTER)
    assert delivery.bodies[1].endswith(big)
    assert (client.connections.opened, client.connections.reused) == (1, 2)
    _, mail_from, parameters, peer, _ = delivery.senders[0]
    assert mail_from == "a@ici.mssante.example"
    assert parameters.smtputf8
    assert peer.certificate == pki.certificates["we"]
