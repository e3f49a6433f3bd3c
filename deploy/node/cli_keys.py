"""`vaguemestre key publish-x509|revoke-x509|history`: S/MIME certificates, and what an address had until when."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from deploy.node.terminal import (
    DEFAULT_HOME,
    ConfigOption,
    HomeOption,
    JsonOption,
    ask_node,
    content,
    show,
    table,
)


def key_publish_x509(
    address: str,
    certificate: Annotated[
        Path, typer.Argument(help="S/MIME certificate, DER or PEM (with its intermediates behind it).")
    ],
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show this certificate in the directory (LDAP) for programs that know S/MIME alone, such as Outlook."""
    data = base64.b64encode(content(certificate)).decode()
    result = ask_node(home, config, "key_publish_x509", address=address, certificate=data)
    show(result, as_json, f"{address} has {result['fingerprint']} until {_day(result['not_after'])}.")


def key_revoke_x509(
    address: str,
    fingerprint: Annotated[
        str | None, typer.Argument(help="SHA-256, with or without colons; the one in force if left out.")
    ] = None,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="It is not compromised: it may be published again.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show this S/MIME certificate no more, at once."""
    result = ask_node(
        home, config, "key_revoke_x509", address=address, fingerprint=fingerprint, withdrawn=withdraw
    )
    show(result, as_json, f"{result['fingerprint']} is {'withdrawn' if withdraw else 'revoked'}.")


def key_history(
    address: str,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every certificate an address has or had: from when, until when, and why no longer."""
    rows = ask_node(home, config, "key_history", address=address)
    if as_json:
        show(rows, True, "")
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
