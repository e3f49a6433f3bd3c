"""Places on the network: what counts as one for limits, where an app password may be used from, what is here.

One household or one attacker holds a whole IPv6 /64, so that is one place.

Invariants: an IPv4 address mapped into IPv6 counts as IPv4 everywhere; what is no address stands for itself as a place
and lies in no range.
"""

from __future__ import annotations

import functools
import ipaddress

MOST_RANGES = 16
_LONGEST = 1000

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def place_of(address: str) -> str:
    """An IPv4 address as it is, also when it is mapped into IPv6; the /64 of any other IPv6 address."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    return str(parsed.ipv4_mapped or ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))


def is_this_machine(host: str) -> bool:
    """Whether a host, by name or address, is this one: nobody in between reads what is said to it in plain."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def ranges(text: str) -> str:
    """Ranges as they are kept, "192.0.2.0/24 2001:db8::/32"; commas part them too. Raises ValueError.

    Bits behind the prefix are refused: who writes 192.0.2.7/24 may mean one address or all of them.
    """
    if len(text) > _LONGEST:
        raise ValueError("too long")
    found = list(dict.fromkeys(str(_network(each)) for each in text.replace(",", " ").split()))
    if len(found) > MOST_RANGES:
        raise ValueError("too many ranges")
    return " ".join(found)


def within(address: str, kept: str) -> bool:
    """Whether an address lies in one of the ranges; where none is given, it does."""
    if not kept:
        return True
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in _networks(kept))


@functools.lru_cache(maxsize=4096)
def _networks(kept: str) -> tuple[Network, ...]:
    return tuple(_network(each) for each in kept.split())


def _network(text: str) -> Network:
    network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped is not None:
        if network.prefixlen < 96:
            raise ValueError("a range across both families")
        return ipaddress.IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    return network
