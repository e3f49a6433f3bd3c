"""Slots: the ways into an account, each of which wraps the account key once, like LUKS (DESIGN §4).

The account key is made in the browser and never comes here in clear; it wraps the OpenPGP secret keys. A new
enrolment of somebody who lost every way in makes a new *generation*: new account key, new slots. What the one
before had wrapped stays, with its recovery slot: a sheet that turns up later opens the older letters.

Invariants: all that opens, and every parameter, lies under the KEK, bound to its account and place; only slots of
the current generation log in; nothing of a slot is shown by repr. The functions run inside the caller's transaction.
"""

from __future__ import annotations

import base64
import enum
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from mail_server.keys.interface import KeyUnavailable, KeyWrapper
from policies.interface import SqlConnection


class SlotKind(enum.StrEnum):
    PASSWORD = "password"  # noqa: S105 - a kind, not a password
    PASSKEY = "passkey"
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True)
class Stretching:
    """How the browser makes a key of a password: Argon2id and its cost."""

    salt: bytes = field(repr=False)
    memory: int = 65536  # KiB
    passes: int = 3
    lanes: int = 1


@dataclass(frozen=True, slots=True)
class Passkey:
    """A WebAuthn credential; `prf`: it also opens, not only logs in."""

    credential: bytes = field(repr=False)
    public_key: bytes = field(repr=False)
    sign_count: int = 0
    prf: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    id: str
    account: str
    generation: int
    kind: SlotKind
    created: int
    last_used: int | None = None
    label: str = ""
    wrapped: bytes | None = field(default=None, repr=False)  # the account key; None: logs in, opens nothing
    verifier: bytes = field(default=b"", repr=False)  # password, recovery: see webmail.login.verifiers
    stretching: Stretching | None = None
    passkey: Passkey | None = None


@dataclass(frozen=True, slots=True)
class AccountKey:
    fingerprint: str  # 40 upper-case hex digits
    generation: int
    created: int
    certificate: bytes = field(repr=False)
    wrapped_secret: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class KeyState:
    """Where an account stands. `generation` 0: never enrolled on the page."""

    generation: int = 0
    pending: int = 0
    pending_fingerprint: str = ""
    waiting: int = 0

    @property
    def next(self) -> int:
        return max(self.generation, self.pending) + 1


_SLOT = "SELECT id, account, generation, kind, created, last_used, sealed FROM key_slot"
_KEY = "SELECT fingerprint, generation, created, certificate, sealed FROM account_key"


class Slots:
    """Reads and writes slots and wrapped keys; one for the node."""

    def __init__(self, wrapper: KeyWrapper) -> None:
        self._wrapper = wrapper

    # -- slots

    def all(self, sql: SqlConnection, account: str, generation: int) -> list[Slot]:
        """The slots of one generation: password, passkeys in the order they were made, recovery."""
        rows = sql.all(f"{_SLOT} WHERE account = ? AND generation = ?", (account, generation))
        return sorted((self._slot(row) for row in rows), key=_order)

    def of_kind(self, sql: SqlConnection, account: str, generation: int, kind: SlotKind) -> Slot | None:
        """The one slot of a kind that stands once: password, recovery."""
        row = sql.one(
            f"{_SLOT} WHERE account = ? AND generation = ? AND kind = ?", (account, generation, kind.value)
        )
        return None if row is None else self._slot(row)

    def by_credential(self, sql: SqlConnection, credential: bytes) -> Slot | None:
        """A passkey's slot by the HMAC of its credential id."""
        row = sql.one(f"{_SLOT} WHERE credential = ?", (credential,))
        return None if row is None else self._slot(row)

    def put(self, sql: SqlConnection, slot: Slot, credential: bytes | None = None) -> None:
        sql.run(
            "INSERT INTO key_slot (id, account, generation, kind, credential, created, last_used, sealed)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                slot.id,
                slot.account,
                slot.generation,
                slot.kind.value,
                credential,
                slot.created,
                slot.last_used,
                self.sealed(slot),
            ),
        )

    def replace(self, sql: SqlConnection, slot: Slot) -> None:
        """Put a slot in place of the one of its kind (password, recovery) in its generation."""
        sql.run(
            "DELETE FROM key_slot WHERE account = ? AND generation = ? AND kind = ?",
            (slot.account, slot.generation, slot.kind.value),
        )
        self.put(sql, slot)

    def used(self, sql: SqlConnection, slot: Slot, at: int) -> None:
        """Note a use; a passkey's counter comes with the slot."""
        if slot.passkey is not None:
            sql.run(
                "UPDATE key_slot SET last_used = ?, sealed = ? WHERE id = ?", (at, self.sealed(slot), slot.id)
            )
        else:
            sql.run("UPDATE key_slot SET last_used = ? WHERE id = ?", (at, slot.id))

    def remove(self, sql: SqlConnection, account: str, slot: str) -> bool:
        return sql.run("DELETE FROM key_slot WHERE id = ? AND account = ?", (slot, account)) == 1

    # -- keys

    def keys(self, sql: SqlConnection, account: str) -> list[AccountKey]:
        """Every key the account had, oldest first."""
        rows = sql.all(f"{_KEY} WHERE account = ? ORDER BY generation, created, fingerprint", (account,))
        return [self._key(account, row) for row in rows]

    def put_key(self, sql: SqlConnection, account: str, key: AccountKey) -> None:
        """Take a key in; the same one again is wrapped anew."""
        sealed = None
        if key.wrapped_secret is not None:
            sealed = self._wrapper.wrap(key.wrapped_secret, _key_purpose(account, key.fingerprint))
        sql.run(
            "INSERT INTO account_key (account, fingerprint, generation, created, certificate, sealed)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (account, fingerprint) DO UPDATE SET"
            " generation = excluded.generation, certificate = excluded.certificate, sealed = excluded.sealed",
            (account, key.fingerprint, key.generation, key.created, key.certificate, sealed),
        )

    def remove_key(self, sql: SqlConnection, account: str, fingerprint: str) -> None:
        sql.run("DELETE FROM account_key WHERE account = ? AND fingerprint = ?", (account, fingerprint))

    # -- generations

    def state(self, sql: SqlConnection, account: str) -> KeyState:
        row = sql.one(
            "SELECT generation, pending, pending_fingerprint, waiting FROM key_state WHERE account = ?",
            (account,),
        )
        return KeyState() if row is None else KeyState(int(row[0]), int(row[1]), str(row[2]), int(row[3]))

    def set_state(self, sql: SqlConnection, account: str, state: KeyState) -> None:
        sql.run(
            "INSERT INTO key_state (account, generation, pending, pending_fingerprint, waiting)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT (account) DO UPDATE SET generation = excluded.generation,"
            " pending = excluded.pending, pending_fingerprint = excluded.pending_fingerprint,"
            " waiting = excluded.waiting",
            (account, state.generation, state.pending, state.pending_fingerprint, state.waiting),
        )

    def forget(self, sql: SqlConnection, account: str, generation: int) -> None:
        """A generation that never came to be: nothing was sealed to its key."""
        sql.run("DELETE FROM key_slot WHERE account = ? AND generation = ?", (account, generation))
        sql.run("DELETE FROM account_key WHERE account = ? AND generation = ?", (account, generation))

    def supersede(self, sql: SqlConnection, account: str, current: int) -> None:
        """Of older generations stays what opens older letters: wrapped secrets and the recovery slot."""
        sql.run(
            "DELETE FROM key_slot WHERE account = ? AND generation <> ? AND kind <> ?",
            (account, current, SlotKind.RECOVERY.value),
        )

    def recovery_of(self, sql: SqlConnection, account: str, generations: Sequence[int]) -> dict[int, Slot]:
        found: dict[int, Slot] = {}
        for generation in generations:
            slot = self.of_kind(sql, account, generation, SlotKind.RECOVERY)
            if slot is not None:
                found[generation] = slot
        return found

    # -- inside

    def sealed(self, slot: Slot) -> bytes:
        """A slot's contents under the KEK."""
        document: dict[str, Any] = {"label": slot.label, "verifier": _text(slot.verifier)}
        if slot.wrapped is not None:
            document["wrapped"] = _text(slot.wrapped)
        if slot.stretching is not None:
            how = slot.stretching
            document["stretching"] = [_text(how.salt), how.memory, how.passes, how.lanes]
        if slot.passkey is not None:
            key = slot.passkey
            document["passkey"] = [_text(key.credential), _text(key.public_key), key.sign_count, key.prf]
        return self._wrapper.wrap(json.dumps(document).encode(), _slot_purpose(slot))

    def opened(self, slot: Slot, sealed: bytes) -> Slot:
        """The slot with its contents. Raises KeyUnavailable."""
        clear = self._wrapper.unwrap(sealed, _slot_purpose(slot))
        try:
            found = cast(dict[str, Any], json.loads(clear))
            stretching = found.get("stretching")
            passkey = found.get("passkey")
            return Slot(
                slot.id,
                slot.account,
                slot.generation,
                slot.kind,
                slot.created,
                slot.last_used,
                found["label"],
                None if "wrapped" not in found else _bytes(found["wrapped"]),
                _bytes(found["verifier"]),
                None if stretching is None else Stretching(_bytes(stretching[0]), *stretching[1:]),
                None
                if passkey is None
                else Passkey(_bytes(passkey[0]), _bytes(passkey[1]), int(passkey[2]), bool(passkey[3])),
            )
        except (ValueError, KeyError, TypeError, IndexError):
            raise KeyUnavailable("a slot cannot be read") from None

    def _slot(self, row: Sequence[Any]) -> Slot:
        key, account, generation, kind, created, last_used, sealed = row
        outside = Slot(key, account, int(generation), SlotKind(kind), int(created), last_used)
        return self.opened(outside, bytes(sealed))

    def _key(self, account: str, row: Sequence[Any]) -> AccountKey:
        fingerprint, generation, created, certificate, sealed = row
        secret = None
        if sealed is not None:
            secret = self._wrapper.unwrap(bytes(sealed), _key_purpose(account, fingerprint))
        return AccountKey(fingerprint, int(generation), int(created), bytes(certificate), secret)


def _order(slot: Slot) -> tuple[int, int, str]:
    return list(SlotKind).index(slot.kind), slot.created, slot.id


def _slot_purpose(slot: Slot) -> bytes:
    return f"slot/{slot.account}/{slot.id}/{slot.kind.value}/{slot.generation}".encode()


def _key_purpose(account: str, fingerprint: str) -> bytes:
    return f"wrapped secret/{account}/{fingerprint}".encode()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)
