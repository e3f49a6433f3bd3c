"""`key …`: which certificates an address has or had, OpenPGP and S/MIME; published, revoked, withdrawn."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Any

from deploy.node.clock import now
from deploy.node.composition import Node
from deploy.node.console_named import account_named
from deploy.node.control import CommandFailed
from directory.certificates.interface import Standing
from directory.x509.chain import Authorities
from mail_server.accounts.interface import Account, Kind
from policies.interface import Event


class KeyCommands:
    def __init__(self, node: Node, by: str) -> None:
        self._node = node
        self._by = by

    async def key_publish(self, address: str, certificate: str) -> dict[str, Any]:
        account = account_named(self._node.accounts, address)
        data = _decoded(certificate)
        published = await asyncio.to_thread(self._node.directory.publish, account.address, data, now())
        self._note("key-publish", account, published.fingerprint)
        self._node.own_listings.soon()
        self._node.reseal(account)
        for shared in self._node.accounts.shared_with(account.id):
            self._node.reseal(shared)
        return {"address": account.address, "fingerprint": published.fingerprint}

    async def key_revoke(
        self, address: str, fingerprint: str | None, revocation: str | None = None
    ) -> dict[str, Any]:
        """`revocation`: the holder's own, which everybody is shown; without it the certificate is shown no more."""
        account = account_named(self._node.accounts, address)
        if fingerprint is None:
            fingerprint = self._in_force(account)
        given = _decoded(revocation) if revocation is not None else None
        try:
            await asyncio.to_thread(
                self._node.directory.revoke, account.address, fingerprint.upper(), now(), given
            )
        except KeyError:
            raise CommandFailed(f"{account.address} has no certificate {fingerprint}.") from None
        self._note("key-revoke", account, fingerprint)
        self._node.own_listings.soon()
        return {"address": account.address, "fingerprint": fingerprint}

    async def key_publish_x509(self, address: str, certificate: str) -> dict[str, Any]:
        account = account_named(self._node.accounts, address)
        if account.kind is Kind.PATIENT:
            raise CommandFailed("Certificates of patients are not published.")
        data = _decoded(certificate)
        authorities = await asyncio.to_thread(self._authorities)
        published = await asyncio.to_thread(
            self._node.directory.publish_x509, account.address, data, now(), authorities
        )
        self._note("key-publish", account, published.fingerprint)
        self._node.own_listings.soon()
        return {
            "address": account.address,
            "fingerprint": published.fingerprint,
            "not_after": published.not_after,
        }

    async def key_revoke_x509(
        self, address: str, fingerprint: str | None = None, withdrawn: bool = False
    ) -> dict[str, Any]:
        account = account_named(self._node.accounts, address)
        if fingerprint is None:
            fingerprint = self._node.directory.x509_fingerprint(account.address) or ""
        plain = fingerprint.replace(":", "").upper()
        try:
            await asyncio.to_thread(
                lambda: self._node.directory.revoke_x509(account.address, plain, now(), withdrawn=withdrawn)
            )
        except KeyError:
            raise CommandFailed(
                f"{account.address} has no S/MIME certificate {fingerprint or 'in force'}."
            ) from None
        self._note("key-revoke", account, plain)
        self._node.own_listings.soon()
        return {"address": account.address, "fingerprint": plain}

    async def key_history(self, address: str) -> list[dict[str, Any]]:
        account = account_named(self._node.accounts, address)
        found = await asyncio.to_thread(self._node.directory.periods, account.address, now())
        return [
            {
                "fingerprint": one.fingerprint,
                "family": one.family.value,
                "since": one.since,
                "until": one.until,
                "why": one.why.value if one.why is not None else None,
                "not_after": one.not_after,
            }
            for one in found
        ]

    async def key_list(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for account in self._node.accounts.all():
            found = self._node.directory.certificate(account.address, now())
            held = self._node.operator_keys.existing(account.id)
            row = {
                "address": account.address,
                "family": "openpgp",
                "standing": found.standing.value,
                "held_by": "holder",
            }
            if found.certificate is not None:
                rows.append(row | {"fingerprint": found.certificate.fingerprint})
            elif found.standing is not Standing.NONE:
                rows.append(row | {"fingerprint": None})
            if held is not None:
                rows.append(
                    row | {"standing": "valid", "fingerprint": held.fingerprint, "held_by": "operator"}
                )
            if (smime := self._node.directory.x509_fingerprint(account.address)) is not None:
                rows.append(row | {"family": "x509", "standing": "valid", "fingerprint": smime})
        return rows

    def _in_force(self, account: Account) -> str:
        found = self._node.directory.certificate(account.address, now())
        if found.certificate is not None:
            return found.certificate.fingerprint
        raise CommandFailed(f"{account.address} has no certificate in force.")

    def _authorities(self) -> Authorities | None:
        file = self._node.config.directory.x509_authorities
        if file is None:
            return None
        try:
            return Authorities.read(file)
        except (OSError, ValueError):
            raise CommandFailed(f"The authorities of S/MIME certificates cannot be read: {file}.") from None

    def _note(self, action: str, account: Account, reference: str) -> None:
        self._node.trace.note([Event(action, now(), self._by, account.id, reference=reference)])


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        raise CommandFailed("The file did not arrive whole.") from None
