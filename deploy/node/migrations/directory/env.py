"""Alembic environment of directory.db."""

from deploy.node.migrations.environment import run
from deploy.node.migrations.metadata import directory_metadata

run(directory_metadata())
