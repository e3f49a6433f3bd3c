"""`[administrators]`: who may ask what of the console, known by their Unix user.

Invariants: the kernel says who is at the other end of the control socket, never the request; each command needs one
power, named in `POWER_OF`, and a command without one is refused; the rules decide (`console.administer`), so that
what nobody may hold together is written there; every refusal is in the trace. Where nobody is named, the owner of
the home (or root, who can become them) has every power, and `doctor` says so.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from deploy.node.control import CommandFailed
from mail_server.accounts.entities import account_entity
from mail_server.accounts.interface import Accounts
from policies import questions
from policies.decisions import CedarDecisions
from policies.interface import Entity, Event
from policies.questions import Power

POWER_OF: dict[str, Power] = {
    "status": Power.LOOK,
    "page_standing": Power.LOOK,
    "software_access": Power.LOOK,
    "account_add": Power.ACCOUNTS,
    "account_list": Power.ACCOUNTS,
    "account_national_id": Power.ACCOUNTS,
    "account_profile": Power.ACCOUNTS,
    "account_password": Power.ACCOUNTS,
    "account_password_set": Power.ACCOUNTS,
    "password_list": Power.ACCOUNTS,
    "password_revoke": Power.ACCOUNTS,
    "certificate_list": Power.ACCOUNTS,
    "certificate_bind": Power.ACCOUNTS,
    "certificate_unbind": Power.ACCOUNTS,
    "account_suspend": Power.ACCOUNTS,
    "account_reinstate": Power.ACCOUNTS,
    "account_practice": Power.ACCOUNTS,
    "account_contact": Power.ACCOUNTS,
    "account_sector": Power.ACCOUNTS,
    "account_close": Power.ACCOUNTS,
    "account_morning_letter": Power.ACCOUNTS,
    "account_outbound": Power.ACCOUNTS,
    "report_morning": Power.SPACES,  # it names patients by their addresses
    "reports_standing": Power.LOOK,
    "account_unused": Power.ACCOUNTS,
    "account_unused_sweep": Power.ACCOUNTS,
    "limits_show": Power.LOOK,
    "operator_statistics": Power.OPERATION,
    "member_add": Power.READERS,
    "member_remove": Power.READERS,
    "delegate_add": Power.READERS,
    "delegate_remove": Power.READERS,
    "readers_show": Power.READERS,
    "seen_set": Power.READERS,
    "account_notice_address": Power.ACCOUNTS,
    "dkim_show": Power.LOOK,
    "dkim_rotate": Power.KEYS,
    "account_forward": Power.READERS,  # a program, here or elsewhere, reads what is sent on to it
    "account_software": Power.READERS,  # who would read copies, were its holder to switch them on
    "key_publish": Power.KEYS,
    "key_revoke": Power.KEYS,
    "key_publish_x509": Power.KEYS,
    "key_revoke_x509": Power.KEYS,
    "key_history": Power.KEYS,
    "key_list": Power.KEYS,
    "key_peer": Power.KEYS,
    "egress_show": Power.LOOK,
    "egress_rotate": Power.KEYS,
    "space_add": Power.SPACES,
    "space_list": Power.SPACES,
    "enrolment_code": Power.SPACES,
    "space_dispensing": Power.SPACES,
    "space_oppose": Power.SPACES,
    "policies_explain": Power.POLICIES,
    "policies_reload": Power.POLICIES,
    "operator_block": Power.POLICIES,
    "operator_unblock": Power.POLICIES,
    "operator_list": Power.POLICIES,
    "trust_list_show": Power.LOOK,
    "trust_list_fetch": Power.POLICIES,
    "trust_list_pending": Power.POLICIES,
    "trust_list_apply": Power.POLICIES,
    "trust_list_refuse": Power.POLICIES,
    "audit_show": Power.AUDIT,
    "audit_heads": Power.AUDIT,
    "audit_export": Power.AUDIT,
    "audit_verify": Power.AUDIT,
    "audit_purge": Power.AUDIT,
    "queue_list": Power.OPERATION,
    "queue_domains": Power.OPERATION,
    "queue_show": Power.OPERATION,
    "queue_addresses": Power.SPACES,  # they may name patients
    "queue_standing": Power.LOOK,
    "directory_import": Power.OPERATION,
    "directory_standing": Power.LOOK,
    "directory_search": Power.LOOK,
    "directory_show": Power.LOOK,
    "directory_autoconfig": Power.LOOK,
    "directory_key_add": Power.OPERATION,
    "directory_key_list": Power.OPERATION,
    "directory_key_revoke": Power.OPERATION,
    "directory_publish": Power.ACCOUNTS,
    "directory_withdraw": Power.ACCOUNTS,
    "directory_publications": Power.ACCOUNTS,
    "directory_report": Power.ACCOUNTS,
    "queue_retry": Power.OPERATION,
    "queue_cancel": Power.OPERATION,
    "queue_hold": Power.OPERATION,
    "queue_release": Power.OPERATION,
    "check": Power.OPERATION,
    "backup": Power.OPERATION,
}
_ROOT = 0


class AdministratorsSettings(BaseModel):
    """`[administrators]`"""

    model_config = ConfigDict(extra="forbid", frozen=True)

    people: dict[str, tuple[Power, ...]] = Field(
        default_factory=dict,
        description="Unix user = the powers they have, of: accounts, spaces, keys, readers, policies, audit, operation."
        " Nobody: the owner of the home has them all.",
    )
    socket: Path | None = Field(
        default=None,
        description="A second control socket, outside the home, for administrators who do not own it.",
    )
    socket_group: str = Field(default="", description="The Unix group that may reach it.")


@dataclass(frozen=True, slots=True)
class User:
    """Who asks, as the kernel knows them."""

    uid: int
    name: str

    @property
    def by(self) -> str:
        """As the trace names them."""
        return f"console:{self.name}"


def user_of(uid: int) -> User:
    try:
        return User(uid, pwd.getpwuid(uid).pw_name)
    except KeyError:
        return User(uid, str(uid))


def user_named(name: str) -> User:
    try:
        return User(pwd.getpwnam(name).pw_uid, name)
    except KeyError:
        return User(-1, name)


def this_user() -> User:
    return user_of(os.getuid())


class Administrators:
    """Asks the rules whether a user may run a command."""

    def __init__(
        self,
        settings: AdministratorsSettings,
        home: Path,
        *,
        decisions: CedarDecisions,
        accounts: Accounts,
        audit: Callable[[Sequence[Event]], None],
        clock: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._home = home
        self._decisions = decisions
        self._accounts = accounts
        self._audit = audit
        self._clock = clock

    def entity(self, user: User) -> Entity:
        """The user as the rules see them."""
        powers = self._settings.people.get(user.name, ())
        alone = not self._settings.people and user.uid in (self._home.stat().st_uid, _ROOT)
        return questions.administrator(user.name, powers, alone=alone)

    def admit(self, user: User, command: str, arguments: Mapping[str, Any]) -> None:
        """Raises CommandFailed for who may not; the refusal is in the trace."""
        power = POWER_OF.get(command)
        if power is None:
            self._refused(user, command, "", "command-without-power")
            raise CommandFailed(f"No power covers the command {command[:40]!r}: nobody may run it.")
        question = questions.may_administer(self.entity(user), power, self._target(arguments))
        decision = self._decisions.decide(question)
        if decision.allowed:
            return
        self._refused(user, command, power.value, decision.rule)
        if decision.rule == "default-refuse":
            raise CommandFailed(
                f"{user.name} may not do this: it needs the power {power.value!r} ([administrators] in the"
                " configuration)."
            )
        _, words = self._decisions.sentence(decision.rule)
        raise CommandFailed(f"{user.name} may not do this: {words[:1].lower()}{words[1:]} ({decision.rule})")

    def _target(self, arguments: Mapping[str, Any]) -> Entity:
        """The account that the command is about, for rules that look at it; else the node."""
        named = arguments.get("address") or arguments.get("shared")
        found = self._accounts.by_address(named) if isinstance(named, str) else None
        return account_entity(found, self._clock()) if found is not None else questions.NODE

    def _refused(self, user: User, command: str, power: str, rule: str) -> None:
        detail = {"command": command[:40], "power": power, "rule": rule}
        self._audit([Event("administer-refused", self._clock(), user.by, outcome="refused", detail=detail)])
