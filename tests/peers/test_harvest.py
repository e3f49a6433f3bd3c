"""Who takes the directory away prefix by prefix, by LDAP or by FHIR, is slowed, refused, and told of in the trace."""

from __future__ import annotations

import http.client
import itertools
import json
import string
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import ldap3
import pytest

from deploy.demo import clients, directory_world, world
from tests.worlds import own_world

pytestmark = pytest.mark.peers

SHOWN = 60  # different listings an hour before answers slow down


@dataclass(frozen=True)
class Sweep:
    """What came of taking one prefix after the other, until it was refused."""

    shown: int
    slowest: float  # seconds of one answer
    quickest: float
    refused: str


@pytest.fixture(scope="module")
def served() -> Iterator[world.World]:
    sections = {"directory": {"shown_per_hour": SHOWN, "shown_per_hour_trusted": SHOWN}}
    with own_world("harvest", sections) as (made, _):
        directory_world.imported(made)
        yield made


def prefixes() -> Iterator[str]:
    """The likeliest first letters of names, so that each answer is full; then two of them."""
    likely = "rmbdlcgpfsvthkjnaeiou"
    yield from likely
    yield from ("".join(pair) for pair in itertools.product(likely, string.ascii_lowercase))


def swept(ask: Callable[[str], tuple[set[str], str]]) -> Sweep:
    taken: set[str] = set()
    times: list[float] = []
    for prefix in prefixes():
        began = time.monotonic()
        found, refused = ask(prefix)
        if refused:
            return Sweep(len(taken), max(times), min(times), refused)
        taken |= found
        if found:
            times.append(time.monotonic() - began)
    raise AssertionError("the whole directory was taken away")


def by_ldap(made: world.World) -> Sweep:
    server = ldap3.Server("127.0.0.1", made.ports["ldap"], get_info=ldap3.NONE)
    with ldap3.Connection(server, raise_exceptions=False, receive_timeout=120) as connection:
        search = cast("Any", connection).search  # its types are not all known

        def ask(prefix: str) -> tuple[set[str], str]:
            search("dc=mssante,dc=fr", f"(sn={prefix}*)", attributes=["mail"])
            told = connection.result["description"]
            entries: list[dict[str, Any]] = connection.response or []
            return {str(entry["dn"]) for entry in entries}, told if told in (
                "adminLimitExceeded",
                "busy",
            ) else ""

        return swept(ask)


def by_fhir(made: world.World) -> Sweep:
    key = made.command("directory_key_add", label="essai")["key"]
    connection = http.client.HTTPSConnection(
        "localhost", made.ports["https"], context=clients.tls(made.ca), timeout=120
    )

    def ask(prefix: str) -> tuple[set[str], str]:
        connection.request(
            "GET", f"/fhir/v2/Practitioner?family={prefix}&_count=20", headers={"ESANTE-API-KEY": key}
        )
        answer = connection.getresponse()
        body = json.loads(answer.read())
        if answer.status == 429 and body["issue"][0]["diagnostics"].startswith("No more than"):
            time.sleep(1)  # calls a second are another matter
            return set(), ""
        if answer.status == 429:
            return set(), f"429 {answer.headers['Retry-After']}"
        assert answer.status == 200, body
        return {entry["fullUrl"] for entry in body.get("entry", [])}, ""

    return swept(ask)


def test_sweeps_of_prefixes_are_slowed_then_refused_and_told_of(served: world.World) -> None:
    with ThreadPoolExecutor(2) as threads:
        ldap, fhir = (
            sweep.result() for sweep in [threads.submit(by_ldap, served), threads.submit(by_fhir, served)]
        )
    for sweep in (ldap, fhir):
        assert SHOWN < sweep.shown < 3 * SHOWN
        assert sweep.quickest < sweep.slowest
        assert sweep.slowest > 1
    assert ldap.refused in ("adminLimitExceeded", "busy")
    assert 0 < int(fhir.refused.removeprefix("429 ")) <= 3600
    rows = served.command("audit_show", limit=100, action="harvest", address=None, reference=None)
    told = {(row["detail"]["protocol"], row["outcome"]) for row in rows}
    assert told == {(door, outcome) for door in ("ldap", "fhir") for outcome in ("slowed", "refused")}
    assert {row["network"] for row in rows if row["detail"]["protocol"] == "ldap"} == {"127.0.0.1"}


def test_who_looks_somebody_up_meanwhile_is_answered_at_once(served: world.World) -> None:
    began = time.monotonic()
    assert served.command("directory_search", words="rousseau-lefebvre")["found"]
    assert time.monotonic() - began < 10  # who sweeps waits, nobody else
