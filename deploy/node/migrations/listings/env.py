"""Alembic environment of listings.db. On PostgreSQL it shares its database: its versions have a table of their own."""

from deploy.node.migrations.environment import run
from deploy.node.migrations.metadata import listings_metadata

run(listings_metadata(), version_table="alembic_version_listings")
