"""Decide on the content and find what only clear text can give: one pass, in memory (DESIGN §1, steps 2 and 3).

Invariants: MAIL FROM = From = who handed over; nothing of the message reaches a log or an exception text.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from directory.openpgp.packets import PacketError, recipient_key_ids
from directory.x509.cms import CmsError, KeyName, recipients
from mail_server import mime
from mail_server.delivery.gate import domain_of
from mail_server.delivery.interface import Sender
from mail_server.mime.headers import parameter_text, strip_comments
from mail_server.payloads.findings import Findings, find
from mail_server.payloads.manifest import Manifest, written
from mail_server.signatures.results import Verified
from mail_server.store.model import AccountId, CoarseClass
from policies.refusal import Refusal

_LONGEST_AUTHOR = 2000  # octets of a From: no name is so long, but a parser's limits may be
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_RECEIPTS = frozenset(
    {"message/disposition-notification", "message/global-disposition-notification"}
)  # RFC 6533
_CLEAR_BESIDE = 512  # octets of prologue that programs write around the encrypted part
_TELLS_SUBJECT = frozenset({"subject", "thread-topic", "comments", "keywords"})  # the second is Outlook's
# What programs (and we) write in a subject's place; a reply puts its mark before it.
_NO_SUBJECT = re.compile(
    r"(?:(?:re|aw|tr|fwd?)\s?:\s*)*(?:\.\.\.|encrypted message|\[\.\.\.\](?: [a-z]{4})?)?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Letter:
    """A message in memory, parsed once."""

    data: bytes = field(repr=False)
    tree: mime.Part = field(repr=False)
    fields: Sequence[mime.Field] = field(repr=False)
    findings: Findings = field(repr=False)
    message_ids: tuple[bytes, ...] = field(repr=False)
    answers: bool  # it names another letter (References, In-Reply-To)
    ciphertext: bytes | None = field(repr=False)  # binary OpenPGP message, when it came encrypted
    enveloped: frozenset[KeyName] = field(default=frozenset(), repr=False)  # whom S/MIME names that came so
    manifest: Manifest | None = field(default=None, repr=False)  # of what it carries (`structured.py`)
    confidentiality: frozenset[str] = frozenset()  # codes of its documents
    cda: tuple[str, ...] = ()  # types of the CDA it carries
    identified: bool = False  # all of these name a qualified INS
    results: bytes = field(default=b"", repr=False)  # our Authentication-Results, with its CRLF
    verified: Verified | None = field(default=None, repr=False)  # where another operator handed it over
    sent_on: tuple[tuple[AccountId, AccountId], ...] = ()  # `forwarding.py`: whose letter, to which program
    vouched: bool = False  # From is not MAIL FROM, and its domain's signature speaks for it

    @property
    def beside(self) -> bytes:
        """What is sealed beside the letter: its summary, and its manifest in the same object."""
        summary = self.findings.summary or b""
        if self.manifest is None:
            return summary
        start = summary[:-1] + b"," if summary else b"{"
        return start + b'"manifest":' + written(self.manifest) + b"}"

    @property
    def disagreements(self) -> tuple[str, ...]:
        """Flags for `X-MSS-*` fields that say otherwise than the archive (reference/mssante.md §9, row 45)."""
        return tuple(one for one in self.manifest.flags if one.startswith("mss-")) if self.manifest else ()

    @property
    def subject_outside(self) -> bool:
        """An encrypted letter whose subject was left readable by the sender's program."""
        return (self.ciphertext is not None or bool(self.enveloped)) and any(
            _NO_SUBJECT.fullmatch(mime.decoded(one.value).strip()) is None
            for one in self.fields
            if one.name in _TELLS_SUBJECT
        )

    def classed(self, said: CoarseClass | None) -> Letter:
        """The same letter as who sealed it says it is; one in clear is what lies in it."""
        if said is None or self.ciphertext is None:
            return self
        return replace(self, findings=replace(self.findings, coarse_class=said))

    def closing_nothing(self) -> Letter:
        """The same letter, of someone who may not end an exchange."""
        findings = replace(self.findings, closes_exchange=False, fin_subject=False, no_answer=False)
        return replace(self, findings=findings)


async def examine(data: bytes, large: int) -> Letter:
    """Parse and find; in a thread from `large` bytes on, so that the loop is not held."""
    return await asyncio.to_thread(_examine, data) if len(data) >= large else _examine(data)


async def rewritten(letter: Letter, data: bytes, large: int) -> Letter:
    """The same letter in other bytes (a field more, a key packet less): what is known of it stays known."""
    made = await examine(data, large)
    found = letter.findings
    return replace(
        letter,
        data=made.data,
        tree=made.tree,
        fields=made.fields,
        message_ids=made.message_ids,
        answers=made.answers,
        ciphertext=made.ciphertext,
        enveloped=made.enveloped,
        findings=replace(
            made.findings,
            coarse_class=found.coarse_class,
            closes_exchange=found.closes_exchange,
            fin_subject=found.fin_subject,
            no_answer=found.no_answer,
        ),
    )


def _examine(data: bytes) -> Letter:
    tree = mime.parse(data)
    if tree.header_end > mime.MAX_HEADER:
        # A field beyond what is read could be a Bcc or a second From.
        raise Refusal(552, "5.3.4", "The message header is too large", "header-too-large")
    fields = mime.fields(data[: tree.header_end])
    ids = [
        found
        for name in ("message-id", "references", "in-reply-to")
        for one in fields
        if one.name == name
        for found in mime.message_ids(one.value)
    ]
    reported = mime.reported_ids(data, tree)
    encrypted = mime.ciphertext(data, tree) if mime.is_encrypted(tree) == "pgp" else None
    if encrypted is not None and encrypted.clear_bytes > _CLEAR_BESIDE:
        encrypted = None  # text in clear beside the ciphertext: not end-to-end sealed, so we seal the whole
    if encrypted is not None and not _is_sealed(encrypted.data):
        encrypted = None  # the frame of an encrypted letter around something else: it was only a claim
    return Letter(
        data=data,
        tree=tree,
        fields=fields,
        findings=find(data, tree),
        message_ids=tuple(dict.fromkeys([*ids, *reported]))[:50],
        answers=bool(reported) or any(one.name in ("references", "in-reply-to") for one in fields),
        ciphertext=encrypted.data if encrypted else None,
        enveloped=_enveloped(data, tree),
    )


def _is_sealed(packets: bytes) -> bool:
    try:
        recipient_key_ids(packets)
    except PacketError:
        return False
    return True


def _enveloped(data: bytes, tree: mime.Part) -> frozenset[KeyName]:
    cms = mime.enveloped(data, tree)
    try:
        return recipients(cms) if cms is not None else frozenset()
    except CmsError:
        return frozenset()


def check_receipt(letter: Letter, recipients: int) -> str:
    """What a mail program may hand in without a sender: a receipt to one addressee (RFC 8098 §3).

    Returns whose it says it is. Raises Refusal.
    """
    tree = letter.tree
    kind = parameter_text(tree.params, b"report-type") if tree.content_type == "multipart/report" else None
    if (kind or "").strip().lower() != "disposition-notification" or not any(
        part.content_type in _RECEIPTS for part in tree.children
    ):
        raise Refusal(
            550,
            "5.7.1",
            "Without a sender (MAIL FROM:<>) only read receipts are accepted",
            "null-sender-not-a-receipt",
        )
    if recipients != 1:
        raise Refusal(550, "5.7.1", "A read receipt goes to one addressee", "receipt-to-several")
    authors = [mime.mailboxes(found.value) for found in letter.fields if found.name == "from"]
    return authors[0][0].spec.lower() if len(authors) == 1 and len(authors[0]) == 1 else ""


def check_identity(
    letter: Letter,
    sender: Sender,
    trusts_domain: Callable[[Sender, str], bool],
    also: frozenset[str] = frozenset(),
) -> None:
    """MAIL FROM = From (= Sender, when there is one), so that nobody writes under another's name.

    `also`: further addresses of the account that sends (a patient has two). A null MAIL FROM (receipts and
    notices of an operator) may carry any From of that operator's own domains. Raises Refusal 550 5.7.1.
    """
    froms = [found for found in letter.fields if found.name == "from"]
    authors = mime.mailboxes(froms[0].value) if len(froms) == 1 else ()
    if len(authors) != 1 or not _plain(froms[0].value):
        # RFC 5322 §3.6 wants exactly one From; several authors would leave open who vouches for it.
        raise Refusal(550, "5.7.1", "The message must have one From field with one address", "from-not-one")
    author = authors[0].spec.lower()
    named = [
        address.spec.lower()
        for found in letter.fields
        if found.name == "sender"
        for address in mime.mailboxes(found.value)
    ]
    if sender.mail_from and letter.vouched:
        return  # sent on by another organisation's account (`authenticity.py`)
    if sender.mail_from:
        expected = also | {sender.mail_from.lower()}
        if author not in expected or any(other not in expected for other in named):
            raise Refusal(
                550, "5.7.1", "From must be the address that sends (MAIL FROM and login)", "from-forged"
            )
    elif not trusts_domain(sender, domain_of(author)):
        raise Refusal(550, "5.7.1", "From is not of a domain your certificate speaks for", "from-forged")


def _plain(author: bytes) -> bool:
    """Whether every program will read the same address: one pair of angle brackets at most, nothing after it,
    no source route in it. Of `<a@x> <b@y>` some show the first, others the last."""
    bare = _QUOTED.sub(b"", strip_comments(author))
    _, opened, rest = bare.partition(b"<")
    inside, closed, after = rest.partition(b">")
    if len(author) > _LONGEST_AUTHOR:
        return False
    if not opened:
        return b">" not in bare
    return bool(closed) and not after.strip() and not any(mark in inside for mark in (b"<", b":", b'"'))
