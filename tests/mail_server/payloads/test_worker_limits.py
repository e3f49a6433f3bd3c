"""Documents that take more memory or processor time than a letter may: the limit ends the process, and nothing else.

The node says 451 to who sent it, keeps nothing of it, and takes the next letter.
"""

from __future__ import annotations

import asyncio

import pytest

from mail_server.payloads.reader import NotRead, Reader
from mail_server.payloads.record.settings import RecordSettings
from mail_server.payloads.worker import CPU_SECONDS
from tests.webmail.vectors import record_letters as made

REPORT = made.letter(made.zip_part(made.one_document()))


def fhir(octets: int) -> bytes:
    """JSON of small objects: each octet of it takes 25 of memory."""
    unit = b'{"a":[0]}'
    entries = b",".join([unit] * (octets // (len(unit) + 1)))
    body = b'{"resourceType":"Bundle","type":"document","entry":[' + entries + b"]}"
    return made.zip_part(body, "document.json", "application/fhir+json")


async def test_memory_that_runs_out_ends_the_process_and_the_next_letter_is_read() -> None:
    reader = Reader(RecordSettings(memory_limit_mib=256, deadline_seconds=60))
    try:
        await reader.read(REPORT)
        [worker] = reader.pids
        with pytest.raises(NotRead) as lost:
            await reader.read(made.letter(fhir(16_000_000)))
        assert lost.value.slug == "worker-lost"
        assert (await reader.read(REPORT)).manifest
        assert worker not in reader.pids
        assert reader.counters.replaced == 1
    finally:
        await reader.close()


async def test_processor_time_that_runs_out_ends_the_process_though_the_clock_has_time() -> None:
    # Larger than a node takes: nothing that it takes was found to cost so much, within the limits of each reader.
    letter = await asyncio.to_thread(lambda: made.letter(*[fhir(4_000_000)] * 16))
    reader = Reader(RecordSettings(deadline_seconds=60))
    try:
        await reader.read(REPORT)
        [worker] = reader.pids
        began = asyncio.get_running_loop().time()
        with pytest.raises(NotRead) as lost:
            await reader.read(letter)
        assert lost.value.slug == "worker-lost"
        assert asyncio.get_running_loop().time() - began >= CPU_SECONDS - 1
        assert (await reader.read(REPORT)).manifest
        assert worker not in reader.pids
    finally:
        await reader.close()
