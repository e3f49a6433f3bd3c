"""Imports of the national files: what is listed, what a later file changes, what is refused (row 56)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.directory_files import ACTIVITY_HEADER, MAILBOX_HEADER, write_activity, write_mailboxes
from directory.imports.turn import own_turn
from directory.imports.wrong import ImportRefused
from directory.listings import reading
from directory.listings.database import Sql
from directory.listings.writing import put_mailboxes, remove_mailboxes
from directory.model import Kind, Mailbox, Origin, Professional
from tests.directory.imports.conftest import FINESS, RPPS, Imports, activity_line, mailbox_line

ADDRESS = "zoe.martin@lyon.mssante.fr"


def addresses(imports: Imports) -> list[str]:
    return [row[0] for row in imports.read("SELECT address FROM mailbox ORDER BY address")]


def counted(outcome: object, names: Sequence[str] = ("added", "changed", "removed")) -> tuple[int, ...]:
    return tuple(getattr(outcome, name) for name in names)


def test_a_mailbox_is_listed_with_its_holder_and_place(both: Imports) -> None:
    outcome = both.mailboxes(mailbox_line())
    assert counted(outcome) == (1, 0, 0)
    kept = both.database.read(lambda sql: reading.mailbox(sql, ADDRESS))
    assert kept is not None
    mailbox = kept.value
    assert mailbox.holders == (Professional(RPPS[0], "Dr", "MARTIN", "Zoé", mailbox.holders[0].profession),)
    assert (mailbox.kind, mailbox.digitization, mailbox.speciality.code) == (Kind.PER, True, "SM04")
    place = mailbox.organisation
    assert place is not None
    assert (place.national_id, place.name) == (f"1{FINESS}", "CLINIQUE DES CÈDRES")
    assert (place.place.street, place.place.commune, place.place.department) == (
        "5 R DES ÉCOLES",
        "LYON",
        "69",
    )


def test_a_practice_is_listed_without_its_telephones(both: Imports) -> None:
    outcome = both.activity(activity_line())
    assert counted(outcome) == (1, 0, 0)
    (kept,) = both.database.read(lambda sql: reading.situations_of(sql, RPPS[0]))
    assert (kept.value.mode.code, kept.value.place.commune) == ("S", "Lyon")
    everything = repr(both.state()) + repr(both.read("SELECT * FROM situation"))
    for hidden in ("0400000001", "0400000002", "contact@exemple.fr"):
        assert hidden not in everything


def test_the_same_file_again_changes_nothing(both: Imports) -> None:
    both.mailboxes(mailbox_line(), mailbox_line("b@x.mssante.fr"))
    before = both.state()
    outcome = both.mailboxes(mailbox_line(), mailbox_line("b@x.mssante.fr"))
    assert counted(outcome, ("unchanged", "added", "changed", "removed")) == (2, 0, 0, 0)
    assert outcome.changes_report == ""
    assert both.state() == before


def test_the_difference_is_told_by_address(imports: Imports) -> None:
    imports.mailboxes(*(mailbox_line(f"{one}@x.mssante.fr") for one in "abc"))
    outcome = imports.mailboxes(
        mailbox_line("a@x.mssante.fr"),
        mailbox_line("b@x.mssante.fr", dématérialisation="N"),
        mailbox_line("d@x.mssante.fr"),
    )
    assert counted(outcome, ("unchanged", "added", "changed", "removed")) == (1, 1, 1, 1)
    assert addresses(imports) == [f"{one}@x.mssante.fr" for one in "abd"]
    told = Path(outcome.changes_report).read_text(encoding="utf-8-sig").splitlines()
    assert told == ["what;which", "added;d@x.mssante.fr", "changed;b@x.mssante.fr", "removed;c@x.mssante.fr"]


def test_of_situations_the_people_are_told_and_a_spreadsheet_knows_the_encoding(both: Imports) -> None:
    first = both.activity(activity_line(), activity_line(RPPS[1], nom_d="DUPONT"))
    told = Path(first.changes_report).read_bytes()
    assert told.startswith("\ufeffwhat;which\r\n".encode())
    assert sorted(told.decode().split()[1:]) == [f"added;{one}" for one in sorted(RPPS[:2])]
    for dry in (True, False):
        gone = both.activity(activity_line(RPPS[1], nom_d="DUPONT"), dry_run=dry)
        lines = Path(gone.changes_report).read_text(encoding="utf-8-sig").splitlines()[1:]
        assert lines == [f"removed;{RPPS[0]}"] if dry else [f"struck off;{RPPS[0]}", f"removed;{RPPS[0]}"]


def test_columns_may_stand_in_any_order_and_without_their_suffix(imports: Imports) -> None:
    names = MAILBOX_HEADER.split("|")
    values = dict(zip(names, mailbox_line().split("|"), strict=True))
    order = sorted(names)
    header = "|".join(one.removesuffix(" structure BAL") for one in order)
    line = "|".join(values[one] for one in order)
    imports.run(imports.file(f"\ufeff{header}|\r\n{line}|\r\n"))
    kept = imports.database.read(lambda sql: reading.mailbox(sql, ADDRESS))
    assert kept is not None
    assert kept.value.organisation is not None
    assert kept.value.organisation.place.postcode == "69003"


def test_a_header_that_lacks_a_column_is_refused(imports: Imports) -> None:
    header = MAILBOX_HEADER.replace("Service de rattachement|", "")
    with pytest.raises(ImportRefused, match="service de rattachement") as refused:
        imports.run(imports.file(header + "\n"))
    assert refused.value.reason == "header-lacks"


@pytest.mark.parametrize("content", [b"", b"a|b\n", b"\xff\xfe\n", b"|" * 500])
def test_what_is_neither_file_is_refused(imports: Imports, content: bytes) -> None:
    with pytest.raises(ImportRefused) as refused:
        imports.run(imports.file(content))
    assert refused.value.reason == "header-unknown"


def test_the_wrong_file_is_refused_where_the_source_is_named(imports: Imports) -> None:
    with pytest.raises(ImportRefused, match="mssante, not activity"):
        imports.mailboxes(mailbox_line(), source="activity")


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        (mailbox_line(identification_nationale="899700000006"), "Identification nationale PP", "rpps-check-digit"),
        (mailbox_line(identification_nationale="799700000005"), "Identification nationale PP", "person-prefix"),
        (mailbox_line(identification_structure="690000006"), "Identification Structure", "finess-check-digit"),
        (mailbox_line("zoe.martin"), "Adresse BAL", "not an address"),
        (mailbox_line("zoé@lyon.mssante.fr"), "Adresse BAL", "not an address"),
        (mailbox_line("279035121518989@patient.mssante.fr"), "Adresse BAL", "a patient's address"),
        (mailbox_line("279032A21518989@autre.mssante.fr"), "Adresse BAL", "a patient's address"),
        (mailbox_line(type_de_bal="USA"), "Type de BAL", "unknown kind"),
        (mailbox_line(nom_d="") , "Nom d'exercice", "no name"),
        (mailbox_line(type_de_bal="ORG", identification_structure=""), "Identification Structure", "no structure"),
        (mailbox_line(type_de_bal="CAB", identification_nationale=""), "Identification nationale PP", "no holder"),
        (mailbox_line(nom_d="MAR\x07TIN"), "", "control character"),
        (mailbox_line(nom_d="MAR\u202eTIN"), "", "control character"),
        (mailbox_line() + "|x", "", "32 columns in place of 31"),
        (mailbox_line().rpartition("|")[0], "", "30 columns in place of 31"),
        (mailbox_line(nom_d="M" * 20_000), "", "line longer than 16384 octets"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_told_and_the_rest_goes_on(
    imports: Imports, line: str, column: str, reason: str
) -> None:
    outcome = imports.mailboxes(mailbox_line("a@x.mssante.fr"), line, mailbox_line("b@x.mssante.fr"))
    assert outcome.wrong == 1
    assert addresses(imports) == ["a@x.mssante.fr", "b@x.mssante.fr"]
    assert imports.wrong(outcome) == [["3", column, reason]]


def test_a_line_that_is_no_utf_8_is_told(imports: Imports) -> None:
    text = "\n".join((MAILBOX_HEADER, mailbox_line("a@x.mssante.fr"))).encode() + b"\n"
    outcome = imports.run(imports.file(text + mailbox_line().encode("latin-1") + b"\n"))
    assert imports.wrong(outcome) == [["3", "", "not UTF-8"]]
    assert outcome.added == 1


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"numéro_finess_site": "690000006"}, "finess-check-digit"),
        ({"numéro_siret_site": "73282932000075"}, "siret-check-digit"),
        ({"numéro_siren_site": "1"}, "siren-length"),
    ],
)
def test_a_wrong_number_of_a_structure_is_told(imports: Imports, given: dict[str, str], reason: str) -> None:
    outcome = imports.activity(activity_line(**given))
    assert [row[2] for row in imports.wrong(outcome)] == [reason]


def test_a_wrong_line_is_told_in_a_sentence_for_people_and_a_word_for_machines(imports: Imports) -> None:
    outcome = imports.mailboxes(
        mailbox_line(identification_nationale="899700000006"), mailbox_line(type_de_bal="USA")
    )
    told = Path(outcome.wrong_report).read_text(encoding="utf-8-sig").splitlines()
    mistyped = "The last digit of the RPPS number does not match the others: one of them was mistyped."
    assert told == [
        "line;column;reason;sentence",
        f"2;Identification nationale PP;rpps-check-digit;{mistyped}",
        "3;Type de BAL;unknown kind;There is no such kind of mailbox.",
    ]


def test_reports_hold_no_line_and_are_closed_to_others(imports: Imports) -> None:
    outcome = imports.mailboxes(mailbox_line(identification_nationale="899700000006"))
    report = Path(outcome.wrong_report)
    assert report.stat().st_mode & 0o077 == 0
    assert "MARTIN" not in report.read_text()
    assert "899700000006" not in report.read_text()


def test_a_name_of_thousands_of_letters_is_none(imports: Imports) -> None:
    given = {"Nom d'exercice": "A" * 9_000}
    outcome = imports.mailboxes(mailbox_line("a@x.mssante.fr", **given), mailbox_line("b@x.mssante.fr"))
    assert addresses(imports) == ["b@x.mssante.fr"]
    assert [row[2] for row in imports.wrong(outcome)] == ["a value of more than 500 characters"]


def test_no_cell_of_a_report_is_a_formula(imports: Imports) -> None:
    outcome = imports.mailboxes(mailbox_line("=1+1@x.mssante.fr"), mailbox_line("+a@x.mssante.fr"))
    told = Path(outcome.changes_report).read_text(encoding="utf-8-sig").splitlines()[1:]
    assert sorted(told) == ["added;'+a@x.mssante.fr", "added;'=1+1@x.mssante.fr"]


def test_what_stood_right_before_is_kept_where_its_line_is_wrong_now(both: Imports) -> None:
    both.mailboxes(mailbox_line(), mailbox_line("b@x.mssante.fr"))
    outcome = both.mailboxes(mailbox_line(type_de_bal="?"), mailbox_line("b@x.mssante.fr"))
    assert (outcome.wrong, outcome.kept, outcome.removed) == (1, 1, 0)
    assert addresses(both) == ["b@x.mssante.fr", ADDRESS]
    both.activity(activity_line())
    outcome = both.activity(activity_line(numéro_finess_site="690000006"))
    assert (outcome.wrong, outcome.kept, outcome.struck_off) == (1, 1, [])


def test_a_practice_s_address_has_the_holders_of_all_its_lines(both: Imports) -> None:
    lines = [
        mailbox_line("cab@x.mssante.fr", type_de_bal="CAB", identification_nationale=one) for one in RPPS[:3]
    ]
    outcome = both.mailboxes(lines[0], mailbox_line(), *lines[1:])
    assert (outcome.added, outcome.repeated) == (2, 0)
    kept = both.database.read(lambda sql: reading.mailbox(sql, "cab@x.mssante.fr"))
    assert kept is not None
    assert [one.national_id for one in kept.value.holders] == list(RPPS[:3])


def test_a_holder_who_joins_or_leaves_a_practice_is_seen_alone(both: Imports) -> None:
    lines = [
        mailbox_line("cab@x.mssante.fr", type_de_bal="CAB", identification_nationale=one) for one in RPPS[:3]
    ]

    def holders() -> list[str]:
        kept = both.database.read(lambda sql: reading.mailbox(sql, "cab@x.mssante.fr"))
        return [] if kept is None else [one.national_id for one in kept.value.holders]

    both.mailboxes(*lines[:2])
    assert counted(both.mailboxes(*lines)) == (0, 1, 0)
    assert holders() == list(RPPS[:3])
    assert counted(both.mailboxes(lines[0], lines[2])) == (0, 1, 0)
    assert holders() == [RPPS[0], RPPS[2]]
    assert counted(both.mailboxes()) == (0, 0, 1)


def test_an_address_that_stands_twice_is_one_mailbox_of_the_line_that_says_most(imports: Imports) -> None:
    poor = mailbox_line(identification_structure="", dématérialisation="N")
    outcome = imports.mailboxes(poor, mailbox_line(), mailbox_line())
    assert (outcome.added, outcome.repeated) == (1, 2)
    assert "repeated 3 times" in imports.wrong(outcome)[0][2]
    kept = imports.database.read(lambda sql: reading.mailbox(sql, ADDRESS))
    assert kept is not None
    assert kept.value.organisation is not None


def test_a_file_that_takes_too_much_away_is_refused(both: Imports) -> None:
    lines = [mailbox_line(f"m{number}@x.mssante.fr") for number in range(20)]
    both.mailboxes(*lines)
    before = both.state()
    with pytest.raises(ImportRefused, match="10 of 20") as refused:
        both.mailboxes(*lines[:10], mailbox_line("new@x.mssante.fr"), largest_fall=0.05)
    assert refused.value.reason == "fall"
    assert both.state() == before
    outcome = both.mailboxes(*lines[:10], largest_fall=0.05, force=True)
    assert outcome.removed == 10
    assert both.read("SELECT state FROM import_run ORDER BY started_at") == [
        ("done",),
        ("refused",),
        ("done",),
    ]


def test_a_dry_run_tells_and_changes_nothing(both: Imports) -> None:
    both.mailboxes(*(mailbox_line(f"{one}@x.mssante.fr") for one in "abc"))
    before = both.state()
    runs = both.read("SELECT count(*) FROM import_run")
    outcome = both.mailboxes(
        mailbox_line("a@x.mssante.fr", dématérialisation="N"),
        mailbox_line("b@x.mssante.fr"),
        mailbox_line("d@x.mssante.fr"),
        mailbox_line("bad", identification_nationale=RPPS[1], nom_d="AUTRE"),
        dry_run=True,
    )
    assert counted(outcome, ("added", "changed", "removed", "wrong")) == (1, 1, 1, 1)
    assert both.state() == before
    assert both.read("SELECT count(*) FROM import_run") == runs


def reordered(header: str, *lines: str) -> str:
    """The same file with its columns in another order: no line has the octets it had."""
    rows = [line.split("|") for line in (header, *lines)]
    return "".join("|".join(reversed(row)) + "\n" for row in rows)


def test_a_dry_run_counts_what_the_import_would_do_and_not_whose_octets_moved(both: Imports) -> None:
    lines = [mailbox_line(f"{one}@x.mssante.fr") for one in "abc"]
    practice = activity_line(), activity_line(RPPS[1], nom_d="DUPONT")
    both.mailboxes(*lines)
    both.activity(*practice)
    ours = Mailbox("d@x.mssante.fr", Kind.PER, (Professional(RPPS[0], family="MARTIN"),), origin=Origin.OWN)
    both.database.write(lambda sql: put_mailboxes(sql, [ours], at=1))
    lines[1] = mailbox_line("b@x.mssante.fr", dématérialisation="N")
    lines[2] = mailbox_line("c@x.mssante.fr", identification_nationale=RPPS[1], nom_d="DUPONT")
    files = (
        reordered(MAILBOX_HEADER, *lines, mailbox_line("d@x.mssante.fr"), mailbox_line("e@x.mssante.fr")),
        reordered(ACTIVITY_HEADER, practice[0], practice[1].replace("|Lyon|", "|Bron|")),
    )
    told: list[list[Any]] = []
    for dry in (True, False):
        for text in files:
            outcome = both.run(both.file(text), dry_run=dry)
            changes = Path(outcome.changes_report).read_text(encoding="utf-8-sig").splitlines()
            told.append(
                [counted(outcome, ("added", "changed", "removed", "refused", "unchanged")), sorted(changes)]
            )
    assert told[:2] == told[2:]
    assert [counts for counts, _ in told[:2]] == [(1, 2, 0, 1, 0), (0, 1, 0, 0, 0)]


def test_who_is_gone_from_the_activity_file_is_struck_off_and_comes_back(both: Imports) -> None:
    both.mailboxes(mailbox_line())
    both.activity(activity_line(), activity_line(RPPS[1], nom_d="DUPONT"))
    outcome = both.activity(activity_line(RPPS[1], nom_d="DUPONT"))
    assert outcome.struck_off == [RPPS[0]]
    assert both.database.read(lambda sql: reading.mailbox(sql, ADDRESS)) is None
    assert both.database.read(lambda sql: reading.deliverable(sql, ADDRESS)) is True
    outcome = both.activity(activity_line(), activity_line(RPPS[1], nom_d="DUPONT"))
    assert outcome.reinstated == [RPPS[0]]
    assert both.database.read(lambda sql: reading.mailbox(sql, ADDRESS)) is not None


def test_who_only_moves_is_not_struck_off(imports: Imports) -> None:
    imports.activity(activity_line())
    outcome = imports.activity(activity_line(code_mode="L"))
    assert (counted(outcome), outcome.struck_off) == ((1, 0, 1), [])


def test_what_is_ours_is_left_alone_until_it_is_free(imports: Imports) -> None:
    ours = Mailbox(ADDRESS, Kind.PER, (Professional(RPPS[0], family="MARTIN"),), origin=Origin.OWN)
    imports.database.write(lambda sql: put_mailboxes(sql, [ours], at=1))
    outcome = imports.mailboxes(mailbox_line(), mailbox_line("b@x.mssante.fr"))
    assert (outcome.added, outcome.refused) == (1, 1)
    imports.mailboxes(mailbox_line("b@x.mssante.fr"))  # not in the national file: still ours
    assert ADDRESS in addresses(imports)
    imports.database.write(_take_out)
    outcome = imports.mailboxes(mailbox_line(), mailbox_line("b@x.mssante.fr"))
    assert outcome.added == 1
    assert ADDRESS in addresses(imports)


def _take_out(sql: Sql) -> None:
    remove_mailboxes(sql, [ADDRESS], 5)


def test_an_address_we_took_and_gave_back_is_listed_again(imports: Imports) -> None:
    imports.mailboxes(mailbox_line())
    ours = Mailbox(ADDRESS, Kind.PER, (Professional(RPPS[0], family="MARTIN"),), origin=Origin.OWN)
    imports.database.write(lambda sql: put_mailboxes(sql, [ours], at=1))
    imports.database.write(_take_out)
    assert imports.mailboxes(mailbox_line()).added == 1
    assert len(imports.read("SELECT 1 FROM line")) == 1


def test_what_is_gone_while_it_was_ours_is_not_taken_out(imports: Imports) -> None:
    imports.mailboxes(mailbox_line(), mailbox_line("b@x.mssante.fr"))
    ours = Mailbox(ADDRESS, Kind.PER, (Professional(RPPS[0], family="MARTIN"),), origin=Origin.OWN)
    imports.database.write(lambda sql: put_mailboxes(sql, [ours], at=1))
    outcome = imports.mailboxes(mailbox_line("b@x.mssante.fr"))
    assert outcome.removed == 0
    assert ADDRESS in addresses(imports)


def test_a_file_that_would_fill_the_memory_is_refused(
    imports: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few lines that stand for the same, each as long as a line may be."""
    monkeypatch.setattr("directory.imports.run._KEPT_OCTETS", 100_000)
    lines = [
        mailbox_line("cabinet@lyon.mssante.fr", **{"Service de rattachement": f"{number}" + "x" * 400})
        for number in range(300)
    ]
    with pytest.raises(ImportRefused, match="stand for the same"):
        imports.mailboxes(*lines)


def test_a_file_of_too_many_lines_is_refused_before_anything_is_written(
    imports: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("directory.imports.run._MOST_LINES", 5)
    with pytest.raises(ImportRefused, match="lines is read"):
        imports.mailboxes(*(mailbox_line(f"p{number}@lyon.mssante.fr") for number in range(10)))
    assert addresses(imports) == []


def test_one_import_goes_on_at_a_time(both: Imports) -> None:
    both.mailboxes(mailbox_line())
    with own_turn(both.database, both.reports), pytest.raises(ImportRefused, match="Another import"):
        both.mailboxes(mailbox_line())
    assert both.mailboxes(mailbox_line()).unchanged == 1


def test_both_files_tell_of_one_person_and_one_structure(both: Imports) -> None:
    both.mailboxes(mailbox_line())
    both.activity(activity_line(numéro_siret_site="73282932000074"))
    assert both.read("SELECT national_id, siret, commune FROM organisation") == [
        (f"1{FINESS}", "73282932000074", "Lyon")
    ]
    assert both.read("SELECT count(*) FROM professional") == [(1,)]
    assert both.read("SELECT address FROM card") == [(ADDRESS,)]


def test_a_later_import_comes_to_what_a_first_one_would(both: Imports, tmp_path: Path) -> None:
    first, later = tmp_path / "first.txt", tmp_path / "later.zip"
    for write in (write_mailboxes, write_activity):
        write(first, 400, wrong=0.01)
        write(later, 400, wrong=0.0, diff=0.2)
        both.run(first)
        both.run(later)
        write(first, 400, wrong=0.0)
        both.run(first)
        again = both.run(first)
        assert counted(again) == (0, 0, 0)
    went_round = both.state()
    for kind in ("card", "mailbox", "situation", "holder", "line"):
        assert went_round[kind], kind
    fresh = _fresh(both, tmp_path)
    for kind in ("situation", "holder", "line"):
        assert went_round[kind] == fresh[kind], kind
    # But for who was in the file for a while, and is struck off since: what is shown of them.
    assert [row[:-1] for row in went_round["mailbox"]] == [row[:-1] for row in fresh["mailbox"]]


def _fresh(both: Imports, tmp_path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What the last files alone make of an emptied database."""

    def empty(sql: Sql) -> None:
        tables = ("line", "mailbox_holder", "mailbox", "situation", "professional", "organisation")
        for table in tables:
            sql.run(f"DELETE FROM {table}")
        if both.database.dialect == "sqlite":
            sql.run("INSERT INTO card_index (card_index) VALUES ('delete-all')")
        sql.run("DELETE FROM card")

    both.database.write(empty)
    for write in (write_mailboxes, write_activity):
        write(tmp_path / "only.txt", 400, wrong=0.0)
        both.run(tmp_path / "only.txt")
    return both.state()


def test_how_far_it_is_is_told(imports: Imports, tmp_path: Path) -> None:
    path = tmp_path / "many.txt"
    write_mailboxes(path, 300)
    imports.run(path)
    stages = [stage for stage, _, _ in imports.told]
    assert stages == ["reading", "importing"]
    assert all(done == total == os.path.getsize(path) for _, done, total in imports.told)
