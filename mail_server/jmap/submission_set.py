"""EmailSubmission/set: hand over, hold, call back (RFC 8621 §7.5).

Invariants: what is answered as created is durable and leaves; what nobody would take is refused at once, with the
reason; what was called back in time never leaves; changes to letters on success are one transaction, told as an
Email/set of their own.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mail_server.accounts.interface import Account
from mail_server.delivery.gate import ConversationClosed
from mail_server.jmap.email_set import change
from mail_server.jmap.emails import visible
from mail_server.jmap.envelopes import is_from, read_envelope, send_at
from mail_server.jmap.exchanges import closing_of
from mail_server.jmap.identities import identities_of
from mail_server.jmap.interface import Arguments, MethodError, SetError, Turn
from mail_server.jmap.objects import resolve, set_response
from mail_server.jmap.protocol.arguments import Given, within
from mail_server.jmap.protocol.errors import invalid_properties
from mail_server.jmap.sending import QUEUED, Speaker, admit, refused_outcome, send
from mail_server.jmap.services import Services
from mail_server.jmap.submission_queue import SubmissionQueue
from mail_server.jmap.submission_rows import (
    Addressed,
    Submission,
    SubmissionRows,
    Undo,
    new_id,
    same_state,
    submission_state,
)
from mail_server.jmap.submissions import told
from mail_server.store.interface import Damaged, NoSpace, NoSuchMessage, Reader, StoreError, Transaction
from mail_server.store.model import AccountId, EmailRow
from policies.limits.limits import Limit
from policies.refusal import Refusal

_LONGEST_PACKET = 2048  # characters of a session key packet, in base64
_COPY_LIFETIME_MS = 7 * 86_400_000  # after its time, for a letter that cannot leave at once
_FROM = frozenset({"from-forged", "from-not-one"})
_MAIL_FROM = frozenset({"sender-not-yours"})


@dataclass(slots=True)
class _Done:
    """What this call made, changed and removed; by the keys they are told under."""

    created: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    not_created: dict[str, SetError] = field(default_factory=dict[str, SetError])
    updated: dict[str, dict[str, Any] | None] = field(default_factory=dict[str, dict[str, Any] | None])
    not_updated: dict[str, SetError] = field(default_factory=dict[str, SetError])
    destroyed: list[str] = field(default_factory=list[str])
    not_destroyed: dict[str, SetError] = field(default_factory=dict[str, SetError])
    emails: dict[str, str] = field(default_factory=dict[str, str])  # submission (or "#key") → its Email


class SubmissionSet:
    def __init__(self, services: Services, rows: SubmissionRows, queue: SubmissionQueue) -> None:
        self._services = services
        self._rows = rows
        self._queue = queue

    async def set(self, turn: Turn, arguments: Arguments) -> dict[str, Any]:
        account = turn.account(arguments, "p")
        given = Given(
            arguments, "ifInState", "create", "update", "destroy", "onSuccessUpdateEmail",
            "onSuccessDestroyEmail",
        )  # fmt: skip
        create, update = given.objects("create"), given.objects("update")
        destroy = [resolve(turn, each) for each in given.ids("destroy") or ()]
        within(len(create) + len(update) + len(destroy), self._services.settings.max_objects_set)
        on_update = given.objects("onSuccessUpdateEmail")
        on_destroy = given.ids("onSuccessDestroyEmail") or []
        if create and not self._services.store.writable:
            raise MethodError("accountReadOnly", "Not enough storage at the moment")
        state = given.text("ifInState")

        def first(reader: Reader) -> str:
            same_state(reader, account.id, state)
            return submission_state(reader, account.id)

        old = await self._services.store.read(first)
        done = _Done()
        for key, wanted in create.items():
            await self._create(turn, account, key, wanted, done)
        new = await self._change(turn, account, update, destroy, done, old)
        if done.created or done.updated or done.destroyed:
            self._services.submissions_changed(account.id)
            self._queue.wake()
        if on_update or on_destroy:
            await self._on_success(turn, account, on_update, on_destroy, done)
        return set_response(
            account,
            old,
            new,
            created=done.created,
            updated=done.updated,
            destroyed=done.destroyed,
            not_created=done.not_created,
            not_updated=done.not_updated,
            not_destroyed=done.not_destroyed,
        )

    # ── making ──

    async def _create(
        self, turn: Turn, account: Account, key: str, wanted: Mapping[str, Any], done: _Done
    ) -> None:
        try:
            one = await self._handed_over(turn, account, wanted)
        except SetError as error:
            done.not_created[key] = error
            return
        except (StoreError, Refusal):
            if not done.created:
                raise
            # RFC 8620 §3.6.2: what was made before is made.
            raise MethodError(
                "serverPartialFail", "Some were handed over: look before trying again"
            ) from None
        turn.created[key] = one.id
        done.emails[one.id] = done.emails["#" + key] = one.email_id
        shown = told(one)
        done.created[key] = {
            name: shown[name]
            for name in ("id", "threadId", "envelope", "sendAt", "undoStatus", "deliveryStatus")
        }
        self._services.counters.submissions += 1

    async def _handed_over(self, turn: Turn, account: Account, wanted: Mapping[str, Any]) -> Submission:
        """Durable on return. Raises SetError."""
        unknown = sorted(wanted.keys() - {"identityId", "emailId", "envelope", "gateKeyPacket"})
        if unknown:
            raise invalid_properties(*unknown)
        author = self._author(turn, account, wanted.get("identityId"))
        row = await self._email(turn, account, wanted.get("emailId"))
        to = read_envelope(wanted.get("envelope"), row.rendered.header)
        to.gate_packet = _gate_packet(wanted.get("gateKeyPacket"))
        own = frozenset({author.address.lower(), author.shown.lower()})
        settings, now = self._services.settings, self._services.clock()
        if to.mail_from.lower() not in own:
            raise SetError("forbiddenMailFrom", "That is not the identity's address")
        if not is_from(row.rendered.header, own):
            raise SetError("forbiddenFrom", "The letter's From is not the identity's address")
        if len(to.recipients) > settings.max_recipients:
            raise SetError("tooManyRecipients", maxRecipients=settings.max_recipients)
        leaves = send_at(to.parameters, now, settings.max_delayed_send)
        to.outcomes = dict.fromkeys(to.recipients, QUEUED)
        one = Submission(
            id=new_id(), account=account.id, speaker=turn.identity.account, identity=author.id,
            email_id=row.email_id, thread_id=row.thread_id, addressed=to, copy="", send_at=leaves,
            undo=Undo.PENDING, due=leaves, network=turn.peer.address, session=turn.peer.session,
        )  # fmt: skip
        speaker = Speaker(turn.identity, turn.peer, account.id)
        await self._admitted(speaker, to, row.size)
        self._counted(speaker)
        message = await self._content(account, row)
        if leaves > now:
            await self._hold(account.id, one, message)
        else:
            await self._send_now(speaker, one, message)
        return one

    def _author(self, turn: Turn, account: Account, identity: Any) -> Account:
        found = identities_of(turn, account).get(AccountId(identity)) if isinstance(identity, str) else None
        if found is None:
            raise invalid_properties("identityId")
        return found

    async def _email(self, turn: Turn, account: Account, named: Any) -> EmailRow:
        if not isinstance(named, str) or not turn.may(account.id, "r"):  # to send it is to read it
            raise invalid_properties("emailId")
        email = resolve(turn, named)
        rows = await self._services.store.read(lambda reader: visible(reader, account.id, [email]))
        if email not in rows:
            raise invalid_properties("emailId")
        return rows[email]

    async def _content(self, account: Account, row: EmailRow) -> bytes:
        try:
            return await self._services.store.read(lambda reader: reader.content(row.message))
        except (NoSuchMessage, Damaged):
            raise invalid_properties("emailId") from None

    async def _admitted(self, speaker: Speaker, to: Addressed, size: int) -> None:
        """Refused recipients are told in their status, unless all are. Raises SetError."""
        try:
            _, refused = await admit(self._services.delivery, speaker, to, size)
        except Refusal as refusal:
            raise _told_refusal(refusal) from None
        for address, refusal in refused.items():
            to.outcomes[address] = refused_outcome(refusal)
        if len(refused) == len(to.recipients):
            raise _nobody(refused)

    def _counted(self, speaker: Speaker) -> None:
        """One more letter handed over by this person within the hour. Raises SetError rateLimit."""
        try:
            self._services.limits.take(Limit.SUBMISSIONS, speaker.identity.account)
        except Refusal as refusal:
            raise _told_refusal(refusal) from None

    async def _send_now(self, speaker: Speaker, one: Submission, message: bytes) -> None:
        to = one.addressed
        refused = await send(self._services.delivery, speaker, to, message, to.waiting)
        if not any(outcome.delivered in ("yes", "queued") for outcome in to.outcomes.values()):
            raise _nobody(refused)
        one.undo = Undo.FINAL
        one.due = self._services.clock() + 60_000 if to.waiting else None
        await self._services.store.write(lambda transaction: self._rows.make(transaction.sql, one))

    async def _hold(self, account: AccountId, one: Submission, message: bytes) -> None:
        """Until its time it needs no Email: who tidies up meanwhile does not stop it."""
        try:
            copy = await self._services.store.stage(account, message, compress=False)

            def write(transaction: Transaction) -> None:
                expires = one.send_at + _COPY_LIFETIME_MS
                one.copy = transaction.keep_upload(copy, "message/rfc822", expires).id
                self._rows.make(transaction.sql, one)

            await self._services.store.write(write)
        except NoSpace:
            raise SetError("overQuota", "Not enough storage at the moment") from None

    # ── calling back, removing ──

    async def _change(
        self,
        turn: Turn,
        account: Account,
        update: Mapping[str, Mapping[str, Any]],
        destroy: Sequence[str],
        done: _Done,
        old: str,
    ) -> str:
        if not update and not destroy:
            return await self._services.store.read(lambda reader: submission_state(reader, account.id))

        def write(transaction: Transaction) -> tuple[_Done, str]:
            now = _Done()
            named = {key: resolve(turn, key) for key in update}
            rows = self._rows.of(transaction.sql, account.id, [*named.values(), *destroy])
            for key, patch in update.items():
                try:
                    self._update(transaction, account.id, rows.get(named[key]), patch)
                    now.updated[key] = None
                    now.emails[key] = now.emails[named[key]] = rows[named[key]].email_id
                except SetError as error:
                    now.not_updated[key] = error
            for one in destroy:
                if self._rows.destroy(transaction.sql, account.id, one):
                    now.destroyed.append(one)
                    now.emails[one] = rows[one].email_id
                else:
                    now.not_destroyed[one] = SetError("notFound")
            return now, submission_state(transaction, account.id)

        now, new = await self._services.store.write(write)
        done.updated, done.not_updated = now.updated, now.not_updated
        done.destroyed, done.not_destroyed = now.destroyed, now.not_destroyed
        done.emails |= now.emails
        return new

    def _update(
        self, transaction: Transaction, account: AccountId, one: Submission | None, patch: Mapping[str, Any]
    ) -> None:
        """RFC 8621 §7: only `undoStatus` changes, and only to canceled. Raises SetError."""
        if one is None:
            raise SetError("notFound")
        others = sorted(patch.keys() - {"undoStatus"})
        if others:
            raise invalid_properties(*others)
        wanted = patch.get("undoStatus")
        if wanted == one.undo.name.lower():
            return
        if wanted != "canceled":
            raise invalid_properties("undoStatus")
        if not self._rows.cancel(transaction.sql, account, one.id):
            raise SetError("cannotUnsend", "It has left")

    # ── letters, on success ──

    async def _on_success(
        self,
        turn: Turn,
        account: Account,
        on_update: Mapping[str, Mapping[str, Any]],
        on_destroy: Sequence[str],
        done: _Done,
    ) -> None:
        """RFC 8621 §7.5: an Email/set of what succeeded, answered after this call's own response."""
        updates = {done.emails[key]: patch for key, patch in on_update.items() if key in done.emails}
        doomed = list(dict.fromkeys(done.emails[key] for key in on_destroy if key in done.emails))
        named = {email: (email, patch) for email, patch in updates.items()}
        services = self._services
        closing = await closing_of(services.exchanges, services.store, turn, account.id, named)
        letters = turn.letters(account.id)
        outcome = await services.write(
            turn,
            account,
            lambda transaction: change(
                transaction, account.id, named, doomed, None, turn.created, closing, letters
            ),
        )
        answer = set_response(
            account,
            outcome.old,
            outcome.new,
            updated=outcome.updated,
            destroyed=outcome.destroyed,
            not_updated=outcome.not_updated,
            not_destroyed=outcome.not_destroyed,
        )
        turn.after.append(("Email/set", answer))


def _gate_packet(value: Any) -> str:
    """Base64 of one key packet for the egress gate. Raises SetError invalidProperties."""
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST_PACKET:
        raise invalid_properties("gateKeyPacket")
    try:
        base64.b64decode(value, validate=True)
    except ValueError:
        raise invalid_properties("gateKeyPacket") from None
    return value


def _nobody(refused: Mapping[str, Refusal]) -> SetError:
    """Nobody takes it: the reason, in the words of RFC 8621 §7.5."""
    reasons = list(refused.values())
    unknown = [address for address, refusal in refused.items() if refusal.enhanced.startswith("5.1.")]
    if len(unknown) == len(reasons):
        return SetError("invalidRecipients", reasons[0].sentence, invalidRecipients=unknown)
    return _told_refusal(next(each for each in reasons if not each.enhanced.startswith("5.1.")))


def _told_refusal(refusal: Refusal) -> SetError:
    more: dict[str, Any] = {"reason": refusal.reason, "reference": refusal.id}
    if isinstance(refusal, ConversationClosed) and refusal.closed_by:
        more["closedBy"] = refusal.closed_by
    if refusal.retry_after:
        # RFC 8620 §5.3
        return SetError("rateLimit", refusal.sentence, **more, retryAfter=refusal.retry_after)
    if refusal.code == 552 and refusal.reason.startswith("too-large"):
        return SetError("tooLarge", refusal.sentence, **more)
    if refusal.reason in _FROM:
        return SetError("forbiddenFrom", refusal.sentence, **more)
    if refusal.reason in _MAIL_FROM:
        return SetError("forbiddenMailFrom", refusal.sentence, **more)
    return SetError("forbiddenToSend", refusal.sentence, **more)
