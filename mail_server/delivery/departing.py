"""A letter for other operators made ready: what the queue holds of it, and in whose words it left.

For each addressee abroad one of four things. Its author sealed it to them: it leaves as it came. A certificate of
theirs is known: we seal it, to each addressee a letter of their own. Neither: the bytes for the wire are sealed to the
egress gate, one letter of the queue for each domain. Its author sealed it to the gate as well: it waits so, and the
gate opens it.

Invariants: nothing is laid down that the node could open by itself; where sealing fails nothing leaves and nothing is
accepted; an addressee who asked for sealed only is never served by the gate; nobody's copy but the gate's own has the
gate's key packet; what is signed (DKIM) is what leaves.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from directory.openpgp.packets import HIDDEN, recipient_key_ids
from mail_server import mime
from mail_server.accounts.interface import Account, Kind, Results
from mail_server.delivery import gated, outer, wire
from mail_server.delivery.abroad import (
    PATIENT_LIMIT,
    require_taken,
    sealed_only_refused,
    too_large_for_a_patient,
)
from mail_server.delivery.compose import key_packets_for, other_keys
from mail_server.delivery.examine import Letter, rewritten
from mail_server.delivery.exchanges import is_automatic
from mail_server.delivery.gate import domain_of
from mail_server.delivery.interface import Abroad, Envelope
from mail_server.delivery.tags import ConversationTags
from mail_server.delivery.wire import Wire
from mail_server.keys.interface import KeyUnavailable
from mail_server.outbound.interface import (
    Egress,
    Form,
    NotOpened,
    OutboundQueue,
    Outgoing,
    OutgoingRecipient,
    Readable,
)
from mail_server.outbound.rows import waiting_octets
from mail_server.outbound.signed import Signs
from mail_server.sealing.interface import SealingEngine, SealingError
from mail_server.store.interface import NoSpace, Store, Transaction
from mail_server.store.model import StagedBlob
from policies.refusal import Refusal

_FIN = "[FIN]"
_SMALL = 1 << 20  # octets: what is smaller is counted, and not looked at
_SIGNED_BY_OTHERS = frozenset({"dkim-signature", "arc-message-signature"})
_OPERATOR_READS = (Readable.GATED, Readable.SEALED_TO_OPERATOR)


@dataclass(frozen=True, slots=True)
class Leave:
    """Who writes, under which reference, and when."""

    account: Account | None  # None: the node itself
    reference: str
    at: int
    actor: str


@dataclass(frozen=True, slots=True)
class _Content:
    """What the queue will hold of a letter, and for whom."""

    recipients: tuple[Abroad, ...] = field(repr=False)
    staged: StagedBlob = field(repr=False)
    form: Form
    egress: str
    readable: Readable
    made: Wire = field(repr=False)


class Departures:
    def __init__(
        self,
        *,
        store: Store,
        engine: SealingEngine,
        queue: OutboundQueue,
        egress: Egress,
        domain: str,
        product: str,
        large: int,
        signer: Signs | None = None,
        room: int = 0,
    ) -> None:
        """`room`: octets of one account that may wait to leave; 0: any number."""
        self._store = store
        self._tags = ConversationTags(store)
        self._engine = engine
        self._queue = queue
        self._egress = egress
        self._domain = domain
        self._product = product
        self._large = large
        self._signer = signer
        self._room = room

    # -- before anything is sealed

    async def completed(self, letter: Letter, at: int) -> Letter:
        """With the Message-ID and the Date that its program left to us, for all copies alike."""
        data = wire.completed(letter, self._domain, at)
        return letter if data is letter.data else await rewritten(letter, data, self._large)

    async def apart(self, letter: Letter) -> tuple[Letter, bytes]:
        """A letter that its author sealed, without the gate's key packet; and that packet. Raises Refusal."""
        if letter.ciphertext is None:
            return letter, b""
        packet, key_id = gated.packet_in(self._egress, letter.ciphertext)
        if not packet:
            return letter, b""
        return await rewritten(letter, await gated.without_packet(letter, key_id), self._large), packet

    def require(self, envelope: Envelope, letter: Letter) -> None:
        """What can be refused before any work is done. Raises Refusal."""
        gate = bool(envelope.gate_packet)
        readable = [
            one for one in envelope.abroad if one.certificate is None and (letter.ciphertext is None or gate)
        ]
        if readable and (wire.asks_sealed_only(letter.fields) or any(one.sealed_only for one in readable)):
            raise sealed_only_refused()
        if len(letter.data) > PATIENT_LIMIT and any(one.patient for one in envelope.abroad):
            raise too_large_for_a_patient()
        for one in envelope.abroad:
            require_taken(one.certificate, len(letter.data))
        if letter.ciphertext is not None:
            _require_named(letter.ciphertext, envelope.abroad)
        if gate and readable and gated.certificate_of(self._egress, envelope.gate_packet) is None:
            raise Refusal(
                451,
                "4.7.5",
                "The server's gate has another key now: fetch its certificate again",
                "gate-key-replaced",
            )

    # -- made ready

    async def ready(self, envelope: Envelope, letter: Letter, leave: Leave) -> list[Outgoing]:
        """One letter of the queue for each addressee or domain. Raises Refusal."""
        await self._require_room(envelope, letter, leave.account)
        try:
            contents = await self._contents(envelope, letter, leave)
        except NotOpened:
            raise _not_now("gate-closed") from None
        except SealingError:
            raise _not_now("sealing-failed") from None
        except (KeyUnavailable, OSError):
            raise _not_now("not-signed") from None
        except NoSpace:
            raise Refusal(
                452, "4.3.1", "Not enough storage at the moment, please try again later", "no-space"
            ) from None
        head = outer.outer_block(letter.fields)
        return [
            outgoing
            for content in contents
            for outgoing in self._outgoing(envelope, letter, leave, head, content)
        ]

    def lay(self, transaction: Transaction, letters: Iterable[Outgoing]) -> None:
        """Inside the transaction of the local copies."""
        for one in letters:
            self._queue.lay(transaction, one)

    def wake(self) -> None:
        self._queue.wake()

    # -- inside

    async def _require_room(self, envelope: Envelope, letter: Letter, account: Account | None) -> None:
        """What waits lies under nobody's quota, once for each addressee with a certificate: without a bound, one
        account and a server that is down would fill the disk for all. Raises Refusal."""
        copies = len({one.address for one in envelope.abroad if one.certificate is not None}) or 1
        octets = copies * len(letter.data)
        if not self._room or account is None or account.kind is Kind.APP or octets < _SMALL:
            return
        waiting = await self._store.read(lambda reader: waiting_octets(reader.sql, account.id))
        if waiting + octets > self._room:
            raise Refusal(
                452,
                "4.2.2",
                "Too many octets of this account wait to leave, please try again later",
                "too-much-waits",
            )

    async def _contents(self, envelope: Envelope, letter: Letter, leave: Leave) -> list[_Content]:
        to = _distinct(envelope.abroad)
        known = tuple(one for one in to if one.certificate is not None)
        others = tuple(one for one in to if one.certificate is None)
        received = wire.received(envelope.trace, self._domain, leave.reference, leave.at)
        if letter.ciphertext is not None:
            return await self._sealed_by_author(letter, envelope.gate_packet, known, others, received)
        contents: list[_Content] = []
        if known:
            contents += await self._sealed(letter, leave.account, known, received)
        if others:
            contents.append(await self._gated(letter, others, received))
        return contents

    async def _sealed(
        self, letter: Letter, author: Account | None, to: Sequence[Abroad], received: bytes
    ) -> list[_Content]:
        """One encryption; to each addressee their own key packet, and none of anybody else's."""
        fields = [(outer.written_name(one), outer.line(one)) for one in outer.outer_fields(letter.fields)]
        fields.append(("Subject", mime.header_field("Subject", await self._subject(letter, author))))
        inner = mime.protect(
            await self._departing(letter),
            outer=[(name, raw.partition(b":")[2].strip()) for name, raw in fields],
        )
        certificates = {
            one.certificate.certificate.fingerprint: one.certificate.certificate
            for one in to
            if one.certificate is not None
        }
        sealed = await self._engine.seal(inner, tuple(certificates.values()))
        above = received + wire.product_field(letter.fields, self._product)
        contents: list[_Content] = []
        for one in to:
            assert one.certificate is not None
            packets = key_packets_for(sealed, [one.certificate.certificate])
            head, tail = mime.wrap(b"".join(raw for _, raw in fields), secrets.token_hex(16))
            data = head + await gated.armored(packets, sealed.body, self._large) + tail
            made = await self._signed(wire.whole(above, data), letter)
            held = one.certificate.operator_held
            readable = Readable.SEALED_TO_OPERATOR if held else Readable.SEALED
            contents.append(await self._as_wire((one,), made, readable))
        return contents

    async def _gated(self, letter: Letter, to: tuple[Abroad, ...], received: bytes) -> _Content:
        """The bytes for the wire, sealed to the gate as they are."""
        plain = await self._in_seven_bit(letter, await self._departing(letter))
        made = await self._signed(wire.whole(received, plain), letter)
        certificate = self._egress.certificate
        staged = await gated.staged(self._engine, self._store, certificate, made.data)
        return _Content(to, staged, Form.GATED, certificate.fingerprint, Readable.GATED, made)

    async def _sealed_by_author(
        self,
        letter: Letter,
        gate_packet: bytes,
        known: tuple[Abroad, ...],
        others: tuple[Abroad, ...],
        received: bytes,
    ) -> list[_Content]:
        """Byte for byte to whom it is sealed; to the gate what the gate shall open, signed only once it is open."""
        plain = wire.whole(received, await self._departing(letter))
        contents: list[_Content] = []
        sealed = known if gate_packet else known + others
        if sealed:
            made = await self._signed(plain, letter)
            for readable, some in _by_readable(sealed):
                contents.append(await self._as_wire(some, made, readable))
        if others and gate_packet:
            certificate = gated.certificate_of(self._egress, gate_packet)
            assert certificate is not None
            data = await gated.with_packet_alone(letter, gate_packet, self._large)
            to_the_gate = await rewritten(letter, data, self._large)
            made = wire.whole(received, await self._departing(to_the_gate))
            staged = await self._store.stage(None, made.data, compress=False)
            contents.append(
                _Content(others, staged, Form.GATED_BY_AUTHOR, certificate.fingerprint, Readable.GATED, made)
            )
        return contents

    async def _as_wire(self, to: tuple[Abroad, ...], made: Wire, readable: Readable) -> _Content:
        staged = await self._store.stage(None, made.data, compress=False)
        return _Content(to, staged, Form.WIRE, "", readable, made)

    def _outgoing(
        self, envelope: Envelope, letter: Letter, leave: Leave, head: bytes, content: _Content
    ) -> list[Outgoing]:
        """One for each domain."""
        domains: dict[str, list[Abroad]] = {}
        for one in content.recipients:
            domains.setdefault(one.domain, []).append(one)
        if len(content.made.data) > PATIENT_LIMIT and any(one.patient for one in content.recipients):
            raise too_large_for_a_patient()
        mail_from = envelope.sender.mail_from
        return [
            Outgoing(
                account=leave.account.id if leave.account is not None else None,
                mail_from=mail_from,
                domain=domain,
                recipients=tuple(OutgoingRecipient(one.address, one.notify, one.orcpt) for one in some),
                content=content.staged,
                form=content.form,
                egress=content.egress,
                readable=content.readable,
                size=len(content.made.data),
                head=head,
                reference=leave.reference,
                accepted_at=leave.at,
                envid=envelope.parameters.envid,
                smtputf8=content.made.international
                or not all(address.isascii() for address in (mail_from, *(one.address for one in some))),
                eight_bit=content.made.eight_bit,
                result=_told(leave.account, mail_from, letter, content.readable),
            )
            for domain, some in domains.items()
        ]

    async def _subject(self, letter: Letter, author: Account | None) -> str:
        """Four letters, the same through a conversation of its author; `[FIN]` is a sign, and says nothing more."""
        if letter.findings.fin_subject:
            return _FIN
        if author is None or not letter.answers:
            return outer.outer_subject(outer.new_tag())
        return outer.outer_subject(await self._tags.choose([author.id], letter.message_ids))

    async def _signed(self, made: Wire, letter: Letter) -> Wire:
        if self._signer is None:
            return made
        author = next((one for one in letter.fields if one.name == "from"), None)
        domain = domain_of(mime.mailboxes(author.value)[0].spec) if author is not None else ""
        fields = await self._signer.signed(made.data, domain)
        return wire.whole(fields, made.data) if fields else made

    async def _departing(self, letter: Letter) -> bytes:
        if len(letter.data) < self._large:
            return wire.departing(letter, self._product)
        return await asyncio.to_thread(wire.departing, letter, self._product)

    async def _in_seven_bit(self, letter: Letter, departing: bytes) -> bytes:
        """Before it is signed (RFC 6376 §5.3), so that a server without 8BITMIME can take it."""
        if any(one.name in _SIGNED_BY_OTHERS for one in letter.fields):
            return departing
        if len(departing) < self._large:
            return mime.seven_bit(departing)
        return await asyncio.to_thread(mime.seven_bit, departing)


def _not_now(slug: str) -> Refusal:
    return Refusal(451, "4.3.0", "The letter could not be made ready to leave, please try again", slug)


def _distinct(to: Sequence[Abroad]) -> tuple[Abroad, ...]:
    """The same address named twice gets one copy (the first one's wishes count)."""
    found: dict[str, Abroad] = {}
    for one in to:
        found.setdefault(one.address, one)
    return tuple(found.values())


def _by_readable(to: Iterable[Abroad]) -> list[tuple[Readable, tuple[Abroad, ...]]]:
    """Of a certificate that their operator guards, the operator can read."""
    held = tuple(one for one in to if one.certificate is not None and one.certificate.operator_held)
    own = tuple(one for one in to if one not in held)
    found = ((Readable.SEALED, own), (Readable.SEALED_TO_OPERATOR, held))
    return [(readable, some) for readable, some in found if some]


def _require_named(ciphertext: bytes, to: Sequence[Abroad]) -> None:
    """Sealed by its author: to the certificates that are known of its addressees, if any are. Raises Refusal."""
    named = recipient_key_ids(ciphertext)
    wanted = {one.certificate.certificate.encryption_key_id for one in to if one.certificate is not None}
    if len(wanted - set(named)) > named.count(HIDDEN):
        raise other_keys()


def _told(account: Account | None, mail_from: str, letter: Letter, readable: Readable) -> bool:
    """Whether the sender is told the result although the letter did not ask (contract of `Results`)."""
    if account is None or not mail_from or is_automatic(letter) or _auto_submitted(letter):
        return False
    if account.told is Results.READABLE:
        return readable in _OPERATOR_READS
    return account.told is Results.ALWAYS


def _auto_submitted(letter: Letter) -> bool:
    """RFC 3834 §5: no person awaits an answer."""
    return any(
        one.name == "auto-submitted" and one.value.strip().lower() not in (b"", b"no")
        for one in letter.fields
    )
