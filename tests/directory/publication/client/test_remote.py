"""What is sent to the national directory, and what its answers mean."""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.model import Kind, Mailbox, Organisation, Professional
from directory.publication.client.remote import Meaning, NationalDirectory, checked, meaning
from directory.publication.client.states import Entry, Step, entry_for, entry_of
from directory.publication.client.wire import contact_point, parameters, target
from tests.directory.publication.client.conftest import BASE, RPPS, ZOE, entry
from tests.directory.publication.client.national import KEY, Wire, outcome

FINESS = "1690000013"
WARD = Entry(
    "cardiologie@hopital.mss.example", Kind.ORG, FINESS, service="Cardiologie", description="Secrétariat",
    responsible="Inès Moreau", digitization=True,
)  # fmt: skip


def told(value: Entry) -> dict[str, Any]:
    """The sub-extensions of the mailbox, by name."""
    (metadata,) = [
        one for one in contact_point(value)["extension"] if one["url"].endswith("mailbox-mss-metadata")
    ]
    return {
        one["url"]: next(text for name, text in one.items() if name != "url") for one in metadata["extension"]
    }


def test_a_person_s_mailbox_is_carried_by_the_practitioner_an_organisation_s_by_the_organisation() -> None:
    assert target(entry()) == f"Practitioner?identifier=urn%3Aoid%3A1.2.250.1.71.4.2.1%7C{RPPS}"
    assert target(WARD) == f"Organization?identifier=urn%3Aoid%3A1.2.250.1.71.4.2.2%7C{FINESS}"


def test_what_is_told_of_each_kind() -> None:
    assert told(entry(red_list=True)) == {"type": "PER", "digitization": False, "listeRouge": True}
    assert told(WARD) == {
        "type": "ORG",
        "description": "Secrétariat",
        "service": "Cardiologie",
        "responsible": "Inès Moreau",
        "digitization": True,
        "listeRouge": False,
    }
    practice = Entry("cab@x.y", Kind.CAB, RPPS, co_holders=("899700245667",))
    assert told(practice)["idPP"] == "899700245667"


@pytest.mark.parametrize(
    ("step", "path", "valued"),
    [
        (Step.INSERT, "Practitioner.telecom", True),
        (Step.REPLACE, f"Practitioner.telecom.where(value = '{ZOE}')", True),
        (Step.DELETE, f"Practitioner.telecom.where(value = '{ZOE}')", False),
    ],
)
def test_each_step_is_one_operation_on_one_address(step: Step, path: str, *, valued: bool) -> None:
    (operation,) = parameters(step, entry())["parameter"]
    parts = {part["name"]: part for part in operation["part"]}
    assert parts["type"]["valueCode"] == step.value
    assert parts["path"]["valueString"] == path
    assert ("value" in parts) is valued


def test_an_address_cannot_end_the_path_it_stands_in() -> None:
    (operation,) = parameters(Step.DELETE, entry("o'neil\\@x.y"))["parameter"]
    assert operation["part"][1]["valueString"] == "Practitioner.telecom.where(value = 'o\\'neil\\\\@x.y')"


def test_a_mailbox_of_ours_becomes_what_is_published() -> None:
    zoe = Professional(RPPS, "Dr", "Martin", "Zoé")
    assert entry_for(Mailbox(ZOE, Kind.PER, (zoe,), red_list=True, rank=2)) == entry(red_list=True, rank=2)
    ward = Mailbox(
        WARD.address, Kind.ORG, organisation=Organisation(FINESS), service="Cardiologie", description="Secrétariat",
        responsible="Inès Moreau", digitization=True,
    )  # fmt: skip
    assert entry_for(ward) == WARD
    assert entry_for(Mailbox(ZOE, Kind.PER)).holder == ""


@given(
    st.builds(
        Entry,
        address=st.text(max_size=20),
        kind=st.sampled_from(Kind),
        holder=st.text(max_size=12),
        co_holders=st.lists(st.text(max_size=12), max_size=3).map(tuple),
        red_list=st.booleans(),
        rank=st.integers(1, 99),
        description=st.text(max_size=20),
    )
)
def test_a_state_comes_back_from_its_text(value: Entry) -> None:
    assert entry_of(value.as_text()) == value


# -- answers


@pytest.mark.parametrize(
    ("code", "issue", "what"),
    [
        (200, "", Meaning.DONE),
        (204, "", Meaning.DONE),
        (302, "", Meaning.REFUSED),
        (400, "invalid", Meaning.REFUSED),
        (401, "login", Meaning.SHUT),
        (403, "forbidden", Meaning.REFUSED),
        (404, "not-found", Meaning.NOT_THERE),
        (409, "conflict", Meaning.THERE_ALREADY),
        (412, "multiple-matches", Meaning.REFUSED),
        (412, "duplicate", Meaning.THERE_ALREADY),
        (422, "business-rule", Meaning.REFUSED),
        (422, "not-found", Meaning.NOT_THERE),
        (429, "throttled", Meaning.SLOWER),
        (500, "exception", Meaning.LATER),
        (503, "transient", Meaning.LATER),
    ],
)
def test_what_an_answer_means(code: int, issue: str, what: Meaning) -> None:
    body = json.dumps({"issue": [{"code": issue, "diagnostics": "mots"}]}).encode()
    answer = meaning(code, httpx.Headers(), body)
    assert answer.meaning is what
    assert answer.words or what is Meaning.DONE


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "99999999999"}, 3600),
        ({"retry-after": "Fri, 31 Dec 2027 23:00:30 GMT", "date": "Fri, 31 Dec 2027 23:00:00 GMT"}, 30),
        ({"retry-after": "Fri, 31 Dec 2027 22:00:00 GMT", "date": "Fri, 31 Dec 2027 23:00:00 GMT"}, 0),
        ({"retry-after": "soon"}, 0),
        ({"retry-after": "-5"}, 0),
        ({}, 0),
    ],
)
def test_how_long_it_asks_us_to_wait(headers: dict[str, str], seconds: float) -> None:
    assert meaning(429, httpx.Headers(headers), b"").wait == seconds


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text(), st.lists, max_leaves=5).map(lambda v: json.dumps(v).encode())
)
def test_no_answer_makes_it_fail(body: bytes) -> None:
    assert meaning(422, httpx.Headers(), body).words.isprintable()


def test_what_it_says_is_short_and_printable() -> None:
    body = json.dumps({"issue": [{"code": "invalid", "diagnostics": "\x1b[31m" + "a\n" * 5000}]}).encode()
    words = meaning(422, httpx.Headers(), body).words
    assert words.isprintable()
    assert len(words) < 300


# -- whom it speaks to


@pytest.mark.parametrize(
    "address",
    ["http://national.example/fhir", "ftp://national.example", "national.example", "https://key@national.example/",
     "https://national.example/?key=x", "http://127.0.0.1.evil.example/"],
)  # fmt: skip
def test_an_address_that_may_not_be_spoken_to_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"publication\.national_directory"):
        checked(address)


@pytest.mark.parametrize(
    "address", ["https://national.example/fhir/v2/", "http://127.0.0.1:8080/fhir", "http://localhost/x"]
)
def test_tls_and_this_machine_may_be_spoken_to(address: str) -> None:
    assert checked(address) == address.rstrip("/")


async def test_a_key_that_is_said_back_is_not_in_what_it_says() -> None:
    async def clumsy(request: httpx.Request) -> httpx.Response:
        return outcome(401, "login", f"clé {request.headers['esante-api-key']} inconnue")

    remote = NationalDirectory(BASE, KEY, ssl.create_default_context(), 60, Wire(clumsy))
    answer = await remote.ask(Step.INSERT, entry())
    assert answer.words.endswith("It says: clé [key] inconnue")
    await remote.close()


async def test_a_redirect_is_not_followed_and_the_key_goes_nowhere_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hosts: list[str] = []

    async def elsewhere(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        return httpx.Response(307, headers={"location": "https://evil.example/"})

    caplog.set_level(logging.DEBUG)
    remote = NationalDirectory(BASE, KEY, ssl.create_default_context(), 60, Wire(elsewhere))
    assert (await remote.ask(Step.INSERT, entry())).meaning is Meaning.REFUSED
    assert hosts == ["national.example"]
    assert KEY not in caplog.text + repr(remote) + repr(vars(remote))
    assert ZOE not in caplog.text
    await remote.close()


async def test_an_answer_without_end_is_cut() -> None:
    async def endless(_: httpx.Request) -> httpx.Response:
        async def pieces() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 65536

        return httpx.Response(500, content=pieces())

    remote = NationalDirectory(BASE, KEY, ssl.create_default_context(), 60, Wire(endless))
    assert (await remote.ask(Step.INSERT, entry())).meaning is Meaning.LATER
    await remote.close()
