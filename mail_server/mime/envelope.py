"""IMAP's ENVELOPE (RFC 9051 §7.5.2) and the strings it is made of.

Invariants: what is returned is always well-formed IMAP, whatever the header said; values are the field's own
bytes, unfolded and not decoded.
"""

from __future__ import annotations

import re

from mail_server.mime.addresses import MAX_ADDRESSES, Address, Group, parse

_NOT_PLAIN = re.compile(rb"[^\t\x20\x21\x23-\x5b\x5d-\x7e]")
_NOT_QUOTABLE = re.compile(rb"[^\t\x20-\x7e]")


def string(value: bytes) -> bytes:
    """A quoted string, or a literal for what cannot be quoted: 8 bits, CR, LF (RFC 9051 §4.3).

    NUL may stand in neither, and becomes `?`.
    """
    if _NOT_PLAIN.search(value) is None:
        return b'"' + value + b'"'
    if _NOT_QUOTABLE.search(value) is None:
        return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return b"{%d}\r\n%b" % (len(value), value.replace(b"\0", b"?"))


def nstring(value: bytes | None) -> bytes:
    return b"NIL" if value is None else string(value)


class AddressBudget:
    """How many addresses one message may still show, nested messages included."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_ADDRESSES


def envelope(fields: dict[bytes, bytes], budget: AddressBudget | None = None) -> bytes:
    """The text that stands after `ENVELOPE `; `fields` as `Part.fields`."""
    budget = budget or AddressBudget()
    get = fields.get
    sender = _addresses(get(b"from"), budget)
    # RFC 9051 §7.5.2: Sender and Reply-To, absent or empty, are From.
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        nstring(get(b"date")),
        nstring(get(b"subject")),
        sender or b"NIL",
        _addresses(get(b"sender"), budget) or sender or b"NIL",
        _addresses(get(b"reply-to"), budget) or sender or b"NIL",
        _addresses(get(b"to"), budget) or b"NIL",
        _addresses(get(b"cc"), budget) or b"NIL",
        _addresses(get(b"bcc"), budget) or b"NIL",
        nstring(get(b"in-reply-to")),
        nstring(get(b"message-id")),
    )


def _addresses(value: bytes | None, budget: AddressBudget) -> bytes | None:
    if not value:
        return None
    out: list[bytes] = []
    for entry in parse(value, budget.left):
        if isinstance(entry, Group):
            out.append(b"(NIL NIL %b NIL)" % string(entry.raw_name))
            out.extend(map(_address, entry.members))
            out.append(b"(NIL NIL NIL NIL)")
            budget.left -= len(entry.members) + 1
        else:
            out.append(_address(entry))
            budget.left -= 1
    return b"(%b)" % b"".join(out) if out else None


def _address(address: Address) -> bytes:
    # A host of NIL would open a group, a mailbox of NIL close one: what is missing is an empty string.
    return b"(%b %b %b %b)" % (
        nstring(address.raw_name),
        nstring(address.route),
        string(address.raw_local),
        string(address.raw_domain),
    )
