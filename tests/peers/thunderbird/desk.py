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
from pathlib import Path
from typing import Any

from desktop import picture, screen, thunderbird
from lines import told_by_lines
from marionette import Marionette
from run import CHROME, START_SECONDS, opened, prepared

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
    with (
        screen() as display,
        thunderbird(display, folder, _TOLD) as port,
        Marionette(port, START_SECONDS) as control,
    ):
        made = prepared(control, demo, account, "implicit")
        print(json.dumps({"version": made["version"]}), flush=True)
        for number, line in enumerate(sys.stdin):
            try:
                told = _done(control, made["server"], json.loads(line), options.seconds)
            finally:
                picture(display, options.out / f"thunderbird-desk-{number}.png")
            print(json.dumps(told), flush=True)


def _done(control: Marionette, server: str, asked: dict[str, Any], seconds: float) -> Any:
    if asked["deed"] == "receipt":
        return control.run(CHROME / "receipt.js", seconds + 30, seconds=seconds)
    if asked["deed"] == "take":
        return control.run(CHROME / "take.js", seconds, keys=asked["keys"])
    if asked["deed"] == "read":
        return opened(control, server, asked["subject"], seconds)
    given = {name: asked[name] for name in ("to", "subject", "words", "sealed", "told")}
    control.run(CHROME / "take.js", seconds, keys=asked["keys"])
    control.run(CHROME / "open.js", seconds + 30, server=server, seconds=seconds)
    written = control.run(CHROME / "compose.js", seconds + 30, seconds=seconds, **given)
    control.run(CHROME / "leave.js", seconds + 30, seconds=seconds)
    return written


if __name__ == "__main__":
    sys.exit(told_by_lines(__doc__ or "", _serve))
