"""DKIM on letters that their author sealed to the gate: once they are open, and only on those."""

from __future__ import annotations

import pytest

from mail_server.keys.interface import KeyUnavailable
from mail_server.outbound.interface import Form, NotOpened
from mail_server.outbound.signed import SigningEgress

WIRE = b'From: "Dr, Martin" <martin@MSS.essai.test>\r\nTo: <marie@voisin.test>\r\n\r\nMerci.\r\n'


class Gate:
    certificate = None

    def taken(self, key_id: str) -> None:
        return None

    async def open(self, fingerprint: str, form: Form, queued: bytes) -> bytes:
        return WIRE


class Signer:
    def __init__(self) -> None:
        self.asked: list[tuple[bytes, str]] = []
        self.fails = False

    async def signed(self, wire: bytes, domain: str) -> bytes:
        self.asked.append((wire, domain))
        if self.fails:
            raise KeyUnavailable("gone")
        return b"DKIM-Signature: x\r\n"


async def test_what_the_gate_opened_for_its_author_is_signed_for_the_author_s_domain() -> None:
    signer = Signer()
    egress = SigningEgress(Gate(), signer)  # pyright: ignore[reportArgumentType]
    found = await egress.open("F", Form.GATED_BY_AUTHOR, b"")
    assert found == b"DKIM-Signature: x\r\n" + WIRE
    assert signer.asked == [(WIRE, "mss.essai.test")]


async def test_what_the_server_sealed_was_signed_before() -> None:
    signer = Signer()
    egress = SigningEgress(Gate(), signer)  # pyright: ignore[reportArgumentType]
    assert await egress.open("F", Form.GATED, b"") == WIRE
    assert signer.asked == []


async def test_without_a_key_the_letter_stays_where_it_is() -> None:
    signer = Signer()
    signer.fails = True
    with pytest.raises(NotOpened) as caught:
        await SigningEgress(Gate(), signer).open("F", Form.GATED_BY_AUTHOR, b"")  # pyright: ignore[reportArgumentType]
    assert not caught.value.lasting
