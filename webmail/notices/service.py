"""Ordinary addresses proven and forgotten; notices laid down with the letter they tell of, and sent in their turn.

A notice of a new letter is laid down in the letter's own transaction, so that none is lost; it is sent some minutes
later, so that several letters make one. It may be sent twice when the node dies between the smarthost's answer and the
commit.

Invariants: see the package's README; a smarthost that is down stops nothing but notices; one address that is refused
stops no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mail_server.accounts.interface import Accounts
from mail_server.accounts.interface import Kind as AccountKind
from mail_server.delivery.examine import Letter
from mail_server.delivery.exchanges import Note
from mail_server.delivery.interface import Envelope
from mail_server.keys.interface import KeyUnavailable, KeyWrapper
from mail_server.store.interface import Reader, Store, StoreError, Transaction
from mail_server.store.model import AccountId, Filed
from policies.interface import AuditTrail, Event
from webmail.notices import rows, words
from webmail.notices.rows import Due
from webmail.notices.settings import NoticesSettings
from webmail.notices.smarthost import Handed, Parcel, Smarthost
from webmail.notices.words import Kind, Said

_log = logging.getLogger("vaguemestre.notices")
_MINUTE = 60_000
CODE_LIFETIME = 15 * _MINUTE
CODE_TRIES = 5
CODES_OF_HOUR = 5  # to one holder: a code goes to whoever they name
_ASKERS = 10_000
_RETRIES = (_MINUTE, 5 * _MINUTE, 30 * _MINUTE)  # then every two hours
_LAST = 120 * _MINUTE
_GIVE_UP = {
    Kind.CONFIRM: CODE_LIFETIME,
    Kind.NEW_LETTER: 24 * 60 * _MINUTE,
    Kind.INACTIVITY: 5 * 24 * 60 * _MINUTE,
}
_TOGETHER = 20
_LONGEST_SLEEP = 60.0
_PURPOSE, _CODE_PURPOSE = b"notice address", b"notice code"
# An ordinary address as people have them: what else RFC 5321 allows is not worth the risk in somebody's header.
_ADDRESS = re.compile(
    r"[A-Za-z0-9._%+\-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}"
)


class AddressRefused(ValueError):
    """`reason`: "address" (not one), "address-here" (a mailbox for letters), "off" (there are no notices), "too-many"
    (codes asked for within an hour)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class Counters:
    sent: int = 0
    failed: int = 0
    given_up: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """What a holder is shown."""

    offered: bool  # whether this operator sends notices
    shown: str = ""  # "c…@exemple.fr"
    language: str = "fr"
    confirmed: bool = False
    refused: bool = False  # mail to it comes back


class Notices:
    """`start` once the store has started; `stop` before it stops."""

    def __init__(
        self,
        settings: NoticesSettings,
        *,
        store: Store,
        accounts: Accounts,
        keys: KeyWrapper,
        trail: AuditTrail,
        operator: str,
        page: str,
        clock: Callable[[], int],
        for_letters: Callable[[str], bool],
        smarthost: Smarthost | None = None,
    ) -> None:
        """`for_letters`: whether a domain is this node's or on the trust list; `page`: the page's address."""
        self._settings = settings
        self._store = store
        self._accounts = accounts
        self._keys = keys
        self._trail = trail
        self._operator = operator
        self._page = page
        self._clock = clock
        self._for_letters = for_letters
        self._smarthost = smarthost or Smarthost(settings)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.counters = Counters()
        self._asked: dict[AccountId, list[int]] = {}  # when codes were asked for, within the hour

    @property
    def offered(self) -> bool:
        return bool(self._settings.smarthost)

    # -- addresses

    async def standing(self, account: AccountId) -> Standing:
        found = await self._store.read(lambda reader: rows.address_of(reader.sql, account))
        if found is None or not self.offered:
            return Standing(self.offered)
        local, _, domain = self._keys.unwrap(found.wrapped, _PURPOSE).decode().rpartition("@")
        shown = f"{local[:1]}…@{domain}"
        return Standing(True, shown, found.language, found.confirmed is not None, found.refused is not None)

    async def ask(self, account: AccountId, address: str, language: str) -> None:
        """A code goes to the address; until it comes back nothing else does. Raises AddressRefused."""
        self._require(address)
        now, code = self._clock(), f"{secrets.randbelow(10**6):06d}"
        self._spend(account, now)
        wrapped = self._keys.wrap(address.encode(), _PURPOSE)
        sealed = self._keys.wrap(code.encode(), _CODE_PURPOSE)

        def write(transaction: Transaction) -> None:
            rows.put_address(
                transaction.sql, account, wrapped, _language(language), now, (sealed, now + CODE_LIFETIME)
            )
            rows.lay(transaction.sql, account, Kind.CONFIRM, None, now, now)
            self._told(transaction, "notice-address-asked", account, now)

        await self._store.write(write)
        self._wake.set()

    async def confirm(self, account: AccountId, code: str) -> bool:
        """Whether it was the right code, in time."""
        now = self._clock()

        def write(transaction: Transaction) -> bool:
            found = rows.address_of(transaction.sql, account)
            if found is None or found.code is None or now > found.code_until:
                return False
            right = hmac.compare_digest(self._keys.unwrap(found.code, _CODE_PURPOSE), code.strip().encode())
            if not right:
                rows.wrong_code(transaction.sql, account, found.code_tries + 1 >= CODE_TRIES)
                return False
            rows.confirmed(transaction.sql, account, now)
            self._told(transaction, "notice-address", account, now)
            return True

        return await self._store.write(write)

    async def put(self, account: AccountId, address: str, language: str, by: str) -> None:
        """An administrator knows it (a professional's ordinary address). Raises AddressRefused."""
        self._require(address)
        now, wrapped = self._clock(), self._keys.wrap(address.encode(), _PURPOSE)

        def write(transaction: Transaction) -> None:
            rows.put_address(transaction.sql, account, wrapped, _language(language), now, None)
            self._told(transaction, "notice-address", account, now, by)

        await self._store.write(write)

    async def forget(self, account: AccountId, by: str = "") -> bool:
        now = self._clock()

        def write(transaction: Transaction) -> bool:
            had = rows.forget(transaction.sql, account)
            if had:
                self._told(transaction, "notice-address-forgotten", account, now, by)
            return had

        return await self._store.write(write)

    def _require(self, address: str) -> None:
        if not self.offered:
            raise AddressRefused("off")
        if not _ADDRESS.fullmatch(address):
            raise AddressRefused("address")
        if self._for_letters(address.rpartition("@")[2].lower()):
            raise AddressRefused("address-here")

    def _spend(self, account: AccountId, now: int) -> None:
        """Else this node's good name would carry mail to strangers as often as a holder likes, and each code would
        bring its tries. Raises AddressRefused."""
        if len(self._asked) > _ASKERS:
            self._asked = {
                each: times for each, times in self._asked.items() if now - times[-1] < 60 * _MINUTE
            }
        times = [one for one in self._asked.get(account, []) if now - one < 60 * _MINUTE]
        if len(times) >= CODES_OF_HOUR:
            raise AddressRefused("too-many")
        self._asked[account] = [*times, now]

    def _told(self, transaction: Transaction, action: str, account: AccountId, at: int, by: str = "") -> None:
        self._trail.append(transaction.sql, [Event(action, at, by or account, account)])

    # -- what is to be told

    def note(self, envelope: Envelope, letter: Letter) -> Note | None:
        """For delivery: patients among the addressees who asked for it are told, in the letter's transaction."""
        if not self.offered:
            return None
        told = [
            one.account
            for one in envelope.recipients
            if (found := self._accounts.by_id(one.account)) is not None and found.kind is AccountKind.PATIENT
        ]
        if not told:
            return None
        delay = int(self._settings.delay_minutes * _MINUTE)
        quiet = int(self._settings.every_hours * 60 * _MINUTE)

        def write(transaction: Transaction, _: Sequence[Filed], at: int) -> None:
            for account in told:
                rows.lay_new_letter(transaction.sql, account, at, at + delay, at - quiet)

        return write

    async def inactivity(self, account: AccountId, until: int) -> bool:
        """The holder is told by their ordinary address that the mailbox will be closed; False: none is known."""

        def write(transaction: Transaction) -> bool:
            found = rows.address_of(transaction.sql, account)
            if found is None or found.confirmed is None or found.refused is not None:
                return False
            now = self._clock()
            rows.lay(transaction.sql, account, Kind.INACTIVITY, until, now, now)
            return True

        laid = self.offered and await self._store.write(write)
        self._wake.set()
        return laid

    # -- sending

    def start(self) -> None:
        if self.offered:
            self._task = asyncio.create_task(self._run(), name="notices")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def waiting(self) -> int:
        return await self._store.read(lambda reader: rows.waiting(reader.sql))

    async def _run(self) -> None:
        # A letter lays its notice down and wakes nobody: it is looked for as often as it may be late.
        longest = min(max(self._settings.delay_minutes * 60, 1.0), _LONGEST_SLEEP)
        while True:
            self._wake.clear()
            pause = longest
            try:
                await self.send_due()
                following = await self._store.read(lambda reader: rows.next_due(reader.sql))
                if following is not None:
                    pause = (following - self._clock()) / 1000
            except StoreError as failure:
                _log.error("notices wait (%s)", type(failure).__name__)
            except Exception as failure:  # one bad row must not end the sending of all others
                _log.error("notices failed: %s", type(failure).__name__)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(max(pause, 1.0), longest)):
                    await self._wake.wait()

    async def send_due(self) -> int:
        """Send what is due; how many were sent."""
        sent = 0
        while found := await self._store.read(self._due):
            sent += await self._send([one for one in found if await self._claimed(one)])
        return sent

    def _due(self, reader: Reader) -> Sequence[Due]:
        return rows.due(reader.sql, self._clock(), _TOGETHER)

    async def _claimed(self, one: Due) -> bool:
        wait = _RETRIES[one.attempts] if one.attempts < len(_RETRIES) else _LAST
        due = self._clock() + wait
        return await self._store.write(lambda transaction: rows.claim(transaction.sql, one, due))

    async def _send(self, found: Sequence[Due]) -> int:
        parcels = {one: parcel for one in found if (parcel := await self._parcel(one)) is not None}
        if not parcels:
            return 0
        outcomes = await self._smarthost.send(list(parcels.values()))
        for one, outcome in zip(parcels, outcomes, strict=True):
            await self._settle(one, outcome)
        return sum(outcome.done for outcome in outcomes)

    async def _parcel(self, one: Due) -> Parcel | None:
        """None for one that is not to be sent any more: it is gone then."""
        address = await self._store.read(lambda reader: rows.address_of(reader.sql, one.account))
        account = self._accounts.by_id(one.account)
        late = self._clock() - one.created > _GIVE_UP[one.kind]
        usable = address is not None and (one.kind is Kind.CONFIRM or address.confirmed is not None)
        if address is None or account is None or account.closed or late or not usable:
            self.counters.given_up += late
            await self._store.write(lambda transaction: rows.gone(transaction.sql, one))
            return None
        try:
            to = self._keys.unwrap(address.wrapped, _PURPOSE).decode()
            code = self._keys.unwrap(address.code, _CODE_PURPOSE).decode() if address.code else ""
        except KeyUnavailable:
            _log.error("an address for notices does not open")
            return None
        if one.kind is Kind.CONFIRM and not code:
            await self._store.write(lambda transaction: rows.gone(transaction.sql, one))
            return None
        day = f"{datetime.fromtimestamp(one.until / 1000, UTC):%Y-%m-%d}" if one.until else ""
        said = Said(self._page, self._operator, code if one.kind is Kind.CONFIRM else "", day)
        sender = self._settings.sender
        return Parcel(to, words.message(one.kind, address.language, sender, to, said, self._clock()))

    async def _settle(self, one: Due, outcome: Handed) -> None:
        now = self._clock()
        if not outcome.done and not outcome.lasting:
            self.counters.failed += 1
            _log.warning("a notice waits (%s)", outcome.code or "no answer")
            return  # it was put off when it was claimed

        def write(transaction: Transaction) -> None:
            rows.gone(transaction.sql, one)
            if outcome.lasting:
                rows.refused(transaction.sql, one.account, now)
            elif one.kind is Kind.NEW_LETTER:
                rows.told(transaction.sql, one.account, now)
            done = "refused" if outcome.lasting else "done"
            event = Event("notice", now, "node", one.account, outcome=done, kind=one.kind.value)
            self._trail.append(transaction.sql, [event])

        await self._store.write(write)
        if outcome.done:
            self.counters.sent += 1
        else:
            self.counters.given_up += 1


def _language(wanted: str) -> str:
    return wanted if wanted in words.LANGUAGES else words.LANGUAGES[0]
