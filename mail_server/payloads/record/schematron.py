"""Schematrons (ISO/IEC 19757-3) of XSLT 2, run: made into a stylesheet here, carried out by Saxon.

The ANS publishes its rules so; lxml knows XSLT 1 alone. A stylesheet that was already made of a schematron
(`.xsl`, `.xslt`) is run as it is. Saxon (saxonche, the optional extra "schematron") takes 100 MB and holds its thread:
this belongs in a command or a process of its own, never in the node's loop.

What is made: a mode for each pattern, a template for each rule, the first that matches a node alone holding (§5.4.12);
`let`, `ns`, `include`, `extends`, abstract rules and abstract patterns with their parameters, `value-of` and `name` in
messages; keys and functions of XSLT pass through. Phases and diagnostics are left out: every pattern is looked at.

Invariants: rules are the operator's own files, the document is a stranger's: it is refused with a DOCTYPE before Saxon
sees it; whatever fails is `RulesUnusable`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

_etree: Any = import_module("lxml.etree")  # it has no type stubs

SCH: Final = "http://purl.oclc.org/dsdl/schematron"
SVRL: Final = "http://purl.oclc.org/dsdl/svrl"
XSL: Final = "http://www.w3.org/1999/XSL/Transform"
_INCLUDES: Final = 20  # files inside files


class RulesUnusable(Exception):
    """The operator's rules, or Saxon, cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Failed:
    """An assertion that does not hold, or a report that does."""

    message: str = field(repr=False)
    place: str
    role: str = ""


def run(rules: Path, document: bytes) -> list[Failed]:
    """What the rules find in a document that was parsed safely before."""
    try:
        saxon: Any = import_module("saxonche")
    except ImportError:
        raise RulesUnusable('schematrons need Saxon: install the extra "schematron"') from None
    stylesheet = _stylesheet(rules)
    with saxon.PySaxonProcessor(license=False) as processor:
        try:
            compiler = processor.new_xslt30_processor()
            compiler.set_cwd(str(rules.absolute().parent))
            made = compiler.compile_stylesheet(stylesheet_text=stylesheet)
            node = processor.parse_xml(xml_text=document.decode("utf-8"))
            told = made.transform_to_string(xdm_node=node)
        except saxon.PySaxonApiError as failure:
            first = str(failure).strip().splitlines()
            raise RulesUnusable(
                f"the schematron cannot be run: {first[0] if first else 'no reason told'}"
            ) from None
    return list(_findings(told or ""))


def _findings(svrl: str) -> Iterator[Failed]:
    root = _etree.fromstring(svrl.encode("utf-8"))
    for one in root.iter(f"{{{SVRL}}}failed-assert", f"{{{SVRL}}}successful-report"):
        words = " ".join("".join(one.itertext()).split())
        yield Failed(words, one.get("location") or "", one.get("role") or one.get("flag") or "")


def _stylesheet(rules: Path) -> str:
    try:
        root = _etree.parse(str(rules.absolute())).getroot()
        if root.tag != f"{{{SCH}}}schema":
            if not str(root.tag).startswith(f"{{{XSL}}}"):
                raise RulesUnusable(f"{rules.name} is neither a schematron nor a stylesheet")
            root.set("{http://www.w3.org/XML/1998/namespace}base", rules.absolute().as_uri())
            return _etree.tostring(root, encoding="unicode")
        _include(root, rules.absolute().parent, 0)
    except (OSError, _etree.XMLSyntaxError) as failure:
        raise RulesUnusable(f"{rules.name} cannot be read: {failure}") from None
    return _Compiler(root, rules.absolute().as_uri()).stylesheet()


def _include(element: Any, folder: Path, depth: int) -> None:
    """`include` is the element it points at, wherever it stands."""
    if depth > _INCLUDES:
        raise RulesUnusable("schematrons include one another without end")
    for one in list(element):
        if one.tag == f"{{{SCH}}}include":
            path = (folder / one.get("href", "")).resolve()
            held = _etree.parse(str(path)).getroot()
            _include(held, path.parent, depth + 1)
            element.replace(one, held)
            if held.tag == f"{{{SCH}}}schema":  # its patterns, in the place of the whole
                at = element.index(held)
                element.remove(held)
                for offset, part in enumerate(list(held)):
                    element.insert(at + offset, part)
        elif isinstance(one.tag, str):
            _include(one, folder, depth)


class _Compiler:
    def __init__(self, schema: Any, base: str) -> None:
        self._schema = schema
        self._base = base
        self._rules = {
            one.get("id"): one for one in schema.iter(f"{{{SCH}}}rule") if one.get("abstract") == "true"
        }
        self._patterns = {
            one.get("id"): one for one in schema.iter(f"{{{SCH}}}pattern") if one.get("abstract") == "true"
        }

    def stylesheet(self) -> str:
        spaces = {one.get("prefix"): one.get("uri") for one in self._schema.iter(f"{{{SCH}}}ns")}
        declared = "".join(f" xmlns:{name}={quoteattr(uri)}" for name, uri in spaces.items() if name != "xsl")
        patterns = [one for one in self._schema.iter(f"{{{SCH}}}pattern") if one.get("abstract") != "true"]
        lets = "".join(self._let(one) for one in self._schema if one.tag == f"{{{SCH}}}let")
        through = "".join(
            _etree.tostring(one, encoding="unicode", with_tail=False)
            for one in self._schema
            if isinstance(one.tag, str) and one.tag.startswith(f"{{{XSL}}}")
        )
        calls = "".join(f'<xsl:apply-templates select="/" mode="P{at}"/>' for at in range(len(patterns)))
        return (
            f'<xsl:stylesheet version="3.0" xmlns:xsl="{XSL}" xmlns:svrl="{SVRL}"{declared}'
            f" xml:base={quoteattr(self._base)}>{lets}{through}"
            f'<xsl:template match="/"><svrl:schematron-output>{calls}</svrl:schematron-output></xsl:template>'
            f"{''.join(self._pattern(one, at) for at, one in enumerate(patterns))}</xsl:stylesheet>"
        )

    def _pattern(self, pattern: Any, at: int) -> str:
        params: dict[str, str] = {}
        if pattern.get("is-a"):
            params = {one.get("name"): one.get("value") for one in pattern if one.tag == f"{{{SCH}}}param"}
            pattern = self._patterns.get(pattern.get("is-a"))
            if pattern is None:
                raise RulesUnusable("a pattern is made of one that is not there")
        rules = [one for one in pattern if one.tag == f"{{{SCH}}}rule" and one.get("abstract") != "true"]
        lets = "".join(self._let(one, params) for one in pattern if one.tag == f"{{{SCH}}}let")
        made = ""
        for before, rule in enumerate(rules):
            match = _attribute(rule.get("context"), params)
            opened = f'<xsl:template match={match} mode="P{at}" priority="{1000 + len(rules) - before}">'
            made += f"{opened}{lets}{self._checks(rule, params)}{_DEEPER.format(at)}</xsl:template>"
        return f'{made}<xsl:template match="/|node()|@*" mode="P{at}" priority="-9">{_DEEPER.format(at)}</xsl:template>'

    def _checks(self, rule: Any, params: dict[str, str], depth: int = 0) -> str:
        made: list[str] = []
        for one in rule:
            if one.tag == f"{{{SCH}}}let":
                made.append(self._let(one, params))
            elif one.tag == f"{{{SCH}}}extends" and depth < _INCLUDES:
                parent = self._rules.get(one.get("rule"))
                if parent is None:
                    raise RulesUnusable("a rule extends one that is not there")
                made.append(self._checks(parent, params, depth + 1))
            elif one.tag in (f"{{{SCH}}}assert", f"{{{SCH}}}report"):
                made.append(self._check(one, params))
        return "".join(made)

    def _check(self, one: Any, params: dict[str, str]) -> str:
        asserted = one.tag == f"{{{SCH}}}assert"
        test = _replaced(one.get("test", ""), params)
        name = "failed-assert" if asserted else "successful-report"
        role = one.get("role") or one.get("flag") or ""
        return (
            f"<xsl:if test={quoteattr(f'not({test})' if asserted else test)}>"
            f'<svrl:{name} location="{{path()}}" role={quoteattr(role.replace("{", "").replace("}", ""))}>'
            f"<svrl:text>{self._words(one, params)}</svrl:text></svrl:{name}></xsl:if>"
        )

    def _words(self, one: Any, params: dict[str, str]) -> str:
        told = _text(one.text, params)
        for part in one:
            if part.tag == f"{{{SCH}}}value-of":
                told += f"<xsl:value-of select={_attribute(part.get('select'), params)}/>"
            elif part.tag == f"{{{SCH}}}name":
                told += f"<xsl:value-of select={_attribute(part.get('path') or 'name(.)', params)}/>"
            elif isinstance(part.tag, str):
                told += self._words(part, params)
            told += _text(part.tail, params)
        return told

    def _let(self, one: Any, params: dict[str, str] | None = None) -> str:
        return f"<xsl:variable name={quoteattr(one.get('name'))} select={_attribute(one.get('value'), params or {})}/>"


_DEEPER: Final = '<xsl:apply-templates select="@*|node()" mode="P{}"/>'


def _text(words: str | None, params: dict[str, str]) -> str:
    return f"<xsl:text>{escape(_replaced(words, params))}</xsl:text>" if words else ""


def _attribute(value: str | None, params: dict[str, str]) -> str:
    return quoteattr(_replaced(value or "", params))


def _replaced(value: str, params: dict[str, str]) -> str:
    """Parameters of an abstract pattern stand as `$name` (§5.4.9); the longest name first."""
    for name in sorted(params, key=len, reverse=True):
        value = value.replace(f"${name}", params[name])
    return value
