"""What is there before delivery, which is given all of it.

Read from above: the trust space (`trust`), how letters are sealed (`sealing`), who writes to whom (`correspondence`),
what is told outside (`notices`, `telling`), what leads out (`leaving`).

Invariant: what was opened is closed in the reverse order.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from deploy.node.clock import now
from deploy.node.correspondence import Correspondence, correspondence
from deploy.node.forwarding import forwarding_of
from deploy.node.ground import Ground
from deploy.node.identity import identity_providers
from deploy.node.leaving import Leaving, ListedDomains, filled, leaving
from deploy.node.notices import notices_of
from deploy.node.outbound import Outbound
from deploy.node.sealing import Sealing, sealing_of
from deploy.node.signatures import signer, verifier
from deploy.node.suggestions import suggestions_of
from deploy.node.telling import reports_of
from deploy.node.trust import Trust, trust_of
from mail_server.accounts.oidc.service import OidcService
from mail_server.delivery.forwarding import Forwarding
from mail_server.delivery.gate import Gate
from mail_server.delivery.rates import Rates
from mail_server.delivery.structured import Structured
from mail_server.delivery.suggestions import Suggestions
from mail_server.outbound.reports.owed import Reports
from mail_server.payloads.reader import Reader
from mail_server.sealing.pool import Pool
from mail_server.signatures.signer import Signer
from mail_server.signatures.verifier import Verifier
from webmail.notices.service import Notices


@dataclass(frozen=True, slots=True)
class Before:
    ground: Ground
    trust: Trust
    oidc: OidcService
    pool: Pool
    sealing: Sealing
    signer: Signer
    verifier: Verifier
    gate: Gate
    writing: Correspondence
    suggestions: Suggestions
    rates: Rates
    reader: Reader
    structured: Structured
    notices: Notices
    outbound: Outbound
    reports: Reports
    out: Leaving
    forwarding: Forwarding


async def before_delivery(stack: AsyncExitStack, ground: Ground, pool: Pool) -> Before:
    config, accounts = ground.config, ground.accounts
    trust = await _trust(ground)
    stack.push_async_callback(trust.stop)
    oidc = identity_providers(config, accounts)
    stack.push_async_callback(oidc.close)
    letter_signer = signer(ground.home, config, ground.keys, now)
    letter_verifier = verifier(config, now)
    stack.push_async_callback(letter_verifier.close)
    sealing = await sealing_of(stack, ground, pool)
    gate = _gate(ground, trust, sealing)
    writing = await _writing(ground, gate)
    reader = Reader(config.record)
    stack.push_async_callback(reader.close)
    notices = _notices(ground, trust)
    stack.push_async_callback(notices.stop)
    outbound = await filled(ground, trust, letter_signer)
    stack.push_async_callback(outbound.close)
    outbound.owing.append(writing.feedback)
    suggestions = suggestions_of(ground, trust)
    stack.callback(suggestions.close)
    domains = ListedDomains(trust.space, trust.peers, ground.operator_blocks.blocked)
    return Before(
        ground=ground,
        trust=trust,
        oidc=oidc,
        pool=pool,
        sealing=sealing,
        signer=letter_signer,
        verifier=letter_verifier,
        gate=gate,
        writing=writing,
        suggestions=suggestions,
        rates=Rates(ground.limits, accounts, accounts.patient_domain),
        reader=reader,
        structured=Structured(reader, ground.decisions),
        notices=notices,
        outbound=outbound,
        reports=_reports(ground, outbound, suggestions),
        out=leaving(
            ground,
            outbound,
            engine=sealing.engine,
            gate=gate,
            exchanges=writing.exchanges,
            domains=domains,
            signer=letter_signer,
        ),
        forwarding=forwarding_of(ground, outbound, sealing, domains, letter_signer),
    )


async def _trust(ground: Ground) -> Trust:
    return await trust_of(
        ground.config,
        ground.home.path,
        store=ground.store,
        ours=ground.accounts.is_local_domain,
        blocked=ground.operator_blocks.blocked,
        audit=ground.trace.note,
        clock=now,
    )


def _gate(ground: Ground, trust: Trust, sealing: Sealing) -> Gate:
    return Gate(
        accounts=ground.accounts,
        decisions=ground.decisions,
        trust_list=trust.space,
        planner=sealing.planner,
        max_message_size=ground.config.delivery.max_message_size,
        operator_blocked=ground.operator_blocks.blocked,
        patient_domain=ground.accounts.patient_domain,
    )


async def _writing(ground: Ground, gate: Gate) -> Correspondence:
    writing = correspondence(
        ground.config,
        store=ground.store,
        accounts=ground.accounts,
        keys=ground.keys,
        gate=gate,
        trail=ground.trail,
    )
    await writing.certificates.load()
    await writing.feedback.load()
    return writing


def _notices(ground: Ground, trust: Trust) -> Notices:
    return notices_of(
        ground.config,
        store=ground.store,
        accounts=ground.accounts,
        keys=ground.keys,
        trail=ground.trail,
        trust_list=trust.space,
        clock=now,
    )


def _reports(ground: Ground, outbound: Outbound, suggestions: Suggestions) -> Reports:
    return reports_of(
        ground.config,
        outbound,
        store=ground.store,
        accounts=ground.accounts,
        keys=ground.keys,
        trail=ground.trail,
        clock=now,
        meant=suggestions.of_report,
    )
