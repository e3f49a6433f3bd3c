"""`vaguemestre`: the command line. Each command says what it did, or, with `--json`, answers for a machine.

Invariants: a command that writes goes through the running node, or takes the home's lock when none runs;
errors are one clear sentence on the error stream and exit code 1, never a trace.
"""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Annotated

import typer

from deploy.node.cli_accounts import account
from deploy.node.cli_api_keys import key as api_key
from deploy.node.cli_audit import audit
from deploy.node.cli_directory import directory
from deploy.node.cli_directory_import import directory_import
from deploy.node.cli_directory_publish import add_publication
from deploy.node.cli_egress import egress, key_peer
from deploy.node.cli_identity import national_id
from deploy.node.cli_keys import key_history, key_publish_x509, key_revoke_x509
from deploy.node.cli_life import limits, operator
from deploy.node.cli_outbound import add_outbound
from deploy.node.cli_policies import policies
from deploy.node.cli_profiles import profile
from deploy.node.cli_queue import queue
from deploy.node.cli_record import check as check_documents
from deploy.node.cli_reports import morning_letter, report
from deploy.node.cli_signatures import dkim
from deploy.node.cli_spaces import page_code, space
from deploy.node.cli_trust import trust_list
from deploy.node.control import NotUnderstood
from deploy.node.terminal import (
    DEFAULT_HOME,
    ConfigOption,
    HomeOption,
    JsonOption,
    Terminal,
    at_terminal,
    content,
    count,
    fail,
    progress,
    run,
    screen,
    show,
    table,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Vaguemestre: secure health messaging. Letters are sealed before they are laid down.",
)
key = typer.Typer(no_args_is_help=True, help="Certificates that seal to an account.")
account.command("page-code")(page_code)
account.command("national-id")(national_id)
account.command("profile")(profile)
account.command("morning-letter")(morning_letter)
add_outbound(account, space)
add_publication(directory)
directory.command("import")(directory_import)
directory.add_typer(api_key, name="key")
report.command("check")(check_documents)
app.add_typer(account, name="account")
app.add_typer(space, name="space")
app.add_typer(key, name="key")
app.add_typer(egress, name="egress")
key.command("peer")(key_peer)
key.command("publish-x509")(key_publish_x509)
key.command("revoke-x509")(key_revoke_x509)
key.command("history")(key_history)
app.add_typer(audit, name="audit")
app.add_typer(policies, name="policies")
app.add_typer(trust_list, name="trust-list")
app.add_typer(limits, name="limits")
app.add_typer(operator, name="operator")
app.add_typer(report, name="report")
app.add_typer(queue, name="queue")
app.add_typer(dkim, name="dkim")
app.add_typer(directory, name="directory")


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
    made = run(initialise(wishes))
    words = (
        f"Node made in {home}.\nConfiguration: {made['config']}\n"
        f"Key-encryption key: {made['kek']} - keep a copy apart: without it nothing here opens again."
    )
    if not (certificate and private_key and client_ca):
        words += "\nBefore `vaguemestre serve`: fill the [tls] section of the configuration."
    show(made, as_json, words)


@app.command()
def serve(home: HomeOption = DEFAULT_HOME, config: ConfigOption = None) -> None:
    """Serve until SIGTERM; SIGHUP reloads certificates, rules and the trust list."""
    from deploy.node.lifecycle import run_node

    failure = run_node(home.absolute(), config)
    if failure:
        raise fail(failure)


@app.command()
def demo(
    home: HomeOption = DEFAULT_HOME,
    port_base: Annotated[int, typer.Option(help="Added to each standard port.")] = 10000,
    once: Annotated[
        bool, typer.Option("--once", help="Play the story, then stop: 0 if every step held.")
    ] = False,
    federation: Annotated[
        bool,
        typer.Option(
            "--federation", help="With a second operator (ports above 2000 more), and one that misbehaves."
        ),
    ] = False,
) -> None:
    """Start a whole operator with invented people on this machine, and play the first letters."""
    from deploy.demo.story import run_demo

    if not run_demo(home.absolute(), port_base, once=once, federated=federation):
        raise typer.Exit(1)


@app.command()
@at_terminal
def doctor(
    terminal: Terminal,
    probe: Annotated[
        str | None,
        typer.Option(
            help="Account to send a test letter to itself; its app password in $VAGUEMESTRE_PROBE_PASSWORD."
        ),
    ] = None,
) -> None:
    """Find what is wrong: files, keys, certificates, trust list, disk, and a letter through the whole way."""
    from deploy.node.doctor import Probe, examine_node

    findings = run(examine_node(terminal.home.absolute(), terminal.config, Probe(probe) if probe else None))
    if terminal.as_json:
        terminal.show([finding.as_json() for finding in findings])
    else:
        for finding in findings:
            screen.print(
                f"{finding.mark} {finding.subject}: {finding.sentence}", markup=False, highlight=False
            )
    if any(finding.failed for finding in findings):
        raise typer.Exit(1)


@app.command()
@at_terminal
def check(terminal: Terminal) -> None:
    """Read everything that is stored, and say what is damaged."""
    result = terminal.ask_at_length("check")
    terminal.show(result, f"{count(result['messages'], 'message')}, {count(result['blobs'], 'blob')} read.")
    if result["faults"]:
        if not terminal.as_json:
            table(result["faults"], {"kind": "What", "where": "Where", "sentence": "Meaning"}, "")
        raise typer.Exit(1)
    if not terminal.as_json:
        screen.print("Nothing is damaged.")


@app.command()
@at_terminal
def backup(
    terminal: Terminal,
    to: Annotated[Path, typer.Option("--to", help="Folder for the copy; made if absent.")],
    keystore_to: Annotated[
        Path | None,
        typer.Option(help="Copy the keystore here, apart from the backup; it replaces the copy before."),
    ] = None,
) -> None:
    """Copy the node's data, consistent, while it serves. Never the keystore, never the KEK."""
    result = terminal.ask_at_length(
        "backup", to=str(to.absolute()), keystore_to=str(keystore_to.absolute()) if keystore_to else None
    )
    terminal.show(result, f"Backup in {to}: {result['files']} files, {result['bytes']} bytes.")


@app.command()
def restore(
    source: Annotated[Path, typer.Option("--from", help="Folder made by `backup`.")],
    keystore: Annotated[Path | None, typer.Option(help="Copy of the keystore, kept apart.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Put a backup back into an empty home. Mail programs will read their folders again."""
    from deploy.node.recovery import restore_home

    with progress(as_json) as report:
        result = run(
            restore_home(
                source.absolute(), home.absolute(), keystore.absolute() if keystore else None, report
            )
        )
    words = (
        f"Restored into {home}; its configuration is {result['config']}. See that `keys.kek` there names the "
        "key-encryption key, then `serve`."
    )
    if result["held"]:
        words += (
            f"\n{count(result['held'], 'letter')} for other operators may have left since the backup was made: held."
            " `vaguemestre queue list --state held`, then `queue release` or `queue cancel`."
        )
    if not result["keystore"]:
        words += (
            "\nNo keystore was given: what waits for its addressee, if anything, opens only with its copy."
        )
    show(result, as_json, words)


# -- the page ---------------------------------------------------------------------------------------------


@app.command("verify-page")
def verify_page(
    url: Annotated[str, typer.Argument(help="Where the page is served: https://messages.example.")],
    manifest: Annotated[
        Path | None,
        typer.Option(help="Manifest of a release (manifest.sha256.json); the installed page's if left out."),
    ] = None,
    ca: Annotated[
        Path | None, typer.Option(help="Authorities to trust instead of the system's (PEM).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch the page a server gives, and compare every file and header with what was published."""
    from webmail.verify_page import NotVerifiable, published_manifest, verify_page

    try:
        verdict = verify_page(url, published_manifest(manifest), ca=ca)
    except NotVerifiable as failure:
        raise fail(str(failure)) from None
    words = "\n".join(difference.sentence for difference in verdict.differences)
    told = {
        "url": verdict.url,
        "same": verdict.same,
        "files": verdict.files,
        "sources": verdict.sources,
        "differences": [
            {"path": one.path, "fault": one.fault.name.lower(), "detail": one.detail}
            for one in verdict.differences
        ],
    }
    show(
        told,
        as_json,
        words or f"{verdict.url} serves the published page: {verdict.files} files are the same.",
    )
    if not verdict.same:
        raise typer.Exit(1)


# -- keys -------------------------------------------------------------------------------------------------


@key.command("publish")
@at_terminal
def key_publish(
    terminal: Terminal,
    address: str,
    certificate: Annotated[Path, typer.Argument(help="OpenPGP certificate, armored or binary.")],
) -> None:
    """Seal to this certificate from now on; what waited or lay in custody is sealed to it."""
    import base64

    data = base64.b64encode(content(certificate)).decode()
    result = terminal.ask("key_publish", address=address, certificate=data)
    terminal.show(result, f"{address} is sealed to {result['fingerprint']} from now on.")


@key.command("revoke")
@at_terminal
def key_revoke(
    terminal: Terminal,
    address: str,
    fingerprint: Annotated[
        str | None, typer.Argument(help="Which one; the one in force if left out.")
    ] = None,
    revocation: Annotated[
        Path | None, typer.Option(help="The holder's own revocation, shown to everybody from now on.")
    ] = None,
) -> None:
    """Nothing is sealed to this certificate any more; until another is published, letters are refused."""
    import base64

    given = base64.b64encode(content(revocation)).decode() if revocation is not None else None
    result = terminal.ask("key_revoke", address=address, fingerprint=fingerprint, revocation=given)
    terminal.show(result, f"{result['fingerprint']} is revoked.")


@key.command("list")
@at_terminal
def key_list(terminal: Terminal) -> None:
    """Which certificate seals to whom."""
    rows = terminal.ask("key_list")
    terminal.table(
        rows,
        {
            "address": "Address",
            "family": "Family",
            "standing": "Standing",
            "fingerprint": "Fingerprint",
            "held_by": "Held by",
        },
        "No certificate yet: `vaguemestre key publish` brings one.",
    )


def main() -> None:
    # 2,000 modules are loaded, none of them garbage: the collector, at its usual pace, took a third of a start.
    gc.set_threshold(50_000, 20, 100)
    try:
        app()
    except NotUnderstood as failure:  # seen where an answer is shown: by then nothing is asked any more
        raise SystemExit(fail(str(failure)).exit_code) from None


if __name__ == "__main__":
    main()
