"""Everything a browser sends, octet for octet: a relay that stands where the page is served and passes all on.

The page's origin is the relay's, so nothing the page or its workers send can take another way (its CSP allows none).
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it was sent. `body` is what Content-Length announced."""

    method: str
    target: str
    headers: bytes = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class Wiretap:
    """Listens on a port of its own, relays to the node's plain port, keeps what came from the browser."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: list[bytearray] = []
        self._sockets: list[socket.socket] = []
        self.received = 0  # octets that came back, headers and all
        self._counting = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.origin = f"http://localhost:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def sent(self) -> bytes:
        """All that browsers sent so far."""
        return b"\n".join(bytes(stream) for stream in self._streams)

    def requests(self) -> list[Request]:
        """By connection, then in order. What no Content-Length bounds would be an error: nothing may be missed."""
        return [request for stream in self._streams for request in parsed(bytes(stream))]

    def posted(self, path: str) -> list[dict[str, Any]]:
        """The JSON bodies sent to an address of the page."""
        return [each.json() for each in self.requests() if each.target == path and each.body]

    def close(self) -> None:
        self._listening.close()
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                browser, _ = self._listening.accept()
                node = socket.create_connection(("127.0.0.1", self._port))
                stream = bytearray()
                self._streams.append(stream)
                self._sockets += [browser, node]
                threading.Thread(target=_relay, args=(browser, node, stream.extend), daemon=True).start()
                threading.Thread(target=_relay, args=(node, browser, self._count), daemon=True).start()

    def _count(self, data: bytes) -> None:
        with self._counting:
            self.received += len(data)


def _relay(source: socket.socket, into: socket.socket, heard: Callable[[bytes], None]) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            heard(data)
            into.sendall(data)
    with contextlib.suppress(OSError):
        into.shutdown(socket.SHUT_WR)


def parsed(stream: bytes) -> Iterator[Request]:
    """The requests of one connection. A last one that is cut off is not told."""
    while stream:
        head, mark, rest = stream.partition(b"\r\n\r\n")
        if not mark:
            return
        first, _, headers = head.partition(b"\r\n")
        method, target, _ = first.decode("latin-1").split(" ", 2)
        length = 0
        for line in headers.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            assert name.lower() != b"transfer-encoding", "a body of unknown length"
        if len(rest) < length:
            return
        yield Request(method, target, headers, rest[:length])
        stream = rest[length:]


def spellings(secret: bytes) -> dict[str, bytes]:
    """The secret as a page could write it into a request; 8 octets or more."""
    assert len(secret) >= 8
    found = {"raw": secret, "hex": secret.hex().encode(), "HEX": secret.hex().upper().encode()}
    for offset in range(3):
        # What base64 gives for these octets does not depend on their neighbours but for the ends: cut those.
        encoded = base64.b64encode(bytes(offset) + secret)[4 if offset else 0 : -4]
        found[f"base64+{offset}"] = encoded
        found[f"base64url+{offset}"] = encoded.replace(b"+", b"-").replace(b"/", b"_")
    with contextlib.suppress(UnicodeDecodeError):
        text = secret.decode()
        found["utf-16"] = text.encode("utf-16-le")
        found["JSON"] = json.dumps(text).strip('"').encode()
        found["URL"] = quote(text, safe="").encode()
        found["form"] = quote(text, safe=" ").replace(" ", "+").encode()
    return found


def heard(sent: bytes, secrets: Iterable[bytes]) -> list[str]:
    """In which spellings any of the secrets was sent."""
    return [how for secret in secrets for how, needle in spellings(secret).items() if needle in sent]
