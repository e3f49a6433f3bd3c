"""Email/set create: a letter written property by property (RFC 8621 §4.6), kept as IMAP APPEND keeps one.

Invariants: it would be in clear, so never in a patient's space (`forbidden`), where the page seals letters itself and
imports them; durable before it is answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from mail_server.accounts.interface import Account
from mail_server.jmap import composing, keywords
from mail_server.jmap.blobs import NoSuchBlob, read_blob
from mail_server.jmap.email_import import created_told, keep
from mail_server.jmap.interface import SetError, Turn
from mail_server.jmap.mailbox_ids import mailboxes_of
from mail_server.jmap.protocol.arguments import utc_ms
from mail_server.jmap.protocol.errors import invalid_properties
from mail_server.jmap.services import Services
from mail_server.store.interface import Reader
from mail_server.store.model import MailboxId

_META = frozenset({"mailboxIds", "keywords", "receivedAt"})


class EmailCreation:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def create(
        self, turn: Turn, account: Account, create: Mapping[str, Mapping[str, Any]]
    ) -> tuple[dict[str, dict[str, Any]], dict[str, SetError]]:
        created: dict[str, dict[str, Any]] = {}
        not_created: dict[str, SetError] = {}
        names: Mapping[str, MailboxId] = {}
        if create:
            folders = await self._services.store.read(lambda reader: reader.mailboxes(account.id))
            names = {each.object_id: each.id for each in folders}
        for key, wanted in create.items():
            try:
                created[key] = await self._made(turn, account, wanted, names)
            except SetError as error:
                not_created[key] = error
            else:
                turn.created[key] = created[key]["id"]
        return created, not_created

    async def _made(
        self, turn: Turn, account: Account, wanted: Mapping[str, Any], names: Mapping[str, MailboxId]
    ) -> dict[str, Any]:
        """Raises SetError."""
        if not turn.may(account.id, "i"):
            # RFC 8621 §2: mayAddItems, which APPEND asks for too (RFC 4314 §4).
            raise SetError("forbidden", "Your rights in this account do not allow it")
        if self._services.sealed_only(account.id):
            raise SetError("forbidden", "Nothing is stored in clear in a patient's space")
        unknown = [
            each
            for each in wanted
            if each not in composing.KNOWN and each not in _META and not each.startswith("header:")
        ]
        if unknown:
            raise invalid_properties(*sorted(unknown))
        mailboxes = mailboxes_of(wanted.get("mailboxIds"), names, turn.created)
        words = keywords.read(wanted.get("keywords") or {})
        if words is None:
            raise invalid_properties("keywords")
        at = wanted.get("receivedAt")
        received = utc_ms(at)
        if at is not None and received is None:
            raise invalid_properties("receivedAt")
        words = keywords.settable(turn.letters(account.id), words)
        content = {name: value for name, value in wanted.items() if name not in _META}
        blobs = await self._blobs(account, composing.blobs_named(content))
        now = self._services.clock()
        message = await asyncio.to_thread(composing.composed, content, blobs, now)
        filed = await keep(self._services, turn, message, mailboxes, words, received)
        return created_told(filed, len(message))

    async def _blobs(self, account: Account, named: set[str]) -> dict[str, tuple[bytes, str]]:
        """Raises SetError blobNotFound."""

        def read(reader: Reader) -> dict[str, tuple[bytes, str] | None]:
            found: dict[str, tuple[bytes, str] | None] = {}
            for each in named:
                try:
                    blob = read_blob(reader, account.id, each)
                    found[each] = (blob.data, blob.type)
                except NoSuchBlob:
                    found[each] = None
            return found

        found = await self._services.store.read(read) if named else {}
        missing = sorted(each for each, blob in found.items() if blob is None)
        if missing:
            raise SetError("blobNotFound", notFound=missing)
        return {each: blob for each, blob in found.items() if blob is not None}
