"""Whether the ports for address books answer, as `doctor` says it.

Invariants: as the doctor's: nothing is changed; nobody is asked but this machine.
"""

from __future__ import annotations

import asyncio
import ssl

from deploy.node.config import Config
from deploy.node.finding import Finding

_SUBJECT = "ldap"
_SECONDS = 10.0
# The first question of every program, what is here (RFC 4512 §5.1): a search of base "", that base alone, for no
# attribute.
_ROOT_DSE = bytes.fromhex(
    "302a020101632504000a01000a0100020101020105010100870b6f626a656374436c61737330050403312e31"
)
_ENTRY = 0x64  # SearchResultEntry (RFC 4511 §4.5.2)


async def ldap_answers(settings: Config) -> list[Finding]:
    """Of a node that runs: one finding for each port that is open by configuration."""
    host = settings.ldap.host.partition(",")[0].strip()
    at = "127.0.0.1" if host in ("", "0.0.0.0", "::") else host  # noqa: S104
    ports = ((settings.ldap.port, None), (settings.ldap.tls_port, _any_certificate()))
    return [await _asked(at, port, tls) for port, tls in ports if port is not None]


async def _asked(host: str, port: int, tls: ssl.SSLContext | None) -> Finding:
    try:
        async with asyncio.timeout(_SECONDS):
            reader, writer = await asyncio.open_connection(host, port, ssl=tls)
            writer.write(_ROOT_DSE)
            answer = await reader.read(64)
            writer.close()
    except (OSError, TimeoutError):
        return Finding(_SUBJECT, "failed", f"Nothing answers on port {port}.")
    if _ENTRY not in answer[2:8]:
        return Finding(_SUBJECT, "failed", f"Port {port} does not answer as a directory.")
    return Finding(_SUBJECT, "good", f"Port {port} answers.")


def _any_certificate() -> ssl.SSLContext:
    """Its names and its end are looked at elsewhere."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
