"""What JMAP reads by: order of arrival, ids and threads; uploads and submissions."""

from __future__ import annotations

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
