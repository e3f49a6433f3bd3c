"""Which method stands under which capability: the table of what this server can do (RFC 8620 §2, §3.3)."""

from __future__ import annotations

from typing import Any

from mail_server.jmap import session_object
from mail_server.jmap.email_filter import CLASSES
from mail_server.jmap.email_import import EmailImport
from mail_server.jmap.email_query import EmailQueries
from mail_server.jmap.email_set import EmailSet
from mail_server.jmap.emails import MAIL_VENDOR, EmailGet
from mail_server.jmap.identities import IdentityMethods
from mail_server.jmap.interface import Arguments, Capability, Turn
from mail_server.jmap.mailbox_query import MailboxQuery
from mail_server.jmap.mailboxes import MailboxMethods
from mail_server.jmap.quotas import QuotaMethods
from mail_server.jmap.services import Services
from mail_server.jmap.submission_queue import SubmissionQueue
from mail_server.jmap.submission_rows import SubmissionRows
from mail_server.jmap.submission_set import SubmissionSet
from mail_server.jmap.submissions import SubmissionReads
from mail_server.jmap.threads import ThreadMethods


async def echo(_: Turn, arguments: Arguments) -> dict[str, Any]:
    """RFC 8620 §4."""
    return dict(arguments)


def capabilities(
    services: Services, rows: SubmissionRows, queue: SubmissionQueue, quotas: QuotaMethods
) -> list[Capability]:
    settings = services.settings
    mailboxes, threads = MailboxMethods(services), ThreadMethods(services)
    queries, identities = EmailQueries(services), IdentityMethods(services)
    submissions = SubmissionReads(services, rows)
    mail = {
        "Mailbox/get": mailboxes.get,
        "Mailbox/changes": mailboxes.changes,
        "Mailbox/query": MailboxQuery(services).query,
        "Thread/get": threads.get,
        "Thread/changes": threads.changes,
        "Email/get": EmailGet(services).get,
        "Email/changes": queries.changes,
        "Email/query": queries.query,
        "Email/queryChanges": queries.query_changes,
        "Email/set": EmailSet(services).set,
        "Email/import": EmailImport(services).import_,
    }
    submission = {
        "Identity/get": identities.get,
        "Identity/changes": identities.changes,
        "EmailSubmission/get": submissions.get,
        "EmailSubmission/changes": submissions.changes,
        "EmailSubmission/query": submissions.query,
        "EmailSubmission/set": SubmissionSet(services, rows, queue).set,
    }
    quota = {"Quota/get": quotas.get, "Quota/changes": quotas.changes, "Quota/query": quotas.query}
    return [
        Capability(session_object.CORE, {"Core/echo": echo}, session_object.core_told(settings)),
        Capability(session_object.MAIL, mail, {}, lambda _: session_object.mail_told(settings)),
        Capability(
            session_object.SUBMISSION, submission, {}, lambda _: session_object.submission_told(settings)
        ),
        Capability(session_object.QUOTA, quota),
        Capability(MAIL_VENDOR, {}, {"emailClasses": list(CLASSES)}),
    ]
