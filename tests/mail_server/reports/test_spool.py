"""The spool: what it said it has, it has; nothing lies in clear; the same report is one report."""

from __future__ import annotations

import os

import pytest

from mail_server.keys.kek import make_kek
from mail_server.reports.documents import Source
from mail_server.reports.refusal import ReportRefused
from mail_server.reports.sending import Desk, send_report
from mail_server.reports.spool import Busy, Outcome, Spool, SpoolUnusable, State
from tests.nights import invented, order

PATIENT = invented(3)


def test_what_was_taken_is_there_when_the_spool_is_opened_again(desk, settings, pdf) -> None:
    taken = desk.take(order(PATIENT, "Titre"), Source(pdf))
    letter = desk.spool.letter(taken.reference)
    desk.spool.close()
    again = Spool.open(settings.spool)
    assert [row.reference for row in again.due(10)] == [taken.reference]
    assert again.letter(taken.reference) == letter
    again.close()


def test_files_and_folder_are_on_the_disk_before_the_row_says_so(desk, pdf, monkeypatch) -> None:
    done: list[str] = []
    sync = os.fsync

    def noted(descriptor: int) -> None:
        done.append(os.readlink(f"/proc/self/fd/{descriptor}").rpartition("/")[2])
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    insert = Spool._insert
    monkeypatch.setattr(Spool, "_insert", lambda *given: (done.append("row"), insert(*given))[1])
    taken = desk.take(order(PATIENT, "Titre"), Source(pdf))
    assert [one.split(".")[0] for one in done] == [taken.reference, "letters", "row"]


def test_nothing_of_a_report_lies_in_clear_in_the_spool(desk, settings, pdf) -> None:
    desk.take(order(PATIENT, "Titre-reconnaissable"), Source(pdf, name="nom-reconnaissable"))
    for path in settings.spool.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for word in (
                b"reconnaissable",
                PATIENT["ins"].encode(),
                PATIENT["family_name"].encode(),
                b"%PDF",
            ):
                assert word not in content, path
            assert path.stat().st_mode & 0o077 == 0 or path.suffix in (".db", ".db-wal", ".db-shm")
    assert settings.spool.folder.stat().st_mode & 0o077 == 0


def test_another_key_opens_nothing_and_says_so(desk, settings, pdf, tmp_path) -> None:
    desk.take(order(PATIENT, "Titre"), Source(pdf))
    desk.spool.close()
    make_kek(tmp_path / "other" / "key", settings.spool.folder)
    with pytest.raises(SpoolUnusable, match="not the one"):
        Spool.open(settings.spool.model_copy(update={"key": tmp_path / "other" / "key"}))


def test_a_key_inside_the_spool_is_refused(settings) -> None:
    inside = settings.spool.folder / "key"
    with pytest.raises(SpoolUnusable, match="must not lie under"):
        Spool.open(settings.spool.model_copy(update={"key": inside}))


def test_an_altered_letter_is_not_sent(desk, settings, pdf) -> None:
    taken = desk.take(order(PATIENT, "Titre"), Source(pdf))
    file = settings.spool.folder / "letters" / taken.reference
    octets = bytearray(file.read_bytes())
    octets[200] ^= 1
    file.write_bytes(octets)
    with pytest.raises(SpoolUnusable):
        desk.spool.letter(taken.reference)


def test_a_reference_of_the_hospitals_own_is_taken_once_and_stands_for_one_document(desk, pdf) -> None:
    told = order(PATIENT, "Titre") | {"reference": "DPI-2026-0001"}
    first = desk.take(told, Source(pdf))
    assert first.reference == "DPI-2026-0001"
    assert desk.take(told, Source(pdf)).reference == first.reference
    assert sum(desk.spool.counts().values()) == 1
    with pytest.raises(ReportRefused, match="reference-taken"):
        desk.take(told | {"title": "Autre"}, Source(pdf))
    assert b"Autre" not in desk.spool.letter(first.reference)


def test_one_program_sends_at_a_time_and_the_lock_goes_with_it(desk, settings) -> None:
    other = Spool.open(settings.spool)
    desk.spool.hold_sending()
    with pytest.raises(Busy):
        other.hold_sending()
    desk.spool.close()
    other.hold_sending()
    other.close()


def test_what_is_done_keeps_no_letter_and_is_forgotten_in_time(desk, settings, pdf) -> None:
    taken = desk.take(order(PATIENT, "Titre"), Source(pdf))
    desk.spool.note([Outcome(taken.reference, State.SENT, "250 ok")])
    assert list((settings.spool.folder / "letters").iterdir()) == []
    assert desk.spool.find(taken.reference).about.answer == "250 ok"
    assert desk.spool.forget(0) == 0
    assert desk.spool.forget(2**60) == 1


def test_the_function_keeps_the_report_when_the_node_is_not_there(settings, pdf) -> None:
    object.__setattr__(settings.node, "port", 1)
    taken = send_report(order(PATIENT, "Titre"), pdf, settings=settings)
    assert taken.state is State.WAITING
    desk = Desk.open(settings)
    assert desk.spool.find(taken.reference).attempts == 1
    desk.spool.close()
