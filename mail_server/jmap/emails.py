"""Emails as JMAP sees them: Email/get, and which messages are visible at all (RFC 8621 §4.1, §4.2).

Invariants: what only metadata and header fields answer never touches a body; of a sealed letter the PGP/MIME
envelope is told and nothing is guessed of what is inside; a body that is shown is in the trace before it is
answered; contents are read on the store's threads, a bounded volume at a time.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from directory.openpgp.packets import PacketError, Tag, key_packet, recipient_key_ids, spans
from mail_server import mime
from mail_server.accounts.interface import Account
from mail_server.jmap import bodies, exchanges, header_forms, states
from mail_server.jmap.interface import Arguments, MethodError, Turn
from mail_server.jmap.keywords import keywords_of
from mail_server.jmap.objects import get_response, wanted_ids
from mail_server.jmap.protocol.arguments import Given, utc_text, within
from mail_server.jmap.protocol.errors import invalid_arguments
from mail_server.jmap.services import Services
from mail_server.store.interface import Damaged, NoSuchMessage, Reader
from mail_server.store.model import (
    AccountId,
    EmailQuery,
    EmailRow,
    Flag,
    Form,
    MailboxId,
    MessageId,
    Placement,
    State,
)

MAIL_VENDOR = "https://vaguemestre.example/jmap/mail"
READ_AHEAD = 1 << 20  # octets of content read in one go
_SLICE = 64  # rows read in one go

METADATA = ("id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt")
BODY = ("bodyStructure", "bodyValues", "textBody", "htmlBody", "attachments", "hasAttachment", "preview")
VENDOR = ("sealedSummary", "guard", "class", "coarseClass", "closesExchange", "keyIds", *exchanges.PROPERTIES)
DEFAULT = (
    *METADATA, "messageId", "inReplyTo", "references", "sender", "from", "to", "cc", "bcc", "replyTo",
    "subject", "sentAt", "hasAttachment", "preview", "bodyValues", "textBody", "htmlBody", "attachments",
)  # fmt: skip
GUARDS = {
    State.SEALED: "sealed",
    State.WAITING: "waiting",
    State.CUSTODY: "custody",
    State.KEPT: "kept",
    State.AT_THE_GATE: "gate",
    State.SUBJECT_OUTSIDE: "subjectOutside",
}


# ── what is visible ──


def shown_placements(row: EmailRow) -> list[Placement]:
    """RFC 8621 §4.1.1: what carries \\Deleted is not visible in JMAP."""
    return [each for each in row.placements if not each.flags & Flag.DELETED]


def visible(reader: Reader, account: AccountId, email_ids: Sequence[str]) -> dict[str, EmailRow]:
    """The messages of these that JMAP shows, by id."""
    return {row.email_id: row for row in reader.emails(account, email_ids) if shown_placements(row)}


def object_ids(reader: Reader, account: AccountId) -> dict[MailboxId, str]:
    return {each.id: each.object_id for each in reader.mailboxes(account)}


# ── what is asked ──


@dataclass(frozen=True, slots=True)
class Plan:
    """Which properties, and so what must be read."""

    properties: frozenset[str]
    named: tuple[header_forms.Wish, ...]  # properties that stand for a header field, and header:*
    part: bodies.PartWish
    text_values: bool
    html_values: bool
    all_values: bool
    most: int  # octets of a body value; 0: all
    exchange: Callable[[Reader, EmailRow, frozenset[str]], dict[str, Any]] | None = None

    @property
    def needs_body(self) -> bool:
        return any(each in self.properties for each in BODY)

    @property
    def shows_content(self) -> bool:
        return "preview" in self.properties or ("bodyValues" in self.properties and self.fetches)

    @property
    def fetches(self) -> bool:
        return self.text_values or self.html_values or self.all_values


def plan_of(given: Given, using: frozenset[str]) -> Plan:
    """Raises MethodError invalidArguments."""
    asked = given.texts("properties")
    wanted = list(DEFAULT) if asked is None else asked
    known = {*METADATA, *BODY, "headers", *header_forms.NAMED, *(VENDOR if MAIL_VENDOR in using else ())}
    named: list[header_forms.Wish] = []
    plain: set[str] = set()
    for each in wanted:
        if each.startswith("header:"):
            named.append(header_forms.wish_of(each))
        elif each not in known:
            raise invalid_arguments("properties names an unknown property")
        elif each in header_forms.NAMED:
            named.append(header_forms.NAMED[each])
        else:
            plain.add(each)
    parts = given.texts("bodyProperties")
    return Plan(
        properties=frozenset(plain),
        named=tuple(named),
        part=bodies.PartWish.of(list(bodies.DEFAULT) if parts is None else parts),
        text_values=given.flag("fetchTextBodyValues"),
        html_values=given.flag("fetchHTMLBodyValues"),
        all_values=given.flag("fetchAllBodyValues"),
        most=given.number("maxBodyValueBytes", 0) or 0,
    )


# ── what is told ──


@dataclass(slots=True)
class Progress:
    """How far a /get has come, and whose content it showed."""

    waiting: list[str]
    found: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]], repr=False)
    read: list[tuple[MessageId, str]] = field(default_factory=list[tuple[MessageId, str]])
    state: str = ""


def tell(
    reader: Reader, row: EmailRow, plan: Plan, folders: Mapping[MailboxId, str], progress: Progress
) -> int:
    """One Email into `progress`; returns the octets of content it cost."""
    told: dict[str, Any] = {"id": row.email_id}
    for name in plan.properties & _METADATA_SET:
        told[name] = _metadata(name, row, folders)
    if plan.named or "headers" in plan.properties:
        fields = mime.fields(row.rendered.header)
        told |= {each.property: each.of(fields) for each in plan.named}
        if "headers" in plan.properties:
            told["headers"] = header_forms.headers(fields)
    for name in plan.properties & _VENDOR_SET:
        told[name] = _vendor(reader, name, row)
    if plan.exchange is not None and plan.properties & _EXCHANGE_SET:
        told |= plan.exchange(reader, row, plan.properties & _EXCHANGE_SET)
    cost = 0
    if plan.needs_body:
        cost = _tell_body(reader, row, plan, told, progress)
    progress.found[row.email_id] = told
    return cost


def _metadata(name: str, row: EmailRow, folders: Mapping[MailboxId, str]) -> Any:
    match name:
        case "blobId":
            return "B" + row.email_id
        case "threadId":
            return row.thread_id
        case "mailboxIds":
            return {folders[each.mailbox]: True for each in shown_placements(row) if each.mailbox in folders}
        case "keywords":
            return dict.fromkeys(keywords_of(shown_placements(row)), True)
        case "size":
            return row.size
        case "receivedAt":
            return utc_text(row.received_at)
        case _:
            return row.email_id


def _vendor(reader: Reader, name: str, row: EmailRow) -> Any:
    match name:
        case "guard":
            return GUARDS[row.state]
        case "class" | "coarseClass":
            return row.findings.coarse_class.name.lower()
        case "closesExchange":
            return row.findings.closes_exchange
        case "sealedSummary":
            summary = row.findings.summary
            return base64.b64encode(summary).decode("ascii") if summary is not None else None
        case _:
            return key_ids(reader, row)


def key_ids(reader: Reader, row: EmailRow) -> list[str]:
    """Whose keys open it, as its own packets say."""
    try:
        if row.form is Form.SPLIT:
            packets = reader.key_packets(row.message)
            named = [
                key_packet(each.body(packets)).key_id for each in spans(packets) if each.tag == Tag.PKESK
            ]
            return [each for each in named if each is not None]
        if not claims_encryption(row):
            return []
        message = reader.content(row.message)
        sealed = mime.ciphertext(message, mime.parse(message))
        return list(recipient_key_ids(sealed.data)) if sealed is not None else []
    except (PacketError, NoSuchMessage):
        return []


def claims_encryption(row: EmailRow) -> bool:
    """Whether its header says PGP/MIME: nothing is to be seen of it without the key."""
    kind = mime.first(row.rendered.header, "content-type") or b""
    return row.form is Form.SPLIT or kind.lower().lstrip().startswith(b"multipart/encrypted")


def _tell_body(reader: Reader, row: EmailRow, plan: Plan, told: dict[str, Any], progress: Progress) -> int:
    wanted = plan.properties
    sealed = claims_encryption(row)
    if sealed:
        # What is inside only its reader knows: an honest "no" and an empty preview.
        if "hasAttachment" in wanted:
            told["hasAttachment"] = False
        if "preview" in wanted:
            told["preview"] = ""
        if not wanted & _STRUCTURE_SET:
            return 0
    message = reader.content(row.message)
    tree = mime.parse(message)
    lists = bodies.shown(tree)
    if not sealed:
        if "hasAttachment" in wanted:
            told["hasAttachment"] = lists.has_attachment
        if "preview" in wanted:
            told["preview"] = bodies.preview(message, lists)
    if "bodyStructure" in wanted:
        told["bodyStructure"] = bodies.structure_told(message, tree, row.email_id, plan.part)
    for name, leaves in (
        ("textBody", lists.text),
        ("htmlBody", lists.html),
        ("attachments", lists.attachments),
    ):
        if name in wanted:
            told[name] = [
                bodies.part_told(message, each.part, each.number, row.email_id, plan.part) for each in leaves
            ]
    if "bodyValues" in wanted:
        told["bodyValues"] = _values(message, tree, lists, plan)
    if told.get("preview") or told.get("bodyValues"):
        progress.read.append((row.message, row.email_id))
    return len(message)


def _values(message: bytes, tree: mime.Part, lists: bodies.Shown, plan: Plan) -> dict[str, Any]:
    chosen: list[bodies.Leaf] = []
    if plan.all_values:
        chosen += bodies.leaves(tree)
    if plan.text_values:
        chosen += lists.text
    if plan.html_values:
        chosen += lists.html
    parts = {each.number: each.part for each in chosen if each.part.type == "text"}
    return {number: bodies.body_value(message, part, plan.most) for number, part in parts.items()}


_METADATA_SET = frozenset(METADATA)
_EXCHANGE_SET = frozenset(exchanges.PROPERTIES)
_VENDOR_SET = frozenset(VENDOR) - _EXCHANGE_SET
_STRUCTURE_SET = frozenset(BODY) - {"hasAttachment", "preview"}


# ── the method ──


class EmailGet:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def get(self, turn: Turn, arguments: Arguments) -> dict[str, Any]:
        account = turn.account(arguments)
        given = Given(
            arguments, "ids", "properties", "bodyProperties", "fetchTextBodyValues", "fetchHTMLBodyValues",
            "fetchAllBodyValues", "maxBodyValueBytes",
        )  # fmt: skip
        plan = plan_of(given, turn.using)
        view = self._services.exchanges
        if view is not None:
            plan = replace(plan, exchange=partial(view.told, account))
        most = self._services.settings.max_objects_get
        ids = wanted_ids(turn, given, most)
        if ids is None:
            ids = await self._all(account, most)
        progress = Progress(waiting=list(ids))
        first = True
        while first or progress.waiting:
            if plan.shows_content:
                self._services.require_trace()
            await self._services.read(
                turn, account, lambda reader: _read_ahead(reader, account.id, plan, progress)
            )
            if progress.read:
                await self._services.opened(account.id, [email for _, email in progress.read])
                self._services.trace_reads(turn, account.id, progress.read)
                progress.read = []
            first = False
        if "sealedSummary" in plan.properties:
            shown = [email for email, told in progress.found.items() if told.get("sealedSummary")]
            self._services.trace_summaries(turn, account.id, shown)
        return get_response(account, progress.state, ids, progress.found)

    async def _all(self, account: Account, most: int) -> list[str]:
        query = EmailQuery(flags_unset=Flag.DELETED)
        page = await self._services.store.read(
            lambda reader: reader.query_emails(account.id, query, 0, most + 1)
        )
        within(len(page.found), most)
        return [email for email, _ in page.found]


def _read_ahead(reader: Reader, account: AccountId, plan: Plan, progress: Progress) -> None:
    """On the store's threads. The state is that of the first look: what changed since is told again."""
    progress.state = progress.state or states.email_state(reader, account)
    folders = object_ids(reader, account)
    rows = visible(reader, account, progress.waiting[:_SLICE])
    cost = 0
    done = 0
    for email_id in progress.waiting[:_SLICE]:
        done += 1
        row = rows.get(email_id)
        if row is not None:
            try:
                cost += tell(reader, row, plan, folders, progress)
            except NoSuchMessage:
                progress.found.pop(email_id, None)
            except Damaged:
                raise MethodError(
                    "serverFail", "A stored message is damaged, the operator was told"
                ) from None
        if cost >= READ_AHEAD:
            break
    del progress.waiting[:done]
