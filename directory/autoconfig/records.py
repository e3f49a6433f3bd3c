"""The lines of a domain's zone by which programs find this node: SRV (RFC 2782, 6186, 8314, 8620) and names.

Invariants: a service that is closed is said to be (target "."; RFC 6186 §3.4, RFC 2782), never left to be guessed; the
line with TLS from the first byte goes before the one with STARTTLS (RFC 8314 §5.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from directory.autoconfig.services import Services

_TTL = 3600
_HTTPS = 443


@dataclass(frozen=True, slots=True)
class Record:
    """One line. `port` 0 and `target` "." say that the service is not there."""

    name: str
    kind: str  # SRV, CNAME
    target: str
    port: int = 0
    priority: int = 0
    why: str = ""

    @property
    def line(self) -> str:
        numbers = f"{self.priority} {1 if self.port else 0} {self.port} " if self.kind == "SRV" else ""
        return f"{self.name:<44} {_TTL} IN {self.kind:<5} {numbers}{self.target}"


def records(services: Services, domain: str) -> tuple[Record, ...]:
    return (*_services(services, domain), *_names(services, domain))


def _services(services: Services, domain: str) -> Iterator[Record]:
    host = f"{services.host}."
    page = f"{services.page_host}."
    for label, port, target, priority, why in (
        ("_imaps", services.imaps, host, 0, "RFC 8314"),
        ("_imap", services.imap, host, 10, "RFC 6186, with STARTTLS"),
        ("_pop3s", None, host, 0, "there is no POP here"),
        ("_pop3", None, host, 0, "there is no POP here"),
        ("_submissions", services.submissions, host, 0, "RFC 8314"),
        ("_submission", services.submission, host, 10, "RFC 6186, with STARTTLS"),
        ("_jmap", services.page_port, page, 0, "RFC 8620"),
        ("_ldaps", services.ldaps, host, 0, "LDAP over TLS"),
        ("_ldap", services.ldap, host, 10, "RFC 2782, with StartTLS"),
        ("_openpgpkey", services.page_port, page, 0, "certificates (WKD), for gpg before 2.3"),
        ("_autodiscover", services.page_port, page, 0, "Outlook"),
    ):
        name = f"{label}._tcp.{domain}."
        yield Record(name, "SRV", target, port, priority, why) if port else Record(name, "SRV", ".", why=why)


def _names(services: Services, domain: str) -> Iterator[Record]:
    """Names that programs ask over HTTPS at its own port; the certificate must carry them."""
    if services.page_port != _HTTPS:
        return
    for label, why in (
        ("autoconfig", "Thunderbird and others"),
        ("autodiscover", "Outlook"),
        ("openpgpkey", "certificates (WKD, advanced)"),
    ):
        if f"{label}.{domain}" != services.page_host:
            yield Record(f"{label}.{domain}.", "CNAME", f"{services.page_host}.", why=why)


def zone(services: Services, domain: str) -> str:
    """As a zone file has them, each kind under what it is for."""
    lines = [f"; {services.operator}: how mail programs find the mailboxes of {domain}"]
    found = records(services, domain)
    lines += [f"{record.line}    ; {record.why}" for record in found]
    names = [record.name.rstrip(".") for record in found if record.kind == "CNAME"]
    if names:
        lines.append(f"; the certificate of {services.page_host} must also name: {', '.join(names)}")
    else:
        lines.append(
            "; autoconfig, autodiscover and openpgpkey are asked at port 443 alone: HTTPS is not there here"
        )
    return "\n".join(lines) + "\n"
