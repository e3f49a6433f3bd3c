"""Passkeys (WebAuthn, by the `webauthn` library): discoverable, the user verified by the device.

The page itself asks the device for the PRF output that opens the account key; nothing of it comes here.

Invariants: a challenge serves once, within minutes, for the purpose and the origin it was made for; whatever the
library makes of hostile input is one refusal; a counter that does not grow refuses (a copied device).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from mail_server.accounts.networks import place_of
from mail_server.keys.slots import Passkey
from webmail.login.once import Once
from webmail.login.problems import Problem

_LIFETIME = 5 * 60_000
_LONGEST_ID = 1023  # WebAuthn §4, credential id
_REQUIRED = UserVerificationRequirement.REQUIRED


@dataclass(frozen=True, slots=True)
class _Asked:
    challenge: bytes = field(repr=False)
    origin: str
    session: str  # "" for a login


class Passkeys:
    def __init__(self, clock: Callable[[], int], name: str) -> None:
        self._name = name
        self._asked: Once[_Asked] = Once(clock, _LIFETIME)

    # -- login

    def login_options(self, origin: str, network: str) -> tuple[str, dict[str, Any]]:
        """Any passkey of this page that the device knows."""
        challenge = secrets.token_bytes(32)
        options = webauthn.generate_authentication_options(
            rp_id=_host(origin), challenge=challenge, user_verification=_REQUIRED
        )
        return self._asked.put(_Asked(challenge, origin, ""), place_of(network)), _json(options)

    def login_challenge(self, asked: str) -> _Asked | None:
        found = self._asked.take(asked)
        return found if found is not None and not found.session else None

    async def proven(self, credential: Mapping[str, Any], asked: _Asked, known: Passkey) -> int:
        """The device's counter. Raises Problem passkey-refused."""
        try:
            verified = await asyncio.to_thread(
                webauthn.verify_authentication_response,
                credential=dict(credential),
                expected_challenge=asked.challenge,
                expected_rp_id=_host(asked.origin),
                expected_origin=asked.origin,
                credential_public_key=known.public_key,
                credential_current_sign_count=known.sign_count,
                require_user_verification=True,
            )
        except (
            Exception
        ):  # CBOR, JSON, ASN.1 of a stranger, in four libraries: whatever it is, it is no proof
            raise Problem("passkey-refused") from None
        return verified.new_sign_count

    # -- a new one

    def creation_options(
        self, origin: str, session: str, account: str, shown: str, known: list[Passkey]
    ) -> tuple[str, dict[str, Any]]:
        challenge = secrets.token_bytes(32)
        options = webauthn.generate_registration_options(
            rp_id=_host(origin),
            rp_name=self._name,
            user_id=account.encode(),
            user_name=shown,
            user_display_name=shown,
            challenge=challenge,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=_REQUIRED
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=one.credential) for one in known],
        )
        return self._asked.put(_Asked(challenge, origin, session), account), _json(options)

    async def created(self, credential: Mapping[str, Any], asked: str, session: str, *, prf: bool) -> Passkey:
        """Raises Problem challenge-refused, passkey-refused."""
        found = self._asked.take(asked)
        if found is None or found.session != session:
            raise Problem("challenge-refused")
        try:
            verified = await asyncio.to_thread(
                webauthn.verify_registration_response,
                credential=dict(credential),
                expected_challenge=found.challenge,
                expected_rp_id=_host(found.origin),
                expected_origin=found.origin,
                require_user_verification=True,
            )
        except Exception:  # as above
            raise Problem("passkey-refused") from None
        if not 0 < len(verified.credential_id) <= _LONGEST_ID:
            raise Problem("passkey-refused")
        return Passkey(verified.credential_id, verified.credential_public_key, verified.sign_count, prf)


def credential_id(credential: Mapping[str, Any]) -> bytes:
    """The id that an answer names. Raises Problem passkey-refused."""
    named = credential.get("rawId", credential.get("id"))
    if not isinstance(named, str) or not 0 < len(named) <= 2 * _LONGEST_ID:
        raise Problem("passkey-refused")
    try:
        return base64.urlsafe_b64decode(named.rstrip("=") + "=" * (-len(named.rstrip("=")) % 4))
    except (binascii.Error, ValueError):
        raise Problem("passkey-refused") from None


def _host(origin: str) -> str:
    return urlsplit(origin).hostname or "localhost"


def _json(options: Any) -> dict[str, Any]:
    return cast(dict[str, Any], json.loads(webauthn.options_to_json(options)))
