"""Blob ids and what they stand for: a whole Email, a part of one, an upload (RFC 8620 §6).

Invariants: a blob id names its kind and what it lies in, nothing is remembered for it; another account's blob is
not found, like one that never was.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mail_server import mime
from mail_server.jmap import bodies
from mail_server.jmap.emails import visible
from mail_server.store.interface import NoSuchMessage, Reader
from mail_server.store.model import AccountId, MessageId


class NoSuchBlob(Exception):
    """The account has no such blob."""


@dataclass(frozen=True, slots=True)
class Blob:
    data: bytes = field(repr=False)
    type: str
    message: tuple[MessageId, str] | None = None  # whose content it is, for the trace
    part: bool = False  # an attachment, not the whole letter


def read_blob(reader: Reader, account: AccountId, blob: str) -> Blob:
    """Raises NoSuchBlob."""
    try:
        if blob.startswith("U"):
            upload, data = reader.upload(account, blob)
            return Blob(data, upload.media_type)
        if blob.startswith("B"):
            data, message = _message(reader, account, blob[1:])
            return Blob(data, "message/rfc822", message)
        named = bodies.read_part_blob(blob)
        if named is not None:
            data, message = _message(reader, account, named[0])
            tree = mime.parse(data)
            part = mime.find_part(tree, named[1])
            if part is not None and not part.is_multipart:
                return Blob(bodies.octets_of(data, part)[0], part.content_type, message, part=True)
    except NoSuchMessage:
        pass
    raise NoSuchBlob


def _message(reader: Reader, account: AccountId, email_id: str) -> tuple[bytes, tuple[MessageId, str]]:
    row = visible(reader, account, [email_id]).get(email_id)
    if row is None:
        raise NoSuchBlob
    return reader.content(row.message), (row.message, row.email_id)
