"""Reports owed: deliveries, delays and failures; receipts to professionals of other operators."""

from __future__ import annotations

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass
