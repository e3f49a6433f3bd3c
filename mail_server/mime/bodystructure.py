"""IMAP's BODYSTRUCTURE, and BODY, its form without extension data (RFC 9051 §7.5.2).

Invariants: both come from one walk and describe the same tree that `sections` addresses; the text is
well-formed IMAP for any tree that `parse` returns; depth is bounded by the tree's.
"""

from __future__ import annotations

from mail_server.mime.envelope import AddressBudget, envelope, nstring, string
from mail_server.mime.parts import Part


def bodystructure(tree: Part, budget: AddressBudget | None = None) -> tuple[bytes, bytes]:
    """The texts that stand after `BODY ` and after `BODYSTRUCTURE `."""
    return _structure(tree, budget or AddressBudget())


def _structure(part: Part, budget: AddressBudget) -> tuple[bytes, bytes]:
    if part.type == "multipart":
        below = [_structure(child, budget) for child in part.children]
        subtype = string(part.subtype.encode("latin-1"))
        return (
            b"(%b %b)" % (b"".join([body for body, _ in below]), subtype),
            b"(%b %b %b %b)"
            % (b"".join([full for _, full in below]), subtype, _params(part.params), _extension(part)),
        )
    fields = part.fields
    basic = b"%b %b %b %b %b %b %d" % (
        string(part.type.encode("latin-1")),
        string(part.subtype.encode("latin-1")),
        _params(part.params),
        nstring(fields.get(b"content-id")),
        nstring(fields.get(b"content-description")),
        string(part.encoding.encode("latin-1")),
        part.body_end - part.body_start,
    )
    extension = nstring(fields.get(b"content-md5")) + b" " + _extension(part)
    if part.type == "text":
        basic += b" %d" % part.lines
    elif part.children:
        inner = part.children[0]
        head = b"%b %b" % (basic, envelope(inner.fields, budget))
        body, full = _structure(inner, budget)
        return b"(%b %b %d)" % (head, body, part.lines), b"(%b %b %d %b)" % (
            head,
            full,
            part.lines,
            extension,
        )
    return b"(" + basic + b")", b"(" + basic + b" " + extension + b")"


def _params(params: tuple[tuple[bytes, bytes], ...]) -> bytes:
    if not params:
        return b"NIL"
    return b"(%b)" % b" ".join([string(name) + b" " + string(value) for name, value in params])


def _extension(part: Part) -> bytes:
    """Disposition, language, location: what multiparts and leaves share."""
    fields = part.fields
    disposition = language = b"NIL"
    if b"content-disposition" in fields:
        kind = part.disposition
        if kind:
            disposition = b"(%b %b)" % (string(kind.encode("latin-1")), _params(part.disposition_params))
    if b"content-language" in fields:
        languages = part.languages
        if languages:
            language = b"(%b)" % b" ".join([string(tag) for tag in languages])
    return b"%b %b %b" % (disposition, language, nstring(fields.get(b"content-location")))
