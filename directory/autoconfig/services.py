"""What mail programs are told of this node: which services, at which ports, for which domains.

Invariants: pure values; a port that is closed is None here and in no answer; what is told of a domain is the same for
every address of it, so that no answer tells whether an address exists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_HOST = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ADDRESS = re.compile(rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~.-]{{1,64}}@({_HOST})", re.IGNORECASE)
_LONGEST = 254  # RFC 5321 §4.5.3.1.3


@dataclass(frozen=True, slots=True)
class Services:
    """One node, as its configuration has it. Ports are those that people reach."""

    operator: str
    host: str  # of mail and of the directory
    domains: tuple[str, ...]  # of professionals and organisations; patients have the page
    imaps: int | None = None
    imap: int | None = None  # with STARTTLS
    submissions: int | None = None
    submission: int | None = None  # with STARTTLS
    ldaps: int | None = None
    ldap: int | None = None  # with StartTLS
    ldap_base: str = ""
    page: str = ""  # "https://host[:port]", "" where no page is served
    page_host: str = ""
    page_port: int | None = None  # of HTTPS
    bound: bool = True  # whether SCRAM can be bound to the connection (it is, where we end TLS ourselves)

    def serves(self, domain: str) -> bool:
        return domain.lower() in self.domains

    @property
    def mail(self) -> bool:
        """Whether a mail program can read and send here at all."""
        return bool((self.imaps or self.imap) and (self.submissions or self.submission))


def domain_of(address: str) -> str:
    """Of an address as somebody typed it, in lower case; "" where it is none."""
    address = address.strip()
    found = _ADDRESS.fullmatch(address) if len(address) <= _LONGEST else None
    return found[1].lower() if found else ""
