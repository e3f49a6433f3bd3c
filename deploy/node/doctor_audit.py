"""What `doctor` looks at of the trace: that its heads leave the home, and lately."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from deploy.node.config import Config
from deploy.node.finding import Finding
from policies.audit import heads

_SUBJECT = "trace"
_DAY_MS = 86_400_000


def audit_findings(settings: Config, home: Path) -> Iterator[Finding]:
    path = settings.policies.audit_heads
    if path is None:
        yield Finding(
            _SUBJECT,
            "failed",
            "Its heads are noted nowhere outside, so a cut at its end would not show: set policies.audit_heads.",
        )
        return
    if path.resolve().is_relative_to(home.resolve()):
        yield Finding(
            _SUBJECT,
            "failed",
            f"Its heads lie under the home ({path}): who can change the trace can change them too. Move them.",
        )
        return
    try:
        noted = heads.read(path, settings.policies.audit_chain)
    except FileNotFoundError:
        yield Finding(
            _SUBJECT, "warning", f"No head was noted in {path} yet: the node makes it when it runs."
        )
        return
    except OSError as failure:
        yield Finding(_SUBJECT, "failed", f"Its heads in {path} cannot be read: {failure.strerror}.")
        return
    first = next((each for each in noted.faults if not each.harmless), None)
    if first is not None:
        yield Finding(_SUBJECT, "failed", f"Line {first.line} of {path} does not hold: {first.reason}.")
        return
    age = (time.time_ns() // 1_000_000 - noted.latest) // _DAY_MS
    verdict = "warning" if age > 7 else "good"
    yield Finding(_SUBJECT, verdict, f"{noted.lines} heads in {path}, the last one {age} day(s) ago.")
