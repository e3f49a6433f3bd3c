"""Everything the benchmark needs, made once: Debian's servers, users, the load generator, letters, keys.

Invariants: each step can be repeated and does nothing when done; the machine's own mail set-up is left alone
(Postfix runs from a configuration folder of ours, Dovecot from a tree that is unpacked and not installed).
"""

from __future__ import annotations

import os
import pwd
import resource
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench import corpus
from tests.bench.process import CouldNotRun

HERE = Path(__file__).parent
SENDER = "hopital@bench.test"
DOMAIN = "bench.test"

# Installed packages, each with its reason. The libraries are what Dovecot's unpacked binaries link to.
_PACKAGES = {
    "gcc": "compiles the load generator",
    "libc6-dev": "compiles the load generator",
    "libssl-dev": "TLS of the load generator",
    "openssl": "makes the peers' TLS key",
    "gnupg": "makes the professionals' keys",
    "strace": "counts fsyncs",
    "postfix": "the peer that receives",
    "libexttextcat-2.0-0": "Dovecot",
    "liblua5.4-0": "Dovecot",
    "libsodium23": "Dovecot",
    "libstemmer0d": "Dovecot",
    "libtirpc3": "Dovecot",
    "libunwind8": "Dovecot",
    "libwrap0": "Dovecot",
}
_UNPACKED = ("dovecot-core", "dovecot-imapd", "dovecot-lmtpd")
_USERS = {
    "vmail": "owns Dovecot's mailboxes",
    "dovecot": "Dovecot's internal user",
    "dovenull": "Dovecot's login user",
}


@dataclass(frozen=True, slots=True)
class Place:
    """The folders of a benchmark, under $BENCH_HOME."""

    home: Path

    @property
    def dovecot(self) -> Path:
        return self.home / "dovecot"

    @property
    def letters(self) -> Path:
        return self.home / "letters"

    @property
    def tls(self) -> Path:
        return self.home / "tls"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def certificates(self) -> Path:
        return self.home / "certificates"

    @property
    def results(self) -> Path:
        return self.home / "results"

    @property
    def run(self) -> Path:
        """What servers write: thrown away before each benchmark."""
        return self.home / "run"

    @property
    def load_generator(self) -> Path:
        return self.home / "mload"


def everything(place: Place, say: Callable[[str], None]) -> dict[str, Path]:
    """Make what is missing; return the letters by size."""
    if os.geteuid() != 0:
        raise CouldNotRun("Postfix and Dovecot change user, which needs root: sudo make bench")
    resource.setrlimit(resource.RLIMIT_NOFILE, (20_000, 20_000))
    say("Debian packages")
    _install_packages(say)
    place.home.mkdir(parents=True, exist_ok=True)
    for folder in (place.logs, place.tls, place.results, place.certificates):
        folder.mkdir(exist_ok=True)
    say("users of the peers")
    _make_users(say)
    _check_that_daemons_can_enter(place.home)
    say("Dovecot, unpacked")
    _unpack_dovecot(place)
    say("TLS key of the peers")
    _make_tls_key(place.tls)
    say("load generator")
    _compile(place.load_generator)
    say("letters")
    return corpus.write(place.letters, SENDER)


def _run(*command: str, folder: Path | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    if done.returncode != 0:
        raise CouldNotRun(f"{' '.join(command)}: {(done.stderr or done.stdout)[-500:]}")


def _install_packages(say: Callable[[str], None]) -> None:
    asked = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *_PACKAGES],
        capture_output=True,
        text=True,
        check=False,
    )
    present = {line.split()[0] for line in asked.stdout.splitlines() if line.endswith(" installed")}
    missing = [name for name in _PACKAGES if name not in present]
    if not missing:
        return
    for name in missing:
        say(f"  installing {name}: {_PACKAGES[name]}")
    # "No configuration": the package then starts no mail server on port 25 of this machine.
    answer = "postfix postfix/main_mailer_type select No configuration\n"
    subprocess.run(["debconf-set-selections"], input=answer, text=True, check=True)
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    _run("apt-get", "update", "-q")
    _run("apt-get", "install", "-q", "-y", "--no-install-recommends", *missing)


def _make_users(say: Callable[[str], None]) -> None:
    for name, reason in _USERS.items():
        try:
            pwd.getpwnam(name)
        except KeyError:
            say(f"  adding user {name}: {reason}")
            _run("useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name)


def _check_that_daemons_can_enter(home: Path) -> None:
    for folder in (home, *home.parents):
        if not folder.stat().st_mode & 0o001:
            raise CouldNotRun(f"the users postfix and vmail cannot enter {folder}: set BENCH_HOME elsewhere")


def _unpack_dovecot(place: Place) -> None:
    """A private tree: on a machine with another IMAP server, dovecot-imapd could not be installed."""
    if all((place.dovecot / "usr/lib/dovecot" / program).exists() for program in ("lmtp", "imap", "auth")):
        return
    packages = place.home / "debs"
    packages.mkdir(exist_ok=True)
    _run("apt-get", "download", *_UNPACKED, folder=packages)
    for package in sorted(packages.glob("*.deb")):
        _run("dpkg", "-x", str(package), str(place.dovecot))


def _make_tls_key(folder: Path) -> None:
    if (folder / "key.pem").exists():
        return
    _run(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", "3650", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
    )


def _compile(program: Path) -> None:
    source = HERE / "load" / "mload.c"
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return
    fresh = program.with_suffix(".new")
    _run("gcc", "-O2", "-Wall", "-o", str(fresh), str(source), "-lssl", "-lcrypto", "-lpthread")
    shutil.move(fresh, program)
