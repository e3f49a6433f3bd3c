"""From the properties of an Email to the bytes of a message (RFC 8621 §4.6): what `Email/set create` writes.

Invariants: what the properties do not say exactly is refused, with their names; no value can open a header field of
its own; parts are copied in base64 and never changed. A letter composed here is in clear: see `email_create` for
where that is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from mail_server import mime
from mail_server.jmap.interface import SetError
from mail_server.jmap.protocol.errors import invalid_properties
from mail_server.mime.build import base64_lines

_ADDRESSES = {
    "from": "From", "sender": "Sender", "replyTo": "Reply-To", "to": "To", "cc": "Cc", "bcc": "Bcc",
}  # fmt: skip
_IDS = {"messageId": "Message-ID", "inReplyTo": "In-Reply-To", "references": "References"}
_BODY = frozenset({"bodyStructure", "textBody", "htmlBody", "attachments", "bodyValues"})
HEADERS = frozenset([*_ADDRESSES, *_IDS, "subject", "sentAt"])
KNOWN = HEADERS | _BODY
_PART = frozenset(
    {
        "partId",
        "blobId",
        "size",
        "name",
        "type",
        "charset",
        "disposition",
        "cid",
        "language",
        "location",
        "subParts",
    }
)
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,60}", re.IGNORECASE)
_TOKEN = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,60}")
_ID = re.compile(r"[^\s<>\x00-\x1f\x7f]{1,250}")
_SPEC = re.compile(r"[^\s<>,;:\"()\[\]\\\x00-\x1f\x7f@]{1,64}@[^\s<>,;:\"()\[\]\\\x00-\x1f\x7f@]{1,255}")
_FIELD = re.compile(r"header:([!-9;-~]{1,60})(:as(?:Raw|Text))?")
_OURS = re.compile(r"(?i)content-|mime-version\Z|vaguemestre-|received\Z|return-path\Z")
_DEEPEST = 10
_MOST_PARTS = 200

Blobs = Mapping[str, tuple[bytes, str]]  # what blob ids stand for: octets and their type


@dataclass(frozen=True, slots=True)
class Body:
    """The parts as one tree, whichever way they were given."""

    tree: dict[str, Any] = field(repr=False)
    values: Mapping[str, str] = field(repr=False)


def blobs_named(wanted: Mapping[str, Any]) -> set[str]:
    """Every blob id the parts name."""
    body = _body(wanted)
    return {
        each["blobId"]
        for each in _walk(body.tree)
        if isinstance(each.get("blobId"), str) and each.get("partId") is None
    }


def composed(wanted: Mapping[str, Any], blobs: Blobs, now: int) -> bytes:
    """The message. Raises SetError."""
    body = _body(wanted)
    head = _header(wanted, now)
    fields, content = _entity(body.tree, body.values, blobs, 0)
    return b"".join([*head, b"MIME-Version: 1.0\r\n", *fields, b"\r\n", content])


# ── header ──


def _header(wanted: Mapping[str, Any], now: int) -> list[bytes]:
    lines: dict[str, bytes] = {}
    for name, value in wanted.items():
        if value is None or name in _BODY:
            continue
        title, line = _field(name, value)
        if title.lower() in lines:
            raise invalid_properties(name, description="A header field is given twice")
        lines[title.lower()] = line
    if "from" not in lines:
        raise invalid_properties("from", description="A letter has an author")
    if "date" not in lines:
        lines["date"] = mime.header_field("Date", mime.date_text(now))
    if "message-id" not in lines:
        author = mime.mailboxes(lines["from"].partition(b":")[2])
        domain = author[0].domain if author else "localhost"
        lines["message-id"] = mime.header_field("Message-ID", mime.new_message_id(domain))
    return list(lines.values())


def _field(name: str, value: Any) -> tuple[str, bytes]:
    if name in _ADDRESSES:
        return _ADDRESSES[name], mime.address_field(_ADDRESSES[name], _people(name, value))
    if name in _IDS:
        ids = cast("list[Any]", value) if isinstance(value, list) else [None]
        if not all(isinstance(each, str) and _ID.fullmatch(each) for each in ids):
            raise invalid_properties(name)
        text = " ".join(f"<{each}>" for each in ids)
        return _IDS[name], mime.header_field(_IDS[name], text)
    if not isinstance(value, str):
        raise invalid_properties(name)
    if name == "subject":
        return "Subject", mime.header_field("Subject", value)
    if name == "sentAt":
        return "Date", mime.header_field("Date", mime.date_text(_moment(value)))
    match = _FIELD.fullmatch(name)
    if match is None or _OURS.match(match[1]):
        raise invalid_properties(name)
    return match[1], mime.header_field(match[1], value)


def _people(name: str, value: Any) -> list[tuple[str, str]]:
    people: list[tuple[str, str]] = []
    for each in cast("list[Any]", value) if isinstance(value, list) else [None]:
        one = cast("dict[str, Any]", each) if isinstance(each, dict) else {}
        display, email = one.get("name"), one.get("email")
        if not isinstance(email, str) or not (display is None or isinstance(display, str)):
            raise invalid_properties(name)
        if _SPEC.fullmatch(email.strip()) is None:
            raise invalid_properties(name, description="An address is malformed")
        people.append((display or "", email.strip()))
    return people


def _moment(value: str) -> int:
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise invalid_properties("sentAt") from None
    if at.tzinfo is None:
        raise invalid_properties("sentAt")
    return int(at.timestamp() * 1000)


# ── body ──


def _body(wanted: Mapping[str, Any]) -> Body:
    values = _values(wanted.get("bodyValues"))
    structure = wanted.get("bodyStructure")
    if structure is not None:
        if any(wanted.get(each) is not None for each in ("textBody", "htmlBody", "attachments")):
            raise invalid_properties("bodyStructure", description="The parts are given in two ways")
        return Body(_object(structure, "bodyStructure"), values)
    alternatives: list[dict[str, Any]] = []
    for name, kind in (("textBody", "text/plain"), ("htmlBody", "text/html")):
        given = wanted.get(name)
        if given is not None:
            parts = cast("list[Any]", given) if isinstance(given, list) else []
            if len(parts) != 1 or _object(parts[0], name).get("type", kind) != kind:
                raise invalid_properties(name)
            alternatives.append({**_object(parts[0], name), "type": kind})
    given = wanted.get("attachments")
    attached = cast("list[Any]", given) if isinstance(given, list) else []
    if given is not None and not isinstance(given, list):
        raise invalid_properties("attachments")
    attachments = [{"disposition": "attachment", **_object(each, "attachments")} for each in attached]
    if len(alternatives) == 2:
        main: dict[str, Any] = {"type": "multipart/alternative", "subParts": alternatives}
    else:
        main = alternatives[0] if alternatives else {"type": "text/plain", "partId": "", "empty": True}
    tree = {"type": "multipart/mixed", "subParts": [main, *attachments]} if attachments else main
    return Body(tree, {**values, "": ""})


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid_properties(name)
    return cast("dict[str, Any]", value)


def _values(value: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for part, each in _object({} if value is None else value, "bodyValues").items():
        one = _object(each, "bodyValues")
        text = one.get("value")
        if not isinstance(text, str) or one.get("isEncodingProblem") or one.get("isTruncated"):
            raise invalid_properties("bodyValues")
        found[part] = text
    return found


def _walk(tree: Mapping[str, Any], depth: int = 0) -> list[dict[str, Any]]:
    found = [dict(tree)]
    parts = tree.get("subParts")
    if depth > _DEEPEST or not (parts is None or isinstance(parts, list)):
        raise invalid_properties("bodyStructure")
    for each in cast("list[Any]", parts or ()):
        found += _walk(_object(each, "bodyStructure"), depth + 1)
        if len(found) > _MOST_PARTS:
            raise invalid_properties("bodyStructure", description="Too many parts")
    return found


def _entity(
    part: Mapping[str, Any], values: Mapping[str, str], blobs: Blobs, depth: int
) -> tuple[list[bytes], bytes]:
    """Header fields and content of one part."""
    kind = part.get("type") or ("multipart/mixed" if part.get("subParts") else "text/plain")
    if not isinstance(kind, str) or _TYPE.fullmatch(kind) is None:
        raise invalid_properties("type")
    if part.keys() - _PART - {"empty"}:
        raise invalid_properties(*sorted(part.keys() - _PART))
    if kind.lower().startswith("multipart/"):
        children = cast("list[dict[str, Any]]", part.get("subParts") or [])
        whole = [_joined(_entity(each, values, blobs, depth + 1)) for each in children]
        if not whole or part.get("partId") or part.get("blobId"):
            raise invalid_properties("subParts")
        line, content = mime.multipart(kind.partition("/")[2].lower(), whole)
        return [line], content
    if part.get("subParts"):
        raise invalid_properties("subParts")
    return _leaf(part, kind.lower(), values, blobs)


def _joined(entity: tuple[list[bytes], bytes]) -> bytes:
    return b"".join([*entity[0], b"\r\n", entity[1]])


def _leaf(
    part: Mapping[str, Any], kind: str, values: Mapping[str, str], blobs: Blobs
) -> tuple[list[bytes], bytes]:
    part_id, blob_id = part.get("partId"), part.get("blobId")
    if (part_id is None) is (blob_id is None):
        raise invalid_properties("partId", "blobId", description="A part has one source")
    if part_id is not None:
        if part.get("charset") is not None or not isinstance(part_id, str) or part_id not in values:
            raise invalid_properties("partId")
        if not kind.startswith("text/"):
            raise invalid_properties("type", description="A text is of a text type")
        entity = mime.text_part(values[part_id], kind.partition("/")[2])
        head, _, content = entity.partition(b"\r\n\r\n")
        return [head + b"\r\n", *_described(part)], content
    found = blobs.get(blob_id) if isinstance(blob_id, str) else None
    if found is None:
        raise SetError("blobNotFound", notFound=[blob_id])
    parameters = _charset(part, kind)
    if isinstance(part.get("name"), str):
        parameters += b";\r\n " + mime.parameter("name", part["name"])
    line = b"Content-Type: " + kind.encode("ascii") + parameters + b"\r\n"
    encoding = b"Content-Transfer-Encoding: base64\r\n"
    return [line, encoding, *_described(part)], base64_lines(found[0])


def _charset(part: Mapping[str, Any], kind: str) -> bytes:
    charset = part.get("charset")
    if charset is None:
        return b""
    if not isinstance(charset, str) or _TOKEN.fullmatch(charset) is None or not kind.startswith("text/"):
        raise invalid_properties("charset")
    return b"; charset=" + charset.encode("ascii")


def _described(part: Mapping[str, Any]) -> list[bytes]:
    """The other fields of a part."""
    lines: list[bytes] = []
    disposition, name = part.get("disposition"), part.get("name")
    if disposition is None and isinstance(name, str):
        disposition = "attachment"
    if disposition is not None:
        if not isinstance(disposition, str) or _TOKEN.fullmatch(disposition) is None:
            raise invalid_properties("disposition")
        named = b";\r\n " + mime.parameter("filename", name) if isinstance(name, str) else b""
        lines.append(b"Content-Disposition: " + disposition.lower().encode("ascii") + named + b"\r\n")
    for key, title, write in _DESCRIPTIONS:
        value = part.get(key)
        if value is not None:
            text = write(value)
            if text is None:
                raise invalid_properties(key)
            lines.append(mime.header_field(title, text))
    return lines


def _cid(value: Any) -> str | None:
    return f"<{value}>" if isinstance(value, str) and _ID.fullmatch(value) else None


def _languages(value: Any) -> str | None:
    words: list[Any] = cast("list[Any]", value) if isinstance(value, list) else [None]
    if not all(isinstance(each, str) and _TOKEN.fullmatch(each) for each in words):
        return None
    return ", ".join(words)


def _location(value: Any) -> str | None:
    return value if isinstance(value, str) and value.isascii() else None


_DESCRIPTIONS: tuple[tuple[str, str, Callable[[Any], str | None]], ...] = (
    ("cid", "Content-ID", _cid),
    ("language", "Content-Language", _languages),
    ("location", "Content-Location", _location),
)
