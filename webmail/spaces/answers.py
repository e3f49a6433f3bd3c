"""What the page is told of whoever is logged in: account, ways in, keys, what is left to do."""

from __future__ import annotations

import base64
from typing import Any

from mail_server.keys.slots import Slot, SlotKind
from webmail.login.front import text
from webmail.login.ground import Ground
from webmail.login.sessions import PageSession
from webmail.spaces.enrolments import names_of
from webmail.spaces.keys import Keys
from webmail.spaces.reseal import Reseal


class SessionAnswers:
    def __init__(self, ground: Ground, keys: Keys, reseal: Reseal) -> None:
        self._ground = ground
        self._keys = keys
        self._reseal = reseal

    async def of(self, session: PageSession) -> dict[str, Any]:
        """Raises Problem no-session."""
        ground = self._ground
        account = ground.account(session)
        session = ground.sessions.current(session) or session
        keys, slots = await self._keys.shown(account)
        left = await self._reseal.left(account)
        if not left:
            await self._reseal.settle(account)
        names = names_of(ground, account)
        return {
            "account": {
                "id": account.id,
                "address": account.address,
                "shown": account.shown,
                "kind": account.kind.value,
            },
            "name": {"given": names.given, "family": names.family, "display": names.display},
            "slots": [_slot(slot) for slot in slots],
            "keys": [
                {
                    "fingerprint": key.fingerprint,
                    "certificate": text(key.certificate),
                    "wrappedSecret": text(key.wrapped_secret),
                    "current": key.current,
                }
                for key in keys
            ],
            "resealLeft": left,
            "mustRenew": session.must_renew,
            "totp": await ground.store.read(lambda reader: ground.factors.has(reader.sql, account.id)),
            "expires": ground.sessions.until(session),
            "way": session.way.value,
            "provider": session.provider or None,
            "strong": session.strong,
            "shared": session.shared,
            "freshUntil": session.fresh_until,
        }


def _slot(slot: Slot) -> dict[str, Any]:
    return {
        "id": slot.id,
        "kind": slot.kind.value,
        "label": slot.label,
        "created": slot.created,
        "lastUsed": slot.last_used,
        "params": _params(slot),
        "wrapped": text(slot.wrapped),
    }


def _params(slot: Slot) -> dict[str, Any]:
    how = slot.stretching
    if slot.kind is SlotKind.PASSWORD and how is not None:
        return {
            "salt": text(how.salt),
            "algorithm": "argon2id",
            "memory": how.memory,
            "passes": how.passes,
            "lanes": how.lanes,
        }
    if slot.passkey is not None:
        # As browsers name it (WebAuthn §5.1): base64url without padding.
        credential = base64.urlsafe_b64encode(slot.passkey.credential).rstrip(b"=").decode()
        return {"credentialId": credential, "prf": slot.passkey.prf}
    return {}
