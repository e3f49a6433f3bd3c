"""`vaguemestre audit`: who did what, whether the trace is whole, and what of it is handed to whom may ask.

Invariant: `verify` needs no secret and no running node: an auditor runs it on a copy, against heads kept elsewhere.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sys
from collections.abc import Generator, Iterator
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from deploy.node.terminal import (
    DEFAULT_HOME,
    ConfigOption,
    HomeOption,
    Terminal,
    ask_node,
    at_terminal,
    fail,
    progress,
    run,
    screen,
    show,
)

audit = typer.Typer(no_args_is_help=True, help="The tamper-evident trace.")
_DAY_MS = 86_400_000
_MOST_PRINTED = 10_000  # lines of a PDF; a longer one nobody reads


class Form(StrEnum):
    CSV = "csv"
    JSON = "json"
    PDF = "pdf"


@audit.command("show")
@at_terminal
def audit_show(
    terminal: Terminal,
    limit: Annotated[int, typer.Option(help="How many of the latest entries.")] = 50,
    action: Annotated[str | None, typer.Option(help="Only this action: deliver, refuse, login...")] = None,
    address: Annotated[str | None, typer.Option(help="Only what concerns this account.")] = None,
    reference: Annotated[str | None, typer.Option(help="The reference a person was shown.")] = None,
) -> None:
    """Who did what, when, with which outcome. Never content."""
    rows = terminal.ask("audit_show", limit=limit, action=action, address=address, reference=reference)
    terminal.table(
        rows,
        {
            "seq": "No",
            "time": "When (UTC)",
            "action": "Action",
            "who": "Who",
            "on": "On",
            "for": "For",
            "outcome": "Outcome",
            "reference": "Reference",
            "detail": "Detail",
        },
        "Nothing of that is in the trace.",
    )


@audit.command("verify")
@at_terminal
def audit_verify(
    terminal: Terminal,
    heads: Annotated[
        Path | None,
        typer.Option(
            help="File of signed heads, best a copy kept elsewhere; the configured one if left out."
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="Public key the heads must be signed with, in hex; the database's if left out."),
    ] = None,
) -> None:
    """Walk every chain from its first entry to its last, and hold it against the heads noted outside."""
    from deploy.node import config as configuration
    from deploy.node.audit_verification import Database, Wishes, verify_all
    from deploy.node.composition import now
    from deploy.node.console_audit import verdict_json
    from deploy.node.home import Home

    async def work() -> dict[str, Any]:
        settings = configuration.load((terminal.config or Home(terminal.home.absolute()).config).absolute())
        configured = settings.policies.audit_heads
        file = heads or (configured if configured is not None and configured.exists() else None)
        wishes = Wishes(settings.policies.periods, now(), file, key.lower() if key else None)
        verdicts = await verify_all(Database(settings.store, terminal.home.absolute()), wishes, report)
        return verdict_json(verdicts, settings.policies.audit_chain) | {"file": str(file) if file else None}

    with progress(terminal.as_json) as report:
        result = run(work())
    if terminal.as_json:
        terminal.show(result)
    else:
        _tell(result)
    if result["broken"]:
        raise typer.Exit(1)


def _tell(result: dict[str, Any]) -> None:
    lines = [*result["notices"], *result["findings"]]
    words = (
        "The trace does not hold."
        if result["broken"]
        else f"The trace is whole: {result['entries']} entries, {result['purged']} of them purged in their time."
    )
    if not result["file"]:
        words += "\nNo heads noted outside were given: a cut at the end, or all of it written anew, would not show."
    elif not result["broken"]:
        words += f" {result['heads']} heads noted outside agree."
    show(result, False, "\n".join([*lines, words]))


@audit.command("heads")
@at_terminal
def audit_heads(
    terminal: Terminal,
    key: Annotated[
        bool, typer.Option("--key", help="Only the public key that heads are signed with.")
    ] = False,
) -> None:
    """Where the trace stands, and the key to check its signed heads with: note both elsewhere."""
    result = terminal.ask("audit_heads")
    if key:
        terminal.show({"key": result["key"]}, result["key"])
        return
    words = [f"Chain {result['chain']}, {result['seq']} entries, key {result['key']}."]
    words += [f"  {one['class']}: {one['day']}, {one['link']}" for one in result["heads"]]
    words.append(
        f"Noted in {result['file']}." if result["file"] else "Noted nowhere: set policies.audit_heads."
    )
    terminal.show(result, "\n".join(words))


@audit.command("purge")
@at_terminal
def audit_purge(
    terminal: Terminal,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what is due.")] = False,
) -> None:
    """Empty the entries whose time is over; the chain holds all the same."""
    result = terminal.ask_at_length("audit_purge", dry_run=dry_run)
    lines = [
        f"{one['class'].capitalize()}: kept from {one['kept_from']}; {one['due']} due, {one['emptied']} emptied."
        + (
            f" Stopped at entry {one['broken']}, which does not hold: see audit verify."
            if one["broken"]
            else ""
        )
        for one in result["classes"]
    ]
    terminal.show(result, "\n".join(lines))
    if any(one["broken"] for one in result["classes"]):
        raise typer.Exit(1)


@audit.command("export")
def audit_export(
    person: Annotated[
        list[str],
        typer.Option(help="Whose acts, and what was done to them: an address (repeat for several)."),
    ],
    since: Annotated[str, typer.Option(help="First day, YYYY-MM-DD (UTC).")] = "1970-01-01",
    until: Annotated[str | None, typer.Option(help="Last day, included; today if left out.")] = None,
    form: Annotated[Form, typer.Option("--format", help="csv, json or pdf.")] = Form.CSV,
    to: Annotated[Path | None, typer.Option(help="File to write; the output if left out.")] = None,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
) -> None:
    """All that concerns these persons in a period, for an auditor. The export is told in the trace."""
    start = _day(since)
    end = _day(until) if until else datetime.now(UTC).date()
    if end < start:
        raise fail("The last day is before the first.")
    period = (_ms(start), _ms(end + timedelta(days=1)))
    pages = _pages(home, config, person, period)
    if form is Form.PDF:
        _print(pages, person, (start, end), to)
        return
    with _opened(to) as file:
        (_write_csv if form is Form.CSV else _write_json)(file, pages)


def _pages(
    home: Path, config: Path | None, persons: list[str], period: tuple[int, int]
) -> Iterator[list[dict[str, Any]]]:
    after: Any = None
    while True:
        found = ask_node(
            home, config, "audit_export", persons=persons, since=period[0], until=period[1], after=after
        )
        yield found["entries"]
        after = found["next"]
        if after is None:
            return


def _write_csv(file: IO[str], pages: Iterator[list[dict[str, Any]]]) -> None:
    from policies.audit.export import AUDITOR, csv_rows

    writer = csv.writer(file, lineterminator="\r\n")  # RFC 4180 §2
    writer.writerow(AUDITOR)
    for page in pages:
        writer.writerows(csv_rows(page))


def _write_json(file: IO[str], pages: Iterator[list[dict[str, Any]]]) -> None:
    """One array, an entry a line: readable by lines too."""
    separator = "[\n"
    for page in pages:
        for entry in page:
            file.write(separator + json.dumps(entry, ensure_ascii=False, sort_keys=True))
            separator = ",\n"
    file.write("\n]\n" if separator != "[\n" else "[]\n")


def _print(
    pages: Iterator[list[dict[str, Any]]], persons: list[str], days: tuple[date, date], to: Path | None
) -> None:
    from policies.audit.export import printed_for_auditor

    rows: list[dict[str, Any]] = []
    for page in pages:
        rows += page
        if len(rows) > _MOST_PRINTED:
            raise fail(f"More than {_MOST_PRINTED} entries: shorten the period, or take --format csv.")
    document = printed_for_auditor(rows, persons, days)
    if to is None:
        sys.stdout.buffer.write(document)
    else:
        _create(to).write_bytes(document)


@contextlib.contextmanager
def _opened(to: Path | None) -> Generator[IO[str]]:
    if to is None:
        text = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="")
        yield text
        text.flush()
        text.detach()
        return
    with _create(to).open("w", encoding="utf-8", newline="") as file:
        yield file
    screen.print(f"Written to {to}.", markup=False, highlight=False)


def _create(to: Path) -> Path:
    """A file that only its owner reads."""
    to.touch(mode=0o600)
    return to


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise fail(f"{text} is no day: write it as YYYY-MM-DD.") from None


def _ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
