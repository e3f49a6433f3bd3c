"""The trust list: which operator certificate may speak for which domain (ANS schema, a local file).

Invariants: an ill-formed, empty, older or suddenly shrunken list is refused and the last good one stays in
force, with an alarm; a domain may have several certificates and a certificate several domains; domains are
compared in lower case, certificate names by `names.key`; no entity, DOCTYPE or network is ever followed.
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

from prometheus_client import Counter

from policies.trust_list import names

NAMESPACE = "https://listeblanche.mssante.fr/schema"
LARGEST = 32 * 1024 * 1024  # the national list is some 4 MB

_xml: Any = import_module("lxml.etree")  # it has no type stubs
_log = logging.getLogger("vaguemestre.policies")
_refused = Counter(
    "vaguemestre_trust_list_refused", "Trust lists that were refused; the last good one stayed"
)
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


@dataclass(frozen=True, slots=True)
class Reload:
    applied: bool
    reason: str = ""  # slug of the refusal
    sentence: str = ""
    rows: int = 0


class FileTrustList:
    """Implements `policies.interface.TrustList` over a local file. Without a file it knows nobody."""

    def __init__(self, path: Path | None, shrink: float = 0.5) -> None:
        self._path = path
        self._shrink = shrink
        self._listing: Listing | None = None
        self._domains: dict[str, frozenset[str]] = {}

    @classmethod
    def load(cls, path: Path | None, shrink: float = 0.5) -> FileTrustList:
        """Read the file now. A bad first list is an alarm, not a stop: nobody is listed until a good one."""
        trust_list = cls(path, shrink)
        trust_list.reload()
        return trust_list

    @property
    def listing(self) -> Listing | None:
        return self._listing

    def domains_of(self, dn: str) -> frozenset[str]:
        try:
            return self._domains.get(names.key(dn), frozenset())
        except names.NameRefused:
            return frozenset()

    def reload(self) -> Reload:
        """Read the file again; keep the last good list when the new one is refused."""
        if self._path is None:
            return Reload(applied=False, reason="no-list", sentence="No trust list is configured.")
        try:
            fresh = read(self._path)
            self._guard(fresh)
        except ListRefused as refused:
            _refused.inc()
            _log.error("trust list refused (%s): %s", refused.reason, refused.sentence)
            return Reload(applied=False, reason=refused.reason, sentence=refused.sentence)
        self._listing = fresh
        self._domains = _by_name(fresh.rows)
        return Reload(applied=True, rows=len(fresh.rows))

    def _guard(self, fresh: Listing) -> None:
        if (old := self._listing) is None:
            return
        if fresh.generated < old.generated:
            raise ListRefused("older", "The new list was generated before the one in force.")
        if len(fresh.rows) < self._shrink * len(old.rows):
            raise ListRefused(
                "shrunken", f"The new list has {len(fresh.rows)} rows, the old one {len(old.rows)}."
            )


def read(path: Path) -> Listing:
    """Read and check one file. Raises ListRefused."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise ListRefused("unreadable", "The file cannot be read.") from error
    return parse(data)


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


def _by_name(rows: Iterable[Row]) -> dict[str, frozenset[str]]:
    domains: dict[str, set[str]] = {}
    for row in rows:
        domains.setdefault(names.key(row.dn), set()).add(row.domain)
    return {key: frozenset(found) for key, found in domains.items()}


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"
