"""The rules of the house that a machine can check, over every tracked file."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("mail_server", "directory", "policies", "webmail", "deploy")
LONGEST = 600  # lines of a module; most stay under 400

# Written in pieces, so that this file does not hold what it looks for.
FOREIGN = [
    "/" + "work/",
    "/" + "root/",
    "/" + "home/runner",
    "pypi" + ".org",
    "python" + "hosted",
    "registry." + "npmjs",
    "deb." + "debian.org",
]


@cache
def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def texts() -> list[tuple[Path, str]]:
    found: list[tuple[Path, str]] = []
    for path in tracked():
        try:
            found.append((path.relative_to(ROOT), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return found


def modules() -> list[tuple[Path, str]]:
    return [(path, text) for path, text in texts() if path.suffix == ".py" and path.parts[0] in PACKAGES]


def test_no_file_names_a_machine_or_a_registry() -> None:
    found = [f"{path}: {word}" for path, text in texts() for word in FOREIGN if word in text]
    assert found == []


def test_the_lock_has_a_hash_for_every_package_and_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    entries = re.split(r"\n(?=\S)", lock.strip())
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert len(entries) > 20


def test_the_lock_holds_every_dependency() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*settings["project"]["dependencies"], *settings["dependency-groups"]["dev"]]
    locked = set(re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    names = {re.split(r"[\[<>=~!; ]", requirement)[0] for requirement in wanted}
    assert {name.lower() for name in names} <= {name.lower() for name in locked}


def test_nothing_else_stands_at_the_top() -> None:
    top = {path.relative_to(ROOT).parts[0] for path in tracked()}
    allowed = {
        *PACKAGES,
        "tests",
        "docs",
        "pyproject.toml",
        "README.md",
        "README.fr.md",
        "LICENSE",
        "CHANGELOG.md",
        "Makefile",
        "requirements.lock",
    }
    assert {name for name in top if not name.startswith(".")} <= allowed


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path) for path, text in modules() if text.strip() and not ast.get_docstring(ast.parse(text))
    ]
    assert silent == []


def test_no_module_is_a_drawer_or_too_long_to_read() -> None:
    drawers = {"utils.py", "util.py", "helpers.py", "helper.py", "manager.py", "common.py", "misc.py"}
    assert [str(path) for path, _ in modules() if path.name in drawers] == []
    assert [str(path) for path, text in modules() if text.count("\n") > LONGEST] == []


def test_nothing_is_left_for_later() -> None:
    marks = re.compile(r"\b(" + "TO" + r"DO|" + "FIX" + r"ME|X" + r"XX)\b")
    found = [
        str(path) for path, text in texts() if path.suffix in {".py", ".md", ".sh"} and marks.search(text)
    ]
    assert found == []


def test_every_package_tells_what_it_is_for() -> None:
    children = [path for path in (ROOT / "mail_server").iterdir() if (path / "__init__.py").is_file()]
    others = [ROOT / name for name in ("directory", "policies", "webmail", "deploy/node", "deploy/demo")]
    without = [str(p.relative_to(ROOT)) for p in (*children, *others) if not (p / "README.md").is_file()]
    assert without == []


def test_the_two_readmes_have_the_same_parts() -> None:
    def outline(name: str) -> list[int]:
        return [len(marks) for marks in re.findall(r"^(#+) ", (ROOT / name).read_text(), re.MULTILINE)]

    assert outline("README.md") == outline("README.fr.md")


def test_the_readmes_point_at_files_that_exist() -> None:
    for name in ("README.md", "README.fr.md"):
        text = (ROOT / name).read_text()
        for target in re.findall(r"\]\(([^)#]+)", text) + re.findall(r'(?:src|srcset)="([^"]+)"', text):
            if "://" not in target:
                assert (ROOT / target).exists(), f"{name}: {target}"
