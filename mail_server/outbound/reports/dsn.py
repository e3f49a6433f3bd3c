"""Composes a report: multipart/report with words, the machine's part and the letter's outer fields (RFC 3461 §6,
RFC 3464, RFC 6522; RFC 6533 where an address is not ASCII).

Invariants: pure, the same bytes for the same report; never a subject, never content, whatever RET asked: the third part
holds the outer allow-list alone; a value of a peer cannot open a field; Final-Recipient is what the sender may know.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from mail_server import mime
from mail_server.outbound.interface import Outcome
from mail_server.outbound.reports import asked, words
from mail_server.outbound.reports.interface import Fate, Settled, Told
from mail_server.outbound.reports.words import Line

# The outside of a letter (DESIGN §1), without what a report has no use for. A subject is not among them.
RETURNED = (
    "from",
    "to",
    "cc",
    "reply-to",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "auto-submitted",
)
_LONGEST_RETURNED = 8192
_ACTIONS = {
    Fate.RELAYED: "relayed",
    Fate.DELIVERED: "delivered",
    Fate.DELAYED: "delayed",
    Fate.FAILED: "failed",
    Fate.EXPIRED: "failed",
    Fate.CANCELLED: "failed",
}
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?")
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Report:
    """One report for one sender: a letter, and what became of it for some of its recipients."""

    name: str  # hex, unique: of its Message-ID and its boundary
    domain: str  # of this node
    to: str = field(repr=False)
    told: Told
    lines: Sequence[Line]
    at: int  # ms
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Europe/Paris"), repr=False)


@dataclass(frozen=True, slots=True)
class Composed:
    data: bytes = field(repr=False)
    head: bytes = field(repr=False)  # its own outer fields
    smtputf8: bool  # an address in its header is not ASCII (RFC 6531)
    eight_bit: bool


def compose(report: Report) -> Composed:
    told, lines = report.told, report.lines
    groups = [_about_letter(report), *(_about_recipient(report, line.settled) for line in lines)]
    machine = "\r\n".join(groups)
    returned = returned_fields(told.head)
    # RFC 6533 §4, §5: what is not ASCII has types of its own.
    wide, wide_header = not machine.isascii(), not returned.isascii()
    parts = [
        mime.text_part(words.text(told, lines, report.zone)),
        _part(
            "message/global-delivery-status" if wide else "message/delivery-status", machine.encode(), wide
        ),
        _part("message/global-headers" if wide_header else "text/rfc822-headers", returned, wide_header),
    ]
    kind, body = mime.multipart(
        "report", parts, boundary=f"=_{report.name}", params=b"report-type=delivery-status"
    )
    original = mime.message_ids(mime.first(told.head, "message-id") or b"")[:1]
    fields = (
        b"Date: " + mime.date_text(report.at) + b"\r\n",
        mime.address_field("From", [("Vaguemestre", f"postmaster@{report.domain}")]),
        mime.address_field("To", [("", report.to)]),
        mime.header_field("Message-ID", f"<report.{report.name}@{report.domain}>"),
        *(mime.header_field(name, one) for one in original for name in ("In-Reply-To", "References")),
        b"Auto-Submitted: auto-replied\r\n",  # RFC 3834 §5.1: who receives it answers nothing
    )
    subject = mime.header_field("Subject", words.subject(lines))
    head = b"".join(fields)
    data = b"".join((head, subject, b"MIME-Version: 1.0\r\n", kind, b"\r\n", body))
    return Composed(data, head, not head.isascii(), not data.isascii())


def returned_fields(head: bytes) -> bytes:
    """What of the letter's header comes back: outer fields alone, UTF-8, whole fields up to a limit."""
    kept: list[bytes] = []
    size = 0
    for found in mime.fields(head):
        if found.name not in RETURNED:
            continue
        raw = found.raw.rstrip(b"\r\n").decode("utf-8", "replace").encode() + b"\r\n"
        size += len(raw)
        if size > _LONGEST_RETURNED:
            break
        kept.append(raw)
    return b"".join(kept)


def _part(kind: str, body: bytes, wide: bool) -> bytes:
    """Each field ends with a line end of its own, also the last (RFC 3464 §2.1): the delimiter's is not the part's."""
    encoding = b"Content-Transfer-Encoding: 8bit\r\n" if wide else b""
    lines = body.rstrip(b"\r\n")
    return b"Content-Type: %b\r\n%b\r\n%b" % (kind.encode(), encoding, lines + b"\r\n" if lines else b"")


def _about_letter(report: Report) -> str:
    """RFC 3464 §2.2."""
    told = report.told
    lines: list[str] = []
    if told.envid and (envid := asked.xtext_decoded(told.envid)):
        lines.append(_field("Original-Envelope-Id", envid))
    lines.append(_field("Reporting-MTA", f"dns; {report.domain}"))
    lines.append(_field("Arrival-Date", mime.date_text(told.accepted_at).decode()))
    return "".join(lines)


def _about_recipient(report: Report, line: Settled) -> str:
    """RFC 3464 §2.3."""
    lines: list[str] = []
    given = asked.original(line.recipient.orcpt) if line.recipient.orcpt else None
    if given is not None:
        lines.append(_field("Original-Recipient", f"{given[0]}; {given[1]}"))
    address = line.recipient.address
    kind = "rfc822" if address.isascii() else "utf-8"
    lines.append(_field("Final-Recipient", f"{kind}; {address}"))
    lines.append(_field("Action", _ACTIONS[line.fate]))
    lines.append(_field("Status", _status(line)))
    last = line.last
    if last is not None:
        if _HOST.fullmatch(last.host):
            lines.append(_field("Remote-MTA", f"dns; {last.host}"))
        lines.append(_field("Diagnostic-Code", _diagnostic(last)))
    if line.fate is not Fate.DELIVERED and last is not None:
        lines.append(_field("Last-Attempt-Date", mime.date_text(report.at).decode()))
    if line.fate is Fate.DELAYED and line.until:
        lines.append(_field("Will-Retry-Until", mime.date_text(line.until).decode()))
    return "".join(lines)


def _status(line: Settled) -> str:
    """RFC 3463, agreeing with the action (RFC 3464 §2.3.4)."""
    if line.fate is Fate.EXPIRED:
        return "4.4.7"  # RFC 3463 §3.5: a persistent transient error
    if line.fate is Fate.CANCELLED:
        return "5.7.1"
    kind = {Fate.DELAYED: "4", Fate.FAILED: "5"}.get(line.fate, "2")
    said = line.last.enhanced if line.last is not None else ""
    return said if _STATUS.fullmatch(said) and said[0] == kind else f"{kind}.0.0"


def _diagnostic(last: Outcome) -> str:
    """RFC 3464 §2.3.6: the peer's own words, or the slug of ours."""
    if last.code:
        return "smtp; " + " ".join(each for each in (str(last.code), last.enhanced, last.said) if each)
    slug = last.reason if _SLUG.fullmatch(last.reason) else "unknown"
    return f"X-Vaguemestre; {slug}"


def _field(name: str, value: str) -> str:
    """One line, or folded; a value cannot open another field."""
    text = " ".join(value.replace("\x00", " ").split())
    line = f"{name}: {text}"
    if len(line) <= 900:
        return line + "\r\n"
    return line[:900] + "\r\n"
