"""The page's own side of a node: what it asks of the node is named here."""

from __future__ import annotations

from deploy.node.clock import now
from deploy.node.node import Node
from webmail.api import PageApi, Parts
from webmail.login.routes import OperatorInfo
from webmail.spaces.conversations import Writing
from webmail.spaces.listings import Looking


async def page_of(node: Node) -> PageApi:
    parts = Parts(
        store=node.store,
        trail=node.trail,
        audit=node.trace.note,
        accounts=node.accounts,
        directory=node.directory,
        operator_keys=node.operator_keys,
        decisions=node.decisions,
        keys=node.keys,
        addressees=node.addressees,
        conversations=node.correspondence.conversations,
        writing=Writing(
            node.correspondence.closings,
            node.correspondence.blocks,
            node.correspondence.receipts,
            node.access.may,
        ),
        resealing=node.reseal,
        oidc=node.oidc,
        trace_full=node.trace.full,
        large=node.config.delivery.large_message,
        clock=now,
        profile_of=node.profiles.of,
        sharing=node.sharing,
        notices=node.notices,
        looking=Looking(
            listings=node.listings,
            harvest=node.harvest,
            access=node.access,
            profiles=node.profiles,
            listed=node.own_listings.sync,
            reachable=lambda domain: node.config.outbound.enabled and node.trust_list.names_domain(domain),
            searches_per_minute=node.config.page.searches_per_minute,
            periods=lambda address: node.directory.periods(address, now()),
        ),
    )
    operator = OperatorInfo(
        name=node.config.node.operator,
        contact=node.config.web.contact,
        gateway=lambda: node.authority.certificate().decode("ascii"),
        message_limit=node.config.delivery.max_message_size,
    )
    return await PageApi.open(node.config.page, parts, operator)
