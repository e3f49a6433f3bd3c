"""What waited for a patient is sealed to the patient, by their own browser (DESIGN §4).

The waiting key's secret leaves once the space is open, sealed to its holder's own certificate; the browser opens each
session key with it and seals it anew; here the packets are checked, exchanged, and the letter filed in place of the
old one. Resumable: what is left is read from the stored states, so a browser that is killed goes on where it was.

Invariants: the waiting secret leaves the node under the account's own certificate alone, and that is audited; a letter
of another account cannot be told from one that is gone; when none is left the waiting key is destroyed, and that is
audited too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from directory.certificates.interface import Standing
from directory.openpgp.certificate import Certificate
from directory.openpgp.gate import gate
from mail_server.accounts.interface import Account, Kind
from mail_server.delivery.retirement import retire
from mail_server.delivery.swap import (
    Locked,
    Stored,
    SwapRefused,
    checked_packet,
    read_locked,
    read_stored,
    swapped,
)
from mail_server.keys.interface import KeyUnavailable, OperatorHeldKey
from mail_server.store.interface import NoSuchMessage, Reader, Transaction
from mail_server.store.model import MessageId, NewMessage, State
from policies.interface import Event
from webmail.login.ground import Ground, Visitor
from webmail.login.problems import Problem
from webmail.login.sessions import PageSession
from webmail.spaces.challenges import sealed_to

_log = logging.getLogger("vaguemestre.page")
_WAITING = (State.WAITING,)
MOST = 200  # letters of one request
_COUNTED = 100_000
_IN_MEMORY = 8 * 1024 * 1024  # octets of letters held before they are filed


@dataclass(frozen=True, slots=True)
class Standings:
    left: int
    total: int
    waiting_key: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewPackets:
    message: MessageId
    key_packets: bytes = field(repr=False)
    summary_key_packets: bytes | None = field(repr=False)


class Reseal:
    def __init__(self, ground: Ground, large: int) -> None:
        self._ground = ground
        self._large = large

    async def standing(self, session: PageSession, visitor: Visitor) -> Standings:
        """How many letters wait, and what opens their session keys."""
        ground = self._ground
        account = ground.account(session)
        left = await self.left(account)
        state = await ground.store.read(lambda reader: ground.slots.state(reader.sql, account.id))
        total = max(state.waiting, left)
        if not left:
            await self.settle(account)
            return Standings(0, total, None)
        held = self._held(account)
        if held is None:
            return Standings(left, total, None)
        certificate = self._own(account)
        try:
            secret = ground.operator_keys.secret(account.id)
        except KeyUnavailable:
            raise Problem("failure") from None
        message = await asyncio.to_thread(sealed_to, certificate, secret)
        event = ground.event("operator-key-given", account.id, visitor, reference=held.fingerprint)
        await ground.store.write(lambda tx: ground.trail.append(tx.sql, [event]))
        return Standings(left, total, message)

    async def left(self, account: Account) -> int:
        if account.kind is not Kind.PATIENT:
            return 0  # a professional's letters are re-sealed by the node
        found = await self._ground.store.read(
            lambda reader: reader.messages_in_state(account.id, _WAITING, MessageId(0), _COUNTED)
        )
        return len(found)

    async def letters(self, session: PageSession, after: int, limit: int) -> tuple[list[Locked], int]:
        """The next letters that wait, in order, and how many are left in all."""
        account = self._ground.account(session)
        held = self._held(account)
        left = await self.left(account)
        if held is None or not left:
            return [], left
        waiting_key = self._waiting_key_id(account, held)

        def query(reader: Reader) -> list[Locked]:
            found: list[Locked] = []
            wanted = max(1, min(limit, MOST))
            for message in reader.messages_in_state(account.id, _WAITING, MessageId(after), wanted):
                try:
                    found.append(read_locked(reader, message, waiting_key))
                except (NoSuchMessage, SwapRefused):
                    _log.warning("one letter that waits cannot be read, and keeps its state")
            return found

        return await self._ground.store.read(query), left

    async def replace(
        self, session: PageSession, letters: Sequence[NewPackets], visitor: Visitor
    ) -> tuple[list[int], int]:
        """Ids that wait no more, and how many are left. Raises Problem bad-request for a packet of another key."""
        ground = self._ground
        account = ground.account(session)
        certificate, held = self._own(account), self._held(account)
        done: list[int] = []
        if held is not None:
            waiting_key = self._waiting_key_id(account, held)
            made: list[tuple[MessageId, NewMessage]] = []
            for one in letters[:MOST]:
                copy = await self._copy(account, certificate, waiting_key, one)
                if copy is None:
                    done.append(one.message)
                    continue
                made.append((one.message, copy))
                if sum(each.size for _, each in made) >= _IN_MEMORY:
                    done += await self._filed(account, made, visitor)
                    made = []
            done += await self._filed(account, made, visitor)
        left = await self.left(account)
        if not left:
            await self.settle(account)
        return sorted(done), left

    async def settle(self, account: Account) -> None:
        """Destroy the waiting key, once nothing waits for its holder any more."""
        ground = self._ground
        if (
            account.kind is not Kind.PATIENT
            or not account.activated
            or not ground.operator_keys.existing(account.id)
        ):
            return
        await retire(
            account.id,
            store=ground.store,
            trail=ground.trail,
            operator_keys=ground.operator_keys,
            clock=ground.clock,
        )

    # -- inside

    async def _copy(
        self, account: Account, certificate: Certificate, waiting_key: str, one: NewPackets
    ) -> NewMessage | None:
        """The letter to file; None when it waits no more, or is not this account's."""
        try:
            packet = checked_packet(one.key_packets, certificate)
            summary = (
                None
                if one.summary_key_packets is None
                else checked_packet(one.summary_key_packets, certificate)
            )
        except SwapRefused:
            raise Problem("bad-request") from None
        stored = await self._ground.store.read(lambda reader: _waiting(reader, account, one.message))
        if stored is None:
            return None
        try:
            return await swapped(
                self._ground.store,
                stored,
                waiting_key=waiting_key,
                key_packet=packet,
                summary_key_packet=summary,
                large=self._large,
            )
        except SwapRefused:
            raise Problem("bad-request") from None

    async def _filed(
        self, account: Account, made: Sequence[tuple[MessageId, NewMessage]], visitor: Visitor
    ) -> list[int]:
        if not made:
            return []
        done = await self._ground.store.write(lambda tx: self._file(tx, account, made, visitor))
        self._ground.counters.resealed_letters += len(done)
        return done

    def _file(
        self,
        tx: Transaction,
        account: Account,
        made: Sequence[tuple[MessageId, NewMessage]],
        visitor: Visitor,
    ) -> list[int]:
        events: list[Event] = []
        for message, copy in made:
            if not _still_waits(tx, account, message):
                continue
            filed = tx.replace(message, copy)
            events.append(
                self._ground.event(
                    "reseal",
                    account.id,
                    visitor,
                    outcome=copy.state.name.lower().replace("_", "-"),
                    reference=filed[0].email_id if filed else "",
                )
            )
        self._ground.trail.append(tx.sql, events)
        return [message for message, _ in made]

    def _held(self, account: Account) -> OperatorHeldKey | None:
        return self._ground.operator_keys.existing(account.id) if account.kind is Kind.PATIENT else None

    def _waiting_key_id(self, account: Account, held: OperatorHeldKey) -> str:
        return gate(held.certificate, account.address, self._ground.clock()).encryption_key_id

    def _own(self, account: Account) -> Certificate:
        """The certificate that letters are sealed to from now on."""
        found = self._ground.directory.certificate(account.address, self._ground.clock())
        if found.standing is not Standing.VALID or found.certificate is None or not account.activated:
            raise Problem("forbidden")
        return found.certificate


def _still_waits(reader: Reader, account: Account, message: MessageId) -> bool:
    try:
        origin = reader.message_origin(message)
    except NoSuchMessage:
        return False
    return origin.account == account.id and origin.state is State.WAITING


def _waiting(reader: Reader, account: Account, message: MessageId) -> Stored | None:
    if not _still_waits(reader, account, message):
        return None
    try:
        return read_stored(reader, message)
    except NoSuchMessage:
        return None
