"""Decoded rows kept in memory within a byte budget, so that a listing asked again costs no decryption.

Invariants: an entry is valid only for the modseq it was read at; nothing read inside a write transaction enters.
Two generations instead of an LRU list: a hit in the older one moves up, and when the younger is full the older is
dropped whole; no lock, every step is one dict operation.
"""

from __future__ import annotations

from collections.abc import Sequence

from mail_server.store.model import MailboxId, MessageRow

_ENTRY = 700  # bytes of Python objects around one row's content


class RowCache:
    def __init__(self, budget: int) -> None:
        self._half = budget // 2
        self._young: dict[tuple[MailboxId, int], MessageRow] = {}
        self._old: dict[tuple[MailboxId, int], MessageRow] = {}
        self._young_bytes = 0

    def split(
        self, mailbox: MailboxId, current: list[tuple[int, int]]
    ) -> tuple[list[MessageRow | None], list[int]]:
        """For (uid, modseq) pairs: the rows that still hold, in order, and the uids to read."""
        young, old = self._young.get, self._old.get
        rows: list[MessageRow | None] = []
        missing: list[int] = []
        for uid, modseq in current:
            key = (mailbox, uid)
            row = young(key)
            if row is None:
                row = old(key)
                if row is not None:
                    self.keep(mailbox, row)
            if row is not None and row.modseq == modseq:
                rows.append(row)
            else:
                rows.append(None)
                missing.append(uid)
        return rows, missing

    def may_hold(self, mailbox: MailboxId, uids: Sequence[int]) -> bool:
        """A guess by three of them: a listing never asked before need not be looked up row by row."""
        young, old = self._young, self._old
        return any(
            (key := (mailbox, uid)) in young or key in old
            for uid in (uids[0], uids[len(uids) // 2], uids[-1])
        )

    def keep(self, mailbox: MailboxId, row: MessageRow) -> None:
        if not self._half:
            return
        rendered = row.rendered
        self._young[(mailbox, row.uid)] = row
        self._young_bytes += (
            _ENTRY
            + len(rendered.header)
            + len(rendered.envelope)
            + len(rendered.bodystructure)
            + len(rendered.body)
        )
        if self._young_bytes > self._half:
            self._old, self._young, self._young_bytes = self._young, {}, 0
