"""Sessions of the page: who a cookie speaks for, for how long, and what it may not do yet.

A session is 32 random bytes in a cookie; its SHA-256 is kept, in memory and in the database, so that a restart logs
nobody out and a stolen database logs nobody in. An *enrolment* session is of another kind: it finishes an
activation and opens nothing else.

Invariants: a session that has something to renew (after a login by recovery code, or where a second factor is
still missing) speaks for nobody towards mail; what policy ends, ends in memory first, what its holder ends is durable
first; a cookie's value changes whenever its session may do more than before; neither value nor digest is shown by
repr; of a session at an identity provider only keyed marks are kept, enough to know it again when it ends there.
"""

from __future__ import annotations

import asyncio
import enum
import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from mail_server.accounts.changes import Change, What
from mail_server.accounts.interface import PAGE, Account, Accounts, Identity
from mail_server.accounts.professionals import BY_PROVIDER
from mail_server.store.interface import Sql, Store, StoreError, Transaction
from mail_server.store.model import AccountId
from webmail.login.settings import PageSettings

_log = logging.getLogger("vaguemestre.page")
_WRITTEN_AFTER = 60.0  # seconds until a last use reaches the database
_MOST = 50  # sessions of one account; the least used goes
_MINUTE = 60_000
_HOUR = 60 * _MINUTE
FRESH = 15 * _MINUTE  # how long somebody counts as having just proved who they are
_PROVIDER_IDLE = 30 * _MINUTE  # as providers' own sessions (reference/mssante.md §6)


class SessionKind(enum.StrEnum):
    FULL = "full"
    ENROLMENT = "enrolment"


class Way(enum.StrEnum):
    """What opened it."""

    PASSWORD = "password"  # noqa: S105 - a way in, not a password
    PASSKEY = "passkey"
    RECOVERY = "recovery"
    CODE = "code"
    PROVIDER = "provider"


class Renew(enum.IntFlag):
    """What its holder must do before anything else."""

    NOTHING = 0
    PASSWORD = 1
    RECOVERY = 2
    TOTP = 4


@dataclass(frozen=True, slots=True)
class Vouched:
    """What an identity provider's login adds to a session."""

    provider: str  # its name in the configuration
    acr: int
    until: int  # ms: when the session there is over at the latest
    session: bytes = field(repr=False)  # marks (PageSecrets.provider_mark); b"" when it told no session
    subject: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PageSession:
    id: str
    account: AccountId
    kind: SessionKind
    way: Way
    slot: str  # id of the slot, or of the enrolment code, that opened it
    shared: bool
    renew: Renew
    label: str
    network: str
    created: int
    expires: int
    digest: bytes = field(repr=False)
    strong: bool = False  # two factors, a passkey, or an identity provider
    fresh_until: int = 0  # ms: until then its holder counts as having just proved who they are
    acr: int = 0
    provider: str = ""
    provider_session: bytes = field(default=b"", repr=False)
    provider_subject: bytes = field(default=b"", repr=False)

    @property
    def must_renew(self) -> bool:
        return bool(self.renew & (Renew.PASSWORD | Renew.RECOVERY))


@dataclass(frozen=True, slots=True)
class Drawn:
    """A session that is not in force yet: written inside a transaction, adopted after its commit."""

    session: PageSession
    cookie: str = field(repr=False)
    raised: bool = False  # a fresh proof for a session that stood, given at a provider's


_COLUMNS = (
    "id, digest, account, kind, way, slot, shared, renew, label, network, created, last_seen, expires,"
    " strong, fresh_until, acr, provider, provider_session, provider_subject"
)
_ALL = f"SELECT {_COLUMNS} FROM page_session"  # noqa: S608 - constant names
_INSERT = f"INSERT INTO page_session ({_COLUMNS}) VALUES ({', '.join('?' * 19)})"  # noqa: S608


class Sessions:
    """Implements `PageSessions`, for the event loop's thread."""

    def __init__(
        self, store: Store, accounts: Accounts, settings: PageSettings, clock: Callable[[], int] | None = None
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._settings = settings
        self._clock = clock or _now
        self._by_digest: dict[bytes, PageSession] = {}
        self._by_id: dict[str, PageSession] = {}
        self._last_seen: dict[str, int] = {}
        self._unwritten: set[str] = set()
        self._soon: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Read the sessions that a restart interrupted. Those of suspended accounts end."""
        rows = await self._store.read(lambda reader: reader.sql.all(_ALL))
        for row in rows:
            session, last_seen = _session(row)
            self._take(session, last_seen)
        dead = [each.id for each in self._by_id.values() if not self._alive(each)]
        self._end_behind(dead)

    async def stop(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
        await self.flush()
        await asyncio.gather(*self._ending, return_exceptions=True)

    # -- PageSessions

    def by_cookie(self, cookie: str) -> Identity | None:
        session = self.find(cookie)
        if session is None or session.kind is not SessionKind.FULL or session.renew:
            return None
        account = self._accounts.by_id(session.account)
        if account is None:
            return None
        return Identity(account.id, account.address, account.kind, PAGE, session.id, acr=session.acr)

    def holds(self, account: AccountId, credential: str) -> bool:
        session = self._by_id.get(credential)
        return (
            session is not None
            and session.account == account
            and session.kind is SessionKind.FULL
            and not session.renew
            and self._alive(session)
        )

    # -- for the page's own routes

    def find(self, cookie: str) -> PageSession | None:
        """The session of a cookie's value, of any kind; its last use is now."""
        session = self._by_digest.get(_digest(cookie))
        if session is None:
            return None
        if not self._alive(session):
            self._end_behind([session.id])
            return None
        self._last_seen[session.id] = self._clock()
        self._unwritten.add(session.id)
        if self._soon is None or self._soon.done():
            self._soon = asyncio.get_running_loop().create_task(self._write_soon())
        return session

    def of(self, account: AccountId) -> list[tuple[PageSession, int]]:
        """Full sessions with their last use, the latest first."""
        found = [
            (each, self._last_seen[each.id])
            for each in self._by_id.values()
            if each.account == account and each.kind is SessionKind.FULL and self._alive(each)
        ]
        return sorted(found, key=lambda one: -one[1])

    def by_id(self, session: str) -> PageSession | None:
        """One that is alive."""
        found = self._by_id.get(session)
        return found if found is not None and self._alive(found) else None

    def current(self, session: PageSession) -> PageSession | None:
        """As it is by now: it may have ended, or changed, since it was found."""
        return self._by_id.get(session.id)

    def until(self, session: PageSession) -> int:
        """When it ends if nothing is asked any more."""
        return min(session.expires, self._last_seen.get(session.id, self._clock()) + self._idle(session))

    def draw(
        self,
        account: Account,
        kind: SessionKind,
        way: Way,
        slot: str,
        *,
        label: str,
        network: str,
        shared: bool = False,
        renew: Renew = Renew.NOTHING,
        strong: bool = False,
        vouched: Vouched | None = None,
    ) -> Drawn:
        """A new session with a new cookie; whoever comes in has just proved who they are, but by a sheet."""
        now = self._clock()
        expires = now + self._lifetime(kind, shared)
        session = PageSession(
            id=secrets.token_hex(8),
            account=account.id,
            kind=kind,
            way=way,
            slot=slot,
            shared=shared,
            renew=renew,
            label=label,
            network=network,
            created=now,
            expires=expires if vouched is None else min(expires, vouched.until),
            digest=b"",
            strong=strong,
            fresh_until=0 if way is Way.RECOVERY or kind is SessionKind.ENROLMENT else now + FRESH,
        )
        return _with_new_cookie(session if vouched is None else _vouched(session, vouched))

    def redraw(self, session: PageSession, renew: Renew) -> Drawn:
        """The same session under a new cookie: what it may do changes."""
        return _with_new_cookie(replace(session, renew=renew))

    def step_up(self, session: PageSession, *, strong: bool, vouched: Vouched | None = None) -> Drawn:
        """The same session under a new cookie: its holder has proved again who they are."""
        risen = replace(session, strong=session.strong or strong, fresh_until=self._clock() + FRESH)
        return _with_new_cookie(risen if vouched is None else replace(risen, acr=max(risen.acr, vouched.acr)))

    def unchanged(self, sql: Sql, session: PageSession) -> bool:
        """Whether it is still there under the same cookie, as the transaction sees it."""
        row = sql.one("SELECT digest FROM page_session WHERE id = ?", (session.id,))
        return row is not None and bytes(row[0]) == session.digest

    def fresh(self, session: PageSession) -> bool:
        return self._clock() < session.fresh_until

    def of_provider(self, mark: bytes) -> list[PageSession]:
        """Every session that this session, or this person, at a provider opened."""
        return [
            each for each in self._by_id.values() if mark in (each.provider_session, each.provider_subject)
        ]

    def write(self, sql: Sql, drawn: Drawn) -> None:
        """Inside the caller's transaction."""
        one = drawn.session
        sql.run("DELETE FROM page_session WHERE id = ?", (one.id,))
        sql.run(
            _INSERT,
            (
                one.id,
                one.digest,
                one.account,
                one.kind.value,
                one.way.value,
                one.slot,
                int(one.shared),
                int(one.renew),
                one.label,
                one.network,
                one.created,
                self._clock(),
                one.expires,
                int(one.strong),
                one.fresh_until,
                one.acr,
                one.provider,
                one.provider_session,
                one.provider_subject,
            ),
        )

    def adopt(self, drawn: Drawn) -> None:
        """After the commit: the new cookie is good, the session's old one is not."""
        self._drop(drawn.session.id)
        self._take(drawn.session, self._clock())
        mine = self.of(drawn.session.account)
        self._end_behind([session.id for session, _ in mine[_MOST:]])

    @property
    def open(self) -> int:
        """How many there are, of any kind; one that nobody uses any more until it is swept."""
        return len(self._by_id)

    # -- ending

    def delete(self, sql: Sql, account: AccountId, *, keep: str = "") -> None:
        """Inside the caller's transaction: every session of the account, but `keep`. Then `forget`."""
        sql.run("DELETE FROM page_session WHERE account = ? AND id <> ?", (account, keep))

    def forget(self, account: AccountId, *, keep: str = "") -> None:
        """In memory, at once: every session of the account, but `keep`."""
        for session in self._of_account(account):
            if session.id != keep:
                self._drop(session.id)

    def delete_one(self, sql: Sql, account: AccountId, session: str) -> bool:
        return sql.run("DELETE FROM page_session WHERE id = ? AND account = ?", (session, account)) == 1

    def forget_one(self, session: str) -> None:
        self._drop(session)

    def opened_by(self, account: AccountId, slot: str) -> list[str]:
        return [each.id for each in self._of_account(account) if each.slot == slot]

    def on_change(self, change: Change) -> None:
        """Listener of `AccountService.changed`: who is suspended, closed or no longer practises is out at once."""
        if change.what in (What.SUSPENDED, What.CLOSED, What.PRACTICE_LOST):
            self._end_behind([each.id for each in self._of_account(change.account)])
        elif change.what is What.CREDENTIAL_REVOKED and change.credential == BY_PROVIDER:
            self._end_behind([each.id for each in self._of_account(change.account) if each.provider])

    # -- inside

    def _of_account(self, account: AccountId) -> list[PageSession]:
        return [each for each in self._by_id.values() if each.account == account]

    def _alive(self, session: PageSession) -> bool:
        now = self._clock()
        account = self._accounts.by_id(session.account)
        if account is None or account.suspended or account.closed or not account.practising:
            return False
        if now >= session.expires:
            return False
        return now < self._last_seen[session.id] + self._idle(session)

    def _lifetime(self, kind: SessionKind, shared: bool) -> int:
        if kind is SessionKind.ENROLMENT:
            return self._settings.enrolment_minutes * _MINUTE
        hours = self._settings.shared_absolute_hours if shared else self._settings.absolute_hours
        return hours * _HOUR

    def _idle(self, session: PageSession) -> int:
        if session.kind is SessionKind.ENROLMENT:
            return self._settings.enrolment_minutes * _MINUTE
        minutes = self._settings.shared_idle_minutes if session.shared else self._settings.idle_minutes
        return min(minutes * _MINUTE, _PROVIDER_IDLE) if session.provider else minutes * _MINUTE

    def _take(self, session: PageSession, last_seen: int) -> None:
        self._by_id[session.id] = session
        self._by_digest[session.digest] = session
        self._last_seen[session.id] = last_seen

    def _drop(self, session: str) -> None:
        found = self._by_id.pop(session, None)
        if found is not None:
            self._by_digest.pop(found.digest, None)
            self._last_seen.pop(session, None)
            self._unwritten.discard(session)

    def _end_behind(self, sessions: Iterable[str]) -> None:
        """Out of memory now, out of the database behind the answer."""
        ended = list(sessions)
        for each in ended:
            self._drop(each)
        if ended:
            task = asyncio.get_running_loop().create_task(self._delete_rows(ended))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _delete_rows(self, sessions: list[str]) -> None:
        def write(tx: Transaction) -> None:
            for each in sessions:
                tx.sql.run("DELETE FROM page_session WHERE id = ?", (each,))

        try:
            await self._store.write(write)
        except StoreError as failure:  # a restart sees that they have ended: suspended, or out of time
            _log.warning("sessions that ended stay in the database (%s)", type(failure).__name__)

    async def flush(self) -> None:
        """Write last uses, and sweep what has ended."""
        due = [(self._last_seen[each], each) for each in self._unwritten if each in self._last_seen]
        self._unwritten.clear()
        self._end_behind([each.id for each in list(self._by_id.values()) if not self._alive(each)])
        if due:
            await self._store.write(
                lambda tx: tx.sql.many("UPDATE page_session SET last_seen = ? WHERE id = ?", due)
            )

    async def _write_soon(self) -> None:
        await asyncio.sleep(_WRITTEN_AFTER)
        try:
            await self.flush()
        except StoreError as failure:
            _log.warning("last uses of sessions were not written (%s)", type(failure).__name__)


def _vouched(session: PageSession, vouched: Vouched) -> PageSession:
    return replace(
        session,
        acr=vouched.acr,
        provider=vouched.provider,
        provider_session=vouched.session,
        provider_subject=vouched.subject,
    )


def _with_new_cookie(session: PageSession) -> Drawn:
    cookie = secrets.token_urlsafe(32)
    return Drawn(replace(session, digest=_digest(cookie)), cookie)


def _digest(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("utf-8", "replace")).digest()


def _session(row: tuple[Any, ...]) -> tuple[PageSession, int]:
    (key, digest, account, kind, way, slot, shared, renew, label, network, created, last_seen, expires,
     strong, fresh_until, acr, provider, provider_session, provider_subject) = row  # fmt: skip
    session = PageSession(
        key,
        AccountId(account),
        SessionKind(kind),
        Way(way),
        slot,
        bool(shared),
        Renew(renew),
        label,
        network,
        int(created),
        int(expires),
        bytes(digest),
        bool(strong),
        int(fresh_until),
        int(acr),
        provider,
        bytes(provider_session or b""),
        bytes(provider_subject or b""),
    )
    return session, int(last_seen)


def _now() -> int:
    return time.time_ns() // 1_000_000
