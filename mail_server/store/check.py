"""Reads everything that lies in the store and says what is not as it must be.

One pass over one snapshot, beside a running server if need be; nothing is changed. Invariants: a finding names
ids and places, never content; one fault does not hide the next; memory stays bounded (pages of rows).
"""

# ruff: noqa: S608 - what is put into statements are our own table and column names

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mail_server.keys.interface import KeyUnavailable, KeyWrapper
from mail_server.store.armor import armor_size
from mail_server.store.at_rest import bound_column, unpack_outer, unpack_rendered
from mail_server.store.check_copies import check_copies
from mail_server.store.check_segments import check_segments
from mail_server.store.driver import Driver
from mail_server.store.findings import Fault, Finding
from mail_server.store.interface import Damaged, NoSuchAccount, StoreError
from mail_server.store.keyring import Keyring, read_node_secret
from mail_server.store.model import AccountId, Form, SpecialUse
from mail_server.store.reader import BLOB_COLUMNS, Shared, StoreReader
from mail_server.store.row_cache import RowCache
from mail_server.store.segments import SegmentReader
from mail_server.store.settings import StoreSettings
from mail_server.store.space import FreeSpace
from mail_server.store.store import connector_for, segments_folder

__all__ = ["Fault", "Finding", "Stage", "check_store"]

_PAGE = 200


class Stage(enum.StrEnum):
    """What the progress callback is told: stage, done, all."""

    ACCOUNTS = "accounts"
    MAILBOXES = "mailboxes"
    MESSAGES = "messages"
    BLOBS = "blobs"
    SEGMENTS = "segments"


Progress = Callable[[Stage, int, int], None]


def check_store(
    settings: StoreSettings, home: Path, keys: KeyWrapper, progress: Progress | None = None
) -> list[Finding]:
    """Blocks, for long on a large store. Raises KeyUnavailable when the KEK is not this store's."""
    driver = connector_for(settings, home, read_only=True).connect()
    segments = SegmentReader(segments_folder(home))
    try:
        driver.begin_read()
        secret = read_node_secret(driver, keys)
        if secret is None:
            return []
        shared = Shared(settings, Keyring(keys, secret), segments, RowCache(0), FreeSpace(home, 0))
        checking = _Check(driver, shared, home, progress or _silent)
        return list(checking.run())
    finally:
        segments.close()
        driver.rollback()
        driver.close()


def _silent(_stage: Stage, _done: int, _total: int) -> None:
    return


@dataclass(frozen=True, slots=True)
class _Check:
    sql: Driver
    shared: Shared
    home: Path
    progress: Progress

    def run(self) -> Iterator[Finding]:
        locked: set[AccountId] = set()
        for finding in self._accounts():
            if finding.fault is Fault.KEY_UNAVAILABLE:
                locked.add(AccountId(finding.subject))
            yield finding
        yield from self._mailboxes(locked)
        yield from self._orphans()
        yield from self._messages(locked)
        yield from self._refcounts()
        yield from check_copies(self.sql)
        yield from self._uploads(locked)
        yield from self._queued()
        yield from self._blobs(locked)
        yield from check_segments(
            self.sql,
            segments_folder(self.home),
            lambda done, total: self.progress(Stage.SEGMENTS, done, total),
        )

    # -- accounts and mailboxes --------------------------------------------------------------------------

    def _accounts(self) -> Iterator[Finding]:
        rows = self.sql.all("SELECT account_id FROM account_store ORDER BY account_id")
        for done, (account,) in enumerate(rows):
            self.progress(Stage.ACCOUNTS, done, len(rows))
            try:
                self.shared.keyring.load(self.sql, account)
            except KeyUnavailable:
                yield Finding(Fault.KEY_UNAVAILABLE, account, "the account's data key does not unwrap")
            uses = {
                row[0]
                for row in self.sql.all("SELECT special_use FROM mailbox WHERE account_id = ?", (account,))
            }
            for use in SpecialUse:
                if use.value not in uses:
                    yield Finding(Fault.MAILBOX_MISSING, account, f"no mailbox for {use.value}")

    def _mailboxes(self, locked: set[AccountId]) -> Iterator[Finding]:
        reader = StoreReader(self.sql, self.shared)
        rows = self.sql.all(
            "SELECT b.id, b.account_id, b.uidnext, b.highestmodseq, a.modseq, count(p.uid),"
            " coalesce(max(p.uid), 0), coalesce(max(p.modseq), 0)"
            " FROM mailbox b JOIN account_store a ON a.account_id = b.account_id"
            " LEFT JOIN membership p ON p.mailbox_id = b.id"
            " GROUP BY b.id, b.account_id, b.uidnext, b.highestmodseq, a.modseq ORDER BY b.id"
        )
        for done, (mailbox, account, uidnext, highest, modseq, _, max_uid, max_modseq) in enumerate(rows):
            self.progress(Stage.MAILBOXES, done, len(rows))
            if max_uid >= uidnext:
                yield Finding(Fault.UID_BEYOND_UIDNEXT, str(mailbox), f"uid {max_uid}, UIDNEXT {uidnext}")
            if highest > modseq or max_modseq > highest:
                yield Finding(
                    Fault.MODSEQ_AHEAD, str(mailbox), f"{max_modseq}, mailbox {highest}, account {modseq}"
                )
            if account in locked:
                continue
            try:
                reader.mailbox(mailbox)
            except (Damaged, UnicodeDecodeError):
                yield Finding(Fault.UNREADABLE, f"mailbox {mailbox}", "its name does not open")

    def _orphans(self) -> Iterator[Finding]:
        for statement, detail in (
            (
                (
                    "SELECT p.mailbox_id, p.uid FROM membership p LEFT JOIN mailbox b ON b.id = p.mailbox_id"
                    " WHERE b.id IS NULL"
                ),
                "a membership without its mailbox",
            ),
            (
                (
                    "SELECT p.mailbox_id, p.uid FROM membership p LEFT JOIN message m ON m.id = p.message_id"
                    " WHERE m.id IS NULL"
                ),
                "a membership without its message",
            ),
            (
                (
                    "SELECT p.mailbox_id, p.uid FROM membership p JOIN message m ON m.id = p.message_id"
                    " JOIN mailbox b ON b.id = p.mailbox_id WHERE b.account_id <> m.account_id"
                ),
                "a message in another account's mailbox",
            ),
        ):
            for mailbox, uid in self.sql.all(statement):
                yield Finding(Fault.ORPHAN, f"mailbox {mailbox} uid {uid}", detail)

    # -- messages ----------------------------------------------------------------------------------------

    def _messages(self, locked: set[AccountId]) -> Iterator[Finding]:
        total = self._count("message")
        after, done = 0, 0
        while True:
            rows = self.sql.all(
                "SELECT m.id, m.account_id, m.email_id, m.form, m.size, m.modseq, m.outer_part, m.key_packets,"
                " m.rendered, b.clear_size, a.modseq, t.thread_id,"
                " (SELECT count(*) FROM membership p WHERE p.message_id = m.id)"
                " FROM message m LEFT JOIN blob b ON b.blob_id = m.blob_id"
                " LEFT JOIN account_store a ON a.account_id = m.account_id"
                " LEFT JOIN thread t ON t.account_id = m.account_id AND t.thread_id = m.thread_id"
                " WHERE m.id > ? ORDER BY m.id LIMIT ?",
                (after, _PAGE),
            )
            if not rows:
                return
            for row in rows:
                yield from self._message(row, locked)
            after, done = rows[-1][0], done + len(rows)
            self.progress(Stage.MESSAGES, done, total)

    def _message(self, row: tuple[Any, ...], locked: set[AccountId]) -> Iterator[Finding]:
        (
            number,
            account,
            email_id,
            form,
            size,
            modseq,
            outer,
            packets,
            rendered,
            clear,
            newest,
            thread,
            places,
        ) = row
        subject = f"message {number}"
        if places == 0:
            yield Finding(Fault.ORPHAN, subject, "in no mailbox")
        if thread is None:
            yield Finding(Fault.ORPHAN, subject, "without its thread")
        if clear is None:
            yield Finding(Fault.ORPHAN, subject, "without its body")
        if newest is None:
            yield Finding(Fault.ORPHAN, subject, "without its account")
            return
        if modseq > newest:
            yield Finding(Fault.MODSEQ_AHEAD, subject, f"{modseq}, account {newest}")
        if account in locked:
            return
        cipher = self.shared.keyring.load(self.sql, account)
        expected: int | None = clear
        try:
            unpack_rendered(cipher.open(bytes(rendered), bound_column(account, b"rendered", email_id)))
            if form == Form.SPLIT and clear is not None:
                head, tail = unpack_outer(
                    cipher.open(bytes(outer), bound_column(account, b"outer", email_id))
                )
                expected = len(head) + armor_size(len(bytes(packets)) + clear) + len(tail)
        except Damaged:
            yield Finding(Fault.UNREADABLE, subject, "its rows do not open")
            return
        if expected is not None and expected != size:
            yield Finding(Fault.SIZE, subject, f"{expected} bytes, recorded {size}")

    # -- blobs -------------------------------------------------------------------------------------------

    def _blobs(self, locked: set[AccountId]) -> Iterator[Finding]:
        reader = StoreReader(self.sql, self.shared)
        total = self._count("blob")
        after, done = b"", 0
        while True:
            rows = self.sql.all(
                f"SELECT {BLOB_COLUMNS} FROM blob b WHERE b.blob_id > ? ORDER BY b.blob_id LIMIT ?",
                (after, _PAGE),
            )
            if not rows:
                return
            for row in rows:
                subject = f"blob {bytes(row[0]).hex()[:16]}"
                if row[1] in locked:
                    continue
                try:
                    reader.open_stored(row)
                except KeyUnavailable:
                    yield Finding(Fault.KEY_UNAVAILABLE, subject, "its owner's key does not unwrap")
                except StoreError:
                    place = "inline" if row[5] is None else f"segment {row[5]:012x} at {row[6]}"
                    yield Finding(Fault.UNREADABLE, subject, f"does not open ({place})")
            after, done = bytes(rows[-1][0]), done + len(rows)
            self.progress(Stage.BLOBS, done, total)

    def _refcounts(self) -> Iterator[Finding]:
        for blob_id, refcount, named in self.sql.all(
            "SELECT b.blob_id, b.refcount, coalesce(c.named, 0) FROM blob b"
            " LEFT JOIN (SELECT blob_id, count(*) AS named"
            " FROM (SELECT blob_id FROM message UNION ALL SELECT blob_id FROM upload"
            " UNION ALL SELECT blob_id FROM queued) n GROUP BY blob_id) c"
            " ON c.blob_id = b.blob_id WHERE b.refcount <> coalesce(c.named, 0)"
        ):
            detail = f"counted {refcount}, named by {named}"
            yield Finding(Fault.REFCOUNT, f"blob {bytes(blob_id).hex()[:16]}", detail)

    def _uploads(self, locked: set[AccountId]) -> Iterator[Finding]:
        for upload, account, sealed, blob in self.sql.all(
            "SELECT u.id, u.account_id, u.media_type, b.blob_id FROM upload u"
            " LEFT JOIN blob b ON b.blob_id = u.blob_id ORDER BY u.id"
        ):
            subject = f"upload {upload}"
            if blob is None:
                yield Finding(Fault.ORPHAN, subject, "without its body")
            if account in locked:
                continue
            try:
                cipher = self.shared.keyring.load(self.sql, account)
                cipher.open(bytes(sealed), bound_column(account, b"media", upload))
            except NoSuchAccount:
                yield Finding(Fault.ORPHAN, subject, "without its account")
            except Damaged:
                yield Finding(Fault.UNREADABLE, subject, "its row does not open")

    def _queued(self) -> Iterator[Finding]:
        for (name,) in self.sql.all(
            "SELECT q.id FROM queued q LEFT JOIN blob b ON b.blob_id = q.blob_id WHERE b.blob_id IS NULL ORDER BY q.id"
        ):
            yield Finding(Fault.ORPHAN, f"queued {name}", "without its body")

    def _count(self, table: str) -> int:
        row = self.sql.one(f"SELECT count(*) FROM {table}")
        return 0 if row is None else row[0]
