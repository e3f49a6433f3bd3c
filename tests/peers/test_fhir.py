"""A program with a key asks a served node by FHIR, over HTTPS: what is found, published, traced; and a key revoked."""

from __future__ import annotations

import http.client
import json
import socket
import time
from typing import Any

import pytest

from deploy.demo import clients, world
from deploy.demo.directory_world import CARDIOLOGIST, LEAVER
from tests.peers.test_struck_off import imported

pytestmark = pytest.mark.peers

METADATA = "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-ext-mailbox-mss-metadata"
IDNPS = "urn:oid:1.2.250.1.71.4.2.1"


def ask(
    made: world.World, path: str, key: str, method: str = "GET", body: Any = None
) -> tuple[int, dict[str, Any]]:
    context = clients.tls(made.ca)
    connection = http.client.HTTPSConnection("localhost", made.ports["https"], context=context, timeout=60)
    with socket.create_connection(("127.0.0.1", made.ports["https"]), 60) as raw:
        connection.sock = context.wrap_socket(raw, server_hostname="localhost")
        headers = {"ESANTE-API-KEY": key, "Content-Type": "application/fhir+json"}
        content = None if body is None else json.dumps(body)
        connection.request(method, f"/fhir/v2/{path}", content, headers)
        answer = connection.getresponse()
        found = json.loads(answer.read())
        connection.close()
    return answer.status, found


def inserted(address: str) -> dict[str, Any]:
    """A patch that publishes the address of a professional."""
    told = [{"url": "type", "valueCode": "PER"}]
    point = {"system": "email", "value": address, "extension": [{"url": METADATA, "extension": told}]}
    part = [
        {"name": "type", "valueCode": "insert"},
        {"name": "path", "valueString": "Practitioner.telecom"},
        {"name": "index", "valueInteger": 0},
        {"name": "value", "valueContactPoint": point},
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": part}]}


def traced(made: world.World, action: str) -> list[dict[str, Any]]:
    return made.command("audit_show", limit=1000, action=action, address=None, reference=None)


def test_a_program_asks_and_another_operator_publishes(made: world.World, tmp_path: Any) -> None:
    imported(made, tmp_path, CARDIOLOGIST, LEAVER)
    reading = made.command("directory_key_add", label="Logiciel de cabinet", days=30)
    publishing = made.command(
        "directory_key_add",
        label="Autre opérateur",
        rights=["publish"],
        publisher="Autre",
        domains=["autre.mssante.fr"],
    )
    key = reading["key"]

    status, statement = ask(made, "metadata", "")
    assert (status, statement["resourceType"]) == (200, "CapabilityStatement")
    assert ask(made, "Practitioner", "")[0] == 401
    status, found = ask(made, f"Practitioner?identifier={IDNPS}%7C{CARDIOLOGIST.national_id}", key)
    assert status == 200
    (doctor,) = [one["resource"] for one in found["entry"]]
    assert ask(made, f"Practitioner/{doctor['id']}", key) == (200, doctor)
    # The account of ours is there without anybody's import.
    status, found = ask(made, f"Practitioner?mailbox-mss:exact={world.DOCTOR}", key)
    roles = ask(made, f"PractitionerRole?mailbox-mss:exact={world.DOCTOR}", key)[1]
    assert len(found.get("entry", [])) + len(roles.get("entry", [])) == 1

    address = "nouvelle@autre.mssante.fr"
    patch = inserted(address)
    path = f"Practitioner?identifier={IDNPS}%7C{CARDIOLOGIST.national_id}"
    assert ask(made, path, key, "PATCH", patch)[0] == 403
    assert ask(made, path, publishing["key"], "PATCH", patch)[0] == 200
    assert len(ask(made, f"Practitioner?mailbox-mss:exact={address}", key)[1]["entry"]) == 1

    made.command("directory_key_revoke", key=reading["id"])
    assert ask(made, "Practitioner", key)[0] == 401

    began = time.monotonic()
    while not (published := traced(made, "listing-published")):
        assert time.monotonic() - began < 60
    assert (published[0]["detail"]["key"], published[0]["detail"]["kind"]) == (publishing["id"], "PER")
    assert address not in json.dumps(published)
    outcomes = [(one["outcome"], one["detail"]["key"]) for one in traced(made, "api-key")]
    assert outcomes[:3] == [
        ("made", reading["id"]),
        ("made", publishing["id"]),
        ("revoked", reading["id"]),
    ]
