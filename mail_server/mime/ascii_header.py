"""Header fields that a program wrote in 8 bits, written again in ASCII: servers without SMTPUTF8 take them.

Such fields need RFC 6531 on their whole way; RFC 2047 and RFC 2231 said the same before, and everybody reads them.
Invariants: only fields with an octet above 127 change; what people read of them stays the same; where an address
itself is not ASCII, or a field is no text (a trace, an id, a signature), the field keeps its bytes.
"""

from __future__ import annotations

from mail_server.mime.addresses import Group, parse
from mail_server.mime.build import address_field, header_field, parameter
from mail_server.mime.charsets import decode_text
from mail_server.mime.headers import Field, decoded, fields, split_parameters

_ADDRESSES = frozenset({"from", "sender", "reply-to", "to", "cc", "disposition-notification-to"})
_WITH_PARAMETERS = frozenset({"content-type", "content-disposition"})
_LONGEST = 998
_TEXT = frozenset(
    {"subject", "comments", "keywords", "organization", "user-agent", "x-mailer", "content-description"}
)


def ascii_header(block: bytes) -> bytes:
    """A header with its blank line, if it has one."""
    if block.isascii():
        return block
    found = fields(block)
    kept = b"".join(one.raw for one in found)
    if kept + b"\r\n" != block and kept != block:
        return block  # there is more in it than fields, or more than is interpreted
    return b"".join(one.raw if one.raw.isascii() else _rewritten(one) for one in found) + block[len(kept) :]


def _rewritten(one: Field) -> bytes:
    name = one.raw.partition(b":")[0].decode("latin-1").strip()
    if one.name in _ADDRESSES:
        made = _of_people(name, one)
    elif one.name in _WITH_PARAMETERS:
        made = _with_parameters(name, one)
    elif one.name in _TEXT or one.name.startswith("x-"):
        made = header_field(name, decoded(one.value))
    else:
        made = one.raw
    return made if made.isascii() and len(max(made.split(b"\n"), key=len)) < _LONGEST else one.raw


def _of_people(name: str, one: Field) -> bytes:
    people = parse(one.value)
    pairs = [(each.name, each.spec) for each in people if not isinstance(each, Group)]
    if len(pairs) < len(people) or not pairs or any(each.count("@") != 1 for _, each in pairs):
        return one.raw
    return address_field(name, pairs)


def _with_parameters(name: str, one: Field) -> bytes:
    main, given = split_parameters(one.value)
    written = [main]
    for key, value in given:
        label = key.decode("latin-1")
        if not key.isascii() or (b"*" in key and not value.isascii()):
            return one.raw
        told = value.decode("ascii") if value.isascii() else decode_text(value)
        written.append(parameter(label, told))
    return name.encode() + b": " + b";\r\n ".join(written) + b"\r\n"
