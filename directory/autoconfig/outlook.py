"""Outlook's autodiscover: the XML that it posts (POX, MS-OXDSCLI) and what it is answered; the JSON of newer versions.

Classic Outlook posts its request to `autodiscover.<domain>` without logging in and, for what is not Exchange, takes
IMAP and SMTP of the answer. The new Outlook asks Microsoft's own service, and its JSON here alone for Exchange's
protocols: it is pointed to the XML for the one that mail has (AutodiscoverV1), and told that there are no others.

Invariants: a request with a DOCTYPE, an entity, or beyond 16 KiB is none; no port that is closed; the answer is the
same whether or not the address exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from directory.autoconfig.services import Services

_xml: Any = import_module("lxml.etree")  # it has no type stubs
LARGEST = 16 * 1024
_RESPONSE = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
_OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
_EXCHANGE_ONLY = "mobilesync"  # what a telephone asks for ActiveSync


class RequestRefused(Exception):
    """Not what Outlook posts."""


@dataclass(frozen=True, slots=True)
class Asked:
    address: str
    schema: str = ""  # of the answer it takes; "" where it does not say


def asked(body: bytes) -> Asked:
    """Raises RequestRefused."""
    if len(body) > LARGEST:
        raise RequestRefused
    parser = _xml.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = _xml.fromstring(body, parser)
    except (_xml.XMLSyntaxError, ValueError):
        raise RequestRefused from None
    if root.getroottree().docinfo.doctype or root.getroottree().docinfo.internalDTD is not None:
        raise RequestRefused
    address, schema = "", ""
    for element in root.iter():
        if not isinstance(element.tag, str):
            continue
        # Programs disagree on the namespace (outlook, mobilesync): the names are the same.
        name = element.tag.rpartition("}")[2]
        if name == "EMailAddress" and not address:
            address = (element.text or "").strip()
        elif name == "AcceptableResponseSchema" and not schema:
            schema = (element.text or "").strip()
    if not address:
        raise RequestRefused
    return Asked(address, schema)


def answer(services: Services, wanted: Asked) -> bytes | None:
    """None where it asks for what is not here (ActiveSync)."""
    if _EXCHANGE_ONLY in wanted.schema.lower():
        return None
    root = _xml.Element(f"{{{_RESPONSE}}}Autodiscover", nsmap={None: _RESPONSE})
    response = _xml.SubElement(root, f"{{{_OUTLOOK}}}Response", nsmap={None: _OUTLOOK})
    account = _element(response, "Account")
    _element(account, "AccountType", "email")
    _element(account, "Action", "settings")
    _protocol(account, "IMAP", services, wanted.address, services.imaps, services.imap)
    _protocol(account, "SMTP", services, wanted.address, services.submissions, services.submission)
    return _xml.tostring(root, xml_declaration=True, encoding="utf-8", pretty_print=True)


def refused(problem: str) -> bytes:
    """What a request that cannot be answered gets (MS-OXDSCLI §2.2.4.1.1.2: 600, invalid request)."""
    root = _xml.Element(f"{{{_RESPONSE}}}Autodiscover", nsmap={None: _RESPONSE})
    response = _xml.SubElement(root, f"{{{_RESPONSE}}}Response")
    error = _xml.SubElement(response, f"{{{_RESPONSE}}}Error")
    for name, text in (("ErrorCode", "600"), ("Message", problem)):
        _xml.SubElement(error, f"{{{_RESPONSE}}}{name}").text = text
    return _xml.tostring(root, xml_declaration=True, encoding="utf-8", pretty_print=True)


def _protocol(
    account: Any, kind: str, services: Services, address: str, implicit: int | None, starttls: int | None
) -> None:
    port = implicit or starttls
    if not port:
        return
    protocol = _element(account, "Protocol")
    _element(protocol, "Type", kind)
    _element(protocol, "Server", services.host)
    _element(protocol, "Port", str(port))
    _element(protocol, "DomainRequired", "off")
    _element(protocol, "LoginName", address)
    _element(protocol, "SPA", "off")
    # `Encryption` says which kind of TLS; older versions read `SSL` alone, which is implicit TLS to them.
    _element(protocol, "SSL", "on" if implicit else "off")
    _element(protocol, "Encryption", "SSL" if implicit else "TLS")
    _element(protocol, "AuthRequired", "on")
    if kind == "SMTP":
        _element(protocol, "UsePOPAuth", "off")
        _element(protocol, "SMTPLast", "off")


def _element(parent: Any, name: str, text: str | None = None) -> Any:
    made = _xml.SubElement(parent, f"{{{_OUTLOOK}}}{name}")
    made.text = text
    return made
