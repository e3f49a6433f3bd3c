"""What the whole run shares: a PostgreSQL of our own (loopback by Unix socket only), no peer missing unseen, and
rules that are read once."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from policies import corpus, ruleset

_BIN = Path("/usr/lib/postgresql/15/bin")

# By the clock an example is late whenever the machine does something else: what work costs is said by counting. Every
# run sees the same examples, so that it fails for what was changed; `--hypothesis-profile=chance` looks for new ones.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("chance", _PATIENT)
settings.register_profile("same", _PATIENT, derandomize=True)
settings.load_profile("same")


def _as_postgres(*command: str) -> list[str]:
    """PostgreSQL refuses to run as root: give the word to its own user then."""
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else list(command)


def pytest_configure() -> None:
    gc.disable()  # while modules and tests are collected, nothing is garbage


def pytest_collection_finish() -> None:
    """Ten thousand tests and all modules stay to the end: a collector that walks them takes a seventh of the run."""
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 1_000_000)


def pytest_runtest_logfinish() -> None:
    """A whole collection takes seconds at times: between two tests, where nothing is held against a bound of time."""
    if gc.get_count()[2] >= 100:
        gc.collect()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """`make test` installs every peer: there, a test that found its peer missing has failed."""
    report = yield
    if (
        report.skipped
        and os.environ.get("EVERY_PEER")
        and str(report.longrepr).rstrip("')").endswith("is not installed")
    ):
        report.outcome = "failed"
    return report


@pytest.fixture(scope="session", autouse=True)
def rules_read_once() -> Iterator[None]:
    """Over a thousand tests open a node of their own: the same text of rules is parsed, and asked the corpus, once.

    Whoever reads another text has it read and asked as ever.
    """
    texts = ruleset._texts  # pyright: ignore[reportPrivateUsage]
    read, asked = ruleset.read, corpus.differences
    sets: dict[object, ruleset.RuleSet] = {}
    answers: dict[str, tuple[corpus.Difference, ...]] = {}

    def read_once(folder: Path, local: Path | None = None) -> ruleset.RuleSet:
        text = (str(texts(folder, schema=True)), str(local and texts(local, schema=False)))
        if text not in sets:
            sets[text] = read(folder, local)
        return sets[text]

    def asked_once(rules: ruleset.RuleSet) -> tuple[corpus.Difference, ...]:
        if rules.digest not in answers:
            answers[rules.digest] = asked(rules)
        return answers[rules.digest]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ruleset, "read", read_once)
        patch.setattr(corpus, "differences", asked_once)
        yield


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """Connection text of a throw-away server (no fsync); `dbname` is added by who uses it."""
    if not (_BIN / "initdb").exists():
        pytest.skip("PostgreSQL 15 is not installed")
    # On the disk, wherever other temporary files lie: its databases come to gigabytes, and it never waits for a sync.
    folder = Path(tempfile.mkdtemp(prefix="vm-pg-", dir="/tmp"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        data = folder / "data"
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        subprocess.run(
            _as_postgres(
                str(_BIN / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N"
            ),
            cwd=folder,
            env=environment,
            check=True,
            capture_output=True,
        )
        options = (
            f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c full_page_writes=off"
            " -c shared_buffers=32MB -c max_connections=120"
        )
        control = [str(_BIN / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log")]
        subprocess.run(
            _as_postgres(*control, "-o", options, "start"),
            cwd=folder,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        try:
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            subprocess.run(
                _as_postgres(*control, "-m", "immediate", "stop"),
                cwd=folder,
                check=True,
                stdout=subprocess.DEVNULL,
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def make_postgresql_database(postgresql_server: str) -> Callable[..., str]:
    """Call it for the address of a new database, empty or copied from a template database."""

    def make(template: str = "template0") -> str:
        name = f"t{uuid.uuid4().hex}"
        with psycopg.connect(postgresql_server, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')  # pyright: ignore
        return postgresql_server.replace("@/postgres?", f"@/{name}?")

    return make
