"""From the names a client writes to mailboxes of accounts, and back: personal and "Other Users/" namespaces.

A shared account's INBOX is `Other Users/<address>` itself, as Dovecot's shared namespaces have it
(`Other Users/<address>/INBOX` is taken as another spelling of it); its other folders lie below.

Invariant: a name resolves only to an account that the person may use at this very moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mail_server.imap.session import Refused
from mail_server.store.model import AccountId, Mailbox, SpecialUse

OTHER_USERS = "Other Users"
_PREFIX = OTHER_USERS + "/"


@dataclass(frozen=True, slots=True)
class Target:
    account: AccountId
    name: str  # as the store knows it
    shared: bool


def resolve(name: str, person: AccountId, shared: Mapping[str, AccountId]) -> Target:
    """Raises Refused for the namespace's own root and for accounts that are not shared with the person."""
    if name != OTHER_USERS and not name.startswith(_PREFIX):
        return Target(person, name, shared=False)
    address, _, inside = name[len(_PREFIX) :].partition("/")
    account = shared.get(address.lower())
    if account is None:
        raise Refused("[NONEXISTENT] No such mailbox")
    if not inside or inside.upper() == "INBOX":
        return Target(account, "INBOX", shared=True)
    return Target(account, inside, shared=True)


def named_account(name: str) -> str | None:
    """The address of the account that a name lies in, as it is written; None for one's own mailboxes."""
    return name[len(_PREFIX) :].partition("/")[0].lower() if name.startswith(_PREFIX) else None


def shown(mailbox: Mailbox, address: str | None) -> str:
    """The client's name of a mailbox; `address` is its shared account's, None in the personal namespace."""
    if address is None:
        return mailbox.name
    if mailbox.special_use is SpecialUse.INBOX:
        return _PREFIX + address
    return f"{_PREFIX}{address}/{mailbox.name}"


_WILDCARDS = "*%"


class Pattern:
    """A LIST pattern (RFC 9051 §6.3.9), matched in time proportional to the name, whatever the pattern.

    A bit set of the places in the pattern that the name read so far can have reached.
    """

    __slots__ = ("_any", "_end", "_letters", "_level", "_start", "_wild")

    def __init__(self, pattern: str) -> None:
        self._letters: dict[str, int] = {}
        self._any = self._level = 0
        place = 0
        previous = ""
        for letter in pattern:
            if letter in _WILDCARDS and previous and previous in _WILDCARDS:
                # A run of wildcards is as wide as its widest.
                if letter == "*":
                    self._level &= ~(1 << place - 1)
                    self._any |= 1 << place - 1
                    previous = letter
                continue
            if letter == "*":
                self._any |= 1 << place
            elif letter == "%":
                self._level |= 1 << place
            else:
                self._letters[letter] = self._letters.get(letter, 0) | 1 << place
            place += 1
            previous = letter
        self._wild = self._any | self._level
        self._end = 1 << place
        self._start = 1 | (self._wild & 1) << 1

    def matches(self, name: str) -> bool:
        reached = self._start
        for letter in name:
            stay = reached & (self._any if letter == "/" else self._wild)
            reached = (reached & self._letters.get(letter, 0)) << 1 | stay
            reached |= (reached & self._wild) << 1
            if not reached:
                return False
        return bool(reached & self._end)
