"""The zone's lines by which programs find a node."""

from __future__ import annotations

from dataclasses import replace

import dns.rdatatype
import dns.zone
import pytest

from directory.autoconfig.records import records, zone
from directory.autoconfig.services import Services

DOMAIN = "cabinet.mss.example"
OPEN = Services(
    operator="Opérateur d'essai",
    host="mail.mss.example",
    domains=(DOMAIN,),
    imaps=993,
    imap=143,
    submissions=465,
    submission=587,
    ldaps=636,
    ldap=389,
    page="https://page.mss.example",
    page_host="page.mss.example",
    page_port=443,
)


def served(services: Services) -> dict[str, tuple[int, int, str]]:
    """Each SRV line as a name server reads it: priority, port, target."""
    text = f"@ IN SOA ns hostmaster 1 3600 600 86400 60\n@ IN NS ns.{DOMAIN}.\n" + zone(services, DOMAIN)
    parsed = dns.zone.from_text(text, origin=f"{DOMAIN}.", relativize=False)
    found: dict[str, tuple[int, int, str]] = {}
    for name, _, data in parsed.iterate_rdatas(dns.rdatatype.SRV):
        found[str(name).removesuffix(f"._tcp.{DOMAIN}.")] = (data.priority, data.port, str(data.target))  # type: ignore[attr-defined]
    return found


def names(services: Services) -> dict[str, str]:
    return {one.name: one.target for one in records(services, DOMAIN) if one.kind == "CNAME"}


def test_a_name_server_reads_every_open_service() -> None:
    assert served(OPEN) == {
        "_imaps": (0, 993, "mail.mss.example."),
        "_imap": (10, 143, "mail.mss.example."),
        "_pop3s": (0, 0, "."),
        "_pop3": (0, 0, "."),
        "_submissions": (0, 465, "mail.mss.example."),
        "_submission": (10, 587, "mail.mss.example."),
        "_jmap": (0, 443, "page.mss.example."),
        "_ldaps": (0, 636, "mail.mss.example."),
        "_ldap": (10, 389, "mail.mss.example."),
        "_openpgpkey": (0, 443, "page.mss.example."),
        "_autodiscover": (0, 443, "page.mss.example."),
    }


@pytest.mark.parametrize("service", ["imaps", "imap", "submissions", "submission", "ldaps", "ldap"])
def test_a_closed_service_is_said_to_be_closed(service: str) -> None:
    assert served(replace(OPEN, **{service: None}))[f"_{service}"] == (0, 0, ".")


def test_programs_that_ask_by_name_are_sent_to_the_page_s_host() -> None:
    assert names(OPEN) == {
        f"{label}.{DOMAIN}.": "page.mss.example." for label in ("autoconfig", "autodiscover", "openpgpkey")
    }
    assert f"must also name: autoconfig.{DOMAIN}" in zone(OPEN, DOMAIN)


def test_a_name_is_not_given_where_its_port_is_not_answered() -> None:
    """`autoconfig.<domain>` is asked at 443 alone: a name that leads to a closed port helps nobody."""
    elsewhere = replace(OPEN, page_port=8443)
    assert names(elsewhere) == {}
    assert served(elsewhere)["_autodiscover"] == (0, 8443, "page.mss.example.")
    assert names(replace(OPEN, page_port=None)) == {}
