"""What the sender tells the node of reports that failed on this side, so that each morning adds up: a delivery report
(RFC 3464) to `suivi@<domain>`, one group of fields for each.

Invariants: no name, no title; the address is told only where it is one; told twice, it counts once (the reference).
"""

from __future__ import annotations

from collections.abc import Sequence

from mail_server import mime
from mail_server.accounts.addresses import parsed
from mail_server.payloads.record.causes import is_slug
from mail_server.reports.settings import HospitalSettings
from mail_server.reports.spool import Errand, Row

TOGETHER = 100


def notice(rows: Sequence[Row], settings: HospitalSettings, at: int) -> bytes:
    """The letter that tells of these."""
    account = settings.account
    groups = [
        b"".join(
            (
                mime.header_field("Reporting-MTA", f"dns; {account.domain}"),
                mime.header_field("Arrival-Date", mime.date_text(at)),
            )
        ),
        *(_group(row) for row in rows),
    ]
    parts = (
        mime.text_part(f"{len(rows)} document(s) non envoyé(s) / {len(rows)} document(s) not sent.\n"),
        b"Content-Type: message/delivery-status\r\n\r\n" + b"\r\n".join(groups),
    )
    kind, body = mime.multipart("report", parts, params=b"report-type=delivery-status")
    header = (
        mime.address_field("From", [(account.name, account.address)]),
        mime.address_field("To", [("", account.followed)]),
        mime.header_field("Date", mime.date_text(at)),
        mime.header_field("Subject", "Documents non envoyés"),
        mime.header_field("Message-ID", mime.new_message_id(account.domain)),
        b"Auto-Submitted: auto-generated\r\n",
        b"MIME-Version: 1.0\r\n",
        kind,
    )
    return b"".join([*header, b"\r\n", body])


def _group(row: Row) -> bytes:
    found = parsed(row.about.recipient)
    cause = row.about.cause if is_slug(row.about.cause) else "field-wrong"
    fields = [
        mime.header_field("Final-Recipient", f"rfc822; {'@'.join(found) if found else 'inconnu'}"),
        b"Action: failed\r\n",
        mime.header_field("Status", "5.6.0"),
        mime.header_field("Diagnostic-Code", f"x-vaguemestre; {cause}"),
        mime.header_field("X-Original-Message-ID", row.about.message_id),
    ]
    if row.errand is Errand.WITHDRAWAL:
        fields.append(b"X-Vaguemestre-Errand: withdrawal\r\n")
    return b"".join(fields)
