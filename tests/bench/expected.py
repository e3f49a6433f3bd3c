"""What is expected of the product, as ratios to Postfix → Dovecot in the same run (1 = the same).

A row without an entry is reported and expects nothing: at one connection, for instance, both sides wait for
the disk.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Expected:
    cpu: float | None = None  # at most
    rate: float | None = None  # at least


NOTHING = Expected()

# (mode, size, connections)
INGEST: dict[tuple[str, str, int], Expected] = {
    ("custody", "4k", 10): Expected(cpu=0.25, rate=3.0),
    ("custody", "4k", 50): Expected(cpu=0.20, rate=3.0),
    ("custody", "50k", 10): Expected(cpu=0.35),
    ("custody", "1M", 10): Expected(cpu=0.45),
    # of a chain that encrypts nothing
    ("sealed", "4k", 10): Expected(cpu=0.60),
    ("sealed", "50k", 10): Expected(cpu=0.60),
    ("sealed", "1M", 10): Expected(cpu=1.30),
}
LISTING: dict[str, Expected] = {"custody": Expected(cpu=0.60), "sealed": Expected(cpu=0.60)}
