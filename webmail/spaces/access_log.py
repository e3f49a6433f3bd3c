"""Who did what with an account, in words its holder reads: a JMAP capability over the trace.

It is read through the trace's index of persons, newest first, over the chains of every node. An entry is named by one
number: its own where there is one chain, else its own and its chain's together.

Invariants: only one's own account is told; of a correspondent, the address that correspondents see and no network;
what stands in the trace for the operator's use alone (ids, credentials) is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mail_server.accounts.interface import Account, Accounts, Kind
from mail_server.jmap.interface import Arguments, Capability, MethodError, Turn
from mail_server.store.interface import Sql, Store
from mail_server.store.model import AccountId
from policies.audit.entry import Entry
from policies.audit.query import END, Place, at_number, chains, of_party, place_of

URI = "https://vaguemestre.example/jmap/access-log"

_WINDOWS = 20  # readings of one call: what is not shown may come in long runs
_CHAINS = 1024  # nodes that one store may have had
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
    "download": "letter-downloaded",
    "search": "letters-searched",
    "copy": "letter-taken",
    "move": "letter-taken",
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
    "account-close": "account-close",
    "member-add": "member-add",
    "member-remove": "member-remove",
    "member-change": "reader-change",
    "delegate-add": "reader-add",
    "delegate-change": "reader-change",
    "delegate-remove": "reader-remove",
    "seen-set": "seen-set",
    "software-copy": "software-copy",
    "software-set": "software-set",
    "software-copies": "software-copies",
    "send-out": "left-sent",
    "sent": "left-delivered",
    "send-failed": "left-failed",
    "send-expired": "left-failed",
    "send-cancelled": "left-failed",
    "outbound-set": "leaving-set",
    "profile-change": "listing-set",
    "notice": "notice",
    "notice-address-asked": "notice-address-asked",
    "notice-address": "notice-address",
    "notice-address-forgotten": "notice-address-forgotten",
    "step-up": "step-up",
    "national-id-bind": "national-id-bind",
    "national-id-unbind": "national-id-unbind",
    "practice-lost": "practice-lost",
    "practice-regained": "practice-regained",
    "past-begin": "past-begin",
    "past-end": "past-end",
    "conversation-close": "conversation-close",
    "correspondent-block": "block",
    "correspondent-unblock": "unblock",
    "contact-set": "contact",
    "receipt": "receipt",
    "access-log-export": "access-log-export",
    "audit-export": "audit-export",
    "policies-explain": "policies-explain",
}

# Acts whose outcome in the trace is the state a letter was left in: to its holder, they were done.
_OF_LETTERS = frozenset({"deliver", "read", "keep", "destroy", "reseal", "software-copy"})
_UNTOLD = "already-filed"  # the same letter again after a crash: it arrived once


class AccessLog:
    def __init__(self, store: Store, accounts: Accounts) -> None:
        self._store = store
        self._accounts = accounts

    def capability(self) -> Capability:
        return Capability(URI, {"AccessLog/get": self.get}, {}, _has_one)

    async def get(self, turn: Turn, arguments: Arguments) -> dict[str, Any]:
        account = turn.account(arguments)
        if account.id != turn.identity.account:
            raise MethodError("forbidden")
        before = _number(arguments, "before")
        limit = _number(arguments, "limit")
        lines, following = await self.page(
            account, before, _USUAL if limit is None else max(1, min(limit, _MOST))
        )
        return {
            "accountId": account.id,
            "list": lines,
            "more": following is not None,
            "next": following,
        }

    async def page(
        self, account: Account, before: int | None, limit: int
    ) -> tuple[list[dict[str, Any]], int | None]:
        """The latest lines below `before`, newest first; where to go on, None at the beginning of the trace."""
        return await self._store.read(lambda reader: self._page(reader.sql, account, before, limit))

    def _page(
        self, sql: Sql, account: Account, before: int | None, limit: int
    ) -> tuple[list[dict[str, Any]], int | None]:
        names = chains(sql)
        below = END if before is None else _place(sql, names, before)
        lines: list[dict[str, Any]] = []
        last = 0
        for _ in range(_WINDOWS):
            part = of_party(sql, account.id, below, 0, limit)
            for entry in part:
                last = _number_of(names, entry)
                if _is_shown(entry):
                    lines.append(self._shown(account, entry, last))
                if len(lines) == limit:
                    return lines, last
            if len(part) < limit:
                return lines, None
            below = place_of(part[-1])
        return lines, last

    def lines(self, sql: Sql, account: Account, since: int, until: int, most: int) -> list[dict[str, Any]]:
        """Every line of a period, newest first; at most `most`."""
        names, below = chains(sql), Place(until, "", 0)
        lines: list[dict[str, Any]] = []
        while len(lines) < most and (part := of_party(sql, account.id, below, since, 500)):
            lines += [
                self._shown(account, entry, _number_of(names, entry)) for entry in part if _is_shown(entry)
            ]
            below = place_of(part[-1])
        return lines[:most]

    def _shown(self, account: Account, entry: Entry, number: int) -> dict[str, Any]:
        details = entry.details
        sent = entry.action == "deliver" and entry.actor == account.id and entry.subject != account.id
        other = entry.subject if sent else entry.actor
        who = self._who(account, entry)
        protocol = details.get("protocol", "")
        return {
            "seq": number,
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


def _number_of(names: Sequence[str], entry: Entry) -> int:
    return entry.seq if len(names) <= 1 else entry.seq * _CHAINS + names.index(entry.chain)


def _place(sql: Sql, names: Sequence[str], number: int) -> Place:
    """Below which place to go on; what is no entry's number, or that of a purged one, has nothing below it."""
    seq, ordinal = (number, 0) if len(names) <= 1 else divmod(number, _CHAINS)
    found = at_number(sql, names[ordinal], seq) if ordinal < len(names) else None
    return Place(0, "", 0) if found is None or found.purged else place_of(found)


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
