"""`vaguemestre doctor`: finds what is wrong with a node before its users do.

Invariants: it changes nothing; each finding is one sentence that says what to do; with a probe account it sends
one letter through submission and reads it back over IMAP, as a mail program would.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
import resource
import secrets
import shutil
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aioimaplib
import aiosmtplib
from cryptography import x509

from deploy.node.config import Config, ConfigError, load
from deploy.node.control import CommandFailed, NodeDown, NotUnderstood, ask
from deploy.node.directory_standing import directory_findings, running_directory
from deploy.node.doctor_audit import audit_findings
from deploy.node.doctor_databases import database_findings
from deploy.node.doctor_directory import publication_findings, running_publication
from deploy.node.doctor_egress import keystore_finding, running_gate
from deploy.node.doctor_ldap import ldap_answers
from deploy.node.doctor_life import life_findings
from deploy.node.doctor_outbound import outbound_findings, reach_findings
from deploy.node.doctor_page import page_findings, running_page
from deploy.node.doctor_policies import policy_findings, running_policies
from deploy.node.doctor_reports import running_reports
from deploy.node.doctor_signatures import signature_findings
from deploy.node.doctor_trust import running_trust, trust_findings
from deploy.node.failures import sentence
from deploy.node.finding import Finding
from deploy.node.home import Home
from deploy.node.queue_standing import running_queue
from deploy.node.tls import own_certificate
from mail_server.keys.interface import KeyUnavailable
from mail_server.keys.kek import load_kek

# Its DEBUG prints what it reads (DESIGN §6).
logging.getLogger("aioimaplib.aioimaplib").setLevel(logging.WARNING)

_WARN_DAYS = 30
PROBE_PASSWORD = "VAGUEMESTRE_PROBE_PASSWORD"  # noqa: S105 - the name of a variable


@dataclass(frozen=True, slots=True)
class Probe:
    """An account that may be written to and read for the test letter; its password comes from the environment."""

    address: str


async def examine_node(home: Path, config: Path | None, probe: Probe | None = None) -> list[Finding]:
    path = config or Home(home).config
    try:
        settings = load(path)
    except ConfigError as failure:
        return [Finding("configuration", "failed", str(failure))]
    findings = [Finding("configuration", "good", f"{path} is understood.")]
    findings += _home(home)
    findings += _kek(settings, home)
    findings += database_findings(settings, home)
    findings += _certificate(settings)
    findings += page_findings(settings)
    findings += publication_findings(settings)
    findings += policy_findings(settings, home)
    findings += trust_findings(settings, home)
    findings += outbound_findings(settings)
    findings += reach_findings(settings)
    findings += audit_findings(settings, home)
    findings.append(keystore_finding(settings, home))
    findings += await signature_findings(settings, home, time.time_ns() // 1_000_000)
    findings += life_findings(settings)
    findings += directory_findings(settings)
    findings += _machine(settings, home)
    findings += [one async for one in running_findings(settings, home)]
    if probe is not None:
        findings.append(await _letter(settings, probe))
    return findings


def _home(home: Path) -> Iterator[Finding]:
    if not home.is_dir():
        yield Finding("home", "failed", f"{home} does not exist: run `vaguemestre init`.")
        return
    if home.stat().st_mode & 0o077:
        yield Finding("home", "failed", f"{home} is open to other users of this machine: chmod 700 it.")
    else:
        yield Finding("home", "good", f"{home} is closed to others.")


def _kek(settings: Config, home: Path) -> Iterator[Finding]:
    try:
        keys = load_kek(settings.keys, home)
    except KeyUnavailable as failure:
        yield Finding("key-encryption key", "failed", sentence(failure))
    else:
        yield Finding("key-encryption key", "good", f"Readable, outside the home, id {keys.kek_id}.")


def _certificate(settings: Config) -> Iterator[Finding]:
    file = settings.tls.certificate
    if file is None or settings.tls.key is None:
        yield Finding("certificate", "failed", "No TLS certificate: fill the [tls] section.")
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file, settings.tls.key)
        leaf = x509.load_pem_x509_certificates(file.read_bytes())[0]
    except (OSError, ValueError):
        yield Finding(
            "certificate", "failed", f"{file} and its key cannot be read, or do not belong together."
        )
        return
    if settings.tls.key.stat().st_mode & 0o077:
        yield Finding("certificate", "warning", f"Others may read its key: chmod 600 {settings.tls.key}.")
    end = leaf.not_valid_after_utc
    left = end - dt.datetime.now(dt.UTC)
    if left < dt.timedelta():
        yield Finding("certificate", "failed", f"{file} expired on {end:%Y-%m-%d}: renew it.")
    elif left < dt.timedelta(days=_WARN_DAYS):
        yield Finding("certificate", "warning", f"{file} expires on {end:%Y-%m-%d}: renew it.")
    else:
        yield Finding("certificate", "good", f"Valid until {end:%Y-%m-%d}.")


def _machine(settings: Config, home: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(home if home.exists() else home.parent).free
    floor = settings.store.free_space_floor
    if free < floor:
        yield Finding("disk", "failed", "Free space is below the floor: no letter is accepted.")
    elif free < 4 * floor:
        yield Finding("disk", "warning", f"{free // 2**20} MiB free: the floor is {floor // 2**20} MiB.")
    else:
        yield Finding("disk", "good", f"{free // 2**30} GiB free.")
    if _swap_in_use():
        yield Finding(
            "swap",
            "warning",
            "Swap is on: a letter in memory may reach it. Run under the unit file, or swapoff.",
        )
    else:
        yield Finding("swap", "good", "No swap.")
    soft, _ = resource.getrlimit(resource.RLIMIT_CORE)
    if soft:
        yield Finding(
            "core dumps", "warning", "Core dumps are allowed here; the node forbids them to itself."
        )


def _swap_in_use() -> bool:
    try:
        return len(Path("/proc/swaps").read_text().splitlines()) > 1
    except OSError:
        return False


async def running_findings(settings: Config, home: Path) -> AsyncIterator[Finding]:
    try:
        status: dict[str, Any] = await ask(Home(home).control_socket, "status", {})
    except NodeDown:
        yield Finding("node", "warning", "The node does not run; its doors were not tried.")
        return
    except CommandFailed as failure:
        yield Finding("node", "failed", sentence(failure))
        return
    unread: list[str] = []
    for subject, part in _parts(settings, home, status):
        try:
            async for finding in part:
                yield finding
        except (NotUnderstood, TypeError, AttributeError, LookupError, ValueError):
            unread.append(subject)
    if unread:
        words = f"What it answers of {', '.join(unread)} is not what this version knows"
        yield Finding(
            "node", "warning", f"{words}: it runs an older one, most likely. Restart it, then ask again."
        )


def _parts(
    settings: Config, home: Path, status: dict[str, Any]
) -> Iterator[tuple[str, AsyncIterator[Finding]]]:
    """What is looked at of a node that runs. Each reads what a node answers, which may be of another version."""
    yield "itself", _itself(status)
    yield "its rules", _one_by_one(running_policies(home, status))
    yield "its doors", _doors(settings)
    yield "the page", running_page(settings, home)
    yield "publication", running_publication(settings, home)
    yield "morning letters", _one_by_one(running_reports(home))
    yield "the trust list", _one_by_one(running_trust(settings, home))
    yield "the outbound queue", _one_by_one(running_queue(home))
    yield "the egress gate", _one_by_one(running_gate(home))
    yield "the directory", _one_by_one(running_directory(home))


async def _one_by_one(found: Awaitable[Finding | list[Finding]]) -> AsyncIterator[Finding]:
    findings = await found
    for finding in [findings] if isinstance(findings, Finding) else findings:
        yield finding


async def _itself(status: dict[str, Any]) -> AsyncIterator[Finding]:
    yield Finding("node", "good", f"Running, {status['accounts']} accounts.")
    if not status["writable"]:
        yield Finding("node", "failed", "It accepts nothing: free space is below the floor.")


async def _doors(settings: Config) -> AsyncIterator[Finding]:
    smtp, imap = _reached_at(settings)
    yield await _answers("smtp", smtp, settings.smtp.operator_port)
    yield await _answers("submission", smtp, settings.smtp.submission_port)
    yield await _answers("imap", imap, settings.imap.port)
    for finding in await ldap_answers(settings):
        yield finding


def _reached_at(settings: Config) -> tuple[str, str]:
    """Where this machine reaches the SMTP and IMAP doors."""
    chosen = (next(iter(settings.smtp.listen), ""), settings.imap.host.partition(",")[0].strip())
    smtp, imap = ("127.0.0.1" if host in ("", "0.0.0.0", "::") else host for host in chosen)  # noqa: S104
    return smtp, imap


async def _answers(name: str, host: str, port: int | None) -> Finding:
    if port is None:
        return Finding(name, "warning", "This door is closed by configuration.")
    try:
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(host, port)
            greeting = await reader.readline()
            writer.close()
    except (OSError, TimeoutError):
        return Finding(name, "failed", f"Nothing answers on port {port}.")
    if not greeting.startswith((b"220 ", b"* OK")):
        return Finding(name, "failed", f"Port {port} does not greet as a mail server.")
    return Finding(name, "good", f"Port {port} greets.")


async def _letter(settings: Config, probe: Probe) -> Finding:
    """One letter from the probe account to itself, by STARTTLS submission and IMAP over TLS."""
    password = os.environ.get(PROBE_PASSWORD, "")
    if not password:
        return Finding("letter", "failed", f"Set {PROBE_PASSWORD} to the probe account's app password.")
    if settings.tls.certificate is None:
        return Finding("letter", "failed", "No letter can be sent without a TLS certificate.")
    mark = secrets.token_hex(12)
    try:
        context = own_certificate(settings.tls.certificate)
        async with asyncio.timeout(60):
            await _send(settings, probe.address, password, context, mark)
            found = await _find(settings, probe.address, password, context, mark)
    except aiosmtplib.SMTPAuthenticationError:
        return Finding("letter", "failed", f"The password in {PROBE_PASSWORD} is not one of {probe.address}.")
    except aiosmtplib.SMTPResponseException as refused:
        return Finding("letter", "failed", f"The test letter was refused: {refused.code} {refused.message}")
    except (aiosmtplib.SMTPException, aioimaplib.Abort, aioimaplib.Error, OSError, TimeoutError) as failure:
        return Finding("letter", "failed", f"The test letter did not go round ({type(failure).__name__}).")
    if not found:
        return Finding("letter", "failed", "The test letter was accepted but is not in the mailbox.")
    return Finding("letter", "good", f"A letter of {probe.address} to itself went round.")


async def _send(settings: Config, address: str, password: str, context: ssl.SSLContext, mark: str) -> None:
    message = EmailMessage()
    message["From"] = message["To"] = address
    message["Subject"] = "Vaguemestre doctor"
    message["Message-ID"] = f"<{mark}@{address.partition('@')[2]}>"
    message.set_content("Lettre d'essai / test letter.\n")
    await aiosmtplib.send(
        message,
        hostname=_reached_at(settings)[0],
        port=settings.smtp.submission_port,
        start_tls=True,
        username=address,
        password=password,
        tls_context=context,
    )


async def _find(settings: Config, address: str, password: str, context: ssl.SSLContext, mark: str) -> bool:
    host = _reached_at(settings)[1]
    imap = aioimaplib.IMAP4_SSL(host=host, port=settings.imap.tls_port or 993, ssl_context=context)
    await imap.wait_hello_from_server()
    await imap.login(address, password)
    try:
        await imap.select("INBOX")
        found: Any = await imap.search(f'HEADER Message-ID "{mark}"', charset=None)
        numbers: list[bytes] = found.lines[0].split() if found.result == "OK" and found.lines else []
        if numbers:
            await imap.store(numbers[-1].decode(), "+FLAGS", "(\\Deleted)")
            await imap.expunge()
        return bool(numbers)
    finally:
        await imap.logout()
