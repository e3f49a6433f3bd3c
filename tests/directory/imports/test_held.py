"""A wrong line takes nobody out: whoever it may name is kept as before, and told, until a file is clear (row 56)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from directory.imports import unclear
from directory.imports.run import Outcome
from directory.listings import reading
from tests.directory.imports.conftest import RPPS, Imports, activity_line, mailbox_line

ADDRESS = "zoe.martin@lyon.mssante.fr"
DUPONT = activity_line(RPPS[1], nom_d="DUPONT", prénom="Luc")
BOX = mailbox_line("b@x.mssante.fr", identification_nationale=RPPS[1], nom_d="DUPONT", prénom="Luc")


def struck_off(imports: Imports) -> list[str]:
    rows = imports.read("SELECT national_id FROM professional WHERE struck_off_at IS NOT NULL ORDER BY 1")
    return [row[0] for row in rows]


def held(outcome: Outcome) -> list[str]:
    return [one.which for one in outcome.held]


def mistyped(national_id: str) -> str:
    """The person's line with another identifier, in each place that it stands in."""
    return activity_line(national_id)


def without(line: str, at: int) -> str:
    parts = line.split("|")
    return "|".join(parts[:at] + parts[at + 1 :])


_WRONG = {
    "a digit is wrong": mistyped("899700000015"),
    "a digit is missing": mistyped("89970000005"),
    "a digit is too much": mistyped("8997000000055"),
    "two digits are exchanged": mistyped("899700000050"),
    "a letter stands among the digits": mistyped("8997O0000005"),
    "the prefix of the register is missing": mistyped("99700000005"),
    "the identifier is missing and the name is there": mistyped(""),
    "the identifier is quite another thing and the name is there": mistyped("X"),
    "the first field is missing": without(activity_line(), 0),
    "the identifier's field is missing": without(activity_line(), 2),
    "the name's field is missing": without(activity_line(), 7),
    "the line is cut behind the names": "|".join(activity_line().split("|")[:10]),
    "there are fields too many in front": "x|y|z|" + activity_line(),
    "the name is missing": activity_line(nom_d=""),
    "a number of the structure is wrong": activity_line(numéro_finess_site="690000006"),
}


@pytest.mark.parametrize("line", _WRONG.values(), ids=_WRONG.keys())
def test_nobody_is_struck_off_whose_only_line_became_wrong(imports: Imports, line: str) -> None:
    imports.activity(activity_line(), DUPONT)
    before = imports.state()
    outcome = imports.activity(DUPONT, line, force=True)
    assert (outcome.wrong, outcome.removed, outcome.struck_off) == (1, 0, [])
    assert [(one.which, one.line) for one in outcome.held] == [(RPPS[0], 3)]
    assert outcome.held[0].reason == imports.wrong(outcome)[0][2]
    assert imports.state() == before


def test_octets_that_are_no_utf_8_strike_nobody_off(imports: Imports) -> None:
    line = activity_line(raison_sociale="CLINIQUE DES CÈDRES")
    imports.activity(line, DUPONT)
    text = imports.file(f"{_header()}\n{DUPONT}\n").read_bytes()
    outcome = imports.run(imports.file(text + line.encode("latin-1") + b"\n"))
    assert (held(outcome), outcome.struck_off) == ([RPPS[0]], [])


def _header() -> str:
    from deploy.demo.directory_files import ACTIVITY_HEADER

    return ACTIVITY_HEADER


def test_who_is_held_is_told_in_the_report_and_kept_in_mind_until_a_file_is_clear(both: Imports) -> None:
    both.activity(activity_line(), DUPONT)
    first = both.activity(DUPONT, mistyped("899700000015"))
    told = Path(first.changes_report).read_text(encoding="utf-8-sig").splitlines()
    assert told == ["what;which", f"held;{RPPS[0]}"]
    assert both.read("SELECT which, line, reason FROM held") == [(RPPS[0], 3, "rpps-check-digit")]
    (since,) = both.read("SELECT since FROM held")
    again = both.activity(DUPONT, mistyped("899700000015"))
    assert held(again) == [RPPS[0]]
    assert both.read("SELECT since FROM held") == [since]
    both.mailboxes(BOX)  # another file says nothing of it
    assert len(both.read("SELECT which FROM held")) == 1
    clear = both.activity(activity_line(), DUPONT)
    assert (held(clear), clear.changed, clear.added) == ([], 0, 0)
    assert both.read("SELECT which FROM held") == []
    assert struck_off(both) == []


def test_who_is_gone_from_a_clear_file_is_struck_off_after_being_held(both: Imports) -> None:
    both.activity(activity_line(), DUPONT)
    both.activity(DUPONT, mistyped("899700000015"))
    outcome = both.activity(DUPONT)
    assert outcome.struck_off == [RPPS[0]]
    assert both.read("SELECT which FROM held") == []


@pytest.mark.parametrize(
    "line",
    [
        activity_line(RPPS[2], nom_d="DURAND", prénom="Ève", numéro_finess_site="690000006"),
        activity_line("899700000099", nom_d="DURAND", prénom="Ève"),  # two digits from anybody's
        activity_line(RPPS[2], numéro_finess_site="690000006"),  # a namesake, beyond doubt
    ],
)
def test_a_wrong_line_of_somebody_else_keeps_nobody_in(imports: Imports, line: str) -> None:
    imports.activity(activity_line(), DUPONT)
    outcome = imports.activity(DUPONT, line)
    assert (outcome.wrong, held(outcome), outcome.struck_off) == (1, [], [RPPS[0]])


def test_nobody_is_struck_off_where_there_are_too_many_wrong_lines_to_look_at(
    imports: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unclear, "_MOST_UNCLEAR", 3)
    imports.activity(activity_line(), DUPONT)
    outcome = imports.activity(DUPONT, "a|b", "c|d", "e|f", "g|h")
    assert (held(outcome), outcome.struck_off, outcome.held[0].line) == ([RPPS[0]], [], 0)


def test_a_dry_run_tells_who_would_be_held_and_keeps_nothing(imports: Imports) -> None:
    imports.activity(activity_line(), DUPONT)
    outcome = imports.activity(DUPONT, mistyped("899700000015"), dry_run=True)
    assert held(outcome) == [RPPS[0]]
    assert imports.read("SELECT which FROM held") == []


_WRONG_BOXES: dict[str, Callable[[], str]] = {
    "the identifier is mistyped": lambda: mailbox_line(identification_nationale="899700000015"),
    "the kind is missing": lambda: without(mailbox_line(), 0),
    "the address is mistyped by one character": lambda: mailbox_line(
        "zoe.martin@lyon.mssante,fr", identification_nationale="", nom_d="", identification_structure=""
    ),
    "the address is quite another thing, and the identifier right": lambda: mailbox_line("zoe", nom_d="M"),
    "the address is quite another thing, and the names right": lambda: mailbox_line(
        "zoe", identification_nationale=""
    ),
}


@pytest.mark.parametrize("line", _WRONG_BOXES.values(), ids=_WRONG_BOXES.keys())
def test_a_mailbox_stays_listed_whose_only_line_became_wrong(
    imports: Imports, line: Callable[[], str]
) -> None:
    imports.mailboxes(mailbox_line(), BOX)
    before = imports.state()
    outcome = imports.mailboxes(BOX, line())
    assert (outcome.wrong, outcome.removed, held(outcome)) == (1, 0, [ADDRESS])
    assert imports.state() == before


def test_a_practice_keeps_the_holder_whose_line_became_wrong(both: Imports) -> None:
    lines = [
        mailbox_line("cab@x.mssante.fr", type_de_bal="CAB", identification_nationale=one) for one in RPPS[:3]
    ]

    def holders() -> list[str]:
        kept = both.database.read(lambda sql: reading.mailbox(sql, "cab@x.mssante.fr"))
        return [] if kept is None else [one.national_id for one in kept.value.holders]

    both.mailboxes(*lines)
    broken = mailbox_line("cab@x.mssante.fr", type_de_bal="CAB", identification_nationale="899700000031")
    outcome = both.mailboxes(lines[0], broken, lines[2])
    assert (holders(), held(outcome)) == (list(RPPS[:3]), ["cab@x.mssante.fr"])
    slipped = without(lines[1], 0)
    assert held(both.mailboxes(lines[0], slipped, lines[2])) == ["cab@x.mssante.fr"]
    assert holders() == list(RPPS[:3])
    assert held(both.mailboxes(lines[0], lines[2])) == []
    assert holders() == [RPPS[0], RPPS[2]]
