"""The IMAP protocol without I/O: bytes in, events out; values in, bytes out.

Invariants: knows no store, no account, no socket; no input raises through `Connection`.
"""

from mail_server.imap.protocol.connection import (
    Caps,
    CommandReceived,
    CommandRejected,
    Connection,
    ContinuationWanted,
    Event,
    LineReceived,
    MessageAnnounced,
    MessageReceived,
)
from mail_server.imap.protocol.states import State

__all__ = [
    "Caps",
    "CommandReceived",
    "CommandRejected",
    "Connection",
    "ContinuationWanted",
    "Event",
    "LineReceived",
    "MessageAnnounced",
    "MessageReceived",
    "State",
]
