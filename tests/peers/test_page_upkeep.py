"""What an administrator sees of the page on a node that runs: spaces and codes, doctor, metrics."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.demo import clients, letters, world
from deploy.demo.browser import derivations
from deploy.demo.browser.page import PageClient, PageRefused
from tests.peers import intruder

pytestmark = pytest.mark.peers

_DAY = 86_400_000
CODE = r"[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){2}"


@dataclass
class Said:
    code: int
    out: str
    err: str


def ask(made: world.World, *arguments: str, typed: str = "") -> Said:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.node.cli", *arguments, "--home", str(made.node)],
        input=typed,
        capture_output=True,
        text=True,
        timeout=240,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def refused(made: world.World, *arguments: str) -> str:
    said = ask(made, *arguments)
    assert (said.code, said.out) == (1, ""), said
    return said.err.strip()


def added(made: world.World, person: intruder.Patient, *more: str) -> Said:
    return ask(
        made, "space", "add", "--ins", person.matricule, "--family-name", person.family_name, "--given-names",
        person.given_names, "--birth-date", person.birth_date, "--sex", person.sex, *more,
    )  # fmt: skip


def run_sql(made: world.World, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(made.node / "mail.db", timeout=120)) as database:
        assert database.execute(statement, values).rowcount > 0
        database.commit()


def measured(made: world.World) -> dict[str, float]:
    address = f"http://localhost:{made.ports['metrics']}/metrics"
    with urllib.request.urlopen(address, timeout=120) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return {sample.name: sample.value for family in families for sample in family.samples}


def found(made: world.World) -> dict[str, list[tuple[str, str]]]:
    """Doctor's findings by subject."""
    said = ask(made, "doctor", "--json")
    told: dict[str, list[tuple[str, str]]] = {}
    for row in json.loads(said.out):
        told.setdefault(row["subject"], []).append((row["verdict"], row["sentence"]))
    return told


# -- spaces and codes -----------------------------------------------------------------------------------------


def test_a_space_is_made_and_its_code_opens_the_page_at_the_link_that_is_printed(made: world.World) -> None:
    person = intruder.patient("Nina", "SEGUIN", 201)
    said = added(made, person)
    assert (said.code, said.err) == (0, "")
    first, second, third, fourth = said.out.splitlines()
    assert f"Professionals write to {person.matricule}@{world.PATIENT_DOMAIN}" in first
    shown = re.fullmatch(rf"Code, shown this once: ({CODE})", second)
    assert shown
    link = f"https://localhost:{made.ports['https']}/activer"
    assert third.startswith(
        f"It is typed at {link} with the birth date and the last five of the 15 digits, until"
    )
    assert fourth == "A code made before it serves no more."
    page = PageClient(made.ports["http"])
    page.enrol(
        shown[1], "un mot de passe", derivations.new_recovery_code(),
        birth_date=person.birth_date, last_five=person.last_five,
    )  # fmt: skip
    assert page.session["account"]["shown"].startswith(person.matricule)
    rows = json.loads(ask(made, "space", "list", "--json").out)
    (row,) = [row for row in rows if row["address"] == page.session["account"]["address"]]
    assert row["activated"]
    assert person.matricule not in ask(made, "space", "list").out


def test_as_json_the_same_is_told_and_nothing_else(made: world.World) -> None:
    person = intruder.patient("Odile", "TRAVERS", 202)
    told = json.loads(added(made, person, "--json").out)
    assert set(told) == {"shown", "address", "kind", "code", "link", "expires", "doubts"}
    assert told["doubts"] == []
    again = json.loads(ask(made, "space", "code", person.matricule, "--json").out)
    assert again["address"] == told["address"]
    assert again["code"] != told["code"]
    with pytest.raises(PageRefused, match="code-dead"):
        PageClient(made.ports["http"]).enrol(
            told["code"], "x" * 12, derivations.new_recovery_code(),
            birth_date=person.birth_date, last_five=person.last_five,
        )  # fmt: skip


def test_the_number_may_be_typed_where_no_shell_keeps_it(made: world.World) -> None:
    person = intruder.patient("Paule", "URBAIN", 203)
    said = ask(
        made, "space", "add", "--ins", "-", "--family-name", "URBAIN", "--given-names", "Paule",
        "--birth-date", person.birth_date, "--sex", "f", "--json", typed=f"{person.matricule}\n",
    )  # fmt: skip
    assert said.code == 0
    assert json.loads(said.out)["shown"].startswith(person.matricule), "the question goes to the other stream"
    assert said.err.startswith("The 15 digits")


def test_what_contradicts_the_number_is_told_and_the_space_made(made: world.World) -> None:
    person = intruder.patient("Quentin", "VASSEUR", 204)
    said = ask(
        made, "space", "add", "--ins", person.matricule, "--family-name", "VASSEUR", "--given-names", "Quentin",
        "--birth-date", "1962-03-14", "--sex", "M",
    )  # fmt: skip
    assert said.code == 0
    one, two = said.err.splitlines()
    assert one.startswith("Look again: The number's first digit is of the other sex.")
    assert two.startswith("Look again: The number's year and month are not those of the birth date.")


def test_what_is_wrong_is_said_in_one_sentence(made: world.World) -> None:
    person = intruder.patient("Rose", "WEBER", 205)
    assert added(made, person).code == 0
    mistyped = person.matricule[:-2] + f"{(int(person.matricule[-2:]) % 97) + 1:02d}"
    assert refused(made, "space", "code", mistyped).startswith("The last two digits do not match")
    nobody = intruder.patient("X", "Y", 299).matricule
    assert refused(made, "space", "code", nobody) == (
        "No space here is of this number: `vaguemestre space add` makes one."
    )
    assert refused(made, "space", "code", "personne") == "There is no such account."
    twice = added(made, person)
    assert (twice.code, twice.out) == (1, "")
    assert twice.err.strip() == (
        "This patient has a space here already: `vaguemestre space code` makes a fresh code for it."
    )
    other = ["--family-name", "X", "--given-names", "Y", "--sex", "F"]
    for number, birth_date, sentence in (
        ("12", "1951-03-14", "The number has 13 or 15 characters"),
        (nobody, "14/03/1951", "The birth date is written YYYY-MM-DD"),
        (nobody, "2151-03-14", "The birth date is written YYYY-MM-DD, and lies in the past"),
    ):
        told = refused(made, "space", "add", "--ins", number, "--birth-date", birth_date, *other)
        assert told.startswith(sentence)
        assert number not in told


def test_a_professional_s_code_is_typed_with_the_address(made: world.World) -> None:
    said = ask(made, "account", "page-code", world.DOCTOR)
    assert said.code == 0
    assert f"/activer with the address {world.DOCTOR}, until " in said.out
    assert refused(made, "account", "page-code", world.LABORATORY).startswith(
        "Only patients and professionals"
    )


# -- doctor and metrics ---------------------------------------------------------------------------------------


def test_doctor_and_metrics_see_a_re_seal_that_stands_still_until_it_is_done(made: world.World) -> None:
    person = intruder.patient("Solène", "YVON", 206)
    told = intruder.space(made, person)
    for number in range(3):
        letter = letters.note(world.HOSPITAL, told["shown"], f"Lettre {number}", "Une ligne.\n")
        intruder.write_as_hospital(made, told["shown"], letter.data)
    before = measured(made)
    page = PageClient(made.ports["http"])
    page.enrol(
        told["code"], "un mot de passe", derivations.new_recovery_code(),
        birth_date=person.birth_date, last_five=person.last_five,
    )  # fmt: skip
    assert page.reseal(at_most=1) == 1

    now = measured(made)
    for name, more in {
        "vaguemestre_page_activations_total": 1,
        "vaguemestre_page_accepted_codes_total": 1,
        "vaguemestre_page_resealed_letters_total": 1,
        "vaguemestre_reseal_accounts": 1,
        "vaguemestre_reseal_letters": 2,
    }.items():
        assert now[name] == before[name] + more, name
    assert now["vaguemestre_page_sessions_open"] > before["vaguemestre_page_sessions_open"]

    # Under way since a moment: nothing to say. Since three days: somebody closed the page.
    assert not [words for _, words in found(made)["re-seal"] if told["address"] in words]
    (account,) = [page.session["account"]["id"]]
    run_sql(made, "UPDATE patient SET activated_at = activated_at - ? WHERE account = ?", 3 * _DAY, account)
    (finding,) = [each for each in found(made)["re-seal"] if told["address"] in each[1]]
    assert finding[0] == "warning"
    assert f"{told['address']} (2 letters, 3 days)" in finding[1]
    assert person.matricule not in finding[1]

    assert page.reseal() == 2
    assert page.get("/api/reseal")["left"] == 0
    assert measured(made)["vaguemestre_reseal_accounts"] == before["vaguemestre_reseal_accounts"]
    assert not [words for _, words in found(made)["re-seal"] if told["address"] in words]


def test_logins_and_refusals_are_counted(made: world.World) -> None:
    someone = intruder.activated(made, "Thaïs", "ZOLA", 207)
    before = measured(made)
    PageClient(made.ports["http"]).log_in(someone.shown, someone.password)
    with pytest.raises(PageRefused):
        PageClient(made.ports["http"]).log_in(someone.shown, "un autre")
    with pytest.raises(PageRefused):
        PageClient(made.ports["http"]).enrol("2222-2222-2222", "x", derivations.new_recovery_code())
    now = measured(made)
    for name in ("logins", "refused_logins", "refused_codes"):
        assert now[f"vaguemestre_page_{name}_total"] == before[f"vaguemestre_page_{name}_total"] + 1, name


def test_a_held_letter_is_shown_and_a_late_one_is_found(made: world.World) -> None:
    someone = intruder.activated(made, "Ugo", "ABADIE", 208)
    gp = made.persons[world.GP]
    note = letters.note(world.GP, someone.shown, "Une question", "Comment allez-vous ?\n")
    clients.send_as_person(
        made.ports["submission"], clients.tls(made.ca), gp.address, gp.password, [someone.shown], note.data
    )
    before = measured(made)
    submission = someone.page.write(world.GP, "Re: Une question", "Bien.\n", hold=3600)
    assert (
        measured(made)["vaguemestre_jmap_submissions_held"] == before["vaguemestre_jmap_submissions_held"] + 1
    )
    assert found(made)["submissions"][0][0] == "good"
    hour = 3600 * 1000
    late = int(time.time() * 1000) - 3 * hour
    run_sql(
        made,
        "UPDATE jmap_submission SET send_at = ?, due = ? WHERE id = ?",
        late,
        late + 100 * _DAY,
        submission,
    )
    verdict, sentence = found(made)["submissions"][0]
    assert verdict == "warning"
    assert re.match(r"1 letter handed over should have left, the oldest 18\d minutes ago\.", sentence)
    assert measured(made)["vaguemestre_jmap_submissions_late"] == 1
    someone.page.call(("EmailSubmission/set", {"update": {submission: {"undoStatus": "canceled"}}}))
    assert found(made)["submissions"][0][0] == "good"


def test_codes_that_nobody_can_use_any_more_are_found(made: world.World) -> None:
    told = [intruder.space(made, intruder.patient("V", "BARON", 210 + number)) for number in range(10)]
    assert found(made)["activation codes"][0][0] == "good"
    accounts = [one["address"].partition("@")[0] for one in told]
    for account in accounts:
        run_sql(made, "UPDATE enrolment_code SET expires = 1 WHERE account = ?", account)
    verdict, sentence = found(made)["activation codes"][0]
    assert verdict == "warning"
    assert "10 codes expired unused" in sentence
    for one in told:
        made.command("enrolment_code", address=one["address"])
    assert found(made)["activation codes"][0][0] == "good"
    run_sql(made, "UPDATE enrolment_code SET tries_left = 0 WHERE account = ? AND ended = ''", accounts[0])
    assert "1 blocked by wrong answers" in found(made)["activation codes"][0][1]
    made.command("enrolment_code", address=told[0]["address"])


def test_doctor_compares_the_page_that_is_served_with_the_one_installed(made: world.World) -> None:
    told = found(made)
    assert told["page"][0][0] == "good"
    assert told["web"] == [("good", f"Port {made.ports['https']} gives the page that is installed.")]
    assert told["page address"][0][0] == "warning"
    assert "page.public_url is not set" in told["page address"][0][1]
