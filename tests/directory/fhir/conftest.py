"""The FHIR door over listings of an invented town, on both databases, asked by HTTP without a socket."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, make_url

from deploy.node.https import application
from deploy.node.migrations.run import engine_url, migrate_directory, migrate_listings
from directory.fhir.door import FhirDoor
from directory.fhir.keys import ApiKeys, NewKey
from directory.fhir.publishing import Publication
from directory.fhir.settings import FhirSettings
from directory.harvest import Allowance, Sweep
from directory.listings.database import ListingsDatabase

BASE = "https://annuaire.test"


def _module(name: str) -> ModuleType:
    full = f"vaguemestre_test_fhir_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        sys.modules[full] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[full]


@pytest.fixture(scope="session")
def town() -> ModuleType:
    return _module("town")


@pytest.fixture(scope="session")
def settled(tmp_path_factory: pytest.TempPathFactory, town: ModuleType) -> Path:
    """SQLite files of a town, copied by who changes them."""
    folder = tmp_path_factory.mktemp("town")
    migrate_listings(f"sqlite:///{folder / 'listings.db'}")
    migrate_directory(f"sqlite:///{folder / 'directory.db'}")
    database = ListingsDatabase(folder / "listings.db")
    database.write(town.settle)
    database.close()
    return folder


@pytest.fixture(scope="session")
def settled_postgresql(make_postgresql_database: Callable[..., str], town: ModuleType) -> str:
    url = make_postgresql_database()
    migrate_listings(url)
    migrate_directory(url)
    database = ListingsDatabase(url)
    database.write(town.settle)
    database.close()
    return make_url(url).database or ""


@dataclass(slots=True)
class Clock:
    now: int

    def __call__(self) -> int:
        return self.now


@dataclass(slots=True)
class World:
    database: ListingsDatabase
    keys: ApiKeys
    clock: Clock
    harvest: Allowance
    door: FhirDoor
    client: httpx.AsyncClient
    reader: NewKey
    sweeps: list[Sweep]
    told: list[Publication] = field(default_factory=list[Publication])

    async def get(self, path: str, key: str | None = None, **headers: str) -> httpx.Response:
        return await self.client.get(f"/fhir/v2/{path}", headers=self._headers(key, headers))

    async def found(self, path: str) -> list[dict[str, Any]]:
        """Matches of a search, all pages of it."""
        answer = await self.get(path)
        assert answer.status_code == 200, answer.text
        resources: list[dict[str, Any]] = []
        while True:
            bundle = answer.json()
            resources += [one["resource"] for one in bundle.get("entry", ())]
            links = {one["relation"]: one["url"] for one in bundle["link"]}
            if "next" not in links:
                return resources
            answer = await self.client.get(links["next"], headers=self._headers(None, {}))
            assert answer.status_code == 200, answer.text

    async def names(self, path: str) -> list[str]:
        """What tells the matches apart for a person who reads the test."""
        return [_name(one) for one in await self.found(path)]

    async def patch(
        self, path: str, operations: Sequence[dict[str, Any]], key: str, **headers: str
    ) -> httpx.Response:
        body = {"resourceType": "Parameters", "parameter": list(operations)}
        return await self.client.patch(
            f"/fhir/v2/{path}",
            content=json.dumps(body).encode(),
            headers=self._headers(key, {"Content-Type": "application/fhir+json", **headers}),
        )

    def _headers(self, key: str | None, headers: dict[str, str]) -> dict[str, str]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return {"ESANTE-API-KEY": self.reader.secret if key is None else key, **named}


def _name(resource: dict[str, Any]) -> str:
    match resource["resourceType"]:
        case "Practitioner":
            return resource["name"][0]["text"]
        case "PractitionerRole":
            organisation = resource.get("organization", {}).get("display", "-")
            return f"{resource['practitioner']['display']} @ {organisation}"
        case "OperationOutcome":
            return "OperationOutcome"
        case _:
            return resource["name"]


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path | str, str]:
    """Of the listings, and the address of the keys."""
    if request.param == "sqlite":
        folder = shutil.copytree(request.getfixturevalue("settled"), tmp_path / "node")
        return folder / "listings.db", f"sqlite:///{folder / 'directory.db'}"
    make: Callable[..., str] = request.getfixturevalue("make_postgresql_database")
    url = make(request.getfixturevalue("settled_postgresql"))
    return url, engine_url(url)


@pytest.fixture
def here(settled: Path, tmp_path: Path) -> tuple[Path | str, str]:
    folder = shutil.copytree(settled, tmp_path / "node")
    return folder / "listings.db", f"sqlite:///{folder / 'directory.db'}"


@pytest.fixture
def make_world(town: ModuleType) -> Iterator[Callable[..., World]]:
    yield from _makers(town)


@pytest.fixture(scope="module")
def make_world_of_module(town: ModuleType) -> Iterator[Callable[..., World]]:
    yield from _makers(town)


def _makers(town: ModuleType) -> Iterator[Callable[..., World]]:
    opened: list[World] = []

    def make(
        at: tuple[Path | str, str],
        *,
        shown_per_hour: int = 100_000,
        calls_per_second: int = 10_000,
        page: int = 50,
        longest_search: float = 60.0,
    ) -> World:
        clock = Clock(town.LATER)
        sweeps: list[Sweep] = []
        told: list[Publication] = []
        database = ListingsDatabase(at[0])
        keys = ApiKeys(create_engine(at[1]), clock)
        harvest = Allowance(10, shown_per_hour, clock=clock, noted=sweeps.append)
        door = FhirDoor(
            FhirSettings(calls_per_second=calls_per_second, page=page, longest_search=longest_search),
            database=database,
            keys=keys,
            harvest=harvest,
            clock=clock,
            told=told.append,
        )
        transport = httpx.ASGITransport(application([door.router]))
        client = httpx.AsyncClient(transport=transport, base_url=BASE)
        reader = keys.add("reader")
        opened.append(World(database, keys, clock, harvest, door, client, reader, sweeps, told))
        return opened[-1]

    yield make
    for world in opened:
        asyncio.run(world.door.stop())
        world.keys.close()
        world.database.close()


@pytest.fixture
async def world(place: tuple[Path | str, str], make_world: Callable[..., World]) -> AsyncIterator[World]:
    """On both databases."""
    made = make_world(place)
    yield made
    await made.client.aclose()


@pytest.fixture
async def local(here: tuple[Path | str, str], make_world: Callable[..., World]) -> AsyncIterator[World]:
    """On SQLite: for what has nothing to do with the database."""
    made = make_world(here)
    yield made
    await made.client.aclose()


@pytest.fixture
def publisher(world: World) -> NewKey:
    return world.keys.add("operator", ["publish"], publisher="Autre", domains=["autre.mssante.fr"])
