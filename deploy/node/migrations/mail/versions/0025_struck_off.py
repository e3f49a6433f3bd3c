"""Which professionals lost access because the national directory no longer has them, and since when."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("account", sa.Column("struck_off_at", sa.BigInteger()))
