"""The two providers served on this machine: from a thread of a test, within the demo, or as a process of its own.

`python -m deploy.demo.identity.server --port 10090 --client-secret-file FILE --page http://localhost:10080`
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.demo.identity.app import RealmApp
from deploy.demo.identity.people import Patient, Person, Professional
from deploy.demo.identity.realm import Client, Realm
from deploy.node.https import Listener, WebServer, application

PSC_PATH = "/auth/realms/esante-wallet"
VITALE_PATH = "/auth/realms/apcv"
_PSC_AUTHORIZE = "/auth"


@dataclass(frozen=True, slots=True)
class Providers:
    """Both realms under one address."""

    psc: RealmApp
    vitale: RealmApp

    @classmethod
    def at(
        cls,
        base: str,
        people: Iterable[Person],
        *,
        secret: str,
        page: str,
        names: tuple[str, str] = ("psc", "vitale"),
        verify: Any = True,
        **realm: Any,
    ) -> Providers:
        """`page`: the node's own address; `names`: what its configuration calls the two providers."""
        known = list(people)
        professionals = [each for each in known if isinstance(each, Professional)]
        patients = [each for each in known if isinstance(each, Patient)]
        psc, vitale = (_clients(secret, page, name) for name in names)
        return cls(
            RealmApp(
                Realm(f"{base}{PSC_PATH}", professionals, psc, acr="eidas1", **realm),
                PSC_PATH,
                title="Pro Santé Connect (démonstration)",
                configuration="wallet-openid-configuration",
                authorize=_PSC_AUTHORIZE,
                verify=verify,
            ),
            RealmApp(
                Realm(f"{base}{VITALE_PATH}", patients, vitale, acr="eidas2", **realm),
                VITALE_PATH,
                title="Carte Vitale (démonstration)",
                verify=verify,
            ),
        )

    def application(self) -> Any:
        return application([self.psc.router(), self.vitale.router()])

    def server(self, port: int, tls: ssl.SSLContext | None = None) -> WebServer:
        return WebServer(self.application(), Listener("127.0.0.1", port, tls))


def _clients(secret: str, page: str, name: str) -> list[Client]:
    """The node's page, and a mail program whose tokens are for the node."""
    logout = f"{page}/api/oidc/{name}/backchannel-logout"
    back = f"{page}/api/login/oidc/{name}/return"
    return [
        Client("vaguemestre", secret, redirects=(back,), logout=logout, ciba=True),
        Client("logiciel", secret, redirects=("http://127.0.0.1/",), audience="vaguemestre", logout=logout),
    ]


class InThread:
    """Providers served from a loop of their own, for tests whose node runs in another."""

    def __init__(self, server: WebServer) -> None:
        self._server = server
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="identity-providers", daemon=True)

    def __enter__(self) -> int:
        """The port."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result(120)
        return self._server.port

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(120)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(120)
        self._loop.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Identity providers of test, on this machine only.")
    parser.add_argument("--port", type=int, default=10090)
    parser.add_argument("--page", default="http://localhost:10080", help="address of the node's page")
    parser.add_argument("--client-secret-file", type=Path, required=True)
    parser.add_argument("--national-id", action="append", default=[], help="a professional, 899700...")
    given = parser.parse_args()
    secret = given.client_secret_file.read_text(encoding="utf-8").strip()
    people: list[Person] = [
        Professional(number, "Personne", f"d’essai {at}") for at, number in enumerate(given.national_id, 1)
    ]
    base = f"http://127.0.0.1:{given.port}"
    asyncio.run(_serve(Providers.at(base, people, secret=secret, page=given.page).server(given.port)))


async def _serve(server: WebServer) -> None:
    await server.start()
    try:
        await asyncio.Event().wait()
    finally:
        await server.stop()


if __name__ == "__main__":
    main()
