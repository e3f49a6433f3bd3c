"""What an account asks of letters that leave: sealed only, and how it is told of their fate."""

from __future__ import annotations

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass
