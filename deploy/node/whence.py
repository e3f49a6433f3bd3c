"""Where an administrator sits when they type: told by their shell, traced beside what they did (mssante.md, row 68).

Invariant: what is no network address is never traced as one. It is as good as the shell that says it: who may use the
console could say another; who they are comes from the kernel.
"""

from __future__ import annotations

import ipaddress
import os

MEANS = "console"


def told() -> str:
    """Where who types came from, when they came over SSH (sshd sets it)."""
    return os.environ.get("SSH_CONNECTION", "").partition(" ")[0]


def address(network: str) -> str:
    try:
        return str(ipaddress.ip_address(network)) if network else ""
    except ValueError:
        return ""
