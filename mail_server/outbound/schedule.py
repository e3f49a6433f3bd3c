"""When something is tried again: pure arithmetic, in milliseconds.

Invariants: a wait never exceeds the longest one by more than its jitter, nor falls under the first one by more than
that; jitter spreads what failed together, so that it does not come back together.
"""

from __future__ import annotations

from dataclasses import dataclass

from mail_server.outbound.settings import OutboundSettings

JITTER = 0.2
_DOUBLINGS = 32  # beyond them every wait is the longest one; 2.0 ** n stays small


@dataclass(frozen=True, slots=True)
class Schedule:
    """RFC 5321 §4.5.4.1: retry intervals and the time after which one gives up."""

    first: float
    longest: float
    expiry: int
    delay_notice: int
    keep: int

    @classmethod
    def of(cls, settings: OutboundSettings) -> Schedule:
        return cls(
            first=settings.first_retry_seconds * 1000,
            longest=settings.longest_retry_seconds * 1000,
            expiry=round(settings.expiry_hours * 3_600_000),
            delay_notice=round(settings.delay_notice_hours * 3_600_000),
            keep=settings.keep_days * 86_400_000,
        )

    def wait(self, failures: int, spread: float) -> int:
        """After so many failures in a row (at least one); `spread` is drawn from -1 to 1."""
        doubled = self.first * 2.0 ** min(max(failures - 1, 0), _DOUBLINGS)
        return max(1, round(min(doubled, max(self.longest, self.first)) * (1 + JITTER * spread)))

    def expires(self, accepted_at: int) -> int:
        return accepted_at + self.expiry

    def delay_at(self, accepted_at: int) -> int | None:
        """When the sender is told that it is late; None where it would have expired by then."""
        return accepted_at + self.delay_notice if self.delay_notice < self.expiry else None
