"""Closing an exchange other than by a letter: the mailbox `Clos` of any mail program, the page's button.

Invariants: a professional closes what they opened or what is written to them, nothing else, and only where the rules
let them; a closing is in the transaction of the act that says it (the move, the request) with its line of the
trace; taking the letter out of `Clos` again opens nothing.
"""

# ruff: noqa: S608 - what is put into statements are question marks, never a value

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mail_server import mime
from mail_server.accounts.interface import Account, Accounts, Kind
from mail_server.conversations.conversations import Conversations
from mail_server.conversations.model import Bar, Exchange, How
from mail_server.conversations.roots import LetterIds, known_roots
from mail_server.store.interface import (
    MailboxExists,
    NoSuchAccount,
    NoSuchMailbox,
    NoSuchMessage,
    Reader,
    Store,
    StoreError,
    Transaction,
)
from mail_server.store.model import AccountId, Mailbox
from policies.interface import AuditTrail, Event

MAILBOX = "Clos"
_MOST_NAMED = 50  # addressees of a letter looked at
_log = logging.getLogger("vaguemestre.conversations")


@dataclass(frozen=True, slots=True)
class Actor:
    """The person who acts, and from where."""

    person: AccountId
    session: str = ""
    network: str = ""


@dataclass(frozen=True, slots=True)
class ShownExchange:
    """One exchange as the page shows it to the account that asks."""

    id: str
    correspondent: str = field(repr=False)
    open: bool
    closed_by: str = field(repr=False)
    closed_at: int | None
    closed_how: str
    answerable: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """To close the exchanges of letters that are filed in `Clos`; called in the transaction that files them."""

    account: Account
    actor: Actor
    patients: frozenset[AccountId]  # those whose exchanges the rules let this account close
    _closings: Closings = field(repr=False)

    def __call__(self, transaction: Transaction, header: bytes) -> None:
        self._closings.close(transaction, self, header, How.MAILBOX)


class Closings:
    def __init__(
        self,
        *,
        store: Store,
        accounts: Accounts,
        conversations: Conversations,
        trail: AuditTrail,
        may_close: Callable[[Account, Account], bool],
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._conversations = conversations
        self._trail = trail
        self._may_close = may_close
        self._clock = clock
        self._has_mailbox: set[AccountId] = set()

    # -- the mailbox

    async def offer_mailbox(self, account: Account) -> None:
        """A professional who writes to a patient finds `Clos` among their mailboxes. Never raises StoreError."""
        if account.kind in (Kind.PATIENT, Kind.APP) or account.id in self._has_mailbox:
            return

        def make(transaction: Transaction) -> None:
            transaction.open_account(account.id)
            try:
                made = transaction.create_mailbox(account.id, MAILBOX)
            except MailboxExists:
                return
            transaction.subscribe(made.id, True)

        try:
            if not await self._store.read(lambda reader: self.mailbox(reader, account.id)):
                await self._store.write(make)
        except StoreError as failure:
            _log.warning("no mailbox for closing could be made (%s)", type(failure).__name__)
            return
        self._has_mailbox.add(account.id)

    def mailbox(self, reader: Reader, account: AccountId) -> Mailbox | None:
        """The account's `Clos`, at the top level."""
        try:
            return reader.mailbox_by_name(account, MAILBOX)
        except (NoSuchMailbox, NoSuchAccount):
            return None

    async def wish(
        self, account: AccountId, actor: Actor, headers: Callable[[Reader], Sequence[bytes]]
    ) -> Wish | None:
        """Asked before letters go to `Clos`: what they may close. `headers` reads those letters' header blocks."""
        found = self._accounts.by_id(account)
        if found is None or found.kind is Kind.PATIENT:
            return None
        blocks = await self._store.read(headers)
        patients = {each.id: each for block in blocks for each in self._patients(mime.fields(block))}
        allowed = frozenset(key for key, each in patients.items() if self._may_close(found, each))
        return Wish(found, actor, allowed, self) if allowed else None

    # -- the page

    async def of_letter(self, account: Account, email_id: str) -> list[ShownExchange]:
        """The exchanges that a letter of this account belongs to. Raises NoSuchMessage."""
        return await self._store.read(lambda reader: self._shown(reader, account, email_id))

    async def close_letter(self, account: Account, email_id: str, actor: Actor) -> list[ShownExchange]:
        """The page's button. Raises NoSuchMessage; what may not be closed stays open."""
        wish = await self.wish(account.id, actor, lambda reader: [_header(reader, account.id, email_id)])
        if wish is not None:

            def write(transaction: Transaction) -> None:
                self.close(transaction, wish, _header(transaction, account.id, email_id), How.PAGE)

            await self._store.write(write)
        return await self.of_letter(account, email_id)

    def _shown(self, reader: Reader, account: Account, email_id: str) -> list[ShownExchange]:
        fields = mime.fields(_header(reader, account.id, email_id))
        bar = self.bar(reader, account, fields)
        return [
            ShownExchange(
                _name(found),
                found.other,
                found.open,
                found.closed_by,
                found.closed_at,
                found.closed_how,
                answerable=found.open and bar is None if account.kind is Kind.PATIENT else True,
            )
            for found in self.exchanges(reader, account, fields)
        ]

    def bar(self, reader: Reader, account: Account, fields: Sequence[mime.Field]) -> Bar | None:
        """Why this letter takes no answer from the patient who has it; for a professional, that it is closed."""
        exchanges = self.exchanges(reader, account, fields)
        if account.kind is Kind.PATIENT:
            ids = LetterIds.of(fields)
            own = (ids.own,) if ids.own else ()
            keys = [found.correspondent for found in exchanges]
            bar = self._conversations.barred(reader, account.id, [], LetterIds(answered=own))
            if bar is not None or any(found.open for found in exchanges):
                return bar
            return self._conversations.barred(reader, account.id, keys, LetterIds(named=(*own, *ids.named)))
        closed = [found for found in exchanges if not found.open]
        return Bar(False, closed[0].closed_by) if closed and len(closed) == len(exchanges) else None

    # -- rows

    def exchanges(self, reader: Reader, account: Account, fields: Sequence[mime.Field]) -> list[Exchange]:
        """Those that a letter with this header belongs to, as this account sees them."""
        ids = LetterIds.of(fields)
        named = (*((ids.own,) if ids.own else ()), *ids.named)
        if account.kind is Kind.PATIENT:
            return self._rows(reader, account.id, named, None)
        found: list[Exchange] = []
        for patient in self._patients(fields):
            found += self._rows(reader, patient.id, named, account)
        return found

    def _rows(
        self, reader: Reader, patient: AccountId, named: Sequence[bytes], account: Account | None
    ) -> list[Exchange]:
        roots = known_roots(reader, patient, named, self._conversations.mark)
        if not roots:
            return []
        whose, parameters = ("", ())
        if account is not None:
            whose, parameters = " AND (correspondent = ? OR opener = ?)", (account.id, account.id)
        rows = reader.sql.all(
            "SELECT correspondent, root, address, closed_at, closed_by, closed_how FROM conversation"
            f" WHERE patient = ? AND root IN ({', '.join('?' * len(roots))}){whose} ORDER BY last_at DESC",
            (patient, *roots, *parameters),
        )
        shown = self._accounts.by_id(patient)
        return [
            Exchange(
                patient,
                key,
                bytes(root),
                self._conversations.address_of(key, address)
                if account is None
                else (shown.shown if shown else ""),
                closed_at is None,
                self._conversations.closer(by, key, address) if closed_at is not None else "",
                closed_at,
                how or "",
            )
            for key, root, address, closed_at, by, how in rows
        ]

    def close(self, transaction: Transaction, wish: Wish, header: bytes, how: How) -> None:
        """Close the exchanges of one letter. In the caller's transaction."""
        at, me, events = self._clock(), wish.account.id, list[Event]()
        for found in self.exchanges(transaction, wish.account, mime.fields(header)):
            if not found.open or found.patient not in wish.patients:
                continue
            transaction.sql.run(
                "UPDATE conversation SET closed_at = ?, closed_by = ?, closed_how = ?"
                " WHERE patient = ? AND correspondent = ? AND root = ? AND closed_at IS NULL",
                (at, me, how.value, found.patient, found.correspondent, found.root),
            )
            events.append(closing_event(wish.actor, found.patient, me, how, at))
        if events:
            self._trail.append(transaction.sql, events)

    def _patients(self, fields: Sequence[mime.Field]) -> list[Account]:
        named = [
            address.spec
            for found in fields
            if found.name in ("from", "to", "cc", "bcc")
            for address in mime.mailboxes(found.value)
        ][:_MOST_NAMED]
        known = [self._accounts.by_address(address) for address in dict.fromkeys(named)]
        return [each for each in known if each is not None and each.kind is Kind.PATIENT]


def closing_event(actor: Actor, patient: AccountId, account: AccountId, how: How, at: int) -> Event:
    """A line of the trace: who closed, whose exchange, for which account."""
    return Event(
        action="conversation-close",
        at=at,
        actor=actor.person,
        subject=patient,
        session=actor.session,
        network=actor.network,
        detail={"account": account, "form": how.value},
    )


def _header(reader: Reader, account: AccountId, email_id: str) -> bytes:
    for row in reader.emails(account, [email_id]):
        return row.rendered.header
    raise NoSuchMessage(email_id)


def _name(found: Exchange) -> str:
    whole = "\0".join((found.patient, found.correspondent)).encode() + found.root
    return hashlib.sha256(b"exchange " + whole).hexdigest()[:20]
