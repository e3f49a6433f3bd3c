"""What `doctor` says of limits and of mailboxes that nobody comes to.

Invariant: it looks at the configuration and at what is installed; nobody is told anything by it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from deploy.node.config import Config
from deploy.node.finding import Finding
from policies.limits.limits import Limit


def life_findings(settings: Config) -> Iterator[Finding]:
    yield _notices(settings)
    off = [each.value for each in Limit if not getattr(settings.limits, each.value)]
    if off:
        yield Finding(
            "limits", "warning", f"Nothing is refused beyond {', '.join(off)}: set to 0 in [limits]."
        )
    else:
        yield Finding("limits", "good", "Every sender has a limit: `vaguemestre limits show`.")


def _notices(settings: Config) -> Finding:
    life = settings.life
    if not life.notice_command and settings.notices.smarthost:
        return Finding(
            "unused mailboxes",
            "good",
            f"Told after {life.inactivity_months} months by the smarthost of [notices], to who has an ordinary address "
            f"(`account notice-address`), closed {life.objection_days} days later.",
        )
    if not life.notice_command:
        return Finding(
            "unused mailboxes",
            "warning",
            f"Nobody is told when a mailbox lies unused for {life.inactivity_months} months, and none is closed: name "
            "a program in life.notice_command, or a smarthost in [notices].",
        )
    program = life.notice_command[0]
    found = shutil.which(program)
    if found is None:
        return Finding(
            "unused mailboxes",
            "failed",
            f"life.notice_command names {program}, which is not there or may not be run.",
        )
    if Path(found).name in _SHELLS and "-c" in life.notice_command[1:]:
        return Finding(
            "unused mailboxes",
            "warning",
            "life.notice_command goes through a shell: an address would be read as a part of its text. Name the "
            "program itself.",
        )
    return Finding(
        "unused mailboxes",
        "good",
        f"Told after {life.inactivity_months} months, closed {life.objection_days} days later.",
    )


_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh"})
