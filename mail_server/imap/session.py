"""One client's session: who it is, what it has selected, and the ways to answer it.

The handlers (`login`, `mailboxes`, `selecting`, `fetching`, `searching`, `changing`, `appending`) act on this
object; `dialogue` runs it. It reaches the network only through `Link`, so tests run it without a socket.

Invariants: one command at a time; the view changes only here and in the handlers, never in the watcher task.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from mail_server.accounts.access import READ, Access
from mail_server.accounts.handshakes import cause_of
from mail_server.accounts.interface import Accounts, Authenticator, Identity, Peer
from mail_server.accounts.standing import Ended, ended
from mail_server.conversations.closings import Closings
from mail_server.delivery.interface import Delivery
from mail_server.delivery.receipts import Receipts
from mail_server.delivery.sharing import Sharing
from mail_server.imap import capabilities
from mail_server.imap.limits import Limits
from mail_server.imap.protocol import Caps, Connection, State
from mail_server.imap.settings import ImapSettings
from mail_server.imap.view import MailboxView
from mail_server.store.interface import NoSuchMailbox, Reader, Store, Transaction, Watch
from mail_server.store.model import AccountId, Mailbox, Membership, MessageId
from policies.interface import Event as AuditEvent

T = TypeVar("T")
Audit = Callable[[Sequence[AuditEvent]], None]
LARGE = 131_072  # octets written between two waits
HEAVY = 2_000  # messages of a view looked at in one go on the loop
SLICE = 256  # messages formatted between two waits


class Refused(Exception):
    """The command is answered `NO`; the text begins with its response code, if any."""


class Wrong(Exception):
    """The command is answered `BAD`."""


class Farewell(Exception):
    """`* BYE` with this text, then the end."""


class Gone(Exception):
    """The client is no longer there."""


class Withdrawn(enum.Enum):
    """Why a session may not go on; the value is what `* BYE` says."""

    ACCOUNT = "[UNAVAILABLE] This account is suspended or closed"
    CREDENTIAL = "[EXPIRED] The password or certificate you logged in with is no longer valid"  # RFC 5530 §3
    TIME = "[EXPIRED] Your session is over, log in again"
    MAILBOX = "Access to the selected mailbox was withdrawn"


_SLUGS = {
    Withdrawn.ACCOUNT: Ended.ACCOUNT.value,
    Withdrawn.CREDENTIAL: Ended.CREDENTIAL.value,
    Withdrawn.TIME: Ended.TIME.value,
    Withdrawn.MAILBOX: "access-withdrawn",
}
_WITHDRAWN = {
    Ended.ACCOUNT: Withdrawn.ACCOUNT,
    Ended.CREDENTIAL: Withdrawn.CREDENTIAL,
    Ended.TIME: Withdrawn.TIME,
}


class Link(Protocol):
    """The connection as a session sees it."""

    @property
    def congested(self) -> bool: ...
    async def read(self) -> bytes | None:
        """What came; b"" at the end; None when `wake` was called."""
        ...

    def wake(self) -> None: ...
    def write(self, data: bytes | memoryview) -> None: ...
    async def drain(self) -> None:
        """Wait until the client has taken enough of what was written. Raises ConnectionError when it left."""
        ...

    @property
    def end_point(self) -> bytes | None:
        """What a login on this connection can be bound to (RFC 5929 §4.1)."""
        ...

    async def start_tls(self) -> bytes | None:
        """Go over to TLS; the client's certificate (DER) if it gave one. Raises ConnectionError."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """What the door works with, the same for all sessions."""

    settings: ImapSettings
    store: Store
    delivery: Delivery
    accounts: Accounts
    authenticator: Authenticator
    audit: Audit
    limits: Limits
    may_start_tls: bool = True
    trace_full: Callable[[], bool] = lambda: False
    access: Access | None = None  # None: the letters of the grants alone count
    sharing: Sharing | None = None  # who makes the changes of SETACL and DELETEACL
    closings: Closings | None = None  # what filing a letter in `Clos` means
    receipts: Receipts | None = None  # who is told that a patient opened a letter

    def trace_handshake(self, peer: Peer, error: BaseException) -> None:
        """A certificate or a TLS version that was refused; a port scan that just hangs up is only counted."""
        self.limits.counters.handshakes_failed += 1
        if isinstance(error, ssl.SSLError):
            now, detail = int(time.time() * 1000), {"protocol": "imap", "cause": cause_of(error)}
            self.audit(
                [
                    AuditEvent(
                        "refuse", now, "client-road", outcome="handshake-failed",
                        session=peer.session, network=peer.address, detail=detail,
                    )
                ]
            )  # fmt: skip

    @property
    def caps(self) -> Caps:
        return Caps(
            line=self.settings.max_line,
            command=self.settings.max_command,
            early_command=self.settings.max_line,
            message=self.settings.max_message,
        )


class Session:
    __slots__ = (
        "_watch",
        "_watcher",
        "access",
        "audited",
        "bad_commands",
        "condstore",
        "connection",
        "dirty",
        "farewell",
        "identity",
        "link",
        "login_failures",
        "peer",
        "rev2",
        "saved",
        "services",
        "view",
    )

    def __init__(self, services: Services, link: Link, peer: Peer) -> None:
        self.services = services
        self.access = services.access or Access(services.accounts)
        self.link = link
        self.peer = peer
        self.connection = Connection(services.caps)
        self.identity: Identity | None = None
        self.view: MailboxView | None = None
        self.condstore = False  # RFC 7162: the client is told modseqs
        self.rev2 = False  # RFC 9051: enabled by the client
        self.saved: list[int] = []  # UIDs of SEARCH RETURN (SAVE)
        self.audited: set[MessageId] = set()  # reads already in the trace
        self.dirty = False  # something changed in the selected account
        self.farewell: str | None = None
        self.bad_commands = 0
        self.login_failures = 0
        self._watch: Watch | None = None
        self._watcher: asyncio.Task[None] | None = None

    # ── answering ──

    def write(self, data: bytes) -> None:
        self.services.limits.counters.octets_sent += len(data)
        self.link.write(data)

    async def drain(self) -> None:
        """Between two slices: wait for a slow client, and let the others run."""
        if self.link.congested:
            await self.link.drain()
        else:
            await asyncio.sleep(0)

    async def apart(self, weight: int, work: Callable[..., T], *arguments: object) -> T:
        """Work on the view that would hold the loop: in a thread when it is heavy.

        The session waits for it, and nobody else has the view.
        """
        if weight < HEAVY:
            return work(*arguments)
        return await asyncio.to_thread(work, *arguments)

    async def write_large(self, data: bytes) -> None:
        if len(data) <= LARGE:
            self.write(data)
            return
        whole = memoryview(data)
        for start in range(0, len(data), LARGE):
            self.link.write(whole[start : start + LARGE])
            await self.drain()
        self.services.limits.counters.octets_sent += len(data)

    def untagged(self, text: bytes) -> None:
        self.write(b"* " + text + b"\r\n")

    def capability_words(self) -> bytes:
        mechanisms = () if self.identity else self.services.authenticator.mechanisms(self.peer)
        return capabilities.advertised(
            self.identity is not None, self.peer.tls, self.services.may_start_tls, mechanisms
        )

    # ── who ──

    @property
    def person(self) -> Identity:
        if self.identity is None:
            raise Wrong("Log in first")
        return self.identity

    @property
    def selected(self) -> MailboxView:
        if self.view is None:
            raise Wrong("No mailbox selected")
        return self.view

    @property
    def writable_view(self) -> MailboxView:
        view = self.selected
        if view.read_only:
            raise Refused("[READ-ONLY] The mailbox is open read-only")
        self.require_space()
        return view

    def require_space(self) -> None:
        if not self.services.store.writable:
            raise Refused("[UNAVAILABLE] Read-only for want of disk space, try again later")

    def require_trace(self) -> None:
        """Nothing is read that could not be told."""
        if self.services.trace_full():
            raise Refused("[UNAVAILABLE] Temporarily out of order, try again later")

    def shared_accounts(self) -> dict[str, AccountId]:
        """Addresses under "Other Users/", at this moment."""
        return {account.address: account.id for account in self.access.shared_with(self.person.account)}

    def seer(self, account: AccountId) -> AccountId | None:
        """The person whose own \\Seen counts there; None where it is common, which costs nothing."""
        found = self.services.accounts.by_id(account)
        return self.person.account if found is not None and found.seen_per_person else None

    def check_rights(self) -> None:
        """Rights are looked at again before each command and at each wake. Raises Farewell."""
        if self.farewell is not None:
            raise Farewell(self.farewell)
        withdrawn = self.withdrawn()
        if withdrawn is Withdrawn.MAILBOX:
            self.untagged(b"OK [CLOSED] Access to this mailbox was withdrawn")
        if withdrawn is not None:
            self._trace_cut(withdrawn)
            raise Farewell(withdrawn.value)

    def _trace_cut(self, why: Withdrawn) -> None:
        now, person = int(time.time() * 1000), self.person
        self.services.audit(
            [
                AuditEvent(
                    "session-cut", now, person.account, subject=person.account, outcome=_SLUGS[why],
                    session=self.peer.session, network=self.peer.address,
                    detail={"protocol": "imap", "credential": person.credential},
                )
            ]
        )  # fmt: skip

    def withdrawn(self) -> Withdrawn | None:
        """What ends this session, if anything. Says nothing to the client: the door's sweep asks it too."""
        identity, accounts = self.identity, self.services.accounts
        if identity is None:
            return None
        if (why := ended(accounts, identity)) is not None:
            return _WITHDRAWN[why]
        if self.view is None or self.view.mailbox.account == identity.account:
            return None
        if not self.access.may(identity.account, self.view.mailbox.account, READ):
            return Withdrawn.MAILBOX
        return None

    def take_peer(self, certificate: bytes | None) -> None:
        self.peer = replace(self.peer, tls=True, certificate=certificate, end_point=self.link.end_point)

    # ── waiting ──

    async def wait(self) -> None:
        """Until bytes came or something happened. Raises Gone, Farewell."""
        data = await self.link.read()
        if data is None:
            self.check_rights()
        elif not data:
            raise Gone
        else:
            self.connection.receive(data)

    # ── the selected mailbox ──

    def open_view(self, view: MailboxView) -> None:
        self.view = view
        self.connection.state = State.SELECTED
        self.saved = []
        self.dirty = False
        self._watch = self.services.store.watch([view.mailbox.account])
        self._watcher = asyncio.get_running_loop().create_task(self._keep_watch(self._watch))

    async def _keep_watch(self, watch: Watch) -> None:
        while True:
            await watch.wait()
            self.dirty = True
            self.link.wake()

    async def close_view(self) -> None:
        """Forget the selected mailbox; what we showed as \\Recent is no longer so for others."""
        view, self.view = self.view, None
        self.saved = []
        if self.connection.state is State.SELECTED:
            self.connection.state = State.AUTHENTICATED
        watcher, self._watcher = self._watcher, None
        watch, self._watch = self._watch, None
        if watcher is not None:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher
        if watch is not None:
            watch.close()
        if view is None or view.read_only or not self.services.store.writable:
            return
        if view.uids and view.uids[-1] >= view.mailbox.first_recent:
            mailbox = view.mailbox.id

            def claim(transaction: Transaction) -> None:
                with contextlib.suppress(NoSuchMailbox):
                    transaction.claim_recent(mailbox)

            await self.services.store.write(claim)

    async def refresh(self, may_expunge: bool) -> None:
        """Tell the client what others did to the selected mailbox (RFC 9051 §5.2)."""
        view = self.view
        if view is None or not (self.dirty or (may_expunge and view.pending)):
            return
        self.dirty = False
        mailbox_id, since = view.mailbox.id, view.mailbox.highestmodseq
        seer = self.seer(view.mailbox.account)

        def changes(reader: Reader) -> tuple[Mailbox, list[Membership], list[int]]:
            mailbox = reader.mailbox(mailbox_id)
            if mailbox.highestmodseq == since:
                return mailbox, [], []
            with reader.as_person(mailbox.account, seer):
                changed = reader.memberships(mailbox_id, since)
            return mailbox, changed, reader.vanished(mailbox_id, since)

        try:
            mailbox, changed, vanished = await self.services.store.read(changes)
        except NoSuchMailbox:
            self.untagged(b"OK [CLOSED] The mailbox was deleted")
            raise Farewell("The selected mailbox was deleted") from None
        # first_recent stays what it was at SELECT: it tells close_view what to claim.
        mailbox = replace(mailbox, first_recent=view.mailbox.first_recent)
        weight = len(changed) + len(vanished) + (len(view) if vanished or view.pending else 0)
        update = await self.apart(weight, view.apply, mailbox, changed, vanished, may_expunge)
        await self.tell_expunged(update.expunged)
        if update.appended:
            self.untagged(b"%d EXISTS" % len(view))
            if not self.rev2:
                self.untagged(b"%d RECENT" % view.recent)
        if update.new_keywords:
            self.tell_known_flags(view)
        await self.tell_flags(update.changed, with_uid=True)

    async def tell_expunged(self, numbers: Sequence[int]) -> None:
        for start in range(0, len(numbers), 1000):
            self.write(b"".join([b"* %d EXPUNGE\r\n" % number for number in numbers[start : start + 1000]]))
            await self.drain()

    def tell_known_flags(self, view: MailboxView) -> None:
        known = view.known_flags()
        self.untagged(b"FLAGS (" + known + b")")
        if not view.read_only and "w" in self.access.rights(self.person.account, view.mailbox.account):
            self.untagged(b"OK [PERMANENTFLAGS (" + known + b" \\*)] Flags permitted")

    async def tell_flags(self, indexes: Iterable[int], with_uid: bool, only_modseq: bool = False) -> None:
        """Untagged FETCH with flags, and the modseq once the client knows of it (RFC 7162 §3.2)."""
        view = self.selected
        lines: list[bytes] = []
        for index in indexes:
            parts: list[bytes] = []
            if with_uid:
                parts.append(b"UID %d" % view.uids[index])
            if not only_modseq:
                parts.append(b"FLAGS (" + view.flags_text(index, not self.rev2) + b")")
            if self.condstore:
                parts.append(b"MODSEQ (%d)" % view.modseqs[index])
            lines.append(b"* %d FETCH (%b)\r\n" % (index + 1, b" ".join(parts)))
            if len(lines) >= SLICE:
                self.write(b"".join(lines))
                lines.clear()
                await self.drain()
        if lines:
            self.write(b"".join(lines))

    async def use_condstore(self) -> None:
        """A command that speaks of modseqs turns them on (RFC 7162 §3.1)."""
        if self.condstore:
            return
        self.condstore = True
        if self.view is not None:
            self.untagged(b"OK [HIGHESTMODSEQ %d] Highest" % self.view.mailbox.highestmodseq)

    # ── the trace ──

    def trace_reads(self, read: Iterable[tuple[MessageId, str]], account: AccountId) -> None:
        """One entry per message and session, noted for the next commit before the first octet of a body is written."""
        now = int(time.time() * 1000)
        person = self.person
        events: list[AuditEvent] = []
        for message, email_id in read:
            if message in self.audited:
                continue
            self.audited.add(message)
            events.append(
                AuditEvent(
                    "read", now, person.account, subject=account, reference=email_id,
                    session=self.peer.session, network=self.peer.address, kind="message", door="imap",
                )
            )  # fmt: skip
        if events:
            self.services.audit(events)

    def trace_search(self, opened: int, account: AccountId) -> None:
        """Letters in custody whose text was looked through, before it is told which of them hold the word."""
        event = AuditEvent(
            "search", int(time.time() * 1000), self.person.account, subject=account,
            session=self.peer.session, network=self.peer.address, detail={"count": str(opened)},
            kind="message", door="imap",
        )  # fmt: skip
        self.services.audit([event])

    def trace_taken(
        self, action: str, email_ids: Iterable[str], source: AccountId, target: AccountId
    ) -> None:
        """Letters taken over into another account: they can be read there without a word to the first one's trace."""
        now = int(time.time() * 1000)
        self.services.audit(
            [
                AuditEvent(
                    action, now, self.person.account, subject=source, reference=email_id,
                    session=self.peer.session, network=self.peer.address, detail={"account": target},
                    kind="message", door="imap",
                )
                for email_id in email_ids
            ]
        )  # fmt: skip
