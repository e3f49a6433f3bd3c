"""Thunderbird's own "add an account", with a name, an address and a password, and nothing else.

    python tests/peers/thunderbird/wizard.py --demo-json DIR/demo.json --out FOLDER --address WHO

Writes `thunderbird-wizard.png` (the settings that it found) and `thunderbird-wizard.json`: the fields that each step
asked for, what it showed, the account that was made, whether its inbox opened, and which names were called. Exit code 0
only when the account is there.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from desktop import picture
from marionette import Marionette, MarionetteError
from names import names
from run import CHROME, certificate_of
from session import session


def main() -> int:
    options = _options()
    demo = json.loads(options.demo_json.read_text())
    (account,) = [one for one in demo["accounts"] if one["address"] == options.address]
    options.out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="thunderbird-"))
    try:
        made = _added(demo, account, options, folder)
    except MarionetteError as failure:
        print(f"Thunderbird: {failure}", file=sys.stderr)
        return 1
    finally:
        if (folder / "thunderbird.log").exists():
            shutil.copy(folder / "thunderbird.log", options.out / "thunderbird.log")
        shutil.rmtree(folder, ignore_errors=True)
    (options.out / "thunderbird-wizard.json").write_text(
        json.dumps(made, indent=2, ensure_ascii=False) + "\n"
    )
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--demo-json", type=Path, required=True, help="written by the demo")
    parser.add_argument("--out", type=Path, required=True, help="folder for the picture and what was seen")
    parser.add_argument("--address", required=True, help="which account")
    parser.add_argument("--seconds", type=float, default=60, help="how long to wait for each step")
    return parser.parse_args()


def _added(demo: dict[str, Any], account: dict[str, Any], options: argparse.Namespace, folder: Path) -> Any:
    domain = account["address"].partition("@")[2]
    with names({f"autoconfig.{domain}:443": demo["endpoints"]["https"]}) as told:
        settings = {
            "network.proxy.ssl": "127.0.0.1",
            "network.proxy.ssl_port": told.port,
            "mail.provider.suppress_dialog_on_startup": True,
        }
        given = {"seconds": options.seconds}

        def added(control: Marionette, display: str) -> Any:
            """Thunderbird waits five seconds for an answer, and asks for servers then: so it is begun anew."""
            try:
                found = control.run(
                    CHROME / "found.js",
                    3 * options.seconds,
                    ca=certificate_of(Path(demo["ca"])),
                    name="Dr Camille Aubry",
                    address=account["address"],
                    **given,
                )
            finally:
                picture(display, options.out / "thunderbird-wizard.png")
            made = control.run(
                CHROME / "added.js", 3 * options.seconds, password=account["password"], **given
            )
            return {**found, **made}

        with session(folder, settings, added) as running:
            return {**running.made, "called": told.called}


if __name__ == "__main__":
    sys.exit(main())
