"""A message's places as JMAP sets them: one set of mailboxes, one set of keywords (RFC 8621 §4.6).

Invariants: one modseq for the whole change; a place that changes nothing keeps its own; a mailbox joined gives a
fresh uid, one left keeps a tombstone; \\Deleted stays as each place has it, for JMAP knows no such keyword.
"""

# ruff: noqa: S608 - what is put into statements are our own column names, never a value

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mail_server.store.copying import Copying
from mail_server.store.filing import INSERT_MEMBERSHIP, now_ms
from mail_server.store.interface import NoSuchMailbox
from mail_server.store.model import AccountId, Flag, MailboxId, MessageId
from mail_server.store.reader import NO_KEYWORDS, Seer
from mail_server.store.seen import SEEN, made_number, mark

_DELETED = int(Flag.DELETED)


@dataclass(frozen=True, slots=True)
class _Stands:
    """One place of the message, as it is."""

    mailbox: MailboxId
    uid: int
    flags: int  # as who places it sees them
    common: int  # as they lie there
    keywords: frozenset[str]
    created: int
    size: int
    received_at: int
    thread_key: int


class Placing(Copying):
    """The part of a transaction that sets a message's places as a whole."""

    def place(
        self,
        account: AccountId,
        email_id: str,
        mailboxes: frozenset[MailboxId],
        flags: Flag,
        keywords: frozenset[str],
    ) -> None:
        self._lock(account)
        message = self._message_number(account, email_id)
        stands = self._stands(account, message)
        # A keyword is the same in capitals and not (RFC 8621 §4.1.1); programs by IMAP find it as they spelled it.
        spelled = {word.lower(): word for one in stands for word in sorted(one.keywords)}
        keywords = frozenset(spelled.get(word.lower(), word) for word in keywords)
        joined = sorted(mailboxes - {one.mailbox for one in stands})
        left = [one for one in stands if one.mailbox not in mailboxes]
        wanted = int(flags) & ~_DELETED
        seer = self._seer if self._seer is not None and self._seer.account == account else None
        changed = [
            one
            for one in stands
            if one.mailbox in mailboxes and (one.flags & ~_DELETED != wanted or one.keywords != keywords)
        ]
        if any(not self._owned(account, mailbox) for mailbox in joined):
            raise NoSuchMailbox
        if not (joined or left or changed):
            return
        if len(joined) > len(left):
            self.require_space()
        modseq = self._next_modseq(account)
        sealed = self._seal_keywords(account, message, keywords)
        for one in changed:
            self.sql.run(
                "UPDATE membership SET flags = ?, keywords = ?, modseq = ? WHERE mailbox_id = ? AND uid = ?",
                (
                    _lying(seer, wanted, one.common) | one.flags & _DELETED,
                    sealed,
                    modseq,
                    one.mailbox,
                    one.uid,
                ),
            )
        if seer is not None and any((one.flags ^ wanted) & SEEN for one in stands):
            mark(self.sql, made_number(self.sql, account, seer.person), [message], wanted & SEEN)
        for mailbox in sorted({one.mailbox for one in changed}):
            self._raise_mailbox(mailbox, modseq)
        like, now = stands[0], now_ms()
        for mailbox in joined:
            _, uid = self._take_uids(mailbox, 1, modseq)
            self.sql.run(
                INSERT_MEMBERSHIP,
                (
                    mailbox, uid, message, _lying(seer, wanted, like.common), sealed, modseq, modseq, now, like.size,
                    like.received_at, like.thread_key,
                ),
            )  # fmt: skip
        self._leave(account, message, left, modseq)

    def _leave(self, account: AccountId, message: MessageId, left: Sequence[_Stands], modseq: int) -> None:
        """One mailbox after the other: the last one to go finds the message in none, and lets go of it."""
        gone: list[MessageId] = []
        for mailbox in sorted({one.mailbox for one in left}):
            rows = [(one.uid, message, one.created) for one in left if one.mailbox == mailbox]
            gone = self._remove(account, mailbox, rows, modseq)
            self._raise_mailbox(mailbox, modseq)
        self._drop_messages(account, gone)

    def _stands(self, account: AccountId, message: MessageId) -> list[_Stands]:
        rows = self.sql.all(
            f"SELECT mailbox_id, uid, {self._flags_of('p')}, flags, keywords, created_modseq, size, received_at,"
            " thread_key FROM membership p WHERE message_id = ? ORDER BY mailbox_id, uid",
            (message,),
        )
        return [
            _Stands(
                mailbox,
                uid,
                flags,
                common,
                NO_KEYWORDS if words is None else self._open_keywords(account, message, words),
                *more,
            )
            for mailbox, uid, flags, common, words, *more in rows
        ]


def _lying(seer: Seer | None, wanted: int, common: int) -> int:
    """The flags as they are to lie there: who reads as themselves leaves the common \\Seen alone."""
    return wanted if seer is None else wanted & ~SEEN | common & SEEN
