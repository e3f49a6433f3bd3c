"""What an import tells, in files beside its figures: lines that are wrong and why, and what changed.

Semicolons and a byte order mark: spreadsheets in French open it as it is meant.

Invariants: a report never holds a line, nor a part of one but addresses and identifiers that the national directory
shows to all; its files are closed to other users, and there whole or not at all; no cell begins with what a
spreadsheet takes for a formula.
"""

from __future__ import annotations

import contextlib
import csv
import os
from pathlib import Path
from types import TracebackType
from typing import IO, Any

_MOST = 1_000_000  # lines of one report
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class Report:
    """A CSV file, made when there is something to tell."""

    def __init__(self, folder: Path, name: str, header: tuple[str, ...]) -> None:
        self.path = folder / name
        self.count = 0
        self._header = header
        self._part = folder / f".{name}.part"
        self._stream: IO[str] | None = None
        self._writer: Any = None

    def __enter__(self) -> Report:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is None:
            return
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        self._part.replace(self.path)

    def tell(self, *values: object) -> None:
        self.count += 1
        if self.count > _MOST:
            return
        if self._stream is None:
            self._part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                self._part.unlink()
            descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._stream = os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="")
            self._writer = csv.writer(self._stream, delimiter=";")
            self._writer.writerow(self._header)
        self._writer.writerow([_safe(str(value)) for value in values])


def _safe(cell: str) -> str:
    """As text: a spreadsheet runs what begins so, and addresses and names of columns are whoever's made the file."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
