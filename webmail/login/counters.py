"""What the page counted since the node started; the node's metrics read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    logins: int = 0
    refused_logins: int = 0
    accepted_codes: int = 0
    refused_codes: int = 0
    activations: int = 0  # spaces opened, professionals' first logins, and those who began anew
    resealed_letters: int = 0
    lookups: int = 0
    crowded_lookups: int = 0  # more addresses than one account may ask about in a minute
