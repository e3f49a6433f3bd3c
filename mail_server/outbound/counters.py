"""What the queue counted since the node started, for the metrics. Labels name no address and no letter."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counters:
    """One per recipient and letter, unless said otherwise."""

    attempts: int = 0  # letters handed to the client
    delivered: Counter[str] = field(default_factory=Counter[str])  # by interface.Readable
    deferred: Counter[str] = field(default_factory=Counter[str])  # by reason
    refused: Counter[str] = field(default_factory=Counter[str])  # by reason
    expired: int = 0
    cancelled: int = 0
    delayed: int = 0  # told late
    domain_failures: int = 0  # times a domain began to be left alone
    possibly_twice: int = 0  # handed over, its reply never known, to be handed over again
    leases_lost: int = 0  # letters that another node took up while this one had them
