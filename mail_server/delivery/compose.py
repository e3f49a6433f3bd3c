"""From a letter in memory to the copies that will be laid down: sealed, waiting, in custody, or as they came.

Invariants: a sealed copy carries exactly one key packet per member of its own sealing set and none of another
account's (Bcc tells nothing); when sealing fails nothing is returned; what came encrypted passes byte for byte.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace

from directory.openpgp.certificate import Certificate, CertificateRefused
from directory.openpgp.gate import gate
from directory.openpgp.packets import recipient_key_ids
from directory.x509.cms import CmsError, names_of
from mail_server import mime
from mail_server.accounts.interface import Kind
from mail_server.delivery import outer
from mail_server.delivery.examine import Letter, examine
from mail_server.delivery.interface import Envelope, Sender
from mail_server.delivery.plan import Plan, Treatment
from mail_server.delivery.tags import ConversationTags
from mail_server.keys.interface import KeyUnavailable, OperatorKeys
from mail_server.sealing.interface import OpeningError, Sealed, SealingEngine, SealingError
from mail_server.store.armor import armor_lines, armor_size
from mail_server.store.interface import NoSpace, Store
from mail_server.store.model import (
    AccountId,
    Flag,
    MailboxId,
    MessageOrigin,
    NewMessage,
    Rendered,
    SpecialUse,
    SplitContent,
    StagedBlob,
    State,
    VerbatimContent,
)
from policies.refusal import Refusal


class Composer:
    def __init__(
        self, *, store: Store, engine: SealingEngine, operator_keys: OperatorKeys, domain: str, large: int
    ) -> None:
        self._store = store
        self._tags = ConversationTags(store)
        self._engine = engine
        self._operator_keys = operator_keys
        self._domain = domain
        self._large = large

    async def copies(
        self, letter: Letter, envelope: Envelope, plans: Sequence[Plan], at: int, *, again: bool = False
    ) -> list[NewMessage]:
        """One copy per plan. Raises Refusal; TagTaken comes later, from the store: then compose `again`."""
        try:
            if letter.ciphertext is not None:
                return [_placed(plan, await self._as_it_came(letter, envelope, plan, at)) for plan in plans]
            enveloped = [plan for plan in plans if _opens(plan, letter)]
            sealing = [
                plan for plan in plans if plan.treatment is not Treatment.CUSTODY and plan not in enveloped
            ]
            sealed = await self._sealed(letter, envelope.sender, sealing, at, again=again) if sealing else []
            copies = [_placed(plan, copy) for plan, copy in zip(sealing, sealed, strict=True)]
            for plan in enveloped:
                copy = await self._verbatim(letter, envelope, plan.account.id, _state_as_it_came(letter), at)
                copies.append(_placed(plan, copy))
            for plan in plans:
                if plan.treatment is Treatment.CUSTODY:
                    copy = await self._verbatim(letter, envelope, plan.account.id, State.CUSTODY, at)
                    copies.append(_placed(plan, copy))
            return copies
        except (SealingError, KeyUnavailable, CertificateRefused):
            raise Refusal(
                451, "4.3.0", "The letter could not be sealed now, please try again later", "sealing-failed"
            ) from None
        except NoSpace:
            raise Refusal(
                452, "4.3.1", "Not enough storage at the moment, please try again later", "no-space"
            ) from None

    # -- sealed by us -------------------------------------------------------------------------------------

    async def _sealed(
        self, letter: Letter, sender: Sender, plans: Sequence[Plan], at: int, *, again: bool
    ) -> list[NewMessage]:
        sets = [await self._sealing_set(plan) for plan in plans]
        certificates = tuple({one.fingerprint: one for found in sets for one in found}.values())
        # A letter that answers nothing opens a conversation; that its letters are free is found when it is filed.
        accounts = [plan.account.id for plan in plans]
        if letter.answers or again:
            tag = await self._tags.choose(accounts, letter.message_ids, fresh=again)
        else:
            tag = outer.new_tag()
        head_fields = self._head_fields(letter, tag)
        inner = self._inner(letter, sender, head_fields, at)
        sealed = await self._engine.seal(
            inner, certificates, letter.beside, sign_beside=letter.manifest is not None
        )
        body = await self._store.stage(None, sealed.body, compress=False)
        return [
            split_copy(
                account=plan.account.id,
                sealed=sealed,
                sealing_set=found,
                body=body,
                head_fields=head_fields,
                state=_sealed_state(plan),
                letter=letter,
                tag=tag,
                at=at,
            )
            for plan, found in zip(plans, sets, strict=True)
        ]

    async def _sealing_set(self, plan: Plan) -> tuple[Certificate, ...]:
        if plan.treatment is Treatment.SEAL:
            return plan.sealing_set
        held = await self._operator_keys.certificate_for(plan.account.id, plan.account.address)
        return (gate(held.certificate, plan.account.address, _now_for_gate()),)

    def _head_fields(self, letter: Letter, tag: str) -> list[tuple[str, bytes]]:
        """The outer fields as (name, raw field with its CRLF), subject last."""
        found = [
            # A message that ends with its header may lack the last line end (BDAT): ours must not join that line.
            (outer.written_name(one), outer.line(one))
            for one in outer.outer_fields(letter.fields)
        ]
        if not any(name.lower() == "message-id" for name, _ in found):
            # RFC 6409 §8.3: a letter without one gets it here, else threads and receipts cannot name it.
            made = mime.new_message_id(self._domain)
            found.append(("Message-ID", mime.header_field("Message-ID", made)))
        found.append(("Subject", mime.header_field("Subject", outer.outer_subject(tag))))
        return found

    def _inner(
        self, letter: Letter, sender: Sender, head_fields: Sequence[tuple[str, bytes]], at: int
    ) -> bytes:
        """The whole original under its own headers, protected (RFC 9788), with our word on where it came from."""
        who = sender.mail_from or "<>"
        by = f"operator {sender.operator_dn}" if sender.operator_dn else "this server"
        by = sender.identity.mechanism if sender.identity else by
        words = f"from {who} ({by}); {mime.date_text(at).decode()}; not end-to-end signed"
        return mime.protect(
            letter.data,
            outer=_outside(head_fields),
            extra=[*_told(letter), mime.header_field(outer.RECEIVED_FIELD, words)],
            drop=outer.never_delivered(letter.fields),
        )

    # -- as it came ---------------------------------------------------------------------------------------

    async def _as_it_came(self, letter: Letter, envelope: Envelope, plan: Plan, at: int) -> NewMessage:
        """A letter that came end-to-end encrypted: byte for byte, if it is encrypted to the right keys."""
        assert letter.ciphertext is not None
        named = recipient_key_ids(letter.ciphertext)
        state = _state_as_it_came(letter)
        if plan.sent:
            # Its author chose who opens it: the recipients, and whom they took along.
            return await self._verbatim(letter, envelope, plan.account.id, state, at)
        if plan.treatment is Treatment.SEAL:
            wanted = {one.encryption_key_id for one in plan.required}
            # RFC 9580 §5.1: an all-zero key id hides its recipient; then only the count can be checked.
            hidden = named.count("0" * 16)
            if len(wanted - set(named)) > hidden:
                raise other_keys()
            return await self._verbatim(letter, envelope, plan.account.id, state, at)
        held = self._operator_keys.existing(plan.account.id)
        if held is None or not self._names(held.certificate, plan, named):
            if plan.account.kind is Kind.PATIENT:
                # No key of theirs was ever elsewhere: nobody could open it, now or later.
                raise other_keys()
            # To a key we do not know: only the holder can tell. It stays as it came.
            return await self._verbatim(letter, envelope, plan.account.id, state, at)
        if plan.treatment is Treatment.WAIT:
            return await self._verbatim(letter, envelope, plan.account.id, State.WAITING, at)
        return await self._opened_for_custody(letter, envelope, plan, at)

    def _names(self, certificate: bytes, plan: Plan, named: Sequence[str]) -> bool:
        gated = gate(certificate, plan.account.address, _now_for_gate())
        return gated.encryption_key_id in named

    async def _opened_for_custody(
        self, letter: Letter, envelope: Envelope, plan: Plan, at: int
    ) -> NewMessage:
        """What an outsider sealed to the operator-held certificate is opened in memory (DESIGN §4)."""
        assert letter.ciphertext is not None
        try:
            clear = await self._engine.open(letter.ciphertext, self._operator_keys.secret(plan.account.id))
        except (OpeningError, KeyUnavailable):
            raise Refusal(
                550, "5.7.5", "The encrypted message could not be opened", "encrypted-unreadable"
            ) from None
        opened = await examine(outer.opened(letter.fields, clear), self._large)
        opened = replace(opened, results=letter.results)
        return await self._verbatim(opened, envelope, plan.account.id, State.CUSTODY, at)

    async def _verbatim(
        self,
        letter: Letter,
        envelope: Envelope,
        account: AccountId,
        state: State,
        at: int,
    ) -> NewMessage:
        body = outer.without(letter.data, letter.fields, outer.never_delivered(letter.fields))
        return_path = mime.header_field("Return-Path", f"<{envelope.sender.mail_from}>")
        above = b"".join((return_path, *_told(letter), state_line(state), envelope.trace))
        return await self._stage_verbatim(letter, account, SpecialUse.INBOX, (above, body), state, at)

    async def _stage_verbatim(
        self,
        letter: Letter,
        account: AccountId,
        mailbox: MailboxId | SpecialUse,
        pieces: tuple[bytes, bytes],
        state: State,
        at: int,
    ) -> NewMessage:
        """`pieces` are our fields above the message, and the message."""
        above, body = pieces
        whole = above + body if above else body
        rendering = await self._rendered(letter, above, body, whole)
        blob = await self._store.stage(account, whole, compress=state is not State.SEALED)
        return NewMessage(
            account=account,
            mailbox=mailbox,
            content=VerbatimContent(blob),
            rendered=rendering,
            size=len(whole),
            received_at=at,
            state=state,
            message_ids=letter.message_ids,
            findings=letter.findings.columns(None),
        )

    async def _rendered(self, letter: Letter, above: bytes, body: bytes, whole: bytes) -> Rendered:
        """As `mime.render(whole)`, without parsing again what was parsed: trace fields change no answer.

        Unless fields were cut out, or the message begins with a line that would continue our last field.
        """
        if body is letter.data and body[:1] not in (b" ", b"\t"):
            made = mime.render(letter.data, letter.tree)
            return Rendered(above + made.header, made.envelope, made.bodystructure, made.body)
        if len(whole) >= self._large:
            return rendered(await asyncio.to_thread(mime.render, whole))
        return rendered(mime.render(whole))

    # -- re-sealed ----------------------------------------------------------------------------------------

    async def open(self, account: AccountId, ciphertext: bytes) -> bytes:
        """Open what waits for this account. Raises OpeningError, KeyUnavailable."""
        return await self._engine.open(ciphertext, self._operator_keys.secret(account))

    async def resealed(
        self, letter: Letter, plan: Plan, origin: MessageOrigin, *, protected: bool
    ) -> NewMessage:
        """The same letter, sealed to the plan's set; thread, dates and flags are the store's to keep."""
        if not protected and _opens(plan, letter):
            # In custody it lay as it came, and so it stays: only its reader ever could open it.
            state = _state_as_it_came(letter)
            pieces = (b"", restated(letter.data, state))
            return await self._stage_verbatim(
                letter, plan.account.id, SpecialUse.INBOX, pieces, state, origin.received_at
            )
        tag = origin.tag or await self._tags.choose([plan.account.id], letter.message_ids, fresh=True)
        head_fields = self._head_fields(letter, tag)
        inner = letter.data
        if not protected:
            inner = mime.protect(
                letter.data,
                outer=_outside(head_fields),
                extra=[],
                drop=outer.never_delivered(letter.fields),
            )
        sealed = await self._engine.seal(
            inner, plan.sealing_set, letter.beside, sign_beside=letter.manifest is not None
        )
        return split_copy(
            account=plan.account.id,
            sealed=sealed,
            sealing_set=plan.sealing_set,
            body=await self._store.stage(None, sealed.body, compress=False),
            head_fields=head_fields,
            state=State.SEALED,
            letter=letter,
            tag=tag,
            at=origin.received_at,
        )

    async def kept(
        self,
        letter: Letter,
        account: AccountId,
        mailbox: MailboxId,
        flags: Flag,
        keywords: frozenset[str],
        received_at: int,
        at: int,
        sealed_summary: bytes | None = None,
    ) -> NewMessage:
        """What a mail program itself stored: to the byte, since the program compares (RFC 9051 §6.3.12)."""
        state = State.KEPT if letter.ciphertext is None else _state_as_it_came(letter)
        made = await self._stage_verbatim(letter, account, mailbox, (b"", letter.data), state, received_at)
        return NewMessage(
            account=account,
            mailbox=mailbox,
            content=made.content,
            rendered=made.rendered,
            size=made.size,
            received_at=received_at,
            state=state,
            message_ids=letter.message_ids,
            findings=letter.findings.columns(sealed_summary),
            flags=flags,
            keywords=keywords,
            savedate=at,
        )


def _told(letter: Letter) -> list[bytes]:
    """What came of its signatures (RFC 8601): read by its reader alone, like all that is not needed outside."""
    return [letter.results] if letter.results else []


def _state_as_it_came(letter: Letter) -> State:
    return State.SUBJECT_OUTSIDE if letter.subject_outside else State.SEALED


def _opens(plan: Plan, letter: Letter) -> bool:
    """Whether a letter that came enveloped (S/MIME) names the certificate of each who reads this copy. Else it is
    sealed around like any other: there is no telling who could open it."""
    if not letter.enveloped or not plan.smime or plan.gated:
        return False
    try:
        return all(letter.enveloped & names_of(one) for one in plan.smime)
    except CmsError:
        return False


def _sealed_state(plan: Plan) -> State:
    if plan.treatment is Treatment.WAIT:
        return State.WAITING
    return State.AT_THE_GATE if plan.gated else State.SEALED


def _placed(plan: Plan, copy: NewMessage) -> NewMessage:
    """In the INBOX of who gets it, or in the Sent it is kept in."""
    return replace(copy, mailbox=SpecialUse.SENT, flags=Flag.SEEN) if plan.sent else copy


def split_copy(
    *,
    account: AccountId,
    sealed: Sealed,
    sealing_set: Sequence[Certificate],
    body: StagedBlob,
    head_fields: Sequence[tuple[str, bytes]],
    state: State,
    letter: Letter,
    tag: str,
    at: int,
    mailbox: MailboxId | SpecialUse = SpecialUse.INBOX,
) -> NewMessage:
    """One account's copy of a sealed letter. Raises SealingError unless each member has one key packet."""
    key_packets = key_packets_for(sealed, sealing_set)
    fields = b"".join(raw for _, raw in head_fields) + state_line(state)
    head, tail = mime.wrap(fields, secrets.token_hex(16))
    length = len(key_packets) + body.clear_size
    rendering = mime.render_encrypted(head, armor_size(length), armor_lines(length), tail)
    return NewMessage(
        account=account,
        mailbox=mailbox,
        content=SplitContent(head=head, key_packets=key_packets, body=body, tail=tail),
        rendered=rendered(rendering),
        size=len(head) + armor_size(length) + len(tail),
        received_at=at,
        state=state,
        message_ids=letter.message_ids,
        tag=tag,
        findings=letter.findings.columns(_summary(sealed, sealing_set)),
    )


def _summary(sealed: Sealed, sealing_set: Sequence[Certificate]) -> bytes | None:
    """The summary as one account keeps it: a whole message that its own set opens."""
    beside = sealed.beside
    return key_packets_for(beside, sealing_set) + beside.body if beside is not None else None


def key_packets_for(sealed: Sealed, sealing_set: Sequence[Certificate]) -> bytes:
    """Exactly one key packet per member of the set, none of anybody else's."""
    wanted = {one.fingerprint for one in sealing_set}
    found = [packet for packet in sealed.key_packets if packet.fingerprint in wanted]
    if len(found) != len(wanted) or {packet.fingerprint for packet in found} != wanted:
        raise SealingError("key packets do not match the sealing set")
    return b"".join(packet.packet for packet in found)


def _outside(head_fields: Sequence[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """What HP-Outer repeats inside: the outer fields' names and values (RFC 9788 §2.2)."""
    return [(name, raw.partition(b":")[2].strip()) for name, raw in head_fields]


_STATE_WORDS = {
    State.SEALED: "sealed",
    State.WAITING: "waiting",
    State.CUSTODY: "custody",
    State.KEPT: "kept by your program",
    State.AT_THE_GATE: "at the gate",
    State.SUBJECT_OUTSIDE: "subject outside",
}


def state_line(state: State) -> bytes:
    """`Vaguemestre-State: custody`: the state is stored with each letter and shown beside it."""
    return mime.header_field(outer.STATE_FIELD, _STATE_WORDS[state])


def restated(message: bytes, state: State) -> bytes:
    """The message with its state's field saying this state. Only the first, ours, is touched."""
    header = mime.header_block(message)
    name = outer.STATE_FIELD.lower().encode()
    at = 0
    for line in header.splitlines(keepends=True):
        if line[: len(name) + 1].lower() == name + b":":
            return message[:at] + state_line(state) + message[at + len(line) :]
        at += len(line)
    return message


def rendered(rendering: mime.Rendered) -> Rendered:
    return Rendered(
        header=rendering.header,
        envelope=rendering.envelope,
        bodystructure=rendering.bodystructure,
        body=rendering.body,
    )


def other_keys() -> Refusal:
    return Refusal(
        550,
        "5.7.5",
        "Encrypted to other keys than those of a recipient: fetch its certificates again",
        "encrypted-to-other-keys",
    )


def _now_for_gate() -> int:
    return time.time_ns() // 1_000_000
