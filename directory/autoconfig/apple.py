"""Apple's configuration profile: the mail account, and the address book, for one address, without a password.

The device asks for the password when the profile is installed. It is signed with the node's own TLS certificate (CMS),
so that the device says "verified" where it trusts that certificate.

Invariants: no password; the same address gives the same profile, so that a newer one replaces it; no port that is
closed. A profile cannot name LDAP's port: the address book is there only where LDAP over TLS has its own (636).
"""

from __future__ import annotations

import plistlib
import uuid
from collections.abc import Callable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, pkcs7

from directory.autoconfig.services import Services

MEDIA_TYPE = "application/x-apple-aspen-config"
Sign = Callable[[bytes], bytes]
_LDAPS = 636


def profile(services: Services, address: str) -> bytes:
    # An account each: the profile of a second address does not take the first one's place.
    reverse = f"{'.'.join(reversed(services.host.split('.')))}.{_uuid(services, address, 'account').lower()}"
    contents = [_mail(services, address, reverse)]
    if services.ldaps == _LDAPS:
        contents.append(_ldap(services, address, reverse))
    return plistlib.dumps(
        {
            "PayloadContent": contents,
            "PayloadDescription": f"Compte de messagerie {address}. Il ne contient pas de mot de passe.",
            "PayloadDisplayName": f"{services.operator} – {address}",
            "PayloadIdentifier": f"{reverse}.profile",
            "PayloadOrganization": services.operator,
            "PayloadRemovalDisallowed": False,
            "PayloadType": "Configuration",
            "PayloadUUID": _uuid(services, address, "profile"),
            "PayloadVersion": 1,
        },
        sort_keys=True,
    )


def signer(chain: bytes, key: bytes) -> Sign:
    """With a certificate and its intermediates (PEM). Raises ValueError where they cannot sign."""
    leaf, *others = x509.load_pem_x509_certificates(chain)
    # The node's own key, which serves TLS: to check an RSA key anew for each profile holds up everybody, for as long as
    # a quarter of a second, whenever anybody asks.
    private = load_pem_private_key(key, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ValueError("a key of this kind does not sign CMS")

    def signed(data: bytes) -> bytes:
        builder = pkcs7.PKCS7SignatureBuilder().set_data(data).add_signer(leaf, private, hashes.SHA256())
        for one in others:
            builder = builder.add_certificate(one)
        return builder.sign(Encoding.DER, [pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoCapabilities])

    return signed


def _mail(services: Services, address: str, reverse: str) -> dict[str, Any]:
    return {
        "EmailAccountDescription": services.operator,
        "EmailAccountType": "EmailTypeIMAP",
        "EmailAddress": address,
        "IncomingMailServerAuthentication": "EmailAuthPassword",
        "IncomingMailServerHostName": services.host,
        "IncomingMailServerPortNumber": services.imaps or services.imap,
        # Implicit TLS or STARTTLS: the device sees which from the port's first words.
        "IncomingMailServerUseSSL": True,
        "IncomingMailServerUsername": address,
        "OutgoingMailServerAuthentication": "EmailAuthPassword",
        "OutgoingMailServerHostName": services.host,
        "OutgoingMailServerPortNumber": services.submissions or services.submission,
        "OutgoingMailServerUseSSL": True,
        "OutgoingMailServerUsername": address,
        "OutgoingPasswordSameAsIncomingPassword": True,
        # A letter of this account is not moved to another one's, nor sent by another program.
        "PreventMove": True,
        "PayloadDisplayName": address,
        "PayloadIdentifier": f"{reverse}.mail",
        "PayloadType": "com.apple.mail.managed",
        "PayloadUUID": _uuid(services, address, "mail"),
        "PayloadVersion": 1,
    }


def _ldap(services: Services, address: str, reverse: str) -> dict[str, Any]:
    return {
        "LDAPAccountDescription": services.operator,
        "LDAPAccountHostName": services.host,
        "LDAPAccountUserName": address,
        "LDAPAccountUseSSL": True,
        "LDAPSearchSettings": [
            {
                "LDAPSearchSettingDescription": services.operator,
                "LDAPSearchSettingScope": "LDAPSearchSettingScopeSubtree",
                "LDAPSearchSettingSearchBase": services.ldap_base,
            }
        ],
        "PayloadDisplayName": services.operator,
        "PayloadIdentifier": f"{reverse}.ldap",
        "PayloadType": "com.apple.ldap.account",
        "PayloadUUID": _uuid(services, address, "ldap"),
        "PayloadVersion": 1,
    }


def _uuid(services: Services, address: str, part: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{services.page}#{part}:{address}")).upper()
