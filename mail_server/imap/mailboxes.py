"""Folders: LIST, LSUB, STATUS, NAMESPACE, CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE.

Invariants: a level that only has children is shown as \\Noselect and cannot be opened; nothing is listed that
`names.resolve` would refuse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mail_server.imap.access import may, require, trace_refusal
from mail_server.imap.access import read as read_as
from mail_server.imap.access import write as write_as
from mail_server.imap.names import Pattern, Target, named_account, resolve, shown
from mail_server.imap.protocol.commands import Bare, Create, List, OnMailbox, Rename, Status
from mail_server.imap.protocol.responses import mailbox as mailbox_text
from mail_server.imap.protocol.responses import parenthesized
from mail_server.imap.session import Refused, Session
from mail_server.store.interface import MailboxProtected, NoSuchAccount, NoSuchMailbox, Reader, Transaction
from mail_server.store.model import AccountId, Mailbox, MailboxCounts, MailboxId, SpecialUse

# RFC 6154 §2; INBOX has no attribute on the wire, and other people's folders are not the client's own.
_USES = {
    SpecialUse.DRAFTS: b"\\Drafts",
    SpecialUse.SENT: b"\\Sent",
    SpecialUse.TRASH: b"\\Trash",
    SpecialUse.JUNK: b"\\Junk",
    SpecialUse.ARCHIVE: b"\\Archive",
}


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    mailbox: Mailbox | None  # None: a level that only has children
    use: bytes | None
    has_children: bool

    @property
    def subscribed(self) -> bool:
        return self.mailbox is not None and self.mailbox.subscribed


async def _entries(session: Session) -> list[_Entry]:
    person = session.person.account
    shared = session.shared_accounts()
    places: list[tuple[AccountId, str | None]] = [(person, None)]
    # RFC 4314 §4: without "l" a mailbox is not told.
    places += [(account, address) for address, account in shared.items() if may(session, account, "l")]
    seers = {account: session.seer(account) for account, _ in places}

    def read(reader: Reader) -> dict[str, tuple[Mailbox, bytes | None]]:
        found: dict[str, tuple[Mailbox, bytes | None]] = {}
        for account, address in places:
            try:
                with reader.as_person(account, seers[account]):
                    mailboxes = reader.mailboxes(account)
            except NoSuchAccount:
                continue
            for mailbox in mailboxes:
                use = _USES.get(mailbox.special_use) if mailbox.special_use and address is None else None
                found[shown(mailbox, address)] = (mailbox, use)
        return found

    found = await session.services.store.read(read)
    parents: set[str] = set()
    for name in found:
        while "/" in name:
            name = name.rpartition("/")[0]
            parents.add(name)
    entries = [_Entry(name, mailbox, use, name in parents) for name, (mailbox, use) in found.items()]
    entries += [_Entry(name, None, None, True) for name in parents if name not in found]
    entries.sort(key=lambda entry: (entry.name != "INBOX", entry.name))
    return entries


def _matching(entries: Sequence[_Entry], reference: str, patterns: Sequence[str]) -> list[_Entry]:
    compiled = [Pattern(_whole_pattern(reference, pattern)) for pattern in patterns]
    return [entry for entry in entries if any(pattern.matches(entry.name) for pattern in compiled)]


def _whole_pattern(reference: str, pattern: str) -> str:
    whole = reference + pattern
    return "INBOX" if whole.upper() == "INBOX" else whole


async def list_mailboxes(session: Session, wanted: List) -> bytes:
    if wanted.patterns == ("",) and not wanted.extended:
        # RFC 9051 §6.3.9: an empty name asks for the separator and the root.
        session.untagged(b'LIST (\\Noselect) "/" ""')
        return b"LIST completed"
    entries = await _entries(session)
    children_subscribed: set[str] = set()
    if wanted.select_recursive:
        children_subscribed = _parents([e.name for e in entries if e.subscribed])
    for entry in _matching(entries, wanted.reference, wanted.patterns):
        chosen = not (
            (wanted.select_subscribed and not entry.subscribed)
            or (wanted.select_special and entry.use is None)
        )
        info = b""
        if wanted.select_recursive and wanted.select_subscribed and entry.name in children_subscribed:
            # RFC 5258 §3.5: the parent is told for its children's sake.
            info = b' ("CHILDINFO" ("SUBSCRIBED"))'
        if not chosen and not info:
            continue
        attributes = _attributes(entry, wanted)
        name = mailbox_text(entry.name, session.rev2)
        session.untagged(b"LIST " + parenthesized(attributes) + b' "/" ' + name + info)
        # RFC 5819 §2
        if (
            chosen
            and wanted.return_status
            and entry.mailbox is not None
            and may(session, entry.mailbox.account, "r")
        ):
            await _tell_status(session, entry.mailbox, entry.name, wanted.return_status)
    return b"LIST completed"


def _parents(names: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        while "/" in name:
            name = name.rpartition("/")[0]
            found.add(name)
    return found


def _attributes(entry: _Entry, wanted: List) -> list[bytes]:
    attributes: list[bytes] = []
    if entry.mailbox is None:
        # RFC 5258 §3: \NonExistent implies \Noselect; older clients know only the latter.
        attributes += [b"\\Noselect"] if not wanted.extended else [b"\\NonExistent", b"\\Noselect"]
    if entry.subscribed and (wanted.select_subscribed or wanted.return_subscribed):
        attributes.append(b"\\Subscribed")
    attributes.append(b"\\HasChildren" if entry.has_children else b"\\HasNoChildren")
    if entry.use is not None:
        attributes.append(entry.use)
    return attributes


async def list_subscribed(session: Session, wanted: List) -> bytes:
    """LSUB (RFC 3501 §6.3.9): with `%`, a level is told \\Noselect when only what lies below is subscribed."""
    entries = await _entries(session)
    parents = _parents([entry.name for entry in entries if entry.subscribed])
    telling_parents = any(pattern.endswith("%") for pattern in wanted.patterns)
    for entry in _matching(entries, wanted.reference, wanted.patterns):
        if entry.subscribed:
            attributes = b"()"
        elif telling_parents and entry.name in parents:
            attributes = b"(\\Noselect)"
        else:
            continue
        session.untagged(b"LSUB " + attributes + b' "/" ' + mailbox_text(entry.name, session.rev2))
    return b"LSUB completed"


async def namespace(session: Session, _: Bare) -> bytes:
    # RFC 2342 §5: personal, other users', shared (none).
    session.untagged(b'NAMESPACE (("" "/")) (("Other Users/" "/")) NIL')
    return b"NAMESPACE completed"


# ── STATUS ──


def target_of(session: Session, name: str) -> Target:
    shared = session.shared_accounts()
    try:
        return resolve(name, session.person.account, shared)
    except Refused:
        _trace_foreign(session, name, shared)
        raise


def _trace_foreign(session: Session, name: str, shared: Mapping[str, AccountId]) -> None:
    """Somebody else's mailbox was asked for (reference/mssante.md, row 18): the client is told as if there was none."""
    account = session.services.accounts.by_address(named_account(name) or "")
    if account is not None and account.address not in shared:
        trace_refusal(session, account.id, "mailbox-not-yours")


async def find(session: Session, name: str) -> Mailbox:
    """Raises NoSuchMailbox (answered NO [NONEXISTENT])."""
    target = target_of(session, name)
    return await session.services.store.read(
        lambda reader: reader.mailbox_by_name(target.account, target.name)
    )


async def status(session: Session, wanted: Status) -> bytes:
    mailbox = await find(session, wanted.mailbox)
    require(session, mailbox.account, "r")
    await _tell_status(session, mailbox, wanted.mailbox, wanted.items)
    return b"STATUS completed"


_COUNTED = frozenset({"MESSAGES", "RECENT", "UNSEEN", "SIZE", "DELETED"})


async def _tell_status(session: Session, known: Mailbox, name: str, items: Sequence[str]) -> None:
    mailbox_id = known.id
    counting = not _COUNTED.isdisjoint(items)

    def read(reader: Reader) -> tuple[Mailbox, MailboxCounts | None]:
        return reader.mailbox(mailbox_id), reader.counts(mailbox_id) if counting else None

    try:
        mailbox, counts = await read_as(session, known.account, read)
    except NoSuchMailbox:
        if session.view is not None and session.view.mailbox.id == mailbox_id:
            session.dirty = True
        return
    if "HIGHESTMODSEQ" in items:
        await session.use_condstore()
    counts = counts or MailboxCounts(0, 0, 0, 0, 0)
    values = {
        "MESSAGES": b"%d" % counts.messages,
        "RECENT": b"%d" % counts.recent,
        "UNSEEN": b"%d" % counts.unseen,
        "SIZE": b"%d" % counts.size,
        "DELETED": b"%d" % counts.deleted,
        "UIDNEXT": b"%d" % mailbox.uidnext,
        "UIDVALIDITY": b"%d" % mailbox.uidvalidity,
        "HIGHESTMODSEQ": b"%d" % mailbox.highestmodseq,
        "MAILBOXID": b"(" + mailbox.object_id.encode("ascii") + b")",
    }
    pairs = [item.encode("ascii") + b" " + values[item] for item in items]
    session.untagged(b"STATUS " + mailbox_text(name, session.rev2) + b" " + parenthesized(pairs))


# ── changes ──


def _checked(name: str) -> str:
    if "%" in name or "*" in name or not all(name.split("/")):
        # RFC 9051 §5.1: wildcards in names confuse clients; an empty level has no meaning.
        raise Refused("[CANNOT] Not a name for a mailbox")
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        raise Refused("[CANNOT] Not a name for a mailbox")
    return name


async def create(session: Session, wanted: Create) -> bytes:
    session.require_space()
    target = target_of(session, wanted.mailbox)
    require(session, target.account, "k")
    name = _checked(target.name)
    if name == "INBOX":
        raise Refused("[ALREADYEXISTS] INBOX is always there")
    limit = session.services.settings.max_mailboxes

    def make(transaction: Transaction) -> Mailbox:
        if len(transaction.mailboxes(target.account)) >= limit:
            raise Refused("[LIMIT] Too many mailboxes")
        return transaction.create_mailbox(target.account, name)

    made = await session.services.store.write(make)
    # RFC 8474 §4.1
    return b"[MAILBOXID (" + made.object_id.encode("ascii") + b")] CREATE completed"


async def delete(session: Session, wanted: OnMailbox) -> bytes:
    session.require_space()
    target = target_of(session, wanted.mailbox)
    require(session, target.account, "x")

    def drop(transaction: Transaction) -> MailboxId:
        try:
            mailbox = transaction.mailbox_by_name(target.account, target.name)
        except NoSuchMailbox:
            inside = target.name + "/"
            if any(m.name.startswith(inside) for m in transaction.mailboxes(target.account)):
                raise Refused("[HASCHILDREN] This level only has children: delete them") from None
            raise
        transaction.delete_mailbox(mailbox.id)
        return mailbox.id

    gone = await session.services.store.write(drop)
    if session.view is not None and session.view.mailbox.id == gone:
        session.untagged(b"OK [CLOSED] The selected mailbox was deleted")
        session.view.read_only = True  # nothing is left to claim
        await session.close_view()
    return b"DELETE completed"


async def rename(session: Session, wanted: Rename) -> bytes:
    session.require_space()
    old, new = target_of(session, wanted.old), target_of(session, wanted.new.rstrip("/"))
    if old.account != new.account:
        raise Refused("[CANNOT] A mailbox stays in its account; move its messages")
    require(session, old.account, "xk")
    name = _checked(new.name)
    if name == "INBOX":
        raise Refused("[ALREADYEXISTS] INBOX is always there")
    if (name + "/").startswith(old.name + "/") and old.name != "INBOX":
        raise Refused("[CANNOT] A mailbox cannot go inside itself")

    def change(transaction: Transaction) -> None:
        if old.name == "INBOX":
            _rename_inbox(transaction, old.account, name)
            return
        try:
            transaction.rename_mailbox(transaction.mailbox_by_name(old.account, old.name).id, name)
        except NoSuchMailbox:
            _rename_children(transaction, old, name)

    await session.services.store.write(change)
    return b"RENAME completed"


def _rename_inbox(transaction: Transaction, account: AccountId, name: str) -> None:
    """RFC 9051 §6.3.6: the messages go to a new mailbox, INBOX stays and is empty, its inferiors do not move."""
    inbox = transaction.mailbox_by_use(account, SpecialUse.INBOX)
    made = transaction.create_mailbox(account, name)
    uids = [membership.uid for membership in transaction.memberships(inbox.id)]
    if uids:
        transaction.move(inbox.id, uids, made.id)


def _rename_children(transaction: Transaction, old: Target, name: str) -> None:
    """The level itself is no mailbox: what lies right below it moves (and takes its own inferiors along)."""
    inside = old.name + "/"
    below = sorted(
        (m for m in transaction.mailboxes(old.account) if m.name.startswith(inside)), key=lambda m: m.name
    )
    if not below:
        raise NoSuchMailbox
    for mailbox in below:
        now = transaction.mailbox(mailbox.id)
        if now.name.startswith(inside):
            transaction.rename_mailbox(mailbox.id, name + "/" + now.name.removeprefix(inside))


async def subscribe(session: Session, wanted: OnMailbox) -> bytes:
    await _set_subscribed(session, wanted.mailbox, True)
    return b"SUBSCRIBE completed"


async def unsubscribe(session: Session, wanted: OnMailbox) -> bytes:
    await _set_subscribed(session, wanted.mailbox, False)
    return b"UNSUBSCRIBE completed"


async def _set_subscribed(session: Session, name: str, subscribed: bool) -> None:
    session.require_space()
    target = target_of(session, name)
    if subscribed:
        require(session, target.account, "l")  # RFC 4314 §4: UNSUBSCRIBE needs none

    own = session.seer(target.account) is not None

    def change(transaction: Transaction) -> None:
        mailbox = transaction.mailbox_by_name(target.account, target.name)
        if own or mailbox.subscribed is not subscribed:
            transaction.subscribe(mailbox.id, subscribed)

    await write_as(session, target.account, change)


__all__ = [
    "MailboxProtected", "create", "delete", "find", "list_mailboxes", "list_subscribed", "namespace", "rename",
    "status", "subscribe", "target_of", "unsubscribe",
]  # fmt: skip
