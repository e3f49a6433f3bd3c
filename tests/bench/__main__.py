"""`make bench`: the product beside Postfix → LMTP → Dovecot, in one run, interleaved.

The report is the output: an expectation that is not met does not fail the run. The exit code is 1 only when
something could not be run.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tests.bench import (
    audit,
    decisions,
    expected,
    fsyncs,
    outbound,
    page,
    peers,
    prepare,
    readers,
    reconnect,
    report,
    reports,
    rounds,
)
from tests.bench.generator import LoadGenerator
from tests.bench.process import CouldNotRun
from tests.bench.system import LISTED, READERS, RECIPIENTS, Measure, System

CHAIN = "chain"
_AT_ONCE = 5_000  # letters to one mailbox before its queue may empty
_screen = Console(width=None if os.isatty(1) else 160)


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured."""

    ingest: tuple[tuple[str, int, int], ...]  # size, connections, letters in a round
    listings: int
    rounds: int
    traced: tuple[tuple[str, int, int], ...]  # rows whose fsyncs are counted, and letters sent for that
    pages: int  # pages of 50 asked in a round
    mailbox: int  # letters in the mailbox they are taken from
    returning: int = 0  # mail programs that come back at once
    entries: int = 0  # of the trace, written and verified
    reports: int = 0  # of a hospital's night
    leaving: int = 0  # letters for another operator
    waiting: int = 0  # of them in the queue of a node that starts


FULL = Extent(
    ingest=(
        *(("4k", 1, 500), ("4k", 10, 2000), ("4k", 50, 2000)),
        *(("50k", 1, 200), ("50k", 10, 600), ("50k", 50, 600)),
        *(("1M", 1, 20), ("1M", 10, 80), ("1M", 50, 100)),
    ),
    listings=40,
    rounds=5,
    traced=(("4k", 1, 100), ("4k", 10, 300), ("4k", 50, 300), ("50k", 10, 200), ("1M", 10, 40)),
    pages=400,
    mailbox=page.MESSAGES,
    returning=reconnect.CLIENTS,
    entries=audit.ENTRIES,
    reports=reports.REPORTS,
    leaving=outbound.LETTERS,
    waiting=outbound.DEPTH,
)
QUICK = Extent(
    ingest=(("4k", 10, 1000), ("4k", 50, 1000), ("50k", 10, 300), ("1M", 10, 40)),
    listings=20,
    rounds=2,
    traced=(("4k", 10, 200),),
    pages=100,
    mailbox=10_000,
    returning=reconnect.CLIENTS,
    entries=200_000,
    reports=reports.QUICK,
    leaving=outbound.QUICK_LETTERS,
    waiting=outbound.QUICK_DEPTH,
)


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer letters, rows and rounds.")] = False,
    systems: Annotated[str, typer.Option(help="Which to run.")] = "chain,custody,sealed",
    sizes: Annotated[str, typer.Option(help="Which letters.")] = "4k,50k,1M",
    connections: Annotated[str, typer.Option(help="Which numbers of connections.")] = "1,10,50",
    listing: Annotated[bool, typer.Option(help="Measure the listing too.")] = True,
    pages: Annotated[bool, typer.Option(help="Measure pages of 50 by JMAP and IMAP too.")] = True,
    returning: Annotated[bool, typer.Option(help="Let 2,000 mail programs come back at once too.")] = True,
    trace: Annotated[bool, typer.Option(help="Write and verify 10,000,000 entries of the trace too.")] = True,
    night: Annotated[bool, typer.Option(help="Send a hospital's night of reports too.")] = True,
    leaving: Annotated[bool, typer.Option(help="Hand letters over to another operator too.")] = True,
    number_of_rounds: Annotated[int | None, typer.Option("--rounds", help="Rounds per row.")] = None,
    pipelining: Annotated[bool, typer.Option(help="Send MAIL, RCPT and DATA in one write.")] = False,
    home: Annotated[
        Path, typer.Option(envvar="BENCH_HOME", help="Where the benchmark keeps everything.")
    ] = Path("bench-data"),
    keep: Annotated[bool, typer.Option(help="Keep the servers' data afterwards.")] = False,
) -> None:
    """Measure letters per second, server CPU and fsyncs per letter, and the listing of 1,000 messages."""
    extent = QUICK if quick else FULL
    wanted = tuple(
        (size, number, letters)
        for size, number, letters in extent.ingest
        if size in sizes.split(",") and str(number) in connections.split(",")
    )
    extent = replace(
        extent,
        ingest=wanted,
        listings=extent.listings if listing else 0,
        rounds=number_of_rounds or extent.rounds,
        pages=extent.pages if pages else 0,
        returning=extent.returning if returning else 0,
        entries=extent.entries if trace else 0,
        reports=extent.reports if night else 0,
        leaving=extent.leaving if leaving else 0,
    )
    place = prepare.Place(home.absolute())
    try:
        bench = Bench(place, prepare.everything(place, _say), pipelining)
    except CouldNotRun as failure:
        _screen.print(f"[red]{failure}[/red]", highlight=False)
        raise typer.Exit(1) from None
    shutil.rmtree(place.run, ignore_errors=True)
    place.run.mkdir()
    try:
        bench.start(systems.split(","))
        around = report.surroundings(bench.accounting)
        bench.measure(extent)
    finally:
        bench.stop()
        if not keep:
            shutil.rmtree(place.run, ignore_errors=True)
    report.show(_screen, around, bench.lines)
    for remark in bench.remarks:
        _screen.print(remark, highlight=False)
    written = report.write(place.results, around, bench.lines, bench.failures, bench.remarks)
    _say(f"Written to {written}")
    for failure in bench.failures:
        _screen.print(f"[red]Not run: {failure}[/red]", highlight=False)
    raise typer.Exit(1 if bench.failures or not bench.lines else 0)


def _say(sentence: str) -> None:
    _screen.print(sentence, style="dim", highlight=False)


class Bench:
    """One benchmark: systems started, rows measured, failures noted."""

    def __init__(self, place: prepare.Place, letters: dict[str, Path], pipelining: bool) -> None:
        self._place = place
        self._letters = letters
        self._generator = LoadGenerator(place.load_generator, pipelining)
        self._systems: dict[str, System] = {}
        self.lines: list[report.Line] = []
        self.failures: list[str] = []
        self.remarks: list[str] = []

    @property
    def accounting(self) -> str:
        servers = [server for system in self._systems.values() for server in system.servers]
        return ", ".join({server.accounting for server in servers})

    def start(self, names: Sequence[str]) -> None:
        for name in names:
            with self._noting(f"start of {name}"):
                self._systems[name] = self._start(name)
                self._systems[name].warm_up(self._generator, self._letters["4k"])

    def _start(self, name: str) -> System:
        if name == CHAIN:
            _say("Postfix → Dovecot")
            return peers.chain(self._place)
        if name not in ("custody", "sealed"):
            raise CouldNotRun(f"there is no system {name}")
        from tests.bench import servers  # the product: what it lacks must not keep the peers from running

        return servers.product(name, self._place, _say)

    def stop(self) -> None:
        for system in self._systems.values():
            with contextlib.suppress(OSError):
                system.stop()

    @contextlib.contextmanager
    def _noting(self, what: str) -> Generator[None]:
        """One thing that cannot be run does not stop the others."""
        try:
            yield
        except Exception as failure:  # whatever it is, it is reported and the run fails
            self.failures.append(f"{what}: {str(failure) or type(failure).__name__}")
            _screen.print(f"[red]{self.failures[-1]}[/red]", highlight=False)

    def measure(self, extent: Extent) -> None:
        for size, connections, letters in extent.ingest:
            title = f"{size}, {connections} connection{'s' * (connections > 1)}"
            send = {
                name: self._sending(system, size, connections, letters)
                for name, system in self._systems.items()
            }
            traced = next((n for s, c, n in extent.traced if (s, c) == (size, connections)), 0)
            with self._noting(title):
                summaries = self._interleaved(title, send, extent.rounds)
                for name, summary in summaries.items():
                    wanted = expected.INGEST.get((name, size, connections), expected.NOTHING)
                    count = self._fsyncs(self._systems[name], size, connections, traced) if traced else None
                    self._add(title, name, summary, summaries, wanted, fsyncs=count)
        with self._noting("decisions"):
            self.remarks.append(str(decisions.measured()))
        if extent.listings:
            self._measure_listing(extent)
            with self._noting("a shared account's listing"):
                self.remarks.append(readers.measured())
        if extent.pages:
            self._measure_pages(extent)
        if extent.returning:
            with self._noting("reconnecting"):
                found = reconnect.measured(self._place.run / "reconnect", _say, extent.returning)
                self.remarks += [str(each) for each in found]
        self._measure_night(extent)
        if extent.leaving:
            with self._noting("letters that leave"):
                self.remarks += outbound.measured(self._place, _say, extent.leaving, extent.waiting)
        if extent.entries:
            with self._noting("the trace"):
                _say(f"the trace: {extent.entries:,} entries written, then verified")
                self.remarks += audit.measured(
                    self._place.run / "audit", extent.entries, self._letters_sent()
                )

    def _measure_night(self, extent: Extent) -> None:
        if extent.reports:
            with self._noting("the night of a hospital"):
                self.remarks += reports.measured(self._place.run / "reports", _say, extent.reports)

    def _letters_sent(self) -> dict[str, float]:
        """CPU ms of the product's letters of 4 kB, where the trace weighs most."""
        return {
            f"{line.row}, {line.system}": line.summary.cpu_ms
            for line in self.lines
            if line.row.startswith("4k") and line.chain is not None
        }

    def _measure_listing(self, extent: Extent) -> None:
        title = f"listing {LISTED:,}, {READERS} connections"
        with self._noting(title):
            _say(f"{title}: filling {READERS} mailboxes")
            cells: dict[str, Callable[[], Measure]] = {}
            for name, system in self._systems.items():
                system.fill(self._generator, self._letters["4k"])
                logins = self._place.run / f"{name}.logins"
                cells[name] = partial(system.list, self._generator, logins, repeats=extent.listings)
                system.list(self._generator, logins, repeats=READERS)  # warm: Dovecot fills its cache
            summaries = self._interleaved(title, cells, extent.rounds)
            for name, summary in summaries.items():
                wanted = expected.LISTING.get(name, expected.NOTHING)
                self._add(title, name, summary, summaries, wanted, messages=LISTED)

    def _measure_pages(self, extent: Extent) -> None:
        title = f"page of {page.PAGE} of {extent.mailbox:,}"
        with self._noting(title):
            _say(f"{title}: filling {len(self._systems)} mailboxes")
            cells: dict[str, Callable[[], Measure]] = {}
            names: dict[str, str] = {}
            for name, system in self._systems.items():
                self._fill_one(system, extent.mailbox)
                cells[name] = partial(page.by_imap, system, extent.pages, extent.mailbox)
                names[name] = f"{system.name}, IMAP"
                if name != CHAIN:
                    port = self._https(name)
                    cells[f"{name} jmap"] = partial(page.by_jmap, system, port, extent.pages, extent.mailbox)
                    names[f"{name} jmap"] = f"{system.name}, JMAP"
            summaries = self._interleaved(title, cells, extent.rounds)
            for name, summary in summaries.items():
                compared = summaries.get(CHAIN) if name != CHAIN else None
                self.lines.append(report.Line(title, names[name], summary, compared, expected.NOTHING))
        for name, system in self._systems.items():
            if name != CHAIN:
                with self._noting(f"listeners of {name}"):
                    told = page.waiting(system, self._https(name), partial(self._one_each, system))
                    self.remarks.append(f"{system.name}: {told}")

    def _fill_one(self, system: System, letters: int) -> None:
        letter, holder = self._letters["4k"], page.HOLDER.rstrip("0")
        for first in range(0, letters, _AT_ONCE):
            some = min(_AT_ONCE, letters - first)
            connections = 10 if some > 10 else 1
            system.ingest(self._generator, letter, connections=connections, letters=some, to=holder, number=1)

    def _one_each(self, system: System) -> None:
        system.ingest(self._generator, self._letters["4k"], connections=1, letters=RECIPIENTS)

    def _https(self, name: str) -> int:
        from tests.bench import servers

        return servers.https_port(name)

    def _sending(self, system: System, size: str, connections: int, letters: int) -> Callable[[], Measure]:
        letter = self._letters[size]
        return partial(system.ingest, self._generator, letter, connections=connections, letters=letters)

    def _interleaved(
        self, title: str, cells: dict[str, Callable[[], Measure]], number: int
    ) -> dict[str, rounds.Summary]:
        _say(f"{title}: {number} rounds")
        return rounds.interleaved(cells, number)

    def _add(
        self,
        title: str,
        name: str,
        summary: rounds.Summary,
        row: dict[str, rounds.Summary],
        wanted: expected.Expected,
        *,
        messages: int = 1,
        fsyncs: float | None = None,
    ) -> None:
        compared = row.get(CHAIN) if name != CHAIN else None
        line = report.Line(title, self._systems[name].name, summary, compared, wanted, messages, fsyncs)
        self.lines.append(line)

    def _fsyncs(self, system: System, size: str, connections: int, letters: int) -> float | None:
        with self._noting(f"fsyncs of {system.name}"):
            summary = self._place.run / "strace.txt"
            send = self._sending(system, size, connections, letters)
            return fsyncs.per_letter(system, summary, letters, send)
        return None


if __name__ == "__main__":
    typer.run(main)
