"""A GnuPG home in memory for the time it takes to make one key.

Invariants: the folder lies on a memory file system (unless the administrator allowed otherwise) and is removed with
its agent before the caller goes on; nothing of GnuPG outlives the `with` block.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

from mail_server.keys.interface import KeyUnavailable
from mail_server.keys.settings import KeysSettings

_IN_MEMORY = frozenset({"tmpfs", "ramfs"})


def memory_folder(settings: KeysSettings) -> Path:
    """Where a GnuPG home may be made. Raises KeyUnavailable."""
    if settings.gnupg_folder is not None:
        candidates = [settings.gnupg_folder]
    else:
        run_time = os.environ.get("XDG_RUNTIME_DIR")
        # A relative or missing folder is no candidate; GnuPG's socket needs a short path.
        candidates = [Path(run_time)] if run_time else []
        candidates.append(Path("/dev/shm"))  # noqa: S108 - the very place wanted
    for folder in candidates:
        if not (folder.is_dir() and os.access(folder, os.W_OK)):
            continue
        if settings.gnupg_on_disk or is_in_memory(folder):
            return folder
    raise KeyUnavailable("no memory file system for GnuPG: mount a tmpfs and name it in keys.gnupg_folder")


def is_in_memory(folder: Path) -> bool:
    """Whether the mount that holds `folder` lives in memory (proc(5), mountinfo)."""
    resolved = folder.resolve()
    best, kind = Path("/"), ""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
        for line in mounts:
            fields = line.split()
            point = Path(fields[4].replace("\\040", " "))
            if resolved.is_relative_to(point) and len(point.parts) >= len(best.parts):
                best, kind = point, fields[fields.index("-") + 1]
    return kind in _IN_MEMORY


@contextlib.contextmanager
def gnupg_home(settings: KeysSettings) -> Generator[Path]:
    home = Path(tempfile.mkdtemp(prefix="vm-", dir=memory_folder(settings)))
    try:
        yield home
    finally:
        _end_agent(home)
        _remove(home)


def _end_agent(home: Path) -> None:
    """The agent started by itself; it must not keep a secret after the home is gone."""
    for arguments in (("--kill", "all"), ("--remove-socketdir",)):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                ["gpgconf", "--homedir", str(home), *arguments], capture_output=True, timeout=20, check=False
            )


def _remove(home: Path) -> None:
    for _ in range(50):
        try:
            shutil.rmtree(home)
        except FileNotFoundError:
            # The agent removes its sockets while we walk.
            if not home.exists():
                return
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise KeyUnavailable("a GnuPG home in memory could not be removed")
