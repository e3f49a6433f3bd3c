"""The trace line put before a message (RFC 5321 §4.4).

Invariants: it tells nothing of TLS; of a client of this node it tells neither host nor network (a
professional's home address is nobody's business); it names no recipient, so a blind copy stays blind.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.\-]{0,253}[A-Za-z0-9])?|\[[0-9A-Za-z.:]{2,60}\]")


def protocol_name(*, extended: bool, tls: bool, authenticated: bool, smtputf8: bool) -> str:
    """The `with` keyword (RFC 3848, RFC 6531 §4.3): `ESMTPSA`, `UTF8SMTPS`..."""
    suffix = ("S" if tls else "") + ("A" if authenticated else "")
    if smtputf8:
        return "UTF8SMTP" + suffix
    return "ESMTP" + suffix if extended else "SMTP"


def received(*, client: str, network: str, by: str, protocol: str, identifier: str, at: float) -> bytes:
    """The header line with its CRLF. `client` and `network` are "" for someone of this node."""
    if network:
        literal = f"[IPv6:{network}]" if ":" in network else f"[{network}]"
        source = f"{client} ({literal})" if _HOST.fullmatch(client) else literal
    else:
        # The clause may not be missing (§4.4); a name that can be nobody's stands in (RFC 2606 §2).
        source = "client.invalid"
    date = format_datetime(datetime.fromtimestamp(int(at), UTC))
    line = f"Received: from {source}\r\n\tby {by} with {protocol} id {identifier};\r\n\t{date}\r\n"
    return line.encode("ascii")
