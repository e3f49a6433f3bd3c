"""Somebody's Thunderbird with the node as its directory (LDAP), told what to do by lines: complete a name, fetch a
certificate, take one's own, open a letter.

    python tests/peers/thunderbird/directory.py --demo-json DIR/demo.json --out FOLDER --address WHO

Each line of the input is `{"deed": "complete", "typed": ..., "wanted": ...}` (`wanted`: part of the address to be
taken; "" where nothing is to be offered), `{"deed": "fetch", "address": ...}`, `{"deed": "hold", "file": ...,
"password": ...}` (PKCS#12) or `{"deed": "read", "expected": ...}` (words of the subject). Each line of the output is
what came of it, or `{"failed": ...}`, which is the last. Ends with the input. `directory` in the demo's JSON is the
directory's URL; `directory_login`, true or false: whether it logs in there, with the account's address and password.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from desktop import SCREEN, picture, screen, thunderbird
from lines import told_by_lines
from marionette import Marionette
from run import CHROME, START_SECONDS, prepared

_BOOK = "ldap_2.servers.annuaire"


def _settings(url: str, login: str) -> dict[str, str | int | bool]:
    """What File > New > LDAP Directory and Settings > Composition > Addressing write."""
    bind: dict[str, str | int | bool] = {f"{_BOOK}.auth.dn": login} if login else {}
    return bind | {
        f"{_BOOK}.description": "Annuaire",
        f"{_BOOK}.dirType": 0,
        f"{_BOOK}.uri": url,
        f"{_BOOK}.maxHits": 20,
        "ldap_2.autoComplete.useDirectory": True,
        "ldap_2.autoComplete.directoryServer": _BOOK,
    }


def _serve(demo: dict[str, Any], account: dict[str, Any], options: argparse.Namespace, folder: Path) -> None:
    url, login = demo["directory"], account["address"] if demo["directory_login"] else ""
    with (
        screen() as display,
        thunderbird(display, folder, _settings(url, login)) as port,
        Marionette(port, START_SECONDS) as control,
    ):
        made = prepared(control, demo, account, "implicit")
        if login:
            control.run(CHROME / "remember.js", 30, url=url, password=account["password"])
        print(json.dumps({"version": made["version"]}), flush=True)
        for number, line in enumerate(sys.stdin):
            asked = json.loads(line)
            deed = asked.pop("deed")
            if deed == "fetch":
                asked["directory"] = _BOOK
            elif deed == "read":
                asked |= {"server": made["server"], "width": SCREEN[0], "height": SCREEN[1]}
            try:
                told = control.run(
                    CHROME / f"{deed}.js", options.seconds + 30, seconds=options.seconds, **asked
                )
            finally:
                picture(display, options.out / f"thunderbird-directory-{number}.png")
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    sys.exit(told_by_lines(__doc__ or "", _serve))
