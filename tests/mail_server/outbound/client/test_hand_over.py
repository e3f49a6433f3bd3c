"""A letter handed over to a server that behaves: what is said, in which order, with which parameters."""

from __future__ import annotations

import pytest

from mail_server.outbound.interface import Verdict
from tests.mail_server.outbound.client.scripted import DOMAIN, LETTER, Pki, Start

pytestmark = pytest.mark.timeout(30)


async def test_a_letter_goes_in_one_group_of_commands_inside_tls(start: Start, pki: Pki) -> None:
    side = await start()
    outcome = await side.send_one()
    assert outcome.verdict is Verdict.DELIVERED
    assert (outcome.code, outcome.enhanced, outcome.said) == (250, "2.0.0", "Ok: queued as 4711")
    assert side.peer.said == [
        "EHLO mx.ici.example",
        "STARTTLS",
        "EHLO mx.ici.example",
        f"MAIL FROM:<a@ici.mssante.example> SIZE={len(LETTER)} RET=HDRS",
        f"RCPT TO:<b@{DOMAIN}>",
        "DATA",
    ]
    assert side.peer.letters == [LETTER]
    assert side.peer.client_certificates == [pki.certificates["we"]]
    assert side.trust.asked == [((pki.certificates["peer"], *side.trust.asked[0][0][1:]), DOMAIN)]
