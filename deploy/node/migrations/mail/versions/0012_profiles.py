"""What a directory would tell of each mailbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TEXTS = (
    "title",
    "given_name",
    "family_name",
    "entity",
    "description",
    "service",
    "responsible",
    "id_pp",
    "id_nat_struct",
)


def upgrade() -> None:
    op.create_table(
        "account_profile",
        sa.Column("account", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in _TEXTS),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("red_list", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account"),
    )
