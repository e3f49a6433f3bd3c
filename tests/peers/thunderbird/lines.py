"""One running Thunderbird that is told what to do by lines of JSON, and says what came of it in others."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from marionette import MarionetteError
from run import account_of

Serve = Callable[[dict[str, Any], dict[str, Any], argparse.Namespace, Path], None]


def told_by_lines(description: str, serve: Serve) -> int:
    """`serve` gets the demo, the account, the options and a folder for the profile. The exit code."""
    options = _options(description)
    demo = json.loads(options.demo_json.read_text())
    account = account_of(demo["accounts"], options.address)
    options.out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="thunderbird-"))
    try:
        serve(demo, account, options, folder)
    except MarionetteError as failure:
        print(json.dumps({"failed": str(failure)}), flush=True)
        return 1
    finally:
        if (folder / "thunderbird.log").exists():
            shutil.copy(folder / "thunderbird.log", options.out / "thunderbird.log")
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _options(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description.split("\n", 1)[0])
    parser.add_argument(
        "--demo-json", type=Path, required=True, help="accounts and doors, as the demo writes them"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for pictures and the log")
    parser.add_argument("--address", required=True, help="which account")
    parser.add_argument("--seconds", type=float, default=120, help="how long to wait for each step")
    return parser.parse_args()
