"""The systemd unit keeps what the product promises: no dump, no swap, no root, time to finish."""

from __future__ import annotations

from pathlib import Path

import pytest

from mail_server.reports.settings import SpoolSection

UNIT = Path(__file__).parents[2] / "deploy/systemd/vaguemestre.service"


@pytest.fixture(scope="module")
def lines() -> set[str]:
    return {line.strip() for line in UNIT.read_text().splitlines()}


def test_memory_that_holds_letters_reaches_no_disk(lines: set[str]) -> None:
    assert {"LimitCORE=0", "MemorySwapMax=0"} <= lines


def test_the_node_is_not_root_and_cannot_become_it(lines: set[str]) -> None:
    assert {
        "User=vaguemestre",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
        "AmbientCapabilities=CAP_NET_BIND_SERVICE",
    } <= lines


def test_the_key_encryption_key_is_a_credential_and_not_under_the_home(lines: set[str]) -> None:
    credential = next(line for line in lines if line.startswith("LoadCredential=")).partition("=")[2]
    name, _, path = credential.partition(":")
    assert name == "vaguemestre-kek"  # the default of [keys] kek_credential
    assert not Path(path).is_relative_to("/var/lib/vaguemestre")


def test_what_is_open_may_finish_before_the_service_is_killed(lines: set[str]) -> None:
    assert {"TimeoutStopSec=35", "KillMode=mixed", "ExecReload=/bin/kill -HUP $MAINPID"} <= lines


def test_calls_the_node_needs_are_not_filtered_out(lines: set[str]) -> None:
    filters = [line for line in lines if line.startswith("SystemCallFilter=")]
    assert not any("@resources" in line for line in filters)  # setrlimit: no core dump


def test_the_hospitals_side_keeps_documents_off_every_disk_and_its_key_out_of_the_spool() -> None:
    unit = UNIT.with_name("vaguemestre-reports.service")
    found = {line.strip() for line in unit.read_text().splitlines()}
    assert {"LimitCORE=0", "MemorySwapMax=0", "NoNewPrivileges=yes", "CapabilityBoundingSet="} <= found
    assert any(
        line.startswith(f"LoadCredential={SpoolSection.model_fields['key_credential'].default}:")
        for line in found
    )
