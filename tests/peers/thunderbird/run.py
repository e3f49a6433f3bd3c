"""Thunderbird, as Debian ships it, reads a sealed letter: fresh profile, account, key; what it shows, and a picture.

    python tests/peers/thunderbird/run.py --demo-json DIR/demo.json --out FOLDER [--expect-subject WORDS]

Writes `thunderbird.png` and `thunderbird.json` into the folder. Exit code 0 only when a letter is opened by the
account's key and its inner subject (with the expected words, when given) is shown.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from desktop import SCREEN, picture
from marionette import Marionette, MarionetteError
from session import persistently, session

CHROME = Path(__file__).parent / "chrome"
_NEEDS = ("thunderbird", "Xvfb", "import")


def main() -> int:
    options = _options()
    missing = [program for program in _NEEDS if not shutil.which(program)]
    if missing:
        print(f"missing: {', '.join(missing)}. apt-get install thunderbird xvfb imagemagick", file=sys.stderr)
        return 2
    demo = json.loads(options.demo_json.read_text())
    account = account_of(demo["accounts"], options.address)
    options.out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="thunderbird-"))
    try:
        shown = _read(demo, account, options, folder)
    except MarionetteError as failure:
        print(f"Thunderbird: {failure}", file=sys.stderr)
        shutil.copy(folder / "thunderbird.log", options.out / "thunderbird.log")
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    (options.out / "thunderbird.json").write_text(json.dumps(shown, indent=2, ensure_ascii=False) + "\n")
    opened = shown["found"] and shown["encryption"].endswith("-ok")
    print(f"Thunderbird {shown['version']}: {shown['subject']!r}")
    print(f"encryption: {shown['encryption'] or 'none'}, signature: {shown['signature'] or 'none'}")
    return 0 if opened else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--demo-json", type=Path, required=True, help="written by the demo")
    parser.add_argument("--out", type=Path, required=True, help="folder for the picture and what was read")
    parser.add_argument("--address", help="which account (default: the first that holds a key)")
    parser.add_argument("--expect-subject", default="", help="words of the inner subject")
    parser.add_argument("--tls", choices=("implicit", "starttls"), default="implicit")
    parser.add_argument("--seconds", type=float, default=240, help="how long to wait for the letter")
    return parser.parse_args()


def account_of(accounts: list[dict[str, Any]], address: str | None) -> dict[str, Any]:
    for account in accounts:
        if account["openpgp_secret_key"] and address in (None, account["address"]):
            return account
    raise SystemExit(f"no account with a key of its own: {address or 'in the whole demo'}")


def _read(demo: dict[str, Any], account: dict[str, Any], options: argparse.Namespace, folder: Path) -> Any:
    def set_up(control: Marionette, _: str) -> Any:
        return prepared(control, demo, account, options.tls)

    with session(folder, {}, set_up) as running:
        try:
            shown = opened(running.control, running.made["server"], options.expect_subject, options.seconds)
        finally:
            picture(running.display, options.out / "thunderbird.png")
    return {"address": account["address"], "version": running.made["version"], **shown}


def opened(
    control: Marionette,
    server: str,
    subject: str,
    seconds: float,
    *,
    offer: bool = False,
    anew: bool = False,
) -> Any:
    """The letter with these words in its subject ("": the newest), opened, and what is shown.

    What is listed first may lack it, since the folder fills meanwhile: it is looked for until it is there. A reading
    that fails is begun again over new connections. `offer`: until a key that came with it is offered; `anew`: even if
    it is shown already.
    """
    width, height = SCREEN
    given: dict[str, Any] = {
        "server": server,
        "expected": subject,
        "offer": offer,
        "width": width,
        "height": height,
    }
    once = max(90, seconds / 2)  # that one reading may take

    def act(tried: int) -> Any:
        more: dict[str, Any] = {"seconds": once, "anew": anew or tried > 0, "afresh": tried > 0}
        shown = control.run(CHROME / "read.js", once + 60, **given, **more)
        if not shown["found"]:
            raise MarionetteError(f"{subject!r} is not there, but {json.dumps(shown, ensure_ascii=False)}")
        return shown

    return persistently(act, seconds)


def prepared(control: Marionette, demo: dict[str, Any], account: dict[str, Any], tls: str) -> Any:
    """The profile with its authority, account and key."""
    doors, implicit = demo["endpoints"], tls == "implicit"
    return control.run(
        CHROME / "prepare.js",
        180,
        ca=certificate_of(Path(demo["ca"])),
        account={
            "address": account["address"],
            "name": account["address"].split("@")[0].replace(".", " ").title(),
            "password": account["password"],
        },
        imap={"port": doors["imaps" if implicit else "imap"], "tls": tls},
        submission={"port": doors["submissions" if implicit else "submission"], "tls": tls},
        secretKey=Path(account["openpgp_secret_key"]).read_text(),
        passphrase=account["openpgp_passphrase"],
    )


def certificate_of(path: Path) -> str:
    """The one certificate of a PEM file, as Thunderbird wants it: base64 without its frame."""
    found = re.search(r"-----BEGIN CERTIFICATE-----(.+?)-----END", path.read_text(), re.DOTALL)
    if not found:
        raise SystemExit(f"{path} holds no certificate")
    return base64.b64encode(base64.b64decode(found[1])).decode()


if __name__ == "__main__":
    sys.exit(main())
