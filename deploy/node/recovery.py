"""Check, backup and restore of a whole node: the store, the directory (not the listings, which can be had again), the
authority, the configuration.

Invariants: a backup never holds the KEK nor the keystore; the keystore's one copy lies apart and replaces the one
before, so that a destroyed key is gone there too; what is restored is verified before it is placed.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from deploy.node.composition import Node
from deploy.node.config import load, render
from deploy.node.control import Report, unheard
from deploy.node.directory_backup import copy_directory, restore_directory
from deploy.node.failures import StartError
from deploy.node.ground import migrate
from deploy.node.home import Home
from deploy.node.queue_standing import faults
from deploy.node.trust import FOLDER as TRUST_FOLDER
from mail_server.keys.keystore import copy_keystore
from mail_server.outbound.administration import hold_all
from mail_server.store.backup import backup_store
from mail_server.store.check import check_store
from mail_server.store.restore import restore_store
from mail_server.store.settings import StoreSettings
from mail_server.store.store import connector_for
from policies.trust_list.kept import Folder

_PACE_SECONDS = 0.1
_STORE = "store"
_AUTHORITY = "authority"
_TRUST = "trust-list"
_CONFIG = "vaguemestre.toml"


async def check_node(node: Node, report: Report) -> dict[str, Any]:
    """Read all that is stored. Harmless findings (what a kill leaves) are told apart."""
    config, home = node.config, node.home
    progress = _paced(report)
    findings = await asyncio.to_thread(
        lambda: list(check_store(config.store, home.path, node.keys, progress))
    )
    counted = await node.store.read(
        lambda reader: [
            (reader.sql.one(f"SELECT COUNT(*) FROM {table}") or (0,))[0]  # noqa: S608 - constant names
            for table in ("message", "blob")
        ]
    )
    rows = [
        {
            "kind": found.fault.value,
            "where": found.subject,
            "sentence": found.detail,
            "harmless": found.harmless,
        }
        for found in findings
    ] + await faults(node)
    return {
        "messages": counted[0],
        "blobs": counted[1],
        "faults": [row for row in rows if not row["harmless"]],
        "harmless": [row for row in rows if row["harmless"]],
    }


async def backup_node(node: Node, to: Path, keystore_to: Path | None, report: Report) -> dict[str, Any]:
    """Copy a node that may be serving. Raises StartError when the target is in use."""
    if to.exists() and any(to.iterdir()):
        raise StartError(f"{to} is not empty: give each backup a folder of its own.")
    if to.is_relative_to(node.home.path):
        raise StartError("A backup inside the home goes with it: choose another disk.")
    await asyncio.to_thread(_copy_all, node, to, keystore_to, partial(_paced(report), "letters, in bytes"))
    files = [path for path in to.rglob("*") if path.is_file()]
    return {"to": str(to), "files": len(files), "bytes": sum(path.stat().st_size for path in files)}


def _copy_all(node: Node, to: Path, keystore_to: Path | None, progress: Callable[[int, int], None]) -> None:
    home = node.home
    to.mkdir(mode=0o700, parents=True, exist_ok=True)
    backup_store(node.config.store, home.path, node.keys, to / _STORE, progress)
    copy_directory(node.config, home, to)
    shutil.copytree(home.authority, to / _AUTHORITY, ignore=shutil.ignore_patterns("S.*", "*.lock"))
    # Without it the first list after a restore would have nothing to be compared with.
    Folder(home.path / TRUST_FOLDER).copy_to(Folder(to / _TRUST))
    if home.config.exists():  # the one in use, wherever it lies
        shutil.copy2(home.config, to / _CONFIG)
        (to / _CONFIG).chmod(0o600)
    else:  # it was removed while the node serves: what is in force goes with the data all the same
        (to / _CONFIG).write_text(render(node.config.model_dump(exclude_unset=True)), encoding="utf-8")
        (to / _CONFIG).chmod(0o600)
    if keystore_to is not None and home.keystore.exists():
        copy_keystore(home.keystore, keystore_to)
    if keystore_to is not None and home.egress_keystore.exists():
        copy_keystore(home.egress_keystore, _of_the_gate(keystore_to))
    if keystore_to is not None and home.signatures.exists():
        copy_keystore(home.signatures, _of_signatures(keystore_to))


async def restore_home(
    source: Path, home: Path, keystore: Path | None, report: Report = unheard
) -> dict[str, Any]:
    """Put a backup into a home that holds no node yet. Raises StartError, BackupRefused."""
    target = Home(home)
    if not (source / _CONFIG).exists():
        raise StartError(f"{source} holds no backup of a node.")
    if target.config.exists() or target.directory_database.exists():
        raise StartError(f"{home} holds a node already: restore into an empty folder.")
    config = load(source / _CONFIG)
    target.make()
    progress = partial(_paced(report), "segments of letters")
    manifest = await asyncio.to_thread(restore_store, config.store, home, source / _STORE, progress)
    await asyncio.to_thread(restore_directory, config, target, source)
    shutil.copytree(source / _AUTHORITY, target.authority, dirs_exist_ok=True)
    shutil.copy2(source / _CONFIG, target.config)
    await asyncio.to_thread(Folder(source / _TRUST).copy_to, Folder(home / TRUST_FOLDER))
    if keystore is not None:
        await asyncio.to_thread(copy_keystore, keystore, target.keystore)
        if _of_the_gate(keystore).exists():
            await asyncio.to_thread(copy_keystore, _of_the_gate(keystore), target.egress_keystore)
        if _of_signatures(keystore).exists():
            await asyncio.to_thread(copy_keystore, _of_signatures(keystore), target.signatures)
    await asyncio.to_thread(migrate, target, config)
    held = await asyncio.to_thread(_hold_queue, config.store, home)
    return {
        "home": str(home),
        "config": str(target.config),
        "kek_id": manifest.kek_id,
        "keystore": keystore is not None,
        "held": held,
    }


def _hold_queue(settings: StoreSettings, home: Path) -> int:
    """Letters that waited to leave when the backup was made may have left since: a person says when they go."""
    driver = connector_for(settings, home).connect()
    try:
        driver.begin_write()
        held = hold_all(driver)
        driver.commit()
        return held
    finally:
        driver.close()


def _of_the_gate(keystore: Path) -> Path:
    """Where the egress gate's wraps lie apart: beside the copy of the keystore."""
    return keystore.with_name(f"{keystore.name}.egress")


def _of_signatures(keystore: Path) -> Path:
    """Where the wraps of the keys that sign lie apart: without them a restored node needs new lines in its zones."""
    return keystore.with_name(f"{keystore.name}.signatures")


def _paced(report: Report) -> Report:
    """For a thread that counts every letter: heard on the loop when a stage begins or ends, else ten times a second."""
    loop = asyncio.get_running_loop()
    last: tuple[str, float] = ("", 0.0)

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if stage != last[0] or done >= total or now - last[1] >= _PACE_SECONDS:
            last = (stage, now)
            loop.call_soon_threadsafe(report, str(stage), done, total)

    return progress
