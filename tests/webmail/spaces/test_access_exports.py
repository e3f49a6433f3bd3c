"""The access log as a file: the words of the page, in both languages, for the holder and for who reads a shared one."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from mail_server.accounts.interface import Account, Kind
from policies.interface import Event
from tests.webmail.office import BOTH, Browser, Office
from webmail.spaces.access_log import _ACTIONS  # pyright: ignore[reportPrivateUsage]
from webmail.spaces.access_words import ENGLISH, FRENCH, Words

PAGE = Path(__file__).parents[3] / "webmail" / "ui" / "src" / "i18n"
AT = 1_790_000_000_000  # 21 September 2026, 16:13 in Paris


async def append(office: Office, *events: Event) -> None:
    await office.store.write(lambda tx: office.trail.append(tx.sql, events))


def own(browser: Browser) -> Account:
    assert browser.account is not None
    return browser.account


def rows(data: bytes) -> list[list[str]]:
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))


@BOTH
async def test_the_holder_takes_the_log_as_csv_in_human_words(office: Office) -> None:
    known, gp = await office.enrolled(password="orage"), await office.professional()
    await append(office, Event("deliver", AT, gp.id, own(known).id, "sealed", "M1", network="203.0.113.9"))
    answer = await known.raw("GET", f"access-log.csv?since={AT}&until={AT + 1}&lang=fr")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="qui-a-fait-quoi.csv"'
    assert answer.headers["cache-control"] == "no-store"
    heading, line = rows(answer.content)
    assert heading == ["Quand", "Quoi", "Qui", "Résultat", "Appareil ou logiciel", "Réseau", "Numéro"]
    assert line[:6] == ["2026-09-21T16:13:20+02:00", "Lettre reçue", gp.address, "", "", ""]


async def test_in_english_too(office: Office) -> None:
    known = await office.enrolled(password="orage")
    answer = await known.raw("GET", "access-log.csv?lang=en")
    told = rows(answer.content)
    assert told[0][:3] == ["When", "What", "Who"]
    assert {"Space opened", "Key put to use", "Space created"} <= {line[1] for line in told}


async def test_the_same_log_gives_the_same_octets(office: Office) -> None:
    known = await office.enrolled(password="orage")
    await append(office, Event("read", AT, own(known).id, own(known).id, reference="M1"))
    for form in ("csv", "pdf"):
        path = f"access-log.{form}?since={AT}&until={AT + 1}"
        first, second = await known.raw("GET", path), await known.raw("GET", path)
        assert first.content == second.content


@pytest.mark.parametrize(("language", "title"), [("fr", "fr"), ("en", "en")])
async def test_the_pdf_is_tagged_titled_and_says_its_language(
    office: Office, language: str, title: str
) -> None:
    known = await office.enrolled(password="orage")
    answer = await known.raw("GET", f"access-log.pdf?lang={language}")
    assert answer.headers["content-type"] == "application/pdf"
    data = answer.content
    assert data.startswith(b"%PDF-")
    assert b"<pdfuaid:part>1</pdfuaid:part>" in data, "PDF/UA-1"
    assert b"/MarkInfo" in data
    assert f"/Lang({title})".encode() in data.replace(b"/Lang (", b"/Lang(")


async def test_an_export_is_told_in_the_trace_before_it_is_answered(office: Office) -> None:
    known = await office.enrolled(password="orage")
    await known.raw("GET", "access-log.csv")
    assert "access-log-export done" in await office.traced(party=own(known).id)
    told = rows((await known.raw("GET", "access-log.csv")).content)
    assert "Cet historique a été téléchargé" in {line[1] for line in told}


async def test_who_reads_a_shared_account_takes_its_log_with_the_names_of_who_acted(office: Office) -> None:
    known = await office.enrolled_professional(password="orage")
    ward = await office.accounts.add("ward@mss.essai.test", Kind.ORG)
    other = await office.professional("nurse")
    await office.accounts.member_add(ward.id, own(known).id)
    await append(office, Event("read", AT, other.id, ward.id, reference="M1", network="192.0.2.9"))
    answer = await known.raw("GET", f"access-log.csv?account={ward.id}&since={AT}&until={AT + 1}")
    _, line = rows(answer.content)
    assert line[1:6] == ["Lettre ouverte", other.address, "", "", ""]


async def test_nobody_takes_another_s_log(office: Office) -> None:
    known, patient = await office.enrolled_professional(password="orage"), await office.patient()
    ward = await office.accounts.add("ward@mss.essai.test", Kind.ORG)
    for account in (patient.id, ward.id, "nobody"):
        answer = await known.raw("GET", f"access-log.csv?account={account}")
        assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
    assert (await office.browser().raw("GET", "access-log.csv")).status_code == 401


@pytest.mark.parametrize("wrong", ["since=x", "until=-1", "since=2&until=1", "since=1.5", "until=٣"])
async def test_a_wrong_period_is_said(office: Office, wrong: str) -> None:
    known = await office.enrolled(password="orage")
    answer = await known.raw("GET", f"access-log.csv?{wrong}")
    assert (answer.status_code, answer.json()["error"]) == (400, "bad-request")


async def test_a_label_that_a_spreadsheet_would_run_is_marked_as_text(office: Office) -> None:
    known = await office.enrolled(password="orage")
    who = own(known).id
    await append(office, Event("login", AT, who, who, detail={"label": '=HYPERLINK("http://x")'}))
    _, line = rows((await known.raw("GET", f"access-log.csv?since={AT}&until={AT + 1}")).content)
    assert line[4].startswith("'=")


@pytest.mark.parametrize("words", [FRENCH, ENGLISH])
def test_every_act_that_is_shown_has_words_and_they_are_the_page_s(words: Words) -> None:
    page = json.loads((PAGE / f"security.{words.language}.json").read_text(encoding="utf-8"))
    assert set(_ACTIONS.values()) | {"letter-sent"} <= set(words.actions)
    for action, told in words.actions.items():
        if action in page["log"]:
            assert told.replace("\u00a0", " ") == page["log"][action].replace("\u00a0", " ").replace(
                "\u202f", " "
            )
    for who in ("you", "operator", "unknown", "correspondent"):
        assert words.who[who] == page["history"][who]
    assert words.refused == page["history"]["refused"]
