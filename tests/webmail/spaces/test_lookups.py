"""Whom one may write to, and how often one may ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from mail_server.accounts.interface import Kind
from mail_server.delivery.addressees import Addressee
from policies.refusal import Refusal
from tests.webmail.office import Nobody, Office, Refused, text


@dataclass(frozen=True)
class Correspondence:
    address: str
    open: bool
    last_at: int
    closed: frozenset[str] = frozenset()


class Somebody:
    async def addressee(self, speaker: Any, address: str) -> Addressee:
        if address.startswith("gp@"):
            return Addressee(address, "sealed", (b"certificate",))
        raise Refusal(550, "5.7.1", "This exchange has ended", "conversation-closed")


class Known:
    def of(self, reader: Any, account: Any) -> list[Correspondence]:
        return [Correspondence("gp@mss.essai.test", open=True, last_at=7)]


@pytest.fixture(autouse=True)
def addressees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Nobody, "addressee", Somebody.addressee)
    monkeypatch.setattr(Nobody, "of", Known.of)


async def refused(work: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await work
    return caught.value


async def test_each_address_is_answered_with_certificates_or_a_reason(office: Office) -> None:
    browser = await office.enrolled()
    asked = {"addresses": ["gp@mss.essai.test", "other@mss.essai.test"]}
    assert (await browser.post("certificates", asked))["addressees"] == [
        {
            "address": "gp@mss.essai.test",
            "guard": "sealed",
            "certificates": [text(b"certificate")],
            "patient": False,
        },
        {
            "address": "other@mss.essai.test",
            "error": "conversation-closed",
            "message": "This exchange has ended",
        },
    ]


async def test_correspondents_are_told(office: Office) -> None:
    browser = await office.enrolled()
    assert (await browser.get("correspondents"))["correspondents"] == [
        {
            "address": "gp@mss.essai.test",
            "open": True,
            "lastAt": 7,
            "closedThreads": [],
            "pharmacy": False,
        }
    ]


async def test_a_correspondent_that_is_a_pharmacy_is_told_so(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    pharmacy = await office.accounts.add("officine@mss.essai.test", Kind.ORG)
    await office.accounts.sector_set(pharmacy.id, "SA33")

    def of(self: object, reader: object, account: object) -> list[Correspondence]:
        return [Correspondence("officine@mss.essai.test", open=True, last_at=8)]

    monkeypatch.setattr(Nobody, "of", of)
    browser = await office.enrolled()
    [found] = (await browser.get("correspondents"))["correspondents"]
    assert (found["address"], found["pharmacy"]) == ("officine@mss.essai.test", True)


async def test_a_pharmacy_that_dispensed_is_told_once_though_no_letter_went_yet(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dispensed(self: object, reader: object, account: object, since: int) -> list[Correspondence]:
        assert since < office.clock() - 364 * 86_400_000
        return [
            Correspondence("officine@mss.essai.test", open=True, last_at=5),
            Correspondence("gp@mss.essai.test", open=True, last_at=4),
        ]

    monkeypatch.setattr(Nobody, "dispensed", dispensed)
    browser = await office.enrolled()
    found = (await browser.get("correspondents"))["correspondents"]
    assert [(one["address"], one["lastAt"]) for one in found] == [
        ("gp@mss.essai.test", 7),
        ("officine@mss.essai.test", 5),
    ]


async def test_an_account_asks_about_so_many_addresses_a_minute(office: Office) -> None:
    browser = await office.enrolled()
    asked = {"addresses": [f"a{number}@mss.essai.test" for number in range(50)]}
    await browser.post("certificates", asked)
    answer = await refused(browser.post("certificates", asked))
    assert (answer.status, answer.error) == (429, "too-many")
    assert 0 < answer.answer["retryAfter"] <= 60
    # Another session of the same account is no way around.
    other = office.browser()
    assert browser.account is not None
    await other.log_in(browser.account.shown, browser.password)
    assert (await refused(other.post("certificates", asked))).error == "too-many"
    office.clock.forward(minutes=1)
    assert await browser.post("certificates", asked)


async def test_one_request_asks_about_fifty_at_most(office: Office) -> None:
    browser = await office.enrolled()
    asked = {"addresses": ["x@mss.essai.test"] * 51}
    assert (await refused(browser.post("certificates", asked))).error == "bad-request"


async def test_nobody_asks_without_a_session(office: Office) -> None:
    browser = office.browser()
    assert (await refused(browser.post("certificates", {"addresses": []}))).error == "no-session"
    assert (await refused(browser.get("correspondents"))).error == "no-session"
