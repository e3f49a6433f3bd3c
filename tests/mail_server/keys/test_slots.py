"""Slots and wrapped keys, as they lie and as they are read."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from mail_server.keys import tables
from mail_server.keys.interface import KeyUnavailable
from mail_server.keys.slots import (
    AccountKey,
    KeyState,
    Passkey,
    Slot,
    SlotKind,
    Slots,
    Stretching,
)
from mail_server.keys.wrapper import AesKeyWrapper


class Connection:
    """`SqlConnection` over sqlite3."""

    dialect = "sqlite"

    def __init__(self, path: Any) -> None:
        engine = sa.create_engine(f"sqlite:///{path}")
        tables.metadata.create_all(engine)
        engine.dispose()
        self.db = sqlite3.connect(path)

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        return self.db.execute(statement, parameters).rowcount

    def one(self, statement: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        return self.db.execute(statement, parameters).fetchone()

    def all(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self.db.execute(statement, parameters).fetchall()


@pytest.fixture
def sql(tmp_path: Any) -> Connection:
    return Connection(tmp_path / "slots.db")


@pytest.fixture
def slots() -> Slots:
    return Slots(AesKeyWrapper(secrets.token_bytes(32)))


def password(generation: int = 1, **more: Any) -> Slot:
    return Slot(
        "a1",
        "account",
        generation,
        SlotKind.PASSWORD,
        10,
        wrapped=b"wrapped account key",
        verifier=b"what the server compares",
        stretching=Stretching(b"0123456789abcdef", 65536, 3, 1),
        **more,
    )


def recovery(generation: int, key: str) -> Slot:
    return Slot(key, "account", generation, SlotKind.RECOVERY, 10, wrapped=b"w", verifier=b"v")


def test_a_slot_is_read_as_it_was_put(sql: Connection, slots: Slots) -> None:
    slots.put(sql, password())
    assert slots.of_kind(sql, "account", 1, SlotKind.PASSWORD) == password()


def test_nothing_of_a_slot_lies_in_clear(sql: Connection, slots: Slots) -> None:
    slots.put(sql, password(label="Tablette"))
    slots.put_key(sql, "account", AccountKey("F" * 40, 1, 10, b"public", b"wrapped secret"))
    stored = repr(sql.all("SELECT * FROM key_slot")) + repr(sql.all("SELECT * FROM account_key"))
    for secret in ("wrapped account key", "what the server compares", "0123456789abcdef", "Tablette"):
        assert secret not in stored
    assert "wrapped secret" not in stored


def test_a_slot_shows_no_secret_by_repr() -> None:
    shown = repr(password()) + repr(AccountKey("F" * 40, 1, 10, b"public", b"wrapped secret"))
    assert "wrapped account key" not in shown
    assert "compares" not in shown
    assert "wrapped secret" not in shown


def test_a_slot_moved_to_another_account_does_not_open(sql: Connection, slots: Slots) -> None:
    slots.put(sql, password())
    sql.run("UPDATE key_slot SET account = 'thief'")
    with pytest.raises(KeyUnavailable):
        slots.of_kind(sql, "thief", 1, SlotKind.PASSWORD)


def test_a_slot_of_an_older_generation_cannot_be_made_current(sql: Connection, slots: Slots) -> None:
    slots.put(sql, password())
    sql.run("UPDATE key_slot SET generation = 2")
    with pytest.raises(KeyUnavailable):
        slots.all(sql, "account", 2)


def test_another_kek_opens_nothing(sql: Connection, slots: Slots) -> None:
    slots.put(sql, password())
    with pytest.raises(KeyUnavailable):
        Slots(AesKeyWrapper(secrets.token_bytes(32))).all(sql, "account", 1)


def test_replacing_a_password_leaves_one(sql: Connection, slots: Slots) -> None:
    slots.put(sql, password())
    slots.replace(sql, replace(password(), id="a2", verifier=b"new"))
    assert [(one.id, one.verifier) for one in slots.all(sql, "account", 1)] == [("a2", b"new")]


def test_a_passkey_is_found_by_its_mark_and_keeps_its_counter(sql: Connection, slots: Slots) -> None:
    passkey = Passkey(b"credential", b"public key", 3, prf=True)
    slot = Slot("p1", "account", 1, SlotKind.PASSKEY, 10, passkey=passkey)
    slots.put(sql, slot, b"mark")
    found = slots.by_credential(sql, b"mark")
    assert found is not None
    assert found.passkey == passkey
    slots.used(sql, replace(found, passkey=replace(passkey, sign_count=4)), 20)
    again = slots.by_credential(sql, b"mark")
    assert again is not None
    assert again.passkey is not None
    assert (again.passkey.sign_count, again.last_used) == (4, 20)


def test_superseding_keeps_the_recovery_slots_of_older_generations_alone(
    sql: Connection, slots: Slots
) -> None:
    slots.put(sql, password())
    slots.put(sql, recovery(1, "r1"))
    slots.put(sql, replace(password(2), id="a2"))
    slots.put(sql, recovery(2, "r2"))
    slots.supersede(sql, "account", 2)
    assert [one.id for one in slots.all(sql, "account", 1)] == ["r1"]
    assert [one.id for one in slots.all(sql, "account", 2)] == ["a2", "r2"]
    assert slots.recovery_of(sql, "account", [1, 2, 3]).keys() == {1, 2}


def test_forgetting_a_generation_takes_its_keys_too(sql: Connection, slots: Slots) -> None:
    slots.put(sql, password(2))
    slots.put_key(sql, "account", AccountKey("A" * 40, 1, 10, b"c", b"s"))
    slots.put_key(sql, "account", AccountKey("B" * 40, 2, 10, b"c", b"s"))
    slots.forget(sql, "account", 2)
    assert slots.all(sql, "account", 2) == []
    assert [one.fingerprint for one in slots.keys(sql, "account")] == ["A" * 40]


def test_a_key_wrapped_anew_takes_the_place_of_itself(sql: Connection, slots: Slots) -> None:
    slots.put_key(sql, "account", AccountKey("A" * 40, 1, 10, b"c", b"old"))
    slots.put_key(sql, "account", AccountKey("A" * 40, 2, 10, b"c", b"new"))
    assert [(one.generation, one.wrapped_secret) for one in slots.keys(sql, "account")] == [(2, b"new")]


def test_an_account_that_never_enrolled_has_no_generation(sql: Connection, slots: Slots) -> None:
    assert slots.state(sql, "account") == KeyState()
    assert KeyState(2, 3).next == 4


def test_the_state_is_kept(sql: Connection, slots: Slots) -> None:
    slots.set_state(sql, "account", KeyState(1, 2, "F" * 40, 7))
    slots.set_state(sql, "account", KeyState(2, 0, "", 7))
    assert slots.state(sql, "account") == KeyState(2, 0, "", 7)


def test_a_certificate_alone_has_no_secret(sql: Connection, slots: Slots) -> None:
    slots.put_key(sql, "account", AccountKey("A" * 40, 1, 10, b"c"))
    assert slots.keys(sql, "account")[0].wrapped_secret is None
