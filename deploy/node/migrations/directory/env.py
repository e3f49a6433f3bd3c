"""Alembic environment of directory.db. Its versions have a table of their own where it may share a database."""

from alembic import context

from deploy.node.migrations.environment import run
from deploy.node.migrations.metadata import directory_metadata

_shared = context.config.attributes["connection"].dialect.name == "postgresql"
run(directory_metadata(), version_table="alembic_version_directory" if _shared else "alembic_version")
