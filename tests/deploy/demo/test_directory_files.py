"""The synthetic national files: right where they are to be right, wrong where the real ones are, always the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploy.demo.directory_files import (
    ACTIVITY_HEADER,
    MAILBOX_HEADER,
    main,
    person,
    write_activity,
    write_mailboxes,
)
from deploy.demo.directory_world import write_files
from deploy.demo.sign_in import professionals
from directory.identifiers.national import parse_person
from directory.imports.activity_lines import ActivityLines
from directory.imports.mailbox_lines import MailboxLines
from directory.imports.source import lines
from directory.imports.wrong import LineWrong

_FORMS = [
    (write_mailboxes, MailboxLines(MAILBOX_HEADER.encode())),
    (write_activity, ActivityLines(ACTIVITY_HEADER.encode())),
]


@pytest.mark.parametrize(("write", "form"), _FORMS)
def test_every_line_is_right_unless_it_is_to_be_wrong(write: Any, form: Any, tmp_path: Path) -> None:
    made = write(tmp_path / "right.txt", 2000, wrong=0.0)
    found = list(lines(tmp_path / "right.txt"))[1:]
    assert len(found) == made >= 2000
    assert len({form.owner(form.value(line)) for line in found}) > 1900
    write(tmp_path / "wrong.txt", 2000, wrong=0.05)
    wrong = 0
    for line in list(lines(tmp_path / "wrong.txt"))[1:]:
        try:
            form.value(line)
        except LineWrong:
            wrong += 1
    assert 40 < wrong < 160


@pytest.mark.parametrize(("write", "form"), _FORMS)
def test_the_same_seed_makes_the_same_octets(write: Any, form: Any, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write(tmp_path / name, 300, seed)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


@pytest.mark.parametrize(("write", "form"), _FORMS)
def test_a_later_version_differs_in_its_part(write: Any, form: Any, tmp_path: Path) -> None:
    write(tmp_path / "first", 5000, wrong=0.0)
    write(tmp_path / "later", 5000, wrong=0.0, diff=0.05)
    first, later = (set(lines(tmp_path / name)) for name in ("first", "later"))
    assert 100 < len(first - later) < 400
    assert 100 < len(later - first) < 400


def test_both_files_are_made_by_one_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(tmp_path / "new"), "--rows", "200"])
    names = ("Extraction_Correspondance_MSSante.zip", "PS_LibreAcces_Personne_activite.zip")
    assert {one.name for one in (tmp_path / "new").iterdir()} == set(names)
    told = capsys.readouterr().out.splitlines()
    for name, line in zip(names, told, strict=True):
        count = sum(1 for _ in lines(tmp_path / "new" / name)) - 1
        assert line == f"{tmp_path / 'new' / name}: {count} lines"
        assert count >= 200


def test_people_are_many_and_nobody() -> None:
    people = [person(1, number) for number in range(0, 2_000_000, 400)]
    assert all(parse_person(one.national_id).value.startswith("8997") for one in people)
    assert parse_person(person(1, 99_999).national_id).is_test
    assert len({one.family for one in people}) > 4500
    names = "".join(one.family + one.given for one in people)
    assert all(sign in names for sign in "ÉÈŒ-' ëçœï"[:6])


def test_the_demos_own_professionals_are_nobody_of_the_national_files(tmp_path: Path) -> None:
    files = write_files(tmp_path)
    doctors = professionals({f"doctor{number}@mss.essai.test": ("Camille", "Aubry") for number in range(20)})
    assert not [
        one.national_id
        for one in doctors.values()
        if any(one.national_id in file.read_text() for file in files)
    ]
