"""Accounts: answered from memory, changed durably with their trace."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mail_server.accounts.changes import AccountError, Change, What
from mail_server.accounts.interface import Kind
from mail_server.accounts.known import now_ms
from mail_server.accounts.service import AccountService
from mail_server.accounts.settings import AccountsSettings
from mail_server.store.model import AccountId, SpecialUse
from policies.audit.trail import ChainedTrail
from policies.audit.verify import verify


async def test_an_account_is_found_by_its_address_in_any_case(house: Any) -> None:
    account = await house.accounts.add("Dr.Martin@CHU.mssante.fr", Kind.PER)
    assert account.address == "dr.martin@chu.mssante.fr"
    assert len(account.id) == 20
    assert set(account.id) <= set("abcdefghijklmnopqrstuvwxyz234567")
    assert house.accounts.by_address("DR.MARTIN@chu.MSSANTE.fr") == account
    assert house.accounts.by_id(account.id) == account
    assert house.accounts.by_address("other@chu.mssante.fr") is None


async def test_a_new_account_has_its_mailboxes_and_its_trace(house: Any) -> None:
    account = await house.accounts.add("dr@chu.mssante.fr", Kind.PER, by="console:root")
    inbox = await house.store.read(lambda reader: reader.mailbox_by_use(account.id, SpecialUse.INBOX))
    assert inbox.name == "INBOX"
    assert await house.traced() == [f"account-add {account.id}"]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("nobody", "bad-address"),
        ("@chu.mssante.fr", "bad-address"),
        ("a b@chu.mssante.fr", "bad-address"),
        ("a..b@chu.mssante.fr", "bad-address"),
        ('"a b"@chu.mssante.fr', "bad-address"),
        ("hélène@chu.mssante.fr", "bad-address"),
        ("a@chu.mssante.fr\n", "bad-address"),
        ("a" * 65 + "@chu.mssante.fr", "bad-address"),
        ("a@elsewhere.fr", "foreign-domain"),
        ("a@sub.chu.mssante.fr", "foreign-domain"),
        ("taken@chu.mssante.fr", "address-taken"),
        ("TAKEN@chu.mssante.fr", "address-taken"),
    ],
)
async def test_an_address_that_cannot_be_given_is_refused_with_its_reason(
    house: Any, address: str, reason: str
) -> None:
    await house.accounts.add("taken@chu.mssante.fr", Kind.PER)
    with pytest.raises(AccountError) as refused:
        await house.accounts.add(address, Kind.PER)
    assert refused.value.reason == reason
    assert len(house.accounts.all()) == 1


async def test_a_restart_finds_everything_again(house: Any) -> None:
    ward = await house.accounts.add("ward@chu.mssante.fr", Kind.ORG)
    martin = await house.person("martin@chu.mssante.fr")
    await house.accounts.member_add(ward.id, martin.id)
    await house.accounts.suspend(martin.id)
    again = AccountService(house.store, ChainedTrail("node"), AccountsSettings(domains=("chu.mssante.fr",)))
    await again.start()
    assert again.all() == house.accounts.all()
    assert again.app_passwords(martin.id) == house.accounts.app_passwords(martin.id)
    found = again.by_id(martin.id)
    assert found is not None
    assert found.suspended


async def test_members_read_the_shared_account_and_the_holder_their_own(house: Any) -> None:
    ward = await house.accounts.add("ward@chu.mssante.fr", Kind.ORG)
    one = await house.person("one@chu.mssante.fr")
    two = await house.person("two@chu.mssante.fr")
    await house.accounts.member_add(ward.id, two.id)
    await house.accounts.member_add(ward.id, one.id)
    assert [reader.address for reader in house.accounts.readers(ward.id)] == [one.address, two.address]
    assert [reader.id for reader in house.accounts.readers(one.id)] == [one.id]
    assert [shared.id for shared in house.accounts.shared_with(one.id)] == [ward.id]
    await house.accounts.member_remove(ward.id, one.id)
    assert house.accounts.shared_with(one.id) == []
    await house.accounts.suspend(two.id)
    assert house.accounts.readers(ward.id) == [], "who may not log in is not sealed to"
    assert house.accounts.readers(AccountId("unknown")) == []


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (lambda a, ward, per, app: a.member_add(per.id, per.id), "not-shared"),
        (lambda a, ward, per, app: a.member_add(ward.id, app.id), "not-a-person"),
        (lambda a, ward, per, app: a.member_add(ward.id, "nobody"), "unknown-account"),
        (lambda a, ward, per, app: a.member_remove(ward.id, per.id), "not-a-member"),
        (lambda a, ward, per, app: a.suspend("nobody"), "unknown-account"),
        (lambda a, ward, per, app: a.app_password_create(ward.id, "x"), "shared-account"),
        (lambda a, ward, per, app: a.bind_certificate(ward.id, b"x"), "shared-account"),
        (lambda a, ward, per, app: a.app_password_create(per.id, ""), "bad-label"),
        (lambda a, ward, per, app: a.app_password_create(per.id, "x", protocols=["ftp"]), "unknown-protocol"),
        (
            lambda a, ward, per, app: a.app_password_create(per.id, "x", protocols=["smtp"]),
            "unknown-protocol",
        ),
        (lambda a, ward, per, app: a.app_password_create(per.id, "x", secret="pencil"), "weak-password"),
        (lambda a, ward, per, app: a.app_password_revoke(per.id, "none"), "unknown-credential"),
        (lambda a, ward, per, app: a.unbind_certificate(per.id, "none"), "unknown-credential"),
        (lambda a, ward, per, app: a.bind_certificate(per.id, subject="CN=x", issuer="x"), "bad-name"),
    ],
)
async def test_what_makes_no_sense_is_refused_and_leaves_no_trace(house: Any, act: Any, reason: str) -> None:
    ward = await house.accounts.add("ward@chu.mssante.fr", Kind.ORG)
    person = await house.accounts.add("per@chu.mssante.fr", Kind.PER)
    robot = await house.accounts.add("app@chu.mssante.fr", Kind.APP)
    before = await house.traced()
    with pytest.raises(AccountError) as refused:
        await act(house.accounts, ward, person, robot)
    assert refused.value.reason == reason
    assert await house.traced() == before


async def test_who_must_act_on_a_change_is_called_at_once_and_one_that_fails_stops_nobody(house: Any) -> None:
    ward = await house.accounts.add("ward@chu.mssante.fr", Kind.ORG)
    martin = await house.person("martin@chu.mssante.fr")
    await house.accounts.member_add(ward.id, martin.id)
    seen: list[Change] = []

    def fails(change: Change) -> None:
        raise RuntimeError

    house.accounts.changed += [fails, seen.append]
    await house.accounts.member_remove(ward.id, martin.id)
    await house.accounts.suspend(martin.id)
    (password,) = house.accounts.app_passwords(martin.id)
    await house.accounts.app_password_revoke(martin.id, password.id)
    assert seen == [
        Change(What.MEMBER_REMOVED, ward.id, martin.id),
        Change(What.SUSPENDED, martin.id),
        Change(What.CREDENTIAL_REVOKED, martin.id, credential=password.id),
    ]


async def test_a_reload_announces_what_another_process_changed(house: Any) -> None:
    ward = await house.accounts.add("ward@chu.mssante.fr", Kind.ORG)
    martin = await house.person("martin@chu.mssante.fr")
    await house.accounts.member_add(ward.id, martin.id)
    other = AccountService(house.store, ChainedTrail("other"), AccountsSettings(domains=("chu.mssante.fr",)))
    await other.start()
    await other.member_remove(ward.id, martin.id)
    await other.suspend(martin.id)
    fresh = await other.add("new@chu.mssante.fr", Kind.PER)
    seen: list[Change] = []
    house.accounts.changed.append(seen.append)
    await house.accounts.reload()
    assert set(seen) == {
        Change(What.MEMBER_REMOVED, ward.id, martin.id),
        Change(What.SUSPENDED, martin.id),
        Change(What.ADDED, fresh.id),
    }
    assert house.accounts.by_address("new@chu.mssante.fr") == fresh


async def test_every_change_is_in_the_trace_and_the_chain_is_whole(house: Any) -> None:
    ward = await house.accounts.add("ward@chu.mssante.fr", Kind.CAB)
    martin = await house.person("martin@chu.mssante.fr")
    await house.accounts.member_add(ward.id, martin.id)
    await house.accounts.member_remove(ward.id, martin.id)
    await house.accounts.suspend(martin.id)
    await house.accounts.reinstate(martin.id)
    binding = await house.accounts.bind_certificate(martin.id, b"certificate")
    await house.accounts.unbind_certificate(martin.id, binding.id)
    actions = [line.split()[0] for line in await house.traced()]
    assert actions == [
        "account-add",
        "account-add",
        "password-add",
        "member-add",
        "member-remove",
        "account-suspend",
        "account-reinstate",
        "certificate-bind",
        "certificate-unbind",
    ]
    outcome = await house.store.read(lambda reader: verify(reader.sql, "node"))
    assert outcome.whole


# -- generated passwords ----------------------------------------------------------------------------------------


async def test_a_generated_password_has_140_bits_and_is_stored_nowhere(house: Any, tmp_path: Any) -> None:
    account = await house.accounts.add("dr@chu.mssante.fr", Kind.PER)
    new = await house.accounts.app_password_create(account.id, "Thunderbird")
    letters = new.secret.replace("-", "")
    assert len(letters) == 28
    assert set(letters) <= set("abcdefghijklmnopqrstuvwxyz234567")
    assert new.secret not in repr(new)
    (kept,) = house.accounts.app_passwords(account.id)
    assert (kept.label, kept.verifier.iterations, len(kept.verifier.salt)) == ("Thunderbird", 4096, 16)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert new.secret.encode() not in data
            assert letters.encode() not in data


async def test_all_passwords_of_an_account_share_a_salt_and_accounts_do_not(house: Any) -> None:
    one = await house.person("one@chu.mssante.fr")
    await house.accounts.app_password_create(one.id, "phone")
    two = await house.person("two@chu.mssante.fr")
    salts = {password.verifier.salt for password in house.accounts.app_passwords(one.id)}
    assert len(salts) == 1
    assert house.accounts.app_passwords(two.id)[0].verifier.salt not in salts


async def test_an_address_answers_with_the_same_salt_before_and_after_it_has_an_account(house: Any) -> None:
    before = house.accounts.salt_for("later@chu.mssante.fr")
    assert before == house.accounts.salt_for("LATER@chu.mssante.fr")
    account = await house.person("later@chu.mssante.fr")
    assert house.accounts.app_passwords(account.id)[0].verifier.salt == before


_NETWORK = "2001:db8:1:2::/64"


async def test_the_last_use_is_known_at_once_and_written_at_the_flush(house: Any) -> None:
    account = await house.person("dr@chu.mssante.fr")
    (password,) = house.accounts.app_passwords(account.id)
    house.accounts.used(password, 1_000, "2001:db8:1:2:3:4:5:6")
    assert (house.accounts.last_used(password), house.accounts.last_place(password)) == (1_000, _NETWORK)
    await house.accounts.flush()
    await house.accounts.reload()
    (kept,) = house.accounts.app_passwords(account.id)
    assert (kept.last_used, kept.last_place) == (1_000, _NETWORK)


async def test_a_password_ends_in_90_days_unless_said_otherwise(house: Any) -> None:
    account = await house.accounts.add("dr@chu.mssante.fr", Kind.PER)
    day = 86_400_000
    ends = now_ms() + 10 * day
    await house.accounts.app_password_create(account.id, "by itself")
    await house.accounts.app_password_create(
        account.id, "as told", expires=ends, network="192.0.2.0/24", made_by="page-1", protocols=["imap"]
    )
    by_label = {each.label: each for each in house.accounts.app_passwords(account.id)}
    default, told = by_label["by itself"], by_label["as told"]
    assert (default.expires or 0) - default.created == 90 * day
    assert (default.network, default.made_by) == ("", "node")
    assert (told.expires, told.network, told.made_by) == (ends, "192.0.2.0/24", "page-1")


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [
        ({"expires": 1}, "bad-expiry"),
        ({"expires": 99_999_999_999_999}, "bad-expiry"),
        ({"network": "192.0.2.7/24"}, "bad-network"),
        ({"network": "chez moi"}, "bad-network"),
    ],
)
async def test_bounds_that_make_no_sense_are_refused(house: Any, bounds: dict[str, Any], reason: str) -> None:
    account = await house.accounts.add("dr@chu.mssante.fr", Kind.PER)
    with pytest.raises(AccountError) as refused:
        await house.accounts.app_password_create(account.id, "x", **bounds)
    assert refused.value.reason == reason
    assert not house.accounts.app_passwords(account.id)


# -- certificates -----------------------------------------------------------------------------------------------


async def test_a_certificate_speaks_for_one_account(house: Any) -> None:
    one = await house.accounts.add("one@chu.mssante.fr", Kind.APP)
    two = await house.accounts.add("two@chu.mssante.fr", Kind.APP)
    binding = await house.accounts.bind_certificate(one.id, b"certificate")
    assert house.accounts.binding_of(b"certificate") == binding
    assert house.accounts.binding_of(b"another") is None
    with pytest.raises(AccountError) as refused:
        await house.accounts.bind_certificate(two.id, b"certificate")
    assert refused.value.reason == "certificate-bound"
    await house.accounts.unbind_certificate(one.id, binding.id)
    assert house.accounts.binding_of(b"certificate") is None


async def test_a_credential_is_held_until_it_is_revoked_or_expires(house: Any) -> None:
    martin = await house.accounts.add("martin@chu.mssante.fr", Kind.PER)
    kept = await house.accounts.app_password_create(martin.id, "phone")
    gone = await house.accounts.app_password_create(martin.id, "lost phone")
    late = await house.accounts.app_password_create(martin.id, "trainee", expires=now_ms() + 1000)
    bound = await house.accounts.bind_certificate(martin.id, subject="CN=a", issuer="CN=b")
    await house.accounts.app_password_revoke(martin.id, gone.id)
    await asyncio.sleep(1.05)

    def held() -> list[bool]:
        return [house.accounts.holds(martin.id, each.id) for each in (kept, gone, late, bound)]

    assert held() == [True, False, False, True]
    await house.accounts.unbind_certificate(martin.id, bound.id)
    assert held() == [True, False, False, False]
    assert not house.accounts.holds(AccountId("x" * 20), kept.id)
