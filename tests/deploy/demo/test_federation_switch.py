"""The switches of a federation that serves: seen by what the servers around the operators then answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509

from deploy.demo import pki
from deploy.demo.federation_bad import BadServer, Starttls
from deploy.demo.federation_servers import RevocationServer, TrustListServer
from deploy.demo.federation_switch import SwitchBoard, switches


class Around:
    """The servers, their switches, and who is asked."""

    def __init__(self, folder: Path) -> None:
        authority = pki.TestAuthority.create()
        authority.write(folder)
        organisation = pki.Organisation.with_finess("OPERATEUR TEST", 1, "Isère (38)")
        self.peer = authority.issue_operator("smtp.mss.a.test", organisation, local=True)
        self.lists = TrustListServer(0, authority, ())
        self.revocations = RevocationServer(0, authority)
        self.bad = BadServer(self.peer, folder / "ca.pem")
        self.board = SwitchBoard(0, switches(self.lists, self.revocations, self.bad, self.peer))

    def put(self, name: str, word: str) -> httpx.Response:
        return httpx.put(self.board.url + name, content=word, trust_env=False, timeout=60)

    def shown(self) -> dict[str, Any]:
        return json.loads(httpx.get(self.board.url, trust_env=False, timeout=60).content)

    def revoked(self) -> set[int]:
        text = httpx.get(self.revocations.urls[0], trust_env=False, timeout=60).content
        return {entry.serial_number for entry in x509.load_der_x509_crl(text)}

    def close(self) -> None:
        for each in (self.board, self.bad, self.revocations, self.lists):
            each.close()


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Around]:
    made = Around(tmp_path_factory.mktemp("switch"))
    try:
        yield made
    finally:
        made.close()


def test_each_switch_says_how_it_stands_and_what_it_may_be(around: Around) -> None:
    shown = around.shown()
    assert {name: each["now"] for name, each in shown.items()} == {
        "trust-list": "good",
        "revocation-lists": "good",
        "second-operator": "valid",
        "bad-operator": "offered",
    }
    assert "halved" in shown["trust-list"]["may be"]
    assert "expired" in shown["revocation-lists"]["may be"]


def test_the_servers_of_the_authority_go_down_and_come_back(around: Around) -> None:
    for name, server in (("trust-list", around.lists), ("revocation-lists", around.revocations)):
        assert around.put(name, "down").json() == {name: "down"}
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{server.port}/", trust_env=False, timeout=60)
        assert around.put(name, "good").status_code == 200
    assert httpx.get(around.revocations.urls[0], trust_env=False, timeout=60).status_code == 200


def test_the_second_operator_is_revoked_and_holds_again(around: Around) -> None:
    around.put("second-operator", "revoked")
    around.put("second-operator", "revoked")
    assert around.revoked() == {around.peer.certificate.serial_number}
    around.put("second-operator", "valid")
    assert around.revoked() == set()


def test_the_bad_operator_hides_starttls(around: Around) -> None:
    around.put("bad-operator", "stripped")
    assert around.bad.manners.starttls is Starttls.STRIPPED


@pytest.mark.parametrize(
    ("name", "word", "status"),
    [("trust-list", "vide", 400), ("trust-list", "", 400), ("nothing", "good", 404), ("", "good", 404)],
)
def test_what_is_not_understood_changes_nothing(around: Around, name: str, word: str, status: int) -> None:
    before = around.shown()
    assert around.put(name, word).status_code == status
    assert around.shown() == before


def test_more_than_a_word_is_not_read(around: Around) -> None:
    assert around.put("trust-list", "x" * 1000).status_code == 413


def test_reading_or_posting_switches_nothing(around: Around) -> None:
    answer = httpx.post(around.board.url + "trust-list", content="down", trust_env=False, timeout=60)
    assert answer.status_code == 501
    assert around.shown()["trust-list"]["now"] == "good"
