"""Writes: mailboxes, flags, copies, removals, re-seals. Filing itself is in `filing`.

Invariants: each change takes one modseq of its account and gives it to the mailboxes it touched; a uid is never
given twice; what leaves a mailbox leaves a tombstone there; a message without a mailbox is gone, with its
reference on the blob.
"""

# ruff: noqa: S608 - what is put into statements are our own column names and conditions, never a value

from __future__ import annotations

import time
import unicodedata
from collections.abc import Mapping, Sequence
from os import urandom

from mail_server.store import seen
from mail_server.store.at_rest import bound_column
from mail_server.store.filing import now_ms
from mail_server.store.interface import (
    AlreadyFiled,
    MailboxExists,
    MailboxProtected,
    NoSuchMailbox,
    StoreError,
)
from mail_server.store.model import (
    EVERY_FLAG,
    AccountId,
    Filed,
    Flag,
    FlagChange,
    FlagsChanged,
    Mailbox,
    MailboxId,
    Membership,
    MessageId,
    SpecialUse,
)
from mail_server.store.placing import Placing
from mail_server.store.reader import FLAGS, MAILBOX_COLUMNS, NO_KEYWORDS, canonical_name

RESENT_WITHIN = 24 * 3600 * 1000
_STANDARD = (
    ("INBOX", SpecialUse.INBOX),
    ("Drafts", SpecialUse.DRAFTS),
    ("Sent", SpecialUse.SENT),
    ("Trash", SpecialUse.TRASH),
    ("Junk", SpecialUse.JUNK),
    ("Archive", SpecialUse.ARCHIVE),
)
_LONGEST_NAME = 1000  # characters of a mailbox's


class StoreTransaction(Placing):
    """One operation's view of the commit it takes part in."""

    # -- accounts ----------------------------------------------------------------------------------------

    def open_account(self, account: AccountId) -> None:
        if self.sql.one("SELECT 1 FROM account_store WHERE account_id = ?", (account,)) is not None:
            return
        cipher, wrapped = self._keyring.make(account)
        made = self.sql.run(
            "INSERT INTO account_store (account_id, modseq, data_key, last_uidvalidity, created)"
            " VALUES (?, 1, ?, 0, ?) ON CONFLICT DO NOTHING",
            (account, wrapped, now_ms()),
        )
        if not made:
            return  # another node was quicker
        self.fresh_keys[account] = cipher
        for name, use in _STANDARD:
            self._insert_mailbox(account, name, use)

    def remember_submission(self, fingerprint: bytes, now: int) -> None:
        made = self.sql.run(
            "INSERT INTO submission (fingerprint, at) VALUES (?, ?)"
            " ON CONFLICT (fingerprint) DO UPDATE SET at = excluded.at WHERE submission.at < ?",
            (fingerprint, now, now - RESENT_WITHIN),
        )
        if made != 1:
            raise AlreadyFiled

    def note_sent(self, message: bytes, filed: Filed, at: int) -> None:
        self.sql.run("DELETE FROM sent_copy WHERE at < ?", (at - RESENT_WITHIN,))
        self.sql.run(
            "INSERT INTO sent_copy (reference, message_id, at) VALUES (?, ?, ?)"
            " ON CONFLICT (reference) DO UPDATE SET message_id = excluded.message_id, at = excluded.at",
            (self._sent_reference(filed.account, message), filed.message, at),
        )

    # -- mailboxes ---------------------------------------------------------------------------------------

    def create_mailbox(self, account: AccountId, name: str) -> Mailbox:
        self.require_space()
        return self._insert_mailbox(account, self._checked(name), None)

    def rename_mailbox(self, mailbox: MailboxId, name: str) -> None:
        """Inferior names move along (RFC 9051 §6.3.6); a mailbox that has the name already is left as it is."""
        name = self._checked(name)
        known = self.mailbox(mailbox)
        if known.name == name:
            return
        if known.special_use is SpecialUse.INBOX:
            raise MailboxProtected("INBOX keeps its name")
        self._lock(known.account)
        moves = [(known, name)]
        inside = known.name + "/"
        moves += [
            (child, name + "/" + child.name.removeprefix(inside))
            for child in self.mailboxes(known.account)
            if child.name.startswith(inside)
        ]
        modseq = self._next_modseq(known.account)
        moving = {self._keyring.name_hmac(known.account, one.name) for one, _ in moves}
        for _, target in moves:
            hmac = self._keyring.name_hmac(known.account, target)
            if hmac not in moving and self._name_taken(known.account, hmac):
                raise MailboxExists
        # From the longest name on, a chain of names that shift one level never meets itself half way.
        for one, target in sorted(moves, key=lambda move: len(move[1]), reverse=len(name) > len(known.name)):
            sealed = self._cipher(known.account).seal(
                target.encode(), bound_column(known.account, b"name", one.object_id)
            )
            self.sql.run(
                "UPDATE mailbox SET name = ?, name_hmac = ?, highestmodseq = ? WHERE id = ?",
                (sealed, self._keyring.name_hmac(known.account, target), modseq, one.id),
            )

    def delete_mailbox(self, mailbox: MailboxId) -> None:
        known = self.mailbox(mailbox)
        if known.special_use is not None:
            raise MailboxProtected("a mailbox with a special use stays")
        uids = [row[0] for row in self.sql.all("SELECT uid FROM membership WHERE mailbox_id = ?", (mailbox,))]
        if uids:
            self.expunge(mailbox, uids)
        else:
            self._next_modseq(known.account)
        self.sql.run("DELETE FROM reader_subscription WHERE mailbox_id = ?", (mailbox,))
        self.sql.run("DELETE FROM mailbox WHERE id = ?", (mailbox,))

    def subscribe(self, mailbox: MailboxId, subscribed: bool) -> None:
        seer = self._seer
        if seer is not None and seer.account == self._account_of(mailbox):
            reader = seen.made_number(self.sql, seer.account, seer.person)
            seen.subscribe(self.sql, reader, mailbox, subscribed)
            return
        if not self.sql.run("UPDATE mailbox SET subscribed = ? WHERE id = ?", (int(subscribed), mailbox)):
            raise NoSuchMailbox

    def forget_reader(self, account: AccountId, person: AccountId) -> None:
        seen.forget_reader(self.sql, account, person)

    def claim_recent(self, mailbox: MailboxId) -> int:
        row = self.sql.one("SELECT first_recent, uidnext FROM mailbox WHERE id = ?", (mailbox,))
        if row is None:
            raise NoSuchMailbox
        first_recent, uidnext = row
        if first_recent != uidnext:
            self.sql.run("UPDATE mailbox SET first_recent = uidnext WHERE id = ?", (mailbox,))
        return first_recent

    def _insert_mailbox(self, account: AccountId, name: str, use: SpecialUse | None) -> Mailbox:
        hmac = self._keyring.name_hmac(account, name)
        modseq = self._next_modseq(account)
        # A name deleted and made again within the same second still gets another UIDVALIDITY.
        seconds = int(time.time())
        row = self.sql.one(
            "UPDATE account_store SET last_uidvalidity ="
            " CASE WHEN last_uidvalidity >= ? THEN last_uidvalidity + 1 ELSE ? END"
            " WHERE account_id = ? RETURNING last_uidvalidity",
            (seconds, seconds, account),
        )
        assert row is not None
        if self._name_taken(account, hmac):
            raise MailboxExists
        object_id = "F" + urandom(10).hex()
        sealed = self._cipher(account).seal(name.encode(), bound_column(account, b"name", object_id))
        made = self.sql.one(
            "INSERT INTO mailbox (account_id, name, name_hmac, object_id, uidvalidity, uidnext, highestmodseq,"
            " special_use, subscribed, first_recent) VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, 1)"
            f" RETURNING {MAILBOX_COLUMNS}",
            (account, sealed, hmac, object_id, row[0], modseq, use and use.value, int(use is not None)),
        )
        return self._mailbox(made)

    def _name_taken(self, account: AccountId, hmac: bytes) -> bool:
        return (
            self.sql.one("SELECT 1 FROM mailbox WHERE account_id = ? AND name_hmac = ?", (account, hmac))
            is not None
        )

    def _checked(self, name: str) -> str:
        if len(name) > _LONGEST_NAME:  # first: of a long one, its form takes seconds
            raise StoreError("not a mailbox name")
        name = canonical_name(unicodedata.normalize("NFC", name))
        levels = name.split("/")
        if (
            not all(levels)
            or len(name) > _LONGEST_NAME
            or any(ord(char) < 32 or char == "\x7f" for char in name)
        ):
            raise StoreError("not a mailbox name")
        return name

    # -- flags -------------------------------------------------------------------------------------------

    def set_flags(
        self,
        mailbox: MailboxId,
        uids: Sequence[int],
        change: FlagChange,
        flags: Flag,
        keywords: frozenset[str],
        unchanged_since: int | None = None,
        among: Flag = EVERY_FLAG,
        words_too: bool = True,
    ) -> FlagsChanged:
        account = self._account_of(mailbox)
        self._lock(account)
        keep, add = _masks(change, int(flags), int(among))
        words_move = words_too and (bool(keywords) or change is FlagChange.REPLACE)
        seer = self._seer if self._seer is not None and self._seer.account == account else None
        turned: dict[int, list[MessageId]] = {0: [], 1: []}  # a reader's own \\Seen
        changed: list[Membership] = []
        modified: list[int] = []
        alike: dict[Flag, list[int]] = {}
        reworded: list[Membership] = []
        fresh = 0  # the modseq of this change, taken when the first membership moves
        for uid, message, old, stored, modseq in self._select(
            mailbox, uids, f"uid, message_id, {self._flags_of('membership')}, keywords, modseq"
        ):
            if unchanged_since is not None and modseq > unchanged_since:
                modified.append(uid)  # RFC 7162 §3.1.3: it moved on since, so it is left alone and named
                continue
            before = NO_KEYWORDS if stored is None else self._open_keywords(account, message, stored)
            words = _reworded(before, change, keywords) if words_move else before
            number = old & keep | add
            new = FLAGS[number]
            if number == old and words == before:
                changed.append(Membership(uid, message, new, words, modseq))
                continue
            fresh = fresh or self._next_modseq(account)
            one = Membership(uid, message, new, words, fresh)
            changed.append(one)
            if (number ^ old) & seen.SEEN:
                turned[number & seen.SEEN].append(message)
            if words == before:
                alike.setdefault(new, []).append(uid)
            else:
                reworded.append(one)
        if fresh:
            own = seen.SEEN if seer is not None else 0
            self._write_flags(mailbox, alike, fresh, own)
            self._write_keywords(account, mailbox, reworded, fresh, own)
            self._raise_mailbox(mailbox, fresh)
            if seer is not None:
                self._turn(account, seer.person, mailbox, turned, fresh)
        return FlagsChanged(changed, modified)

    def _turn(
        self,
        account: AccountId,
        person: AccountId,
        mailbox: MailboxId,
        turned: Mapping[int, Sequence[MessageId]],
        modseq: int,
    ) -> None:
        """A reader's own \\Seen is the message's: its other places show it too."""
        messages = [message for those in turned.values() for message in those]
        if not messages:
            return
        reader = seen.made_number(self.sql, account, person)
        for value, those in turned.items():
            seen.mark(self.sql, reader, those, value)
        listed = self.sql.as_list(messages)
        elsewhere = self.sql.all(
            f"SELECT DISTINCT mailbox_id FROM membership WHERE {self.sql.listed('message_id')} AND mailbox_id <> ?",
            (listed, mailbox),
        )
        for (other,) in elsewhere:
            self.sql.run(
                f"UPDATE membership SET modseq = ? WHERE mailbox_id = ? AND {self.sql.listed('message_id')}",
                (modseq, other, listed),
            )
            self._raise_mailbox(other, modseq)

    def _write_flags(
        self, mailbox: MailboxId, alike: Mapping[Flag, Sequence[int]], modseq: int, left: int
    ) -> None:
        """One UPDATE per distinct outcome, not per message: the table is narrow so that this is cheap.

        `left`: flags that stay as they lie there.
        """
        for flags, uids in alike.items():
            condition, parameters, filtered = self._among("uid", uids)
            if filtered is not None:
                condition, parameters = self.sql.listed("uid"), (self.sql.as_list(uids),)
            self.sql.run(
                f"UPDATE membership SET flags = (flags & {left:d}) | ?, modseq = ?"
                f" WHERE mailbox_id = ? AND {condition}",
                (int(flags) & ~left, modseq, mailbox, *parameters),
            )

    def _write_keywords(
        self, account: AccountId, mailbox: MailboxId, reworded: Sequence[Membership], modseq: int, left: int
    ) -> None:
        for one in reworded:
            sealed = self._seal_keywords(account, one.message, one.keywords)
            self.sql.run(
                f"UPDATE membership SET flags = (flags & {left:d}) | ?, keywords = ?, modseq = ?"
                " WHERE mailbox_id = ? AND uid = ?",
                (int(one.flags) & ~left, sealed, modseq, mailbox, one.uid),
            )


def _masks(change: FlagChange, flags: int, among: int) -> tuple[int, int]:
    """What stays of the old flags, and what comes on top; those not `among` are not touched."""
    flags &= among
    if change is FlagChange.REPLACE:
        return ~among, flags
    return (-1, flags) if change is FlagChange.ADD else (~flags, 0)


def _reworded(old: frozenset[str], change: FlagChange, keywords: frozenset[str]) -> frozenset[str]:
    if change is FlagChange.REPLACE:
        return keywords
    return old | keywords if change is FlagChange.ADD else old - keywords
