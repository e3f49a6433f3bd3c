"""The national identifier of a professional, and the one account it names (reference/mssante.md, row 60)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.demo.identity.people import invented_national_id as invented
from mail_server.accounts import national_id
from mail_server.accounts.changes import AccountError, Change, What
from mail_server.accounts.interface import Kind
from mail_server.accounts.professionals import BY_PROVIDER
from tests.mail_server.accounts.conftest import House

KNOWN = "899700218896"  # of the national provider's own test people


@pytest.mark.parametrize("typed", [KNOWN, " 8 99700218896 ", "0420012345", "02A0012345", "02b0012345"])
def test_identifiers_that_are_right(typed: str) -> None:
    found = national_id.normal(typed)
    assert found == "".join(typed.split()).upper()


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "899700218897",
        "99700218896",
        "8997002188",
        "199700218896",
        "02C0012345",
        "8٩9700218896",
        "8" * 41,
        "8-99700218896",
    ],
)
def test_identifiers_that_are_none(typed: str) -> None:
    assert national_id.normal(typed) is None


@given(st.text(max_size=50))
def test_any_text_has_one_spelling_or_none(text: str) -> None:
    found = national_id.normal(text)
    assert found is None or national_id.normal(found) == found


@given(st.integers(0, 99_999))
def test_people_of_test_pass_the_check_and_belong_to_nobody(number: int) -> None:
    made = invented(number)
    assert national_id.normal(made) == made
    assert national_id.is_test(made)


async def test_an_identifier_names_its_account(house: House) -> None:
    account = await house.accounts.add("gp@chu.mssante.fr", Kind.PER)
    told: list[Change] = []
    house.accounts.changed.append(told.append)
    await house.accounts.bind_national_id(account.id, f" {KNOWN} ", "console:test")
    found = house.accounts.by_national_id(KNOWN)
    assert found is not None
    assert found.id == account.id
    ended = Change(What.CREDENTIAL_REVOKED, account.id, credential=BY_PROVIDER)
    assert told == [Change(What.CHANGED, account.id), ended]
    await house.accounts.bind_national_id(account.id, "", "console:test")
    assert house.accounts.by_national_id(KNOWN) is None


async def test_it_names_one_account_alone(house: House) -> None:
    first, second = [await house.accounts.add(f"{name}@chu.mssante.fr", Kind.PER) for name in ("a", "b")]
    await house.accounts.bind_national_id(first.id, KNOWN)
    with pytest.raises(AccountError, match="national-id-taken"):
        await house.accounts.bind_national_id(second.id, KNOWN)
    await house.accounts.close(first.id)
    assert house.accounts.by_national_id(KNOWN) is None
    await house.accounts.bind_national_id(second.id, KNOWN)
    found = house.accounts.by_national_id(KNOWN)
    assert found is not None
    assert found.id == second.id


async def test_only_people_have_one_and_only_a_right_one(house: House) -> None:
    person = await house.accounts.add("gp@chu.mssante.fr", Kind.PER)
    ward = await house.accounts.add("service@chu.mssante.fr", Kind.ORG)
    with pytest.raises(AccountError, match="not-a-person"):
        await house.accounts.bind_national_id(ward.id, KNOWN)
    with pytest.raises(AccountError, match="bad-national-id"):
        await house.accounts.bind_national_id(person.id, "899700218897")
    assert house.accounts.by_national_id("") is None


async def test_it_is_known_after_a_restart(house: House) -> None:
    account = await house.accounts.add("gp@chu.mssante.fr", Kind.PER)
    await house.accounts.bind_national_id(account.id, KNOWN)
    await house.accounts.reload()
    found = house.accounts.by_national_id(KNOWN)
    assert found is not None
    assert found.id == account.id
