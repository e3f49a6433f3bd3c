"""What a system of another operator hears of documents that were refused here: `[KO Intégration système !][90x] …`
(reference/mssante.md §4.5, row 52).

The refusal itself (554) ends at its operator's server, which tells a person; this answer is for the software. It leaves
like any letter, sealed where its addressee has a certificate: an MDN where one was asked for to where the letter came
from (RFC 8098 §2.1), else ordinary mail with the same subject.

Invariants: at most one answer to a letter in a day, however often it is handed over again; never to the null sender,
never to an answer; whatever goes wrong here, the refusal stands.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence

from mail_server.accounts.interface import Accounts, Peer
from mail_server.delivery.examine import examine
from mail_server.delivery.exchanges import is_automatic
from mail_server.delivery.gate import domain_of
from mail_server.delivery.interface import Abroad, Envelope, Road, Sender
from mail_server.delivery.receipts import Notifies
from mail_server.delivery.structured import DocumentsRefused
from mail_server.keys.interface import KeyUnavailable
from mail_server.outbound.interface import Notify, PeerKeys
from mail_server.payloads.record import integration
from mail_server.store.interface import Store, StoreError, Transaction
from mail_server.store.model import Filed
from policies.interface import AuditTrail, Event
from policies.refusal import Refusal

_NODE = Peer("", 0, "", "", tls=True)
_log = logging.getLogger("vaguemestre.delivery")


class IntegrationAnswers:
    def __init__(
        self,
        *,
        store: Store,
        accounts: Accounts,
        trail: AuditTrail,
        peer_keys: PeerKeys | None,
        large: int,
        clock: Callable[[], int],
    ) -> None:
        """`peer_keys`: None where letters do not leave; then nobody is answered."""
        self._store = store
        self._accounts = accounts
        self._trail = trail
        self._peer_keys = peer_keys
        self._large = large
        self._clock = clock

    async def refused(self, delivery: Notifies, envelope: Envelope, message: bytes, refusal: Refusal) -> None:
        """Durable on return, or not at all: what is answered to the peer does not wait for more."""
        sender = envelope.sender
        if not isinstance(refusal, DocumentsRefused) or sender.road is not Road.OPERATOR:
            return
        if self._peer_keys is None or not sender.mail_from or not envelope.recipients:
            return
        account = self._accounts.by_id(envelope.recipients[0].account)
        if account is None:
            return
        try:
            if is_automatic(await examine(message, self._large)):
                return
            by = integration.Answerer(account.shown, domain_of(account.shown), self._clock())
            outcome = integration.Outcome(refusal.ans)
            answer = await asyncio.to_thread(
                integration.acknowledgement, message, outcome, by, sender.mail_from
            )
            if answer is None:
                return
            found = await self._peer_keys.find(sender.mail_from)
            to = Abroad(sender.mail_from, domain_of(sender.mail_from), found, notify=Notify.NEVER)
            await self._lay(delivery, to, answer, message, refusal)
        except (Refusal, StoreError, KeyUnavailable, OSError) as failure:
            _log.warning("an integration answer could not be laid (%s)", type(failure).__name__)

    async def _lay(
        self, delivery: Notifies, to: Abroad, answer: bytes, message: bytes, refusal: DocumentsRefused
    ) -> None:
        def note(transaction: Transaction, _: Sequence[Filed], at: int) -> None:
            detail = {"domain": to.domain, "code": str(int(refusal.ans))}
            self._trail.append(
                transaction.sql,
                [Event("integration-answer", at, "node", reference=refusal.id, detail=detail)],
            )

        digest = await asyncio.to_thread(lambda: hashlib.sha256(message).digest())
        fingerprint = self._store.submission_fingerprint(
            b"integration answer", to.address.lower().encode(), digest
        )
        envelope = Envelope(Sender(Road.OPERATOR, "", _NODE))  # RFC 8098 §3: from nobody
        envelope.add(to)
        await delivery.notify(envelope, answer, fingerprint, note)
