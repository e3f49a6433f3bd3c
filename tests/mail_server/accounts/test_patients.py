"""A patient's account: known by a number, named by nothing that tells it."""

from __future__ import annotations

import hashlib
import logging
import secrets
from pathlib import Path
from typing import Any

import pytest

from mail_server.accounts import ins
from mail_server.accounts.addresses import may_be_told
from mail_server.accounts.authenticator import PasswordAuthenticator
from mail_server.accounts.changes import AccountError, Change, What
from mail_server.accounts.interface import Kind, Peer
from mail_server.accounts.patients import IdentityRefused, PatientIdentity
from mail_server.accounts.service import AccountService
from mail_server.accounts.settings import AccountsSettings
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.store.interface import Store
from policies.audit.trail import ChainedTrail
from policies.decisions import CedarDecisions
from policies.interface import Event
from policies.refusal import Refusal

BODY = "2850513055001"
NUMBER = BODY + ins.key_of(BODY)
SETTINGS = AccountsSettings(domains=("chu.mssante.fr",))
ALIAS = f"{NUMBER}@patient.chu.mssante.fr"
KEK = secrets.token_bytes(32)
CANARIES = (NUMBER, BODY, "Vasarely-Moreau", "Apolline", "1985-05-17")


def identity(number: str = NUMBER, **other: Any) -> PatientIdentity:
    traits = {
        "birth_name": "Vasarely-Moreau",
        "given_names": ("Apolline", "Rose"),
        "birth_date": "1985-05-17",
        "sex": "F",
        "birth_place": "13055",
    }
    return PatientIdentity(number, **(traits | other))


def service(store: Store, kek: bytes = KEK, chain: str = "node") -> AccountService:
    return AccountService(store, ChainedTrail(chain), SETTINGS, keys=AesKeyWrapper(kek))


@pytest.fixture
async def accounts(store: Store) -> AccountService:
    opened = service(store)
    await opened.start()
    return opened


async def activate(accounts: AccountService, account: Any) -> None:
    await accounts._store.write(lambda tx: accounts.mark_activated(tx, account.id))
    accounts.note_activated(account.id)


async def test_a_space_has_an_address_that_tells_nothing_and_one_that_correspondents_use(
    accounts: AccountService,
) -> None:
    account = await accounts.patient_add(identity(), by="console:root")
    assert account.kind is Kind.PATIENT
    assert account.address == f"{account.id}@patient.chu.mssante.fr"
    assert account.alias == account.shown == ALIAS
    assert not account.activated
    assert NUMBER not in repr(account)


async def test_it_is_found_by_either_address_in_any_case_and_by_the_number_with_its_key_or_without(
    accounts: AccountService,
) -> None:
    corsican = "185052A004123"
    account = await accounts.patient_add(identity(corsican))
    number = corsican + ins.key_of(corsican)
    for address in (account.address, account.address.upper(), account.alias, account.alias.upper()):
        assert accounts.by_address(address) == account
    for typed in (
        corsican,
        number,
        number.lower(),
        "1 85 05 2A 004 123",
        account.alias,
        f" {account.alias} ",
    ):
        assert accounts.by_ins(typed) == account
    for typed in ("", NUMBER, number[:-1] + "0", f"{number}@chu.mssante.fr", account.address):
        assert accounts.by_ins(typed) is None


async def test_the_patients_domain_is_one_of_the_node_s(accounts: AccountService) -> None:
    assert accounts.is_local_domain("Patient.CHU.mssante.fr")
    assert accounts.patient_domain == "patient.chu.mssante.fr"
    assert not accounts.is_local_domain("patient.elsewhere.fr")


async def test_one_number_has_one_space(accounts: AccountService) -> None:
    await accounts.patient_add(identity())
    with pytest.raises(AccountError, match="patient-known"):
        await accounts.patient_add(identity(BODY, birth_name="Autre"))
    assert len(accounts.all()) == 1


async def test_two_nodes_that_add_the_same_patient_make_one_space(store: Store) -> None:
    one, other = service(store), service(store, chain="other")
    await one.start()
    await other.start()
    await one.patient_add(identity())
    with pytest.raises(AccountError, match="patient-known"):
        await other.patient_add(identity())
    await other.reload()
    assert other.all() == one.all()


async def test_the_identity_comes_back_as_it_was_given(accounts: AccountService, store: Store) -> None:
    account = await accounts.patient_add(identity())
    found = accounts.patient_identity(account.id)
    assert found == identity()
    assert (found.first_name, found.last_five) == ("Apolline", NUMBER[-5:])
    again = service(store)
    await again.start()
    assert again.patient_identity(account.id) == identity()
    assert again.all() == accounts.all()


async def test_the_identity_of_somebody_else_is_not_a_patient_s(accounts: AccountService) -> None:
    doctor = await accounts.add("dr@chu.mssante.fr", Kind.PER)
    with pytest.raises(AccountError, match="not-a-patient"):
        accounts.patient_identity(doctor.id)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"number": NUMBER[:-1] + "0"}, "ins-key"),
        ({"number": "12"}, "ins-length"),
        ({"oid": "1.2.3"}, "ins-range"),
        ({"oid": "1.2.250.1.213.1.4.10"}, "ins-range"),
        ({"birth_name": " "}, "bad-name"),
        ({"given_names": ()}, "bad-name"),
        ({"given_names": ("A\nB",)}, "bad-name"),
        ({"birth_date": "17/05/1985"}, "bad-birth-date"),
        ({"birth_date": "1985-02-30"}, "bad-birth-date"),
        ({"birth_date": "2985-02-20"}, "bad-birth-date"),
        ({"birth_date": "19850517"}, "bad-birth-date"),
        ({"sex": "X"}, "bad-sex"),
        ({"birth_place": "Marseille"}, "bad-birth-place"),
    ],
)
async def test_an_identity_that_is_not_qualified_gets_no_space(
    accounts: AccountService, wrong: dict[str, Any], reason: str
) -> None:
    with pytest.raises(IdentityRefused) as refused:
        await accounts.patient_add(identity(**wrong))
    assert refused.value.reason == reason
    assert refused.value.fr
    assert refused.value.en
    assert accounts.all() == []


async def test_numbers_of_the_test_ranges_are_taken_only_where_the_node_says_so(store: Store) -> None:
    settings = AccountsSettings(domains=("chu.mssante.fr",), test_patients=True)
    testing = AccountService(store, ChainedTrail("node"), settings, keys=AesKeyWrapper(KEK))
    await testing.start()
    made = await testing.patient_add(identity(oid="1.2.250.1.213.1.4.10"))
    assert testing.patient_identity(made.id).oid == "1.2.250.1.213.1.4.10"


async def test_a_patient_has_no_password_no_certificate_and_no_members(accounts: AccountService) -> None:
    account = await accounts.patient_add(identity())
    for act in (
        accounts.app_password_create(account.id, "Thunderbird"),
        accounts.app_password_create(account.id, "page", protocols=["jmap"]),
        accounts.bind_certificate(account.id, b"certificate"),
    ):
        with pytest.raises(AccountError, match="patient-account"):
            await act
    with pytest.raises(AccountError, match="not-shared"):
        await accounts.member_add(account.id, account.id)


@pytest.mark.parametrize(
    ("address", "kind"),
    [("someone@chu.mssante.fr", Kind.PATIENT), ("dr@patient.chu.mssante.fr", Kind.PER)],
)
async def test_no_patient_is_added_without_identity_and_nobody_else_in_their_domain(
    accounts: AccountService, address: str, kind: Kind
) -> None:
    with pytest.raises(AccountError, match="needs-identity"):
        await accounts.add(address, kind)


async def test_patients_need_a_domain_of_their_own() -> None:
    with pytest.raises(ValueError, match="a domain of their own"):
        AccountsSettings(domains=("a.fr", "b.fr"), patient_domain="B.fr")
    assert AccountsSettings(domains=("A.fr",)).patient_domain == "patient.a.fr"
    assert AccountsSettings(domains=("a.fr",), patient_domain="Usagers.fr").patient_domain == "usagers.fr"


# -- activation -----------------------------------------------------------------------------------------------


async def test_an_activation_shows_after_its_commit_and_is_told(
    accounts: AccountService, store: Store
) -> None:
    told: list[Change] = []
    account = await accounts.patient_add(identity())
    accounts.changed.append(told.append)
    await store.write(lambda tx: accounts.mark_activated(tx, account.id))
    before = accounts.by_id(account.id)
    assert before is not None
    assert not before.activated
    accounts.note_activated(account.id)
    accounts.note_activated(account.id)
    after = accounts.by_id(account.id)
    assert after is not None
    assert after.activated
    assert told == [Change(What.ACTIVATED, account.id)]
    assert accounts.by_address(ALIAS) == after
    [row] = await store.read(
        lambda reader: reader.sql.all("SELECT subject FROM audit_entry WHERE action = 'space-activated'")
    )
    assert row == (account.id,)


async def test_an_activation_that_is_rolled_back_leaves_nothing(
    accounts: AccountService, store: Store
) -> None:
    account = await accounts.patient_add(identity())

    def fails(tx: Any) -> None:
        accounts.mark_activated(tx, account.id)
        raise AccountError("no", "no")

    with pytest.raises(AccountError):
        await store.write(fails)
    await accounts.reload()
    found = accounts.by_id(account.id)
    assert found is not None
    assert not found.activated


async def test_another_node_hears_of_an_activation_when_it_reads_again(store: Store) -> None:
    one, other = service(store), service(store, chain="other")
    await one.start()
    account = await one.patient_add(identity())
    await other.start()
    told: list[Change] = []
    other.changed.append(told.append)
    await activate(one, account)
    await other.reload()
    assert told == [Change(What.ACTIVATED, account.id)]


async def test_only_a_patient_is_activated(accounts: AccountService, store: Store) -> None:
    doctor = await accounts.add("dr@chu.mssante.fr", Kind.PER)
    assert doctor.activated
    with pytest.raises(AccountError, match="not-a-patient"):
        await store.write(lambda tx: accounts.mark_activated(tx, doctor.id))


# -- sessions of the page -------------------------------------------------------------------------------------


async def test_a_session_of_the_page_holds_as_long_as_who_keeps_it_says(accounts: AccountService) -> None:
    account = await accounts.patient_add(identity())
    alive = {(account.id, "session-1")}
    assert not accounts.holds(account.id, "session-1")
    accounts.sessions_hold = lambda who, session: (who, session) in alive
    assert accounts.holds(account.id, "session-1")
    assert not accounts.holds(account.id, "session-2")
    alive.clear()
    assert not accounts.holds(account.id, "session-1")


# -- what is not told -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True)
async def test_the_tables_hold_no_number_and_no_trait(accounts: AccountService, store: Store) -> None:
    account = await accounts.patient_add(identity())
    await activate(accounts, account)
    rows = await store.read(
        lambda reader: [
            row
            for table in ("account", "patient", "patient_secret", "audit_entry")
            for row in reader.sql.all(f"SELECT * FROM {table}")
        ]
    )
    text = "\n".join(
        bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)
        for row in rows
        for value in row
    )
    assert account.id in text
    assert [canary for canary in CANARIES if canary in text] == []


async def test_no_file_of_the_store_holds_a_number_or_a_trait(
    accounts: AccountService, store: Store, tmp_path: Path
) -> None:
    await accounts.patient_add(identity())
    content = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert len(content) > 10_000
    assert [canary for canary in CANARIES if canary.encode() in content] == []


async def test_the_look_up_of_a_number_differs_from_node_to_node_and_needs_its_key(
    accounts: AccountService,
) -> None:
    await accounts.patient_add(identity())
    vault = accounts._vault
    assert vault is not None
    mark = vault.ins_hmac(NUMBER)
    assert mark != hashlib.sha256(NUMBER.encode()).digest()
    assert mark != type(vault)(AesKeyWrapper(KEK), secrets.token_bytes(32)).ins_hmac(NUMBER)


async def test_a_row_that_does_not_open_is_nobody_s_and_the_others_go_on(
    accounts: AccountService, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = await accounts.patient_add(identity())
    whole = await accounts.patient_add(identity("185052A004123"))
    await store.write(
        lambda tx: tx.sql.run("UPDATE patient SET number = ? WHERE account = ?", (b"x" * 60, damaged.id))
    )
    again = service(store)
    await again.start()
    assert again.by_address(ALIAS) is None
    assert again.by_address(whole.alias) == whole
    assert damaged.id in caplog.text
    assert NUMBER not in caplog.text


async def test_a_number_moved_to_another_account_does_not_open_there(
    accounts: AccountService, store: Store
) -> None:
    one = await accounts.patient_add(identity())
    other = await accounts.patient_add(identity("185052A004123"))

    def swap(tx: Any) -> None:
        [(number, traits)] = tx.sql.all("SELECT number, traits FROM patient WHERE account = ?", (one.id,))
        tx.sql.run("UPDATE patient SET number = ?, traits = ? WHERE account = ?", (number, traits, other.id))

    await store.write(swap)
    again = service(store)
    await again.start()
    assert again.by_address(ALIAS) == one
    with pytest.raises(AccountError, match="identity-unreadable"):
        again.patient_identity(other.id)


async def test_without_the_keys_patients_have_no_alias_and_none_is_added(
    accounts: AccountService, store: Store
) -> None:
    account = await accounts.patient_add(identity())
    blind = AccountService(store, ChainedTrail("node"), SETTINGS)
    await blind.start()
    found = blind.by_id(account.id)
    assert found is not None
    assert found.alias == ""
    with pytest.raises(AccountError, match="no-keys"):
        await blind.patient_add(identity("185052A004123"))


TYPED = [
    ALIAS,
    NUMBER,
    f"{BODY}@patient.chu.mssante.fr",
    f"{NUMBER[:-1]}0@patient.chu.mssante.fr",
    f"{NUMBER}@chu.mssante.fr",
    f"{NUMBER}@pateint.chu.mssante.fr",
    f"{NUMBER[1:]}@chu.mssante.fr",
    f"x.{NUMBER}@elsewhere.fr",
    f"{'.'.join(NUMBER)}@chu.mssante.fr",
    "apolline.vasarely@patient.chu.mssante.fr",
    "apolline.vasarely@patient.mssante.fr",
]


@pytest.mark.parametrize("typed", TYPED)
def test_an_address_that_may_be_a_patient_s_is_never_told(typed: str) -> None:
    assert not may_be_told(typed, SETTINGS.patient_domain)


@pytest.mark.parametrize("typed", ["dr.martin@chu.mssante.fr", "labo2024@ailleurs.fr", "a1b2c3@x.fr"])
def test_a_professional_s_may_be(typed: str) -> None:
    assert may_be_told(typed, SETTINGS.patient_domain)


@pytest.mark.parametrize("typed", TYPED)
@pytest.mark.parametrize("known", [True, False])
async def test_a_login_with_a_patient_s_address_fails_and_tells_it_nowhere(
    accounts: AccountService, caplog: pytest.LogCaptureFixture, typed: str, known: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    if known:
        await accounts.patient_add(identity())
    events: list[Event] = []

    async def sleep(_: float) -> None:
        """Not here."""

    authenticator = PasswordAuthenticator(
        accounts, CedarDecisions.load(), events.extend, SETTINGS, sleep=sleep
    )
    with pytest.raises(Refusal) as refused:
        await authenticator.login(typed, "secret", Peer("192.0.2.7", 4000, "imap", "s1", tls=True))
    [event] = events
    assert event.action == "login-failed"
    told = f"{event} {caplog.text} {refused.value!r} {refused.value.smtp_line}".lower()
    assert not any(digits in told for digits in (NUMBER[1:-1], "vasarely", ".".join(NUMBER)))
    assert ("address" in event.detail) is False


async def test_a_reading_that_began_before_an_activation_does_not_undo_it(
    accounts: AccountService, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await accounts.patient_add(identity())
    late = await store.read(accounts._read_all)
    await activate(accounts, account)

    async def read(_: Any) -> Any:
        return late

    monkeypatch.setattr(store, "read", read)
    await accounts.reload()
    found = accounts.by_id(account.id)
    assert found is not None
    assert found.activated
