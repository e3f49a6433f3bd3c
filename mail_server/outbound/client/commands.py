"""MAIL and RCPT lines, with the parameters that the peer offers to take.

Invariants: no address or parameter can add a command or a parameter of its own; nothing is said that was not
offered; of a letter that fails the other side is asked to return its header alone (RET=HDRS).
"""

from __future__ import annotations

import re

from mail_server.outbound.client.offers import Offers
from mail_server.outbound.interface import Leaving, Notify, OutgoingRecipient

_CONTROL_OR_ANGLE = re.compile(r"[\x00-\x1f\x7f-\x9f<>]")
_XTEXT = re.compile(r"[!-*,-<>-~]|\+[0-9A-F]{2}")  # RFC 3461 §4: no "+" nor "=" by themselves
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9-]{1,32}\Z")  # "rfc822", "utf-8" (RFC 6533 §3)
_LONGEST_ADDRESS = 254 + 66  # a path of RFC 5321, with room for a quoted local part
_LONGEST_ENVID = 100  # RFC 3461 §5.4
_LONGEST_ORCPT = 500
_NOTIFY = ((Notify.SUCCESS, "SUCCESS"), (Notify.FAILURE, "FAILURE"), (Notify.DELAY, "DELAY"))


def speakable(address: str) -> bool:
    """Whether an address can stand between the angle brackets of a path (RFC 5321 §4.1.2)."""
    if not 0 < len(address) <= _LONGEST_ADDRESS or _CONTROL_OR_ANGLE.search(address):
        return False
    local, at, domain = address.rpartition("@")
    if not (local and at and domain) or " " in domain:
        return False
    return " " not in local or (local.startswith('"') and local.endswith('"'))


def needs_smtputf8(letter: Leaving) -> bool:
    return (
        letter.smtputf8
        or not letter.mail_from.isascii()
        or not all(recipient.address.isascii() for recipient in letter.recipients)
    )


def mail(letter: Leaving, offers: Offers, *, smtputf8: bool) -> bytes:
    line = f"MAIL FROM:<{letter.mail_from}>"
    if offers.size and letter.size > 0:
        line += f" SIZE={letter.size}"
    if letter.eight_bit and offers.eight_bit:
        line += " BODY=8BITMIME"
    if smtputf8:
        line += " SMTPUTF8"
    if offers.dsn and letter.mail_from:
        line += " RET=HDRS"
        if _is_xtext(letter.envid, _LONGEST_ENVID):
            line += f" ENVID={letter.envid}"
    return line.encode("utf-8") + b"\r\n"


def rcpt(recipient: OutgoingRecipient, offers: Offers) -> bytes:
    line = f"RCPT TO:<{recipient.address}>"
    if offers.dsn:
        if recipient.notify:
            line += f" NOTIFY={notify_words(recipient.notify)}"
        kind, _, original = recipient.orcpt.partition(";")
        if _ADDRESS_TYPE.match(kind) and _is_xtext(original, _LONGEST_ORCPT):
            line += f" ORCPT={recipient.orcpt}"
    return line.encode("utf-8") + b"\r\n"


def notify_words(notify: Notify) -> str:
    if notify & Notify.NEVER:
        return "NEVER"  # it excludes the others (RFC 3461 §4.1)
    return ",".join(word for flag, word in _NOTIFY if notify & flag)


def _is_xtext(text: str, longest: int) -> bool:
    return 0 < len(text) <= longest and not _XTEXT.sub("", text)
