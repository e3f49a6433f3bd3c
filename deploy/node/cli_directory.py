"""`vaguemestre directory`: professionals, organisations and their addresses, as this node knows them."""

from __future__ import annotations

import typer

directory = typer.Typer(no_args_is_help=True, help="Professionals, organisations and their addresses.")
