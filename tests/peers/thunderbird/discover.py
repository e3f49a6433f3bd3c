"""Thunderbird, as Debian ships it, looks for somebody's key online; what it finds is printed as JSON.

    python tests/peers/thunderbird/discover.py --demo-json DIR/demo.json --email WHO [--email …]
        [--keyservers LIST] [--held WHO]

Who is `--held` is looked for until a directory and a key server have given the key: either may answer too late once.
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

from marionette import Marionette, MarionetteError
from names import names
from run import CHROME, account_of, prepared
from session import persistently, session


def main() -> int:
    options = _options()
    demo = json.loads(options.demo_json.read_text())
    folder = Path(tempfile.mkdtemp(prefix="thunderbird-"))
    try:
        found = _discover(demo, options, folder)
    except MarionetteError as failure:
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
    def set_up(control: Marionette, _: str) -> Any:
        return prepared(control, demo, account_of(demo["accounts"], None), "implicit")

    def found(control: Marionette, email: str) -> Any:
        keys = control.run(CHROME / "discover.js", 120, email=email)
        kinds = {source["type"] for key in keys for source in key["sources"]}
        if email in options.held and len(kinds) < 2:
            raise MarionetteError(f"the key of {email} came from {kinds or 'nowhere'} alone")
        return keys

    with session(folder, settings, set_up) as running:
        return {
            one: persistently(lambda _, one=one: found(running.control, one), 120) for one in options.email
        }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--demo-json", type=Path, required=True)
    parser.add_argument("--email", action="append", required=True)
    parser.add_argument("--keyservers", default="")
    parser.add_argument("--held", action="append", default=[])
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
