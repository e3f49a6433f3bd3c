"""`vaguemestre account national-id`: which professional an account is, for identity providers."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.node.terminal import DEFAULT_HOME, ConfigOption, HomeOption, JsonOption, ask_node, show


def national_id(
    address: str,
    identifier: Annotated[
        str | None,
        typer.Argument(
            metavar="ID",
            help="8 and the 11 digits of the RPPS number, or 0 and the ADELI number; '' unbinds.",
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show or bind the national identifier that a provider's login must vouch for."""
    found = ask_node(home, config, "account_national_id", address=address, national_id=identifier)
    show(found, as_json, f"{found['address']}: {found['national_id'] or 'no national identifier'}")
