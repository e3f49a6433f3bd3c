"""What the benchmark says: a table for people, a JSON file for whoever compares two days.

Invariant: an expectation is judged against the ratio that is shown, from the same rounds; what expects
nothing says so.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.expected import Expected
from tests.bench.rounds import Summary


@dataclass(frozen=True, slots=True)
class Line:
    """One system in one row, beside the chain in the same row (itself, for the chain)."""

    row: str
    system: str
    summary: Summary
    chain: Summary | None
    expected: Expected
    messages: int = 1  # per operation: a listing shows a thousand
    fsyncs: float | None = None

    @property
    def cpu_ratio(self) -> float | None:
        return self.summary.cpu_ms / self.chain.cpu_ms if self.chain else None

    @property
    def rate_ratio(self) -> float | None:
        return self.summary.rate / self.chain.rate if self.chain else None

    @property
    def met(self) -> bool | None:
        """Whether every expectation holds; None when there is none, or nothing to compare with."""
        verdicts: list[bool] = []
        if self.expected.cpu is not None and self.cpu_ratio is not None:
            verdicts.append(self.cpu_ratio <= self.expected.cpu)
        if self.expected.rate is not None and self.rate_ratio is not None:
            verdicts.append(self.rate_ratio >= self.expected.rate)
        return all(verdicts) if verdicts else None

    def as_json(self) -> dict[str, Any]:
        low, high = self.summary.span(lambda measure: measure.cpu_ms)
        return {
            "row": self.row,
            "system": self.system,
            "messages_per_operation": self.messages,
            "cpu_ms": self.summary.cpu_ms,
            "cpu_ms_range": [low, high],
            "rate": self.summary.rate,
            "cpu_ratio": self.cpu_ratio,
            "rate_ratio": self.rate_ratio,
            "fsyncs_per_letter": self.fsyncs,
            "expected": asdict(self.expected),
            "met": self.met,
            "rounds": [asdict(measure) for measure in self.summary.measures],
        }


def surroundings(accounting: str) -> dict[str, str]:
    """Where this was measured: figures mean nothing without it."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    return {
        "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "machine": f"{os.cpu_count()} x {model}, Linux {platform.release()}",
        "load average at the start": f"{os.getloadavg()[0]:.1f}",
        "CPU counted by": accounting,
        "Python": f"{platform.python_version()} ({os.path.realpath('/proc/self/exe')})",
        "Postfix": _version("postfix"),
        "Dovecot": _version("dovecot-core"),
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _version(package: str) -> str:
    """The package's version; one that is unpacked and not installed is the candidate that was fetched."""
    asked = subprocess.run(["apt-cache", "policy", package], capture_output=True, text=True, check=False)
    for line in asked.stdout.splitlines():
        if line.strip().startswith("Candidate:"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def show(screen: Console, around: Mapping[str, str], lines: Sequence[Line]) -> None:
    """Print one table; rows of the same work stand together."""
    for name, value in around.items():
        screen.print(f"[dim]{name}:[/dim] {value}", highlight=False)
    table = Table(header_style="bold", pad_edge=False)
    table.add_column("Work (all over TLS)")
    table.add_column("System")
    for heading in ("CPU ms", "min..max", "CPU ×", "per s", "rate ×", "p50 ms", "p95 ms", "p99 ms", "fsync"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Expected")
    table.add_column("")
    previous = ""
    for line in lines:
        if previous and line.row != previous:
            table.add_section()
        table.add_row("" if line.row == previous else line.row, line.system, *_figures(line))
        previous = line.row
    screen.print(table)
    screen.print(
        "CPU: of all the server's processes, per letter (per listed message in the listing). "
        "×: against Postfix → Dovecot in the same rounds. p50, p99: until the reply.",
        style="dim",
    )


def _figures(line: Line) -> list[str]:
    low, high = (value / line.messages for value in line.summary.span(lambda measure: measure.cpu_ms))
    wanted = [f"CPU ≤ {line.expected.cpu:.2f}"] if line.expected.cpu is not None else []
    wanted += [f"rate ≥ {line.expected.rate:.0f}"] if line.expected.rate is not None else []
    verdict = {True: "[green]met[/green]", False: "[red]not met[/red]", None: ""}[line.met]
    return [
        f"{line.summary.cpu_ms / line.messages:.4f}",
        f"{low:.4f}..{high:.4f}",
        f"{line.cpu_ratio:.2f}" if line.cpu_ratio is not None else "",
        f"{line.summary.rate * line.messages:.0f}",
        f"{line.rate_ratio:.1f}" if line.rate_ratio is not None else "",
        f"{line.summary.median(lambda measure: measure.p50_ms):.1f}",
        f"{line.summary.median(lambda measure: measure.p95_ms):.1f}",
        f"{line.summary.median(lambda measure: measure.p99_ms):.1f}",
        f"{line.fsyncs:.2f}" if line.fsyncs is not None else "",
        ", ".join(wanted),
        verdict,
    ]


def write(
    folder: Path,
    around: Mapping[str, str],
    lines: Sequence[Line],
    failures: Sequence[str],
    remarks: Sequence[str],
) -> Path:
    """Write the results beside those of other days."""
    path = folder / time.strftime("bench-%Y%m%d-%H%M%S.json")
    measured = [line.as_json() for line in lines]
    content = {"around": around, "failures": failures, "lines": measured, "remarks": list(remarks)}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return path
