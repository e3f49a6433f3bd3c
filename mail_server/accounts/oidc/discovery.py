"""What a provider publishes of itself (OpenID Connect Discovery 1.0 §4), checked, sans I/O.

Invariants: the document names the configured issuer exactly (§4.3: a document of somebody else is a mix-up); an
address in it that is not safe to use is as good as absent; algorithms it proposes change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mail_server.accounts.oidc.interface import TokenRefused
from mail_server.accounts.oidc.settings import is_safe_url

_LONGEST_ADDRESS = 2000


@dataclass(frozen=True, slots=True)
class Endpoints:
    authorization: str
    token: str
    keys: str
    userinfo: str = ""
    introspection: str = ""
    ciba: str = ""
    tells_issuer: bool = False  # RFC 9207 §3: every answer names its issuer, one without is refused


def endpoints(document: Mapping[str, Any], issuer: str) -> Endpoints:
    """Raises TokenRefused wrong-issuer, malformed."""
    if document.get("issuer") != issuer:
        raise TokenRefused("wrong-issuer")

    def address(name: str) -> str:
        told = document.get(name)
        if not isinstance(told, str) or len(told) > _LONGEST_ADDRESS or not is_safe_url(told):
            return ""
        # A provider elsewhere has no business with what listens on this machine.
        return told if told.startswith("https:") or not issuer.startswith("https:") else ""

    found = Endpoints(
        authorization=address("authorization_endpoint"),
        token=address("token_endpoint"),
        keys=address("jwks_uri"),
        userinfo=address("userinfo_endpoint"),
        introspection=address("introspection_endpoint"),
        ciba=address("backchannel_authentication_endpoint"),
        tells_issuer=document.get("authorization_response_iss_parameter_supported") is True,
    )
    if not (found.authorization and found.token and found.keys):
        raise TokenRefused("malformed")
    return found
