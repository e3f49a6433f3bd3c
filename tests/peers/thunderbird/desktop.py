"""A screen without a monitor, and Thunderbird on it with a fresh profile that talks to this machine alone.

Invariants: nothing is read from or written to the caller's home; every process started here is ended by its
own process group; the profile is thrown away.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
from collections.abc import Generator, Mapping
from pathlib import Path

SCREEN = (1440, 900)

# What a first start would open, fetch or send. What is not named here meets a proxy on a closed port:
# Thunderbird bypasses proxies for localhost alone.
_QUIET: dict[str, str | int | bool] = {
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "network.proxy.socks": "127.0.0.1",
    "network.proxy.socks_port": 9,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,none",
    "app.update.enabled": False,
    "app.normandy.enabled": False,
    "extensions.update.enabled": False,
    "extensions.getAddons.cache.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "datareporting.healthreport.uploadEnabled": False,
    "toolkit.telemetry.enabled": False,
    "toolkit.telemetry.server": "",
    "mail.inappnotifications.enabled": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.rights.version": 1,
    "mail.shell.checkDefaultClient": False,
    "mail.spotlight.firstRunDone": True,
    "mail.winsearch.firstRunDone": True,
    "mailnews.start_page.enabled": False,
    "mailnews.start_page_override.mstone": "ignore",
    "app.donation.eoy.version.viewed": 999,
    "messenger.startup.action": 0,
    "mail.chat.enabled": False,
    "calendar.timezone.useSystemTimezone": True,
    # what is shown
    "mail.openpgp.enable": True,
    "mailnews.message_display.disable_remote_image": True,
    "mail.pane_config.dynamic": 0,
    "mail.threadpane.listview": 1,
    "font.name.sans-serif.x-western": "DejaVu Sans",
}


@contextlib.contextmanager
def screen() -> Generator[str]:
    """A virtual screen; gives the DISPLAY to use."""
    server, number = _lit()
    for _ in range(4):  # two that begin at once may reach for the same number, and one of them ends
        if number:
            break
        _end(server)
        server, number = _lit()
    try:
        if not number:
            raise RuntimeError("Xvfb did not start")
        yield f":{number}"
    finally:
        _end(server)


def _lit() -> tuple[subprocess.Popen[bytes], str]:
    """A screen's process, and the number that it says; none where it has ended instead."""
    reading, writing = os.pipe()
    width, height = SCREEN
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"]
    server = _start(command, dict(os.environ), Path(os.devnull), pass_fds=(writing,))
    os.close(writing)
    with os.fdopen(reading) as answer:
        return server, answer.readline().strip()


@contextlib.contextmanager
def thunderbird(
    display: str, folder: Path, log: Path, settings: Mapping[str, str | int | bool], zone: str = ""
) -> Generator[int]:
    """Thunderbird at home in `folder`, with a fresh profile; gives the port of its remote control. `log`: what it says
    is added to it. `zone`: its computer's."""
    profile = folder / "profile"
    profile.mkdir(parents=True)
    port = _free_port()
    _write_settings(profile / "user.js", {**_QUIET, **settings, "marionette.port": port})
    environment = {
        **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
        "HOME": str(folder),
        "DISPLAY": display,
        "GDK_BACKEND": "x11",
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "MOZ_CRASHREPORTER_DISABLE": "1",
        "NO_AT_BRIDGE": "1",
        **({"TZ": zone} if zone else {}),
    }
    command = ["thunderbird", "--profile", str(profile), "--no-remote"]
    command += ["--marionette", "--remote-allow-system-access"]
    process = _start(command, environment, log)
    try:
        yield port
    finally:
        _end(process)


def picture(display: str, path: Path) -> None:
    """What the screen shows, as PNG: for people, so nothing fails where it cannot be had."""
    command = ["import", "-display", display, "-window", "root", "-strip", f"PNG8:{path}"]
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(command, capture_output=True, timeout=60)


def _write_settings(path: Path, settings: Mapping[str, str | int | bool]) -> None:
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in settings.items()]
    path.write_text("".join(lines))


def _free_port() -> int:
    """Of those that the kernel lends to nobody: Thunderbird takes it some seconds later."""
    for port in random.sample(range(31_100, 32_700), 100):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free for Thunderbird's remote control")


def _start(
    command: list[str], environment: dict[str, str], log: Path, pass_fds: tuple[int, ...] = ()
) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=pass_fds,
            start_new_session=True,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and its children: they share a group of their own."""
    for number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 5)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # children that outlived it
