"""When the disk under a database of the directory has no room left: one exception, whichever driver said so.

Invariant: its words are for people, and tell nothing of what was to be written.
"""

from __future__ import annotations

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

from directory.listings.database import disk_full


class NoRoom(Exception):
    """The transaction was rolled back."""

    def __init__(self) -> None:
        super().__init__("The disk of the directory is full. Make room, then do it again.")


def without_room(failure: BaseException) -> bool:
    """By either way to a database: SQLAlchemy's or the driver's own."""
    return isinstance(failure, NoRoom) or disk_full(failure)


def watch(engine: Engine) -> None:
    """Failures of this engine for want of room become `NoRoom`."""
    event.listen(engine, "handle_error", _told, retval=True)


def _told(context: ExceptionContext) -> NoRoom | None:
    return NoRoom() if disk_full(context.original_exception) else None
