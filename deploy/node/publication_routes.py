"""Lookups that anybody may make over HTTPS: Web Key Directory, key server, capability of an address."""

from __future__ import annotations

from fastapi import APIRouter

from deploy.node.node import Node
from directory.publication.capability import capabilities
from directory.publication.hkp import KeyServer, key_server
from directory.publication.wkd import web_key_directory
from mail_server.accounts.networks import place_of


def publication_routes(node: Node) -> list[APIRouter]:
    shown = node.published
    return [
        web_key_directory(shown, shown.is_public),
        key_server(KeyServer(shown, node.harvest, place_of)),
        capabilities(node.capability_of),
    ]
