"""`vaguemestre account`: who has a mailbox here, who reads a shared one, and what each program logs in with.

Invariant: a secret is shown once, when it is made, and never again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deploy.node.cli_life import add_life
from deploy.node.cli_notices import add_notices
from deploy.node.cli_readers import add_readers
from deploy.node.cli_signatures import add_forward
from deploy.node.cli_software import add_software
from deploy.node.terminal import (
    Terminal,
    at_terminal,
    content,
)
from mail_server.accounts.app_passwords import DEFAULT_DAYS

account = typer.Typer(no_args_is_help=True, help="Accounts: who has a mailbox here.")
password = typer.Typer(no_args_is_help=True, help="App passwords: one for each mail program.")
certificate = typer.Typer(no_args_is_help=True, help="Client certificates a system logs in with.")
add_life(account)
add_readers(account)
add_software(account)
add_forward(account)
add_notices(account)
account.add_typer(password, name="password")
account.add_typer(certificate, name="certificate")


@account.command("add")
@at_terminal
def account_add(
    terminal: Terminal,
    address: str,
    kind: Annotated[str, typer.Option(help="PER, ORG, APP or CAB.")] = "PER",
    client_certificate: Annotated[
        Path | None,
        typer.Option(help="APP: the system's client certificate (PEM); it logs in by SASL EXTERNAL."),
    ] = None,
    password: Annotated[bool, typer.Option(help="Make an app password and show it once.")] = True,
) -> None:
    """Give someone a mailbox. A person or a system also gets an app password, shown once."""
    result = terminal.ask(
        "account_add",
        address=address,
        kind=kind.upper(),
        certificate=content(client_certificate).decode("ascii", "replace") if client_certificate else None,
        password=password and kind.upper() in ("PER", "APP"),
    )
    words = f"{result['address']} ({result['kind']}) has a mailbox."
    if client_certificate:
        words += " It logs in with its certificate (SASL EXTERNAL)."
    if result.get("password"):
        words += f"\nApp password, shown this once: {result['password']}"
    terminal.show(result, words)


@account.command("list")
@at_terminal
def account_list(terminal: Terminal) -> None:
    """Every account, with how its letters lie now."""
    rows = terminal.ask("account_list")
    terminal.table(
        rows,
        {
            "address": "Address",
            "kind": "Kind",
            "mode": "Letters",
            "state": "State",
            "members": "Members",
        },
        "No account yet: `vaguemestre account add` makes one.",
    )


@password.command("add")
@at_terminal
def password_add(
    terminal: Terminal,
    address: str,
    label: Annotated[str, typer.Option(help="Which program or device it is for.")] = "mail program",
    protocol: Annotated[
        list[str] | None,
        typer.Option(help="Where it serves: imap, submission, jmap; several times for several. Else all."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="Days until it ends.")] = DEFAULT_DAYS,
    network: Annotated[
        str, typer.Option(help="Ranges it may be used from, such as '192.0.2.0/24 2001:db8::/32'. Else all.")
    ] = "",
) -> None:
    """Make one more app password, shown once."""
    result = terminal.ask(
        "account_password", address=address, label=label, protocols=protocol or [], days=days, network=network
    )
    terminal.show(result, f"App password, shown this once: {result['password']}")


@password.command("list")
@at_terminal
def password_list(terminal: Terminal, address: str) -> None:
    """Which app passwords an account has, and when each last served. Never the passwords."""
    rows = terminal.ask("password_list", address=address)
    columns = {
        "credential": "Id", "label": "For", "created": "Made (UTC)", "expires": "Until", "last_used": "Last used",
        "last_place": "From", "protocols": "Serves", "network": "Allowed from",
    }  # fmt: skip
    terminal.table(rows, columns, f"{address} has no app password.")


@password.command("revoke")
@at_terminal
def password_revoke(
    terminal: Terminal,
    address: str,
    credential: Annotated[str, typer.Argument(help="Its id, from `account password list`.")],
) -> None:
    """End an app password and the sessions that logged in with it."""
    result = terminal.ask("password_revoke", address=address, credential=credential)
    terminal.show(result, f"The app password {credential} of {address} is revoked; its sessions end.")


@certificate.command("list")
@at_terminal
def certificate_list(terminal: Terminal, address: str) -> None:
    """Which client certificates speak for an account."""
    rows = terminal.ask("certificate_list", address=address)
    columns = {"credential": "Id", "created": "Bound (UTC)", "matched": "Certificate"}
    terminal.table(rows, columns, f"No certificate speaks for {address}.")


@certificate.command("bind")
@at_terminal
def certificate_bind(
    terminal: Terminal,
    address: str,
    client_certificate: Annotated[Path, typer.Argument(help="The system's client certificate (PEM).")],
) -> None:
    """Let one more client certificate speak for a system's account: the next one, before the old expires."""
    pem = content(client_certificate).decode("ascii", "replace")
    result = terminal.ask("certificate_bind", address=address, certificate=pem)
    terminal.show(result, f"{client_certificate} speaks for {address}.")


@certificate.command("unbind")
@at_terminal
def certificate_unbind(
    terminal: Terminal,
    address: str,
    credential: Annotated[str, typer.Argument(help="Its id, from `account certificate list`.")],
) -> None:
    """A client certificate speaks for the account no more; the sessions it began end."""
    result = terminal.ask("certificate_unbind", address=address, credential=credential)
    terminal.show(result, f"The certificate {credential} speaks for {address} no more; its sessions end.")
