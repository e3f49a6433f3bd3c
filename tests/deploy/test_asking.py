"""A command that the running node answers loads nothing of the node itself."""

from __future__ import annotations

import subprocess
import sys


def test_to_ask_a_running_node_costs_no_node() -> None:
    program = (
        "import sys; import deploy.node.cli, deploy.node.asking;"
        " print([name for name in ('deploy.node.composition', 'sqlalchemy', 'fastapi') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
