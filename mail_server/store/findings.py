"""What `check` can find."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Fault(enum.StrEnum):
    KEY_UNAVAILABLE = "key-unavailable"
    MAILBOX_MISSING = "mailbox-missing"
    UID_BEYOND_UIDNEXT = "uid-beyond-uidnext"
    MODSEQ_AHEAD = "modseq-ahead"
    ORPHAN = "orphan"
    UNREADABLE = "unreadable"
    SIZE = "size"
    REFCOUNT = "refcount"
    COPY_DIFFERS = "copy-differs"  # what a membership repeats of its message
    OCTETS = "octets"  # an account's sum
    SEGMENT_MISSING = "segment-missing"
    SEGMENT_SHORT = "segment-short"
    RECORD_DAMAGED = "record-damaged"
    TORN_TAIL = "torn-tail"  # after what is committed: what a kill leaves, harmless
    UNKNOWN_SEGMENT = "unknown-segment"  # a file that no commit ever named: harmless


HARMLESS = frozenset({Fault.TORN_TAIL, Fault.UNKNOWN_SEGMENT})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be."""

    fault: Fault
    subject: str  # which account, mailbox, message, blob or segment
    detail: str

    @property
    def harmless(self) -> bool:
        """Left by a kill or a commit that was given up: nothing acknowledged is touched."""
        return self.fault in HARMLESS
