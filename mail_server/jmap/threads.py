"""Thread/get and Thread/changes (RFC 8621 §3): conversations, oldest letter first."""

from __future__ import annotations

from typing import Any

from mail_server.jmap import states
from mail_server.jmap.email_query import spanned
from mail_server.jmap.emails import visible
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


class ThreadMethods:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def get(self, turn: Turn, arguments: Arguments) -> dict[str, Any]:
        account = turn.account(arguments)
        given = Given(arguments, "ids", "properties")
        properties = given.properties(("id", "emailIds"))
        ids = wanted_ids(turn, given, self._services.settings.max_objects_get)
        if ids is None:
            # RFC 8620 §5.1: all of them would be more than one call may give.
            raise MethodError("requestTooLarge", "Name the threads")

        def read(reader: Reader) -> dict[str, Any]:
            threads = reader.threads(account.id, ids)
            shown = visible(reader, account.id, [email for emails in threads.values() for email in emails])
            found: dict[str, dict[str, Any]] = {}
            for thread, emails in threads.items():
                kept = [email for email in emails if email in shown]
                if kept:
                    found[thread] = chosen({"id": thread, "emailIds": kept}, properties)
            return get_response(account, states.email_state(reader, account.id), ids, found)

        return await self._services.store.read(read)

    async def changes(self, turn: Turn, arguments: Arguments) -> dict[str, Any]:
        account = turn.account(arguments)
        given = Given(arguments, "sinceState", "maxChanges")
        old, most = since_state(given), most_changes(given)

        def read(reader: Reader) -> dict[str, Any]:
            since = states.since(reader, account.id, old)
            changes = spanned(reader.thread_changes(account.id, since, most), since)
            return changes_response(account, old, states.state_at(reader, account.id, changes.upto), changes)

        return await self._services.store.read(read)
