"""What an import asks of a national file's form, whichever of the two it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from directory.model import Mailbox, Situation

Value = Mailbox | Situation


class Form(Protocol):
    """Values go in as they came out: those of one form never meet the other's."""

    @property
    def number(self) -> int:
        """Under which its lines are known in the database."""
        ...

    @property
    def of_mailboxes(self) -> bool:
        """Whether its owners are addresses; else they are ids of situations."""
        ...

    def rough_owner(self, line: bytes) -> object:
        """What lines of one owner have in common, before they are looked at; None where that cannot be said."""
        ...

    def value(self, line: bytes) -> Value:
        """Raises LineWrong."""
        ...

    def owner(self, value: Any) -> str:
        """Whom lines with this value stand for."""
        ...

    def clear_key(self, line: bytes) -> str | None:
        """Which owner, or which person, a wrong line names beyond doubt; None where that cannot be said."""
        ...

    def merged(self, values: Sequence[Any]) -> Value:
        """Of several lines of one owner."""
        ...

    def surplus(self, values: Sequence[Any]) -> bool:
        """Whether several lines of one owner are too many."""
        ...
