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
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from desktop import SCREEN, picture, screen, thunderbird
from marionette import Marionette, MarionetteError
from run import CHROME, START_SECONDS, account_of, prepared

# Of its calendar and of its computer: its event dialogue reads a proposed time by the computer's clock, and takes what
# it read for a time in the calendar's zone. Where the two differ, every proposal is off by their difference.
_ZONE = "Europe/Paris"
_TOLD = {
    "browser.dom.window.dump.enabled": True,
    "devtools.console.stdout.chrome": True,
    "calendar.timezone.local": _ZONE,
    "calendar.timezone.useSystemTimezone": False,
}


def main() -> int:
    options = _options()
    demo = json.loads(options.demo_json.read_text())
    account = account_of(demo["accounts"], options.address)
    options.out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="thunderbird-"))
    try:
        _serve(demo, account, options, folder)
    except (MarionetteError, TimeoutError) as failure:
        print(json.dumps({"failed": str(failure)}), flush=True)
        return 1
    finally:
        if (folder / "thunderbird.log").exists():
            shutil.copy(folder / "thunderbird.log", options.out / "thunderbird.log")
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--demo-json", type=Path, required=True, help="written by the demo")
    parser.add_argument("--out", type=Path, required=True, help="folder for pictures and the log")
    parser.add_argument("--address", required=True, help="which account")
    parser.add_argument("--seconds", type=float, default=60, help="how long to wait for each step")
    return parser.parse_args()


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
        return control.run(CHROME / "appoint.js", seconds, address=address, **given)
    opened = _opened(control, server, asked["subject"], known, seconds)
    applied = control.run(CHROME / f"{asked['deed']}.js", seconds + 30, uid=asked["uid"], seconds=seconds)
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
    sys.exit(main())
