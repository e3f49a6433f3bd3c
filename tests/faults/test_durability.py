"""The order of system calls: the segment is synced, then the commit, and only then the client reads `250`."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from deploy.demo import clients, letters, world

pytestmark = pytest.mark.faults

CALLS = "fdatasync,fsync,pwrite64,write,sendto,sendmsg,writev"


def calls_of(trace: Path) -> list[tuple[str, str]]:
    """(call, file or socket) in the order they returned; a call cut in two by another thread counts at its end."""
    begun: dict[str, tuple[str, str]] = {}
    done: list[tuple[str, str]] = []
    for line in trace.read_text(errors="replace").splitlines():
        thread, _, text = line.partition(" ")
        text = text.strip()
        if resumed := re.match(r"<\.\.\. (\w+) resumed>", text):
            if thread in begun:
                done.append(begun.pop(thread))
            assert resumed
            continue
        found = re.match(r"(\w+)\(\d+<(.*?)>[,)]", text)
        if found is None:
            continue
        call = (found[1], found[2])
        if "<unfinished" in text:
            begun[thread] = call
        else:
            done.append(call)
    return done


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the node lets nobody else see its files' names")
def test_a_large_letter_is_synced_in_its_segment_then_committed_then_answered(
    fragile: tuple[world.World, world.NodeProcess], tmp_path: Path
) -> None:
    made, process = fragile
    process.stop()
    trace = tmp_path / "trace"
    process.restart(["strace", "-f", "-yy", "-s", "0", "-e", f"trace={CALLS}", "-o", str(trace)])
    process.wait_ready(made.ports)
    letter = letters.report(world.HOSPITAL, world.LABORATORY, pdf_bytes=300_000)
    context = clients.tls(made.ca, made.hospital.certificate, made.hospital.key)
    clients.send_as_system(
        made.ports["submissions"], context, world.HOSPITAL, [world.LABORATORY], letter.data
    )
    os.kill(made.command("status")["pid"], signal.SIGTERM)
    process.stop()

    done = calls_of(trace)
    socket = f"[127.0.0.1:{made.ports['submissions']}->"
    segment = max(
        place
        for place, (call, where) in enumerate(done)
        if call in ("fdatasync", "fsync") and "/segments/" in where and not where.endswith("segments")
    )
    written = next(
        place
        for place, (call, where) in enumerate(done)
        if place > segment and call == "pwrite64" and where.endswith("mail.db-wal")
    )
    committed = next(
        place
        for place, (call, where) in enumerate(done)
        if place > written and call in ("fdatasync", "fsync") and where.endswith("mail.db-wal")
    )
    answers = [place for place, (_, where) in enumerate(done) if "TCP" in where and socket in where]
    between = [place for place in answers if segment < place < committed]
    assert not between, "the client was answered before the commit"
    assert any(place > committed for place in answers)
