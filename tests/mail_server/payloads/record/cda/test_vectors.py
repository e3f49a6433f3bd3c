"""The corpus of documents: what Python reads of each is what was looked at and kept; the page is held to the same."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mail_server.accounts.ins import parse
from mail_server.payloads.record.cda import reading
from mail_server.payloads.record.pdf_copy import pdf_copy
from tests.effort import least_cpu, steps

VECTORS = Path(__file__).parents[4] / "webmail" / "vectors"
CDA = VECTORS / "cda"
EXPECTED: dict[str, Any] = json.loads((CDA / "expected.json").read_text())
READ = sorted(name for name, told in EXPECTED.items() if name.endswith(".xml") and "refused" not in told)


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    sys.path.insert(0, str(VECTORS))
    spec = importlib.util.spec_from_file_location("make_cda", VECTORS / "make_cda.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path.remove(str(VECTORS))
    return module


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_document_of_the_corpus_is_read_as_it_was_when_it_was_looked_at(
    name: str, maker: ModuleType
) -> None:
    assert json.loads(json.dumps(maker.verdict(name, (CDA / name).read_bytes()))) == EXPECTED[name]


def test_the_corpus_has_forty_documents_that_are_read_over_the_types_of_the_record() -> None:
    assert len(READ) >= 40
    types = {EXPECTED[name]["header"]["type"]["code"] for name in READ}
    wanted = "11490-0 18761-7 60591-5 11502-2 18748-4 57833-6 60593-1 87273-9 11369-6 34874-8 15507-7 60568-3"
    wanted += " 34794-8 89601-9 56446-8 18776-5 101881-1 29274-8 REMB PRESC-BIO EXPPAT_3 34112-3"
    assert set(wanted.split()) <= types


def test_invented_people_have_numbers_of_the_test_range_with_right_check_digits() -> None:
    for name in READ:
        for one in EXPECTED[name]["header"]["patientIds"]:
            if one["root"].startswith("1.2.250.1.213"):
                assert one["root"] == "1.2.250.1.213.1.4.10"
                assert parse(one["extension"]).number == one["extension"]


def test_a_document_of_the_corpus_is_small() -> None:
    assert max(one.stat().st_size for one in CDA.iterdir() if one.name != "expected.json") < 40_000


def test_each_document_that_is_read_has_its_pdf_copy() -> None:
    for name in READ:
        made = pdf_copy((CDA / name).read_bytes())
        assert made.startswith(b"%PDF-"), name


def test_no_document_of_the_corpus_takes_more_than_a_moment_to_read() -> None:
    for name in READ:
        data = (CDA / name).read_bytes()
        assert steps(lambda data=data: reading.read(data)) < 20 * len(data), name  # two milliseconds
        assert least_cpu(lambda data=data: reading.read(data), 1) < 1, name
