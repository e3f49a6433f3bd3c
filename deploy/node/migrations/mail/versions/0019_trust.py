"""Operators this node has exchanged with: what an old trust list may still vouch for."""

from __future__ import annotations

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass
