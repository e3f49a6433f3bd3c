"""What `vaguemestre doctor` looks at of the page: whether it is whole, reachable under its name, and what stands still.

Invariants: as the doctor's: nothing is changed, each finding says what to do; no patient is named but by the opaque
address.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import http.client
import ipaddress
import ssl
import zlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509

from deploy.node.config import Config
from deploy.node.control import CommandFailed, NodeDown, ask
from deploy.node.finding import Finding
from deploy.node.home import Home
from deploy.node.tls import own_certificate
from webmail.built_page import MANIFEST, STATIC, BuiltPage, Unreadable, read_built_page

_MANY_CODES = 10
_NAMED = 3  # accounts named in one finding
_PATIENCE = timedelta(days=1)  # a browser that was closed in the middle comes back
_MIB = 2**20


# -- what the files say ---------------------------------------------------------------------------------------


def page_findings(settings: Config, static: Path = STATIC) -> Iterator[Finding]:
    """Of the configuration and of what is installed."""
    if not settings.web.port and not settings.web.plain_port:
        yield Finding("page", "warning", "Its doors are closed by configuration: nobody reaches the page.")
        return
    yield _built(static)
    yield from _addresses(settings)
    finding = _named(settings)
    if finding is not None:
        yield finding


def _built(static: Path) -> Finding:
    try:
        page = read_built_page(static)
    except Unreadable as fault:
        return _damaged(str(fault))
    except OSError as fault:
        return _damaged(fault.strerror or type(fault).__name__)
    if page is None:
        return Finding(
            "page",
            "warning",
            "No page is built here: visitors find help only. Install the published package, or `make page`.",
        )
    damaged = next(
        (path for path, file in page.files.items() if not _same_packed(file.packed, file.plain)), None
    )
    if damaged is not None:
        return _damaged(f"the packed form of {damaged} holds something else")
    return Finding("page", "good", f"Whole: {len(page.files)} files as its manifest lists them.")


def _damaged(what: str) -> Finding:
    return Finding(
        "page",
        "failed",
        f"It is not as it was built, and is not served: {what}. Install it again, or `make page`.",
    )


def _same_packed(packed: Any, plain: bytes) -> bool:
    """Browsers are given the packed form; gzip's is opened and compared."""
    try:
        return "gzip" not in packed or gzip.decompress(packed["gzip"]) == plain
    except (OSError, EOFError, zlib.error):
        return False


def _addresses(settings: Config) -> Iterator[Finding]:
    page, programs = settings.page.public_url, (settings.jmap.public_url or "").rstrip("/")
    if not page:
        yield Finding(
            "page address",
            "warning",
            "page.public_url is not set: passkeys, cookies and printed links need one name that stays. Set it to the "
            "page's address, such as https://messagerie.example.org.",
        )
    elif settings.web.port and not page.startswith("https://"):
        yield Finding(
            "page address",
            "warning",
            f"page.public_url is {page}, on this machine only, though the HTTPS door is open: set it to the page's "
            "https address.",
        )
    else:
        yield Finding("page address", "good", f"{page}.")
    if programs and page and programs != page:
        yield Finding(
            "jmap address",
            "failed",
            f"jmap.public_url is {programs} and page.public_url is {page}: the page's own requests are refused. "
            "Make them the same, or leave jmap.public_url out.",
        )
    elif programs and not page:
        yield Finding(
            "jmap address",
            "warning",
            f"jmap.public_url is {programs}: a page opened under any other name cannot read letters. Set "
            "page.public_url to the same.",
        )


def _named(settings: Config) -> Finding | None:
    """Whether the HTTPS door's certificate is for the page's name."""
    parts = urlsplit(settings.page.public_url)
    file = settings.tls.certificate
    if not settings.web.port or parts.scheme != "https" or not parts.hostname or file is None:
        return None
    try:
        leaf = x509.load_pem_x509_certificates(file.read_bytes())[0]
    except (OSError, ValueError):
        return None  # said already
    names = certificate_names(leaf)
    if any(covers(name, parts.hostname) for name in names):
        return Finding("page certificate", "good", f"It names {parts.hostname}.")
    return Finding(
        "page certificate",
        "failed",
        f"{file} names {', '.join(names) or 'nobody'}, not {parts.hostname}: browsers will not open the page. Have it "
        "issued for that name too.",
    )


def certificate_names(leaf: x509.Certificate) -> list[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    return [*names.get_values_for_type(x509.DNSName), *addresses]


def covers(name: str, host: str) -> bool:
    """RFC 9525 §6.3: a star stands for the whole first label, and for no address."""
    name, host = name.lower().rstrip("."), host.lower().rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        try:
            return ipaddress.ip_address(name) == address
        except ValueError:
            return False
    if name.startswith("*."):
        label, _, rest = host.partition(".")
        return bool(label) and rest == name[2:]
    return name == host


# -- what the running node says -------------------------------------------------------------------------------


async def running_page(settings: Config, home: Path, static: Path = STATIC) -> AsyncIterator[Finding]:
    """Of a node that runs."""
    served = await _served(settings, static)
    if served is not None:
        yield served
    try:
        told: dict[str, Any] = await ask(Home(home).control_socket, "page_standing", {})
    except (NodeDown, CommandFailed):
        return
    now = datetime.now(UTC)
    for finding in standing_findings(told, settings.store.upload_bytes, now):
        yield finding


async def _served(settings: Config, static: Path) -> Finding | None:
    """Whether the page that the doors give is the one installed: a node keeps what it read at its start."""
    try:
        page = read_built_page(static)
    except (Unreadable, OSError):
        return None
    port = settings.web.port or settings.web.plain_port
    if page is None or port is None:
        return None
    try:
        digest = await asyncio.to_thread(_served_manifest, settings, port)
    except (OSError, http.client.HTTPException):
        return Finding("web", "failed", f"Nothing answers on port {port}.")
    if digest != _digest(page):
        return Finding("web", "warning", "The node serves another page than the one installed: restart it.")
    return Finding("web", "good", f"Port {port} gives the page that is installed.")


def _served_manifest(settings: Config, port: int) -> str:
    host = settings.web.host if settings.web.port else "127.0.0.1"
    host = "127.0.0.1" if host in ("", "0.0.0.0", "::") else host  # noqa: S104
    context = _trusting(settings) if settings.web.port else None
    made = (
        http.client.HTTPSConnection(host, port, timeout=10, context=context)
        if context is not None
        else http.client.HTTPConnection(host, port, timeout=10)
    )
    try:
        made.request("GET", f"/{MANIFEST}", headers={"Host": f"localhost:{port}"})
        return hashlib.sha256(made.getresponse().read(_MIB)).hexdigest()
    finally:
        made.close()


def _trusting(settings: Config) -> ssl.SSLContext:
    """Raises OSError."""
    if settings.tls.certificate is None:
        raise OSError("no certificate")
    return own_certificate(settings.tls.certificate)


def _digest(page: BuiltPage) -> str:
    return hashlib.sha256(page.manifest_bytes).hexdigest()


def standing_findings(told: dict[str, Any], share: int, now: datetime) -> Iterator[Finding]:
    """Of what `page_standing` answers; `share`: octets of uploads that one account may have."""
    yield _submissions(told["submissions"], now)
    yield _codes(told["codes"])
    yield from _resealing(told["unfinished"], now)
    yield _uploads(told["uploads"], share)


def _submissions(told: dict[str, Any], now: datetime) -> Finding:
    if not told["late"]:
        return Finding("submissions", "good", f"None is late, {told['held']} wait for their time.")
    since = _ago(told["oldest_late"], now)
    return Finding(
        "submissions",
        "warning",
        f"{_counted(told['late'], 'letter')} handed over should have left, the oldest {since} ago. The log says why; "
        "they are tried again every hour for two days.",
    )


def _codes(told: dict[str, Any]) -> Finding:
    expired, blocked = told["expired"], told["blocked"]
    if blocked or expired >= _MANY_CODES:
        return Finding(
            "activation codes",
            "warning",
            f"{_counted(expired, 'code')} expired unused and {blocked} blocked by wrong answers: their holders cannot "
            "come in. `vaguemestre space code` (or `account page-code`) makes a new one.",
        )
    return Finding("activation codes", "good", f"{told['alive']} wait to be used, {expired} expired unused.")


def _resealing(told: list[dict[str, Any]], now: datetime) -> Iterator[Finding]:
    patients = [one for one in told if one["patient"] and not _fresh(one, now)]
    others = [one for one in told if not one["patient"]]
    if patients:
        yield Finding(
            "re-seal",
            "warning",
            f"Opened spaces whose waiting key still stands: {_listed(patients, now)}. It goes on by itself when the "
            "holder next logs in: ask them to.",
        )
    if others:
        yield Finding(
            "re-seal",
            "warning",
            f"Accounts whose older letters are not all sealed to their own key: {_listed(others, now)}. The node goes "
            "on at its next start; if they stay, its log says why.",
        )
    if not patients and not others:
        yield Finding("re-seal", "good", f"Nothing stands still, {len(told)} under way.")


def _fresh(one: dict[str, Any], now: datetime) -> bool:
    return one["since"] is not None and now - _moment(one["since"]) < _PATIENCE


def _listed(found: list[dict[str, Any]], now: datetime) -> str:
    words = [
        f"{one['address']} ({_counted(one['left'], 'letter')}"
        + (f", {_ago(one['since'], now)})" if one["since"] is not None else ")")
        for one in found[:_NAMED]
    ]
    return ", ".join(words) + (f" and {len(found) - _NAMED} more" if len(found) > _NAMED else "")


def _uploads(told: dict[str, Any], share: int) -> Finding:
    if told["fullest"] > share * 0.9:
        return Finding(
            "uploads",
            "warning",
            f"One account's uploads fill its share of {share // _MIB} MiB: its oldest are dropped before they are "
            "used. They go by themselves after jmap.upload_lifetime; store.upload_bytes is the share.",
        )
    return Finding("uploads", "good", f"{told['octets'] // _MIB} MiB wait to be used.")


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)


def _ago(at: int, now: datetime) -> str:
    passed = now - _moment(at)
    if passed.days:
        return _counted(passed.days, "day")
    return _counted(max(int(passed.total_seconds()) // 60, 0), "minute")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
