"""Which attributes of an entry a client sees (RFC 4511 §4.5.1.8): named ones, `*`, `+`, `1.1`.

Invariant: an attribute is shown once, by its own name, whatever it was asked for as.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from directory.ldap import schema
from directory.ldap.entries import Entry
from directory.ldap.protocol import responses
from directory.ldap.schema import Attribute


class Selection:
    def __init__(self, asked: Sequence[str], *, types_only: bool = False) -> None:
        self._types_only = types_only
        wanted: dict[Attribute, None] = {}
        # RFC 4511 §4.5.1.8: none named is all user attributes; "1.1" alone is none.
        everything = not asked or "*" in asked
        if everything:
            wanted.update((each, None) for each in schema.ATTRIBUTES if not each.operational)
        if "+" in asked:  # RFC 3673
            wanted.update((each, None) for each in schema.ATTRIBUTES if each.operational)
        for description in asked:
            if (found := schema.attribute(description)) is not None:
                wanted.update((each, None) for each in schema.with_subtypes(found))
        self._wanted = tuple(wanted)

    def encoded(self, message_id: int, entry: Entry) -> bytes:
        return responses.entry(message_id, str(entry.name), self.shown(entry))

    def shown(self, entry: Entry) -> Iterator[tuple[str, Sequence[bytes]]]:
        for each in self._wanted:
            if each.name not in entry.values and each.name not in entry.later:
                continue
            if values := entry.octets(each):
                yield each.shown, () if self._types_only else values
