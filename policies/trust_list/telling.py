"""What the log and the trace say of another trust list, and of what is held of one.

Invariant: what is refused or held is an error of the log: somebody has to look; each name that comes or goes is traced.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from policies.interface import Event
from policies.trust_list.changes import Difference, Held
from policies.trust_list.kept import Kept
from policies.trust_list.listing import ListRefused

_log = logging.getLogger("vaguemestre.policies")
_TOLD_AT_ONCE = 5  # held changes that a line of the log names


class Telling:
    def __init__(self, audit: Callable[[Sequence[Event]], None], clock: Callable[[], int]) -> None:
        self._audit = audit
        self._clock = clock

    def refused(self, refused: ListRefused, by: str) -> None:
        _log.error("trust list refused (%s): %s", refused.reason, refused.sentence)
        self._audit([Event("trust-list", self._clock(), by, outcome=refused.reason)])

    def accepted(self, kept: Kept, changed: Difference, held: Sequence[Held], by: str) -> None:
        now = self._clock()
        told = {
            "rows": str(len(kept.listing.rows)),
            "generated": kept.listing.generated.isoformat(),
            "added": str(len(changed.names_added)),
            "removed": str(len(changed.names_removed)),
            "held": str(len(held)),
        }
        self._audit([Event("trust-list", now, by, outcome="accepted", detail=told)])
        pairs = [("name-added", pair) for pair in changed.names_added]
        pairs += [("name-removed", pair) for pair in changed.names_removed]
        self._audit(
            [
                Event(
                    "trust-list-change", now, by, detail={"kind": kind, "domain": pair.domain, "dn": pair.dn}
                )
                for kind, pair in pairs
            ]
        )
        if held:
            self._held(held, now, by)

    def _held(self, held: Sequence[Held], now: int, by: str) -> None:
        named = ", ".join(dict.fromkeys(each.domain for each in held[:_TOLD_AT_ONCE]))
        more = "" if len(held) <= _TOLD_AT_ONCE else " and others"
        _log.error(
            "trust list: %d change(s) held (%s%s): see `vaguemestre trust-list pending`",
            len(held),
            named,
            more,
        )
        self._audit([_event(each, "held", now, by) for each in held])

    def decided(self, outcome: str, done: Sequence[Held], by: str) -> None:
        now = self._clock()
        _log.warning("trust list: %d held change(s) %s by %s", len(done), outcome, by)
        self._audit([_event(each, outcome, now, by) for each in done])


def _event(held: Held, outcome: str, now: int, by: str) -> Event:
    kind = "own-name-removed" if held.gone else "name-added"
    return Event(
        "trust-list-change",
        now,
        by,
        outcome=outcome,
        detail={"kind": kind, "domain": held.domain, "dn": held.dn},
    )
