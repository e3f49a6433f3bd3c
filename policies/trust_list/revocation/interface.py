"""What is asked about revocation: of operators' certificates, and of those that systems log in with."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol


class Finding(enum.Enum):
    """What is known of a certificate and of those above it."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"  # nothing that may still be relied on says so: refused for the time being
    UNCHECKED = "unchecked"  # this node was given nothing to check with; `doctor` says so


class Revocation(Protocol):
    async def look(self, chain: Sequence[bytes]) -> Finding:
        """`chain`: DER, the leaf first; TLS has verified it. Never raises."""
        ...


class NothingToCheckWith:
    """A node without lists of revocation and without a responder."""

    async def look(self, chain: Sequence[bytes]) -> Finding:
        del chain
        return Finding.UNCHECKED
