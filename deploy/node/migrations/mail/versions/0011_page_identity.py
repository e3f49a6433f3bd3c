"""Sessions of the page that an identity provider opened."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("strong", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("fresh_until", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("acr", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("provider", sa.Text(), nullable=False, server_default=""),
        sa.Column("provider_session", sa.LargeBinary(), nullable=True),
        sa.Column("provider_subject", sa.LargeBinary(), nullable=True),
    ):
        op.add_column("page_session", column)
