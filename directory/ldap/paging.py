"""Where paged searches of one connection go on (RFC 2696): by cookies that say nothing and serve once.

Invariants: a cookie serves the search it was given for, the one who asked it, and this connection; a connection holds
few of them, the oldest goes first.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict

from directory.ldap.protocol.messages import Search
from directory.ldap.searching import Place

_MOST = 8


class Pages:
    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, tuple[Place, Search, str]] = OrderedDict()

    def keep(self, place: Place, search: Search, asker: str) -> bytes:
        cookie = secrets.token_bytes(16)
        self._kept[cookie] = place, search, asker
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        return cookie

    def take(self, cookie: bytes, search: Search, asker: str) -> Place | None:
        """The first page without a cookie; None for one that is not known, or of another search."""
        if not cookie:
            return Place()
        kept = self._kept.pop(cookie, None)
        if kept is None:
            return None
        place, of, its_asker = kept
        return place if of == search and its_asker == asker else None

    def clear(self) -> None:
        self._kept.clear()
