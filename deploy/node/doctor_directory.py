"""What `doctor` says of how mail programs find this node, and of our mailboxes at the national directory.

Invariants: as the doctor's: nothing is changed, each finding says what to do; the key to the national directory is not
shown; nobody is asked but this machine.
"""

from __future__ import annotations

import asyncio
import http.client
import ssl
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from cryptography import x509

from deploy.node.autoconfig import services_of
from deploy.node.config import Config
from deploy.node.control import CommandFailed, NodeDown, ask
from deploy.node.directory_publication import remote_of
from deploy.node.doctor_page import certificate_names, covers
from deploy.node.failures import StartError
from deploy.node.finding import Finding
from deploy.node.home import Home
from deploy.node.tls import own_certificate
from directory.autoconfig.services import Services

_xml: Any = import_module("lxml.etree")  # it has no type stubs
_NAMED = 3  # mailboxes named in one finding
_SETTINGS, _NATIONAL, _ELSEWHERE = "mail programs", "national directory", "mailboxes elsewhere"
_LARGEST = 64 * 1024
_SECONDS = 10.0


# -- what the files say ---------------------------------------------------------------------------------------


def publication_findings(settings: Config) -> Iterator[Finding]:
    yield from _names(settings)
    yield from _national(settings)


def _names(settings: Config) -> Iterator[Finding]:
    """Whether programs that call `autoconfig.<domain>` are shown a certificate of that name."""
    services, file = services_of(settings), settings.tls.certificate
    if not services.mail:
        yield Finding(
            _SETTINGS, "warning", "Nobody can read and send by a mail program: its doors are closed."
        )
        return
    if file is None or not settings.web.port:
        return
    try:
        names = certificate_names(x509.load_pem_x509_certificates(file.read_bytes())[0])
    except (OSError, ValueError):
        return  # said already
    wanted = [f"autoconfig.{domain}" for domain in services.domains]
    missing = [host for host in wanted if not any(covers(name, host) for name in names)]
    if missing:
        yield Finding(
            _SETTINGS,
            "warning",
            f"{file} does not name {', '.join(missing[:_NAMED])}: Thunderbird finds no settings there. Have it issued "
            "for that name too, and see `vaguemestre directory autoconfig DOMAIN`.",
        )
    else:
        yield Finding(_SETTINGS, "good", f"The certificate names {', '.join(wanted[:_NAMED])}.")


def _national(settings: Config) -> Iterator[Finding]:
    wanted = settings.publication
    if not wanted.national_directory:
        yield Finding(_NATIONAL, "good", "None is configured: our mailboxes are published to nobody else.")
        return
    try:
        remote_of(wanted)
    except StartError as failure:
        yield Finding(_NATIONAL, "failed", str(failure))
        return
    key = wanted.api_key_file
    if key is not None and key.stat().st_mode & 0o077:
        yield Finding(_NATIONAL, "warning", f"Others may read our key to it: chmod 600 {key}.")


# -- what the running node says -------------------------------------------------------------------------------


async def running_publication(settings: Config, home: Path) -> AsyncIterator[Finding]:
    """Of a node that runs."""
    for domain in settings.accounts.domains:
        finding = await _told(settings, domain)
        if finding is not None:
            yield finding
    try:
        told: dict[str, Any] = await ask(Home(home).control_socket, "directory_publications", {})
    except (NodeDown, CommandFailed):
        return
    if settings.publication.national_directory:
        yield published(told)
    for finding in elsewhere(told):
        yield finding


def elsewhere(told: dict[str, Any]) -> Iterator[Finding]:
    """Mailboxes that other operators published under the names of professionals of ours."""
    named = [one for one in told["elsewhere"] if one["objected"] is None]
    if untold := [one["of"] for one in named if one["told"] is None]:
        yield Finding(
            _ELSEWHERE,
            "warning",
            f"{', '.join(sorted(set(untold))[:_NAMED])} could not be told of a mailbox that another operator published "
            "under their name: see `vaguemestre directory publications`.",
        )
    if named:
        some = ", ".join(f"{one['address']} ({one['publisher']}) for {one['of']}" for one in named[:_NAMED])
        more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        yield Finding(
            _ELSEWHERE,
            "good",
            f"Other operators published under the names of ours, who are told: {some}{more}. "
            "`vaguemestre directory withdraw ADDRESS` is their objection.",
        )


def published(told: dict[str, Any]) -> Finding:
    """How our mailboxes stand at the national directory."""
    if told["key_refused"]:
        words = f"{told['key_refused']} Renew it in publication.api_key_file, then reload (SIGHUP)."
        return Finding(_NATIONAL, "failed", words)
    mailboxes: list[dict[str, Any]] = told["mailboxes"]
    refused = [one["address"] for one in mailboxes if one["state"] == "refused"]
    if refused:
        more = f" and {len(refused) - _NAMED} more" if len(refused) > _NAMED else ""
        named = ", ".join(refused[:_NAMED])
        return Finding(
            _NATIONAL, "warning", f"It refuses {named}{more}: see `vaguemestre directory report --wrong`."
        )
    failing = [one for one in mailboxes if one["state"] == "pending" and one["tries"] > 1]
    if failing:
        why = failing[0]["words"] or failing[0]["reason"]
        return Finding(_NATIONAL, "warning", f"{len(failing)} of ours wait to be published: {why}")
    count = sum(one["state"] == "published" for one in mailboxes)
    return Finding(_NATIONAL, "good", f"{count} of our mailboxes are published.")


async def _told(settings: Config, domain: str) -> Finding | None:
    """Whether what programs of this domain are told is what answers."""
    port = settings.web.port or settings.web.plain_port
    services = services_of(settings)
    if port is None or not services.mail:
        return None
    try:
        body = await asyncio.to_thread(_served, settings, port, domain)
    except (OSError, http.client.HTTPException):
        return Finding(_SETTINGS, "failed", f"Nothing answers on port {port}: programs find no settings.")
    told = ports_told(body)
    if told != ports_open(services):
        return Finding(
            _SETTINGS,
            "failed",
            f"Programs of {domain} are told other ports than the configuration has: restart the node.",
        )
    silent = [str(number) for _, number in sorted(told) if not await _listens(settings, number)]
    if silent:
        return Finding(
            _SETTINGS,
            "failed",
            f"Programs of {domain} are told port {', '.join(silent)}, where nothing answers.",
        )
    ports = ", ".join(str(number) for _, number in sorted(told))
    return Finding(_SETTINGS, "good", f"Those of {domain} are told ports {ports}, and each answers.")


def ports_open(services: Services) -> set[tuple[str, int]]:
    named = (
        ("imap SSL", services.imaps),
        ("imap STARTTLS", services.imap),
        ("smtp SSL", services.submissions),
        ("smtp STARTTLS", services.submission),
    )
    return {(name, port) for name, port in named if port}


def ports_told(body: bytes) -> set[tuple[str, int]]:
    """Of an autoconfig document; nothing where it is none."""
    try:
        root = _xml.fromstring(body, _xml.XMLParser(resolve_entities=False, no_network=True))
        return {
            (f"{server.get('type')} {server.findtext('socketType')}", int(server.findtext("port")))
            for name in ("incomingServer", "outgoingServer")
            for server in root.iterfind(f".//{name}")
        }
    except (_xml.XMLSyntaxError, ValueError, TypeError):
        return set()


def _served(settings: Config, port: int, domain: str) -> bytes:
    if settings.web.port and settings.tls.certificate is not None:
        context: ssl.SSLContext = own_certificate(settings.tls.certificate)
        host = "127.0.0.1" if settings.web.host in ("", "0.0.0.0", "::") else settings.web.host  # noqa: S104
        link: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=_SECONDS, context=context
        )
    else:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        link.request("GET", "/mail/config-v1.1.xml", headers={"Host": f"autoconfig.{domain}"})
        return link.getresponse().read(_LARGEST)
    finally:
        link.close()


async def _listens(settings: Config, port: int) -> bool:
    chosen = (next(iter(settings.smtp.listen), ""), settings.imap.host.partition(",")[0].strip())
    for host in dict.fromkeys("127.0.0.1" if one in ("", "0.0.0.0", "::") else one for one in chosen):  # noqa: S104
        try:
            async with asyncio.timeout(_SECONDS):
                _, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError):
            continue
        writer.close()
        return True
    return False
