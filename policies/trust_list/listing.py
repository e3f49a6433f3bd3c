"""The trust list as a document: which operator certificate may speak for which domain (ANS schema).

Invariants: an ill-formed or empty list is refused as a whole; a row that cannot be compared grants nothing; domains
are in lower case, certificate names are compared by `names.key`; no entity, DOCTYPE or network is ever followed.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from policies.trust_list import names

NAMESPACE = "https://listeblanche.mssante.fr/schema"
LARGEST = 32 * 1024 * 1024  # the national list is some 4 MB

_xml: Any = import_module("lxml.etree")  # it has no type stubs
_log = logging.getLogger("vaguemestre.policies")
_DOMAIN = re.compile(
    r"^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+$"
)
_REQUIRED = ("Nom", "DNCertificatOperateur")
_OPTIONAL = ("Description", "ResponsableContact", "SupportContact", "DateMAJ")


class _Element(Protocol):
    """What is read of an XML element."""

    tag: str
    text: str | None

    def findall(self, path: str) -> list[_Element]: ...
    def findtext(self, path: str) -> str | None: ...
    def getroottree(self) -> Any: ...
    def __iter__(self) -> Iterator[_Element]: ...
    def __len__(self) -> int: ...


class ListRefused(Exception):
    """A list that must not be used. `reason` is a stable slug, `sentence` is for the operator's staff."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Row:
    """One `Domaine` of the list."""

    domain: str
    dn: str
    description: str = ""
    responsible: str = ""
    support: str = ""
    updated: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that was read whole."""

    generated: datetime
    rows: tuple[Row, ...] = field(repr=False)
    unusable: int = 0  # rows whose domain or certificate name cannot be compared: they grant nothing


def read(path: Path) -> Listing:
    """Read and check one file. Raises ListRefused."""
    return parse(contents(path))


def contents(path: Path) -> bytes:
    """What the file holds, as far as a list may. Raises ListRefused."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        raise ListRefused("unreadable", "The file cannot be read.") from error


def parse(data: bytes) -> Listing:
    """Parse a list. Raises ListRefused."""
    root = _root(data)
    generated = _date(_one(root, "DateDeGeneration").text)
    rows: list[Row] = []
    unusable = 0
    for element in _one(root, "ListeDomaines"):
        if element.tag != _tag("Domaine"):
            raise ListRefused("structure", "ListeDomaines holds something else than Domaine.")
        row = _row(element)
        try:
            names.key(row.dn)
        except names.NameRefused:
            unusable += 1
            continue
        if not _DOMAIN.match(row.domain):
            unusable += 1
            continue
        rows.append(row)
    if not rows:
        raise ListRefused("empty", "The list grants nothing to anybody.")
    if unusable:
        _log.warning("trust list: %d row(s) cannot be used and grant nothing", unusable)
    return Listing(generated, tuple(rows), unusable)


def write(path: Path, rows: Iterable[Row], generated: datetime | None = None) -> None:
    """Write a list in the ANS schema (test operators, `init`, `demo`), atomically."""
    root = _xml.Element(_tag("ListeBlancheMSSante"), nsmap={None: NAMESPACE})
    stamp = (generated or datetime.now(UTC)).astimezone(UTC)
    _xml.SubElement(root, _tag("DateDeGeneration")).text = stamp.isoformat().replace("+00:00", "Z")
    domains = _xml.SubElement(root, _tag("ListeDomaines"))
    for row in rows:
        element = _xml.SubElement(domains, _tag("Domaine"))
        for name, text in (
            ("Nom", row.domain),
            ("Description", row.description),
            ("DNCertificatOperateur", row.dn),
            ("ResponsableContact", row.responsible),
            ("SupportContact", row.support),
            ("DateMAJ", row.updated or stamp.date().isoformat()),
        ):
            _xml.SubElement(element, _tag(name)).text = text
    data = _xml.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _root(data: bytes) -> _Element:
    if len(data) > LARGEST:
        raise ListRefused("too-large", "The file is larger than any trust list.")
    parser = _xml.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        recover=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = _xml.fromstring(data, parser)
    except (_xml.XMLSyntaxError, ValueError) as error:
        raise ListRefused("ill-formed", "The file is not well-formed XML.") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise ListRefused("doctype", "The file declares a DOCTYPE.")
    if root.tag != _tag("ListeBlancheMSSante"):
        raise ListRefused("structure", "The file is not a ListeBlancheMSSante.")
    return root


def _one(parent: _Element, name: str) -> _Element:
    found = parent.findall(_tag(name))
    if len(found) != 1:
        raise ListRefused("structure", f"{name} must stand once.")
    return found[0]


def _row(element: _Element) -> Row:
    """One row. Elements a later schema may add are passed over; those that grant must stand once."""
    texts: dict[str, str] = {}
    for name in _REQUIRED:
        found = _one(element, name)
        texts[name] = (found.text or "").strip()
        if not texts[name] or len(found):  # an element inside would cut the text in two
            raise ListRefused("structure", f"{name} must hold a text, and nothing else, in each row.")
    for name in _OPTIONAL:
        texts[name] = (element.findtext(_tag(name)) or "").strip()
    return Row(
        domain=texts["Nom"].lower(),
        dn=texts["DNCertificatOperateur"],
        description=texts["Description"],
        responsible=texts["ResponsableContact"],
        support=texts["SupportContact"],
        updated=texts["DateMAJ"],
    )


def _date(text: str | None) -> datetime:
    try:
        stamp = datetime.fromisoformat((text or "").strip())
    except ValueError as error:
        raise ListRefused("date", "DateDeGeneration is not a date.") from error
    return stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"
