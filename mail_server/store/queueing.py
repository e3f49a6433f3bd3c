"""Bytes of letters that wait to leave: kept for the outbound queue, read by it, dropped by it.

Invariants: they lie under the node's shared key, already sealed to who may read them; each name is one reference on
its blob, so that one body kept for several letters lies down once and goes with the last of them.
"""

from __future__ import annotations

from mail_server.store.identifiers import new_id
from mail_server.store.interface import StoreError
from mail_server.store.model import StagedBlob
from mail_server.store.uploading import Uploading


class Queueing(Uploading):
    """The part of a transaction that keeps and drops what the queue names."""

    def keep_queued(self, blob: StagedBlob) -> str:
        if blob.owner is not None:
            raise StoreError("what waits to leave lies under the shared key")
        self.require_space()
        self._reference_blob(blob)
        name = new_id("Q")
        self.sql.run("INSERT INTO queued (id, blob_id) VALUES (?, ?)", (name, blob.blob_id))
        self.volume += len(blob.stored)
        return name

    def drop_queued(self, name: str) -> bool:
        row = self.sql.one("DELETE FROM queued WHERE id = ? RETURNING blob_id", (name,))
        if row is None:
            return False
        self._dereference_blob(bytes(row[0]), 1)
        return True
