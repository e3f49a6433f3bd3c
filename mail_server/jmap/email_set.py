"""Email/set: keywords, mailboxes and removal (RFC 8621 §4.6); what makes a new letter is in `email_create`.

Invariants: all updates and removals of one call are one transaction, durable before the answer; each object fails
by itself, with a SetError; `ifInState` is compared inside that transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from mail_server.accounts.entities import EVERY_RIGHT
from mail_server.jmap import keywords, states
from mail_server.jmap.email_create import EmailCreation
from mail_server.jmap.emails import shown_placements, visible
from mail_server.jmap.exchanges import Closing, closing_of
from mail_server.jmap.interface import Arguments, MethodError, SetError, Turn
from mail_server.jmap.mailbox_ids import mailboxes_of
from mail_server.jmap.objects import resolve, set_response
from mail_server.jmap.protocol import apply_patch
from mail_server.jmap.protocol.arguments import Given, within
from mail_server.jmap.protocol.errors import invalid_properties
from mail_server.jmap.services import Services
from mail_server.store.interface import NoSpace, NoSuchMailbox, NoSuchMessage, Transaction
from mail_server.store.model import AccountId, EmailRow, MailboxId

Patch = Mapping[str, Any]
_CHANGEABLE = frozenset({"keywords", "mailboxIds"})


@dataclass(slots=True)
class Outcome:
    """What a transaction did; made afresh each time it runs."""

    old: str = ""
    new: str = ""
    updated: dict[str, dict[str, Any] | None] = field(default_factory=dict[str, dict[str, Any] | None])
    destroyed: list[str] = field(default_factory=list[str])
    not_updated: dict[str, SetError] = field(default_factory=dict[str, SetError])
    not_destroyed: dict[str, SetError] = field(default_factory=dict[str, SetError])


class EmailSet:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._creation = EmailCreation(services)

    async def set(self, turn: Turn, arguments: Arguments) -> dict[str, Any]:
        account = turn.account(arguments)
        given = Given(arguments, "ifInState", "create", "update", "destroy")
        create, update = given.objects("create"), given.objects("update")
        destroy = [resolve(turn, each) for each in given.ids("destroy") or ()]
        within(len(create) + len(update) + len(destroy), self._services.settings.max_objects_set)
        if create and not self._services.store.writable:
            raise MethodError("accountReadOnly", "Not enough storage at the moment")
        if_in_state = given.text("ifInState")
        before = await self._services.store.read(lambda reader: states.email_state(reader, account.id))
        if if_in_state is not None and if_in_state != before:
            raise MethodError("stateMismatch")
        created, not_created = await self._creation.create(turn, account, create)
        updates = {key: (resolve(turn, key), patch) for key, patch in update.items()}
        # The letters made just now moved the state; what others did meanwhile must not be overrun.
        expected = if_in_state if not created else None
        services = self._services
        closing = await closing_of(services.exchanges, services.store, turn, account.id, updates)
        letters = turn.letters(account.id)
        outcome = await services.write(
            turn,
            account,
            lambda transaction: change(
                transaction, account.id, updates, destroy, expected, turn.created, closing, letters
            ),
        )
        return set_response(
            account,
            before,
            outcome.new,
            created=created,
            updated=outcome.updated,
            destroyed=outcome.destroyed,
            not_created=not_created,
            not_updated=outcome.not_updated,
            not_destroyed=outcome.not_destroyed,
        )


def change(
    transaction: Transaction,
    account: AccountId,
    updates: Mapping[str, tuple[str, Patch]],
    destroy: Sequence[str],
    if_in_state: str | None,
    created: Mapping[str, str],
    closing: Closing | None = None,
    letters: str = EVERY_RIGHT,
) -> Outcome:
    """In the store's transaction; `updates` by the key they are told under, `letters` what the speaker may do.

    Raises MethodError stateMismatch.
    """
    transaction.lock([account])
    outcome = Outcome(old=states.email_state(transaction, account))
    if if_in_state is not None and if_in_state != outcome.old:
        raise MethodError("stateMismatch")
    names = {each.object_id: each.id for each in transaction.mailboxes(account)}
    rows = visible(transaction, account, [*(email for email, _ in updates.values()), *destroy])
    doomed = set(destroy)
    for key, (email, patch) in updates.items():
        try:
            row = rows.get(email)
            if row is None:
                raise SetError("notFound")
            if email in doomed:
                raise SetError("willDestroy")
            _update(transaction, account, row, patch, names, created, closing, letters)
            outcome.updated[key] = None
        except SetError as error:
            outcome.not_updated[key] = error
    for email in destroy:
        row = rows.get(email)
        if row is None:
            outcome.not_destroyed[email] = SetError("notFound")
            continue
        if not {"t", "e"} <= set(letters):
            outcome.not_destroyed[email] = _not_yours()
            continue
        transaction.place(account, email, frozenset(), *keywords.split(()))
        outcome.destroyed.append(email)
    outcome.new = states.email_state(transaction, account)
    return outcome


def _update(
    transaction: Transaction,
    account: AccountId,
    row: EmailRow,
    patch: Patch,
    names: Mapping[str, MailboxId],
    created: Mapping[str, str],
    closing: Closing | None,
    letters: str,
) -> None:
    placements = shown_placements(row)
    object_ids = {number: name for name, number in names.items()}
    before: dict[str, Any] = {
        "keywords": dict.fromkeys(keywords.keywords_of(placements), True),
        "mailboxIds": {object_ids[each.mailbox]: True for each in placements},
    }
    patch = {_canonical(key, created): value for key, value in patch.items()}
    outside = {key.partition("/")[0] for key in patch} - _CHANGEABLE
    if outside:
        raise invalid_properties(*sorted(outside), description="A letter's content does not change")
    after = apply_patch(before, patch)
    if after["keywords"] is None:
        after["keywords"] = {}  # RFC 8620 §5.3: null is the default
    words = keywords.read(after["keywords"])
    if words is None:
        raise invalid_properties("keywords")
    wanted = mailboxes_of(after["mailboxIds"], names, created)
    _within_rights(letters, set(before["keywords"]), words, {each.mailbox for each in placements}, wanted)
    # Places marked \Deleted over IMAP are not JMAP's to keep or drop.
    unseen = frozenset(each.mailbox for each in row.placements) - {each.mailbox for each in placements}
    try:
        transaction.place(account, row.email_id, wanted | unseen, *keywords.split(words, row.placements))
        if closing is not None:
            closing.filed(transaction, row, wanted)
    except NoSuchMessage:
        raise SetError("notFound") from None
    except NoSuchMailbox:
        raise invalid_properties("mailboxIds") from None
    except NoSpace:
        raise SetError("overQuota", "Not enough storage at the moment") from None


def _within_rights(
    letters: str,
    words_before: AbstractSet[str],
    words: AbstractSet[str],
    mailboxes_before: AbstractSet[MailboxId],
    mailboxes: AbstractSet[MailboxId],
) -> None:
    """What RFC 4314 §4 asks for the same over IMAP. Raises SetError forbidden."""
    turned = words_before ^ words
    needed = {"s"} if "$seen" in turned else set[str]()
    if turned - {"$seen"}:
        needed.add("w")
    if mailboxes - mailboxes_before:
        needed.add("i")
    if mailboxes_before - mailboxes:
        needed |= {"t", "e"}
    if not needed <= set(letters):
        raise _not_yours()


def _not_yours() -> SetError:
    return SetError("forbidden", "Your rights in this account do not allow it")


def _canonical(key: str, created: Mapping[str, str]) -> str:
    """Keywords are case-blind; a mailbox may be named by a creation id."""
    head, slash, rest = key.partition("/")
    if head == "keywords":
        return head + slash + rest.lower()
    if head == "mailboxIds" and rest.startswith("#"):
        return head + slash + created.get(rest[1:], rest)
    return key
