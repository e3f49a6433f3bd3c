"""Which command is legal when (RFC 9051 §3): one table, nothing else decides.

Invariant: a command that is not in the table for the present state is answered BAD before its
arguments are read.
"""

from __future__ import annotations

import enum


class State(enum.Flag):
    NOT_AUTHENTICATED = enum.auto()
    AUTHENTICATED = enum.auto()
    SELECTED = enum.auto()
    LOGOUT = enum.auto()


ANY = State.NOT_AUTHENTICATED | State.AUTHENTICATED | State.SELECTED
BEFORE = State.NOT_AUTHENTICATED
AFTER = State.AUTHENTICATED | State.SELECTED
INSIDE = State.SELECTED

ALLOWED: dict[str, State] = {
    "CAPABILITY": ANY,
    "NOOP": ANY,
    "LOGOUT": ANY,
    "ID": ANY,
    "STARTTLS": BEFORE,
    "LOGIN": BEFORE,
    "AUTHENTICATE": BEFORE,
    "ENABLE": AFTER,
    "SELECT": AFTER,
    "EXAMINE": AFTER,
    "CREATE": AFTER,
    "DELETE": AFTER,
    "RENAME": AFTER,
    "SUBSCRIBE": AFTER,
    "UNSUBSCRIBE": AFTER,
    "LIST": AFTER,
    "LSUB": AFTER,
    "NAMESPACE": AFTER,
    "STATUS": AFTER,
    "APPEND": AFTER,
    "SETACL": AFTER,
    "DELETEACL": AFTER,
    "GETACL": AFTER,
    "LISTRIGHTS": AFTER,
    "MYRIGHTS": AFTER,
    "IDLE": AFTER,
    "CHECK": INSIDE,
    "CLOSE": INSIDE,
    "UNSELECT": INSIDE,
    "EXPUNGE": INSIDE,
    "SEARCH": INSIDE,
    "FETCH": INSIDE,
    "STORE": INSIDE,
    "COPY": INSIDE,
    "MOVE": INSIDE,
    "UID EXPUNGE": INSIDE,
    "UID SEARCH": INSIDE,
    "UID FETCH": INSIDE,
    "UID STORE": INSIDE,
    "UID COPY": INSIDE,
    "UID MOVE": INSIDE,
}

# RFC 9051 §7.5.1: no EXPUNGE while these are answered, else message numbers would shift under the client.
WITHOUT_EXPUNGE = frozenset({"FETCH", "STORE", "SEARCH"})
