"""The statements of accounts and of the trace say the same on SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest

from mail_server.accounts.changes import AccountError
from mail_server.accounts.interface import Identity, Kind, Peer
from mail_server.accounts.known import now_ms
from mail_server.accounts.service import AccountService
from mail_server.accounts.settings import AccountsSettings
from mail_server.store.interface import Store, Transaction
from policies.audit.query import Filter, count, find
from policies.audit.trail import ChainedTrail
from policies.audit.verify import verify
from policies.interface import Event

pytestmark = pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True)


def events(action: str, number: int = 1) -> list[Event]:
    return [Event(action, 1_700_000_000_000, "node", detail={"size": "3"})] * number


async def test_an_account_lives(house: Any, peer: Peer) -> None:
    ward = await house.accounts.add("ward@chu.mssante.fr", Kind.ORG)
    ends = now_ms() + 1_000_000_000
    martin = await house.person("martin@chu.mssante.fr", protocols=["imap", "submission"], expires=ends)
    await house.accounts.member_add(ward.id, martin.id)
    await house.accounts.member_add(ward.id, martin.id)
    binding = await house.accounts.bind_certificate(martin.id, b"certificate")
    await house.accounts.suspend(martin.id)
    await house.accounts.reinstate(martin.id)
    secret = house.passwords[martin.address]
    assert isinstance(await house.authenticator.login(martin.address, secret, peer), Identity)
    await house.accounts.flush()
    with pytest.raises(AccountError):
        await house.accounts.add("Martin@chu.mssante.fr", Kind.PER)

    again = AccountService(house.store, ChainedTrail("node"), AccountsSettings(domains=("chu.mssante.fr",)))
    await again.start()
    assert again.all() == house.accounts.all()
    assert again.bindings(martin.id) == (binding,)
    (password,) = again.app_passwords(martin.id)
    assert password.last_used is not None
    assert password.verifier == house.accounts.app_passwords(martin.id)[0].verifier
    assert (password.expires, password.protocols) == (ends, {"imap", "submission"})
    await again.app_password_revoke(martin.id, password.id)
    await again.unbind_certificate(martin.id, binding.id)
    await again.member_remove(ward.id, martin.id)
    await house.accounts.reload()
    assert house.accounts.all() == again.all()
    outcome = await house.store.read(lambda reader: verify(reader.sql, "node"))
    assert (outcome.whole, outcome.entries) == (True, 11)


async def test_a_failed_act_leaves_no_gap_in_the_trace(store: Store) -> None:
    trail = ChainedTrail("node")

    def fails(tx: Transaction) -> None:
        trail.append(tx.sql, events("lost", 20))
        raise AccountError("no", "No.")

    await store.write(lambda tx: trail.append(tx.sql, events("first", 3)))
    with pytest.raises(AccountError):
        await store.write(fails)
    await store.write(lambda tx: trail.append(tx.sql, events("last", 20)))
    outcome = await store.read(lambda reader: verify(reader.sql, "node"))
    assert (outcome.whole, outcome.entries) == (True, 23)
    assert await store.read(lambda reader: count(reader.sql, Filter(action="lost"))) == 0
    found = await store.read(lambda reader: find(reader.sql, Filter(action="last", since=1, last=2)))
    assert [entry.seq for entry in found] == [22, 23]
    assert found[0].details == {"size": "3"}


async def test_a_change_by_hand_is_found(store: Store) -> None:
    trail = ChainedTrail("node")
    await store.write(lambda tx: trail.append(tx.sql, events("deliver", 5)))
    await store.write(lambda tx: tx.sql.run("UPDATE audit_entry SET actor = ? WHERE seq = ?", ("other", 4)))
    outcome = await store.read(lambda reader: verify(reader.sql, "node"))
    assert [(each.seq, each.reason) for each in outcome.breaks] == [(4, "altered")]
