"""A structured letter that an organisation sends on, over two real hops: its author and the forwarder are believed.

Claire writes to a service of the other operator; its rule sends the letter on to a program at Claire's own operator.
"""

from __future__ import annotations

import secrets

import pytest

from mail_server import mime
from tests.peers.federation import Federation, await_letter, wait

pytestmark = pytest.mark.peers


def document(sender: str, to: str, word: str) -> bytes:
    return (
        f"From: <{sender}>\r\nTo: <{to}>\r\nSubject: XDM/1.0/DDM+{word}\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\n\r\nBilan {word}\r\n"
    ).encode()


def test_a_letter_sent_on_to_its_authors_own_operator_is_believed_there(two: Federation) -> None:
    here, there = two.here, two.there
    program = here.person("logiciel", "Logiciel", "Essai")
    service = there.service("accueil", two.yves.address)
    there.command("account_forward", address=service, target=program.address)
    word = secrets.token_hex(8)
    here.send(two.claire, [service], document(two.claire.address, service, word))

    stored = await_letter(here, program, lambda raw: word.encode() in raw)
    fields = mime.fields(stored)
    told = next(one.value.decode() for one in fields if one.name == "authentication-results")
    assert "arc=pass" in told
    assert f"dkim=pass header.d={here.domain}" in " ".join(told.split())
    assert f"x-mss=pass policy.domain={there.domain}" in told
    assert next(one.value for one in fields if one.name == "return-path") == f"<{service}>".encode()

    rows = wait(lambda: there.command("audit_show", limit=50, action="forward", address=None, reference=None))
    assert [row["outcome"] for row in rows] == ["sent-on"]


def test_a_rule_to_who_is_not_listed_is_refused(two: Federation) -> None:
    there = two.there
    service = there.service("secretariat", two.yves.address)
    with pytest.raises(Exception, match="not in the trust space"):
        there.command("account_forward", address=service, target="x@gmail.test")
