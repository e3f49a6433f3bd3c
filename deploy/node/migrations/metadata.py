"""Which tables belong to which database. Each package owns its own; here they are only gathered."""

from __future__ import annotations

from sqlalchemy import MetaData

import directory.tables
import mail_server.accounts.tables
import mail_server.store.tables
import policies.audit.tables


def mail_metadata() -> list[MetaData]:
    return [
        mail_server.store.tables.metadata,
        mail_server.accounts.tables.metadata,
        policies.audit.tables.metadata,
    ]


def directory_metadata() -> MetaData:
    return directory.tables.metadata
