"""The demo's two identity providers, beside the node: who is known there, and what a mail program gets from them.

Invariants: they run within the demo, on this machine alone, and end with it; the node knows them only as issuers in
its configuration; the secret between them and the node lies with the people, not in the configuration.
"""

from __future__ import annotations

import http.client
import imaplib
import json
import secrets
import ssl
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.demo import people
from deploy.demo.identity.people import Patient, Professional, invented_national_id
from deploy.demo.identity.server import PSC_PATH, VITALE_PATH, InThread, Providers

PROFESSIONALS, PATIENTS = "psc", "vitale"  # as the node's configuration calls them
_PROGRAM = "logiciel"  # a mail program that the professionals' provider knows


class NoToken(Exception):
    """A provider gave none, or a door took none; the text says why."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """Two providers at `port`: in the style of Pro Santé Connect, and of the carte Vitale app."""

    folder: Path
    port: int
    page: str
    doctors: Mapping[str, Professional]  # by address
    patients: tuple[people.Patient, ...]

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def issuer(self) -> str:
        return f"{self.base}{PSC_PATH}"

    @property
    def _secret_file(self) -> Path:
        return self.folder / "people" / "identity-client.secret"

    def prepare(self) -> dict[str, Any]:
        """Draw the secret; what the node's `[oidc]` section says."""
        self._secret_file.parent.mkdir(parents=True, exist_ok=True)
        self._secret_file.touch(mode=0o600)
        self._secret_file.write_text(secrets.token_urlsafe(24))
        known = {"client_id": "vaguemestre", "client_secret_file": str(self._secret_file)}
        professionals = {
            "name": PROFESSIONALS,
            "label": "Pro Santé Connect (essai)",
            "issuer": self.issuer,
            "discovery": f"{self.issuer}/.well-known/wallet-openid-configuration",
            "scope": "openid scope_all",
            "mail_tokens": True,
            "clients": [_PROGRAM],
            "ciba": True,
        }
        patients = {
            "name": PATIENTS,
            "label": "Carte Vitale (essai)",
            "people": "patient",
            "issuer": f"{self.base}{VITALE_PATH}",
            "acr_at_least": 2,
        }
        return {"providers": [professionals | known, patients | known]}

    def serve(self) -> InThread:
        """Served from a thread of this process, between `with` and its end."""
        known = [
            *self.doctors.values(),
            *(
                Patient(
                    each.matricule,
                    each.given_names.split()[0],
                    each.family_name,
                    each.birth_date,
                    each.sex,
                    each.birth_place,
                )
                for each in self.patients
            ),
        ]
        made = Providers.at(self.base, known, secret=self._secret_file.read_text(), page=self.page)
        return InThread(made.server(self.port))

    def token(self, address: str) -> str:
        """What a mail program gets from the professionals' provider for this person."""
        asked = {"person": self.doctors[address].national_id, "client": _PROGRAM}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(
                "POST",
                f"{PSC_PATH}/control/tokens",
                json.dumps(asked).encode(),
                {"Content-Type": "application/json"},
            )
            answer = connection.getresponse()
            if answer.status != 200:
                raise NoToken(f"the provider answers {answer.status}")
            return str(json.loads(answer.read())["access_token"])
        finally:
            connection.close()

    def described(self) -> dict[str, Any]:
        """`identity` of demo.json."""
        return {
            "issuer": self.issuer,
            "people": [
                {
                    "address": address,
                    "national_id": person.national_id,
                    "name": f"{person.given} {person.family}",
                }
                for address, person in self.doctors.items()
            ],
        }


def professionals(names: Mapping[str, tuple[str, str]]) -> dict[str, Professional]:
    """Invented professionals of an address, a given name and a family name, under numbers of the test range: such as
    the demo's national files give to nobody else."""
    return {
        address: Professional(invented_national_id(number), given, family)
        for number, (address, (given, family)) in enumerate(sorted(names.items()), 80_101)
    }


@contextmanager
def mailbox_by_token(
    port: int, context: ssl.SSLContext, address: str, token: str
) -> Generator[imaplib.IMAP4_SSL]:
    """IMAP with SASL XOAUTH2, as mutt or Thunderbird do. Raises imaplib.IMAP4.error with the server's words."""
    imap = imaplib.IMAP4_SSL("localhost", port, ssl_context=context, timeout=60)

    def proof(challenge: bytes) -> bytes:
        if challenge:
            return b""  # the reason of a refusal, in JSON: an empty answer takes note
        return f"user={address}\1auth=Bearer {token}\1\1".encode()

    try:
        imap.authenticate("XOAUTH2", proof)
        yield imap
    finally:
        imap.logout()
