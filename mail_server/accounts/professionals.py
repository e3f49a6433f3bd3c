"""Professionals and the national identifier that an identity provider vouches for.

Invariants: one identifier names one account that is not closed; it is checked before it is written; a change of it ends
what a provider's session had opened, since another person is meant from then on.
"""

from __future__ import annotations

from directory.identifiers.national import parse_person
from directory.identifiers.refused import IdentifierRefused
from mail_server.accounts.changes import AccountError, Change, What
from mail_server.accounts.interface import Kind
from mail_server.accounts.known import now_ms
from mail_server.accounts.spaces import PatientSpaces
from mail_server.store.interface import Sql
from mail_server.store.model import AccountId
from policies.interface import Event

BY_PROVIDER = "provider"  # in a change: every session that an identity provider opened


class Professionals(PatientSpaces):
    """The part of the accounts that says which professional an account is."""

    async def bind_national_id(self, account: AccountId, national_id: str, by: str = "node") -> None:
        """From now on a provider's login for this identifier is this account's; "" unbinds. Raises AccountError."""
        if self._known(account).kind is not Kind.PER:
            raise AccountError("not-a-person", "Only a personal account (PER) has a national identifier.")
        try:
            number = parse_person(national_id).value if national_id.strip() else ""
        except IdentifierRefused as wrong:
            raise AccountError("bad-national-id", wrong.en) from None

        def write(sql: Sql) -> None:
            taken = "SELECT 1 FROM account WHERE national_id = ? AND id <> ? AND closed IS NULL"
            if number and sql.one(taken, (number, account)):
                raise AccountError("national-id-taken", "Another account has this national identifier.")
            sql.run("UPDATE account SET national_id = ? WHERE id = ?", (number, account))

        action = "national-id-bind" if number else "national-id-unbind"
        event = Event(action, now_ms(), by, account)
        await self._change(account, write, event, Change(What.CHANGED, account))
        self._announce(Change(What.CREDENTIAL_REVOKED, account, credential=BY_PROVIDER))
