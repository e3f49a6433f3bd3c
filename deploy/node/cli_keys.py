"""`vaguemestre key publish-x509|revoke-x509|history`: S/MIME certificates, and what an address had until when."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from deploy.node.terminal import (
    Terminal,
    at_terminal,
    content,
    table,
)


@at_terminal
def key_publish_x509(
    terminal: Terminal,
    address: str,
    certificate: Annotated[
        Path, typer.Argument(help="S/MIME certificate, DER or PEM (with its intermediates behind it).")
    ],
) -> None:
    """Show this certificate in the directory (LDAP) for programs that know S/MIME alone, such as Outlook."""
    data = base64.b64encode(content(certificate)).decode()
    result = terminal.ask("key_publish_x509", address=address, certificate=data)
    terminal.show(result, f"{address} has {result['fingerprint']} until {_day(result['not_after'])}.")


@at_terminal
def key_revoke_x509(
    terminal: Terminal,
    address: str,
    fingerprint: Annotated[
        str | None, typer.Argument(help="SHA-256, with or without colons; the one in force if left out.")
    ] = None,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="It is not compromised: it may be published again.")
    ] = False,
) -> None:
    """Show this S/MIME certificate no more, at once."""
    result = terminal.ask("key_revoke_x509", address=address, fingerprint=fingerprint, withdrawn=withdraw)
    terminal.show(result, f"{result['fingerprint']} is {'withdrawn' if withdraw else 'revoked'}.")


@at_terminal
def key_history(terminal: Terminal, address: str) -> None:
    """Every certificate an address has or had: from when, until when, and why no longer."""
    rows = terminal.ask("key_history", address=address)
    if terminal.as_json:
        terminal.show(rows)
        return
    told = [
        row | {"since": _day(row["since"]), "until": _day(row["until"]), "why": row["why"] or "in force"}
        for row in rows
    ]
    columns = {
        "fingerprint": "Fingerprint",
        "family": "Family",
        "since": "Since",
        "until": "Until",
        "why": "Why",
    }
    table(told, columns, f"{address} never had a certificate.")


def _day(ms: int | None) -> str:
    return "" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
