"""Thunderbird answers a sealed letter, with a copy to one more address, as a person would, and sends it.

    python tests/peers/thunderbird/send.py --demo-json DIR/demo.json --out FOLDER --address WHO \
        --answer WORDS --cc ADDRESS [--key FILE ...]

WORDS stand in the subject of the letter that is answered. A key that came with that letter, and that Thunderbird
offers, is taken and accepted; so are the armored certificates given.
Writes `thunderbird-answer.png`, as it stands before it is sent, and `thunderbird-answer.json`. Exit code 0 when it
left.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from desk import left
from desktop import picture
from marionette import Marionette, MarionetteError
from run import CHROME, account_of, opened, prepared
from session import persistently, session

_WORDS = "Je mets fin à notre échange. Portez-vous bien."
# Thunderbird says in its log why a letter does not leave, and in no other place.
_TOLD = {"browser.dom.window.dump.enabled": True, "devtools.console.stdout.chrome": True}


def main() -> int:
    options = _options()
    demo = json.loads(options.demo_json.read_text())
    account = account_of(demo["accounts"], options.address)
    options.out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="thunderbird-"))
    try:
        said = _send(demo, account, options, folder)
    except MarionetteError as failure:
        print(f"Thunderbird: {failure}", file=sys.stderr)
        shutil.copy(folder / "thunderbird.log", options.out / "thunderbird.log")
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    (options.out / "thunderbird-answer.json").write_text(
        json.dumps(said, indent=2, ensure_ascii=False) + "\n"
    )
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--demo-json", type=Path, required=True, help="written by the demo")
    parser.add_argument("--out", type=Path, required=True, help="folder for the picture and what was written")
    parser.add_argument("--address", required=True, help="which account")
    parser.add_argument("--answer", required=True, help="words of the subject of the letter to answer")
    parser.add_argument("--cc", required=True, help="who gets a copy")
    parser.add_argument("--key", type=Path, action="append", default=[], help="a certificate to take first")
    parser.add_argument("--tls", choices=("implicit", "starttls"), default="implicit")
    parser.add_argument("--seconds", type=float, default=120, help="how long to wait for each step")
    return parser.parse_args()


def _send(demo: dict[str, Any], account: dict[str, Any], options: argparse.Namespace, folder: Path) -> Any:
    seconds = options.seconds

    def set_up(control: Marionette, _: str) -> Any:
        return prepared(control, demo, account, options.tls)

    with session(folder, _TOLD, set_up) as running:
        control, server = running.control, running.made["server"]
        keys = [path.read_text() for path in options.key]
        given: dict[str, Any] = {"server": server, "copy": options.cc, "keys": keys, "words": _WORDS}

        def act(tried: int) -> Any:
            if tried:  # its key is taken by then, and offered no more
                opened(control, server, options.answer, seconds, anew=True)
            written = control.run(CHROME / "write.js", seconds, seconds=seconds / 2, **given)
            picture(running.display, options.out / "thunderbird-answer.png")
            left(control, seconds)
            return written

        try:
            answered = opened(control, server, options.answer, seconds, offer=True)
            written = persistently(act, 2 * seconds)
        except MarionetteError:
            picture(running.display, options.out / "thunderbird-answer.png")
            raise
    return {"version": running.made["version"], "words": _WORDS, "answered": answered, "written": written}


if __name__ == "__main__":
    sys.exit(main())
