"""Tolerant, byte-level MIME: see README.md for the public names and what holds for all of them."""

from __future__ import annotations

from mail_server.mime.addresses import Address, Group, mailboxes
from mail_server.mime.addresses import parse as parse_addresses
from mail_server.mime.build import (
    address_field,
    attachment_part,
    date_text,
    header_field,
    multipart,
    new_boundary,
    new_message_id,
    parameter,
    text_part,
)
from mail_server.mime.charsets import decode_text
from mail_server.mime.dates import Dated, received_date, sent_date
from mail_server.mime.entity import AUTHORS, restored, without
from mail_server.mime.headers import (
    MAX_HEADER,
    Field,
    decoded,
    fields,
    first,
    header_block,
    message_ids,
    parameters,
    select,
    unfold,
)
from mail_server.mime.parts import Part, parse
from mail_server.mime.pgp_mime import Ciphertext, ciphertext, dearmor, inline_pgp, is_encrypted, wrap
from mail_server.mime.protect import protect, unprotected
from mail_server.mime.rendering import Rendered, render, render_encrypted
from mail_server.mime.reports import reported_ids
from mail_server.mime.search import contains, fold, searchable_text
from mail_server.mime.sections import (
    UnknownEncoding,
    binary,
    binary_size,
    decoded_body,
    find_part,
    section,
)
from mail_server.mime.seven_bit import is_seven_bit, seven_bit
from mail_server.mime.smime import enveloped

__all__ = [
    "AUTHORS",
    "MAX_HEADER",
    "Address",
    "Ciphertext",
    "Dated",
    "Field",
    "Group",
    "Part",
    "Rendered",
    "UnknownEncoding",
    "address_field",
    "attachment_part",
    "binary",
    "binary_size",
    "ciphertext",
    "contains",
    "date_text",
    "dearmor",
    "decode_text",
    "decoded",
    "decoded_body",
    "enveloped",
    "fields",
    "find_part",
    "first",
    "fold",
    "header_block",
    "header_field",
    "inline_pgp",
    "is_encrypted",
    "is_seven_bit",
    "mailboxes",
    "message_ids",
    "multipart",
    "new_boundary",
    "new_message_id",
    "parameter",
    "parameters",
    "parse",
    "parse_addresses",
    "protect",
    "received_date",
    "render",
    "render_encrypted",
    "reported_ids",
    "restored",
    "searchable_text",
    "section",
    "select",
    "sent_date",
    "seven_bit",
    "text_part",
    "unfold",
    "unprotected",
    "without",
    "wrap",
]
