"""The envelope of a submission: as the client gives it, or drawn from the letter's header (RFC 8621 §7).

Invariants: addresses are those of RFC 5321, in ASCII or UTF-8, without a line break; of the parameters only those
of FUTURERELEASE (RFC 4865) and of DSN (RFC 3461, values decoded) are known, and no other is passed over in silence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from mail_server import mime
from mail_server.delivery.interface import Asked, MailParameters
from mail_server.jmap.interface import SetError
from mail_server.jmap.protocol.errors import invalid_properties
from mail_server.jmap.submission_rows import Addressed
from mail_server.outbound.interface import Notify
from mail_server.outbound.reports import asked

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
    _envid_of(parameters)
    recipients: list[str] = []
    wishes: dict[str, dict[str, str | None]] = {}
    for each in cast("list[Any]", rcpt_to):
        address, wanted = _address(each)
        _asked_of(wanted)
        recipients.append(address)
        if wanted:
            wishes.setdefault(address, wanted)
    return _checked(Addressed(sender, parameters, recipients, given=True, asked=wishes))


def asked_of(to: Addressed, address: str) -> Asked:
    """What is to be told of this recipient."""
    return _asked_of(to.asked.get(address, {}))


def parameters_of(to: Addressed, size: int) -> MailParameters:
    ret, envid = _envid_of(to.parameters)
    return MailParameters(size=size, body="8BITMIME", ret=ret, envid=envid)


def _asked_of(given: Mapping[str, str | None]) -> Asked:
    """RFC 3461 §4.1, §4.2; what stands here is not in xtext (RFC 8621 §7). Raises SetError invalidProperties."""
    if given.keys() - asked.KEYWORDS_OF_RCPT:
        raise invalid_properties("envelope", description="Only NOTIFY and ORCPT are known here")
    notify = asked.notify(given["NOTIFY"]) if "NOTIFY" in given else Notify.NONE
    orcpt = asked.orcpt_written(given["ORCPT"] or "") if "ORCPT" in given else ""
    if notify is None or orcpt is None:
        raise invalid_properties("envelope", description="NOTIFY or ORCPT is not as RFC 3461 has it")
    return Asked(notify, orcpt)


def _envid_of(given: Mapping[str, str | None]) -> tuple[str, str]:
    """RFC 3461 §4.3, §4.4. Raises SetError invalidProperties."""
    ret = asked.ret(given["RET"]) if "RET" in given else ""
    envid = asked.envid_written(given["ENVID"] or "") if "ENVID" in given else ""
    if ret is None or envid is None:
        raise invalid_properties("envelope", description="RET or ENVID is not as RFC 3461 has it")
    return ret, envid


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
    held = parameters.keys() - asked.KEYWORDS_OF_MAIL
    if held - {"HOLDFOR", "HOLDUNTIL"} or len(held) > 1:
        raise invalid_properties(
            "envelope", description="Only HOLDFOR or HOLDUNTIL, RET and ENVID are known here"
        )
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
