"""The processes that read what strangers put into letters: started late, limited, replaced, without secrets."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mail_server.payloads import reader as module
from mail_server.payloads.reader import NotRead, Reader
from mail_server.payloads.record.refusal import RecordRefused
from mail_server.payloads.record.settings import RecordSettings
from tests.webmail.vectors import record_letters as made

ROOT = Path(__file__).parents[3]
REPORT = made.letter(made.zip_part(made.one_document()))


@pytest.fixture
async def reader() -> AsyncIterator[Reader]:
    found = Reader(RecordSettings(deadline_seconds=60, wait_seconds=120))
    yield found
    await found.close()


async def test_no_process_is_started_before_the_first_letter_and_one_serves_all(reader: Reader) -> None:
    assert reader.pids == []
    readings = await asyncio.gather(*(reader.read(REPORT) for _ in range(12)))
    assert len(reader.pids) == 1
    assert {reading.manifest.items[0].id for reading in readings if reading.manifest} == {"1.2.250.1.999.1.1"}
    assert reader.counters.done == 12


async def test_a_refusal_comes_back_with_its_code_and_the_process_lives(reader: Reader) -> None:
    with pytest.raises(RecordRefused) as refused:
        await reader.read(made.letter(made.zip_part(made.one_document(patient_id=made.OTHER))))
    [worker] = reader.pids
    assert (refused.value.code, refused.value.slug) == (904, "two-patients")
    assert (await reader.read(REPORT)).manifest
    assert reader.pids == [worker]


async def test_a_letter_without_anything_structured_has_no_manifest(reader: Reader) -> None:
    assert (await reader.read(made.letter(made.mime.text_part("Bonjour\r\n")))).manifest is None


async def test_a_large_letter_is_read_too(reader: Reader) -> None:
    large = made.letter(
        made.zip_part(made.one_document()), made.zip_part(os.urandom(4 << 20), "scan.pdf", "application/pdf")
    )
    assert (await reader.read(large)).manifest


async def test_a_process_that_overstays_is_ended_and_another_takes_its_place() -> None:
    reader = Reader(RecordSettings(deadline_seconds=60, wait_seconds=60))
    try:
        await reader.read(REPORT)
        [worker] = reader.pids
        os.kill(worker, signal.SIGSTOP)
        patient, reader._pool._settings = reader._pool._settings, RecordSettings(deadline_seconds=1.0)
        with pytest.raises(NotRead) as late:
            await reader.read(REPORT)
        assert late.value.slug == "deadline"
        reader._pool._settings = patient
        async with asyncio.timeout(120):
            while not reader.pids or worker in reader.pids:
                await asyncio.sleep(0.02)
        assert (await reader.read(REPORT)).manifest
    finally:
        await reader.close()


async def test_who_waits_too_long_for_a_turn_is_told_so() -> None:
    reader = Reader(RecordSettings(wait_seconds=0.2, deadline_seconds=60))
    try:
        await reader.read(REPORT)
        [worker] = reader.pids
        os.kill(worker, signal.SIGSTOP)
        first = asyncio.create_task(reader.read(REPORT))
        await asyncio.sleep(0)
        with pytest.raises(NotRead) as busy:
            await reader.read(REPORT)
        assert busy.value.slug == "busy"
        os.kill(worker, signal.SIGCONT)
        assert (await first).manifest
    finally:
        await reader.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a worker lets nobody else look into it")
async def test_the_process_holds_no_secret_leaves_no_core_and_has_its_limits(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_NODE", "CANARY")
    await reader.read(REPORT)
    [worker] = reader.pids
    process = Path(f"/proc/{worker}")
    assert b"CANARY" not in (process / "environ").read_bytes()
    assert b"mail_server.payloads.worker" in (process / "cmdline").read_bytes()
    limits = resource.prlimit
    assert limits(worker, resource.RLIMIT_CORE) == (0, 0)
    assert limits(worker, resource.RLIMIT_AS)[0] == 1024 << 20
    soft, _ = limits(worker, resource.RLIMIT_CPU)
    assert 0 < soft <= 8  # so many seconds in all, moved on with each letter
    assert limits(worker, resource.RLIMIT_FSIZE)[0] <= 1 << 20
    assert not [one for one in (process / "fd").iterdir() if str(one.readlink()).startswith("/work")]


def test_the_process_knows_nothing_of_keys_and_of_the_store() -> None:
    code = "import json, sys, mail_server.payloads.worker; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded: list[str] = json.loads(done.stdout)
    secret = ("pysequoia", "sqlalchemy", "mail_server.keys", "mail_server.delivery", "cryptography")
    assert [one for one in loaded if one.startswith(secret)] == []


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"[]", b"null", b"{", b"\xff", b'{"manifest": 1, "confidentiality": []}', b'{"confidentiality": []}',
        b'{"manifest": {"v": 9}, "confidentiality": []}', b'{"manifest": null}', b"[" * 100_000,
    ],
)  # fmt: skip
def test_an_answer_of_another_shape_is_no_reading(answer: bytes) -> None:
    with pytest.raises(NotRead):
        module._reading(answer)


def test_a_worker_s_words_reach_a_reply_as_plain_text_alone() -> None:
    forged = {"refused": [904, "x\r\n250 ok", "Bad\r\n250 2.0.0 ok\x00 é" + "y" * 900]}
    with pytest.raises(RecordRefused) as refused:
        module._reading(json.dumps(forged).encode())
    assert refused.value.sentence.isascii()
    assert refused.value.sentence.isprintable()
    assert len(refused.value.sentence) <= 200
    assert refused.value.slug == "refused"


async def ended_by(reader: Reader, message: bytes, sender: str) -> str:
    """The slug with which a reading ends whose worker is killed in the middle of it."""
    [worker] = await living(reader)
    os.kill(worker, signal.SIGSTOP)
    reading = asyncio.create_task(reader.read(message, sender))
    while not any(one.job is not None for one in reader._pool._workers):
        await asyncio.sleep(0.01)
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(NotRead) as failed:
        await reading
    return failed.value.slug


async def living(reader: Reader) -> list[int]:
    async with asyncio.timeout(120):
        while not reader.pids:
            await asyncio.sleep(0.02)
    return reader.pids


async def test_a_letter_that_ended_two_workers_is_refused_and_ends_no_third(reader: Reader) -> None:
    await reader.read(REPORT, "dpi")
    other = made.letter(made.zip_part(made.one_document("1.2.250.1.999.1.2")))
    assert await ended_by(reader, other, "dpi") == "worker-lost"
    assert await ended_by(reader, other, "dpi") == "worker-lost"
    [worker] = await living(reader)
    with pytest.raises(RecordRefused) as refused:
        await reader.read(other, "dpi")
    assert refused.value.slug == "too-laborious"
    assert (await reader.read(REPORT, "dpi")).manifest
    assert reader.pids == [worker]


async def test_letters_of_one_sender_keep_no_worker_from_those_of_another() -> None:
    reader = Reader(RecordSettings(wait_seconds=60, deadline_seconds=60))
    order: list[str] = []

    async def read(sender: str) -> None:
        await reader.read(REPORT, sender)
        order.append(sender)

    try:
        await reader.read(REPORT)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(8):
                tasks.create_task(read("one"))
            await asyncio.sleep(0)
            tasks.create_task(read("other"))
    finally:
        await reader.close()
    assert order.index("other") <= 2
    assert not reader._lines
