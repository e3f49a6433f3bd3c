"""The command line as a newcomer meets it: each command in a process of its own, against a node that serves or not.

What is printed is looked at as a person would: one sentence, the right stream, the right exit code, never a trace.
"""

from __future__ import annotations

import hashlib
import imaplib
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from prometheus_client.parser import text_string_to_metric_families

from deploy.demo import clients, letters, people, pki, world

pytestmark = [pytest.mark.peers, pytest.mark.timeout(1200)]  # each command is a process of its own

DOMAIN = "mss.clinique.test"
GP, NURSE, WARD, SYSTEM, PROBE = (
    f"{name}@{DOMAIN}" for name in ("medecin", "infirmiere", "service", "dpi", "sonde")
)
PHRASE = "phrase de passe"
HERE = pki.Organisation.with_finess("CLINIQUE TEST", 7, "Ain (01)")

# key in the file, key in `Ports`, under which section
PORTS = {
    "operator_port": ("smtp", 25),
    "submission_port": ("submission", 587),
    "submissions_port": ("submissions", 465),
    "tls_port": ("imaps", 993),
}


@dataclass
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def ask(*arguments: str | Path, environment: dict[str, str] | None = None) -> Said:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.node.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ | {"COLUMNS": "80"} | (environment or {}),
    )
    return Said(done.returncode, done.stdout, done.stderr)


def did(*arguments: str | Path) -> str:
    said = ask(*arguments)
    assert (said.code, said.err) == (0, ""), said
    return said.out


def refused(*arguments: str | Path) -> str:
    """The one sentence of a command that does not do it."""
    said = ask(*arguments)
    assert (said.code, said.out) == (1, ""), said
    assert "Traceback" not in said.err
    sentence = said.err.removesuffix("\n")
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


@dataclass
class Place:
    """A node's home, its key elsewhere, and its certificates."""

    folder: Path
    base: int
    home: Path = field(init=False)

    def __post_init__(self) -> None:
        self.home = self.folder / "node"

    @property
    def kek(self) -> Path:
        return self.folder / "kek" / "node.kek"

    @property
    def config(self) -> Path:
        return self.home / "vaguemestre.toml"

    @property
    def ca(self) -> Path:
        return self.folder / "pki" / "ca.pem"

    @property
    def backup(self) -> Path:
        return self.folder / "backup"

    def port(self, name: str) -> int:
        return (
            self.base + {"smtp": 25, "submission": 587, "submissions": 465, "imap": 143, "imaps": 993}[name]
        )

    def init(self) -> list[str | Path]:
        tls = self.folder / "pki"
        return [
            "init", "--home", self.home, "--domain", DOMAIN, "--kek", self.kek, "--hostname", "localhost",
            "--certificate", tls / "server.pem", "--key", tls / "server.key", "--client-ca", tls / "client-ca.pem",
        ]  # fmt: skip

    def choose_ports(self, home: Path | None = None) -> None:
        """As an administrator edits the file: take the comment mark off, write another number."""
        path = (home or self.home) / "vaguemestre.toml"
        text = path.read_text()
        for key, (_, port) in PORTS.items():
            text = re.sub(rf"^(# )?{key} = .*$", f"{key} = {self.base + port}", text, flags=re.MULTILINE)
        sections = (
            *(("imap", "port", 143), ("web", "port", 443), ("metrics", "port", 464)),
            *(("ldap", "port", 389), ("ldap", "tls_port", 636)),
        )
        for section, key, port in sections:
            text = re.sub(
                rf"(^\[{section}\]\n(?:(?!\[).*\n)*?)(?:# )?{key} = .*$",
                rf"\g<1>{key} = {self.base + port}",
                text,
                flags=re.MULTILINE,
            )
        path.write_text(text)

    def write_certificate(self, dates: pki.Dates = pki.Dates.CURRENT) -> bytes:
        """A server certificate in its place; its serial number in DER is returned to be recognised."""
        leaf = pki.TestAuthority.load(self.folder / "pki").issue_server(
            "mail.clinique.test", HERE, dates=dates
        )
        leaf.write(self.folder / "pki", "server")
        return leaf.der


def wait_for(holds: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


class Serving:
    """`vaguemestre serve` in its own process."""

    def __init__(self, home: Path, log: Path) -> None:
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.node.cli", "serve", "--home", str(home)],
                stdout=out,
                stderr=out,
            )
        wait_for(lambda: "serving" in log.read_text() or self.process.poll() is not None)
        assert self.process.poll() is None, log.read_text()

    def stop(self) -> int:
        """Exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """Certificates only; the first test makes the node."""
    folder = Path(tempfile.mkdtemp(prefix="vm-console-"))
    authority = pki.TestAuthority.create()
    authority.write(folder / "pki")
    bundle = (folder / "pki" / "ca.pem").read_bytes() + (folder / "pki" / "intermediate.pem").read_bytes()
    (folder / "pki" / "client-ca.pem").write_bytes(bundle)
    authority.issue_client("DPI TEST", HERE).write(folder / "pki", "client")
    made = Place(folder, world.free_port_base())
    made.write_certificate()
    yield made
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def node(place: Place) -> Place:
    """A node just made; nothing serves it."""
    place.home.mkdir()
    did(*place.init())
    place.choose_ports()
    return place


@pytest.fixture(scope="module")
def accounts(node: Place) -> dict[str, str]:
    """Five accounts made while nothing serves; app passwords by address."""
    made: dict[str, str] = {}
    for address in (GP, NURSE, PROBE):
        out = did("account", "add", address, "--home", node.home)
        found = re.search(r"^App password, shown this once: (\S+)$", out, re.MULTILINE)
        assert found
        made[address] = found[1]
    did("account", "add", WARD, "--kind", "org", "--home", node.home)
    client = node.folder / "pki" / "client.pem"
    out = did("account", "add", SYSTEM, "--kind", "APP", "--client-certificate", client, "--home", node.home)
    assert out == f"{SYSTEM} (APP) has a mailbox. It logs in with its certificate (SASL EXTERNAL).\n"
    return made


@pytest.fixture(scope="module")
def keys(node: Place, accounts: dict[str, str]) -> dict[str, people.PersonKey]:
    return {
        address: people.make_key(address.partition("@")[0], address, PHRASE, node.folder / "people")
        for address in (GP, NURSE)
    }


@pytest.fixture(scope="module")
def serving(node: Place, keys: dict[str, people.PersonKey]) -> Iterator[Serving]:
    """The same node, served. Every command works as before."""
    one = Serving(node.home, node.folder / "log")
    yield one
    if one.process.poll() is None:
        one.stop()


# ------------------------------------------------------------------------------------------------ making a node


def test_init_refuses_a_kek_under_the_home_and_leaves_nothing(place: Place, tmp_path: Path) -> None:
    home = tmp_path / "node"
    sentence = refused("init", "--home", home, "--domain", DOMAIN, "--kek", home / "kek")
    assert sentence == f"The key-encryption key must not lie under the home: {home / 'kek'}."
    assert not home.exists()


def test_init_makes_a_node_and_says_what_to_keep(tmp_path: Path) -> None:
    home, kek = tmp_path / "node", tmp_path / "kek"
    out = did("init", "--home", home, "--domain", DOMAIN, "--kek", kek)
    assert out.splitlines() == [
        f"Node made in {home}.",
        f"Configuration: {home / 'vaguemestre.toml'}",
        f"Key-encryption key: {kek} - keep a copy apart: without it nothing here opens again.",
        "Before `vaguemestre serve`: fill the [tls] section of the configuration.",
    ]
    assert (home.stat().st_mode & 0o777, kek.stat().st_mode & 0o777) == (0o700, 0o600)
    assert refused("serve", "--home", home) == (
        "No TLS certificate: set `certificate` and `key` in the [tls] section."
    )


def test_init_overwrites_nothing(node: Place) -> None:
    kek, config = node.kek.read_bytes(), node.config.read_bytes()
    assert refused(*node.init()) == f"{node.config} exists already: this node was made before."
    assert (node.kek.read_bytes(), node.config.read_bytes()) == (kek, config)


def test_a_command_without_a_node_says_how_to_make_one(tmp_path: Path) -> None:
    for command in (["account", "list"], ["serve"], ["check"], ["audit", "verify"]):
        sentence = refused(*command, "--home", tmp_path)
        assert sentence == f"No configuration at {tmp_path}/vaguemestre.toml. Run `vaguemestre init` first."


# ------------------------------------------------------------------------------------------------- accounts


def test_an_empty_list_says_how_to_fill_it(tmp_path: Path) -> None:
    home = tmp_path / "node"
    did("init", "--home", home, "--domain", DOMAIN, "--kek", tmp_path / "kek")
    assert did("account", "list", "--home", home) == (
        "No account yet: `vaguemestre account add` makes one.\n"
    )
    assert did("key", "list", "--home", home) == (
        "No certificate yet: `vaguemestre key publish` brings one.\n"
    )


ACCOUNT_FAULTS = {
    f"add {GP.upper()}": "This address has an account, or had one: it is never given again (address-taken).",
    "add x@ailleurs.test": "This domain is not one of this node's (foreign-domain).",
    "add nobody": "This is not a plain mail address (bad-address).",
    f"add x@{DOMAIN} --kind patient": "Kinds are PER, ORG, APP and CAB.",
    f"add x@{DOMAIN} --kind APP --client-certificate CLIENT": (
        "This certificate speaks for another account already."
    ),
    f"add x@{DOMAIN} --kind ORG --client-certificate CLIENT": (
        "Only a system's account (APP) logs in by certificate."
    ),
    f"add x@{DOMAIN} --kind APP --client-certificate NOWHERE": "NOWHERE: No such file or directory.",
    f"add x@{DOMAIN} --kind APP --client-certificate KEK": "The client certificate is not a PEM certificate.",
    f"suspend x@{DOMAIN}": f"There is no account x@{DOMAIN}.",
    f"password add {WARD}": (
        "Nobody logs in as a shared account: its members do, as themselves (shared-account)."
    ),
    f"password revoke {GP} none": "This account has no such password (unknown-credential).",
    f"certificate unbind {SYSTEM} none": "This account has no such certificate (unknown-credential).",
    f"certificate bind {GP} CLIENT": "Only a system's account (APP) logs in by certificate.",
    f"member add {GP} {NURSE}": "Only a shared account (ORG, CAB) has members (not-shared).",
    f"member add {WARD} {SYSTEM}": "Only a personal account (PER) can be a reader (not-a-person).",
    f"member remove {WARD} {GP}": "This person is not a reader of it (not-a-member).",
}


@pytest.mark.parametrize("line", ACCOUNT_FAULTS)
def test_what_cannot_be_done_with_an_account_is_told_in_one_sentence(
    serving: Serving, node: Place, line: str
) -> None:
    files = {"CLIENT": node.folder / "pki" / "client.pem", "NOWHERE": node.folder / "none", "KEK": node.kek}
    words = [files.get(word, word) for word in line.split()]
    expected = ACCOUNT_FAULTS[line].replace("NOWHERE", str(node.folder / "none"))
    assert refused("account", *words, "--home", node.home) == expected


def test_the_list_of_accounts_is_a_table_for_people_and_json_for_machines_and_what_was_refused_made_none(
    serving: Serving, node: Place
) -> None:
    header, *lines = did("account", "list", "--home", node.home).splitlines()
    assert header.split() == ["Address", "Kind", "Letters", "State", "Members"]
    assert [line.split()[0] for line in lines] == sorted([GP, NURSE, WARD, SYSTEM, PROBE])
    rows = {row["address"]: row for row in ask("account", "list", "--json", "--home", node.home).json}
    assert rows[PROBE]["kind"] == "PER"
    assert rows[PROBE]["mode"] == "custody"
    assert rows[PROBE]["suspended"] is False
    assert rows[PROBE]["state"] == ""


def test_the_list_says_who_is_kept_out_and_why(serving: Serving, node: Place) -> None:
    home = ["--home", node.home]
    someone = "passage@" + PROBE.split("@")[1]
    ask("account", "add", someone, "--json", *home)

    def state() -> str:
        rows = ask("account", "list", "--json", *home).json
        return next(row["state"] for row in rows if row["address"] == someone)

    did("account", "practice", someone, "lost", *home)
    assert state() == "not practising"
    did("account", "practice", someone, "regained", *home)
    did("account", "suspend", someone, "--reason", "essai", *home)
    assert state() == "suspended"
    did("account", "reinstate", someone, *home)
    assert state() == ""


def test_suspend_and_reinstate(serving: Serving, node: Place, accounts: dict[str, str]) -> None:
    def may_log_in() -> bool:
        context = clients.tls(node.ca)
        try:
            with clients.mailbox(node.port("imaps"), context, PROBE, accounts[PROBE]):
                return True
        except clients.PROTOCOL_ERRORS:
            return False

    def suspended() -> bool:
        rows = ask("account", "list", "--json", "--home", node.home).json
        return next(row["suspended"] for row in rows if row["address"] == PROBE)

    assert (
        did("account", "suspend", PROBE, "--reason", "essai", "--home", node.home)
        == f"{PROBE} is suspended.\n"
    )
    assert (suspended(), may_log_in()) == (True, False)
    assert did("account", "reinstate", PROBE, "--home", node.home) == f"{PROBE} is open again.\n"
    assert (suspended(), may_log_in()) == (False, True)


def test_a_revoked_password_ends_the_session_it_began(serving: Serving, node: Place) -> None:
    home = ["--home", node.home]
    bounds = ["--protocol", "imap", "--days", "30", "--network", "127.0.0.0/8"]
    out = did("account", "password", "add", PROBE, "--label", "lost phone", *bounds, *home)
    secret = out.rpartition(" ")[2].strip()
    header, *lines = did("account", "password", "list", PROBE, *home).splitlines()
    assert header.split() == [
        "Id",
        "For",
        "Made",
        "(UTC)",
        "Until",
        "Last",
        "used",
        "From",
        "Serves",
        "Allowed",
        "from",
    ]
    assert len(lines) == 2
    assert secret not in "".join(lines)
    [line] = [line for line in lines if "lost phone" in line]
    lost = line.split()[0]
    assert line.split()[-2:] == ["imap", "127.0.0.0/8"]
    with clients.mailbox(node.port("imaps"), clients.tls(node.ca), PROBE, secret) as imap:
        assert imap.noop()[0] == "OK"
        out = did("account", "password", "revoke", PROBE, lost, *home)
        assert out == f"The app password {lost} of {PROBE} is revoked; its sessions end.\n"
        with pytest.raises(clients.PROTOCOL_ERRORS, match="EXPIRED"):
            imap.noop()
    assert len(ask("account", "password", "list", PROBE, "--json", *home).json) == 1


def test_the_life_of_an_account_from_the_console(serving: Serving, node: Place) -> None:
    """Struck off, back again, closed for good: each said, each traced with the means and where from."""
    home = ["--home", node.home]
    retired = f"retraite@{DOMAIN}"
    did("account", "add", retired, "--no-password", *home)
    assert did("account", "practice", retired, "lost", "--reason", "radiation", *home) == (
        f"{retired} has no way in any more, and letters are refused.\n"
    )
    assert did("account", "practice", retired, "regained", *home) == f"{retired} may practise again.\n"
    assert did("account", "contact", retired, "open", *home) == f"{retired}: open.\n"
    assert refused("account", "contact", retired, "all", *home).startswith("Choices are replies_only")
    assert did("account", "software", retired, *home) == f"{retired} has no practice software.\n"
    assert "Copies are not made" in did("account", "software", retired, SYSTEM, *home)
    assert refused("account", "software", retired, WARD, *home).startswith("Practice software has an account")
    assert did("account", "software", retired, "none", *home) == f"{retired} has no practice software.\n"
    assert did("account", "sector", WARD, "sa01", *home) == f"{WARD}: SA01.\n"
    assert refused("account", "close", retired, *home) == (
        "Nothing was closed: nobody is there to be asked. Add --yes."
    )
    came_by_ssh = {"SSH_CONNECTION": "192.0.2.55 51000 192.0.2.1 22"}
    said = ask("account", "close", retired, "--yes", "--reason", "retraite", *home, environment=came_by_ssh)
    assert (said.code, said.out) == (0, f"{retired} is closed for good.\n")
    rows = ask("account", "list", "--json", *home).json
    assert [row["state"] for row in rows if row["address"] == retired] == ["closed"]
    assert refused("account", "reinstate", retired, *home).endswith("(account-closed).")
    assert refused("account", "add", retired, *home).endswith("(address-taken).")
    [row] = ask("audit", "show", "--action", "account-close", "--json", *home).json
    assert row["network"] == "192.0.2.55"
    assert row["detail"] == {"means": "console", "reason": "retraite"}
    assert did("account", "unused", *home) == "Every mailbox is used.\n"


def test_limits_and_the_figures_of_a_month_are_shown(serving: Serving, node: Place) -> None:
    home = ["--home", node.home]
    rows = {row["limit"]: row for row in ask("limits", "show", "--json", *home).json}
    assert rows["letters_per_hour"]["most"] == 500
    assert rows["imap_connections"]["taken"] >= 0
    assert "letters_per_hour" in did("limits", "show", *home)
    month = time.strftime("%Y-%m", time.gmtime())
    out = did("operator", "statistics", "--month", month, *home)
    header, *lines = out.splitlines()
    assert header == "month,figure,of,count"
    assert any(line.startswith(f"{month},mailboxes,PER,") for line in lines)
    file = node.folder / "month.csv"
    did("operator", "statistics", "--month", month, "--csv", file, *home)
    assert file.read_text().splitlines()[0] == header
    assert refused("operator", "statistics", "--month", "hier", *home) == "A month is written YYYY-MM."


def test_a_certificate_is_bound_and_unbound(serving: Serving, node: Place) -> None:
    home = ["--home", node.home]
    pki.TestAuthority.load(node.folder / "pki").issue_client("DPI 2 TEST", HERE).write(
        node.folder / "pki", "next"
    )
    pem = node.folder / "pki" / "next.pem"
    assert did("account", "certificate", "bind", SYSTEM, pem, *home) == f"{pem} speaks for {SYSTEM}.\n"
    rows = ask("account", "certificate", "list", SYSTEM, "--json", *home).json
    assert len(rows) == 2
    assert all(row["matched"].startswith("sha256:") for row in rows)
    der = x509.load_pem_x509_certificate(pem.read_bytes()).public_bytes(Encoding.DER)
    [newest] = [row["credential"] for row in rows if row["matched"].endswith(hashlib.sha256(der).hexdigest())]
    out = did("account", "certificate", "unbind", SYSTEM, newest, *home)
    assert out == f"The certificate {newest} speaks for {SYSTEM} no more; its sessions end.\n"
    assert len(did("account", "certificate", "list", SYSTEM, *home).splitlines()) == 2
    assert did("account", "certificate", "list", GP, *home) == f"No certificate speaks for {GP}.\n"


# ---------------------------------------------------------------------------------------------- keys, members


def test_keys_and_members(serving: Serving, node: Place, keys: dict[str, people.PersonKey]) -> None:
    """Published, seen in the list, made members, revoked, published anew: as an administrator goes about it."""
    home = ["--home", node.home]
    for address, key in keys.items():
        out = did("key", "publish", address, key.public, *home)
        assert out == f"{address} is sealed to {key.fingerprint} from now on.\n"
    assert refused("key", "publish", GP, keys[NURSE].public, *home).endswith("(user-id-of-another).")
    assert refused("key", "publish", GP, node.config, *home) == (
        "This is not an OpenPGP public key (not-a-certificate)."
    )
    for person in keys:
        out = did("account", "member", "add", WARD, person, *home)
        assert out == f"{person} reads {WARD} from the next letter on.\n"
    assert "has no valid certificate" in refused("account", "member", "add", WARD, PROBE, *home)
    rows = {row["address"]: row for row in ask("account", "list", "--json", *home).json}
    assert rows[WARD]["mode"] == "sealed"
    assert sorted(rows[WARD]["members"]) == sorted([GP, NURSE])
    out = did("account", "member", "remove", WARD, NURSE, *home)
    assert out == f"{NURSE} no longer sees {WARD}. Copies already pulled stay with them.\n"

    listed = {row["address"]: row for row in ask("key", "list", "--json", *home).json}
    assert listed[NURSE] == {
        "address": NURSE,
        "family": "openpgp",
        "standing": "valid",
        "held_by": "holder",
        "fingerprint": keys[NURSE].fingerprint,
    }
    assert did("key", "revoke", NURSE, *home) == f"{keys[NURSE].fingerprint} is revoked.\n"
    assert refused("key", "revoke", NURSE, *home) == f"{NURSE} has no certificate in force."
    assert refused("key", "revoke", NURSE, "ABCD", *home) == f"{NURSE} has no certificate ABCD."
    assert refused("key", "publish", NURSE, keys[NURSE].public, *home).endswith("(revoked).")
    header, *lines = did("key", "list", *home).splitlines()
    assert header.split() == ["Address", "Family", "Standing", "Fingerprint", "Held", "by"]
    assert [NURSE, "openpgp", "revoked"] in [line.split()[:3] for line in lines]


# ----------------------------------------------------------------------------------------- the trace, check, doctor


def test_the_trace_is_read_and_verified(serving: Serving, node: Place, accounts: dict[str, str]) -> None:
    did("account", "suspend", PROBE, "--reason", "essai", "--home", node.home)
    did("account", "reinstate", PROBE, "--home", node.home)
    header, *lines = did(
        "audit", "show", "--address", PROBE, "--limit", "2", "--home", node.home
    ).splitlines()
    assert header.startswith("No")
    assert [line.split()[3] for line in lines] == ["account-suspend", "account-reinstate"]
    assert all(re.search(rf"console:\S+ +{re.escape(PROBE)} +done", line) for line in lines)
    rows = ask("audit", "show", "--action", "password-add", "--json", "--home", node.home).json
    assert {row["on"] for row in rows} >= set(accounts)
    assert not any(password in json.dumps(rows) for password in accounts.values())
    assert did("audit", "show", "--reference", "0000000000", "--home", node.home) == (
        "Nothing of that is in the trace.\n"
    )
    assert re.fullmatch(
        r"The trace is whole: \d+ entries, 0 of them purged in their time\. \d+ heads noted outside agree\.\n",
        did("audit", "verify", "--home", node.home),
    )


def test_doctor_finds_nothing_wrong_and_sends_a_letter_round(
    serving: Serving, node: Place, accounts: dict[str, str]
) -> None:
    password = {"VAGUEMESTRE_PROBE_PASSWORD": accounts[PROBE]}
    said = ask("doctor", "--probe", PROBE, "--home", node.home, environment=password)
    assert (said.code, said.err) == (0, ""), said.out
    assert not re.search(r"^\[FAIL\]", said.out, re.MULTILINE)
    assert f"[ok]   letter: A letter of {PROBE} to itself went round." in said.out.splitlines()
    with clients.mailbox(node.port("imaps"), clients.tls(node.ca), PROBE, accounts[PROBE]) as imap:
        assert imap.select("INBOX")[1] == [b"0"], "the test letter is taken away again"
    wrong = ask(
        "doctor", "--probe", PROBE, "--home", node.home, environment={"VAGUEMESTRE_PROBE_PASSWORD": "x"}
    )
    assert wrong.code == 1
    assert (
        f"[FAIL] letter: The password in VAGUEMESTRE_PROBE_PASSWORD is not one of {PROBE}."
        in wrong.out.splitlines()
    )


def test_prometheus_reads_each_family_once(serving: Serving, node: Place) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{node.base + 464}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    declared = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    names = [name for name, _ in declared]
    assert len(names) == len(set(names))
    assert {f.name for f in text_string_to_metric_families(text)} == {n.removesuffix("_total") for n in names}
    kinds = dict(declared)
    assert kinds["vaguemestre_imap_open"] == kinds["vaguemestre_imap_append_octets"] == "gauge"
    assert kinds["vaguemestre_smtp_connections_open"] == "gauge"
    assert kinds["vaguemestre_smtp_connections_total"] == "counter"


def findings(node: Place, *arguments: str | Path) -> dict[str, tuple[str, str]]:
    said = ask("doctor", "--json", "--home", node.home, *arguments)
    found = {row["subject"]: (row["verdict"], row["sentence"]) for row in said.json}
    assert said.code == any(verdict == "failed" for verdict, _ in found.values())
    return found


def test_doctor_finds_what_is_planted(serving: Serving, node: Place, tmp_path: Path) -> None:
    tls = node.folder / "pki"
    before = (tls / "server.pem").read_bytes(), (tls / "server.key").read_bytes()
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "schema.cedarschema").write_text("no schema")
    config = tmp_path / "other.toml"
    text = node.config.read_text()
    config.write_text(re.sub(r"^# rules = .*$", f'rules = "{rules}"', text, flags=re.MULTILINE))
    try:
        node.write_certificate(pki.Dates.EXPIRED)
        ended = x509.load_pem_x509_certificate((tls / "server.pem").read_bytes()).not_valid_after_utc
        node.kek.chmod(0o644)
        node.home.chmod(0o755)
        (tls / "server.key").chmod(0o644)
        found = findings(node, "--config", config)
    finally:
        node.kek.chmod(0o600)
        node.home.chmod(0o700)
        (tls / "server.pem").write_bytes(before[0])
        (tls / "server.key").write_bytes(before[1])
        (tls / "server.key").chmod(0o600)
    assert found["certificate"] == (
        "failed",
        f"{tls / 'server.pem'} expired on {ended:%Y-%m-%d}: renew it.",
    )
    assert found["key-encryption key"] == (
        "failed",
        f"Others may read the key-encryption key: chmod 600 {node.kek}.",
    )
    assert found["home"] == ("failed", f"{node.home} is open to other users of this machine: chmod 700 it.")
    assert found["rules"][0] == "failed"
    assert findings(node)["certificate"][0] == "good"


# -------------------------------------------------------------------------------------------- reload, starting


def certificate_shown(node: Place, port: str) -> bytes:
    with (
        socket.create_connection(("localhost", node.port(port)), timeout=60) as clear,
        clients.tls(node.ca).wrap_socket(clear, server_hostname="localhost") as secured,
    ):
        shown = secured.getpeercert(binary_form=True)
    assert shown is not None
    return shown


def test_sighup_takes_a_new_certificate_and_a_bad_one_keeps_the_old(serving: Serving, node: Place) -> None:
    renewed = node.write_certificate()
    assert certificate_shown(node, "imaps") != renewed
    serving.process.send_signal(signal.SIGHUP)
    for port in ("imaps", "submissions"):
        wait_for(lambda port=port: certificate_shown(node, port) == renewed)
    kept = (node.folder / "pki" / "server.pem").read_bytes()
    (node.folder / "pki" / "server.pem").write_text("nothing")
    serving.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "not reloaded: TLS certificate" in serving.log.read_text())
    (node.folder / "pki" / "server.pem").write_bytes(kept)
    assert [certificate_shown(node, port) for port in ("imaps", "submissions")] == [renewed, renewed]


def test_a_second_node_on_the_same_home_does_not_start(serving: Serving, node: Place) -> None:
    assert refused("serve", "--home", node.home) == (
        "A node serves this home already, or another command works in it."
    )
    assert serving.process.poll() is None


def planted(node: Place, folder: Path, pattern: str, line: str) -> Path:
    """The node's configuration with one line changed."""
    text = re.sub(pattern, line, node.config.read_text(), count=1, flags=re.MULTILINE)
    assert text != node.config.read_text()
    path = folder / "planted.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory, place: Place) -> Place:
    """Another home with the same certificates, that nobody serves."""
    other = Place(place.folder, world.free_port_base())
    other.home = tmp_path_factory.mktemp("idle") / "node"
    did(*other.init())
    other.choose_ports()
    return other


START_FAULTS = {
    "a missing certificate": (
        r"^certificate = .*$",
        'certificate = "/nowhere/server.pem"',
        "TLS certificate or key not found: /nowhere/server.pem.",
    ),
    "a key that is another's": (
        r"^key = .*$",
        'key = "PKI/client.key"',
        "TLS certificate PKI/server.pem and key PKI/client.key cannot be used: they do not belong together.",
    ),
    "missing authorities": (
        r"^client_ca = .*$",
        'client_ca = "/nowhere/ca.pem"',
        "Client authorities /nowhere/ca.pem cannot be read.",
    ),
    "a missing key-encryption key": (
        r"^kek = .*$",
        'kek = "/nowhere/kek"',
        "The key-encryption key cannot be read: /nowhere/kek.",
    ),
    "missing rules": (
        r"^# rules = .*$",
        'rules = "/nowhere/rules"',
        "The rules cannot be used: /nowhere/rules/schema.cedarschema cannot be read: No such file or directory.",
    ),
    "a value out of range": (
        r"^operator_port = .*$",
        "operator_port = 70000",
        "CONFIG: smtp.operator_port: Input should be less than or equal to 65535.",
    ),
    "an unknown key": (r"^operator_port = .*$", "operateur = 25", "CONFIG: smtp.operateur: unknown key."),
    "a file that is no TOML": (
        r"^operator_port = .*$",
        "operator_port =",
        "CONFIG cannot be read: Invalid value (at line LINE, column 16).",
    ),
}


@pytest.mark.parametrize("fault", START_FAULTS)
def test_a_start_that_fails_says_why_in_one_sentence(idle: Place, tmp_path: Path, fault: str) -> None:
    pattern, line, expected = START_FAULTS[fault]
    line = line.replace("PKI", str(idle.folder / "pki"))
    config = planted(idle, tmp_path, pattern, line)
    number = next((n for n, text in enumerate(config.read_text().splitlines(), 1) if text == line), 0)
    expected = expected.replace("PKI", str(idle.folder / "pki")).replace("CONFIG", str(config))
    assert refused("serve", "--home", idle.home, "--config", config) == expected.replace("LINE", str(number))


def test_a_port_that_is_taken_is_named(idle: Place) -> None:
    for name in ("submission", "imap"):
        with socket.create_server(("0.0.0.0", idle.port(name))):
            assert refused("serve", "--home", idle.home) == (
                f"Port {idle.port(name)} is taken by another program: end it, or choose another port in the "
                "configuration."
            )


# ---------------------------------------------------------------------------------- stop, backup, restore, and on


@pytest.fixture(scope="module")
def letter(serving: Serving, node: Place, keys: dict[str, people.PersonKey]) -> letters.Letter:
    """One from the system to the general practitioner."""
    home = ["--home", node.home]
    ask("key", "publish", GP, keys[GP].public, *home)
    sent = letters.report(SYSTEM, GP, pdf_bytes=100_000, patient="Hélène Restaurée")
    tls = node.folder / "pki"
    context = clients.tls(node.ca, tls / "client.pem", tls / "client.key")
    clients.send_as_system(node.port("submissions"), context, SYSTEM, [GP], sent.data)
    return sent


def test_check_reads_everything(serving: Serving, node: Place, letter: letters.Letter) -> None:
    out = did("check", "--home", node.home)
    assert re.fullmatch(r"1 message, 1 blob read\.\nNothing is damaged\.\n", out)
    assert ask("check", "--json", "--home", node.home).json["faults"] == []


def test_who_watches_check_on_a_terminal_sees_how_far_it_is(
    serving: Serving, node: Place, letter: letters.Letter
) -> None:
    def watched(*more: str) -> tuple[str, bytes]:
        terminal, stream = pty.openpty()
        with os.fdopen(terminal, "rb", buffering=0) as shown:
            done = subprocess.run(
                [sys.executable, "-m", "deploy.node.cli", "check", "--home", str(node.home), *more],
                stdout=subprocess.PIPE,
                stderr=stream,
                timeout=240,
                check=True,
            )
            os.write(stream, b"END")
            os.close(stream)
            seen = b""
            while not seen.endswith(b"END"):
                seen += shown.read(65536)
        return done.stdout.decode(), seen

    out, seen = watched()
    assert out.endswith("Nothing is damaged.\n")
    assert b"messages" in seen
    assert watched("--json")[1] == b"END"


def test_a_backup_is_made_beside_the_serving_node_and_never_over_another(
    serving: Serving, node: Place, letter: letters.Letter
) -> None:
    keystore = node.folder / "apart" / "keystore.json"
    out = did("backup", "--to", node.backup, "--keystore-to", keystore, "--home", node.home)
    assert re.fullmatch(rf"Backup in {node.backup}: \d+ files, \d+ bytes\.\n", out)
    names = {path.name for path in node.backup.rglob("*")}
    assert not names & {"keystore.json", "node.kek"}
    again = refused("backup", "--to", node.backup, "--home", node.home)
    assert again == f"{node.backup} is not empty: give each backup a folder of its own."
    inside = refused("backup", "--to", node.home / "backup", "--home", node.home)
    assert inside == "A backup inside the home goes with it: choose another disk."
    nowhere = refused("backup", "--to", "/proc/none/backup", "--home", node.home)
    assert nowhere == "/proc/none: No such file or directory."


def test_restore_refuses_what_is_no_backup_and_a_home_that_is_taken(
    serving: Serving, node: Place, letter: letters.Letter, tmp_path: Path
) -> None:
    assert refused("restore", "--from", node.backup, "--home", node.home) == (
        f"{node.home} holds a node already: restore into an empty folder."
    )
    assert refused("restore", "--from", tmp_path, "--home", tmp_path / "new") == (
        f"{tmp_path} holds no backup of a node."
    )


def newest(node: Place, accounts: dict[str, str]) -> tuple[int, bytes]:
    """UIDVALIDITY of INBOX, and its newest letter."""
    with clients.mailbox(node.port("imaps"), clients.tls(node.ca), GP, accounts[GP]) as imap:
        stored = clients.newest(imap)
        return int(imap.response("UIDVALIDITY")[1][0] or b"0"), stored


def test_sigterm_ends_the_node_in_good_order_and_a_restored_one_goes_on(
    serving: Serving,
    node: Place,
    accounts: dict[str, str],
    keys: dict[str, people.PersonKey],
    letter: letters.Letter,
) -> None:
    before, stored = newest(node, accounts)
    # Two that say nothing, one of them logged in, which might wait for half an hour.
    with socket.create_connection(("localhost", node.port("imap"))):
        silent = imaplib.IMAP4_SSL("localhost", node.port("imaps"), ssl_context=clients.tls(node.ca))
        silent.login(GP, accounts[GP])
        assert serving.stop() == 0
        silent.shutdown()
    assert not (node.home / "control.sock").exists()
    assert "Traceback" not in serving.log.read_text()

    restored = node.folder / "restored"
    keystore = node.folder / "apart" / "keystore.json"
    out = did("restore", "--from", node.backup, "--keystore", keystore, "--home", restored)
    assert out == (
        f"Restored into {restored}; its configuration is {restored}/vaguemestre.toml. See that `keys.kek` there "
        "names the key-encryption key, then `serve`.\n"
    )
    assert did("check", "--home", restored).endswith("Nothing is damaged.\n")
    again = Serving(restored, node.folder / "log-restored")
    try:
        after, found = newest(node, accounts)
        assert after > before
        assert found == stored
        authority = restored / "authority" / "authority.asc"
        opened = clients.open_with_gpg(found, keys[GP].secret, PHRASE, authority)
        assert (opened.subject, opened.good_signature) == (letter.subject, True)
    finally:
        assert again.stop() == 0


@pytest.mark.parametrize("left_in_the_home", [False, True])
def test_a_node_whose_configuration_lies_elsewhere_is_backed_up_with_it(
    idle: Place, tmp_path: Path, left_in_the_home: bool
) -> None:
    config = planted(idle, tmp_path, r"^operator_port = .*$", "operator_port = false  # said here")
    home, restored = tmp_path / "node", tmp_path / "restored" / "vaguemestre.toml"
    shutil.copytree(idle.home, home)
    if not left_in_the_home:
        (home / "vaguemestre.toml").unlink()
    did("backup", "--to", tmp_path / "backup", "--home", home, "--config", config)
    out = did("restore", "--from", tmp_path / "backup", "--home", restored.parent)
    assert f"its configuration is {restored}." in out
    assert "No keystore was given" in out
    assert restored.read_bytes() == config.read_bytes()
    assert restored.stat().st_mode & 0o777 == 0o600
    assert did("account", "list", "--home", restored.parent).startswith("No account yet")


def test_a_port_set_to_false_is_closed(idle: Place, tmp_path: Path) -> None:
    config = planted(idle, tmp_path, r"^operator_port = .*$", "operator_port = false")
    shutil.copy2(config, idle.config)
    one = Serving(idle.home, tmp_path / "log")
    try:
        assert re.search(r"doors open: submission \d+", one.log.read_text())
    finally:
        assert one.stop() == 0


def test_the_page_of_help_names_every_command() -> None:
    out = did("--help")
    for command in (
        "init",
        "serve",
        "demo",
        "doctor",
        "check",
        "backup",
        "restore",
        "account",
        "key",
        "audit",
    ):
        assert re.search(rf"│ {command} ", out)
