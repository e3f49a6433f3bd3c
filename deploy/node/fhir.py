"""The FHIR door of a node: its keys in directory.db, what is published there told to the trace.

Invariant: of a publication the trace holds the key's id, whose it is and the kind of mailbox; never an address.
"""

from __future__ import annotations

from deploy.node.composition import Node, now
from deploy.node.migrations.run import engine_url
from directory.certificates.service import open_database
from directory.fhir.door import FhirDoor
from directory.fhir.keys import ApiKeys
from directory.fhir.publishing import Publication
from mail_server.accounts.networks import place_of
from policies.interface import Event


def api_keys(node: Node) -> ApiKeys:
    return ApiKeys(open_database(engine_url(node.config.directory.url(node.home.path))), now)


class NodeFhir:
    """The door with what it holds open."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._keys = api_keys(node)
        self.door = FhirDoor(
            node.config.fhir,
            database=node.listings_database,
            keys=node.api_keys,
            harvest=node.harvest,
            clock=now,
            told=self._told,
            trace_full=node.trace.full,
            place_of=place_of,
        )

    async def stop(self) -> None:
        await self.door.stop()
        self._keys.close()

    def _told(self, publication: Publication) -> None:
        self._node.trace.note(
            [
                Event(
                    "listing-published" if done == "published" else "listing-withdrawn",
                    publication.at,
                    f"operator:{publication.publisher}",
                    reference=publication.resource["id"],
                    kind="listing",
                    detail={"key": publication.key, "kind": kind},
                    door="fhir",
                )
                for done, kind in publication.changes
            ]
        )
