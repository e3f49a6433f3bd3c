"""Which tables belong to which database. Each package owns its own; here they are only gathered."""

from __future__ import annotations

from sqlalchemy import MetaData

import directory.certificates.tables
import directory.fhir.tables  # pyright: ignore[reportUnusedImport]  # adds to directory.db
import directory.listings.tables
import directory.publication.client.tables  # pyright: ignore[reportUnusedImport]  # adds to directory.db
import mail_server.accounts.tables
import mail_server.conversations.tables
import mail_server.delivery.tables
import mail_server.jmap.tables
import mail_server.keys.tables
import mail_server.outbound.peers.tables
import mail_server.outbound.reports.tables
import mail_server.outbound.tables
import mail_server.store.tables
import policies.audit.tables
import policies.trust_list.blocks
import policies.trust_list.standing
import webmail.login.tables
import webmail.notices.tables
import webmail.spaces.tables


def mail_metadata() -> list[MetaData]:
    return [
        mail_server.store.tables.metadata,
        mail_server.accounts.tables.metadata,
        mail_server.conversations.tables.metadata,
        mail_server.delivery.tables.metadata,
        mail_server.outbound.reports.tables.metadata,
        policies.audit.tables.metadata,
        policies.trust_list.blocks.metadata,
        policies.trust_list.standing.metadata,
        mail_server.keys.tables.metadata,
        mail_server.outbound.tables.metadata,
        mail_server.outbound.peers.tables.metadata,
        mail_server.jmap.tables.metadata,
        webmail.login.tables.metadata,
        webmail.notices.tables.metadata,
        webmail.spaces.tables.metadata,
    ]


def directory_metadata() -> MetaData:
    return directory.certificates.tables.metadata


def listings_metadata() -> MetaData:
    return directory.listings.tables.metadata


def listings_tables() -> list[str]:
    """Every table of the listings, with that of their versions: what can be had again."""
    return [*sorted(listings_metadata().tables), "alembic_version_listings"]
