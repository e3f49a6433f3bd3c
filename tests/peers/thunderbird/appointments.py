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
import time
from pathlib import Path
from typing import Any

from desktop import SCREEN, picture, screen, thunderbird
from lines import told_by_lines
from marionette import Marionette, MarionetteError
from run import CHROME, START_SECONDS, prepared

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
    with (
        screen() as display,
        thunderbird(display, folder, _TOLD, _ZONE) as port,
        Marionette(port, START_SECONDS) as control,
    ):
        made = prepared(control, demo, account, "implicit")
        control.run(CHROME / "visit.js", options.seconds, server=made["server"], seconds=options.seconds)
        print(json.dumps({"version": made["version"]}), flush=True)
        known = 0
        for number, line in enumerate(sys.stdin):
            told = _done(
                control, made["server"], account["address"], json.loads(line), known, options.seconds
            )
            known = told.get("opened", {}).get("letters", known)
            picture(display, options.out / f"thunderbird-appointment-{number}.png")
            print(json.dumps(told), flush=True)


def _done(
    control: Marionette, server: str, address: str, asked: dict[str, Any], known: int, seconds: float
) -> Any:
    if asked["deed"] not in ("apply", "counter"):
        given = {"deed": asked["deed"], "uid": asked["uid"], "ics": asked.get("ics", "")}
        return control.run(
            CHROME / "appoint.js",
            2 * seconds,
            before=CHROME / "leaving.js",
            address=address,
            seconds=seconds,
            **given,
        )
    opened = _opened(control, server, asked["subject"], known, seconds)
    applied = control.run(
        CHROME / f"{asked['deed']}.js",
        2 * seconds + 30,
        before=CHROME / "leaving.js",
        uid=asked["uid"],
        seconds=seconds,
    )
    return {**applied, "opened": opened}


def _opened(control: Marionette, server: str, subject: str, known: int, seconds: float) -> Any:
    """The letter with these words in its subject, fetched until there are more than were `known`, and shown."""
    (width, height), deadline = SCREEN, time.monotonic() + seconds
    opened: dict[str, Any] = {}
    while time.monotonic() < deadline:
        come = control.run(CHROME / "visit.js", seconds, server=server, seconds=seconds)["letters"]
        if come <= known:
            time.sleep(0.3)
            continue
        try:
            opened = control.run(
                CHROME / "read.js",
                seconds + 30,
                server=server,
                expected=subject,
                width=width,
                height=height,
                seconds=seconds / 4,
            )
        except MarionetteError as failure:  # the list changed under it: a letter came
            opened = {"found": False, "listedAfter": str(failure)}
        if opened["found"]:
            return opened | {"letters": come}
    raise MarionetteError(f"the answer is not there: {opened.get('listedAfter')}")


if __name__ == "__main__":
    sys.exit(told_by_lines(__doc__ or "", _serve))
