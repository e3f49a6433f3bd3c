"""`python -m directory.imports`: an import in a process of its own, so that a node is never held by one.

What is asked stands on the input, one JSON object (a database's address may hold a password: never on the command
line); on the output come lines of JSON: how far it is, then the result, or why there is none.

Invariants: it ends when who asked is gone; a failure is one sentence, never a line of the file.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

from directory.imports.run import Wish, import_file
from directory.imports.wrong import ImportRefused
from directory.listings.database import ListingsDatabase, disk_full

_FULL = "The disk of the listings is full: what was written so far stays. Make room and start it again; it goes on."


def main() -> int:
    asked: dict[str, Any] = json.loads(sys.stdin.readline())
    gc.disable()  # nothing here is made in rings, and millions of values are
    place = str(asked["database"])
    database = ListingsDatabase(
        place if place.startswith(("postgresql:", "postgres:")) else Path(place), importing=True
    )
    wish = Wish(
        path=Path(asked["path"]),
        reports=Path(asked["reports"]),
        source=str(asked["source"]),
        largest_fall=float(asked["largest_fall"]),
        dry_run=bool(asked["dry_run"]),
        force=bool(asked["force"]),
    )
    try:
        outcome = import_file(database, wish, _told, lambda: int(time.time() * 1000))
    except ImportRefused as refused:
        _say({"refused": refused.reason, "sentence": f"{wish.path.name}: {refused}"})
        return 1
    except OSError as failure:
        _say({"refused": "file", "sentence": f"{wish.path.name}: {failure.strerror or 'it cannot be read'}."})
        return 1
    except Exception as failure:  # its text may hold a line, or a database's address
        if disk_full(failure):
            _say({"refused": "disk-full", "sentence": _FULL})
            return 1
        what = type(failure).__name__
        _say({"refused": "failed", "sentence": f"The import failed ({what}); started again, it goes on."})
        return 1
    finally:
        database.close()
    outcome.peak_megabytes = _peak_megabytes()
    _say({"result": dataclasses.asdict(outcome)})
    return 0


def _peak_megabytes() -> int:
    """Of this process: getrusage(2) counts what its parent had when it was started (proc(5), VmHWM, in kB)."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return next(
        (int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0
    )


def _told(stage: str, done: int, total: int) -> None:
    _say({"progress": [stage, done, total]})


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what, ensure_ascii=False) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
