"""What counts as one place on the network, for limits: one household or one attacker holds a whole IPv6 /64.

Invariant: never raises; what is no address stands for itself.
"""

from __future__ import annotations

import ipaddress


def place_of(address: str) -> str:
    """An IPv4 address as it is, also when it is mapped into IPv6; the /64 of any other IPv6 address."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    return str(parsed.ipv4_mapped or ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
