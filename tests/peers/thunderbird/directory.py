"""Somebody's Thunderbird with the node as its directory (LDAP), told what to do by lines: complete a name, fetch a
certificate, take one's own, open a letter.

    python tests/peers/thunderbird/directory.py --demo-json DIR/demo.json --out FOLDER --address WHO

Each line of the input is `{"deed": "complete", "typed": ..., "wanted": ...}` (`wanted`: part of the address to be
taken; "" where nothing is to be offered), `{"deed": "fetch", "address": ..., "wanted": ...}` (`wanted`: whether one is
to be found), `{"deed": "hold", "file": ..., "password": ...}` (PKCS#12) or `{"deed": "read", "expected": ...}` (words
of the subject). Each line of the output is what came of it, or `{"failed": ...}`, which is the last. Ends with the
input. `directory` in the demo's JSON is the directory's URL; `directory_login`, true or false: whether it logs in
there, with the account's address and password.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from desktop import picture
from lines import told_by_lines
from marionette import Marionette, MarionetteError
from run import CHROME, opened, prepared
from session import persistently, session

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

    def set_up(control: Marionette, _: str) -> Any:
        made = prepared(control, demo, account, "implicit")
        if login:
            control.run(CHROME / "remember.js", 60, url=url, password=account["password"])
        return made

    with session(folder, _settings(url, login), set_up) as running:
        print(json.dumps({"version": running.made["version"]}), flush=True)
        for number, line in enumerate(sys.stdin):
            try:
                told = _done(running.control, running.made["server"], json.loads(line), options.seconds)
            finally:
                picture(running.display, options.out / f"thunderbird-directory-{number}.png")
            print(json.dumps(told), flush=True)


def _done(control: Marionette, server: str, asked: dict[str, Any], seconds: float) -> Any:
    deed = asked.pop("deed")
    if deed == "read":
        return opened(control, server, asked["expected"], seconds)
    if deed == "fetch":
        return _fetched(control, asked["address"], asked["wanted"], seconds)
    return persistently(
        lambda _: control.run(CHROME / f"{deed}.js", seconds, seconds=seconds / 2, **asked), seconds
    )


def _fetched(control: Marionette, address: str, wanted: bool, seconds: float) -> Any:
    """Its own search has an end, found or not: it is begun again where there is something to be found."""
    held: list[Any] = []  # before the first search

    def act(_: int) -> Any:
        told = control.run(
            CHROME / "fetch.js", seconds, seconds=seconds / 2, address=address, directory=_BOOK
        )
        held.append(told["before"])
        if wanted and not (told["after"] and told["usable"]):
            raise MarionetteError(f"no certificate of {address} was found, or none fit for use: {told}")
        return {**told, "before": held[0]}

    return persistently(act, seconds)


if __name__ == "__main__":
    sys.exit(told_by_lines(__doc__ or "", _serve))
