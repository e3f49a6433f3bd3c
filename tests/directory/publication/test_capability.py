"""What can be sent to an address: told of who is shown, to who asks for a few."""

from __future__ import annotations

import json

from directory.harvest import Allowance, Sweep
from directory.model import Capability
from directory.publication.capability import PATH, capabilities
from tests.directory import sites

PEOPLE = {f"p{number}@cabinet.mss.example" for number in range(100)}
TAKES = Capability(("openpgp-v4-seipd1",), 25_000_000, ("ihe-xdm",))


def test_who_guesses_address_after_address_is_refused_and_told_of() -> None:
    told: list[Sweep] = []
    harvest = Allowance(10, 10, clock=lambda: 1_700_000_000_000, noted=told.append)
    harvest.shown("net:192.0.2.1", [f"other{number}" for number in range(10)], door="hkp")  # counted as one
    routes = capabilities(lambda one: TAKES if one in PEOPLE else None, harvest, lambda _: "192.0.2.1")
    with sites.serving([routes]) as site:
        first = site.ask(f"{PATH}?address=P0@cabinet.mss.example")
        assert json.loads(first.body)["address"] == "p0@cabinet.mss.example"
        assert site.ask(f"{PATH}?address=nobody@cabinet.mss.example").status == 404
        harvest.shown("net:192.0.2.1", [f"more{number}" for number in range(10)], door="hkp")
        for address in ("p1@cabinet.mss.example", "nobody@cabinet.mss.example"):
            answer = site.ask(f"{PATH}?address={address}")
            assert answer.status == 429  # whether somebody is there or not
            assert int(answer.headers["retry-after"]) > 0
    assert {one.asker for one in told} == {"net:192.0.2.1"}
    assert "refused" in {one.outcome for one in told}
