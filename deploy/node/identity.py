"""The node's identity providers, opened from its configuration.

Invariant: a secret or certificate that cannot be read stops the start, with the provider's name and not a word of it.
"""

from __future__ import annotations

import ssl

from deploy.node.config import Config
from deploy.node.failures import StartError
from mail_server.accounts.oidc.service import OidcService
from mail_server.accounts.service import AccountService


def identity_providers(config: Config, accounts: AccountService) -> OidcService:
    """Also says to the accounts which sessions at providers last. Raises StartError."""
    try:
        service = OidcService(config.oidc, accounts)
    except (OSError, ssl.SSLError, ValueError) as failure:
        names = ", ".join(each.name for each in config.oidc.providers)
        raise StartError(
            f"A secret, certificate or authority of [[oidc.providers]] ({names}) cannot be read "
            f"({type(failure).__name__})."
        ) from None
    accounts.provider_holds = service.holds
    return service
