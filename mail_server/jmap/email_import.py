"""Email/import: an uploaded message becomes an Email (RFC 8621 §4.8), as IMAP APPEND keeps one.

Invariants: the bytes are kept as they are; in a patient's space nothing is kept that tells anything in clear
(delivery decides, the door shows its reason); durable before it is answered.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from mail_server.accounts.interface import Account
from mail_server.jmap import keywords, states
from mail_server.jmap.blobs import NoSuchBlob, read_blob
from mail_server.jmap.email_filter import CLASSES
from mail_server.jmap.emails import MAIL_VENDOR
from mail_server.jmap.interface import Arguments, MethodError, SetError, Turn
from mail_server.jmap.mailbox_ids import mailboxes_of
from mail_server.jmap.protocol.arguments import Given, utc_ms, within
from mail_server.jmap.protocol.errors import invalid_properties, told
from mail_server.jmap.services import Services
from mail_server.store.interface import NoSuchMailbox, Reader
from mail_server.store.model import CoarseClass, Filed, Mailbox, MailboxId
from policies.refusal import Refusal

_SUMMARY_LIMIT = 16_384  # octets of a sealed summary, a manifest in it
_VENDOR = frozenset({"sealedSummary", "class"})
_NAMES = frozenset({"blobId", "mailboxIds", "keywords", "receivedAt"})


class EmailImport:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def import_(self, turn: Turn, arguments: Arguments) -> dict[str, Any]:
        account = turn.account(arguments, "i")
        given = Given(arguments, "ifInState", "emails")
        emails = given.objects("emails")
        within(len(emails), self._services.settings.max_objects_set)
        if not self._services.store.writable:
            raise MethodError("accountReadOnly", "Not enough storage at the moment")
        names = {each.object_id: each.id for each in await self._folders(account)}
        old = await self._state(account)
        state = given.text("ifInState")
        if state is not None and state != old:
            raise MethodError("stateMismatch")
        created: dict[str, dict[str, Any]] = {}
        not_created: dict[str, SetError] = {}
        for key, wanted in emails.items():
            try:
                filed, size = await self._kept(turn, account, wanted, names)
            except SetError as error:
                not_created[key] = error
                continue
            turn.created[key] = filed.email_id
            created[key] = created_told(filed, size)
        return {
            "accountId": account.id,
            "oldState": old,
            "newState": await self._state(account),
            "created": created or None,
            "notCreated": told(not_created),
        }

    async def _folders(self, account: Account) -> list[Mailbox]:
        return await self._services.store.read(lambda reader: reader.mailboxes(account.id))

    async def _state(self, account: Account) -> str:
        return await self._services.store.read(lambda reader: states.email_state(reader, account.id))

    async def _kept(
        self, turn: Turn, account: Account, wanted: Mapping[str, Any], names: Mapping[str, MailboxId]
    ) -> tuple[Filed, int]:
        """Raises SetError."""
        known = _NAMES | _VENDOR if MAIL_VENDOR in turn.using else _NAMES
        if wanted.keys() - known:
            raise invalid_properties(*sorted(wanted.keys() - known))
        mailboxes = mailboxes_of(wanted.get("mailboxIds"), names, turn.created)
        words = keywords.read(wanted.get("keywords") or {})
        if words is None:
            raise invalid_properties("keywords")
        at = wanted.get("receivedAt")
        received = utc_ms(at)
        if at is not None and received is None:
            raise invalid_properties("receivedAt")
        summary = _summary(wanted.get("sealedSummary"))
        coarse = _class(wanted.get("class"))
        blob = wanted.get("blobId")
        if not isinstance(blob, str):
            raise invalid_properties("blobId")

        def read(reader: Reader) -> bytes:
            return read_blob(reader, account.id, blob).data

        try:
            data = await self._services.store.read(read)
        except NoSuchBlob:
            raise invalid_properties("blobId") from None
        words = keywords.settable(turn.letters(account.id), words)
        filed = await keep(self._services, turn, data, mailboxes, words, received, summary, coarse)
        return filed, len(data)


def _summary(value: Any) -> bytes | None:
    if value is None:
        return None
    try:
        summary = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except binascii.Error:
        summary = b""
    if not 0 < len(summary) <= _SUMMARY_LIMIT:
        raise invalid_properties("sealedSummary")
    return summary


def _class(value: Any) -> CoarseClass | None:
    """What its holder says a sealed letter is; of one in clear the server sees it itself."""
    if value is None:
        return None
    if not isinstance(value, str) or value not in CLASSES:
        raise invalid_properties("class")
    return CLASSES[value]


async def keep(
    services: Services,
    turn: Turn,
    data: bytes,
    mailboxes: frozenset[MailboxId],
    words: frozenset[str],
    received_at: int | None,
    summary: bytes | None = None,
    coarse: CoarseClass | None = None,
) -> Filed:
    """Raises SetError."""
    flags, others = keywords.split(words)
    first, *also = sorted(mailboxes)
    if not data:
        raise SetError("invalidEmail", "A letter is not empty")
    try:
        return await services.delivery.keep(
            turn.identity,
            first,
            data,
            flags,
            others,
            received_at,
            also=also,
            sealed_summary=summary,
            coarse_class=coarse,
            to_be_sent=True,  # a submission names what lies in the store
        )
    except NoSuchMailbox:
        raise invalid_properties("mailboxIds") from None
    except Refusal as refusal:
        raise refused_keeping(refusal) from None


def refused_keeping(refusal: Refusal) -> SetError:
    more = {"reason": refusal.reason, "reference": refusal.id}
    if refusal.reason == "summary-refused":
        return SetError("invalidProperties", refusal.sentence, properties=["sealedSummary"], **more)
    kind = {
        "too-large": "tooLarge",
        "header-too-large": "invalidEmail",
        "over-quota": "overQuota",
        "no-space": "overQuota",
    }.get(refusal.reason, "forbidden")
    return SetError(kind, refusal.sentence, **more)


def created_told(filed: Filed, size: int) -> dict[str, Any]:
    """What the client could not know of an Email just made (RFC 8621 §4.6, §4.8)."""
    return {
        "id": filed.email_id,
        "blobId": "B" + filed.email_id,
        "threadId": filed.thread_id,
        "size": size,
    }
