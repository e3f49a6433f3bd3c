"""Which port of the demo's node is which, above the port base it was given."""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping
from functools import cache

from deploy.demo.node_process import DemoFailed

# The standard port of each service, to which the port base is added.
PORTS = {
    "smtp": 25,
    "submission": 587,
    "submissions": 465,
    "imap": 143,
    "imaps": 993,
    "https": 443,
    "http": 80,
    "peers": 444,
    "metrics": 464,
    "identity": 90,
    "ldap": 389,
    "ldaps": 636,
}


def ports_at(port_base: int) -> dict[str, int]:
    return {name: port_base + port for name, port in PORTS.items()}


def refuse_taken(ports: Mapping[str, int]) -> None:
    """Raises DemoFailed with what to do where somebody else listens at one of them, before anything is made."""
    for port in ports.values():
        with socket.socket() as probe:
            # What was only just closed is free for the node too.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OverflowError:
                raise DemoFailed(f"There is no port {port}: choose a smaller --port-base.") from None
            except OSError:
                raise DemoFailed(
                    f"Port {port} is not free on this machine (another demo, perhaps): choose others with --port-base."
                ) from None


def free_port_base(*more: int) -> int:
    """A base whose ports are free now, below the range the kernel lends to clients; `more`: further ports above it.

    They are taken some seconds later, when the node starts: other processes look elsewhere meanwhile.
    """
    places = _own_places()
    for _ in range(400):
        base = random.choice(places[: -max(*PORTS.values(), *more)])  # noqa: S311 - not a secret
        try:
            for port in (*PORTS.values(), *more):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", base + port))
        except OSError:
            continue
        return base
    raise DemoFailed("No free ports were found on this machine.")


_PLACES = range(11_000, 31_000)
_BLOCK = 4_000  # room for a demo of two operators
_guards: list[socket.socket] = []  # held for as long as this process lives


@cache
def _own_places() -> range:
    """A part of the ports in which no other process looks; all of them, where each part is somebody's."""
    blocks = [_PLACES[at : at + _BLOCK] for at in range(0, len(_PLACES), _BLOCK)]
    for number, block in enumerate(blocks):
        guard = socket.socket()
        try:
            guard.bind(("127.0.0.1", _PLACES.stop + number))
        except OSError:
            guard.close()
            continue
        _guards.append(guard)
        return block
    return _PLACES
