"""What the LDAP door is given: who logs in, certificates, what can be sent to an address.

`directory` knows no accounts; `deploy/node/ldap.py` gives these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from directory.model import Capability


@dataclass(frozen=True, slots=True)
class Client:
    """The other end of a connection."""

    address: str
    port: int
    session: str  # opaque id, in log lines and the trace
    tls: bool = False
    certificate: bytes | None = field(default=None, repr=False)  # DER, its chain verified by the TLS layer


@dataclass(frozen=True, slots=True)
class Bound:
    """Who a connection speaks for, proven."""

    account: str
    address: str
    stands: Callable[[], bool]  # asked at each request: withdrawn credentials end the connection


class NotProven(Exception):
    """A login that fails. `temporary`: it may succeed later; `sentence` can be shown."""

    def __init__(self, sentence: str, *, temporary: bool = False) -> None:
        super().__init__(sentence)
        self.sentence, self.temporary = sentence, temporary


class Exchange(Protocol):
    """One SASL exchange."""

    async def step(self, response: bytes) -> bytes | Bound:
        """The next challenge, or who it is. Raises NotProven."""
        ...


class Logins(Protocol):
    def mechanisms(self, client: Client) -> Sequence[str]:
        """SASL mechanisms offered on this connection now."""
        ...

    async def simple(self, user: str, password: str, client: Client) -> Bound:
        """Raises NotProven."""
        ...

    def begin(self, mechanism: str, client: Client) -> Exchange:
        """Raises NotProven."""
        ...


Certificates = Callable[[str], Sequence[bytes]]
"""X.509 certificates in force of an address, DER."""
Capabilities = Callable[[str], Capability | None]
Place = Callable[[str], str]
"""What counts as one place of the network for limits."""
