"""One operator asks another for its addressees' certificates: Web Key Directory, TLS under the health authority."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.node.control import CommandFailed
from tests.peers.federation import THERE, Federation

pytestmark = pytest.mark.peers


def known(two: Federation, address: str, *, refresh: bool = False) -> dict[str, Any]:
    return dict(two.here.command("key_peer", address=address, refresh=refresh))


def test_the_certificate_of_a_professional_elsewhere_is_found(two: Federation) -> None:
    found = known(two, two.yves.address, refresh=True)
    assert (found["state"], found["held_by"]) == ("valid", "holder")
    theirs = two.there.command("key_list")
    assert found["fingerprint"] in {
        row["fingerprint"] for row in theirs if row["address"] == two.yves.address
    }


def test_of_an_address_that_nobody_has_there_is_none(two: Federation) -> None:
    assert known(two, f"nobody@{THERE}", refresh=True)["state"] == "none"


def test_what_is_not_on_the_trust_list_is_not_asked(two: Federation) -> None:
    with pytest.raises(CommandFailed, match="trust list"):
        known(two, "a@elsewhere.example", refresh=True)


def test_the_gate_runs_beside_the_node_and_doctor_finds_it_well(two: Federation) -> None:
    found = two.here.command("egress_show")
    assert found["alive"]
    assert [one["state"] for one in found["keys"]] == ["in use"]
