"""Thunderbird's calendar invites, and applies the answers that come: one running program, told what to do by lines.

    python tests/peers/thunderbird/appointments.py --demo-json DIR/demo.json --out FOLDER --address WHO

Each line of the input is `{"deed": "add" | "move" | "remove", "uid": ..., "ics": ...}`, or
`{"deed": "apply" | "counter", "uid": ..., "subject": ...}`: the letter with these words in its subject is opened, and
its answer applied, or the other time that it proposes taken. Each line of the output is what came of it. Ends with the
input.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from desktop import picture
from lines import told_by_lines
from marionette import Marionette
from run import CHROME, opened, prepared
from session import persistently, session

# Of its calendar and of its computer: its event dialogue reads a proposed time by the computer's clock, and takes what
# it read for a time in the calendar's zone. Where the two differ, every proposal is off by their difference.
_ZONE = "Europe/Paris"
_TOLD = {
    "browser.dom.window.dump.enabled": True,
    "devtools.console.stdout.chrome": True,
    "calendar.timezone.local": _ZONE,
    "calendar.timezone.useSystemTimezone": False,
}


def _serve(demo: dict[str, Any], account: dict[str, Any], options: argparse.Namespace, folder: Path) -> None:
    seconds = options.seconds

    def set_up(control: Marionette, _: str) -> Any:
        made = prepared(control, demo, account, "implicit")
        visit: dict[str, Any] = {"server": made["server"], "seconds": seconds}
        persistently(lambda _: control.run(CHROME / "visit.js", seconds + 30, **visit), seconds)
        return made

    with session(folder, _TOLD, set_up, _ZONE) as running:
        print(json.dumps({"version": running.made["version"]}), flush=True)
        server = running.made["server"]
        for number, line in enumerate(sys.stdin):
            try:
                told = _done(running.control, server, account["address"], json.loads(line), seconds)
            finally:
                picture(running.display, options.out / f"thunderbird-appointment-{number}.png")
            print(json.dumps(told), flush=True)


def _done(control: Marionette, server: str, address: str, asked: dict[str, Any], seconds: float) -> Any:
    patience = 4 * seconds  # a letter that does not leave is sent three times (leaving.js)
    if asked["deed"] in ("apply", "counter"):
        return _taken(control, server, asked, seconds)
    given = {"deed": asked["deed"], "uid": asked["uid"], "ics": asked.get("ics", "")}
    return control.run(
        CHROME / "appoint.js",
        patience,
        before=CHROME / "leaving.js",
        address=address,
        seconds=seconds,
        **given,
    )


def _taken(control: Marionette, server: str, asked: dict[str, Any], seconds: float) -> Any:
    """The answer opened, and its button pressed. The bar with the button is made while a letter is shown: where it does
    not come, the letter is shown anew."""

    def act(tried: int) -> Any:
        shown = opened(control, server, asked["subject"], seconds, anew=tried > 0)
        told = control.run(
            CHROME / f"{asked['deed']}.js",
            4 * seconds,
            before=CHROME / "leaving.js",
            uid=asked["uid"],
            seconds=seconds,
        )
        return {**told, "opened": shown}

    return persistently(act, seconds)


if __name__ == "__main__":
    sys.exit(told_by_lines(__doc__ or "", _serve))
