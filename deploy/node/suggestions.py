"""Whom somebody may have meant by an address, from the listings and the trust list: given to delivery and reports."""

from __future__ import annotations

from deploy.node.clock import now
from deploy.node.ground import Ground
from deploy.node.trust import Trust
from mail_server.accounts.access import Access
from mail_server.delivery.suggestions import Suggestions


def suggestions_of(ground: Ground, trust: Trust) -> Suggestions:
    accounts = ground.accounts

    return Suggestions(
        listings=ground.listings,
        harvest=ground.harvest,
        accounts=accounts,
        may_look_up=Access(accounts, ground.decisions, now).may_look_up,
        listed_domains=lambda: trust.space.domains,
        own_domains=ground.config.accounts.domains,
        patient_domain=accounts.patient_domain,
    )
