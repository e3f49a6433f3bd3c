"""The page's reader of archives and XML, held to the server's: same verdict on each of the hostile corpus, same values
from each that is read (rows 47, 49, 51)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from mail_server.payloads.record import mss_fields, value_sets, xdm, xml
from mail_server.payloads.record.xml import Element
from tests.mail_server.payloads.record.hostile import Case, corpus

VECTORS = Path(__file__).parent / "vectors" / "xdm"
SUBJECTS = (
    "XDM/1.0/DDM+CR de biologie DURAND Jeanne 03/05/1948",
    "xdm/1.0/ddm + CR DURAND",
    "Re: Tr : XDM/1.0/DDM+CR DURAND",
    "[Annule et remplace] XDM/1.0/DDM+CR LEFÈVRE 31/12/2026",
    "XDM/1.0/DDM+[ANNULE  ET REMPLACE]CR",
    "[KO Intégration système !][902] XDM/1.0/DDM+CR",
    "[KO Integration systeme ! ][code] XDM/1.0/DDM+CR",
    "[Erreur d’intégration !][904] XDM/1.0/DDM+CR",
    "Re: Votre rendez-vous du 03/05/2027",
    "[902] bonjour",
    "Au sujet de XDM/1.0/DDM+CR",
    "  \u00a0XDM/1.0/DDM\t+\r\nCR  \u2028 X ",
    "XDM/1.0/DDM",
    "",
)
PAGE = Path(__file__).parents[2] / "webmail" / "ui" / "src" / "worker" / "record"


@pytest.fixture(scope="module")
def answers(
    programs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[Case, dict[str, Any]]]:
    """Every case with what the page made of it, in one run of Node."""
    node, folder = programs
    place = tmp_path_factory.mktemp("xdm")
    cases = list(corpus())
    cases += [Case(told, "subject", told.encode()) for told in SUBJECTS]
    lines: list[dict[str, Any]] = []
    with (place / "corpus.bin").open("wb") as out:
        for case in cases:
            fill = case.data[0] if len(case.data) > 1 << 24 and len(set(case.data[:99])) == 1 else None
            lines.append({"kind": case.kind, "at": out.tell(), "length": len(case.data), "fill": fill})
            if fill is None:
                out.write(case.data)
    (place / "index.json").write_text(json.dumps(lines))
    done = subprocess.run(
        [str(node), str(folder / "xdm_command.mjs"), str(place)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return list(zip(cases, json.loads(done.stdout), strict=True))


def test_the_page_gives_the_verdicts_of_the_table(answers: list[tuple[Case, dict[str, Any]]]) -> None:
    table = json.loads((VECTORS / "verdicts.json").read_text("utf-8"))["verdicts"]
    told = {one["name"]: (one["slug"], one["code"]) for one in table}
    files = [(case, made) for case, made in answers if case.kind != "subject"]
    assert {case.name: (made["slug"], made["code"]) for case, made in files} == told


def test_the_page_reads_the_values_that_the_server_reads(answers: list[tuple[Case, dict[str, Any]]]) -> None:
    read = [(case, made) for case, made in answers if not made["slug"]]
    assert len(read) > 60
    for case, made in read:
        assert made["read"] == _read(case), case.name


def test_no_verdict_keeps_the_page_waiting(answers: list[tuple[Case, dict[str, Any]]]) -> None:
    assert [case.name for case, made in answers if made["ms"] > 30_000] == []


def test_the_page_has_the_types_and_classes_of_the_server() -> None:
    assert (PAGE / "value_sets.json").read_text("utf-8") == value_sets.page_json()


def _read(case: Case) -> object:
    if case.kind == "subject":
        found = mss_fields.parsed(case.name)
        told = {one.name: getattr(found, one.name) for one in dataclasses.fields(found)}
        return {_name(name): value for name, value in told.items()} | {"shown": mss_fields.shown(case.name)}
    if case.kind == "xml":
        return _tree(xml.parse(case.data))
    archive = xdm.read(case.data)
    return {
        "submission": _camel(archive.submission),
        "entries": [_camel(one) for one in archive.entries],
        "documents": {uri: hashlib.sha256(data).hexdigest() for uri, data in archive.documents.items()},
        "beside": list(archive.beside),
    }


def _tree(element: Element) -> object:
    children = [one if isinstance(one, str) else _tree(one) for one in element.children]
    return [element.name, element.ns, element.attributes, children]


def _camel(value: object) -> object:
    """A value as the page writes it: names in camelCase."""
    if dataclasses.is_dataclass(value):
        return {_name(one.name): _camel(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_camel(one) for one in cast("tuple[object, ...]", value)]
    return value


def _name(name: str) -> str:
    first, *more = name.rstrip("_").split("_")
    return first + "".join(one.capitalize() for one in more)
