"""One-time codes of a telephone (RFC 6238: HMAC-SHA-1, 30 seconds, six digits), each good once.

Invariants: the secret lies under the KEK; a step, once used, never serves again, whatever runs at the same time; one
step early or late is taken (RFC 6238 §5.2).
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from dataclasses import dataclass, field
from urllib.parse import quote

from mail_server.keys.interface import KeyWrapper
from policies.interface import SqlConnection

STEP_SECONDS = 30
_SECRET_LENGTH = 20  # RFC 4226 §4, R6
_CODE = re.compile(r"[0-9]{6}")


@dataclass(frozen=True, slots=True)
class Totp:
    """A second factor that is in force."""

    secret: bytes = field(repr=False)
    last_step: int


def new_secret() -> bytes:
    return secrets.token_bytes(_SECRET_LENGTH)


def shown(secret: bytes) -> str:
    """As people copy it (RFC 4648 base32)."""
    return base64.b32encode(secret).decode()


def uri(secret: bytes, account: str, issuer: str) -> str:
    """What a QR code holds for an authenticator program. `account` must be an address that may be shown there."""
    return f"otpauth://totp/{quote(issuer)}:{quote(account)}?secret={shown(secret)}&issuer={quote(issuer)}"


def code_at(secret: bytes, step: int) -> str:
    """RFC 4226 §5.3."""
    mac = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = mac[-1] & 0x0F
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


def step_of(secret: bytes, code: str, now: int, last_step: int) -> int | None:
    """The step this code is of, if it is one of the three that count now and later than the last one used."""
    typed = "".join(code.split())
    if not _CODE.fullmatch(typed):
        return None
    current = now // 1000 // STEP_SECONDS
    found = None
    for step in (current - 1, current, current + 1):
        right = hmac.compare_digest(code_at(secret, step).encode(), typed.encode())
        if right and step > last_step:
            found = step
    return found


class Factors:
    """Where second factors lie."""

    def __init__(self, wrapper: KeyWrapper) -> None:
        self._wrapper = wrapper

    def of(self, sql: SqlConnection, account: str) -> Totp | None:
        row = sql.one("SELECT sealed, last_step FROM page_totp WHERE account = ?", (account,))
        return (
            None if row is None else Totp(self._wrapper.unwrap(bytes(row[0]), _purpose(account)), int(row[1]))
        )

    def has(self, sql: SqlConnection, account: str) -> bool:
        return sql.one("SELECT 1 FROM page_totp WHERE account = ?", (account,)) is not None

    def put(self, sql: SqlConnection, account: str, secret: bytes, step: int, now: int) -> None:
        """In force from now on, its first code used."""
        sql.run("DELETE FROM page_totp WHERE account = ?", (account,))
        sql.run(
            "INSERT INTO page_totp (account, sealed, last_step, created) VALUES (?, ?, ?, ?)",
            (account, self._wrapper.wrap(secret, _purpose(account)), step, now),
        )

    def use(self, sql: SqlConnection, account: str, step: int) -> bool:
        """Mark a step as used; False when another request used it first."""
        statement = "UPDATE page_totp SET last_step = ? WHERE account = ? AND last_step < ?"
        return sql.run(statement, (step, account, step)) == 1

    def remove(self, sql: SqlConnection, account: str) -> None:
        sql.run("DELETE FROM page_totp WHERE account = ?", (account,))


def _purpose(account: str) -> bytes:
    return f"totp/{account}".encode()
