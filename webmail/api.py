"""The page's own HTTP side, put together: `/api/` routes, sessions, codes, and what JMAP gets from it.

`deploy` makes one with `PageApi.open`, gives `.routers` to the web server, `.sessions` and `.capabilities` to JMAP,
`.sessions.holds` to the accounts, `.enrolments` to the console.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fastapi import APIRouter

from directory.certificates.interface import Directory
from mail_server.accounts.interface import Account
from mail_server.accounts.oidc.service import OidcService
from mail_server.accounts.oidc.settings import OidcSettings
from mail_server.accounts.profiles import Profile
from mail_server.accounts.service import AccountService
from mail_server.accounts.throttle import Throttle
from mail_server.delivery.sharing import ReaderChanges
from mail_server.jmap.interface import Capability
from mail_server.keys.interface import KeyWrapper, OperatorKeys
from mail_server.keys.slots import Slots
from mail_server.store.interface import Store
from mail_server.store.model import AccountId
from policies.audit.trail import ChainedTrail
from policies.interface import Decisions, Event
from webmail.login.changes import Changes
from webmail.login.counters import Counters
from webmail.login.endings import Endings
from webmail.login.front import Front
from webmail.login.ground import Ground
from webmail.login.oidc import ProviderLogins
from webmail.login.oidc_device import DeviceLogins
from webmail.login.oidc_routes import provider_routes
from webmail.login.passkeys import Passkeys
from webmail.login.pressure import Pressure
from webmail.login.programs import Programs
from webmail.login.routes import OperatorInfo, account_routes, login_routes, program_routes, session_routes
from webmail.login.secrets import PageSecrets
from webmail.login.service import LoginService
from webmail.login.sessions import Sessions
from webmail.login.settings import PageSettings
from webmail.login.totp import Factors
from webmail.login.tries import CodeTries
from webmail.notices.routes import notice_routes
from webmail.notices.service import Notices
from webmail.spaces.access_exports import AccessExports, export_routes
from webmail.spaces.access_log import AccessLog
from webmail.spaces.activation import Activation
from webmail.spaces.answers import SessionAnswers
from webmail.spaces.challenges import Challenges
from webmail.spaces.conversations import Exchanges, Writing, conversation_routes
from webmail.spaces.enrolments import Enrolments
from webmail.spaces.keys import Keys
from webmail.spaces.listings import Looking, OwnListing, Picker, listing_routes
from webmail.spaces.lookups import Addressees, Conversations, Lookups
from webmail.spaces.outbound import OutboundChoice, outbound_routes
from webmail.spaces.past import Past
from webmail.spaces.practice_copy import PracticeCopy, practice_copy_routes
from webmail.spaces.readers import Readers, reader_routes
from webmail.spaces.reseal import Reseal
from webmail.spaces.routes import enrolment_routes, key_routes
from webmail.spaces.wakes import Wakes, wake_routes


@dataclass(frozen=True, slots=True)
class Parts:
    """What of the node the page works with."""

    store: Store
    trail: ChainedTrail
    audit: Callable[[Sequence[Event]], None]
    accounts: AccountService
    directory: Directory
    operator_keys: OperatorKeys
    decisions: Decisions
    keys: KeyWrapper
    addressees: Addressees
    conversations: Conversations
    resealing: Callable[[Account], None]
    writing: Writing | None = None  # exchanges and their end, blocks, receipts
    oidc: OidcService | None = None  # identity providers; None: there are none
    sharing: ReaderChanges | None = None  # who reads along is not changed on this page without it
    notices: Notices | None = None  # to ordinary addresses
    trace_full: Callable[[], bool] = lambda: False
    large: int = 256 * 1024  # octets from which a letter is parsed in a thread
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    profile_of: Callable[[AccountId], Profile] = lambda _: Profile()
    looking: Looking | None = None  # the directory; None: nobody is looked up on this page


class PageApi:
    """See `open`."""

    def __init__(self, ground: Ground, parts: Parts, operator: OperatorInfo) -> None:
        settings = ground.settings
        self.ground = ground
        self.sessions = ground.sessions
        passkeys = Passkeys(ground.clock, operator.name)
        logins, codes = _pressure(settings, parts.sleep), _pressure(settings, parts.sleep)
        self.throttles = {"page": logins.throttle, "codes": codes.throttle}
        challenges = Challenges(ground.clock)
        front = Front(ground)
        reseal = Reseal(ground, parts.large)
        keys = Keys(ground, challenges)
        answers = SessionAnswers(ground, keys, reseal)
        tries = CodeTries(ground.clock)
        login = LoginService(ground, logins, passkeys, tries)
        changes = Changes(ground, logins, passkeys, operator.name, tries)
        oidc = parts.oidc or OidcService(OidcSettings(), ground.accounts)
        providers = ProviderLogins(ground, oidc, login)
        devices = DeviceLogins(ground, oidc, providers)
        activation = Activation(ground, challenges, reseal)
        lookups = Lookups(ground, parts.addressees, parts.conversations)
        self.enrolments = Enrolments(ground, codes)
        self.routers: list[APIRouter] = [
            login_routes(ground, front, login, answers, operator, providers.providers()),
            provider_routes(front, providers, devices, answers),
            session_routes(ground, front, Endings(ground)),
            account_routes(front, changes, answers),
            program_routes(ground, front, Programs(ground)),
            enrolment_routes(ground, front, self.enrolments, challenges, activation, answers),
            key_routes(front, keys, reseal, lookups, answers),
        ]
        if parts.writing is not None:
            self.routers.append(conversation_routes(front, Exchanges(ground, parts.writing)))
            self.routers.append(practice_copy_routes(front, PracticeCopy(ground, parts.writing)))
            self.routers.append(outbound_routes(front, OutboundChoice(ground, parts.writing)))
        if parts.sharing is not None:
            past = Past(ground, parts.sharing)
            self.routers.append(reader_routes(front, Readers(ground, parts.sharing, past), past))
        if parts.looking is not None:
            own = OwnListing(ground, parts.looking)
            self.routers.append(listing_routes(front, Picker(ground, parts.looking), own))
        if parts.notices is not None:
            self.routers.append(notice_routes(ground, front, parts.notices))
        self.wakes = Wakes(ground)
        self.routers.append(wake_routes(front, self.wakes))
        log = AccessLog(ground.store, ground.accounts)
        self.routers.append(export_routes(ground, front, AccessExports(ground, log)))
        self.capabilities: list[Capability] = [log.capability()]

    @classmethod
    async def open(cls, settings: PageSettings, parts: Parts, operator: OperatorInfo) -> PageApi:
        """Once store, accounts and directory have started. Reads the sessions a restart interrupted."""
        sessions = Sessions(parts.store, parts.accounts, settings, parts.clock)
        ground = Ground(
            settings=settings,
            store=parts.store,
            trail=parts.trail,
            audit=parts.audit,
            accounts=parts.accounts,
            directory=parts.directory,
            operator_keys=parts.operator_keys,
            decisions=parts.decisions,
            slots=Slots(parts.keys),
            factors=Factors(parts.keys),
            secrets=await PageSecrets.load(parts.store, parts.keys),
            sessions=sessions,
            resealing=parts.resealing,
            trace_full=parts.trace_full,
            sleep=parts.sleep,
            clock=parts.clock,
            profile_of=parts.profile_of,
        )
        made = cls(ground, parts, operator)
        await sessions.start()
        await made.wakes.start()
        parts.accounts.changed.append(sessions.on_change)
        parts.accounts.sessions_hold = sessions.holds
        return made

    @property
    def counters(self) -> Counters:
        return self.ground.counters

    async def stop(self) -> None:
        """Before the store stops."""
        await self.wakes.stop()
        await self.sessions.stop()


def _pressure(settings: PageSettings, sleep: Callable[[float], Awaitable[None]]) -> Pressure:
    throttle = Throttle(
        settings.failure_delay,
        settings.longest_delay,
        settings.failure_memory,
        free_of_place=settings.failures_free_of_place,
        free_of_account=settings.failures_free_of_account,
    )
    return Pressure(throttle, sleep, settings.longest_delay)
