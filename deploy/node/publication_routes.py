"""Lookups that anybody may make over HTTPS: Web Key Directory, key server, capability of an address."""

from __future__ import annotations

from fastapi import APIRouter

from deploy.node.clock import now
from deploy.node.harvest import harvest_of_peers
from deploy.node.node import Node
from deploy.node.peer_door import PeerLookups, policy_line
from directory.publication.capability import capabilities
from directory.publication.hkp import KeyServer, key_server
from directory.publication.wkd import web_key_directory
from mail_server.accounts.networks import place_of


def publication_routes(node: Node) -> list[APIRouter]:
    shown, web = node.published, node.config.web
    host = web.mail_host or node.config.smtp.hostname
    lines = [policy_line(host, web.peers_port)] if web.peers_port else []
    return [
        web_key_directory(
            shown, shown.is_public, lambda _domain: lines, largest=shown.largest, guesses=node.guesses
        ),
        key_server(KeyServer(shown, node.harvest, place_of, guesses=node.guesses)),
        capabilities(node.capability_of, node.harvest, place_of, node.guesses),
    ]


def peer_lookups(node: Node) -> PeerLookups:
    """What listed operators alone may ask."""
    return PeerLookups(
        accounts=node.accounts,
        directory=node.directory,
        operator_held=node.published.operator_held,
        trust=node.peer_trust,
        domains_of=node.trust_list.domains_of,
        largest=node.published.largest,
        harvest=harvest_of_peers(node.config.directory, node.trace.note, now),
        audit=node.trace.note,
        clock=now,
        listed=node.guesses.listed,
    )
