"""Who did what with an account, in words its holder reads: a JMAP capability over the trace.

The trace has no index but its own order, so it is read backwards in bounded parts, on the store's threads; a page may
come short, or empty, while there is more: `next` says where to go on.

Invariants: only one's own account is told; of a correspondent, the address that correspondents see and no network;
what stands in the trace for the operator's use alone (ids, credentials) is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mail_server.accounts.interface import Account, Accounts, Kind
from mail_server.jmap.interface import Arguments, Capability, MethodError, Turn
from mail_server.store.interface import Sql, Store
from mail_server.store.model import AccountId
from policies.audit.entry import Entry
from policies.audit.query import Filter, find
from policies.audit.trail import head

URI = "https://vaguemestre.example/jmap/access-log"

_WINDOW = 5_000  # entries read at a time: a millisecond or two of a reader's thread
_WINDOWS = 60  # of one call
_MOST = 100
_USUAL = 50

# As the trace calls an act, and as the page does. What is not here is not shown.
_ACTIONS = {
    "login": "login",
    "login-failed": "login-failed",
    "logout": "logout",
    "deliver": "letter-arrived",
    "read": "letter-read",
    "keep": "letter-kept",
    "destroy": "letter-deleted",
    "reseal": "reseal",
    "operator-key-destroyed": "operator-key-destroyed",
    "key-publish": "key-publish",
    "key-revoke": "key-revoke",
    "activate": "activate",
    "code-issue": "code-issue",
    "code-refused": "code-refused",
    "session-end": "session-end",
    "password-change": "password-change",
    "recovery-change": "recovery-change",
    "passkey-add": "passkey-add",
    "passkey-remove": "passkey-remove",
    "totp-on": "totp-on",
    "totp-off": "totp-off",
    "password-add": "app-password-add",
    "password-revoke": "app-password-revoke",
    "account-add": "account-add",
    "account-suspend": "account-suspend",
    "account-reinstate": "account-reinstate",
}

# Acts whose outcome in the trace is the state a letter was left in: to its holder, they were done.
_OF_LETTERS = frozenset({"deliver", "read", "keep", "destroy", "reseal"})
_UNTOLD = "already-filed"  # the same letter again after a crash: it arrived once


class AccessLog:
    def __init__(self, store: Store, accounts: Accounts, chain: Callable[[], str]) -> None:
        self._store = store
        self._accounts = accounts
        self._chain = chain

    def capability(self) -> Capability:
        return Capability(URI, {"AccessLog/get": self.get}, {}, _has_one)

    async def get(self, turn: Turn, arguments: Arguments) -> dict[str, Any]:
        account = turn.account(arguments)
        if account.id != turn.identity.account:
            raise MethodError("forbidden")
        before = _number(arguments, "before")
        limit = _number(arguments, "limit")
        entries, following = await self.page(
            account, before, _USUAL if limit is None else max(1, min(limit, _MOST))
        )
        return {
            "accountId": account.id,
            "list": [self._shown(account, entry) for entry in entries],
            "more": following is not None,
            "next": following,
        }

    async def page(self, account: Account, before: int | None, limit: int) -> tuple[list[Entry], int | None]:
        """The latest entries below `before`, newest first; where to go on, None at the beginning of the trace."""
        chain, upper = self._chain(), before
        if upper is None:
            upper = 1 + await self._store.read(lambda reader: head(reader.sql, chain)[0])
        found: list[Entry] = []
        for _ in range(_WINDOWS):
            if upper <= 1 or len(found) >= limit:
                break
            wanted = limit - len(found)
            part, upper = await self._part(account.id, chain, upper, wanted)
            found += [entry for entry in part if _is_shown(entry)]
        return found, upper if upper > 1 else None

    async def _part(self, account: AccountId, chain: str, upper: int, wanted: int) -> tuple[list[Entry], int]:
        """Newest first, and below which number to go on."""
        low = max(1, upper - _WINDOW)

        def query(sql: Sql) -> list[Entry]:
            return find(sql, Filter(chain=chain, party=account, seq_from=low, seq_below=upper, last=wanted))

        entries = await self._store.read(lambda reader: query(reader.sql))
        entries.reverse()
        return entries, entries[-1].seq if len(entries) >= wanted else low

    def _shown(self, account: Account, entry: Entry) -> dict[str, Any]:
        details = entry.details
        sent = entry.action == "deliver" and entry.actor == account.id and entry.subject != account.id
        other = entry.subject if sent else entry.actor
        who = self._who(account, entry)
        protocol = details.get("protocol", "")
        return {
            "seq": entry.seq,
            "at": entry.at,
            "action": "letter-sent" if sent else _ACTIONS[entry.action],
            "outcome": "done" if entry.action in _OF_LETTERS else entry.outcome,
            "who": who,
            "address": self._address(account, other),
            "network": entry.network if who in ("you", "unknown") else "",
            "label": details.get("label", "") or (protocol.upper() if protocol != "page" else ""),
        }

    def _who(self, account: Account, entry: Entry) -> str:
        actor = entry.actor
        if actor == account.id:
            return "you"
        if actor == "node" or actor.startswith("console"):
            return "operator"
        if actor.startswith("operator:") or self._accounts.by_id(AccountId(actor)) is not None:
            return "correspondent"
        return "unknown"

    def _address(self, account: Account, other: str) -> str:
        found = self._accounts.by_id(AccountId(other))
        return found.shown if found is not None and found.id != account.id else ""


def _is_shown(entry: Entry) -> bool:
    return entry.action in _ACTIONS and entry.outcome != _UNTOLD


def _has_one(account: Account) -> Mapping[str, Any] | None:
    return {} if account.kind in (Kind.PATIENT, Kind.PER) else None


def _number(arguments: Arguments, name: str) -> int | None:
    value = arguments.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise MethodError("invalidArguments", f"{name} is a number")
    return value
