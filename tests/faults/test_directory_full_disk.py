"""The disk under the directory fills up while mailboxes and certificates are published: what was answered as done is
there, what was refused is not, each refusal is a sentence, reading goes on, and writing too once there is room."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import directory_world, world
from deploy.node.control import CommandFailed
from tests.faults.test_outbound_full_disk import fill, small_disk
from tests.peers.federation import wait
from tests.peers.test_fhir import IDNPS, ask, inserted, traced
from tests.peers.test_key_discovery import smime_certificate
from tests.peers.test_thunderbird_directory import offered
from tests.worlds import own_world

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

WHO = f"Practitioner?identifier={IDNPS}%7C{directory_world.CARDIOLOGIST.national_id}"
FULL = "The disk of the directory is full. Make room, then do it again."


@dataclass(frozen=True)
class Full:
    made: world.World
    ballast: Path
    key: str

    def patch(self, name: str) -> tuple[int, dict[str, Any]]:
        return ask(self.made, WHO, self.key, "PATCH", inserted(f"{name}@autre.mssante.fr"))

    def published(self) -> set[str]:
        """Local parts of what the directory shows of the other operator's."""
        (person,) = ask(self.made, WHO, self.key)[1]["entry"]
        shown = (one["value"] for one in person["resource"]["telecom"])
        return {one.partition("@")[0] for one in shown if one.endswith("@autre.mssante.fr")}

    def certificate(self) -> None:
        told = base64.b64encode(smime_certificate(world.DOCTOR)).decode()
        self.made.command("key_publish_x509", address=world.DOCTOR, certificate=told)


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Generator[Full]:
    sections = {"store": {"free_space_floor": 0}, "fhir": {"calls_per_second": 1000}}
    with small_disk() as disk:
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        with own_world("full", sections) as (made, _):
            monkeypatch.setattr(tempfile, "tempdir", None)
            directory_world.imported(made, [directory_world.CARDIOLOGIST])
            rights = {"rights": ["read", "publish"], "publisher": "Autre", "domains": ["autre.mssante.fr"]}
            key = made.command("directory_key_add", label="Autre", **rights)["key"]
            yield Full(made, disk / "ballast", key)


def until_refused(deed: Callable[[int], str]) -> tuple[int, str]:
    """How many were done, and the words of the first refusal: room that a database had taken before serves on."""
    for number in range(400):
        if words := deed(number):
            return number, words
    raise AssertionError("the disk was never full")


def refusal(deed: Callable[[], object]) -> str:
    try:
        deed()
    except CommandFailed as refused:
        return str(refused)
    return ""


def test_nothing_is_lost_or_half_done_on_a_full_disk(full: Full) -> None:
    made = full.made
    assert full.patch("avant")[0] == 200
    fill(full.ballast)

    def patched(number: int) -> str:
        status, told = full.patch(f"m{number}")
        return (
            "" if status == 200 else f"{status} {told['issue'][0]['code']} {told['issue'][0]['diagnostics']}"
        )

    done, words = until_refused(patched)
    assert words == "503 no-store The disk is full here: nothing was changed. Try again later."
    kept = {"avant", *(f"m{number}" for number in range(done))}
    assert full.published() == kept

    withdraw = {"address": world.GP, "reason": "essai"}

    def refused(deed: Callable[[], object]) -> int:
        done, words = until_refused(lambda _: refusal(deed))
        assert words == FULL
        return done

    certified = refused(full.certificate)
    assert bool(offered(made, world.DOCTOR)) == bool(certified)
    refused(lambda: made.command("directory_withdraw", **withdraw))
    refused(lambda: made.command("directory_key_add", label="Encore un"))

    full.ballast.unlink()
    wait(lambda: full.patch("apres")[0] == 200 or None, 180)
    assert full.published() == kept | {"apres"}
    full.certificate()
    assert offered(made, world.DOCTOR)
    made.command("directory_withdraw", **withdraw)
    made.command("directory_publish", address=world.GP)
    wait(lambda: len(traced(made, "listing-published")) >= len(kept) + 2 or None, 180)
    assert not made.command("audit_verify")["broken"]
