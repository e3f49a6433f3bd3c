"""What surrounds the operators of `demo --federation` can be switched by hand while it serves.

`curl http://127.0.0.1:PORT/` says how each stands and what it may be; `curl -X PUT -d halved http://127.0.0.1:PORT/trust-list`
switches one. Invariants: 127.0.0.1 alone; only PUT changes anything, so that no page of a browser can; a word that is
not understood changes nothing and is answered with those that are.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from deploy.demo import pki
from deploy.demo.federation_bad import BadServer, Starttls
from deploy.demo.federation_servers import ListState, RevocationServer, RevocationState, TrustListServer

_LONGEST = 100  # octets of a word


@dataclass(frozen=True, slots=True)
class Switch:
    """One thing that can stand in one of several ways."""

    words: tuple[str, ...]
    now: Callable[[], str]
    to: Callable[[str], None]


def switches(
    lists: TrustListServer, revocations: RevocationServer, bad: BadServer, peer: pki.Leaf
) -> dict[str, Switch]:
    """By the name they have in addresses. `peer`: the second operator's certificate."""

    def certificate(word: str) -> None:
        revocations.forgive()
        if word == "revoked":
            revocations.revoke(peer)

    def starttls(word: str) -> None:
        bad.manners.starttls = Starttls(word)

    return {
        "trust-list": Switch(
            tuple(each.value for each in ListState),
            lambda: lists.state.value,
            lambda word: lists.switch(ListState(word)),
        ),
        "revocation-lists": Switch(
            tuple(each.value for each in RevocationState),
            lambda: revocations.state.value,
            lambda word: revocations.switch(RevocationState(word)),
        ),
        "second-operator": Switch(
            ("valid", "revoked"), lambda: "revoked" if revocations.revoked(peer) else "valid", certificate
        ),
        "bad-operator": Switch(
            tuple(each.value for each in Starttls), lambda: bad.manners.starttls.value, starttls
        ),
    }


class SwitchBoard:
    """Answers on 127.0.0.1 until it is closed."""

    def __init__(self, port: int, board: Mapping[str, Switch]) -> None:
        self._board = board
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _asked(self))
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def shown(self) -> dict[str, Any]:
        return {
            name: {"now": switch.now(), "may be": list(switch.words)} for name, switch in self._board.items()
        }

    def put(self, name: str, word: str) -> tuple[int, dict[str, Any]]:
        """The status and what is answered."""
        switch = self._board.get(name)
        if switch is None:
            return 404, {"error": f"There is no {name or 'such'} switch.", "switches": list(self._board)}
        if word not in switch.words:
            return 400, {"error": f"{name} does not understand {word!r}.", "may be": list(switch.words)}
        switch.to(word)
        return 200, {name: switch.now()}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _asked(board: SwitchBoard) -> type[BaseHTTPRequestHandler]:
    class Asked(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, board.shown())

        def do_PUT(self) -> None:
            length = self.headers.get("Content-Length", "0")
            size = int(length) if length.isdecimal() and len(length) < 10 else _LONGEST + 1
            if size > _LONGEST:
                self._answer(413, {"error": "A word is enough."})
                return
            word = self.rfile.read(size).decode(errors="replace").strip()
            self._answer(*board.put(self.path.strip("/"), word))

        def _answer(self, status: int, what: Mapping[str, Any]) -> None:
            body = json.dumps(what, indent=2).encode() + b"\n"
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            """Nothing: the demo prints what matters."""

    return Asked
