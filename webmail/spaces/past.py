"""The past for a new reader, given by another reader's browser (DESIGN §4: an explicit act, never by itself).

Invariants: only who may say who reads an account gives its past, after having just proved who they are; packets are
made to the certificate that the new reader has at that moment, and a reader who left meanwhile gets no more; what is
left is read from the letters themselves, so a browser that is killed goes on where it was; the beginning and the end
stand in the trace, with their numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from directory.certificates.interface import Standing
from directory.openpgp.certificate import Certificate
from mail_server.accounts.interface import Account
from mail_server.delivery.past import Openable, Tally, outstanding, tally, wants_packet, widened
from mail_server.delivery.sharing import ReaderChanges
from mail_server.delivery.swap import SwapRefused, checked_packet, read_stored
from mail_server.store.interface import NoSuchMessage, Reader, Sql, Transaction
from mail_server.store.model import AccountId, MessageId, NewMessage
from policies.interface import Event
from webmail.login.ground import Ground, Visitor
from webmail.login.problems import Problem
from webmail.login.sessions import PageSession
from webmail.spaces.reseal import NewPackets

MOST = 200  # letters of one request


@dataclass(frozen=True, slots=True)
class Begun:
    total: int
    left: int
    apart: int  # letters that no packet can be added to: they are told, not given
    certificate: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Row:
    fingerprint: str
    upto: int
    total: int
    done: int
    ended: int | None
    given_by: str

    @property
    def left(self) -> int:
        return max(self.total - self.done, 0)


@dataclass(frozen=True, slots=True)
class _Gift:
    """Whose past, to whom, by whose key; looked at anew for each request."""

    giver: Account
    account: Account
    person: Account
    certificate: Certificate
    own: frozenset[str]  # key ids of the giver's certificate

    @property
    def new(self) -> str:
        return self.certificate.encryption_key_id


class Past:
    def __init__(self, ground: Ground, sharing: ReaderChanges) -> None:
        self._ground = ground
        self._sharing = sharing

    async def begin(self, session: PageSession, visitor: Visitor, account: str, person: str) -> Begun:
        """Count what there is to give, or go on with what was begun. Raises Problem."""
        if not self._ground.sessions.fresh(session):
            raise Problem("step-up-needed", detail="fresh")
        gift = self._gift(session, account, person)
        upto = await self._ground.store.read(lambda reader: _newest(reader.sql))
        counted = await self._counted(gift, MessageId(upto))

        def write(tx: Transaction) -> _Row:
            known = _row(tx.sql, gift)
            if (
                known is not None
                and known.ended is None
                and known.fingerprint == gift.certificate.fingerprint
            ):
                # Letters that went, or came to name them by other ways, are no longer to be done.
                total = known.done + counted.openable
                tx.sql.run(
                    "UPDATE past_given SET total = ?, upto = ?, apart = ?, given_by = ?"
                    " WHERE account = ? AND person = ?",
                    (total, upto, counted.apart, gift.giver.id, gift.account.id, gift.person.id),
                )
                if known.given_by != gift.giver.id:  # who goes on with another's act is told as well
                    event = self._event("past-begin", gift, visitor, counted.openable, counted.apart)
                    self._ground.trail.append(tx.sql, [event])
                return _Row(known.fingerprint, upto, total, known.done, None, gift.giver.id)
            ended = None if counted.openable else self._ground.clock()
            _begin(tx.sql, gift, self._ground.clock(), upto, counted, ended)
            events = [self._event("past-begin", gift, visitor, counted.openable, counted.apart)]
            if ended is not None:
                events.append(self._event("past-end", gift, visitor, 0, counted.apart))
            self._ground.trail.append(tx.sql, events)
            return _Row(gift.certificate.fingerprint, upto, counted.openable, 0, ended, gift.giver.id)

        row = await self._ground.store.write(write)
        return Begun(row.total, row.left, counted.apart, gift.certificate.minimised)

    async def letters(
        self, session: PageSession, visitor: Visitor, account: str, person: str, after: int, limit: int
    ) -> tuple[list[Openable], int]:
        """The next letters with the giver's own packets, and how many are left. Raises Problem."""
        gift = self._gift(session, account, person)
        row = await self._going_on(gift)
        if row is None:
            return [], 0
        wanted = max(1, min(limit, MOST))

        def query(reader: Reader) -> tuple[list[Openable], bool]:
            upto = MessageId(row.upto)
            found = outstanding(
                reader, gift.account.id, MessageId(after), upto, wanted, own=gift.own, new=gift.new
            )
            if found or not after:
                return found, bool(found)
            more = outstanding(reader, gift.account.id, MessageId(0), upto, 1, own=gift.own, new=gift.new)
            return found, bool(more)

        found, more = await self._ground.store.read(query)
        if not more:
            await self._end(gift, visitor)
            return [], 0
        return found, max(row.left, len(found))

    async def add(
        self, session: PageSession, visitor: Visitor, account: str, person: str, letters: Sequence[NewPackets]
    ) -> tuple[list[int], int]:
        """Ids that name the new reader now, and how many are left. Raises Problem bad-request for a foreign packet."""
        gift = self._gift(session, account, person)
        row = await self._going_on(gift)
        if row is None:
            return [], 0
        made: list[tuple[MessageId, NewMessage]] = []
        for one in letters[:MOST]:
            copy = await self._copy(gift, row, one)
            if copy is not None:
                made.append((one.message, copy))
        done = await self._ground.store.write(lambda tx: self._file(tx, gift, made))
        left = max(row.left - done, 0)
        if not left:
            await self._end(gift, visitor)
        return sorted(one.message for one in letters[:MOST]), left

    async def standing(self, account: AccountId) -> dict[str, tuple[int, int]]:
        """Of each person whose past is being given: letters left, letters in all."""
        rows = await self._ground.store.read(
            lambda reader: reader.sql.all(
                "SELECT person, total, done FROM past_given WHERE account = ? AND ended IS NULL", (account,)
            )
        )
        return {person: (max(total - done, 0), total) for person, total, done in rows}

    # -- inside

    def _gift(self, session: PageSession, account: str, person: str) -> _Gift:
        """Raises Problem forbidden: for an unknown account as for one that is not theirs."""
        ground = self._ground
        giver = ground.account(session)
        target = ground.accounts.by_id(AccountId(account))
        found = ground.accounts.by_id(AccountId(person)) or ground.accounts.by_address(person)
        readers = (
            {each.id for each in ground.accounts.readers(target.id)} if target is not None else set[str]()
        )
        if target is None or found is None or not {giver.id, found.id} <= readers or found.id == giver.id:
            raise Problem("forbidden")
        if not self._sharing.may_share(giver.id, target):
            raise Problem("forbidden")
        return _Gift(
            giver,
            target,
            found,
            self._certificate(found),
            frozenset({self._certificate(giver).encryption_key_id}),
        )

    def _certificate(self, account: Account) -> Certificate:
        found = self._ground.directory.certificate(account.address, self._ground.clock())
        if found.standing is not Standing.VALID or found.certificate is None:
            raise Problem("forbidden")
        return found.certificate

    async def _counted(self, gift: _Gift, upto: MessageId) -> Tally:
        whole, after = Tally(), MessageId(0)
        while True:
            at = after
            part, further = await self._ground.store.read(
                lambda reader, at=at: tally(reader, gift.account.id, at, upto, own=gift.own, new=gift.new)
            )
            whole.openable += part.openable
            whole.given += part.given
            whole.apart += part.apart
            if further is None:
                return whole
            after = further

    async def _going_on(self, gift: _Gift) -> _Row | None:
        """What this giver began, to this certificate. Raises Problem when they did not, or for another one."""
        row = await self._ground.store.read(lambda reader: _row(reader.sql, gift))
        if row is None or row.fingerprint != gift.certificate.fingerprint:
            raise Problem("bad-request", detail="begin-first")
        if row.ended is None and row.given_by != gift.giver.id:
            # Begun by somebody else, who proved who they are: so must whoever goes on.
            raise Problem("bad-request", detail="begin-first")
        return None if row.ended is not None else row

    async def _copy(self, gift: _Gift, row: _Row, one: NewPackets) -> NewMessage | None:
        try:
            packet = checked_packet(one.key_packets, gift.certificate)
            summary = (
                None
                if one.summary_key_packets is None
                else checked_packet(one.summary_key_packets, gift.certificate)
            )
            if one.message > row.upto:
                return None
            stored = await self._ground.store.read(lambda reader: read_stored(reader, one.message))
            if stored.origin.account != gift.account.id or not wants_packet(stored, gift.new):
                return None
            return widened(stored, packet, summary)
        except NoSuchMessage:
            return None
        except SwapRefused:
            raise Problem("bad-request") from None

    def _file(self, tx: Transaction, gift: _Gift, made: Sequence[tuple[MessageId, NewMessage]]) -> int:
        # Asked again where the packets are written: who left meanwhile, in this very second, gets none.
        grant = tx.sql.one(
            "SELECT rights, until FROM account_member WHERE account = ? AND member = ?",
            (gift.account.id, gift.person.id),
        )
        if (
            grant is None
            or "r" not in grant[0]
            or (grant[1] is not None and grant[1] <= self._ground.clock())
        ):
            raise Problem("forbidden")
        done = 0
        for message, copy in made:
            try:
                tx.replace(message, copy)
            except NoSuchMessage:
                continue  # removed, or given by another window, meanwhile
            done += 1
        if done:
            tx.sql.run(
                "UPDATE past_given SET done = done + ? WHERE account = ? AND person = ?",
                (done, gift.account.id, gift.person.id),
            )
        return done

    async def _end(self, gift: _Gift, visitor: Visitor) -> None:
        def write(tx: Transaction) -> None:
            ended = tx.sql.run(
                "UPDATE past_given SET ended = ? WHERE account = ? AND person = ? AND ended IS NULL",
                (self._ground.clock(), gift.account.id, gift.person.id),
            )
            row = tx.sql.one(
                "SELECT done, apart FROM past_given WHERE account = ? AND person = ?",
                (gift.account.id, gift.person.id),
            )
            if ended and row is not None:
                self._ground.trail.append(tx.sql, [self._event("past-end", gift, visitor, row[0], row[1])])

        await self._ground.store.write(write)

    def _event(self, action: str, gift: _Gift, visitor: Visitor, count: int, apart: int) -> Event:
        return self._ground.event(
            action,
            gift.account.id,
            visitor,
            actor=gift.giver.id,
            reference=gift.certificate.fingerprint,
            member=gift.person.id,
            count=str(count),
            apart=str(apart),
        )


def _newest(sql: Sql) -> int:
    row = sql.one("SELECT coalesce(max(id), 0) FROM message")
    return 0 if row is None else row[0]


def _row(sql: Sql, gift: _Gift) -> _Row | None:
    found = sql.one(
        "SELECT fingerprint, upto, total, done, ended, given_by FROM past_given WHERE account = ? AND person = ?",
        (gift.account.id, gift.person.id),
    )
    return None if found is None else _Row(*found)


def _begin(sql: Sql, gift: _Gift, at: int, upto: int, counted: Tally, ended: int | None) -> None:
    sql.run(
        "INSERT INTO past_given (account, person, fingerprint, given_by, begun, upto, total, done, apart, ended)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?) ON CONFLICT (account, person) DO UPDATE SET"
        " fingerprint = excluded.fingerprint, given_by = excluded.given_by, begun = excluded.begun,"
        " upto = excluded.upto, total = excluded.total, done = 0, apart = excluded.apart, ended = excluded.ended",
        (
            gift.account.id,
            gift.person.id,
            gift.certificate.fingerprint,
            gift.giver.id,
            at,
            upto,
            counted.openable,
            counted.apart,
            ended,
        ),
    )
