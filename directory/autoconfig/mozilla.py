"""Mozilla's autoconfig (draft-ietf-mailmaint-autoconfig), which Thunderbird, Evolution, KMail and others read.

`password-cleartext` is PLAIN over TLS. Programs of today skip `SASL SCRAM-…`, which the draft has for those that know
it (Thunderbird 153 knows no SCRAM for mail). `OAuth2` is not offered: Thunderbird takes tokens of the providers of its
own list alone. The format has an address book for CardDAV alone: LDAP is found by SRV records and Apple's profile.

Invariants: the first server of each kind is the one with TLS from the first byte; no port that is closed.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from directory.autoconfig.services import Services

_xml: Any = import_module("lxml.etree")  # it has no type stubs
_SCRAM = ("SASL SCRAM-SHA-256-PLUS", "SASL SCRAM-SHA-256")
_HELP = {"fr": ("/aide", "Régler un logiciel de messagerie"), "en": ("/help", "Set up a mail program")}


def client_config(services: Services, domain: str) -> bytes:
    """For every address of this domain."""
    root = _xml.Element("clientConfig", version="1.1")
    provider = _xml.SubElement(root, "emailProvider", id=domain)
    _text(provider, "domain", domain)
    _text(provider, "displayName", services.operator)
    _text(provider, "displayShortName", services.operator[:30])
    for port, security in _both(services.imaps, services.imap):
        _server(provider, "incomingServer", "imap", services, port, security)
    for port, security in _both(services.submissions, services.submission):
        _server(provider, "outgoingServer", "smtp", services, port, security)
    if services.page:
        for language, (path, words) in _HELP.items():
            page = _xml.SubElement(provider, "documentation", url=services.page + path)
            _text(page, "descr", words).set("lang", language)
    return _xml.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def _both(implicit: int | None, starttls: int | None) -> Iterator[tuple[int, str]]:
    if implicit:
        yield implicit, "SSL"
    if starttls:
        yield starttls, "STARTTLS"


def _server(provider: Any, element: str, kind: str, services: Services, port: int, security: str) -> None:
    server = _xml.SubElement(provider, element, type=kind)
    _text(server, "hostname", services.host)
    _text(server, "port", str(port))
    _text(server, "socketType", security)
    for mechanism in _SCRAM if services.bound else _SCRAM[1:]:
        _text(server, "authentication", mechanism)
    _text(server, "authentication", "password-cleartext")
    _text(server, "username", "%EMAILADDRESS%")


def _text(parent: Any, name: str, text: str) -> Any:
    made = _xml.SubElement(parent, name)
    made.text = text
    return made
