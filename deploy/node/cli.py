"""`vaguemestre`: the command line. Each command says what it did, or, with `--json`, answers for a machine.

Invariants: a command that writes goes through the running node, or takes the home's lock when none runs;
errors are one clear sentence on the error stream and exit code 1, never a trace.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console as Screen
from rich.text import Text

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Vaguemestre: secure health messaging. Letters are sealed before they are laid down.",
)
account = typer.Typer(no_args_is_help=True, help="Accounts: who has a mailbox here.")
member = typer.Typer(no_args_is_help=True, help="Members of a shared account (ORG, CAB).")
password = typer.Typer(no_args_is_help=True, help="App passwords: one for each mail program.")
certificate = typer.Typer(no_args_is_help=True, help="Client certificates a system logs in with.")
key = typer.Typer(no_args_is_help=True, help="Certificates that seal to an account.")
audit = typer.Typer(no_args_is_help=True, help="The tamper-evident trace.")
policies = typer.Typer(no_args_is_help=True, help="The rules, as text.")
account.add_typer(member, name="member")
account.add_typer(password, name="password")
account.add_typer(certificate, name="certificate")
app.add_typer(account, name="account")
app.add_typer(key, name="key")
app.add_typer(audit, name="audit")
app.add_typer(policies, name="policies")

HomeOption = Annotated[Path, typer.Option("--home", help="Folder of the node's data.")]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Configuration file (default: vaguemestre.toml in the home).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")]
DEFAULT_HOME = Path("var")

# Long lines are the terminal's to wrap: a path or a fingerprint stays whole for who copies it.
_screen = Screen(soft_wrap=True)
_errors = Screen(stderr=True, soft_wrap=True)


def _fail(sentence: str, code: int = 1) -> typer.Exit:
    _errors.print(sentence, style="red", markup=False, highlight=False)
    return typer.Exit(code)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run one command; known failures become one sentence."""
    from deploy.node.failures import KNOWN, sentence

    try:
        return asyncio.run(work)
    except (*KNOWN, OSError) as failure:
        raise _fail(sentence(failure)) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _command(home: Path, config: Path | None, name: str, **arguments: Any) -> Any:
    from deploy.node.console import command

    return _run(command(home.absolute(), config, name, arguments))


@contextlib.contextmanager
def _progress(as_json: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Bars on the error stream while long work goes on, for a person who watches: gone when it ends."""
    if as_json or not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from rich.progress import Progress, TaskID

    with Progress(console=_errors, transient=True) as bars:
        stages: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in stages:
                stages[stage] = bars.add_task(stage, total=total)
            bars.update(stages[stage], completed=done, total=total)

        yield report


def _long_command(home: Path, config: Path | None, as_json: bool, name: str, **arguments: Any) -> Any:
    from deploy.node.console import command

    with _progress(as_json) as report:
        return _run(command(home.absolute(), config, name, arguments, report))


def _show(result: Any, as_json: bool, words: str) -> None:
    if as_json:
        sys.stdout.write(json.dumps(result, ensure_ascii=False, indent=2) + "\n")
    elif words:
        _screen.print(words, markup=False, highlight=False)


def _table(rows: list[dict[str, Any]], columns: dict[str, str], nothing: str) -> None:
    if not rows:
        _screen.print(nothing, markup=False, highlight=False)
        return
    cells = [[_cell(row.get(name)) for name in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns.values(), *cells, strict=True)]
    for number, line in enumerate([list(columns.values()), *cells]):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        _screen.print(Text(text.rstrip(), style="" if number else "bold"))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, dict):
        return " ".join(f"{name}={one}" for name, one in value.items())  # pyright: ignore[reportUnknownVariableType]
    return str(value)


def _content(path: Path) -> bytes:
    """A file named on the command line."""
    from deploy.node.failures import sentence

    try:
        return path.read_bytes()
    except OSError as failure:
        raise _fail(sentence(failure)) from None


# -- the node ---------------------------------------------------------------------------------------------


@app.command()
def init(
    domain: Annotated[list[str], typer.Option(help="A domain this node receives for (repeat for several).")],
    kek: Annotated[Path, typer.Option(help="Key-encryption key to make, outside the home.")],
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    hostname: Annotated[str, typer.Option(help="Name in the server's certificate.")] = "localhost",
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate chain (PEM).")] = None,
    private_key: Annotated[Path | None, typer.Option("--key", help="Its private key (PEM).")] = None,
    client_ca: Annotated[Path | None, typer.Option(help="Authorities of client certificates (PEM).")] = None,
    trust_list: Annotated[Path | None, typer.Option(help="Trust list (XML, ANS schema).")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new node: home, configuration, key-encryption key, databases, authority key."""
    from deploy.node.initialise import Wishes, initialise

    wishes = Wishes(
        home=home.absolute(),
        config=config.absolute() if config else None,
        domains=tuple(domain),
        kek=kek.absolute(),
        hostname=hostname,
        certificate=certificate.absolute() if certificate else None,
        key=private_key.absolute() if private_key else None,
        client_ca=client_ca.absolute() if client_ca else None,
        trust_list=trust_list.absolute() if trust_list else None,
    )
    made = _run(initialise(wishes))
    words = (
        f"Node made in {home}.\nConfiguration: {made['config']}\n"
        f"Key-encryption key: {made['kek']} - keep a copy apart: without it nothing here opens again."
    )
    if not (certificate and private_key and client_ca):
        words += "\nBefore `vaguemestre serve`: fill the [tls] section of the configuration."
    _show(made, as_json, words)


@app.command()
def serve(home: HomeOption = DEFAULT_HOME, config: ConfigOption = None) -> None:
    """Serve until SIGTERM; SIGHUP reloads certificates, rules and the trust list."""
    from deploy.node.lifecycle import run_node

    failure = run_node(home.absolute(), config)
    if failure:
        raise _fail(failure)


@app.command()
def demo(
    home: HomeOption = DEFAULT_HOME,
    port_base: Annotated[int, typer.Option(help="Added to each standard port.")] = 10000,
    once: Annotated[
        bool, typer.Option("--once", help="Play the story, then stop: 0 if every step held.")
    ] = False,
) -> None:
    """Start a whole operator with invented people on this machine, and play the first letters."""
    from deploy.demo.story import run_demo

    if not run_demo(home.absolute(), port_base, once=once):
        raise typer.Exit(1)


@app.command()
def doctor(
    probe: Annotated[
        str | None,
        typer.Option(
            help="Account to send a test letter to itself; its app password in $VAGUEMESTRE_PROBE_PASSWORD."
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find what is wrong: files, keys, certificates, trust list, disk, and a letter through the whole way."""
    from deploy.node.doctor import Probe, examine_node

    findings = _run(examine_node(home.absolute(), config, Probe(probe) if probe else None))
    if as_json:
        _show([finding.as_json() for finding in findings], True, "")
    else:
        for finding in findings:
            _screen.print(
                f"{finding.mark} {finding.subject}: {finding.sentence}", markup=False, highlight=False
            )
    if any(finding.failed for finding in findings):
        raise typer.Exit(1)


@app.command()
def check(home: HomeOption = DEFAULT_HOME, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Read everything that is stored, and say what is damaged."""
    result = _long_command(home, config, as_json, "check")
    _show(
        result, as_json, f"{_count(result['messages'], 'message')}, {_count(result['blobs'], 'blob')} read."
    )
    if result["faults"]:
        if not as_json:
            _table(result["faults"], {"kind": "What", "where": "Where", "sentence": "Meaning"}, "")
        raise typer.Exit(1)
    if not as_json:
        _screen.print("Nothing is damaged.")


@app.command()
def backup(
    to: Annotated[Path, typer.Option("--to", help="Folder for the copy; made if absent.")],
    keystore_to: Annotated[
        Path | None,
        typer.Option(help="Copy the keystore here, apart from the backup; it replaces the copy before."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the node's data, consistent, while it serves. Never the keystore, never the KEK."""
    result = _long_command(
        home,
        config,
        as_json,
        "backup",
        to=str(to.absolute()),
        keystore_to=str(keystore_to.absolute()) if keystore_to else None,
    )
    _show(result, as_json, f"Backup in {to}: {result['files']} files, {result['bytes']} bytes.")


@app.command()
def restore(
    source: Annotated[Path, typer.Option("--from", help="Folder made by `backup`.")],
    keystore: Annotated[Path | None, typer.Option(help="Copy of the keystore, kept apart.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Put a backup back into an empty home. Mail programs will read their folders again."""
    from deploy.node.recovery import restore_home

    with _progress(as_json) as report:
        result = _run(
            restore_home(
                source.absolute(), home.absolute(), keystore.absolute() if keystore else None, report
            )
        )
    words = (
        f"Restored into {home}; its configuration is {result['config']}. See that `keys.kek` there names the "
        "key-encryption key, then `serve`."
    )
    if not result["keystore"]:
        words += (
            "\nNo keystore was given: what waits for its addressee, if anything, opens only with its copy."
        )
    _show(result, as_json, words)


# -- accounts ---------------------------------------------------------------------------------------------


@account.command("add")
def account_add(
    address: str,
    kind: Annotated[str, typer.Option(help="PER, ORG, APP or CAB.")] = "PER",
    client_certificate: Annotated[
        Path | None,
        typer.Option(help="APP: the system's client certificate (PEM); it logs in by SASL EXTERNAL."),
    ] = None,
    password: Annotated[bool, typer.Option(help="Make an app password and show it once.")] = True,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give someone a mailbox. A person or a system also gets an app password, shown once."""
    result = _command(
        home,
        config,
        "account_add",
        address=address,
        kind=kind.upper(),
        certificate=_content(client_certificate).decode("ascii", "replace") if client_certificate else None,
        password=password and kind.upper() in ("PER", "APP"),
    )
    words = f"{result['address']} ({result['kind']}) has a mailbox."
    if client_certificate:
        words += " It logs in with its certificate (SASL EXTERNAL)."
    if result.get("password"):
        words += f"\nApp password, shown this once: {result['password']}"
    _show(result, as_json, words)


@account.command("list")
def account_list(
    home: HomeOption = DEFAULT_HOME, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Every account, with how its letters lie now."""
    rows = _command(home, config, "account_list")
    if as_json:
        _show(rows, True, "")
    else:
        _table(
            rows,
            {
                "address": "Address",
                "kind": "Kind",
                "mode": "Letters",
                "suspended": "Suspended",
                "members": "Members",
            },
            "No account yet: `vaguemestre account add` makes one.",
        )


@account.command("suspend")
def account_suspend(
    address: str, home: HomeOption = DEFAULT_HOME, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """No more logins, no more letters; what lies there stays."""
    result = _command(home, config, "account_suspend", address=address)
    _show(result, as_json, f"{address} is suspended.")


@account.command("reinstate")
def account_reinstate(
    address: str, home: HomeOption = DEFAULT_HOME, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """End a suspension."""
    result = _command(home, config, "account_reinstate", address=address)
    _show(result, as_json, f"{address} is open again.")


@password.command("add")
def password_add(
    address: str,
    label: Annotated[str, typer.Option(help="Which program or device it is for.")] = "mail program",
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make one more app password, shown once."""
    result = _command(home, config, "account_password", address=address, label=label)
    _show(result, as_json, f"App password, shown this once: {result['password']}")


@password.command("list")
def password_list(
    address: str, home: HomeOption = DEFAULT_HOME, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Which app passwords an account has, and when each last served. Never the passwords."""
    rows = _command(home, config, "password_list", address=address)
    if as_json:
        _show(rows, True, "")
    else:
        columns = {
            "credential": "Id", "label": "For", "created": "Made (UTC)", "expires": "Until", "last_used": "Last used",
        }  # fmt: skip
        _table(rows, columns, f"{address} has no app password.")


@password.command("revoke")
def password_revoke(
    address: str,
    credential: Annotated[str, typer.Argument(help="Its id, from `account password list`.")],
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """End an app password and the sessions that logged in with it."""
    result = _command(home, config, "password_revoke", address=address, credential=credential)
    _show(result, as_json, f"The app password {credential} of {address} is revoked; its sessions end.")


@certificate.command("list")
def certificate_list(
    address: str, home: HomeOption = DEFAULT_HOME, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Which client certificates speak for an account."""
    rows = _command(home, config, "certificate_list", address=address)
    if as_json:
        _show(rows, True, "")
    else:
        columns = {"credential": "Id", "created": "Bound (UTC)", "matched": "Certificate"}
        _table(rows, columns, f"No certificate speaks for {address}.")


@certificate.command("bind")
def certificate_bind(
    address: str,
    client_certificate: Annotated[Path, typer.Argument(help="The system's client certificate (PEM).")],
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let one more client certificate speak for a system's account: the next one, before the old expires."""
    pem = _content(client_certificate).decode("ascii", "replace")
    result = _command(home, config, "certificate_bind", address=address, certificate=pem)
    _show(result, as_json, f"{client_certificate} speaks for {address}.")


@certificate.command("unbind")
def certificate_unbind(
    address: str,
    credential: Annotated[str, typer.Argument(help="Its id, from `account certificate list`.")],
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """A client certificate speaks for the account no more; the sessions it began end."""
    result = _command(home, config, "certificate_unbind", address=address, credential=credential)
    _show(result, as_json, f"The certificate {credential} speaks for {address} no more; its sessions end.")


@member.command("add")
def member_add(
    shared: str,
    person: str,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a person read a shared account, from the next letter on."""
    result = _command(home, config, "member_add", shared=shared, person=person)
    _show(result, as_json, f"{person} reads {shared} from the next letter on.")


@member.command("remove")
def member_remove(
    shared: str,
    person: str,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a person out of a shared account, at once."""
    result = _command(home, config, "member_remove", shared=shared, person=person)
    _show(result, as_json, f"{person} no longer sees {shared}. Copies already pulled stay with them.")


# -- keys -------------------------------------------------------------------------------------------------


@key.command("publish")
def key_publish(
    address: str,
    certificate: Annotated[Path, typer.Argument(help="OpenPGP certificate, armored or binary.")],
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Seal to this certificate from now on; what waited or lay in custody is sealed to it."""
    import base64

    data = base64.b64encode(_content(certificate)).decode()
    result = _command(home, config, "key_publish", address=address, certificate=data)
    _show(result, as_json, f"{address} is sealed to {result['fingerprint']} from now on.")


@key.command("revoke")
def key_revoke(
    address: str,
    fingerprint: Annotated[
        str | None, typer.Argument(help="Which one; the one in force if left out.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Nothing is sealed to this certificate any more; until another is published, letters are refused."""
    result = _command(home, config, "key_revoke", address=address, fingerprint=fingerprint)
    _show(result, as_json, f"{result['fingerprint']} is revoked.")


@key.command("list")
def key_list(
    home: HomeOption = DEFAULT_HOME, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Which certificate seals to whom."""
    rows = _command(home, config, "key_list")
    if as_json:
        _show(rows, True, "")
    else:
        _table(
            rows,
            {
                "address": "Address",
                "standing": "Standing",
                "fingerprint": "Fingerprint",
                "held_by": "Held by",
            },
            "No certificate yet: `vaguemestre key publish` brings one.",
        )


# -- policies and audit -----------------------------------------------------------------------------------


@policies.command("check")
def policies_check(
    home: HomeOption = DEFAULT_HOME, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Check the rules: schema, ids, and that each one is called."""
    from deploy.node.console import check_policies

    faults = _run(check_policies(home.absolute(), config))
    _show(faults, as_json, "\n".join(faults) or "The rules hold together.")
    if faults:
        raise typer.Exit(1)


@audit.command("show")
def audit_show(
    limit: Annotated[int, typer.Option(help="How many of the latest entries.")] = 50,
    action: Annotated[str | None, typer.Option(help="Only this action: deliver, refuse, login...")] = None,
    address: Annotated[str | None, typer.Option(help="Only what concerns this account.")] = None,
    reference: Annotated[str | None, typer.Option(help="The reference a person was shown.")] = None,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Who did what, when, with which outcome. Never content."""
    rows = _command(
        home, config, "audit_show", limit=limit, action=action, address=address, reference=reference
    )
    if as_json:
        _show(rows, True, "")
    else:
        _table(
            rows,
            {
                "seq": "No",
                "time": "When (UTC)",
                "action": "Action",
                "who": "Who",
                "on": "On",
                "outcome": "Outcome",
                "reference": "Reference",
                "detail": "Detail",
            },
            "Nothing of that is in the trace.",
        )


@audit.command("verify")
def audit_verify(
    home: HomeOption = DEFAULT_HOME, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Walk the chain of hashes from its first entry to its last."""
    result = _command(home, config, "audit_verify")
    if result["broken"]:
        _show(result, as_json, f"The chain is broken: {result['broken']}")
        raise typer.Exit(1)
    _show(result, as_json, f"The chain is whole: {result['entries']} entries, head {result['head']}.")


def main() -> None:
    app()


if __name__ == "__main__":
    main()
