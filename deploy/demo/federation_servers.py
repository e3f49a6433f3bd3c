"""The servers that a federation's operators ask: the trust authority's list, the lists of revocation, and names.

The first two can be switched while they serve, to each state in which the real ones have been met.

Invariants: the trust list is served over TLS, under a certificate of the test authority with a name of its own; the
revocation lists in clear, as everywhere; all on 127.0.0.1 alone. `down` is a port that nobody listens on.
"""

from __future__ import annotations

import asyncio
import enum
import ssl
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from deploy.demo import pki
from deploy.demo.federation_dns import DnsServer
from deploy.demo.revocation import ListOf, revocation_list
from policies.trust_list import listing

LIST_HOST = "espacedeconfiance.test"
LIST_PATH = "/listeblanchemssante.xml"
_ORGANISATION = pki.Organisation.with_finess("AUTORITE DE CONFIANCE TEST", 9, "Paris (75)")


class ListState(enum.Enum):
    """How the trust list is found by who fetches it."""

    GOOD = "good"
    ILL_FORMED = "ill-formed"  # its last tag is missing, as in the copy that the archives keep
    EMPTY = "empty"
    OLDER = "older"  # generated before the one that was served
    HALVED = "halved"  # less than half of its rows
    MIXED_CASE = "mixed-case"  # domains and names spelled otherwise
    REFUSED = "refused"  # 503
    DOWN = "down"


class RevocationState(enum.Enum):
    """How the lists of revocation are found."""

    GOOD = "good"
    EXPIRED = "expired"
    RUBBISH = "rubbish"
    FOREIGN = "foreign"  # signed by an authority of another chain
    REFUSED = "refused"  # 503
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    kind: str


class _Server(ABC):
    """A small HTTP server in threads of its own, which can stop listening and listen again on the same port."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.port = port
        self.asked = 0
        self._tls = tls
        self._listening: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @abstractmethod
    def answer(self, path: str) -> _Answer: ...

    def listen(self) -> None:
        if self._listening is not None:
            return
        server = self

        class Asked(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked += 1
                found = server.answer(self.path)
                self.send_response(found.status)
                self.send_header("Content-Type", found.kind)
                self.send_header("Content-Length", str(len(found.body)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(found.body)

            def log_message(self, *_: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
                """Nothing: the demo prints what matters."""

        class Listening(ThreadingHTTPServer):
            daemon_threads = True

            def finish_request(self, request: Any, client_address: Any) -> None:
                with suppress(OSError):  # a client that goes away, or that does not trust us
                    whole = server.wrapped(request)
                    super().finish_request(whole, client_address)
                    whole.close()

        self._listening = Listening(("127.0.0.1", self.port), Asked)
        self.port = self._listening.server_address[1]
        self._thread = threading.Thread(
            target=self._listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def wrapped(self, connection: Any) -> Any:
        connection.settimeout(60)
        return connection if self._tls is None else self._tls.wrap_socket(connection, server_side=True)

    def close(self) -> None:
        if self._listening is None or self._thread is None:
            return
        self._listening.shutdown()
        self._listening.server_close()
        self._thread.join()
        self._listening = self._thread = None


class TrustListServer(_Server):
    """The authority that says which certificate speaks for which domain."""

    def __init__(self, port: int, authority: pki.TestAuthority, rows: Iterable[listing.Row]) -> None:
        self.certificate = authority.issue_server(LIST_HOST, _ORGANISATION)
        super().__init__(port, _server_side(self.certificate))
        self.rows: list[listing.Row] = list(rows)
        self.generated = datetime.now(UTC)
        self._state = ListState.GOOD
        self.listen()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}{LIST_PATH}"

    @property
    def state(self) -> ListState:
        return self._state

    def switch(self, state: ListState) -> None:
        self._state = state
        if state in (ListState.HALVED, ListState.MIXED_CASE):
            self._newer()
        if state is ListState.DOWN:
            self.close()
        else:
            self.listen()

    def publish(self, rows: Iterable[listing.Row]) -> None:
        """A newer list, and a good one."""
        self.rows = list(rows)
        self._newer()
        self.switch(ListState.GOOD)

    def _newer(self) -> None:
        self.generated = max(datetime.now(UTC), self.generated + timedelta(milliseconds=1))

    def show(self, certificate: pki.Leaf) -> None:
        """From the next connection on it stands under this certificate."""
        self._tls = _server_side(certificate)

    def answer(self, path: str) -> _Answer:
        if path != LIST_PATH:
            return _Answer(404, b"", "text/plain")
        if self._state is ListState.REFUSED:
            return _Answer(503, b"", "text/plain")
        return _Answer(200, self._text(), "application/xml")

    def _text(self) -> bytes:
        rows: Sequence[listing.Row] = self.rows
        generated = self.generated
        match self._state:
            case ListState.EMPTY:
                rows = ()
            case ListState.OLDER:
                generated -= timedelta(days=1)
            case ListState.HALVED:
                rows = rows[: (len(rows) - 1) // 2]
            case ListState.MIXED_CASE:
                rows = [_otherwise(row) for row in rows]
            case _:
                pass
        text = as_xml(rows, generated)
        return text.rpartition(b"</")[0] if self._state is ListState.ILL_FORMED else text


class RevocationServer(_Server):
    """What the health authorities publish of certificates that no longer hold: one list for each authority."""

    def __init__(self, port: int, authority: pki.TestAuthority) -> None:
        super().__init__(port)
        self._authority = authority
        self._state = RevocationState.GOOD
        self._revoked: list[int] = []  # serial numbers
        self.intermediate_revoked = False
        self.valid = 7 * pki.DAY  # how long what is published holds
        self.listen()

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{self.port}/{name}.crl" for name in ("organisations", "racine")]

    @property
    def state(self) -> RevocationState:
        return self._state

    def switch(self, state: RevocationState) -> None:
        self._state = state
        if state is RevocationState.DOWN:
            self.close()
        else:
            self.listen()

    def revoke(self, *leaves: pki.Leaf) -> None:
        self._revoked += [leaf.certificate.serial_number for leaf in leaves]

    def revoked(self, leaf: pki.Leaf) -> bool:
        return leaf.certificate.serial_number in self._revoked

    def forgive(self) -> None:
        """No certificate is revoked any more, which real authorities never say."""
        self._revoked.clear()
        self.intermediate_revoked = False

    def answer(self, path: str) -> _Answer:
        if self._state is RevocationState.REFUSED:
            return _Answer(503, b"", "text/plain")
        if self._state is RevocationState.RUBBISH:
            return _Answer(200, b"<html>maintenance</html>", "text/html")
        authority = self._authority
        if self._state is RevocationState.FOREIGN:
            authority = pki.TestAuthority.create(label="ETRANGERE")
        of_root = path == "/racine.crl"
        if not of_root and path != "/organisations.crl":
            return _Answer(404, b"", "text/plain")
        revoked = self._intermediates if of_root else tuple(self._revoked)
        published = datetime.now(UTC)
        if self._state is RevocationState.EXPIRED:
            published -= 8 * pki.DAY
        number = int(published.timestamp() * 1000)
        wanted = ListOf(revoked, number=number, published=published, valid=self.valid)
        return _Answer(200, revocation_list(authority, wanted, of_root=of_root), "application/pkix-crl")

    @property
    def _intermediates(self) -> tuple[int, ...]:
        return (self._authority.intermediate.serial_number,) if self.intermediate_revoked else ()


class NameServer:
    """The names of a federation, answered from a thread of its own."""

    def __init__(self, port: int = 0) -> None:
        self._server = DnsServer()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.start(port), self._loop).result(10)

    @property
    def address(self) -> str:
        return self._server.address

    def publish(self, records: Mapping[str, str]) -> None:
        """TXT records."""
        self._server.texts(records)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


def as_xml(rows: Iterable[listing.Row], generated: datetime) -> bytes:
    with tempfile.TemporaryDirectory(prefix="vm-list-") as folder:
        path = Path(folder) / "list.xml"
        listing.write(path, rows, generated)
        return path.read_bytes()


def _otherwise(row: listing.Row) -> listing.Row:
    """The same domain and name, as another clerk would write them."""
    return replace(row, domain=row.domain.title(), dn=row.dn.upper().replace(",", ", "))


def _server_side(leaf: pki.Leaf) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.TemporaryDirectory(prefix="vm-list-") as folder:
        files = leaf.write(Path(folder), "list")
        context.load_cert_chain(files.certificate, files.key)
    return context
