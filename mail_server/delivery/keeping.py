"""What a mail program or the page itself stores (IMAP APPEND, JMAP Email/import): kept to the byte, at rest.

Invariants: `keep` returns after the commit; a patient's account takes nothing in clear; what was sent for a shared
account lies in its Sent once; the coarse class of what came sealed is what its holder says, since nobody here can look.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from directory.openpgp.packets import PacketError, recipient_key_ids
from mail_server.accounts.entities import rights_in
from mail_server.accounts.interface import Accounts, Identity, Kind, Peer
from mail_server.delivery import common_sent, outer
from mail_server.delivery.compose import Composer
from mail_server.delivery.departing import Departures
from mail_server.delivery.examine import Letter, examine
from mail_server.delivery.quota import Quota
from mail_server.delivery.settings import DeliverySettings
from mail_server.store.interface import NoSpace, Store, Transaction
from mail_server.store.model import AccountId, CoarseClass, Filed, Flag, MailboxId, NewMessage
from policies.interface import AuditTrail, Event
from policies.refusal import Refusal

SUMMARY_LIMIT = 16_384  # octets of a summary that the page sealed, its manifest in it
_NOWHERE = Peer("", 0, "", "", tls=True)  # a copy is kept by who is logged in: the trace has their session


class Keeping:
    def __init__(
        self,
        *,
        settings: DeliverySettings,
        accounts: Accounts,
        store: Store,
        trail: AuditTrail,
        audit: Callable[[Sequence[Event]], None],
        composer: Composer,
        quota: Quota,
        departures: Departures | None = None,
    ) -> None:
        self._departures = departures
        self._settings = settings
        self._accounts = accounts
        self._store = store
        self._trail = trail
        self._audit = audit
        self._composer = composer
        self._quota = quota

    async def keep(
        self,
        identity: Identity,
        mailbox: MailboxId,
        message: bytes,
        flags: Flag,
        keywords: frozenset[str],
        received_at: int | None,
        *,
        also: Sequence[MailboxId] = (),
        sealed_summary: bytes | None = None,
        coarse_class: CoarseClass | None = None,
        to_be_sent: bool = False,
    ) -> Filed:
        """The program's own copy, at rest under the account's data key, state shown. Raises Refusal."""
        try:
            account = await self._keeper(identity, (mailbox, *also))
            self._quota.require(account, len(message))
            letter = await self._keepable(account, message, sealed_summary, to_be_sent=to_be_sent)
            said = coarse_class if coarse_class is not None else outer.said_class(letter.fields)
            letter = letter.classed(said)
            now = _now()
            copy = await self._composer.kept(
                letter, account, mailbox, flags, keywords, received_at or now, now, sealed_summary
            )
            return await self._store.write(
                lambda transaction: self._keep(
                    transaction, copy, identity, now, also, common_sent.own_id(letter)
                )
            )
        except NoSpace:
            raise no_space() from None
        except Refusal as refusal:
            self._audit([refusal_event(refusal, _NOWHERE, identity.account)])
            raise

    async def _keeper(self, identity: Identity, mailboxes: Sequence[MailboxId]) -> AccountId:
        """The one account of these mailboxes, which `identity` reads. Raises Refusal, NoSuchMailbox."""
        owners = await self._store.read(
            lambda reader: {reader.mailbox(mailbox).account for mailbox in mailboxes}
        )
        account = next(iter(owners))
        if len(owners) > 1 or (account != identity.account and not self._files(identity.account, account)):
            raise Refusal(550, "5.7.1", "This mailbox is not yours", "mailbox-not-yours")
        return account

    async def _keepable(
        self, account: AccountId, message: bytes, sealed_summary: bytes | None, *, to_be_sent: bool
    ) -> Letter:
        if len(message) > self._settings.max_message_size:
            raise Refusal(552, "5.3.4", "Message is larger than this server accepts", "too-large")
        if sealed_summary is not None and not _is_sealed_summary(sealed_summary):
            raise Refusal(554, "5.6.0", "The summary is not an encrypted message", "summary-refused")
        letter = await examine(message, self._settings.large_message)
        if self._departures is not None:
            # A program that sealed its letter to the gate as well keeps a copy that the gate does not open.
            letter, packet = await self._departures.apart(letter)
            if packet and to_be_sent:
                # Cut out of what is stored, it could not be there when the letter leaves: nobody would open it.
                raise Refusal(
                    550,
                    "5.7.5",
                    "Encrypted to the server's gate: hand that key packet in apart (gateKeyPacket of EmailSubmission)",
                    "gate-key-in-letter",
                )
        holder = self._accounts.by_id(account)
        if holder is not None and holder.kind is Kind.PATIENT and not _tells_nothing(letter):
            raise Refusal(
                550, "5.7.1", "Nothing is stored in clear in a patient's space", "clear-content-refused"
            )
        return letter

    def _keep(
        self,
        transaction: Transaction,
        copy: NewMessage,
        identity: Identity,
        now: int,
        also: Sequence[MailboxId],
        message_id: bytes,
    ) -> Filed:
        in_common = (
            bool(message_id)
            and copy.account != identity.account
            and common_sent.is_sent_of(transaction, copy)
        )
        if in_common and (there := common_sent.known(transaction, copy.account, message_id, now)) is not None:
            # What was sent for this account lies in its Sent already, for all who read it.
            self._trail.append(transaction.sql, [_kept(identity, there, "already-filed", now)])
            return there
        filed = transaction.file(copy)
        if in_common:
            transaction.note_sent(message_id, filed, now)
        if set(also) - {filed.mailbox}:
            transaction.place(
                filed.account,
                filed.email_id,
                frozenset({filed.mailbox, *also}),
                copy.flags,
                copy.keywords,
            )
        outcome = copy.state.name.lower().replace("_", "-")
        self._trail.append(transaction.sql, [_kept(identity, filed, outcome, now)])
        return filed

    def _files(self, person: AccountId, account: AccountId) -> bool:
        """Whether they may put letters there."""
        found = self._accounts.by_id(account)
        return found is not None and "i" in rights_in(found, person)


def no_space() -> Refusal:
    return Refusal(452, "4.3.1", "Not enough storage at the moment, please try again later", "no-space")


def refusal_event(refusal: Refusal, peer: Peer, actor: str) -> Event:
    return Event(
        action="refuse",
        at=_now(),
        actor=actor or "unknown",
        outcome=refusal.reason,
        reference=refusal.id,
        session=peer.session,
        network=peer.address,
    )


def _kept(identity: Identity, filed: Filed, outcome: str, at: int) -> Event:
    return Event("keep", at, identity.account, filed.account, outcome=outcome, reference=filed.email_id)


def _is_sealed_summary(summary: bytes) -> bool:
    if len(summary) > SUMMARY_LIMIT:
        return False
    try:
        return bool(recipient_key_ids(summary))
    except PacketError:
        return False


def _tells_nothing(letter: Letter) -> bool:
    """Encrypted, its subject too, and no field beside that could carry content."""
    return letter.ciphertext is not None and not letter.subject_outside and outer.nothing_clear(letter.fields)


def _now() -> int:
    return time.time_ns() // 1_000_000
