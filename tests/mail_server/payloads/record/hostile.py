"""The hostile corpus: archives and XML files that must be refused, and odd ones that must not be.

Made anew at each run, always the same. What is to be said of each lies in tests/webmail/vectors/xdm/verdicts.json, for
Python and for the page.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Case:
    """`kind` says how it is read: as a whole archive, or as XML."""

    name: str
    kind: Literal["archive", "xml", "subject"]
    data: bytes = field(repr=False)


def corpus() -> Iterator[Case]:
    from tests.mail_server.payloads.record import hostile_metadata, hostile_xml, hostile_zips, odd

    yield from hostile_zips.cases()
    yield from hostile_xml.cases()
    yield from hostile_metadata.cases()
    yield from odd.cases()
