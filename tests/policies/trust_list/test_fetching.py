"""The list over a real TLS connection: who is believed, and what is no answer."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.pki import Dates, Leaf, Organisation, TestAuthority, self_signed
from policies.trust_list import fetching
from policies.trust_list.fetching import ListServer, NotFetched
from policies.trust_list.listing import LARGEST, ListRefused
from policies.trust_list.revocation.interface import Finding

TRUSTED = Organisation.with_finess("ESPACE DE CONFIANCE TEST", 9, "Paris (75)")
HOST = "liste.test"


@dataclass
class Answer:
    """What the server says next."""

    status: int = 200
    body: bytes = b"<list/>"
    headers: dict[str, str] = field(default_factory=dict[str, str])
    drip: float = 0.0  # seconds between octets
    asked: list[dict[str, str]] = field(default_factory=list[dict[str, str]])


@contextmanager
def served(answer: Answer, tls: ssl.SSLContext | None) -> Generator[int]:
    class Asked(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer.asked.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                if answer.drip:
                    for octet in answer.body:
                        self.wfile.write(bytes([octet]))
                        stop.wait(answer.drip)
                else:
                    self.wfile.write(answer.body)
            except OSError:
                return

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as it is named there
            """Nothing."""

    stop = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Asked)
    server.daemon_threads = True
    server.handle_error = lambda request, client_address: None  # pyright: ignore[reportAttributeAccessIssue]
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        stop.set()
        server.shutdown()
        server.server_close()
        thread.join()


class Known:
    """What is known of the server's certificate."""

    def __init__(self, finding: Finding = Finding.GOOD) -> None:
        self.finding = finding

    async def look(self, chain: object) -> Finding:
        return self.finding


@dataclass
class Place:
    authority: TestAuthority
    folder: Path
    answer: Answer = field(default_factory=Answer)

    @property
    def leaf(self) -> Leaf:
        return self.authority.issue_server(HOST, TRUSTED)

    async def ask(
        self,
        leaf: Leaf | None = None,
        *,
        etag: str = "",
        dns: tuple[str, ...] | None = None,
        finding: Finding = Finding.GOOD,
        host: str = "localhost",
        least: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
        most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
        seconds: float = 5,
    ) -> Any:
        leaf = leaf or self.leaf
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version, context.maximum_version = least, most
        files = leaf.write(self.folder, "list")
        context.load_cert_chain(files.certificate, files.key)
        with served(self.answer, context) as port:
            server = ListServer(
                f"https://{host}:{port}/liste.xml",
                self.authority.write(self.folder / "pki"),
                dns if dns is not None else (self.leaf.dn,),
                Known(finding),
                seconds,
            )
            return await server(etag)


@pytest.fixture
def place(authority: TestAuthority, tmp_path: Path) -> Place:
    return Place(authority, tmp_path)


async def reason(asked: Any) -> str:
    with pytest.raises(ListRefused) as refused:
        await asked
    return refused.value.reason


async def test_the_list_comes_from_the_host_and_the_name_that_are_configured(place: Place) -> None:
    place.answer.headers["ETag"] = '"one"'
    answer = await place.ask(dns=("CN=autre.test,C=FR", place.leaf.dn.lower().replace(",", " , ")))
    assert (answer.document, answer.etag) == (b"<list/>", '"one"')
    assert place.answer.asked[0]["accept-encoding"] == "identity"
    assert "if-none-match" not in place.answer.asked[0]


async def test_a_list_that_did_not_change_is_not_sent_again(place: Place) -> None:
    place.answer = Answer(304, b"", {"ETag": '"one"'})
    answer = await place.ask(etag='"one"')
    assert answer.document is None
    assert place.answer.asked[0]["if-none-match"] == '"one"'


@pytest.mark.parametrize("etag", ['"' + "x" * 300 + '"', '"\xe9"'])
async def test_a_mark_that_cannot_be_sent_back_is_not_kept(place: Place, etag: str) -> None:
    place.answer.headers["ETag"] = etag
    assert (await place.ask()).etag == ""


async def test_nothing_changed_is_no_answer_to_who_has_nothing(place: Place) -> None:
    place.answer = Answer(304, b"")
    assert await reason(place.ask()) == "unreachable"


async def test_another_name_under_the_same_authority_is_not_believed(place: Place) -> None:
    other = place.authority.issue_server(
        "mx.voisin.test", Organisation.with_finess("CHU VOISIN", 3, "Loire (42)")
    )
    assert await reason(place.ask(other)) == "server-name"


async def test_a_foreign_chain_is_not_believed(place: Place) -> None:
    assert await reason(place.ask(TestAuthority.create().issue_server(HOST, TRUSTED))) == "server-certificate"
    assert await reason(place.ask(self_signed(HOST, TRUSTED, ["localhost"]))) == "server-certificate"


@pytest.mark.parametrize("dates", [Dates.EXPIRED, Dates.NOT_YET])
async def test_a_certificate_out_of_its_time_is_not_believed(place: Place, dates: Dates) -> None:
    leaf = place.authority.issue_server(HOST, TRUSTED, dates=dates)
    assert await reason(place.ask(leaf)) == "server-certificate"


async def test_a_certificate_of_another_host_is_not_believed(place: Place) -> None:
    leaf = place.authority.issue_operator(HOST, TRUSTED)  # without this machine's names
    assert await reason(place.ask(leaf)) == "server-certificate"


async def test_a_client_certificate_does_not_serve_a_list(place: Place) -> None:
    leaf = place.authority.issue_client(HOST, TRUSTED)
    assert await reason(place.ask(leaf, dns=(leaf.dn,))) == "server-certificate"


@pytest.mark.parametrize(
    ("finding", "slug"),
    [(Finding.REVOKED, "server-revoked"), (Finding.UNKNOWN, "server-revocation-unknown")],
)
async def test_a_revoked_certificate_serves_no_list(place: Place, finding: Finding, slug: str) -> None:
    assert await reason(place.ask(finding=finding)) == slug


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_old_tls_is_not_spoken(place: Place, version: ssl.TLSVersion) -> None:
    assert await reason(place.ask(least=version, most=version)) == "unreachable"
    assert place.answer.asked == []


@pytest.mark.parametrize("where", ["https://ailleurs.test/", "https://localhost:1/liste.xml", "/autre.xml"])
async def test_nobody_follows_where_the_server_sends(place: Place, where: str) -> None:
    place.answer = Answer(302, b"", {"Location": where})
    assert await reason(place.ask()) == "redirected"


@pytest.mark.parametrize(
    ("answer", "slug"),
    [
        (Answer(503, b""), "unreachable"),
        (Answer(200, b"", {"Content-Length": str(LARGEST + 1)}), "too-large"),
        (Answer(200, b"x", {"Content-Encoding": "gzip"}), "encoded"),
        (Answer(200, b"x" * 10, {"Content-Length": "11"}), "unreachable"),
        (Answer(200, b"x" * 50, {}, drip=0.05), "unreachable"),
    ],
    ids=["refused", "too-large", "compressed", "cut", "slow"],
)
async def test_what_is_no_whole_list_is_none(place: Place, answer: Answer, slug: str) -> None:
    place.answer = answer
    assert await reason(place.ask(seconds=0.7 if answer.drip else 60)) == slug


async def test_a_server_that_is_down_is_unreachable(place: Place) -> None:
    server = ListServer(
        "https://localhost:1/", place.authority.write(place.folder / "pki"), ("CN=x",), Known()
    )
    assert await reason(server("")) == "unreachable"


async def test_authorities_that_cannot_be_read_stop_nothing_else(place: Place) -> None:
    server = ListServer("https://localhost:1/", place.folder / "none.pem", ("CN=x",), Known())
    assert await reason(server("")) == "no-authority"


async def test_what_is_signed_comes_in_clear_and_is_bounded() -> None:
    answer = Answer(body=b"x" * 2000)
    with served(answer, None) as port:
        url = f"http://127.0.0.1:{port}/"
        assert await fetching.fetch_signed(url, tls=None, largest=2000, seconds=60) == b"x" * 2000
        assert await fetching.ask_responder(url, b"question", tls=None, largest=2000, seconds=60)
        assert answer.asked[1]["content-type"] == "application/ocsp-request"
        with pytest.raises(NotFetched) as failure:
            await fetching.fetch_signed(url, tls=None, largest=1999, seconds=60)
    assert failure.value.reason == "too-large"
