"""The demo's operator and its people: made once in a folder, then served by a real node in its own process.

Invariants: everybody is invented; people's secrets lie in `DIR/people`, the node in `DIR/node`; the demo cheats
in one thing, and says so: the key-encryption key lies in `DIR/kek`, beside the node, where a real one never would.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from deploy.demo import people, pki, sign_in
from deploy.demo.browser import derivations
from deploy.demo.node_process import DemoFailed, NodeProcess, signals_held_back
from deploy.demo.ports import PORTS, refuse_taken
from deploy.demo.ports import free_port_base as free_port_base  # the world is asked for all of it
from deploy.demo.ports import ports_at as ports_at
from deploy.demo.sign_in import SignIn
from deploy.node.control import NodeDown, ask
from deploy.node.home import Home
from deploy.node.initialise import Wishes, initialise
from policies.local_rules import write_password_rule
from policies.trust_list import listing

DOMAIN = "mss.vaguemestre.test"
FOREIGN_DOMAIN = "mss.chu-voisin.test"
PEER_OFFSET = 2000  # of the second operator's ports, where there is one
PATIENT_DOMAIN = f"patient.{DOMAIN}"

GP = f"camille.aubry@{DOMAIN}"
WARD = f"cardiologie@{DOMAIN}"
NURSE = f"ines.moreau@{DOMAIN}"
DOCTOR = f"paul.lenoir@{DOMAIN}"
HOSPITAL = f"dpi.hopital@{DOMAIN}"
LABORATORY = f"laboratoire.robot@{DOMAIN}"
IMAGING = f"imagerie.robot@{DOMAIN}"
FOREIGN_DOCTOR = f"yasmine.benali@{FOREIGN_DOMAIN}"

HOSPITAL_NAME = "Cardiologie – Hôpital de la Gare"
GP_NAME = "Dr Camille Aubry"
_NAMES = {GP: ("Camille", "Aubry"), NURSE: ("Inès", "Moreau"), DOCTOR: ("Paul", "Lenoir")}
_PEOPLE = {GP: GP_NAME, NURSE: "Inès Moreau", DOCTOR: "Dr Paul Lenoir"}

NEIGHBOUR = pki.Organisation.with_finess("CHU VOISIN TEST", 3, "Isère (38)")

Command = Callable[..., Any]
Sections = Mapping[str, Mapping[str, Any]]  # of a configuration


@dataclass(frozen=True, slots=True)
class Person:
    address: str
    password: str = field(repr=False)
    secret_key: Path | None = None
    passphrase: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Space:
    """A patient's space, and what its holder has at hand. `password` and `recovery`: chosen at activation."""

    person: people.Patient
    address: str
    code: str = field(repr=False)
    password: str = field(default="", repr=False)
    recovery: str = field(default="", repr=False)

    @property
    def shown(self) -> str:
        return f"{self.person.matricule}@{PATIENT_DOMAIN}"


@dataclass(frozen=True, slots=True)
class World:
    folder: Path
    ports: Mapping[str, int]
    persons: Mapping[str, Person]
    hospital: pki.LeafFiles
    operator: pki.LeafFiles
    patient: Space
    you: Space
    identity: SignIn

    @property
    def node(self) -> Path:
        return self.folder / "node"

    @property
    def ca(self) -> Path:
        return self.folder / "pki" / "ca.pem"

    @property
    def authority(self) -> Path:
        return Home(self.node).authority_certificate

    def command(self, name: str, **arguments: Any) -> Any:
        """A command of the console, through the running node. Raises CommandFailed, NodeDown."""
        return _command(self.folder, name, **arguments)


def _command(folder: Path, name: str, **arguments: Any) -> Any:
    return asyncio.run(ask(folder / "node" / "control.sock", name, arguments))


def build(
    folder: Path,
    port_base: int,
    progress: Callable[[str], None],
    sections: Sections | None = None,
    neighbours: Callable[[Path], Sections] | None = None,
) -> tuple[World, NodeProcess]:
    """Make the world afresh in `folder` and start its node; `sections` go over its configuration. Raises DemoFailed.

    `neighbours`: called between the certificates and the node; what it answers goes over the configuration too.
    """
    ports = ports_at(port_base)
    refuse_taken(ports)
    _clear(folder)
    progress("Test certificates: an authority, the server, a hospital system, another operator")
    hospital, operator = _certificates(folder)
    over: dict[str, Mapping[str, Any]] = {**(sections or {})}
    if neighbours is not None:
        for name, values in neighbours(folder).items():
            over[name] = {**over.get(name, {}), **values}
    identity = SignIn(
        folder,
        ports["identity"],
        f"http://localhost:{ports['http']}",
        sign_in.professionals(_NAMES),
        (people.GARANCE, people.YOU),
    )
    progress("OpenPGP keys of three invented people, made with GnuPG")
    keys = _keys(folder / "people")
    progress("The node: databases, key-encryption key, authority key")
    asyncio.run(_initialise(folder, ports, {"oidc": identity.prepare(), **over}))
    progress("Two identity providers of test, and the node, start")
    process: NodeProcess | None = None
    beside = ExitStack()
    try:
        beside.enter_context(identity.serve())
        with signals_held_back():
            process = NodeProcess(folder)
            process.take_along(beside)
        process.wait_ready(ports)
        progress("Accounts and certificates")
        command = partial(_command, folder)
        persons = _people(command, keys, identity)
        _system(command, hospital)
        persons |= _robots(command)
        patient, you = _spaces(command)
        made = World(folder, ports, persons, hospital, operator, patient, you, identity)
        (folder / "demo.json").write_text(json.dumps(describe(made), indent=2, ensure_ascii=False) + "\n")
    except BaseException:
        if process is not None:
            process.stop()
        beside.close()
        raise
    return made, process


def _clear(folder: Path) -> None:
    """Only a folder that a demo made is emptied."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / "demo.json").exists() and not (folder / ".vaguemestre-demo").exists():
            raise DemoFailed(f"{folder} holds other files: give the demo a folder of its own with --home.")
        try:
            asyncio.run(ask(folder / "node" / "control.sock", "status", {}))
        except NodeDown:
            shutil.rmtree(folder)
        else:
            raise DemoFailed(f"A demo already runs in {folder}.")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / ".vaguemestre-demo").touch()


def _certificates(folder: Path) -> tuple[pki.LeafFiles, pki.LeafFiles]:
    authority = pki.TestAuthority.create()
    anchor = authority.write(folder / "pki")
    # Peers that send their leaf alone are common: the intermediate stands with the root, as in ANS's bundle.
    bundle = anchor.read_bytes() + (folder / "pki" / "intermediate.pem").read_bytes()
    (folder / "pki" / "client-ca.pem").write_bytes(bundle)
    here = pki.Organisation.with_finess("GROUPEMENT DE SANTE TEST", 1, "Rhône (69)")
    hospital = pki.Organisation.with_finess("HOPITAL TEST DE LA GARE", 2, "Rhône (69)")
    names = (DOMAIN, *(f"{label}.{DOMAIN}" for label in ("openpgpkey", "autoconfig", "autodiscover")))
    authority.issue_operator(f"smtp.{DOMAIN}", here, names=names, local=True).write(folder / "pki", "server")
    operator = authority.issue_operator(f"smtp.{FOREIGN_DOMAIN}", NEIGHBOUR)
    listing.write(
        folder / "pki" / "trust-list.xml",
        [listing.Row(FOREIGN_DOMAIN, operator.dn, "CHU voisin (essai)")],
    )
    return (
        authority.issue_client("DPI HOPITAL TEST", hospital).write(folder / "people", "hospital"),
        operator.write(folder / "people", "operator"),
    )


def _keys(directory: Path) -> dict[str, people.PersonKey]:
    """Side by side: GnuPG makes each in a process, and in a home, of its own."""
    with ThreadPoolExecutor(len(_PEOPLE)) as threads:
        made = {
            address: threads.submit(people.make_key, name, address, _passphrase(address), directory)
            for address, name in _PEOPLE.items()
        }
        return {address: key.result() for address, key in made.items()}


def door_sections(ports: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """A node's configuration: every door on this machine alone."""
    return {
        "smtp": {
            "listen": ["127.0.0.1"],
            "operator_port": ports["smtp"],
            "submission_port": ports["submission"],
            "submissions_port": ports["submissions"],
        },
        "imap": {"host": "127.0.0.1", "port": ports["imap"], "tls_port": ports["imaps"]},
        "web": {
            "host": "127.0.0.1",
            "port": ports["https"],
            "plain_port": ports["http"],
            "peers_port": ports["peers"],
            "contact": "02 61 91 00 42",
        },
        "ldap": {"host": "127.0.0.1", "port": ports["ldap"], "tls_port": ports["ldaps"]},
        "metrics": {"port": ports["metrics"]},
    }


def routes_to(domain: str, ports: Mapping[str, int]) -> dict[str, Any]:
    """`[outbound]`: an operator of this machine, and no name asked of any name server."""
    names = (domain, f"patient.{domain}")
    return {
        "use_mx": False,
        "routes": dict.fromkeys(names, f"127.0.0.1:{ports['smtp']}"),
        "wkd_routes": dict.fromkeys(names, f"127.0.0.1:{ports['https']}"),
        # Every operator lives on this machine: never so where real letters are, and doctor says it.
        "inside": ["127.0.0.0/8", "::1/128"],
        "peers_ports": [443, 8443, *([ports["peers"]] if "peers" in ports else [])],
    }


async def _initialise(folder: Path, ports: Mapping[str, int], others: Sections) -> None:
    sections = door_sections(ports)
    sections["policies"] = {"local_rules": str(folder / "policies")}
    sections["outbound"] = routes_to(FOREIGN_DOMAIN, ports_at(ports["smtp"] - PORTS["smtp"] + PEER_OFFSET))
    sections["signatures"] = {"verify": False}  # a demonstration asks no DNS server outside this machine
    write_password_rule(
        folder / "policies",
        [LABORATORY, IMAGING],
        "Démonstration : deux automates inventés, sans certificat",
    )
    for name, values in others.items():
        sections.setdefault(name, {}).update(values)
    wishes = Wishes(
        home=folder / "node",
        config=None,
        domains=(DOMAIN,),
        kek=folder / "kek" / "node.kek",
        hostname="localhost",
        certificate=folder / "pki" / "server.pem",
        key=folder / "pki" / "server.key",
        client_ca=folder / "pki" / "client-ca.pem",
        trust_list=folder / "pki" / "trust-list.xml",
        sections=sections,
        operator="Groupement de santé (essai)",
    )
    await initialise(wishes)


def _people(command: Command, keys: Mapping[str, people.PersonKey], identity: SignIn) -> dict[str, Person]:
    persons: dict[str, Person] = {}
    for address, made in keys.items():
        answer = command("account_add", address=address, kind="PER", password=True, certificate=None)
        command("key_publish", address=address, certificate=_base64(made.public))
        command("account_national_id", address=address, national_id=identity.doctors[address].national_id)
        given, family = _NAMES[address]
        profile = {"given_name": given, "family_name": family}
        if _PEOPLE[address].startswith("Dr "):
            profile["title"] = "Dr"
        command("account_profile", address=address, fields=profile)
        persons[address] = Person(address, answer["password"], made.secret, _passphrase(address))
    command("account_add", address=WARD, kind="ORG", password=False, certificate=None)
    command("account_profile", address=WARD, fields={"service": "Cardiologie"})
    for member in (NURSE, DOCTOR):
        command("member_add", shared=WARD, person=member)
    return persons


def _system(command: Command, hospital: pki.LeafFiles) -> None:
    certificate = hospital.certificate.read_text()
    command("account_add", address=HOSPITAL, kind="APP", password=False, certificate=certificate)


def _robots(command: Command) -> dict[str, Person]:
    """Two robots in custody that share one password: what load tools want, and nobody else should."""
    answer = command("account_add", address=LABORATORY, kind="APP", password=True, certificate=None)
    command("account_add", address=IMAGING, kind="APP", password=False, certificate=None)
    command("account_password_set", address=IMAGING, label="demo", password=answer["password"])
    return {address: Person(address, answer["password"]) for address in (LABORATORY, IMAGING)}


def _spaces(command: Command) -> tuple[Space, Space]:
    """The patient whose story is played, and the one left to the visitor."""
    patient, you = (space_of(command, person) for person in (people.GARANCE, people.YOU))
    chosen = "-".join(secrets.token_hex(2) for _ in range(4))
    return replace(patient, password=chosen, recovery=derivations.new_recovery_code()), you


def space_of(command: Command, person: people.Patient) -> Space:
    """A patient's space, not opened yet, with the code of its letter."""
    made = command(
        "space_add",
        matricule=person.matricule,
        family_name=person.family_name,
        given_names=person.given_names,
        sex=person.sex,
        birth_date=person.birth_date,
        birth_place=person.birth_place,
    )
    return Space(person, made["address"], made["code"])


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _passphrase(address: str) -> str:
    """Each person's own; invented anew with each demo, written to demo.json."""
    return _PASSPHRASES.setdefault(address, secrets.token_hex(8))


_PASSPHRASES: dict[str, str] = {}


def describe(world: World) -> dict[str, Any]:
    """demo.json, as DESIGN §5 shapes it; what is not built yet is null."""
    ports = world.ports
    accounts: list[dict[str, Any]] = []
    for person in world.persons.values():
        robot = person.secret_key is None
        accounts.append(
            {
                "address": person.address,
                "kind": "APP" if robot else "PER",
                "mode": "custody" if robot else "sealed",
                "password": person.password,
                "openpgp_secret_key": None if robot else str(person.secret_key),
                "openpgp_passphrase": None if robot else person.passphrase,
            }
        )
    accounts.append(
        {
            "address": WARD,
            "kind": "ORG",
            "mode": "sealed",
            "password": None,
            "openpgp_secret_key": None,
            "openpgp_passphrase": None,
            "members": [NURSE, DOCTOR],
        }
    )
    return {
        "ca": str(world.ca),
        "node": str(world.node),
        "page": f"http://localhost:{ports['http']}/",
        "endpoints": {
            name: ports[name]
            for name in ("smtp", "submission", "submissions", "imap", "imaps", "https", "ldap", "ldaps")
        },
        "accounts": accounts,
        "hospital": {
            "address": HOSPITAL,
            "certificate": str(world.hospital.certificate),
            "key": str(world.hospital.key),
        },
        "operator": {
            "address": FOREIGN_DOCTOR,
            "domain": FOREIGN_DOMAIN,
            "certificate": str(world.operator.certificate),
            "key": str(world.operator.key),
        },
        "identity": world.identity.described(),
        "patient": _space_described(world.patient)
        | {"password": world.patient.password, "recovery_code": world.patient.recovery},
        "you": _space_described(world.you),
        "federation": None,  # `federation_world` says it, where there is one
    }


def _space_described(space: Space) -> dict[str, Any]:
    return {
        "address": space.shown,
        "birth_date": space.person.birth_date,
        "activation_code": space.code,
    }
