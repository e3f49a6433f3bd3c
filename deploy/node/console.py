"""What an administrator can ask of a node, running or not: each command of the CLI that reads or writes its data.

Invariants: the same code answers whether the node serves (over the control socket) or not (under the home's
lock); answers are plain values for JSON; every change is in the audit under `console:<user>`.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from deploy.node import config as configuration
from deploy.node import page_standing
from deploy.node.administrators import User, this_user
from deploy.node.composition import Node, now, opened
from deploy.node.console_api_keys import ApiKeyCommands
from deploy.node.console_audit import AuditCommands
from deploy.node.console_directory import DirectoryCommands
from deploy.node.console_directory_import import DirectoryImportCommands
from deploy.node.console_directory_publish import PublicationCommands
from deploy.node.console_directory_standing import DirectoryStandingCommands
from deploy.node.console_egress import EgressCommands
from deploy.node.console_identity import IdentityCommands
from deploy.node.console_keys import KeyCommands
from deploy.node.console_life import LifeCommands
from deploy.node.console_named import account_named
from deploy.node.console_outbound import OutboundCommands
from deploy.node.console_policies import PolicyCommands
from deploy.node.console_profiles import ProfileCommands
from deploy.node.console_queue import QueueCommands
from deploy.node.console_readers import ReaderCommands
from deploy.node.console_reports import ReportCommands
from deploy.node.console_signatures import SignatureCommands
from deploy.node.console_software import SoftwareCommands
from deploy.node.console_spaces import SpaceCommands
from deploy.node.console_trust import TrustCommands
from deploy.node.control import CommandFailed, Report, unheard
from deploy.node.failures import KNOWN, sentence
from deploy.node.home import Home
from deploy.node.notices import NoticeCommands
from deploy.node.recovery import backup_node, check_node
from directory.room import NoRoom, without_room
from mail_server.accounts.app_passwords import DAY
from mail_server.accounts.interface import Account, Kind
from mail_server.delivery.plan import Treatment
from mail_server.store.interface import StoreError
from policies.interface import Event
from policies.refusal import Refusal


class Console:
    """The commands, over an opened node."""

    def __init__(self, node: Node, user: User) -> None:
        self._node = node
        self._user = user
        self._by = by = user.by
        spaces = SpaceCommands(node, by)
        readers = ReaderCommands(node, by)
        life = LifeCommands(node, by)
        trace = AuditCommands(node, by)
        rules = PolicyCommands(node, user)
        trust = TrustCommands(node, user.by)
        reports = ReportCommands(node, by)
        egress = EgressCommands(node, by)
        keys = KeyCommands(node, by)
        directory = DirectoryCommands(node, by)
        api_keys = ApiKeyCommands(node, by)
        queue = QueueCommands(node, by)
        signatures = SignatureCommands(node, by)
        listed = PublicationCommands(node, by)
        self._commands: dict[str, Callable[..., Awaitable[Any]]] = {
            "status": self.status,
            "account_morning_letter": reports.account_morning_letter,
            "report_morning": reports.report_morning,
            "reports_standing": reports.reports_standing,
            "account_national_id": IdentityCommands(node, by).account_national_id,
            "account_profile": ProfileCommands(node, by).account_profile,
            "account_add": self.account_add,
            "account_list": self.account_list,
            "account_password": self.account_password,
            "account_password_set": self.account_password_set,
            "password_list": self.password_list,
            "password_revoke": self.password_revoke,
            "certificate_list": self.certificate_list,
            "certificate_bind": self.certificate_bind,
            "certificate_unbind": self.certificate_unbind,
            "account_suspend": life.account_suspend,
            "account_reinstate": life.account_reinstate,
            "account_practice": life.account_practice,
            "account_contact": life.account_contact,
            "account_sector": life.account_sector,
            "account_close": life.account_close,
            "account_software": SoftwareCommands(node, by).account_software,
            "account_forward": signatures.account_forward,
            "dkim_show": signatures.dkim_show,
            "dkim_rotate": signatures.dkim_rotate,
            "account_outbound": OutboundCommands(node, by).account_outbound,
            "space_oppose": OutboundCommands(node, by).space_oppose,
            "account_notice_address": NoticeCommands(node, by).account_notice_address,
            "account_unused": life.account_unused,
            "account_unused_sweep": life.account_unused_sweep,
            "limits_show": life.limits_show,
            "operator_statistics": life.operator_statistics,
            "member_add": readers.member_add,
            "member_remove": readers.member_remove,
            "delegate_add": readers.delegate_add,
            "delegate_remove": readers.delegate_remove,
            "readers_show": readers.readers_show,
            "seen_set": readers.seen_set,
            "key_publish": keys.key_publish,
            "key_revoke": keys.key_revoke,
            "key_publish_x509": keys.key_publish_x509,
            "key_revoke_x509": keys.key_revoke_x509,
            "key_history": keys.key_history,
            "key_list": keys.key_list,
            "key_peer": egress.key_peer,
            "directory_search": directory.directory_search,
            "directory_show": directory.directory_show,
            "directory_key_add": api_keys.directory_key_add,
            "directory_key_list": api_keys.directory_key_list,
            "directory_key_revoke": api_keys.directory_key_revoke,
            "egress_show": egress.egress_show,
            "egress_rotate": egress.egress_rotate,
            "space_add": spaces.space_add,
            "space_list": spaces.space_list,
            "enrolment_code": spaces.enrolment_code,
            "space_dispensing": spaces.space_dispensing,
            "page_standing": self.page_standing,
            "policies_explain": rules.policies_explain,
            "policies_reload": rules.policies_reload,
            "operator_block": rules.operator_block,
            "operator_unblock": rules.operator_unblock,
            "operator_list": rules.operator_list,
            "trust_list_show": trust.trust_list_show,
            "trust_list_fetch": trust.trust_list_fetch,
            "trust_list_pending": trust.trust_list_pending,
            "trust_list_apply": trust.trust_list_apply,
            "trust_list_refuse": trust.trust_list_refuse,
            "software_access": rules.software_access,
            "queue_list": queue.queue_list,
            "queue_domains": queue.queue_domains,
            "queue_show": queue.queue_show,
            "queue_addresses": queue.queue_addresses,
            "queue_standing": queue.queue_standing,
            "directory_publish": listed.directory_publish,
            "directory_withdraw": listed.directory_withdraw,
            "directory_publications": listed.directory_publications,
            "directory_report": listed.directory_report,
            "directory_autoconfig": listed.directory_autoconfig,
            "directory_standing": DirectoryStandingCommands(node).directory_standing,
            "audit_show": trace.audit_show,
            "audit_heads": trace.audit_heads,
            "audit_export": trace.audit_export,
        }
        self._long_commands: dict[str, Callable[..., Awaitable[Any]]] = {
            "audit_verify": trace.audit_verify,
            "audit_purge": trace.audit_purge,
            "directory_import": DirectoryImportCommands(node, by).directory_import,
            "queue_retry": queue.queue_retry,
            "queue_cancel": queue.queue_cancel,
            "queue_hold": queue.queue_hold,
            "queue_release": queue.queue_release,
            "check": self.check,
            "backup": self.backup,
        }

    async def handle(self, command: str, arguments: Mapping[str, Any], report: Report = unheard) -> Any:
        """Run one command. Raises CommandFailed with a sentence for the administrator."""
        asked = self._commands.get(command)
        if (long := self._long_commands.get(command)) is not None:
            asked = partial(long, report)
        if asked is None:
            raise CommandFailed(f"Unknown command {command[:40]!r}.")
        self._node.administrators.admit(self._user, command, arguments)
        try:
            return await asked(**arguments)
        except (*KNOWN, OSError) as failure:
            raise CommandFailed(sentence(failure)) from None
        except Exception as failure:
            if without_room(failure):
                raise CommandFailed(sentence(NoRoom())) from None
            raise

    async def status(self) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "accounts": len(self._node.accounts.all()),
            "writable": self._node.store.writable,
            "policy_errors": self._node.decisions.evaluation_errors,
        }

    async def page_standing(self) -> dict[str, Any]:
        return (await page_standing.standing(self._node, now())).as_json()

    # -- accounts -----------------------------------------------------------------------------------------

    async def account_add(
        self, address: str, kind: str, password: bool, certificate: str | None
    ) -> dict[str, Any]:
        if kind not in {"PER", "ORG", "APP", "CAB"}:
            raise CommandFailed("Kinds are PER, ORG, APP and CAB.")
        der = _der(certificate) if certificate else None
        # Said before anything is made: no account is left behind that nobody can log in to.
        if der is not None and kind != "APP":
            raise CommandFailed("Only a system's account (APP) logs in by certificate.")
        if der is not None and self._node.accounts.binding_of(der) is not None:
            raise CommandFailed("This certificate speaks for another account already.")
        account = await self._node.accounts.add(address, Kind(kind), by=self._by)
        if der is not None:
            await self._node.accounts.bind_certificate(account.id, der, by=self._by)
        made: dict[str, Any] = {"address": account.address, "id": account.id, "kind": account.kind.value}
        if password and der is None:
            made |= await self.account_password(account.address, "Premier logiciel")
        return made

    async def account_password(
        self,
        address: str,
        label: str,
        protocols: Sequence[str] = (),
        days: int | None = None,
        network: str = "",
    ) -> dict[str, Any]:
        account = account_named(self._node.accounts, address)
        new = await self._node.accounts.app_password_create(
            account.id,
            label,
            protocols=protocols,
            expires=None if days is None else now() + days * DAY,
            network=network,
            by=self._by,
        )
        return {"address": account.address, "password": new.secret, "credential": new.id}

    async def account_password_set(self, address: str, label: str, password: str) -> dict[str, Any]:
        """A generated password that another account has too (the demo's robots, load tools)."""
        account = account_named(self._node.accounts, address)
        new = await self._node.accounts.app_password_create(account.id, label, by=self._by, secret=password)
        return {"address": account.address, "credential": new.id}

    async def password_list(self, address: str) -> list[dict[str, Any]]:
        accounts = self._node.accounts
        return [
            {
                "credential": each.id,
                "label": each.label,
                "created": _day_and_time(each.created),
                "expires": _day_and_time(each.expires),
                "last_used": _day_and_time(accounts.last_used(each)),
                "last_place": accounts.last_place(each),
                "protocols": sorted(each.protocols),
                "network": each.network,
                "made_by": each.made_by,
            }
            for each in accounts.app_passwords(account_named(self._node.accounts, address).id)
        ]

    async def password_revoke(self, address: str, credential: str) -> dict[str, Any]:
        account = account_named(self._node.accounts, address)
        await self._node.accounts.app_password_revoke(account.id, credential, by=self._by)
        return {"address": account.address, "credential": credential}

    async def certificate_list(self, address: str) -> list[dict[str, Any]]:
        return [
            {"credential": each.id, "created": _day_and_time(each.created), "matched": each.matched}
            for each in self._node.accounts.bindings(account_named(self._node.accounts, address).id)
        ]

    async def certificate_bind(self, address: str, certificate: str) -> dict[str, Any]:
        account = account_named(self._node.accounts, address)
        if account.kind is not Kind.APP:
            raise CommandFailed("Only a system's account (APP) logs in by certificate.")
        bound = await self._node.accounts.bind_certificate(account.id, _der(certificate), by=self._by)
        return {"address": account.address, "credential": bound.id, "matched": bound.matched}

    async def certificate_unbind(self, address: str, credential: str) -> dict[str, Any]:
        account = account_named(self._node.accounts, address)
        await self._node.accounts.unbind_certificate(account.id, credential, by=self._by)
        return {"address": account.address, "credential": credential}

    async def account_list(self) -> list[dict[str, Any]]:
        by_id = {account.id: account for account in self._node.accounts.all()}
        return [
            {
                "address": account.address,
                "id": account.id,
                "kind": account.kind.value,
                "mode": self._mode(account),
                "state": _state(account),
                "suspended": account.suspended,
                "members": [by_id[member].address for member in account.members if member in by_id],
            }
            for account in by_id.values()
        ]

    def _mode(self, account: Account) -> str:
        """How the next letter will lie."""
        try:
            treatment = self._node.planner.plan(account).treatment
        except Refusal as refusal:
            return refusal.reason
        return {Treatment.SEAL: "sealed", Treatment.CUSTODY: "custody", Treatment.WAIT: "waiting"}[treatment]

    # -- check, backup -----------------------------------------------------------------------------

    async def check(self, report: Report) -> dict[str, Any]:
        await self._begun("check")
        found = await check_node(self._node, report)
        self._node.trace.note([Event("check", _now(), self._by, outcome="done")])
        return found

    async def backup(self, report: Report, to: str, keystore_to: str | None) -> dict[str, Any]:
        await self._begun("backup")
        made = await backup_node(self._node, Path(to), Path(keystore_to) if keystore_to else None, report)
        self._node.trace.note([Event("backup", _now(), self._by, outcome="done")])
        return made

    async def _begun(self, action: str) -> None:
        """Told before a letter is touched: what is cut short has read some of them too."""
        event = Event(action, _now(), self._by, outcome="begun")
        try:
            await self._node.store.write(
                lambda transaction: self._node.trail.append(transaction.sql, [event])
            )
        except StoreError:  # a full disk is when it is needed most: told as soon as the store takes it
            self._node.trace.note([event])

    # -- what commands share ------------------------------------------------------------------------------

    def _note(self, action: str, account: Account, reference: str) -> None:
        self._node.trace.note([Event(action, _now(), self._by, account.id, reference=reference)])


async def done_here(place: Home, name: str, arguments: Mapping[str, Any], report: Report) -> Any:
    """One command over a home that no node serves, opened for it. Raises what `failures.KNOWN` lists."""
    settings = configuration.load(place.config)
    async with opened(place, settings) as node:
        result = await Console(node, this_user()).handle(name, arguments, report)
        await node.settled()
        return result


def _der(pem: str) -> bytes:
    try:
        return x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
    except ValueError:
        raise CommandFailed("The client certificate is not a PEM certificate.") from None


def _state(account: Account) -> str:
    """What keeps somebody out, in a word; the gravest where there are several."""
    if account.closed:
        return "closed"
    if not account.practising:
        return "not practising"
    return "suspended" if account.suspended else ""


def _day_and_time(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def _now() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)
