"""Practice software that a holder has copies made for; a manifest lies inside the sealed summary, without a column."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("account", sa.Column("software", sa.Text(), nullable=False, server_default=""))
    op.add_column(
        "account", sa.Column("copy_to_software", sa.SmallInteger(), nullable=False, server_default="0")
    )
    op.drop_column("message", "manifest")  # nothing was ever written there
