"""Names of the test's world for a program that asks no name server: a proxy that knows where a few of them are.

It takes CONNECT alone (RFC 9110 §9.3.6) and hands bytes through, so that TLS is between the two ends, under the name
that was called. Invariant: what it does not know is refused; it listens on this machine alone.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field


@dataclass
class Names:
    port: int = 0
    called: list[str] = field(default_factory=list[str])  # host:port, in the order they were called


@contextlib.contextmanager
def names(known: Mapping[str, int]) -> Generator[Names]:
    """`known`: "host:port" = the port of this machine."""
    told = Names()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            method, _, rest = self.rfile.readline().decode("latin-1").partition(" ")
            target = rest.partition(" ")[0]
            while self.rfile.readline().strip():
                pass
            told.called.append(target)
            if method != "CONNECT" or target not in known:
                self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
                return
            with socket.create_connection(("127.0.0.1", known[target]), 60) as there:
                there.settimeout(None)  # a busy machine may be silent for long, and connections are kept
                self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=_pass_on, args=(there, self.connection), daemon=True)
                back.start()
                _pass_on(self.connection, there)
                back.join()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        told.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield told
        finally:
            server.shutdown()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
