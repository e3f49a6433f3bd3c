"""Thunderbird, as Debian ships it, looks for somebody's key online; what it finds is printed as JSON.

    python tests/peers/thunderbird/discover.py --demo-json DIR/demo.json --email WHO [--email …]
        [--keyservers LIST]

It knows directories and key servers at port 443 of their names alone: a proxy (`names.py`) leads those of the address's
own operator to the demo's node.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from desktop import screen, thunderbird
from marionette import Marionette, MarionetteError
from names import names
from run import CHROME, START_SECONDS, account_of, prepared


def main() -> int:
    options = _options()
    demo = json.loads(options.demo_json.read_text())
    folder = Path(tempfile.mkdtemp(prefix="thunderbird-"))
    try:
        found = _discover(demo, options, folder)
    except (MarionetteError, TimeoutError) as failure:
        print(f"Thunderbird: {failure}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(found))
    return 0


def _discover(demo: dict[str, Any], options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    known = {f"openpgpkey.{one.partition('@')[2]}:443": demo["endpoints"]["https"] for one in options.email}
    with names(known) as told:
        settings: dict[str, str | int | bool] = {
            "network.proxy.ssl_port": told.port,
            "mail.openpgp.keyserver_list": options.keyservers,
        }
        return _looked_for(demo, options, folder, settings)


def _looked_for(
    demo: dict[str, Any],
    options: argparse.Namespace,
    folder: Path,
    settings: dict[str, str | int | bool],
) -> dict[str, Any]:
    with (
        screen() as display,
        thunderbird(display, folder, settings) as port,
        Marionette(port, START_SECONDS) as control,
    ):
        prepared(control, demo, account_of(demo["accounts"], None), "implicit")
        return {one: control.run(CHROME / "discover.js", 60, email=one) for one in options.email}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--demo-json", type=Path, required=True)
    parser.add_argument("--email", action="append", required=True)
    parser.add_argument("--keyservers", default="")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
