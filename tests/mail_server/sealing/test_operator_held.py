"""Keys the operator holds for an account pass the gate, and are known for what they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from directory.openpgp.certificate import Certificate
from directory.openpgp.gate import OPERATOR_HELD_NOTATION
from mail_server.keys import operator_keys
from mail_server.keys.settings import KeysSettings
from mail_server.sealing.engine import OpenPgpEngine

ADDRESS = "waiting@patient.mss.example"


async def test_an_operator_held_key_is_marked_sealed_to_and_opened(
    engine: OpenPgpEngine, gated: Callable[[Any, str], Certificate]
) -> None:
    _, certificate, secret = operator_keys.make_key(KeysSettings(), ADDRESS)
    held = gated(certificate, ADDRESS)
    assert held.operator_held
    sealed = await engine.seal(b"letter", [held])
    assert await engine.open(sealed.key_packets[0].packet + sealed.body, secret) == b"letter"


def test_the_mark_is_the_same_on_both_sides() -> None:
    assert operator_keys.NOTATION == OPERATOR_HELD_NOTATION
