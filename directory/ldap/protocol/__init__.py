"""LDAPv3 (RFC 4511) without I/O: bytes in, events out; values in, bytes out.

Invariants: knows no listing, no account, no socket; no input raises anything through `Connection` but `ProtocolError`.
"""

from directory.ldap.protocol.codes import ResultCode
from directory.ldap.protocol.connection import (
    LARGEST_MESSAGE,
    Connection,
    Event,
    ProtocolError,
    Refused,
    Requested,
    State,
)

__all__ = [
    "LARGEST_MESSAGE",
    "Connection",
    "Event",
    "ProtocolError",
    "Refused",
    "Requested",
    "ResultCode",
    "State",
]
