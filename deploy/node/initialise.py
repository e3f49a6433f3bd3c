"""`vaguemestre init`: a new node, from an empty folder to one that can serve.

Invariants: nothing that exists is overwritten (a KEK least of all); the KEK is made outside the home; every
step is repeatable, so that a failed init can be run again after its cause is removed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.node.config import load, render
from deploy.node.failures import StartError
from deploy.node.ground import migrate
from deploy.node.home import Home
from mail_server.keys.kek import load_kek, make_kek, refuse_under
from mail_server.sealing.authority import Authority


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the administrator asked for."""

    home: Path
    config: Path | None
    domains: tuple[str, ...]
    kek: Path
    hostname: str
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    trust_list: Path | None = None
    operator: str = "Vaguemestre"
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])


async def initialise(wishes: Wishes) -> dict[str, str]:
    """Make the node; returns the paths made. Raises StartError, ConfigError, KeyUnavailable."""
    home = Home(wishes.home)
    path = wishes.config or home.config
    if path.exists():
        raise StartError(f"{path} exists already: this node was made before.")
    refuse_under(wishes.kek, wishes.home)
    home.make()
    await asyncio.to_thread(make_kek, wishes.kek, wishes.home)
    path.write_text(render(_values(wishes)), encoding="utf-8")
    path.chmod(0o600)
    config = load(path)
    await asyncio.to_thread(migrate, home, config)
    keys = load_kek(config.keys, home.path)
    authority = Authority(home.authority, keys, config.accounts.domains[0])
    await asyncio.to_thread(authority.make)
    return {
        "home": str(home.path),
        "config": str(path),
        "kek": str(wishes.kek),
        "authority": str(home.authority_certificate),
    }


def _place_of_heads(kek: Path) -> Path:
    """Outside the home, until the administrator names a better place.

    Beside the KEK; but what runs as a service writes nothing under /etc: there its unit file opens this folder to it.
    """
    if kek.is_relative_to("/etc"):
        return Path("/var/log/vaguemestre/audit-heads.jsonl")
    return kek.with_name(f"{kek.stem}-audit-heads.jsonl")


def _values(wishes: Wishes) -> dict[str, dict[str, Any]]:
    """The configuration's keys that differ from their defaults."""
    values: dict[str, dict[str, Any]] = {
        "node": {"operator": wishes.operator},
        "accounts": {"domains": list(wishes.domains)},
        "keys": {"kek": str(wishes.kek)},
        "smtp": {"hostname": wishes.hostname},
    }
    tls = {"certificate": wishes.certificate, "key": wishes.key, "client_ca": wishes.client_ca}
    values["tls"] = {name: str(path) for name, path in tls.items() if path is not None}
    values["policies"] = {"audit_heads": str(_place_of_heads(wishes.kek))}
    if wishes.trust_list is not None:
        values["policies"]["trust_list"] = str(wishes.trust_list)
    for section, given in wishes.sections.items():
        values.setdefault(section, {}).update(given)
    return values
