"""What both Alembic environments do: run on the connection they are given, in its transaction."""

from __future__ import annotations

from typing import Literal

from alembic import context
from sqlalchemy import MetaData
from sqlalchemy.schema import SchemaItem

Kind = Literal[
    "schema", "table", "column", "index", "unique_constraint", "foreign_key_constraint", "check_constraint"
]


_INDEX_OF_CARDS = {"index", "card_index"}  # a generated column of PostgreSQL, and its GIN index


def run(metadata: MetaData | list[MetaData], version_table: str = "alembic_version") -> None:
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=version_table,
        include_object=include_object,
        render_as_batch=connection.dialect.name == "sqlite",
        transaction_per_migration=False,
    )
    context.run_migrations()


def include_object(
    _object: SchemaItem, name: str | None, kind: str, reflected: bool, compare_to: SchemaItem | None
) -> bool:
    """Autogenerate never proposes to drop what it finds and does not know: FTS5's tables, the index of cards."""
    return not (reflected and compare_to is None and (kind == "table" or name in _INDEX_OF_CARDS))
