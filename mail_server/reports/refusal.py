"""Why a report is not taken.

Invariant: the text names a field at most, never what stood in it.
"""

from __future__ import annotations

from mail_server.payloads.record.causes import words


class ReportRefused(Exception):
    """`slug` is one of `payloads.record.causes`; `place` is the field or file meant, "" where none is."""

    def __init__(self, slug: str, place: str = "") -> None:
        super().__init__(slug)
        self.slug = slug
        self.place = place

    @property
    def fr(self) -> str:
        return words(self.slug)[0] + (f" ({self.place})" if self.place else "")

    @property
    def en(self) -> str:
        return words(self.slug)[1] + (f" ({self.place})" if self.place else "")
