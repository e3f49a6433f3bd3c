"""Bytes that a client leaves for a while: written, given up (RFC 8620 §6.1).

Invariants: they lie like any body, under the account's data key, and count as one reference on their blob; nobody
but their account reads them; an account's oldest make room for its newest, so that nobody fills the disk by leaving
things.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mail_server.store.at_rest import bound_column
from mail_server.store.filing import Filing
from mail_server.store.identifiers import new_id
from mail_server.store.interface import StoreError
from mail_server.store.model import StagedBlob, Upload


class Uploading(Filing):
    """The part of a transaction that keeps and drops uploads."""

    def keep_upload(self, blob: StagedBlob, media_type: str, expires: int) -> Upload:
        account = blob.owner
        if account is None:
            raise StoreError("an upload lies under its account's key")
        self.require_space()
        self._lock(account)
        self._make_room(account, blob.clear_size)
        self._reference_blob(blob)
        upload = new_id("U")
        sealed = self._cipher(account).seal(media_type.encode(), bound_column(account, b"media", upload))
        self.sql.run(
            "INSERT INTO upload (id, account_id, blob_id, media_type, expires) VALUES (?, ?, ?, ?, ?)",
            (upload, account, blob.blob_id, sealed, expires),
        )
        self.volume += len(blob.stored)
        return Upload(upload, account, blob.clear_size, media_type, expires)

    def drop_uploads(self, before: int) -> int:
        return self._drop(
            self.sql.all("SELECT id, blob_id FROM upload WHERE expires < ? ORDER BY id", (before,))
        )

    def _make_room(self, account: str, wanted: int) -> None:
        """RFC 8620 §6.1: who goes over their share loses the uploads they made first."""
        rows = self.sql.all(
            "SELECT u.id, u.blob_id, b.clear_size FROM upload u JOIN blob b ON b.blob_id = u.blob_id"
            " WHERE u.account_id = ? ORDER BY u.id",  # ids begin with the time
            (account,),
        )
        over = sum(row[2] for row in rows) + wanted - self._shared.settings.upload_bytes
        dropped: list[tuple[Any, ...]] = []
        for row in rows:
            if over <= 0:
                break
            over -= row[2]
            dropped.append(row)
        self._drop(dropped)

    def _drop(self, rows: Sequence[tuple[Any, ...]]) -> int:
        dropped = 0
        for upload, blob_id, *_ in rows:
            # Another node may drop the same ones: who deletes the row lets go of the blob, once.
            if self.sql.run("DELETE FROM upload WHERE id = ?", (upload,)):
                self._dereference_blob(bytes(blob_id), 1)
                dropped += 1
        return dropped
