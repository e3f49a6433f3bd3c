"""The trace attacked: each attack is found, and where."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from policies.audit import entry, heads
from policies.audit.heads import HeadsFile
from policies.audit.trail import ChainedTrail, heads_of
from policies.audit.verify import LOWEST, merged, verify, walk
from policies.interface import Event

DAY = 86_400_000
START = 20_000 * DAY
_CUT = "UPDATE audit_head SET seq = {0}, functional = (SELECT link FROM audit_entry WHERE seq = {0})"


def event(action: str = "deliver", at: int = START, **more: Any) -> Event:
    return Event(action, at, more.pop("actor", "operator:CN=mx,C=FR"), **more)


@pytest.fixture
def chain(sql: Any) -> Any:
    """Three days of ten entries, every third one of the technical class."""
    trail = ChainedTrail("node")
    for day in range(3):
        at = START + day * DAY
        trail.append(
            sql,
            [
                event("login" if number % 3 == 0 else "deliver", at + number, subject=f"s{number}")
                for number in range(10)
            ],
        )
    return sql


def found(sql: Any, **more: Any) -> list[tuple[int, int, str]]:
    return [(each.seq, each.until, each.reason) for each in verify(sql, "node", **more).breaks]


@pytest.mark.parametrize(
    ("attack", "seq"),
    [
        ("UPDATE audit_entry SET outcome = 'refused' WHERE seq = 13", 13),
        ('UPDATE audit_entry SET detail = \'{"size":"9"}\' WHERE seq = 13', 13),
        ("UPDATE audit_entry SET behalf = 'x' WHERE seq = 13", 13),
        ("UPDATE audit_entry SET at = at + 1 WHERE seq = 15", 15),
        ("UPDATE audit_entry SET retention = 0 WHERE seq = 15", 15),
        ("UPDATE audit_entry SET day = day + 1 WHERE seq = 15", 15),
        ("UPDATE audit_entry SET salt = zeroblob(16) WHERE seq = 2", 2),
        ("UPDATE audit_entry SET link = zeroblob(32) WHERE seq = 2", 2),
        ("UPDATE audit_entry SET leaf = zeroblob(32) WHERE seq = 2", 2),
    ],
)
def test_an_entry_that_was_changed_is_found(chain: Any, attack: str, seq: int) -> None:
    chain.run(attack)
    first = found(chain)[0]
    assert (first[0], first[2]) == (seq, "altered")


def test_an_entry_changed_behind_its_true_leaf_is_found(chain: Any) -> None:
    row = chain.one(f"SELECT {', '.join(entry.COLUMNS)} FROM audit_entry WHERE seq = 6")
    leaf = entry.leaf_of(row[-3], row[: entry.FIELDS])
    chain.run("UPDATE audit_entry SET leaf = ?, actor = 'somebody else' WHERE seq = 6", (leaf,))
    assert found(chain) == [(6, 0, "altered")]


def test_an_entry_that_was_removed_is_found(chain: Any) -> None:
    chain.run("DELETE FROM audit_entry WHERE seq = 12")
    assert found(chain) == [(12, 12, "missing")]


def test_a_run_of_entries_that_was_removed_is_found(chain: Any) -> None:
    chain.run("DELETE FROM audit_entry WHERE seq BETWEEN 4 AND 7")
    assert found(chain) == [(4, 7, "missing")]


def test_the_first_entries_removed_are_found(chain: Any) -> None:
    chain.run("DELETE FROM audit_entry WHERE seq <= 2")
    assert found(chain) == [(1, 2, "missing")]


def test_removal_hidden_by_new_numbers_is_found_at_the_first_that_moved(chain: Any) -> None:
    chain.run("DELETE FROM audit_entry WHERE seq = 12")
    for seq in range(13, 31):
        chain.run("UPDATE audit_entry SET seq = ? WHERE seq = ?", (seq - 1, seq))
    assert found(chain)[0][:1] + found(chain)[0][2:] == (12, "altered")


def test_entries_that_changed_places_are_found(chain: Any) -> None:
    for old, new in ((15, 99), (18, 15), (99, 18)):
        chain.run("UPDATE audit_entry SET seq = ? WHERE seq = ?", (new, old))
    assert {(seq, reason) for seq, _, reason in found(chain)} >= {(15, "altered"), (18, "altered")}


def test_an_entry_put_in_beyond_the_end_is_found(chain: Any) -> None:
    chain.run(
        f"INSERT INTO audit_entry ({', '.join(entry.COLUMNS)}) SELECT chain, 31,"
        f" {', '.join(entry.COLUMNS[2:])} FROM audit_entry WHERE seq = 30"
    )
    assert found(chain) == [(31, 31, "altered")]


def test_a_whole_day_that_was_removed_is_found_and_named(chain: Any) -> None:
    chain.run("DELETE FROM audit_entry WHERE seq BETWEEN 11 AND 20")
    (gap,) = verify(chain, "node").breaks
    assert (gap.seq, gap.until, gap.reason, gap.day) == (11, 20, "day-missing", 20_001)


def test_a_whole_day_removed_with_new_numbers_behind_it_is_found(chain: Any) -> None:
    chain.run("DELETE FROM audit_entry WHERE seq BETWEEN 11 AND 20")
    for seq in range(21, 31):
        chain.run("UPDATE audit_entry SET seq = ? WHERE seq = ?", (seq - 10, seq))
    chain.run("UPDATE audit_head SET seq = 20")
    assert found(chain)[0] == (11, 20, "altered")


def test_a_tail_that_was_cut_is_found_by_the_node_s_own_head(chain: Any) -> None:
    chain.run("DELETE FROM audit_entry WHERE seq > 25")
    assert found(chain) == [(26, 30, "tail-cut")]


def test_a_clock_put_back_is_found_where_it_stepped(sql: Any) -> None:
    trail, hour = ChainedTrail("node"), 3_600_000
    times = [0, 1, 2, 2 - hour, 3 - hour, 4 - hour, 5, 6]
    trail.append(sql, [event(at=START + time) for time in times])
    verdict = verify(sql, "node")
    assert verdict.whole
    assert [(step.seq, step.at, step.after) for step in verdict.steps] == [(4, START + 2 - hour, START + 2)]


def test_an_act_written_a_little_late_is_no_step_of_the_clock(sql: Any) -> None:
    ChainedTrail("node").append(sql, [event(at=START), event(at=START - 60_000), event(at=START + 1)])
    assert verify(sql, "node").steps == []


def test_a_line_taken_out_of_the_index_of_persons_is_found(chain: Any) -> None:
    chain.run("DELETE FROM audit_party WHERE seq = 9")
    assert found(chain) == [(0, 0, "index")]


def test_every_break_is_told_not_only_the_first(chain: Any) -> None:
    chain.run("UPDATE audit_entry SET outcome = 'x' WHERE seq IN (3, 9, 21)")
    assert [seq for seq, *_ in found(chain)] == [3, 9, 21]


@pytest.mark.parametrize("size", [1, 4, 7, 10, 30])
@pytest.mark.parametrize(
    "attack",
    [
        "",
        "UPDATE audit_entry SET outcome = 'x' WHERE seq IN (4, 17)",
        "DELETE FROM audit_entry WHERE seq BETWEEN 5 AND 13",
        "DELETE FROM audit_entry WHERE seq > 22",
        "DELETE FROM audit_entry WHERE seq = 8",
    ],
)
def test_parts_walked_apart_find_what_one_walk_finds(chain: Any, attack: str, size: int) -> None:
    if attack:
        chain.run(attack)
    bounds = [LOWEST, *range(size + 1, 31, size), 31]
    parts = [walk(chain, "node", low, below) for low, below in itertools.pairwise(bounds)]
    whole = verify(chain, "node")
    apart = merged(chain, "node", parts, 30)
    assert apart.whole == whole.whole
    assert [(each.seq, max(each.until, each.seq)) for each in apart.breaks] == [
        (each.seq, max(each.until, each.seq)) for each in whole.breaks
    ]


# -- heads noted outside ---------------------------------------------------------------------------------------


KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes_raw().hex()


@pytest.fixture
def file(sql: Any, tmp_path: Path) -> HeadsFile:
    """Noted after each of three days of ten entries."""
    file = HeadsFile(tmp_path / "heads.jsonl", "node", KEY)
    trail = ChainedTrail("node")
    for day in range(3):
        trail.append(sql, [event(at=START + day * DAY + number) for number in range(10)])
        file.note(heads_of(sql, "node"), START + (day + 1) * DAY, "day")
    return file


def against(sql: Any, file: HeadsFile, key: str | None = PUBLIC) -> list[tuple[int, int, str]]:
    return found(sql, expected=heads.read(file.path, "node", key).expected)


def test_a_whole_chain_agrees_with_its_heads(sql: Any, file: HeadsFile) -> None:
    noted = heads.read(file.path, "node", PUBLIC)
    assert (noted.lines, noted.faults, [each.seq for each in noted.expected]) == (3, [], [10, 20, 30])
    assert against(sql, file) == []


def test_a_tail_cut_with_the_node_s_own_head_shows_against_the_file(sql: Any, file: HeadsFile) -> None:
    sql.run("DELETE FROM audit_entry WHERE seq > 22")
    sql.run("DELETE FROM audit_party WHERE seq > 22")
    sql.run(_CUT.format(22))
    assert found(sql) == [], "the database alone cannot tell"
    assert against(sql, file) == [(23, 30, "tail-cut")]


def test_a_chain_written_anew_shows_between_the_heads_that_agree_and_the_first_that_does_not(
    sql: Any, file: HeadsFile
) -> None:
    sql.run("DELETE FROM audit_entry WHERE seq > 14")
    sql.run("DELETE FROM audit_party WHERE seq > 14")
    sql.run(_CUT.format(14) + ", functional_day = 20001")
    ChainedTrail("node").append(sql, [event(at=START + 2 * DAY, outcome="other")] * 20)
    assert found(sql) == [], "the database alone cannot tell"
    assert against(sql, file) == [(11, 30, "rewritten")]


def test_a_head_signed_with_another_key_is_forged(sql: Any, file: HeadsFile) -> None:
    forger = HeadsFile(file.path, "node", Ed25519PrivateKey.generate())
    ChainedTrail("node").append(sql, [event(at=START + 4 * DAY)])
    forger.note(heads_of(sql, "node"), START + 5 * DAY, "interval")
    noted = heads.read(file.path, "node", PUBLIC)
    assert [(fault.line, fault.reason) for fault in noted.faults] == [(4, "forged")]
    assert len(noted.expected) == 3


@pytest.mark.parametrize(
    "change", [{"seq": 29}, {"link": "00" * 32}, {"day": "2024-10-07"}, {"at": 1}, {"why": "x"}]
)
def test_a_head_that_was_changed_is_forged(file: HeadsFile, change: dict[str, Any]) -> None:
    lines = file.path.read_bytes().splitlines()
    lines[2] = json.dumps({**json.loads(lines[2]), **change}, separators=(",", ":"), sort_keys=True).encode()
    file.path.write_bytes(b"\n".join(lines) + b"\n")
    faults = heads.read(file.path, "node", PUBLIC).faults
    assert [(fault.line, fault.reason) for fault in faults] == [(3, "forged")]


def test_a_line_taken_out_of_the_file_shows_at_the_next_one(file: HeadsFile) -> None:
    lines = file.path.read_bytes().splitlines(keepends=True)
    file.path.write_bytes(lines[0] + lines[2])
    faults = heads.read(file.path, "node", PUBLIC).faults
    assert [(fault.line, fault.reason) for fault in faults] == [(2, "line-missing")]


@pytest.mark.parametrize("line", [b"[]", b"\xff\xfe", b"{}", b'{"seq":"1"}', b"x" * 5000])
def test_a_line_that_is_no_head_is_told_and_stops_nothing(file: HeadsFile, line: bytes) -> None:
    file.path.write_bytes(line + b"\n" + file.path.read_bytes())
    noted = heads.read(file.path, "node", PUBLIC)
    assert [(fault.line, fault.reason) for fault in noted.faults] == [(1, "unreadable")]
    assert len(noted.expected) == 3


def test_a_file_goes_on_after_a_restart_and_after_a_torn_line(sql: Any, file: HeadsFile) -> None:
    with file.path.open("ab") as torn:
        torn.write(b'{"at":1')
    ChainedTrail("node").append(sql, [event("login", START + 4 * DAY)])
    again = HeadsFile(file.path, "node", KEY)
    assert again.note(heads_of(sql, "node"), START + 5 * DAY, "start") == 1
    assert again.note(heads_of(sql, "node"), START + 5 * DAY, "interval") == 0, "nothing went on"
    noted = heads.read(file.path, "node", PUBLIC)
    assert [(fault.line, fault.reason, fault.harmless) for fault in noted.faults] == [(4, "torn", True)]
    assert [each.seq for each in noted.expected] == [10, 20, 30, 31]
    assert against(sql, file) == []


@pytest.mark.parametrize("left", [1, 5, 100, -2, -1])
def test_the_last_line_torn_anywhere_breaks_nothing(sql: Any, file: HeadsFile, left: int) -> None:
    *whole, last = file.path.read_bytes().splitlines(keepends=True)
    file.path.write_bytes(b"".join(whole) + last[:left])
    again = HeadsFile(file.path, "node", KEY)
    assert again.note(heads_of(sql, "node"), START + 5 * DAY, "start") == (0 if left == -1 else 1)
    noted = heads.read(file.path, "node", PUBLIC)
    assert all(fault.harmless for fault in noted.faults)
    assert [each.seq for each in noted.expected] == [10, 20, 30]
    assert against(sql, file) == []


def test_a_line_shortened_afterwards_still_shows_at_the_next_one(file: HeadsFile) -> None:
    lines = file.path.read_bytes().splitlines(keepends=True)
    file.path.write_bytes(lines[0] + lines[1][:50] + b"\n" + lines[2])
    faults = heads.read(file.path, "node", PUBLIC).faults
    assert [(fault.line, fault.reason) for fault in faults] == [(2, "torn"), (3, "line-missing")]


def test_lines_that_reached_the_disk_in_part_do_not_break_those_after_them(
    sql: Any, file: HeadsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills: the first of two lines stands there whole, the second in part."""

    def full(path: Path, lines: bytes) -> None:
        with path.open("ab") as torn:
            torn.write(lines[: lines.index(b"\n") + 40])
        raise OSError(28, "No space left on device")

    ChainedTrail("node").append(sql, [event(at=START + 4 * DAY), event("login", START + 4 * DAY)])
    with monkeypatch.context() as disk:
        disk.setattr(heads, "_append", full)
        with pytest.raises(OSError, match="No space"):
            file.note(heads_of(sql, "node"), START + 4 * DAY, "interval")
    assert file.note(heads_of(sql, "node"), START + 5 * DAY, "interval") == 1
    noted = heads.read(file.path, "node", PUBLIC)
    assert [fault.reason for fault in noted.faults] == ["torn"]
    assert against(sql, file) == []


def test_a_file_holds_the_heads_of_several_chains_apart(sql: Any, file: HeadsFile) -> None:
    ChainedTrail("second").append(sql, [event()])
    HeadsFile(file.path, "second", KEY).note(heads_of(sql, "second"), START, "start")
    ChainedTrail("node").append(sql, [event(at=START + 4 * DAY)])
    file.note(heads_of(sql, "node"), START + 5 * DAY, "stop")
    assert heads.read(file.path, "node", PUBLIC).faults == []
    assert [each.seq for each in heads.read(file.path, "second", PUBLIC).expected] == [1]


def test_the_file_is_closed_to_others_and_its_key_shows_nowhere(file: HeadsFile) -> None:
    assert file.path.stat().st_mode & 0o027 == 0
    assert KEY.private_bytes_raw().hex() not in repr(file) + file.path.read_text()


def test_what_has_no_end_is_no_file_of_heads() -> None:
    with pytest.raises(OSError, match="no file of heads"):
        heads.read(Path("/dev/zero"), "main")
