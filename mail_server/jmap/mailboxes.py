"""Mailbox/get and Mailbox/changes (RFC 8621 §2).

Invariants: what carries \\Deleted is not counted (RFC 8621 §4.1.1: it is not visible in JMAP); counts are those of
the state told with them.
"""

from __future__ import annotations

from typing import Any

from mail_server.accounts.interface import Account
from mail_server.jmap import states
from mail_server.jmap.interface import Arguments, MethodError, Turn
from mail_server.jmap.objects import (
    changes_response,
    chosen,
    get_response,
    most_changes,
    since_state,
    wanted_ids,
)
from mail_server.jmap.protocol.arguments import Given
from mail_server.jmap.services import Services
from mail_server.store.interface import Reader
from mail_server.store.model import EmailChanges, EmailQuery, Flag, Mailbox

PROPERTIES = (
    "id", "name", "parentId", "role", "sortOrder", "totalEmails", "unreadEmails", "totalThreads",
    "unreadThreads", "myRights", "isSubscribed",
)  # fmt: skip
COUNTS = ("totalEmails", "unreadEmails", "totalThreads", "unreadThreads")
_ORDER = {"inbox": 1, "drafts": 2, "sent": 3, "archive": 4, "junk": 5, "trash": 6}
# RFC 8621 §2, with the right of RFC 4314 that each stands for; Mailbox/set is not offered: folders are made over IMAP.
_RIGHTS = {
    "mayReadItems": "lr",
    "mayAddItems": "i",
    "mayRemoveItems": "te",
    "maySetSeen": "s",
    "maySetKeywords": "w",
    "mayCreateChild": None,
    "mayRename": None,
    "mayDelete": None,
    "maySubmit": "p",
}


class MailboxMethods:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def get(self, turn: Turn, arguments: Arguments) -> dict[str, Any]:
        account = turn.account(arguments)
        given = Given(arguments, "ids", "properties")
        properties = given.properties(PROPERTIES)
        ids = wanted_ids(turn, given, self._services.settings.max_objects_get)

        def read(reader: Reader) -> dict[str, Any]:
            mailboxes = reader.mailboxes(account.id)
            by_name = {each.name: each for each in mailboxes}
            found = {
                each.object_id: _told(reader, turn, account, each, by_name, properties)
                for each in mailboxes
                if ids is None or each.object_id in ids
            }
            state = states.mailbox_state(reader, account.id, mailboxes)
            return get_response(account, state, ids, found)

        return await self._services.read(turn, account, read)

    async def changes(self, turn: Turn, arguments: Arguments) -> dict[str, Any]:
        account = turn.account(arguments)
        given = Given(arguments, "sinceState", "maxChanges")
        old, most = since_state(given), most_changes(given)

        def read(reader: Reader) -> dict[str, Any]:
            mailboxes = reader.mailboxes(account.id)
            since = states.mailboxes_since(reader, account.id, old, mailboxes)
            touched = [each.object_id for each in mailboxes if each.highestmodseq > since]
            if len(touched) > most:
                # A part of them would leave the client at no state of ours.
                raise MethodError("cannotCalculateChanges")
            new = states.mailbox_state(reader, account.id, mailboxes)
            changes = EmailChanges((), touched, (), reader.modseq(account.id), False)
            # Only letters came or went: the folders are the same (RFC 8621 §2.2).
            told = list(COUNTS) if touched else None
            return changes_response(account, old, new, changes, updatedProperties=told)

        return await self._services.read(turn, account, read)


def _told(
    reader: Reader,
    turn: Turn,
    account: Account,
    mailbox: Mailbox,
    by_name: dict[str, Mailbox],
    properties: list[str] | None,
) -> dict[str, Any]:
    parent, name = place(mailbox, by_name)
    role = role_of(mailbox)
    whole: dict[str, Any] = {
        "id": mailbox.object_id,
        "name": name,
        "parentId": parent.object_id if parent else None,
        "role": role,
        "sortOrder": sort_order(role),
        "myRights": {
            name: letters is not None and all(turn.may(account.id, each) for each in letters)
            for name, letters in _RIGHTS.items()
        },
        "isSubscribed": mailbox.subscribed,
    }
    if properties is None or any(each in COUNTS for each in properties):
        whole |= _counted(reader, account, mailbox)
    return chosen(whole, properties)


def _counted(reader: Reader, account: Account, mailbox: Mailbox) -> dict[str, int]:
    counts = reader.counts(mailbox.id)
    total, unread = counts.messages, counts.unseen
    if counts.deleted:
        visible = EmailQuery(mailbox=mailbox.id, flags_unset=Flag.DELETED)
        total = reader.count_emails(account.id, visible)
    if unread:
        unseen = EmailQuery(mailbox=mailbox.id, flags_unset=Flag.SEEN | Flag.DRAFT | Flag.DELETED)
        unread = reader.count_emails(account.id, unseen)
    threads, unread_threads = reader.thread_counts(mailbox.id)
    return {
        "totalEmails": total,
        "unreadEmails": unread,
        "totalThreads": threads,
        "unreadThreads": unread_threads,
    }


def role_of(mailbox: Mailbox) -> str | None:
    return mailbox.special_use.value if mailbox.special_use is not None else None


def sort_order(role: str | None) -> int:
    return _ORDER.get(role or "", 10)


def place(mailbox: Mailbox, by_name: dict[str, Mailbox]) -> tuple[Mailbox | None, str]:
    """The nearest level above that is a mailbox, and the name below it."""
    above = mailbox.name
    while "/" in above:
        above = above.rpartition("/")[0]
        if above in by_name:
            return by_name[above], mailbox.name[len(above) + 1 :]
    return None, mailbox.name
