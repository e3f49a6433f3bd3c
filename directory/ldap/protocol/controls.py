"""Controls that are understood: paged results (RFC 2696); and how one that is not is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from directory.ldap.protocol import ber
from directory.ldap.protocol.ber import Undecodable
from directory.ldap.protocol.codes import PAGED_RESULTS, ResultCode
from directory.ldap.protocol.messages import Control, Request, RequestRefused, Search

LONGEST_COOKIE = 64


@dataclass(frozen=True, slots=True)
class Page:
    size: int
    cookie: bytes  # b"" for the first page


def page_of(request: Request, controls: Sequence[Control]) -> Page | None:
    """What is asked by pages. Raises RequestRefused for a critical control that does not apply (RFC 4511 §4.1.11)."""
    found: Page | None = None
    for control in controls:
        if control.kind == PAGED_RESULTS and isinstance(request, Search):
            if found is not None:
                raise RequestRefused(ResultCode.PROTOCOL_ERROR, "pages are asked for twice")
            found = _page(control.value)
        elif control.critical:
            raise RequestRefused(
                ResultCode.UNAVAILABLE_CRITICAL_EXTENSION,
                "a control that must not be passed over is not known",
            )
    return found


def paged(size: int, cookie: bytes) -> bytes:
    """The control of an answer. `cookie`: b"" with the last page; `size`: an estimate, 0 when there is none."""
    value = ber.sequence((ber.number(size), ber.octets(cookie)))
    return ber.sequence((ber.octets(PAGED_RESULTS.encode()), ber.octets(value)))


def asked(page: Page, *, critical: bool = False) -> bytes:
    """The control of a request."""
    value = ber.sequence((ber.number(page.size), ber.octets(page.cookie)))
    parts = [ber.octets(PAGED_RESULTS.encode()), *([ber.truth(True)] if critical else []), ber.octets(value)]
    return ber.sequence(parts)


def _page(value: bytes | None) -> Page:
    try:
        data = value or b""
        at, end = ber.expect(data, 0, len(data), ber.SEQUENCE)
        begin, at = ber.expect(data, at, end, ber.INTEGER)
        size = ber.integer(data, begin, at)
        begin, at = ber.expect(data, at, end, ber.OCTET_STRING)
    except Undecodable:
        raise RequestRefused(ResultCode.PROTOCOL_ERROR, "a page that cannot be read") from None
    if not 0 <= size <= ber.LARGEST_INTEGER or at - begin > LONGEST_COOKIE:
        raise RequestRefused(ResultCode.PROTOCOL_ERROR, "a page out of its bounds")
    return Page(size, data[begin:at])
