"""Mailboxes at other operators under the names of professionals of ours: each is told by a letter, and may object.

Invariants: told once for a mailbox and a professional, in the minute that it was published, whoever is killed; in the
trace with the account, the operator and its domain, never an address; who cannot be sent a letter is in the trace all
the same, and tried again; nobody has more than a few such letters in a day, however many mailboxes are published under
their name: the others wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from directory.listings import elsewhere
from directory.listings.database import ListingsDatabase
from directory.listings.elsewhere import Elsewhere
from mail_server import mime
from mail_server.accounts.interface import Account
from mail_server.accounts.service import AccountService
from mail_server.delivery.reported import FiledReports
from mail_server.keys.interface import KeyUnavailable
from mail_server.store.interface import AlreadyFiled, Store, StoreError, Transaction
from policies.interface import AuditTrail, Event
from policies.refusal import Refusal

_log = logging.getLogger("vaguemestre.directory")
_MOST_OF_DAY = 5  # letters to one professional
_DAY = 86_400_000  # ms

_SUBJECT = "Une boîte aux lettres à votre nom, chez un autre opérateur"
_TEXT = """\
Bonjour,

l'opérateur « {publisher} » a publié dans l'annuaire une boîte aux lettres à votre nom\u00a0:

    {address}

Si elle est à vous, vous n'avez rien à faire.
Si vous ne la connaissez pas, ou si vous ne voulez pas qu'on la trouve, dites-le à {postmaster}\u00a0: elle ne sera plus
montrée ici, et cet opérateur ne pourra plus l'y publier à votre nom.

--

Hello,

the operator "{publisher}" has published a mailbox under your name in the directory: {address}

If it is yours, there is nothing to do.
If you do not know it, or do not want it to be found, tell {postmaster}: it will be shown here no more, and that
operator will not be able to publish it here again under your name.
"""


class MailboxesElsewhere:
    def __init__(
        self,
        *,
        accounts: AccountService,
        database: ListingsDatabase,
        filed: FiledReports,
        store: Store,
        trail: AuditTrail,
        audit: Callable[[Sequence[Event]], None],
        domain: str,
        clock: Callable[[], int],
    ) -> None:
        """`domain`: whose postmaster says it."""
        self._accounts = accounts
        self._database = database
        self._filed = filed
        self._store = store
        self._trail = trail
        self._audit = audit
        self._postmaster = f"postmaster@{domain}"
        self._domain = domain
        self._clock = clock
        self._traced: set[tuple[str, str]] = set()  # of whom no letter could be filed
        self._sent: Counter[str] = Counter()  # letters of the day, by account
        self._day = clock()

    def standing(self) -> list[tuple[Account, Elsewhere]]:
        """In a thread. What names professionals of ours now, and what they object to."""
        ours = self._ours()
        found = self._database.read(lambda sql: elsewhere.naming(sql, ours)) if ours else []
        return [(ours[one.national_id], one) for one in found if one.address != ours[one.national_id].address]

    async def look(self) -> None:
        """Tell whoever is named and was not told yet."""
        found = await asyncio.to_thread(self.standing)
        gone = [one for _, one in found if not one.listed and one.objected_at is None]
        if gone:
            await asyncio.to_thread(self._database.write, lambda sql: elsewhere.forget(sql, gone))
        if self._clock() - self._day >= _DAY:
            self._sent.clear()
            self._day = self._clock()
        done = [
            one
            for account, one in found
            if one.listed
            and one.told_at is None
            and self._sent[account.id] < _MOST_OF_DAY
            and await self._tell(account, one)
        ]
        if done:
            at = self._clock()
            await asyncio.to_thread(self._database.write, lambda sql: elsewhere.told(sql, done, at))

    async def object_to(self, address: str, reason: str) -> list[Account]:
        """Whose objection it is; nobody's where it names none of ours."""
        found = [
            (account, one)
            for account, one in await asyncio.to_thread(self.standing)
            if one.address == address
        ]
        if found:
            named = [one.national_id for _, one in found]
            at = self._clock()
            await asyncio.to_thread(
                self._database.write, lambda sql: elsewhere.object_to(sql, address, named, reason, at)
            )
        return [account for account, _ in found]

    async def lift(self, address: str) -> list[Account]:
        """Whose objection it was. Its operator may publish it again."""
        found = [
            account
            for account, one in await asyncio.to_thread(self.standing)
            if one.address == address and one.objected_at is not None
        ]
        if found:
            await asyncio.to_thread(self._database.write, lambda sql: elsewhere.lift(sql, address))
        return found

    # -- inside

    def _ours(self) -> Mapping[str, Account]:
        every = self._accounts.all()
        return {one.national_id: one for one in every if one.national_id and not one.closed}

    async def _tell(self, account: Account, one: Elsewhere) -> bool:
        def note(transaction: Transaction, at: int) -> None:
            if (one.address, one.national_id) not in self._traced:
                self._trail.append(transaction.sql, [_event(account, one, at, "done")])

        fingerprint = self._store.submission_fingerprint(
            b"mailbox elsewhere", account.id.encode(), one.address.encode()
        )
        try:
            await self._filed.file(account, self._letter(account, one), fingerprint, note)
        except AlreadyFiled:
            return True
        except (Refusal, StoreError, KeyUnavailable) as failure:
            self._untold(account, one, failure)
            return False
        self._sent[account.id] += 1
        return True

    def _untold(self, account: Account, one: Elsewhere, failure: Exception) -> None:
        if (one.address, one.national_id) in self._traced:
            return
        self._traced.add((one.address, one.national_id))
        _log.warning("who has a mailbox published elsewhere could not be told (%s)", type(failure).__name__)
        reason = failure.reason if isinstance(failure, Refusal) else "not-filed"
        self._audit([_event(account, one, self._clock(), reason)])

    def _letter(self, account: Account, one: Elsewhere) -> bytes:
        publisher = "".join(each for each in one.publisher if each.isprintable())[:80]
        words = _TEXT.format(publisher=publisher, address=one.address, postmaster=self._postmaster)
        header = (
            mime.header_field("Date", mime.date_text(self._clock())),
            mime.address_field("From", [("Vaguemestre", self._postmaster)]),
            mime.address_field("To", [("", account.shown)]),
            mime.header_field("Subject", _SUBJECT),
            mime.new_message_id(self._domain).encode().join((b"Message-ID: ", b"\r\n")),
            b"Auto-Submitted: auto-generated\r\n",
            b"MIME-Version: 1.0\r\n",
        )
        return b"".join([*header, mime.text_part(words)])


def _event(account: Account, one: Elsewhere, at: int, outcome: str) -> Event:
    return Event(
        "listing-elsewhere",
        at,
        f"operator:{one.publisher}",
        account.id,
        outcome=outcome,
        kind="listing",
        detail={"domain": one.address.rpartition("@")[2], "kind": one.kind},
        door="directory",
    )
