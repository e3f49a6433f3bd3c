"""What receiving software answers to a letter with documents: integrated, or not and why ("volet transmission au LPS de
documents CDA provenant d'un courriel MSSanté"; reference/mssante.md §4.5).

An MDN (RFC 8098) goes by itself only to who asked for one and from where the letter came (§2.1); otherwise a failure is
told by an ordinary letter with the same subject. Both give back the archive and the PDF, for the sender to try again.
Invariants: reading never raises; an answer to an answer is never made.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from mail_server import mime
from mail_server.mime import Part
from mail_server.payloads.record import mss_fields
from mail_server.payloads.record.refusal import AnsCode
from mail_server.payloads.xdm import is_xdm, is_zip

LABELS: Final = {
    AnsCode.WRONG_VERSION: "Version non prise en charge",
    AnsCode.AUTHOR_NOT_ALLOWED: "Auteur non autorisé",
    AnsCode.UNKNOWN_PATIENT: "Identifiant de patient inconnu",
    AnsCode.INS_ABSENT: "INS absente",
    AnsCode.INS_MISMATCH: "INS discordante",
    AnsCode.INS_INCOMPLETE: "INS incomplète",
    AnsCode.OTHER: "Autre erreur",
}
_ASKS: Final = "disposition-notification-to"
_ERROR: Final = re.compile(r"(?:^|[\s:;/(])(90[0-6])\s*\^?\s*([^^|\r\n]{0,200})")
_TEXT: Final = 4000  # characters of the letter that are shown again


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a letter in the software: `code` None when its documents were integrated."""

    code: AnsCode | None = None
    detail: str = field(default="", repr=False)

    @property
    def label(self) -> str:
        return LABELS[self.code] if self.code else ""


@dataclass(frozen=True, slots=True)
class IntegrationAnswer:
    """An answer read: whether it failed, why, and which letter it answers ("" when it does not say)."""

    failed: bool
    code: AnsCode | None
    label: str = field(default="", repr=False)
    original_message_id: str = field(default="", repr=False)  # with its brackets
    receipt: bool = False  # an MDN; else an ordinary letter


@dataclass(frozen=True, slots=True)
class Answerer:
    """Who answers: the address of the software, its domain, and the moment in milliseconds."""

    address: str
    domain: str
    at: int


def may_answer_alone(message: bytes, return_path: str) -> bool:
    """Whether an MDN may go without anybody's consent: asked for, and to where the letter came from (RFC 8098 §2.1)."""
    header = mime.header_block(message)
    asked = [one.spec.lower() for one in mime.mailboxes(mime.first(header, _ASKS) or b"")]
    automatic = (mime.first(header, "auto-submitted") or b"no").strip().lower() != b"no"
    return not automatic and bool(return_path) and asked == [return_path.lower()]


def acknowledgement(message: bytes, outcome: Outcome, by: Answerer, return_path: str) -> bytes | None:
    """The answer to a letter; None when there is none to give: integrated and not asked for, or itself an answer."""
    tree = mime.parse(message)
    if read(message, tree) is not None or not return_path:
        return None
    alone = may_answer_alone(message, return_path)
    if not alone and outcome.code is None:
        return None
    header = mime.header_block(message)
    told = mss_fields.parsed(mime.decoded(mime.first(header, "subject") or b""))
    subject = f"{mss_fields.PREFIX}+{told.text}" if told.structured else told.text
    if outcome.code is not None:
        subject = f"{mss_fields.FAILED}[{int(outcome.code)}] {subject}"
    original = mime.message_ids(mime.first(header, "message-id") or b"")
    parts = [mime.text_part(_words(outcome))]
    if alone:
        parts.append(_disposition(header, outcome, by, original))
    if alone or outcome.code is not None:
        parts.append(_given_back(message, tree))
    if outcome.code is not None:
        parts.extend(_attached(message, tree))
    # RFC 6522 §3: the first three parts have their places; what follows is for a person.
    kind, body = (
        mime.multipart("report", parts, params=b"report-type=disposition-notification")
        if alone
        else mime.multipart("mixed", parts)
    )
    fields = [
        mime.address_field("From", [("", by.address)]),
        mime.address_field("To", [("", return_path)]),
        b"Date: " + mime.date_text(by.at) + b"\r\n",
        mime.header_field("Message-ID", mime.new_message_id(by.domain)),
        mime.header_field("Subject", subject),
        *[mime.header_field("In-Reply-To", one) for one in original[:1]],
        b"Auto-Submitted: auto-replied\r\n",
        b"MIME-Version: 1.0\r\n",
        kind,
    ]
    return b"".join([*fields, b"\r\n", body])


def _words(outcome: Outcome) -> str:
    if outcome.code is None:
        return "Le document a été intégré automatiquement dans le logiciel du destinataire.\n"
    lines = [
        "Le message ci-dessous n’a pas pu être intégré automatiquement pour la raison suivante\u00a0:",
        f"{int(outcome.code)} {outcome.label}",
        *([outcome.detail] if outcome.detail else []),
        "",
        "L’archive et le PDF reçus sont joints, pour un nouvel envoi après correction.",
    ]
    return "\n".join(lines) + "\n"


def _disposition(header: bytes, outcome: Outcome, by: Answerer, original: list[bytes]) -> bytes:
    """message/disposition-notification (RFC 8098 §3.2), with the fields that the volet asks for."""
    sent_to = mime.first(header, "original-recipient")
    how = "automatic-action/MDN-sent-automatically; processed"
    if outcome.code is not None:
        how += f"/Error: {int(outcome.code)}^{_ascii(outcome.label)}"
    lines = [
        mime.header_field("Original-Recipient", sent_to or f"rfc822;{by.address}"),
        mime.header_field("Final-Recipient", f"rfc822;{by.address}"),
        *[b"Original-Message-ID: " + one + b"\r\n" for one in original[:1]],
        b"Disposition: " + how.encode("ascii") + b"\r\n",
    ]
    return b"Content-Type: message/disposition-notification\r\n\r\n" + b"".join(lines)


def _given_back(message: bytes, tree: Part) -> bytes:
    """The letter again, its header and its words; its attachments follow on their own."""
    kept = mime.select(
        mime.header_block(message), ("date", "from", "to", "cc", "subject", "message-id", "mime-version")
    )
    text = next(
        (part for part in tree.walk() if part.content_type == "text/plain" and not part.filename), None
    )
    words = mime.decode_text(_content(message, text), text.charset)[:_TEXT] if text is not None else ""
    return b"Content-Type: message/rfc822\r\n\r\n" + kept.rstrip(b"\r\n") + b"\r\n" + mime.text_part(words)


def _attached(message: bytes, tree: Part) -> Iterable[bytes]:
    for part in tree.walk():
        if part.is_multipart or part.is_message:
            continue
        if is_zip(message, part) and is_xdm(message, part):
            yield mime.attachment_part(_content(message, part), "application/zip", "IHE_XDM.zip")
        elif part.content_type == "application/pdf":
            name = part.filename or "document.pdf"
            yield mime.attachment_part(_content(message, part), "application/pdf", name)


def _content(message: bytes, part: Part) -> bytes:
    try:
        return mime.decoded_body(message, part)
    except mime.UnknownEncoding:
        return part.body(message)


def read(message: bytes, tree: Part) -> IntegrationAnswer | None:
    """What a letter says of another's integration; None when it says nothing of one."""
    subject = mss_fields.parsed(mime.decoded(tree.fields.get(b"subject", b"")[:4096]))
    report = _report(message, tree)
    if report is not None:
        return _of_report(report, subject)
    if not subject.failed:
        return None
    code = subject.code or _code_in_words(message, tree)
    original = _named(tree.fields.get(b"in-reply-to", b"")) or _enclosed(message, tree)
    return IntegrationAnswer(True, code or AnsCode.OTHER, LABELS[code or AnsCode.OTHER], original)


def _report(message: bytes, tree: Part) -> dict[str, bytes] | None:
    """Fields of the machine's part of an MDN."""
    if tree.content_type != "multipart/report":
        return None
    for part in tree.children:
        if part.content_type == "message/disposition-notification":
            block = _content(message, part)[:65536]
            return {one.name: one.value for one in reversed(mime.fields(block.lstrip(b"\r\n")))}
    return None


def _of_report(report: dict[str, bytes], subject: mss_fields.Subject) -> IntegrationAnswer | None:
    """An MDN about an integration: "processed" by software; "displayed" is a person who read."""
    disposition = report.get("disposition", b"").decode("utf-8", "replace")
    kind = disposition.partition(";")[2].strip()
    done, _, modifier = kind.partition("/")
    if done.strip().lower() != "processed":
        return None
    failed = "error" in modifier.lower() or subject.failed or "error" in report
    if not failed and not subject.structured:
        return None
    original = _named(report.get("original-message-id", b""))
    if not failed:
        return IntegrationAnswer(False, None, "", original, receipt=True)
    said = f"{modifier}\n{report.get('error', b'').decode('utf-8', 'replace')}"
    found = _ERROR.search(said)
    code = AnsCode(int(found[1])) if found else subject.code or AnsCode.OTHER
    label = found[2].strip() if found else ""
    known = not label or label == _ascii(LABELS[code])
    return IntegrationAnswer(True, code, LABELS[code] if known else label, original, receipt=True)


def _ascii(text: str) -> str:
    """Fields of an MDN are ASCII (RFC 8098 §3.1; RFC 6533 would need another type, which few programs read)."""
    return unicodedata.normalize("NFD", text).encode("ascii", "ignore").decode("ascii")


def _named(value: bytes) -> str:
    ids = mime.message_ids(value)
    return ids[0].decode("latin-1") if ids else ""


def _enclosed(message: bytes, tree: Part) -> str:
    """The Message-ID of the letter that came back inside."""
    for part in tree.walk():
        if part.is_message and part is not tree:
            inner = part.body(message)[:65536]
            found = _named(mime.first(mime.header_block(inner), "message-id") or b"")
            if found:
                return found
    return ""


def _code_in_words(message: bytes, tree: Part) -> AnsCode | None:
    """Some write the code in the text alone."""
    text = next((part for part in tree.walk() if part.content_type == "text/plain"), None)
    if text is None:
        return None
    found = _ERROR.search(mime.decode_text(_content(message, text), text.charset)[:_TEXT])
    return AnsCode(int(found[1])) if found else None
