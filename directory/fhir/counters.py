"""What the FHIR door counted since it started; the node's metrics read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    reads: int = 0
    searches: int = 0
    publications: int = 0
    refused: int = 0  # calls answered with 4xx
    without_key: int = 0
    throttled: int = 0
    cut_short: int = 0  # searches that took too long
    failed: int = 0  # 5xx
