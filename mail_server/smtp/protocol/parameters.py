"""MAIL, RCPT and EHLO arguments: the path parser of RFC 5321 §4.1.2 and one table of parameters per command.

Invariants: a parsed address is in one canonical form (needless quotes gone, domain in lower case, source
route dropped), so that two spellings of one mailbox never pass a rule differently; the case of values is
kept; whatever is not in the table is refused with 555 5.5.4 (RFC 5321 §4.1.1.11).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeVar

from mail_server.outbound.interface import Notify
from mail_server.outbound.reports import asked
from mail_server.smtp.protocol import replies
from mail_server.smtp.protocol.replies import CommandRefused, Reply

# RFC 5321 §4.5.3.1: octets of a local part, of a domain, of a path with its angle brackets.
_MAX_LOCAL, _MAX_DOMAIN, _MAX_PATH = 64, 255, 256

_UTF8 = "\u00a0-\U0010ffff"  # RFC 6531 §3.3 adds UTF8-non-ascii; C1 controls are left out
_ATOM = rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~\-{_UTF8}]+"
_DOT_STRING = rf"{_ATOM}(?:\.{_ATOM})*"
_QUOTED = rf'"(?:[ !#-\[\]-~{_UTF8}]|\\[ -~])*"'
_LABEL = rf"[A-Za-z0-9{_UTF8}](?:[A-Za-z0-9\-{_UTF8}]{{0,61}}[A-Za-z0-9{_UTF8}])?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
_PATH = re.compile(
    rf"<(?:@{_DOMAIN}(?:,@{_DOMAIN})*:)?"  # source route: taken, not followed (RFC 5321 §4.1.1.3)
    rf"(?P<local>{_DOT_STRING}|{_QUOTED})@(?:(?P<domain>{_DOMAIN})|(?P<literal>\[[!-Z^-~]*\]))>"
)
_POSTMASTER = re.compile(r"<postmaster>", re.IGNORECASE)
_WHOLE_DOT_STRING = re.compile(_DOT_STRING)
_PARAMETER = re.compile(rf"([A-Za-z0-9][A-Za-z0-9\-]*)(?:=([!-<>-~{_UTF8}]+))?")
_SIZE = re.compile(r"[0-9]{1,20}")  # RFC 1870 §4
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+")  # RFC 3461 §4
_HELLO = re.compile(r"[!-~]{1,255}")

_Value = TypeVar("_Value")

_MAIL_PARAMETERS = frozenset({"SIZE", "BODY", "SMTPUTF8", "AUTH"}) | asked.KEYWORDS_OF_MAIL
_RCPT_PARAMETERS = asked.KEYWORDS_OF_RCPT


@dataclass(frozen=True, slots=True)
class MailCommand:
    """MAIL FROM, parsed. `address` is "" for the null sender (RFC 5321 §4.5.5)."""

    address: str
    size: int | None = None
    body: str = "7BIT"
    smtputf8: bool = False
    ret: str = ""  # RFC 3461 §4.3
    envid: str = field(default="", repr=False)  # RFC 3461 §4.4, as given


@dataclass(frozen=True, slots=True)
class RcptCommand:
    """RCPT TO, parsed."""

    address: str
    notify: Notify = Notify.NONE  # RFC 3461 §4.1
    orcpt: str = field(default="", repr=False)  # RFC 3461 §4.2, as given


def hello_name(argument: str) -> str:
    """The name given at EHLO or HELO: kept as it is, never believed."""
    if not _HELLO.fullmatch(argument):
        raise CommandRefused(replies.HELLO_SYNTAX)
    return argument


def mail(argument: str, *, extended: bool, auth_offered: bool) -> MailCommand:
    """Parse what follows `MAIL `. `extended`: the session began with EHLO (RFC 5321 §4.1.1.11)."""
    rest = _after_keyword(argument, "FROM:", replies.MAIL_SYNTAX)
    if rest.startswith("<>"):
        address, rest = "", rest[2:]
    else:
        address, rest = _path(rest, replies.BAD_SENDER, replies.SENDER_LITERAL)
    given = _parameters(rest, replies.MAIL_SYNTAX)
    allowed = _MAIL_PARAMETERS if auth_offered else _MAIL_PARAMETERS - {"AUTH"}
    if given and (not extended or not given.keys() <= allowed):
        raise CommandRefused(replies.UNKNOWN_PARAMETER)
    size = given.get("SIZE")
    if "SIZE" in given and (size is None or not _SIZE.fullmatch(size)):
        raise CommandRefused(replies.BAD_PARAMETER)
    if given.get("SMTPUTF8") is not None:  # RFC 6531 §3.4: it takes no value
        raise CommandRefused(replies.BAD_PARAMETER)
    smtputf8 = "SMTPUTF8" in given
    if not smtputf8 and not argument.isascii():
        raise CommandRefused(replies.NEEDS_SMTPUTF8)
    _check_auth(given)
    ret = _wanted(asked.ret(given["RET"])) if "RET" in given else ""
    envid = _wanted(asked.envid(given["ENVID"])) if "ENVID" in given else ""
    return MailCommand(address, None if size is None else int(size), _body(given), smtputf8, ret, envid)


def recipient(argument: str, *, extended: bool, smtputf8: bool, postmaster_domain: str) -> RcptCommand:
    """Parse what follows `RCPT `; `<Postmaster>` alone is the node's own (RFC 5321 §4.5.1)."""
    rest = _after_keyword(argument, "TO:", replies.RCPT_SYNTAX)
    postmaster = _POSTMASTER.match(rest)
    if postmaster:
        address, rest = f"postmaster@{postmaster_domain}", rest[postmaster.end() :]
    else:
        address, rest = _path(rest, replies.BAD_RECIPIENT, replies.RECIPIENT_LITERAL)
    given = _parameters(rest, replies.RCPT_SYNTAX)
    if given and (not extended or not given.keys() <= _RCPT_PARAMETERS):
        raise CommandRefused(replies.UNKNOWN_PARAMETER)
    if not smtputf8 and not address.isascii():
        raise CommandRefused(replies.NEEDS_SMTPUTF8)
    notify = _wanted(asked.notify(given["NOTIFY"])) if "NOTIFY" in given else Notify.NONE
    orcpt = _wanted(asked.orcpt(given["ORCPT"], smtputf8=smtputf8)) if "ORCPT" in given else ""
    return RcptCommand(address, notify, orcpt)


def _wanted(value: _Value | None) -> _Value:
    if value is None:
        raise CommandRefused(replies.BAD_PARAMETER)
    return value


def _after_keyword(argument: str, keyword: str, syntax: Reply) -> str:
    if argument[: len(keyword)].upper() != keyword:
        raise CommandRefused(syntax)
    # A space after the colon is against RFC 5321 §3.3 but harmless, and older hospital systems write it.
    return argument[len(keyword) :].lstrip(" ")


def _path(text: str, malformed: Reply, literal: Reply) -> tuple[str, str]:
    """The canonical address and what follows the path."""
    found = _PATH.match(text)
    if found is None:
        raise CommandRefused(malformed)
    if found["literal"] is not None:
        # A mailbox on a bare IP has no domain that a trust list could name.
        raise CommandRefused(literal)
    local, domain = _unquoted(found["local"]), found["domain"].lower()
    octets_local, octets_domain = len(local.encode()), len(domain.encode())
    if (
        octets_local > _MAX_LOCAL
        or octets_domain > _MAX_DOMAIN
        or octets_local + octets_domain + 3 > _MAX_PATH
    ):
        raise CommandRefused(malformed)
    return f"{local}@{domain}", text[found.end() :]


def _unquoted(local: str) -> str:
    """RFC 5321 §4.1.2:

    quotes and backslashes have no meaning of their own; keep only those that are needed.
    """
    if not local.startswith('"'):
        return local
    bare = re.sub(r"\\(.)", r"\1", local[1:-1])
    if _WHOLE_DOT_STRING.fullmatch(bare):
        return bare
    return '"' + re.sub(r'(["\\])', r"\\\1", bare) + '"'


def _parameters(text: str, syntax: Reply) -> dict[str, str | None]:
    """Keywords in capitals, values as written, None where there is no `=`."""
    if not text:
        return {}
    if not text.startswith(" "):
        raise CommandRefused(syntax)
    given: dict[str, str | None] = {}
    for word in text.split():
        found = _PARAMETER.fullmatch(word)
        if found is None:
            raise CommandRefused(syntax)
        keyword = found[1].upper()
        if keyword in given:
            raise CommandRefused(replies.REPEATED_PARAMETER)
        given[keyword] = found[2]
    return given


def _body(given: dict[str, str | None]) -> str:
    """RFC 6152 §2. BINARYMIME (RFC 3030 §3) is not offered, hence unknown."""
    if "BODY" not in given:
        return "7BIT"
    value = given["BODY"]
    if value is None:
        raise CommandRefused(replies.BAD_PARAMETER)
    if value.upper() not in ("7BIT", "8BITMIME"):
        raise CommandRefused(replies.UNKNOWN_PARAMETER)
    return value.upper()


def _check_auth(given: dict[str, str | None]) -> None:
    """RFC 4954 §5:

    `AUTH=<>` or xtext. No peer is trusted to vouch for another, so the value goes no further.
    """
    if "AUTH" not in given:
        return
    value = given["AUTH"]
    if value is None or not _XTEXT.fullmatch(value):
        raise CommandRefused(replies.BAD_PARAMETER)
