"""A hospital's night measured: reports per second from the watched folder to the patients' mailboxes, and the CPU of
each who works on them: who builds the letter, who keeps and sends it, the node that draws, seals and files it.

    python -m tests.bench.reports --reports 5000
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.demo import world
from mail_server.reports.documents import Source
from mail_server.reports.making import Maker
from tests.bench import accounting
from tests.bench.process import CouldNotRun
from tests.nights import PDF_OCTETS, Night, order, plain_pdf

REPORTS = 5_000
QUICK = 400
_BUILT = 100
_SECONDS = 900


def main(
    reports: Annotated[int, typer.Option(help="How many.")] = REPORTS,
    folder: Annotated[Path, typer.Option(help="Where everything lies meanwhile.")] = Path("bench-data"),
) -> None:
    screen = Console()
    for line in measured(folder.absolute() / "reports", screen.print, reports):
        screen.print(line, highlight=False)


def measured(place: Path, say: Callable[[str], None], reports: int) -> list[str]:
    """In sentences. Raises CouldNotRun."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    say(f"reports: a night of {reports:,}, 1 % of them bad")
    made, process = world.build(place / "world", world.free_port_base(), lambda _: None)
    try:
        return _measured(made, process, reports)
    finally:
        process.stop()
        shutil.rmtree(place, ignore_errors=True)


def _measured(made: world.World, process: world.NodeProcess, reports: int) -> list[str]:
    night = Night(made)
    pdf = plain_pdf()
    built = _built(night, pdf)
    bad = max(1, reports // 100)
    night.put(reports, bad, lambda each: f"Compte rendu {each}", lambda _: pdf)
    node = accounting.tree_of(process.pid)
    before = node.cpu_seconds()
    began = time.perf_counter()
    night.start()
    try:
        found = night.wait_all(reports, _SECONDS)
        taken = time.perf_counter() - began
        used = node.cpu_seconds() - before
        sender = night.stop()
    except AssertionError:
        raise CouldNotRun("the night did not end in time") from None
    finally:
        night.close()
    told = made.command("report_morning", address=world.HOSPITAL, send=True)
    if (found["sent"], told["handed_in"], told["refused"]) != (reports - bad, reports, bad):
        raise CouldNotRun(f"the morning does not add up: {found}, {told['handed_in']}, {told['refused']}")
    return [
        (
            f"reports: {reports:,} of {PDF_OCTETS // 1000} kB, {bad} of them bad, in {taken:.0f} s: "
            f"{reports / taken:.0f} a second from the folder to the mailbox"
        ),
        (
            f"reports, CPU each: {built:.1f} ms to build, {sender / reports * 1000 - built:.1f} ms to keep and send, "
            f"{used / reports * 1000:.1f} ms in the node (all its processes)"
        ),
    ]


def _built(night: Night, pdf: bytes) -> float:
    """ms of this thread's CPU for one letter."""
    maker = Maker(night.settings)
    told = order(night.people[0], "Compte rendu")
    maker.report(told, Source(pdf), lambda _: None)
    began = time.thread_time()
    for _ in range(_BUILT):
        maker.report(told, Source(pdf), lambda _: None)
    return (time.thread_time() - began) / _BUILT * 1000


if __name__ == "__main__":
    typer.run(main)
