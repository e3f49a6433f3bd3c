"""Messages, threads and uploads as JMAP asks for them: by id, within one account (RFC 8621 §3, §4; RFC 8620 §6).

Invariants: an id that is another account's reads like one that never was; an id that a client made up does not reach
the database.
"""

# ruff: noqa: S608 - what is put into statements are our own column names and conditions, never a value

from __future__ import annotations

import time
from collections.abc import Sequence

from mail_server.store.at_rest import bound_column, unpack_rendered
from mail_server.store.identifiers import email_ids as sound_email_ids
from mail_server.store.identifiers import safe_ids
from mail_server.store.interface import NoSuchMessage
from mail_server.store.model import (
    AccountId,
    CoarseClass,
    EmailRow,
    FindingsColumns,
    MailboxId,
    Placement,
    ScanVerdict,
    Upload,
)
from mail_server.store.queries import QueryReader
from mail_server.store.reader import BLOB_COLUMNS, FLAGS, FORMS, NO_KEYWORDS, STATES

_CLASSES = {int(one): one for one in CoarseClass}
_VERDICTS = {int(one): one for one in ScanVerdict}
_EMAIL = (
    "SELECT id, email_id, thread_id, form, state, size, received_at, created_modseq, rendered, coarse_class,"
    " closes_exchange, has_xdm, has_calendar, scan, summary FROM message WHERE "
)


class EmailReader(QueryReader):
    """A whole reader: all that `interface.Reader` names."""

    def emails(self, account: AccountId, email_ids: Sequence[str]) -> list[EmailRow]:
        asked = sound_email_ids(email_ids)
        if not asked:
            return []
        rows = self.sql.all(
            f"{_EMAIL}{self.sql.listed('email_id')} AND account_id = ?", (self.sql.as_words(asked), account)
        )
        if not rows:
            return []
        places = self._placements(account, [row[0] for row in rows])
        cipher = self._cipher(account)
        bound_to = bound_column(account, b"rendered", "")
        found: dict[str, EmailRow] = {}
        for (
            number, email_id, thread_id, form, state, size, received_at, created, rendered, coarse, closes, xdm,
            calendar, scan, summary,
        ) in rows:  # fmt: skip
            findings = FindingsColumns(
                _CLASSES[coarse],
                bool(closes),
                bool(xdm),
                bool(calendar),
                _VERDICTS[scan],
                None if summary is None else bytes(summary),
            )
            found[email_id] = EmailRow(
                number,
                email_id,
                thread_id,
                tuple(places.get(number, ())),
                FORMS[form],
                STATES[state],
                size,
                received_at,
                created,
                findings,
                unpack_rendered(cipher.open(rendered, bound_to + email_id.encode())),
            )
        return [found[one] for one in asked if one in found]

    def threads(self, account: AccountId, thread_ids: Sequence[str]) -> dict[str, list[str]]:
        asked = safe_ids(thread_ids)
        threads: dict[str, list[str]] = {}
        if asked:
            rows = self.sql.all(
                f"SELECT thread_id, email_id FROM message WHERE {self.sql.listed('thread_id')}"
                " AND account_id = ? ORDER BY received_at, id",
                (self.sql.as_words(asked), account),
            )
            for thread, email_id in rows:
                threads.setdefault(thread, []).append(email_id)
        return threads

    def upload(self, account: AccountId, upload: str) -> tuple[Upload, bytes]:
        row = (
            self.sql.one(
                f"SELECT u.media_type, u.expires, {BLOB_COLUMNS} FROM upload u JOIN blob b ON b.blob_id = u.blob_id"
                " WHERE u.id = ? AND u.account_id = ? AND u.expires > ?",
                (upload, account, time.time_ns() // 1_000_000),
            )
            if safe_ids([upload])
            else None
        )
        if row is None:
            raise NoSuchMessage("no such upload in this account")
        sealed, expires, *blob = row
        media_type = self._cipher(account).open(bytes(sealed), bound_column(account, b"media", upload))
        content = self.open_stored(blob)
        return Upload(upload, account, len(content), media_type.decode(), expires), content

    def queued(self, name: str) -> bytes:
        row = self.sql.one(
            f"SELECT {BLOB_COLUMNS} FROM queued q JOIN blob b ON b.blob_id = q.blob_id WHERE q.id = ?",
            (name,),
        )
        if row is None:
            raise NoSuchMessage("nothing waits under this name")
        return self.open_stored(row)

    def _placements(self, account: AccountId, messages: Sequence[int]) -> dict[int, list[Placement]]:
        rows = self.sql.all(
            f"SELECT message_id, mailbox_id, uid, {self._flags_of('p')}, keywords, modseq FROM membership p"
            f" WHERE {self.sql.listed('message_id')} ORDER BY message_id, mailbox_id, uid",
            (self.sql.as_list(messages),),
        )
        places: dict[int, list[Placement]] = {}
        for message, mailbox, uid, flags, keywords, modseq in rows:
            words = NO_KEYWORDS if keywords is None else self._open_keywords(account, message, keywords)
            places.setdefault(message, []).append(
                Placement(MailboxId(mailbox), uid, FLAGS[flags], words, modseq)
            )
        return places
