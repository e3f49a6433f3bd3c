"""`demo --federation`: a second operator in `DIR/peer`, the trust authority's servers, and an operator that misbehaves.

Invariants: the first operator and its story are those of the plain demo; everything of the second lies below
`DIR/peer`; whatever was begun here ends with the demo.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509

from deploy.demo import people, pki, world
from deploy.demo.federation_bad import BadServer
from deploy.demo.federation_switch import SwitchBoard, switches
from deploy.demo.federation_world import (
    BAD_PORT,
    LIST_PORT,
    REVOCATION_PORT,
    SWITCH_PORT,
    Commons,
    Operator,
    routes,
)
from deploy.demo.world import Sections, World

BAD_DOMAIN = "mss.clinique-fantome.test"
PEER_NAME = "CHU voisin (essai)"
DOCTOR_NAME = "Dr Yasmine Benali"
SECRETARIAT = f"secretariat@{world.FOREIGN_DOMAIN}"
SECRETARY = f"sami.oudin@{world.FOREIGN_DOMAIN}"
THEIR_PATIENT = f"{people.THEIRS.matricule}@patient.{world.FOREIGN_DOMAIN}"
LARGEST = 10 * 1024 * 1024  # what the second operator takes
_ORGANISATION = pki.Organisation.with_finess("CLINIQUE FANTOME TEST", 7, "Isère (38)")


@dataclass(slots=True)
class Federation:
    """What `--federation` adds. `begin` comes before the first node, `complete` after it."""

    folder: Path
    port_base: int
    ended: ExitStack = field(default_factory=ExitStack)
    _commons: Commons | None = None
    _peer: Operator | None = None
    _bad: BadServer | None = None
    _bad_leaf: pki.Leaf | None = None
    _board: SwitchBoard | None = None
    _code: str = field(default="", repr=False)  # of the letter to the second operator's patient

    @property
    def commons(self) -> Commons:
        assert self._commons is not None
        return self._commons

    @property
    def peer(self) -> Operator:
        assert self._peer is not None
        return self._peer

    @property
    def bad(self) -> BadServer:
        assert self._bad is not None
        return self._bad

    @property
    def bad_leaf(self) -> pki.Leaf:
        assert self._bad_leaf is not None
        return self._bad_leaf

    @property
    def board(self) -> SwitchBoard:
        assert self._board is not None
        return self._board

    def begin(self, folder: Path) -> Sections:
        """The servers that both nodes ask, everybody's certificate and place in the list; what the first node needs."""
        base = self.port_base + world.PEER_OFFSET
        commons = Commons.open(
            folder / "pki", list_port=base + LIST_PORT, revocation_port=base + REVOCATION_PORT
        )
        self._commons = commons
        self.ended.callback(commons.close)
        leaf = commons.authority.issue_operator(
            f"smtp.{world.FOREIGN_DOMAIN}",
            world.NEIGHBOUR,
            names=(f"openpgpkey.{world.FOREIGN_DOMAIN}",),
            local=True,
        )
        self._bad_leaf = commons.authority.issue_operator(f"smtp.{BAD_DOMAIN}", _ORGANISATION, local=True)
        self._bad = BadServer(self._bad_leaf, commons.bundle, base + BAD_PORT)
        self.ended.callback(self._bad.close)
        self._peer = Operator(
            commons,
            folder / "peer",
            world.FOREIGN_DOMAIN,
            world.ports_at(base),
            leaf,
            name=PEER_NAME,
        )
        self._board = SwitchBoard(
            base + SWITCH_PORT, switches(commons.lists, commons.revocations, self._bad, leaf)
        )
        self.ended.callback(self._board.close)
        commons.admit(_name_in(folder / "pki" / "server.pem"), world.DOMAIN, world.PATIENT_DOMAIN)
        commons.admit(leaf.dn, *self._peer.domains)
        commons.admit(self._bad_leaf.dn, BAD_DOMAIN)
        ways = routes(
            {BAD_DOMAIN: {"smtp": self._bad.port, "https": base}, self._peer.domain: self._peer.ports}
        )
        asked = commons.asked_by_nodes()
        return {
            **asked,
            "outbound": {**asked["outbound"], **ways, "first_retry_seconds": 1.0},
            "signatures": {"verify": True},
        }

    def complete(self, made: World) -> None:
        """The second operator, served, with its people. Raises DemoFailed."""
        peer = self.peer
        peer.make(
            {world.DOMAIN: made.ports},
            {"outbound": {"first_retry_seconds": 1.0}, "delivery": {"max_message_size": LARGEST}},
        )
        self.commons.publish_names(made.command("dkim_show"))
        self.ended.callback(peer.stop)
        peer.start()
        local = world.FOREIGN_DOCTOR.partition("@")[0]
        key = peer.make_key(local, DOCTOR_NAME)
        peer.wait()
        peer.person(local, "Yasmine", "Benali", key)
        peer.person(SECRETARY.partition("@")[0], "Sami", "Oudin")
        peer.service(SECRETARIAT.partition("@")[0], SECRETARY)
        self._code = world.space_of(peer.command, people.THEIRS).code
        file = made.folder / "demo.json"
        told = json.loads(file.read_text()) | {"federation": self.describe()}
        file.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")

    def describe(self) -> dict[str, Any]:
        """`federation` of demo.json."""
        peer = self.peer
        doctor = peer.persons[world.FOREIGN_DOCTOR]
        secretary = peer.persons[SECRETARY]
        return {
            "node": str(peer.node),
            "domain": peer.domain,
            "certificate": str(peer.files.certificate),
            "key": str(peer.files.key),
            "page": f"http://localhost:{peer.ports['http']}/",
            "endpoints": {
                name: peer.ports[name]
                for name in ("smtp", "submission", "submissions", "imap", "imaps", "https")
            },
            "accounts": [
                {
                    "address": doctor.address,
                    "kind": "PER",
                    "mode": "sealed",
                    "password": doctor.password,
                    "openpgp_secret_key": str(doctor.secret_key),
                    "openpgp_passphrase": doctor.passphrase,
                },
                {
                    "address": secretary.address,
                    "kind": "PER",
                    "mode": "custody",
                    "password": secretary.password,
                    "openpgp_secret_key": None,
                    "openpgp_passphrase": None,
                },
                {
                    "address": SECRETARIAT,
                    "kind": "ORG",
                    "mode": "custody",
                    "password": None,
                    "openpgp_secret_key": None,
                    "openpgp_passphrase": None,
                    "members": [SECRETARY],
                },
            ],
            "patient": {
                "address": THEIR_PATIENT,
                "birth_date": people.THEIRS.birth_date,
                "activation_code": self._code,
            },
            "trust_list": self.commons.lists.url,
            "revocation_lists": self.commons.revocations.urls,
            "switches": self.board.url,
            "bad_operator": {"domain": BAD_DOMAIN, "smtp": self.bad.port},
        }


def _name_in(file: Path) -> str:
    return x509.load_pem_x509_certificate(file.read_bytes()).subject.rfc4514_string()
