"""A national file as lines: plain or zip, whatever is in it, within bounds."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.demo.directory_files import ACTIVITY_HEADER, MAILBOX_HEADER, write_activity
from directory.imports import source
from directory.imports.activity_lines import ActivityLines
from directory.imports.columns import ACTIVITY, MAILBOX, Columns
from directory.imports.mailbox_lines import MailboxLines
from directory.imports.once import OnceFilter
from directory.imports.source import LONGEST_LINE, Reading, lines
from directory.imports.wrong import ImportRefused, LineWrong
from tests.directory.imports.conftest import activity_line, mailbox_line


def zipped(path: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ImportRefused) as refused:
        list(lines(path))
    return refused.value.reason


@given(
    st.lists(st.binary(max_size=40).filter(lambda one: b"\n" not in one and not one.endswith(b"\r"))),
    st.sampled_from([b"\n", b"\r\n"]),
    st.booleans(),
    st.integers(3, 9),
)
def test_every_line_comes_once_whatever_the_blocks(
    content: list[bytes], end: bytes, zip_it: bool, block: int
) -> None:
    text = b"".join(one + end for one in content)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "_BLOCK", block)
        path = Path(folder, "national")
        if zip_it:
            zipped(path, ("national.txt", text))
        else:
            path.write_bytes(text)
            if zipfile.is_zipfile(path):
                return
        expected = [content[0].removeprefix(b"\xef\xbb\xbf"), *content[1:]] if content else []
        assert list(lines(path)) == expected


def test_a_zip_is_read_without_being_unpacked(tmp_path: Path) -> None:
    write_activity(tmp_path / "plain.txt", 50)
    write_activity(tmp_path / "packed.zip", 50)
    before = set(tmp_path.iterdir())
    assert list(lines(tmp_path / "packed.zip")) == list(lines(tmp_path / "plain.txt"))
    assert set(tmp_path.iterdir()) == before
    assert source.size_of(tmp_path / "packed.zip") == (tmp_path / "plain.txt").stat().st_size


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    bomb = zipped(tmp_path / "bomb.zip", ("n.txt", b"0" * 50_000_000))
    assert refusal(bomb) == "archive-bomb"


def test_a_bomb_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "bomb.zip", ("n.txt", b"0\n" * 25_000_000))
    content = path.read_bytes()
    true = (50_000_000).to_bytes(4, "little")
    path.write_bytes(content.replace(true, (1000).to_bytes(4, "little")))
    assert refusal(path) in ("archive-bomb", "archive-broken")


def test_of_an_archive_with_several_files_the_national_one_is_read(tmp_path: Path) -> None:
    write_activity(tmp_path / "plain.txt", 50)
    national = (tmp_path / "plain.txt").read_bytes()
    others = (
        "PS_LibreAcces_SavoirFaire.txt",
        b"Type d'identifiant PP|Identifiant PP|Code savoir-faire\n",
    )
    packed = zipped(tmp_path / "PS_LibreAcces.zip", others, ("activite.txt", b"\xef\xbb\xbf" + national))
    assert list(lines(packed)) == list(lines(tmp_path / "plain.txt"))
    assert source.size_of(packed) == len(national) + 3


def test_an_archive_with_both_national_files_is_refused(tmp_path: Path) -> None:
    both = zipped(
        tmp_path / "both.zip",
        ("a.txt", ACTIVITY_HEADER.encode()),
        ("m.txt", MAILBOX_HEADER.encode() + b"\r\n"),
    )
    with pytest.raises(
        ImportRefused, match="holds 2 files, 2 of them national: one national file is expected"
    ):
        list(lines(both))
    many = zipped(tmp_path / "many.zip", *((f"{number}.txt", b"x\n") for number in range(30)))
    assert refusal(many) == "archive-several"


def test_odd_archives_are_refused(tmp_path: Path) -> None:
    assert refusal(zipped(tmp_path / "two.zip", ("a.txt", b"a"), ("b.txt", b"b"))) == "archive-several"
    assert refusal(zipped(tmp_path / "none.zip")) == "archive-several"
    packed = zipped(tmp_path / "cut.zip", ("a.txt", bytes(range(256)) * 5000))
    content = bytearray(packed.read_bytes())
    content[60] ^= 0xFF
    packed.write_bytes(bytes(content))
    assert refusal(packed) == "archive-broken"
    encrypted = bytearray(zipped(tmp_path / "secret.zip", ("a.txt", b"a")).read_bytes())
    for marker, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[encrypted.index(marker) + at] |= 1
    (tmp_path / "secret.zip").write_bytes(bytes(encrypted))
    assert refusal(tmp_path / "secret.zip") == "archive-encrypted"


def test_a_line_without_end_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_bytes(b"first\n" + b"x" * 5_000_000 + b"\nlast\n")
    found = list(lines(path))
    assert (found[0], found[2]) == (b"first", b"last")
    assert LONGEST_LINE < len(found[1]) <= LONGEST_LINE + 2 * source._BLOCK  # pyright: ignore[reportPrivateUsage]


def test_how_far_it_is_ends_at_the_size(tmp_path: Path) -> None:
    write_activity(tmp_path / "plain.txt", 50)
    reading = Reading(source.size_of(tmp_path / "plain.txt"))
    list(lines(tmp_path / "plain.txt", reading))
    assert reading.done == reading.total


FORMS = (MailboxLines(MAILBOX_HEADER.encode()), ActivityLines(ACTIVITY_HEADER.encode()))


@given(st.sampled_from(FORMS), st.binary(max_size=400))
def test_any_octets_are_a_line_or_wrong(form: MailboxLines | ActivityLines, line: bytes) -> None:
    with pytest.raises(LineWrong):
        form.value(line)
    assert form.rough_owner(line) is None or line
    form.clear_key(line)


@given(st.sampled_from((0, 1)), st.data())
def test_any_fields_are_a_value_or_wrong(which: int, data: st.DataObject) -> None:
    form, right = FORMS[which], (mailbox_line(), activity_line())[which]
    fields = right.split("|")
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(fields) - 1))
        fields[place] = data.draw(st.text(st.characters(exclude_characters="|", codec="utf-8"), max_size=30))
    try:
        value = form.value("|".join(fields).encode())
    except LineWrong:
        return
    assert form.owner(value)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("header", "wanted"), [(MAILBOX_HEADER, MAILBOX), (ACTIVITY_HEADER, ACTIVITY)])
def test_every_column_has_a_place_of_its_own(header: str, wanted: tuple[str, ...]) -> None:
    columns = Columns(header.encode(), wanted)
    assert [columns.at[one] for one in wanted] == list(range(len(header.split("|"))))


def test_who_came_before_is_always_told_and_few_others_are() -> None:
    once = OnceFilter()
    assert sum(once.again(("some", number)) for number in range(50_000)) < 50
    assert all(once.again(("some", number)) for number in range(50_000))


def test_an_archive_may_be_held_in_memory_alone() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", b"a\nb")
    with tempfile.NamedTemporaryFile() as file:
        file.write(buffer.getvalue())
        file.flush()
        assert list(lines(Path(file.name))) == [b"a", b"b"]
