"""The LDAP door put together: logs in with mail credentials, shows certificates and what can be sent to an address.

Invariants: an app password opens it where "ldap" is among what it may be used for; patients log in nowhere but on the
page, so not here; the directory learns nothing of accounts but whom a login proved.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence

from deploy.node.failures import StartError
from deploy.node.node import Node
from directory.ldap.interface import Bound, Client, Exchange, NotProven
from directory.ldap.protocol.names import BadName
from directory.ldap.server import LdapDoor
from mail_server.accounts.interface import Exchange as Handshake
from mail_server.accounts.interface import Identity, Peer
from mail_server.accounts.life import in_service
from mail_server.accounts.networks import place_of
from policies.refusal import Refusal

_OFFERED = frozenset({"EXTERNAL", "PLAIN", "SCRAM-SHA-256"})


def ldap_door(node: Node, tls: ssl.SSLContext) -> LdapDoor:
    """Raises StartError for a base that is no name."""
    try:
        return LdapDoor(
            node.config.ldap,
            listings=node.listings,
            harvest=node.harvest,
            logins=AccountLogins(node),
            tls=tls,
            certificates=node.published.x509,
            capabilities=node.capability_of,
            place=place_of,
        )
    except BadName as wrong:
        raise StartError(f"`base` in the [ldap] section is no distinguished name: {wrong}") from None


class AccountLogins:
    """Implements `directory.ldap.interface.Logins` over the accounts."""

    def __init__(self, node: Node) -> None:
        self._accounts = node.accounts
        self._authenticator = node.authenticator

    def mechanisms(self, client: Client) -> Sequence[str]:
        return [each for each in self._authenticator.mechanisms(_peer(client)) if each in _OFFERED]

    async def simple(self, user: str, password: str, client: Client) -> Bound:
        try:
            identity = await self._authenticator.login(user, password, _peer(client))
        except Refusal as refusal:
            raise _not_proven(refusal) from None
        return self.bound(identity)

    def begin(self, mechanism: str, client: Client) -> Exchange:
        try:
            return _Exchange(self, self._authenticator.begin(mechanism, _peer(client)))
        except Refusal as refusal:
            raise _not_proven(refusal) from None

    def bound(self, identity: Identity) -> Bound:
        def stands() -> bool:
            account = self._accounts.by_id(identity.account)
            held = self._accounts.holds(identity.account, identity.credential)
            return held and account is not None and in_service(account)

        return Bound(identity.account, identity.address, stands)


class _Exchange:
    """A SASL exchange of the accounts, as the directory sees it."""

    def __init__(self, logins: AccountLogins, handshake: Handshake) -> None:
        self._logins = logins
        self._handshake = handshake

    async def step(self, response: bytes) -> bytes | Bound:
        try:
            outcome = await self._handshake.step(response)
        except Refusal as refusal:
            raise _not_proven(refusal) from None
        return self._logins.bound(outcome) if isinstance(outcome, Identity) else outcome


def _peer(client: Client) -> Peer:
    return Peer(client.address, client.port, "ldap", client.session, client.tls, client.certificate)


def _not_proven(refusal: Refusal) -> NotProven:
    return NotProven(f"{refusal.sentence} (ref {refusal.id})", temporary=refusal.temporary)
