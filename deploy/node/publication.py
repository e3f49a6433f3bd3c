"""What WKD publishes for an address: its holder's certificate, else the operator-held one.

An account in custody has a certificate too, so that others write to it end-to-end up to the operator (DESIGN §4).
Only here do the directory and the keystore meet: neither knows the other.
"""

from __future__ import annotations

from deploy.node.composition import Node
from directory.service import wkd_hash


class Published:
    """Implements `directory.publication.wkd.Published`."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def published(self, address: str) -> bytes | None:
        if (own := self._node.directory.published(address)) is not None:
            return own
        if (closing := self._node.correspondence.certificates.certificate(address)) is not None:
            return closing
        account = self._node.accounts.by_address(address)
        held = self._node.operator_keys.existing(account.id) if account else None
        return held.certificate if held else None

    def address_by_wkd_hash(self, domain: str, name: str) -> str | None:
        if (own := self._node.directory.address_by_wkd_hash(domain, name)) is not None:
            return own
        addresses = [account.address for account in self._node.accounts.all()]
        for address in (*self._node.correspondence.certificates.addresses(), *addresses):
            local, _, its_domain = address.partition("@")
            if its_domain == domain.lower() and wkd_hash(local) == name:
                return address
        return None

    def has_domain(self, domain: str) -> bool:
        return self._node.accounts.is_local_domain(domain)
