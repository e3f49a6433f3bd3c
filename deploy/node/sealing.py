"""How letters that stay here are sealed, put together: operator-held keys, the signing key, who reads what, copies.

Invariant: the workers run already (`composition.opened`): the signing key is read from the disk after they were begun,
and goes to them alone.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from deploy.node.clock import now
from deploy.node.failures import StartError
from deploy.node.ground import Ground
from mail_server.delivery.compose import Composer
from mail_server.delivery.plan import Planner
from mail_server.keys.operator_keys import GnuPgOperatorKeys
from mail_server.sealing.authority import Authority
from mail_server.sealing.engine import OpenPgpEngine
from mail_server.sealing.pool import Pool


@dataclass(frozen=True, slots=True)
class Sealing:
    operator_keys: GnuPgOperatorKeys
    authority: Authority
    engine: OpenPgpEngine
    planner: Planner
    composer: Composer


async def sealing_of(stack: AsyncExitStack, ground: Ground, pool: Pool) -> Sealing:
    """Raises StartError, KeyUnavailable."""
    config, home = ground.config, ground.home
    domain = config.accounts.domains[0]
    operator_keys = GnuPgOperatorKeys(config.keys, home.keystore, ground.keys)
    stack.push_async_callback(operator_keys.close)
    authority = Authority(home.authority, ground.keys, domain)
    if not authority.made:
        raise StartError(f"No authority key in {home.authority}: run `vaguemestre init` to the end.")
    await pool.load(await asyncio.to_thread(authority.signing_key))
    engine = OpenPgpEngine(pool)
    return Sealing(
        operator_keys=operator_keys,
        authority=authority,
        engine=engine,
        planner=Planner(
            accounts=ground.accounts, directory=ground.directory, decisions=ground.decisions, clock=now
        ),
        composer=Composer(
            store=ground.store,
            engine=engine,
            operator_keys=operator_keys,
            domain=domain,
            large=config.delivery.large_message,
        ),
    )
