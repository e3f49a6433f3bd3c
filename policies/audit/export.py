"""What an auditor is handed: rows of the trace as CSV or as a printed list.

Invariants: the same entries give the same octets; a cell that a spreadsheet would run as a formula is marked as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from policies.audit.printing import Printed, render

AUDITOR = (
    "time",
    "chain",
    "seq",
    "class",
    "action",
    "who",
    "for",
    "on",
    "kind",
    "door",
    "outcome",
    "reference",
    "session",
    "network",
    "detail",
)
_PRINTED = ("time", "who", "for", "action", "on", "outcome", "network", "reference")
_HEADINGS = ("Time (UTC)", "Who", "For", "Action", "On", "Result", "Network", "Reference")
_WIDTHS = ("8em", "2fr", "1.5fr", "1.2fr", "2fr", "1.2fr", "1.3fr", "1.5fr")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_rows(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[str]]:
    """Rows of `audit show --json`, in the order of AUDITOR."""
    for row in rows:
        yield [csv_cell(_text(row.get(name, ""))) for name in AUDITOR]


def csv_cell(text: str) -> str:
    return "'" + text if text.startswith(_FORMULA) else text


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs: list[tuple[str, Any]] = sorted(value.items())  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        return " ".join(f"{name}={one}" for name, one in pairs)
    return str(value)


def printed_for_auditor(
    rows: Sequence[Mapping[str, Any]], persons: Sequence[str], days: tuple[date, date]
) -> bytes:
    """The same as PDF/UA."""
    first, last = (day.isoformat() for day in days)
    return render(
        Printed(
            language="en",
            title="Extract of the trace",
            lead=(
                f"All acts of, on, and in the name of: {', '.join(persons)}.",
                f"From {first} to {last}, both days included; {len(rows)} entries. Times are UTC.",
            ),
            headings=_HEADINGS,
            rows=[[_text(row.get(name, "")) for name in _PRINTED] for row in rows],
            widths=_WIDTHS,
            page="Page",
            landscape=True,
        )
    )
