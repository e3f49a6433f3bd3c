"""The envelope of a submission: as the client gives it, or drawn from the letter's header (RFC 8621 §7).

Invariants: addresses are those of RFC 5321, in ASCII or UTF-8, without a line break; of the parameters only those
of FUTURERELEASE (RFC 4865) are known, and no other is passed over in silence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from mail_server import mime
from mail_server.jmap.interface import SetError
from mail_server.jmap.protocol.errors import invalid_properties
from mail_server.jmap.submission_rows import Addressed

_ADDRESS = re.compile(r"[^\s<>@\x00-\x1f\x7f]{1,64}@[^\s<>@\x00-\x1f\x7f]{1,255}")
_SECONDS = re.compile(r"[0-9]{1,9}")


def read_envelope(value: Any, header: bytes) -> Addressed:
    """Raises SetError invalidProperties, invalidRecipients, noRecipients."""
    if value is None:
        return _of_header(header)
    envelope = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    mail_from, rcpt_to = envelope.get("mailFrom"), envelope.get("rcptTo")
    if envelope.keys() - {"mailFrom", "rcptTo"} or not isinstance(rcpt_to, list):
        raise invalid_properties("envelope")
    sender, parameters = _address(mail_from)
    recipients: list[str] = []
    for each in cast("list[Any]", rcpt_to):
        address, unknown = _address(each)
        if unknown:
            raise invalid_properties("envelope", description="Parameters of recipients are not known here")
        recipients.append(address)
    return _checked(Addressed(sender, parameters, recipients, given=True))


def _address(value: Any) -> tuple[str, dict[str, str | None]]:
    members = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    email, given = members.get("email"), members.get("parameters")
    if not isinstance(email, str) or members.keys() - {"email", "parameters"}:
        raise invalid_properties("envelope")
    if given is not None and not isinstance(given, dict):
        raise invalid_properties("envelope")
    known: dict[str, str | None] = {}
    for name, each in cast("dict[str, Any]", given or {}).items():
        if not (each is None or isinstance(each, str)):
            raise invalid_properties("envelope")
        known[name.upper()] = each
    return email.strip(), known


def _of_header(header: bytes) -> Addressed:
    """RFC 8621 §7.5: Sender, or the one From; To, Cc and Bcc."""
    fields = mime.fields(header)

    def named(*names: str) -> list[str]:
        return [
            one.spec
            for name in names
            for each in fields
            if each.name == name
            for one in mime.mailboxes(each.value)
        ]

    senders = named("sender") or named("from")
    if len(senders) != 1:
        raise SetError("forbiddenFrom", "The letter has not one sender")
    return _checked(Addressed(senders[0], {}, named("to", "cc", "bcc"), given=False))


def _checked(to: Addressed) -> Addressed:
    once: dict[str, str] = {}
    for each in to.recipients:
        once.setdefault(each.lower(), each)
    to.recipients = list(once.values())
    if not to.recipients:
        raise SetError("noRecipients")
    wrong = [each for each in to.recipients if _ADDRESS.fullmatch(each) is None]
    if wrong:
        raise SetError("invalidRecipients", invalidRecipients=wrong)
    if _ADDRESS.fullmatch(to.mail_from) is None:
        raise invalid_properties("envelope")
    return to


def send_at(parameters: Mapping[str, str | None], now: int, longest: int) -> int:
    """When it leaves, by HOLDFOR or HOLDUNTIL (RFC 4865 §3). Raises SetError invalidProperties."""
    if parameters.keys() - {"HOLDFOR", "HOLDUNTIL"} or len(parameters) > 1:
        raise invalid_properties("envelope", description="Only HOLDFOR or HOLDUNTIL is known here")
    at = now
    if "HOLDFOR" in parameters:
        seconds = parameters["HOLDFOR"]
        if seconds is None or _SECONDS.fullmatch(seconds) is None:
            raise invalid_properties("envelope", description="HOLDFOR is a number of seconds")
        at = now + int(seconds) * 1000
    elif "HOLDUNTIL" in parameters:
        at = max(_moment(parameters["HOLDUNTIL"]), now)
    if at - now > longest * 1000:
        raise invalid_properties("envelope", description="That is longer than letters are held here")
    return at


def _moment(text: str | None) -> int:
    """RFC 4865 §3: an RFC 3339 date-time; without a zone it would mean nothing sure."""
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise invalid_properties("envelope", description="HOLDUNTIL is a date and time with its zone")
    return int(at.astimezone(UTC).timestamp() * 1000)


def is_from(header: bytes, addresses: frozenset[str]) -> bool:
    """Whether the letter's one author is one of these (lower case)."""
    fields = [each for each in mime.fields(header) if each.name == "from"]
    authors = [one.spec.lower() for each in fields for one in mime.mailboxes(each.value)]
    return len(fields) == 1 and len(authors) == 1 and authors[0] in addresses
