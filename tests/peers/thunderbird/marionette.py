"""Marionette, the remote control that is built into Thunderbird: just enough of its protocol.

A message is `<length>:<json>`; a request is `[0, id, command, parameters]`, its reply `[1, id, error, result]`.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class MarionetteError(Exception):
    """Thunderbird refused a command, or a script in it failed."""


class ThunderbirdGone(MarionetteError):
    """It has ended, or answers no more: nothing can be tried again in it."""


class Marionette:
    """One session, in the chrome context: scripts have the rights of Thunderbird's own code."""

    def __init__(self, port: int, patience: float) -> None:
        self._socket = _connect(port, patience)
        self._file = self._socket.makefile("rb")
        self._last_id = 0
        try:
            self._read()  # Thunderbird speaks first, to say which protocol it knows
        except OSError as lost:
            raise ThunderbirdGone(f"no greeting: {lost or type(lost).__name__}") from None
        self.command("WebDriver:NewSession", {"capabilities": {}})
        self.command("Marionette:SetContext", {"value": "chrome"})

    def command(self, name: str, parameters: dict[str, Any]) -> Any:
        self._last_id += 1
        text = json.dumps([0, self._last_id, name, parameters]).encode()
        try:
            self._socket.sendall(b"%d:%s" % (len(text), text))
            _, _, error, result = self._read()
        except OSError as lost:
            raise ThunderbirdGone(f"{name}: {lost or type(lost).__name__}") from None
        if error:
            raise MarionetteError(f"{name}: {error['error']}: {error['message']}")
        return result

    def run(self, script: Path, patience: float, *, before: Path | None = None, **arguments: Any) -> Any:
        """Run a file that evaluates to an async function of one object; return what it returns.

        `before`: a file that defines functions it calls.
        """
        wrapped = (
            "const [given, done] = arguments;"
            f"{before.read_text() if before else ''}\n"
            f"({script.read_text()})(given)"
            ".then(value => done({value}), error => done({error: `${error}\\n${error.stack ?? ''}`}));"
        )
        self._socket.settimeout(patience + 30)
        self.command("WebDriver:SetTimeouts", {"script": int(patience * 1000)})
        answer = self.command(
            "WebDriver:ExecuteAsyncScript",
            {
                "script": wrapped,
                "args": [arguments],
                "newSandbox": True,
                "sandbox": "system",
                "filename": script.name,
            },
        )["value"]
        if answer is None:  # a dialogue ends the script
            said = self.command("WebDriver:GetAlertText", {})["value"]
            self.command("WebDriver:DismissAlert", {})  # whoever tries again finds it gone
            raise MarionetteError(f"{script.name}: Thunderbird opened a dialogue: {said}")
        if "error" in answer:
            raise MarionetteError(f"{script.name}: {answer['error']}")
        return answer.get("value")

    def _read(self) -> Any:
        length = b""
        while not length.endswith(b":"):
            byte = self._file.read(1)
            if not byte:
                raise ThunderbirdGone("Thunderbird closed the connection")
            length += byte
        return json.loads(self._file.read(int(length[:-1])))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError, MarionetteError):
            self._socket.settimeout(5)
            self.command("Marionette:Quit", {"flags": ["eForceQuit"]})
        self._socket.close()


def _connect(port: int, patience: float) -> socket.socket:
    deadline = time.monotonic() + patience
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), patience)
        except OSError:
            if time.monotonic() > deadline:
                raise ThunderbirdGone(f"Thunderbird does not listen on {port}") from None
            time.sleep(0.2)
