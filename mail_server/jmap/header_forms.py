"""Header fields as JMAP tells them: `header:Name:asForm:all` and the properties that stand for some (RFC 8621 §4.1.2).

Invariants: a form is given only to fields it is defined for; reading never raises; NUL never passes.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mail_server import mime
from mail_server.jmap.protocol.errors import invalid_arguments
from mail_server.mime.unicode_forms import normalised

_ADDRESSES = frozenset(
    f"{again}{name}"
    for again in ("", "resent-")
    for name in ("from", "sender", "reply-to", "to", "cc", "bcc")
)
_IDS = frozenset(["message-id", "in-reply-to", "references", "resent-message-id"])
_DATES = frozenset({"date", "resent-date"})
_URLS = frozenset(
    ["list-help", "list-unsubscribe", "list-subscribe", "list-post", "list-owner", "list-archive"]
)
_TEXTS = frozenset({"subject", "comments", "keywords", "list-id"})
_RAW_ALONE = frozenset({"return-path", "received"})  # defined in RFC 5322, with no form of their own
_DEFINED = _ADDRESSES | _IDS | _DATES | _URLS | _TEXTS | _RAW_ALONE
_NAME = re.compile(r"[!-9;-~]+")
_URL = re.compile(r"<([^<>]*)>")
_ZONE = re.compile(rb"([+-])(\d\d)(\d\d)\s*(?:\(|\Z)")
_MOST_URLS = 100


def raw(found: mime.Field) -> str:
    return found.raw.partition(b":")[2].rstrip(b"\r\n").decode("utf-8", "replace").replace("\0", "")


def _text(found: mime.Field) -> str:
    return normalised("NFC", mime.decoded(found.value)).strip()


def _address(one: mime.Address) -> dict[str, Any]:
    return {"name": one.name.strip() or None, "email": one.spec}


def _addresses(found: mime.Field) -> list[dict[str, Any]]:
    return [_address(one) for one in mime.mailboxes(found.value)]


def _grouped(found: mime.Field) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = []
    loose: list[dict[str, Any]] | None = None  # addresses in no group, in a row
    for one in mime.parse_addresses(found.value):
        if isinstance(one, mime.Group):
            groups.append({"name": one.name.strip(), "addresses": [_address(each) for each in one.members]})
            loose = None
        elif loose is None:
            loose = [_address(one)]
            groups.append({"name": None, "addresses": loose})
        else:
            loose.append(_address(one))
    return groups


def _message_ids(found: mime.Field) -> list[str] | None:
    return [each[1:-1].decode("utf-8", "replace") for each in mime.message_ids(found.value)] or None


def _date(found: mime.Field) -> str | None:
    """RFC 8620 §1.4 Date: the offset as it was written."""
    sent = mime.sent_date(found.value)
    if sent is None:
        return None
    zone = _ZONE.search(found.value[:256])
    minutes = (int(zone[2]) * 60 + int(zone[3])) * (-1 if zone[1] == b"-" else 1) if zone else 0
    if abs(minutes) >= 24 * 60:
        minutes = 0
    try:
        at = datetime.datetime.fromtimestamp(
            sent.ms / 1000, datetime.timezone(datetime.timedelta(minutes=minutes))
        )
    except (ValueError, OverflowError, OSError):
        return None
    return at.replace(microsecond=0).isoformat().replace("+00:00", "Z")


def _urls(found: mime.Field) -> list[str] | None:
    return [url.strip() for url in _URL.findall(mime.decoded(found.value))][:_MOST_URLS] or None


_FORMS: dict[str, tuple[Callable[[mime.Field], Any], frozenset[str] | None]] = {
    "asRaw": (raw, None),
    "asText": (_text, _TEXTS),
    "asAddresses": (_addresses, _ADDRESSES),
    "asGroupedAddresses": (_grouped, _ADDRESSES),
    "asMessageIds": (_message_ids, _IDS),
    "asDate": (_date, _DATES),
    "asURLs": (_urls, _URLS),
}


@dataclass(frozen=True, slots=True)
class Wish:
    """One header property that was asked for."""

    property: str
    name: str  # lower case
    read: Callable[[mime.Field], Any]
    all: bool = False

    def of(self, fields: Sequence[mime.Field]) -> Any:
        found = [each for each in fields if each.name == self.name]
        if self.all:
            return [self.read(each) for each in found]
        return self.read(found[-1]) if found else None  # the last one counts (RFC 8621 §4.1.3)


# RFC 8621 §4.1.2.3: properties that stand for a header field.
NAMED: dict[str, Wish] = {
    each.property: each
    for each in (
        Wish("messageId", "message-id", _message_ids),
        Wish("inReplyTo", "in-reply-to", _message_ids),
        Wish("references", "references", _message_ids),
        Wish("sender", "sender", _addresses),
        Wish("from", "from", _addresses),
        Wish("to", "to", _addresses),
        Wish("cc", "cc", _addresses),
        Wish("bcc", "bcc", _addresses),
        Wish("replyTo", "reply-to", _addresses),
        Wish("subject", "subject", _text),
        Wish("sentAt", "date", _date),
    )
}


def wish_of(asked: str) -> Wish:
    """`header:...` read. Raises MethodError invalidArguments."""
    _, name, *rest = asked.split(":")
    every = bool(rest) and rest[-1] == "all"
    if every:
        rest.pop()
    form = rest.pop() if rest else "asRaw"
    if rest or _NAME.fullmatch(name) is None or form not in _FORMS:
        raise invalid_arguments("A header property is not one")
    read, defined = _FORMS[form]
    lower = name.lower()
    if defined is not None and lower in _DEFINED and lower not in defined:
        raise invalid_arguments("A header field has no such form")
    return Wish(asked, lower, read, every)


def headers(fields: Sequence[mime.Field]) -> list[dict[str, str]]:
    """The `headers` property: every field, names as written (RFC 8621 §4.1.3)."""
    return [
        {"name": each.raw.partition(b":")[0].strip().decode("utf-8", "replace"), "value": raw(each)}
        for each in fields
    ]
