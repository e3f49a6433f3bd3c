"""A hospital's night: the sender and the node are killed, some reports are bad, and the morning adds up."""

from __future__ import annotations

import contextlib
import csv
import imaplib
import io
import os
import signal
import sqlite3
import time
from collections import Counter

import pytest

from deploy.demo import clients, letters, world
from tests.nights import BAD, Night

pytestmark = pytest.mark.faults
REPORTS = int(os.environ.get("VAGUEMESTRE_NIGHT_REPORTS", "120"))
BAD_ONES = max(len(BAD), REPORTS // 100)


@pytest.mark.timeout(900)
def test_a_night_with_kills_adds_up_in_the_morning_and_files_each_report_once(
    fragile: tuple[world.World, world.NodeProcess],
) -> None:
    made, process = fragile
    night = Night(made)
    began = time.monotonic()
    night.put(REPORTS, BAD_ONES, lambda each: f"Opale-nocturne {each:05d}", _marked)
    try:
        night.start()
        for share in (0.1, 0.3, 0.5, 0.7):
            _wait_for(night, int(REPORTS * share))
            if share in (0.1, 0.5):
                night.kill()
                night.start()
            else:
                os.kill(process.pid, signal.SIGKILL)
                process.restart()
                process.wait_ready(made.ports)
        found = night.wait_all(REPORTS, 600)
        night.stop()
    finally:
        night.close()
    print(f"{REPORTS} reports, {BAD_ONES} bad, 4 kills: {time.monotonic() - began:.0f} s")

    good = REPORTS - BAD_ONES
    assert (found["sent"], found["refused"], found["waiting"]) == (good, BAD_ONES, 0)
    assert _filed(made) == good, "each good one is filed once"

    told = made.command("report_morning", address=world.HOSPITAL, send=True)
    assert told["handed_in"] == REPORTS
    assert told["delivered"] + told["waiting"] + told["refused"] == REPORTS
    assert (told["waiting"], told["refused"]) == (good, BAD_ONES)
    rows = list(csv.DictReader(io.StringIO(told["csv"]), delimiter=";"))
    assert len(rows) == REPORTS == len({row["reference"] for row in rows})
    causes = Counter(row["cause"] for row in rows if row["outcome"] == "refused")
    assert causes == Counter(night.bad.values())
    again = made.command("report_morning", address=world.HOSPITAL, day=told["day"])
    assert again["csv"] == told["csv"], "it can be printed again as it was"

    _nothing_in_clear(made, night)
    _reasons_name_no_content(night)


def _marked(each: int) -> bytes:
    return letters.pdf(f"Opale-nocturne {each:05d}", 12_000)


def _wait_for(night: Night, handed_over: int) -> None:
    deadline = time.monotonic() + 300
    while True:
        found = night.counts()
        if found["sent"] + found["refused"] >= handed_over:
            return
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def _filed(made: world.World) -> int:
    """Letters that lie in patients' accounts, those of the demo's own people apart."""
    database = next(made.node.rglob("mail.db"))
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        row = connection.execute(
            "SELECT count(*) FROM message WHERE account_id IN (SELECT account FROM patient)"
        ).fetchone()
    return row[0]


def _nothing_in_clear(made: world.World, night: Night) -> None:
    words = [b"Opale-nocturne", b"Nocturne-", "Opale-nocturne".encode("utf-16-le")]
    words += [one["ins"].encode() for one in night.people]
    for root in (made.node, night.spool, night.place / "key"):
        for path in root.rglob("*"):
            with contextlib.suppress(FileNotFoundError):  # the node writes while it is looked at
                content = path.read_bytes() if path.is_file() else b""
                assert not any(word in content for word in words), path
    for log in (made.folder / "node.log", night.place / "sender.log"):
        assert not any(word in log.read_bytes() for word in words), log
    # The hospital's own files are removed once the node has the letter; those refused lie with their reason.
    left = {path.name for path in night.folder.iterdir() if path.is_file()}
    assert left == set()
    assert list((night.folder / "taken").iterdir()) == []
    assert list((night.folder / "done").iterdir()) == []


def _reasons_name_no_content(night: Night) -> None:
    refused = night.folder / "refused"
    assert {path.name.removesuffix(".reason.txt") for path in refused.glob("*.reason.txt")} == set(night.bad)
    for name in night.bad:
        text = (refused / f"{name}.reason.txt").read_text()
        assert "Non envoyé" in text
        assert "Opale" not in text
        assert "Nocturne" not in text
        assert (refused / f"{name}.pdf").exists()


def test_the_morning_letter_lies_sealed_in_the_sending_account(
    fragile: tuple[world.World, world.NodeProcess],
) -> None:
    made, _ = fragile
    night = Night(made, patients=1)
    night.put(3, 1, lambda each: "Opale", _marked)
    try:
        night.start()
        night.wait_all(3, 240)
        night.stop()
    finally:
        night.close()
    told = made.command("report_morning", address=world.HOSPITAL, send=True)
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    with imaplib.IMAP4_SSL("localhost", made.ports["imaps"], ssl_context=context, timeout=60) as imap:
        imap.authenticate("EXTERNAL", lambda _: b"")
        letter = clients.newest(imap)
    assert b"suivi@" in letter
    assert b"envois_" in letter
    assert b"Nocturne" not in letter, "no name of a patient"
    assert told["handed_in"] == 3
