"""The ports of the demo: one that somebody has is told before anything is made."""

from __future__ import annotations

import socket
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
