"""Somebody's Thunderbird, told what to do by lines: write, read, send the receipt that a letter asks for.

    python tests/peers/thunderbird/desk.py --demo-json DIR/demo.json --out FOLDER --address WHO

Each line of the input is `{"deed": "write", "to": ..., "subject": ..., "words": ..., "keys": [...], "sealed": ...,
"told": ...}` (`keys`: armored certificates to take first; `told`: a report of delivery and a receipt are asked),
`{"deed": "take", "keys": [...]}`, `{"deed": "read", "subject": ...}` or `{"deed": "receipt"}` (of the letter read
last). Each line of the output is what came of it, or `{"failed": ...}`, which is the last. Ends with the input. What
Thunderbird says to the server that takes its letters stands in `thunderbird.log`.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from desktop import picture
from lines import told_by_lines
from marionette import Marionette, MarionetteError, ThunderbirdGone
from run import CHROME, opened, prepared
from session import persistently, session

_TOLD = {
    "browser.dom.window.dump.enabled": True,
    "devtools.console.stdout.chrome": True,
    "mailnews.smtp.loglevel": "All",
    "mail.mdn.report.enabled": True,
    # 2: asks its owner, whoever the letter comes from.
    "mail.mdn.report.not_in_to_cc": 2,
    "mail.mdn.report.outside_domain": 2,
    "mail.mdn.report.other": 2,
}


def _serve(demo: dict[str, Any], account: dict[str, Any], options: argparse.Namespace, folder: Path) -> None:
    def set_up(control: Marionette, _: str) -> Any:
        return prepared(control, demo, account, "implicit")

    with session(folder, _TOLD, set_up) as running:
        print(json.dumps({"version": running.made["version"]}), flush=True)
        at = Desk(running.control, running.made["server"], options.seconds)
        for number, line in enumerate(sys.stdin):
            try:
                told = at.done(json.loads(line))
            finally:
                picture(running.display, options.out / f"thunderbird-desk-{number}.png")
            print(json.dumps(told), flush=True)


@dataclass
class Desk:
    control: Marionette
    server: str
    seconds: float
    read: str = ""  # words of the subject of the letter read last

    def done(self, asked: dict[str, Any]) -> Any:
        if asked["deed"] == "receipt":
            return persistently(self._receipt, self.seconds)
        if asked["deed"] == "take":
            return self._take(asked["keys"])
        if asked["deed"] == "read":
            self.read = asked["subject"]
            return opened(self.control, self.server, self.read, self.seconds)
        return self._written(asked)

    def _take(self, keys: list[str]) -> Any:
        return persistently(lambda _: self.control.run(CHROME / "take.js", 60, keys=keys), self.seconds)

    def _receipt(self, tried: int) -> Any:
        if tried:  # the bar that asks comes when a letter is shown
            opened(self.control, self.server, self.read, self.seconds, anew=True)
        return self.control.run(CHROME / "receipt.js", 90, seconds=30)

    def _written(self, asked: dict[str, Any]) -> Any:
        seconds = self.seconds
        given: dict[str, Any] = {name: asked[name] for name in ("to", "subject", "words", "sealed", "told")}
        self._take(asked["keys"])
        visit: dict[str, Any] = {"server": self.server, "seconds": seconds / 2}
        persistently(lambda _: self.control.run(CHROME / "open.js", seconds, **visit), seconds)

        def act(_: int) -> Any:
            written = self.control.run(CHROME / "compose.js", seconds, seconds=seconds / 2, **given)
            left(self.control, seconds)
            return written

        return persistently(act, 2 * seconds)


def left(control: Marionette, seconds: float) -> None:
    """The letter that is open is sent. Where a dialogue says that it could not be, Send is pressed once more."""
    try:
        control.run(CHROME / "leave.js", seconds, seconds=seconds / 2, again=False)
    except ThunderbirdGone:
        raise
    except MarionetteError:
        control.run(CHROME / "leave.js", seconds, seconds=seconds / 2, again=True)


if __name__ == "__main__":
    sys.exit(told_by_lines(__doc__ or "", _serve))
