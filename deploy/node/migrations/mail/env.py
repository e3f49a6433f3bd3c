"""Alembic environment of mail.db."""

from deploy.node.migrations.environment import run
from deploy.node.migrations.metadata import mail_metadata

run(mail_metadata())
