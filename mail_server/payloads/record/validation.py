"""Documents held to rules: our own readers always; the official XSD and schematron where the operator points to them;
FHIR documents to the R4B models of fhir.resources.

Slow and heavy (schemas of megabytes, Saxon, a second of imports): for a command or a process of its own, never for
the node's loop. Findings quote the document: they go to who asked, never to a log.

Invariants: a document that our readers refuse goes to nothing else; what is found is told, not raised; rules that
cannot be used are `RulesUnusable`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Literal

from mail_server.payloads.record import fhir, xml
from mail_server.payloads.record.cda import reading
from mail_server.payloads.record.refusal import RecordRefused
from mail_server.payloads.record.schematron import RulesUnusable, run

_etree: Any = import_module("lxml.etree")  # it has no type stubs

MANY: Final = 200  # findings of one kind that are told
_DECLARATION: Final = re.compile(r"\s*<\?xml[^>]*\?>")  # the text was decoded: what it says no longer holds
_WARNINGS: Final = frozenset({"warning", "warn", "info", "information", "hint"})

Source = Literal["reading", "xsd", "schematron", "fhir"]


@dataclass(frozen=True, slots=True)
class Finding:
    source: Source
    level: Literal["error", "warning"]
    message: str = field(repr=False)
    place: str = ""  # a line, an XPath, a path in the JSON


@dataclass(frozen=True, slots=True)
class Verdict:
    form: Literal["cda", "fhir"]
    findings: tuple[Finding, ...] = ()
    checked: tuple[Source, ...] = ()

    @property
    def valid(self) -> bool:
        return not any(one.level == "error" for one in self.findings)


class Rules:
    """What documents are held to. The XSD is compiled once; both may be left out."""

    def __init__(self, xsd: Path | None = None, schematron: Path | None = None) -> None:
        self._schema = None if xsd is None else _schema(xsd)
        self._schematron = schematron

    def check(self, data: bytes) -> Verdict:
        is_json = data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
        return _fhir(data) if is_json else self._cda(data)

    def _cda(self, data: bytes) -> Verdict:
        refused = _refused(reading.read, data)
        if refused is not None:
            return Verdict("cda", (refused,), ("reading",))
        checked: list[Source] = ["reading"]
        findings: list[Finding] = []
        whole = _DECLARATION.sub("", xml.decoded(data), count=1).encode()
        if self._schema is not None:
            checked.append("xsd")
            findings += _against(self._schema, whole)
        if self._schematron is not None:
            checked.append("schematron")
            findings += [
                Finding("schematron", _level(one.role), one.message, one.place)
                for one in run(self._schematron, whole)[:MANY]
            ]
        return Verdict("cda", tuple(findings), tuple(checked))


def _level(role: str) -> Literal["error", "warning"]:
    return "warning" if role.lower() in _WARNINGS else "error"


def _refused(read: Callable[[bytes], object], data: bytes) -> Finding | None:
    try:
        read(data)
    except RecordRefused as refused:
        return Finding("reading", "error", f"{refused.sentence} (ANS {int(refused.code)})", refused.slug)
    return None


def _schema(xsd: Path) -> Any:
    try:
        return _etree.XMLSchema(_etree.parse(str(xsd)))
    except (OSError, _etree.LxmlError) as failure:
        raise RulesUnusable(f"{xsd.name} cannot be used: {failure}") from None


def _against(schema: Any, whole: bytes) -> list[Finding]:
    """`xml.parse` has taken these octets: no DOCTYPE, no entity, no depth."""
    parser = _etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
    schema.validate(_etree.fromstring(whole, parser))
    return [
        Finding("xsd", "error", str(one.message), f"line {one.line}") for one in list(schema.error_log)[:MANY]
    ]


def _fhir(data: bytes) -> Verdict:
    refused = _refused(fhir.read, data)
    if refused is not None:
        return Verdict("fhir", (refused,), ("reading",))
    from fhir.resources.R4B.bundle import Bundle  # pyright: ignore[reportMissingTypeStubs]  # a second to load
    from pydantic import ValidationError

    try:
        Bundle.model_validate(json.loads(data.decode("utf-8-sig")))
    except ValidationError as failure:
        found = [
            Finding("fhir", "error", str(one["msg"]), "/".join(str(part) for part in one["loc"]))
            for one in failure.errors(include_url=False, include_input=False, include_context=False)[:MANY]
        ]
        return Verdict("fhir", tuple(found), ("reading", "fhir"))
    return Verdict("fhir", (), ("reading", "fhir"))
