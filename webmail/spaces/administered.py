"""Whose settings a visitor may change: their own account's, or a shared one's that they may administer."""

from __future__ import annotations

from mail_server.accounts.interface import Account
from mail_server.store.model import AccountId
from webmail.login.ground import Ground
from webmail.login.problems import Problem
from webmail.login.sessions import PageSession
from webmail.spaces.conversations import Writing

_MAY_ADMINISTER = "a"  # RFC 4314 §2.1


def administered(ground: Ground, writing: Writing, session: PageSession, named: str) -> Account:
    """The account of this id, one's own for "". Raises Problem forbidden."""
    own = ground.account(session)
    found = own if named in ("", own.id) else ground.accounts.by_id(AccountId(named))
    if found is None or (found.id != own.id and not writing.may(own.id, found.id, _MAY_ADMINISTER)):
        raise Problem("forbidden")
    return found
