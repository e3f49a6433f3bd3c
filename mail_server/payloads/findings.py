"""What can be learned of a message while its text is clear, in one pass, before it is sealed.

Here is only seen that something structured is there (`structured`); what it says is read elsewhere, in a process of its
own (`reader.py`), so that ordinary letters never pay for it.

Invariants: pure; never raises; big attachments are not decoded; what tells of the content (`summary`) is hidden from
repr and leaves here only to be sealed. After the seal none of this can be made again.
"""

from __future__ import annotations

import binascii
import html
import json
import re
from dataclasses import dataclass, field

from mail_server.mime import Part, decode_text, decoded, first, mailboxes
from mail_server.payloads.xdm import is_xdm, is_zip
from mail_server.store.model import CoarseClass, FindingsColumns, ScanVerdict

SUMMARY_LIMIT = 1024  # octets
_FIN = "[FIN]"
_TEXT = 300  # characters shown of the text
_PEEK = 2048  # octets of an encoded text looked at
_NAMES = 5  # attachments named
_ARCHIVES = 16  # ZIP archives looked into
_SUBJECT = "XDM/1.0/DDM"
_FHIR = frozenset({"fhir+json", "json+fhir"})
_MANIFEST = "vnd.vaguemestre.manifest+json"

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_MARKUP = re.compile(r"<(style|script|title)\b.*?(?:</\1\s*>|\Z)|<[^>]*>?", re.DOTALL | re.IGNORECASE)
_LAST_CHARACTER = re.compile(rb"[\xc0-\xff][\x80-\xbf]{0,3}\Z")


@dataclass(frozen=True, slots=True)
class Findings:
    coarse_class: CoarseClass = CoarseClass.MESSAGE
    closes_exchange: bool = False  # in one of the two ways that follow
    fin_subject: bool = False  # a subject that is exactly "[FIN]": closes the whole exchange
    no_answer: bool = False  # `X-MSS-MES: FIN`: this letter alone takes no answer
    has_xdm: bool = False
    has_calendar: bool = False
    has_fhir: bool = False
    has_manifest: bool = False  # a part of ours that tells what content cannot: withdrawals, decisions
    announces_xdm: bool = False  # its subject begins with `XDM/1.0/DDM`
    scan: ScanVerdict = ScanVerdict.NOT_SCANNED
    summary: bytes | None = field(default=None, repr=False)  # JSON, in clear: to be sealed
    manifest: bytes | None = field(default=None, repr=False)

    @property
    def structured(self) -> bool:
        """Whether a manifest is to be drawn (`drawing.py`)."""
        return self.has_xdm or self.has_calendar or self.has_fhir or self.has_manifest or self.announces_xdm

    @property
    def for_software(self) -> bool:
        """What a practice's software is copied: an archive, by its content or by its subject."""
        return self.has_xdm or self.announces_xdm

    def columns(self, summary: bytes | None) -> FindingsColumns:
        """What the store keeps, with `summary` (the manifest in it) as delivery sealed it."""
        return FindingsColumns(
            coarse_class=self.coarse_class,
            closes_exchange=self.closes_exchange,
            has_xdm=self.has_xdm,
            has_calendar=self.has_calendar,
            scan=self.scan,
            summary=summary,
        )


def find(message: bytes, tree: Part) -> Findings:
    """Everything a later capability may need to know of `message`, whose tree is `tree`."""
    subject = decoded(tree.fields.get(b"subject", b"")[:4096]).strip()
    has_xdm = has_calendar = has_fhir = has_manifest = False
    archives = _ARCHIVES
    text: Part | None = None
    attachments: list[Part] = []
    for part in tree.walk():
        if part.children:
            continue
        if part.type == "text" and b"content-disposition" not in part.fields:
            if part.subtype == "calendar":
                has_calendar = True
            elif text is None or (text.subtype == "html" and part.subtype == "plain"):
                text = part
        elif part.type == "application" and part.subtype == _MANIFEST:
            has_manifest = True  # a program's, not a person's: no list shows it
        elif part.type == "application" and part.subtype in _FHIR:
            has_fhir = True
            attachments.append(part)
        elif len(attachments) < _NAMES or _is_calendar(part):
            has_calendar = has_calendar or _is_calendar(part)
            attachments.append(part)
        # By content, not by name: archives come without a disposition, and as octet-stream.
        if not has_xdm and archives and is_zip(message, part):
            archives -= 1
            has_xdm = is_xdm(message, part)
    announces_xdm = subject.startswith(_SUBJECT)
    if has_xdm or announces_xdm or has_fhir or (has_manifest and not has_calendar):
        coarse = CoarseClass.RECORD
    else:
        coarse = CoarseClass.AGENDA if has_calendar else CoarseClass.MESSAGE
    fin_subject = subject == _FIN or _protected_subject(tree) == _FIN
    no_answer = _says_fin(message, tree)
    return Findings(
        coarse_class=coarse,
        closes_exchange=fin_subject or no_answer,
        fin_subject=fin_subject,
        no_answer=no_answer,
        has_xdm=has_xdm,
        has_calendar=has_calendar,
        has_fhir=has_fhir,
        has_manifest=has_manifest,
        announces_xdm=announces_xdm,
        summary=_summary(message, tree, subject, text, attachments[:_NAMES]),
    )


def _is_calendar(part: Part) -> bool:
    if part.content_type in ("text/calendar", "application/ics"):
        return True
    # Reading the name costs; a type that says what it is settles it.
    return part.content_type in ("application/octet-stream", "text/plain") and (
        (part.filename or "").lower().endswith(".ics")
    )


def _protected_subject(tree: Part) -> str | None:
    """What a signed letter says its subject is, where its program hid the one outside (RFC 9788 §2)."""
    part = tree.children[0] if tree.content_type == "multipart/signed" and tree.children else tree
    names = {name.lower() for name, _ in part.params}
    subject = part.fields.get(b"subject")
    if part is tree or subject is None or not names & {b"hp", b"protected-headers"}:
        return None
    return decoded(subject[:4096]).strip()


def _says_fin(message: bytes, tree: Part) -> bool:
    """`X-MSS-MES: FIN`; who may say so is for policy."""
    header = message[: tree.body_start]
    if b"\nx-mss-mes" not in b"\n" + header.lower():
        return False
    return (first(header, "x-mss-mes") or b"").upper() == b"FIN"


def _summary(message: bytes, tree: Part, subject: str, text: Part | None, attachments: list[Part]) -> bytes:
    """JSON of at most `SUMMARY_LIMIT` octets: subject, sender's name, beginning of the text, attachments."""
    senders = mailboxes(tree.fields.get(b"from", b"")[:2000])
    sender = (senders[0].name or senders[0].spec) if senders else ""
    names = [[(part.filename or "")[:60], part.content_type[:60]] for part in attachments]
    shown = {"subject": subject[:200], "from": sender[:80], "text": "", "parts": names}
    shown["text"] = _beginning(message, text) if text is not None else ""
    while len(octets := _encode(shown).encode("utf-8", "replace")) > SUMMARY_LIMIT:
        if shown["text"]:
            shown["text"] = shown["text"][: len(shown["text"]) * 3 // 4 - 1] if len(shown["text"]) > 8 else ""
        elif names:
            names.pop()
        else:
            shown["subject"] = shown["subject"][: len(shown["subject"]) // 2]
            shown["from"] = shown["from"][: len(shown["from"]) // 2]
    return octets


def _beginning(message: bytes, part: Part) -> str:
    """The first words of a text part, without decoding all of it."""
    cut = part.size > _PEEK
    piece = message[part.body_start : min(part.body_end, part.body_start + _PEEK)]
    if part.encoding == "quoted-printable":
        sign = piece.rfind(b"=", max(len(piece) - 2, 0)) if cut else -1
        piece = binascii.a2b_qp(piece if sign < 0 else piece[:sign])
    elif part.encoding == "base64":
        digits = piece.translate(None, b" \t\r\n")
        try:
            piece = binascii.a2b_base64(digits[: len(digits) // 4 * 4])
        except binascii.Error:
            return ""
    if cut:  # a character may be cut too, and would make UTF-8 look like something else
        piece = _LAST_CHARACTER.sub(b"", piece)
    text = decode_text(piece, part.charset)
    if part.subtype == "html":
        text = html.unescape(_MARKUP.sub(" ", text))
    return " ".join(text[: 4 * _TEXT].split())[:_TEXT]
