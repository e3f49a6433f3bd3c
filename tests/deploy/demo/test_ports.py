"""The ports of the demo: one that somebody has is told before anything is made."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.demo.node_process import DemoFailed
from deploy.demo.ports import PORTS, refuse_taken
from deploy.demo.world import build, free_port_base


def test_a_demo_whose_port_is_taken_says_which_and_touches_nothing(tmp_path: Path) -> None:
    base = free_port_base()
    kept = tmp_path / "node"
    kept.mkdir()
    with socket.socket() as other:
        other.bind(("127.0.0.1", base + PORTS["ldap"]))
        other.listen()
        with pytest.raises(DemoFailed, match=rf"Port {base + 389} is not free .*--port-base"):
            build(tmp_path, base, lambda words: None)
    assert kept.is_dir()
    refuse_taken({"ldap": base + PORTS["ldap"]})


def test_a_port_beyond_the_last_is_told() -> None:
    with pytest.raises(DemoFailed, match="no port 70001"):
        refuse_taken({"smtp": 70_001})


def test_processes_that_look_for_ports_at_once_look_in_different_places() -> None:
    """What one found free, another would find free too until a node has started there."""
    first = random.randrange(2_000, 3_000)  # of this test alone
    look = f"from deploy.demo import ports; ports._PLACES = range({first}, {first + 8_000})\n"
    look += "print(ports.free_port_base(), ports.free_port_base(3_000), flush=True); input()"
    command = [sys.executable, "-c", look]
    lookers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    found = [[int(each) for each in looker.stdout.readline().split()] for looker in lookers if looker.stdout]
    for looker in lookers:
        looker.communicate("\n", timeout=60)
    one, other = sorted((min(bases), max(bases[0] + 1_000, bases[1] + 3_000)) for bases in found)
    assert one[1] < other[0]
