"""Schemathesis against the routes, described by their own CapabilityStatement: it finds nothing.

FHIR_EXAMPLES=1000 makes a long run of it, by hand.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from types import ModuleType
from urllib.parse import parse_qsl, urlsplit

import jsonschema_rs
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from directory.fhir.capability import capability_statement

FORM = "application/x-www-form-urlencoded"
EXAMPLES = int(os.environ.get("FHIR_EXAMPLES", "8"))


def _openapi() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fhir_openapi", Path(__file__).with_name("openapi.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


description = _openapi().described(capability_statement("https://annuaire.test"))
app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
app.add_api_route("/openapi.json", lambda: description)
schema = schemathesis.openapi.from_asgi("/openapi.json", app)


@pytest.fixture(scope="module")
def key(settled, tmp_path_factory, make_world_of_module):
    """Of a door that is asked: it may do everything."""
    folder = shutil.copytree(settled, tmp_path_factory.mktemp("schemathesis") / "node")
    world = make_world_of_module((folder / "listings.db", f"sqlite:///{folder / 'directory.db'}"))
    app.include_router(world.door.router)
    made = world.keys.add("all", ["read", "publish"], publisher="Autre", domains=["autre.mssante.fr"])
    return made.secret


def _nothing_is_wrong_with(case):
    """What was to be wrong with it is not on the wire: an empty list, or the key that it is given after all."""
    raw = case.operation.definition.raw
    query = urlsplit(case.as_curl_command().rpartition(" ")[2].strip("'")).query
    if case.method == "GET":
        told = {one["name"]: one["schema"] for one in raw.get("parameters", [])}
        sent = parse_qsl(query, keep_blank_values=True)
    elif case.method == "POST" and "requestBody" in raw and isinstance(case.body, dict) and not query:
        told = raw["requestBody"]["content"][FORM]["schema"]["properties"]
        sent = _fields(case.body) if case.media_type == FORM else [("", "")]
    else:
        return False
    return all(name in told and jsonschema_rs.is_valid(told[name], value) for name, value in sent)


def _fields(form):
    """As a client writes them: nothing for a value that is none, nor for a list or an object of none."""
    listed = {
        name: value if isinstance(value, list | tuple | dict) else [value] for name, value in form.items()
    }
    return [(name, str(one)) for name, values in listed.items() for one in values if one is not None]


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES < 100,
    suppress_health_check=list(HealthCheck),
)
def test_schemathesis_finds_nothing(case, key):
    # What a patch says may be well formed and still refused (422): that is told by our own tests.
    excluded = [positive_data_acceptance] if case.method == "PATCH" else []
    if _nothing_is_wrong_with(case):
        excluded.append(negative_data_rejection)
    case.call_and_validate(headers={"ESANTE-API-KEY": key}, excluded_checks=excluded)
