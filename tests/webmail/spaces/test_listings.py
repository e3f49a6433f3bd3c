"""Looking up in the directory, and what it tells of one's own mailbox, over HTTP as the page asks."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from directory.certificates.records import Family, Period, Why
from directory.harvest import TooMuch
from directory.listings.interface import Kept, Query, Results
from directory.model import Card, Coded, Mailbox, Organisation, Professional
from directory.model import Kind as Listed
from mail_server.accounts.access import Access
from mail_server.accounts.interface import Kind, Role
from mail_server.accounts.profile_book import ProfileBook
from tests.webmail.office import BOTH, DECISIONS, DOMAIN, Browser, Office, Refused
from webmail.spaces import listings
from webmail.spaces.listings import Looking

MARTIN = Card(
    1,
    Listed.PER,
    "zoe.martin@chu.test",
    "810000000001",
    title="Dr",
    family="Martin",
    given="Zoé",
    profession=Coded("10", "Médecin"),
    speciality=Coded("SM04", "Cardiologie"),
    organisation="CHU d’essai",
    postcode="69003",
    commune="Lyon",
    department="69",
    digitization=True,
)


@dataclass
class Known:
    cards: tuple[Card, ...] = (MARTIN,)
    asked: list[Query] = field(default_factory=list)
    boxes: dict[str, Mailbox] = field(default_factory=dict)
    corrected: tuple[tuple[str, str], ...] = ()
    certificates: dict[str, list[Period]] = field(default_factory=dict)

    def periods(self, address: str) -> list[Period]:
        return self.certificates.get(address, [])

    def search(self, query: Query) -> Results:
        self.asked.append(query)
        return Results(self.cards, more=True, corrected=self.corrected)

    def mailbox(self, address: str) -> Kept[Mailbox] | None:
        found = self.boxes.get(address)
        return None if found is None else Kept(found, 1, address)


@dataclass
class Counted:
    full: bool = False
    wait: float = 0
    told: list[tuple[str, list[str]]] = field(default_factory=list)

    def require(self, asker: str, *, trusted: bool = False, door: str = "") -> None:
        assert (trusted, door) == (True, "page")
        if self.full:
            raise TooMuch(90)

    def shown(self, asker: str, keys: list[str], *, trusted: bool = False, door: str = "") -> float:
        self.told.append((asker, keys))
        return self.wait


@dataclass
class Synced:
    times: int = 0

    async def __call__(self) -> None:
        self.times += 1


@pytest.fixture
async def page(office: Office) -> Office:
    profiles = ProfileBook(office.store, office.trail)
    await profiles.start()
    listed = Known()
    office.looking = Looking(
        listed,
        Counted(),
        Access(office.accounts, DECISIONS),
        profiles,
        Synced(),
        searches_per_minute=20,
        periods=listed.periods,
    )
    await office.open_page()
    return office


def known(page: Office) -> Any:
    assert page.looking is not None
    return page.looking.listings


def counted(page: Office) -> Any:
    assert page.looking is not None
    return page.looking.harvest


async def doctor(page: Office) -> Browser:
    return await page.enrolled_professional("gp")


async def refused(call: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value


# -- looking up ----------------------------------------------------------------------------------------------


async def test_a_professional_finds_a_colleague_with_all_that_tells_two_of_a_name_apart(page: Office) -> None:
    known(page).corrected = (("martain", "martin"),)
    found = await (await doctor(page)).post("directory", {"q": "martain cardio"})
    assert found == {
        "cards": [
            {
                "address": "zoe.martin@chu.test",
                "kind": "PER",
                "name": "Dr Zoé MARTIN",
                "profession": "Médecin",
                "speciality": "Cardiologie",
                "organisation": "CHU d’essai",
                "street": "",
                "postcode": "69003",
                "commune": "Lyon",
                "department": "69",
                "digitization": True,
                "known": False,
                "reachable": True,
            }
        ],
        "more": True,
        "corrected": [{"typed": "martain", "taken": "martin"}],
    }
    [query] = known(page).asked
    assert (query.text, query.limit, query.kinds) == ("martain cardio", 8, frozenset(Listed))


async def test_profession_department_and_kind_narrow_the_search(page: Office) -> None:
    at_gp = await doctor(page)
    await at_gp.post("directory", {"q": "ma", "kinds": ["ORG"], "profession": "10", "department": "2a"})
    [query] = known(page).asked
    assert (query.kinds, query.profession, query.department) == (frozenset({Listed.ORG}), "10", "2A")


async def test_whom_one_wrote_with_lately_comes_first_and_is_said_to_be_known(
    page: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mail_server.conversations.recent import RecentLetter

    letters = [
        RecentLetter(5, "t1", ("old@chu.test", "Zoe.Martin@chu.test")),
        RecentLetter(9, "t2", ("new@chu.test",)),
    ]
    read = 0

    def recently(*_: Any) -> list[RecentLetter]:
        nonlocal read
        read += 1
        return letters

    monkeypatch.setattr(listings, "recently_written", recently)
    at_gp = await doctor(page)
    [card] = (await at_gp.post("directory", {"q": "martin"}))["cards"]
    assert card["known"] is True
    assert known(page).asked[0].first == ("new@chu.test", "old@chu.test", "zoe.martin@chu.test")
    await at_gp.post("directory", {"q": "martin z"})
    assert read == 1  # not at each letter typed
    page.clock.forward(minutes=2)
    await at_gp.post("directory", {"q": "martin z"})
    assert read == 2


async def test_a_patient_finds_nobody(page: Office) -> None:
    answer = await refused((await page.enrolled()).post("directory", {"q": "martin"}))
    assert (answer.status, answer.error) == (403, "forbidden")
    assert known(page).asked == []


async def test_nobody_looks_without_a_session_or_from_another_page(page: Office) -> None:
    assert (await refused(page.browser().post("directory", {"q": "martin"}))).error == "no-session"
    at_gp = await doctor(page)
    answer = await at_gp.raw("POST", "directory", {"q": "martin"}, Origin="https://autre.example")
    assert answer.status_code == 403
    assert known(page).asked == []


async def test_neither_oneself_nor_somebody_here_who_takes_no_letters_is_offered(page: Office) -> None:
    at_gp = await doctor(page)
    away = await page.professional("away")
    await page.accounts.suspend(away.id)
    patient = await page.patient()
    known(page).cards = tuple(
        replace(MARTIN, address=address)
        for address in (f"gp@{DOMAIN}", away.address, patient.address, f"gone@{DOMAIN}", MARTIN.address)
    )
    found = await at_gp.post("directory", {"q": "martin"})
    assert [one["address"] for one in found["cards"]] == [MARTIN.address]
    assert counted(page).told[-1][1] == [MARTIN.address]


async def test_somebody_at_a_domain_that_no_letter_goes_to_is_shown_last_and_as_such(page: Office) -> None:
    assert page.looking is not None
    page.looking = replace(page.looking, reachable=lambda domain: domain == "chu.test")
    await page.open_page()
    at_gp = await doctor(page)
    known(page).cards = (replace(MARTIN, address="zoe@ailleurs.test"), MARTIN)
    found = (await at_gp.post("directory", {"q": "martin"}))["cards"]
    assert [(one["address"], one["reachable"]) for one in found] == [
        (MARTIN.address, True),
        ("zoe@ailleurs.test", False),
    ]


async def test_one_letter_finds_nothing_and_costs_nothing(page: Office) -> None:
    at_gp = await doctor(page)
    for typed in ("", "m", " m ", "é", "--  --", "@."):
        assert (await at_gp.post("directory", {"q": typed}))["cards"] == []
    assert known(page).asked == []


async def test_who_takes_the_directory_away_is_slowed_then_refused(page: Office) -> None:
    at_gp = await doctor(page)
    counted(page).wait = 2.5
    await at_gp.post("directory", {"q": "martin"})
    assert page.slept[-1] == 2.5
    counted(page).full = True
    answer = await refused(at_gp.post("directory", {"q": "martin"}))
    assert (answer.status, answer.error, answer.answer["retryAfter"]) == (429, "too-many", 90)
    assert "fiches" in answer.answer["message"]


async def test_so_many_searches_a_minute_and_no_more(page: Office) -> None:
    at_gp = await doctor(page)
    for _ in range(20):
        await at_gp.post("directory", {"q": "martin"})
    assert (await refused(at_gp.post("directory", {"q": "martin"}))).error == "too-many"
    page.clock.forward(minutes=1)
    assert (await at_gp.post("directory", {"q": "martin"}))["cards"]


async def test_for_a_shared_account_one_looks_only_where_one_reads_it(page: Office) -> None:
    at_gp = await doctor(page)
    ward = await page.accounts.add(f"ward@{DOMAIN}", Kind.ORG)
    asked = {"q": "martin", "account": ward.id}
    assert (await refused(at_gp.post("directory", asked))).error == "forbidden"
    gp = page.accounts.by_address(f"gp@{DOMAIN}")
    assert gp is not None
    await page.accounts.grant_set(ward.id, gp.id, Role.MEMBER, "lr", None, "node")
    assert (await at_gp.post("directory", asked))["cards"]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"q": 3},
        {"q": "x" * 121},
        {"q": "ma", "kinds": ["PATIENT"]},
        {"q": "ma", "department": "rhone"},
        {"q": "ma", "department": "69; DROP"},
        {"q": "ma", "limit": 100},
        {"q": "ma", "more": True},
    ],
)
async def test_nonsense_is_refused(page: Office, wrong: dict[str, Any]) -> None:
    assert (await refused((await doctor(page)).post("directory", wrong))).error == "bad-request"


async def test_what_is_typed_stands_in_no_log_and_no_trace(
    page: Office, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(query: Query) -> Results:
        raise OSError(query.text)

    at_gp = await doctor(page)
    caplog.set_level(logging.DEBUG)
    await at_gp.post("directory", {"q": "vasarely"})
    monkeypatch.setattr(known(page), "search", broken)
    answer = await at_gp.raw("POST", "directory", {"q": "vasarely"})
    assert (answer.status_code, answer.json()["error"]) == (500, "failure")
    assert "vasarely" not in caplog.text + answer.text + repr(await page.traced())


# -- one's own mailbox ---------------------------------------------------------------------------------------


async def test_a_holder_sees_what_the_directory_shows_of_them(page: Office) -> None:
    at_gp = await doctor(page)
    who = Professional("810000000001", "Dr", "Durand", "Paul", Coded("10", "Médecin"))
    where = Organisation("1690000001", "CH D’ESSAI", "Hôpital d’essai")
    known(page).boxes[f"gp@{DOMAIN}"] = Mailbox(f"gp@{DOMAIN}", Listed.PER, (who,), where)
    [one] = (await at_gp.get("listing"))["listings"]
    assert (one["own"], one["redList"], one["rank"], one["may"]) == (True, False, 1, ["redList", "rank"])
    assert one["shown"]["name"] == "Dr Paul Durand"
    assert (one["shown"]["profession"], one["shown"]["organisation"]) == ("Médecin", "Hôpital d’essai")


async def test_the_red_list_is_switched_by_its_holder_told_to_the_directory_and_traced(page: Office) -> None:
    at_gp = await doctor(page)
    assert (await at_gp.put("listing", {"redList": True}))["redList"] is True
    assert page.looking is not None
    assert page.looking.listed.times == 1  # type: ignore[attr-defined]
    gp = page.accounts.by_address(f"gp@{DOMAIN}")
    assert gp is not None
    assert page.looking.profiles.of(gp.id).red_list
    assert await page.traced(action="profile-change") == ["profile-change done"]
    assert (await at_gp.put("listing", {"redList": False, "rank": 2}))["rank"] == 2


async def test_of_a_shared_mailbox_who_administers_it_says_what_is_shown(page: Office) -> None:
    at_gp = await doctor(page)
    gp = page.accounts.by_address(f"gp@{DOMAIN}")
    assert gp is not None
    ward = await page.accounts.add(f"ward@{DOMAIN}", Kind.ORG)
    path, wanted = f"listing?account={ward.id}", {"description": "Urgences", "service": "Accueil"}
    assert (await refused(at_gp.put(path, wanted))).error == "forbidden"
    await page.accounts.grant_set(ward.id, gp.id, Role.MEMBER, "lrs", None, "node")
    assert (await refused(at_gp.put(path, wanted))).error == "forbidden"
    assert len((await at_gp.get("listing"))["listings"]) == 1
    await page.accounts.grant_set(ward.id, gp.id, Role.MEMBER, "aeilprstwx", None, "node")
    told = await at_gp.put(path, wanted)
    assert (told["description"], told["service"], told["own"]) == ("Urgences", "Accueil", False)
    assert [one["address"] for one in (await at_gp.get("listing"))["listings"]] == [gp.address, ward.address]


async def test_what_is_not_a_holders_to_say_is_refused(page: Office) -> None:
    at_gp = await doctor(page)
    assert (await refused(at_gp.put("listing", {"description": "Le meilleur"}))).error == "forbidden"
    for wrong in ({"familyName": "X"}, {"redList": "yes"}, {"rank": 0}, {"rank": 100}, {}):
        assert (await refused(at_gp.put("listing", wrong))).error == "bad-request"
    for other in ("unknown", (await page.professional("autre")).id):
        answer = await refused(at_gp.put(f"listing?account={other}", {"redList": True}))
        assert answer.error == "forbidden"


@BOTH
async def test_a_patient_has_no_listing(page: Office) -> None:
    patient = await page.enrolled()
    assert (await refused(patient.get("listing"))).error == "forbidden"
    assert (await refused(patient.get("listing/keys"))).error == "forbidden"
    assert (await refused(patient.put("listing", {"redList": False}))).error == "forbidden"


async def test_a_holder_sees_the_certificates_of_their_own_address_over_time(page: Office) -> None:
    at_gp = await doctor(page)
    known(page).certificates = {
        f"gp@{DOMAIN}": [
            Period("AB" * 20, Family.OPENPGP, 2_000, None, None, 9_000),
            Period("CD" * 20, Family.OPENPGP, 1_000, 2_000, Why.REPLACED, None),
        ],
        MARTIN.address: [Period("EF" * 20, Family.OPENPGP, 1_000, None, None, None)],
    }
    now, before = (await at_gp.get("listing/keys"))["periods"]
    assert now == {
        "fingerprint": "AB" * 20,
        "family": "openpgp",
        "since": 2_000,
        "until": None,
        "why": "",
        "ends": 9_000,
    }
    assert (before["until"], before["why"], before["ends"]) == (2_000, "replaced", None)
