"""A fault is told by its kind and place; what it carries stays out of the log."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.node import logs

SECRET = "M. Eluard, VIH"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    root, ours = logging.getLogger(), logging.getLogger("vaguemestre")
    before = root.handlers[:], root.level, ours.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    logs.log_to(tmp_path / "node.log", "INFO")
    logs.watch_faults()
    yield tmp_path / "node.log"
    for handler in set(root.handlers) - set(before[0]):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(before[1])
    ours.setLevel(before[2])
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks


def fail(text: str = SECRET) -> None:
    raise ValueError(text)


async def test_a_task_that_nobody_awaits_tells_no_content(log: Path) -> None:
    loop = asyncio.get_running_loop()
    logs.watch_loop(loop)

    async def task(content: str) -> None:
        fail(content)

    failed = asyncio.create_task(task(SECRET))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del failed
    gc.collect()
    loop.call_soon(fail, SECRET)
    await asyncio.sleep(0)
    loop.set_exception_handler(None)
    written = log.read_text()
    assert written.count("ValueError at test_logs.py:") == 2
    assert "Task exception was never retrieved" in written
    assert SECRET not in written


def test_an_exception_given_to_a_logger_tells_no_content(log: Path) -> None:
    try:
        try:
            fail()
        except ValueError as error:
            raise KeyError(SECRET) from error
    except KeyError:
        logging.getLogger("some.library").exception("went wrong")
    written = log.read_text()
    assert "went wrong\nKeyError at test_logs.py:" in written
    assert ", from ValueError at test_logs.py:" in written
    assert SECRET not in written


def test_a_thread_that_fails_tells_no_content(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    sys.excepthook(ValueError, ValueError(SECRET), None)
    assert log.read_text().count("ValueError at") == 2
    assert SECRET not in log.read_text() + "".join(capfd.readouterr())
