"""The build of the page: when it is done, with which Node.js, and that anyone gets the same bytes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from webmail.ui import build

UI = Path(build.__file__).parent


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The page, built twice from the same sources."""
    node = build.node_here()
    if node is None or not (UI / "node_modules" / "vite").exists():
        pytest.skip("Node.js 20.19 or later, with the page's packages, is not installed")
    one, two = (tmp_path_factory.mktemp("built") / "page" for _ in range(2))
    build.assemble(node, one)
    build.assemble(node, two)
    return one, two


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }


@pytest.mark.parametrize(
    ("version", "wanted"),
    [
        ("v18.20.4", False),
        ("v20.18.1", False),
        ("v20.19.0", True),
        ("v21.7.3", False),
        ("v22.11.0", False),
        ("v22.12.0", True),
        ("v24.19.0", True),
        ("", False),
        ("what", False),
    ],
)
def test_only_a_node_that_the_bundler_knows_is_used(version: str, wanted: bool) -> None:
    assert build.wanted_node(version) is wanted


def test_a_node_that_is_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("node", "npm"):
        (tmp_path / name).write_text("#!/bin/sh\necho v18.20.4\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.node_in_path() is None


def test_the_page_is_made_from_what_the_source_archive_carries_and_no_tests() -> None:
    names = [file.relative_to(UI).as_posix() for file in build.sources()]
    assert {"index.html", "package-lock.json", "node.lock", ".npmrc", "build.py", "src/main.ts"} <= set(names)
    assert not any(
        name.startswith(("tests/", "node_modules/", ".node/")) or name == ".build.lock" for name in names
    )


def test_a_file_changed_changes_the_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "UI", tmp_path)
    (tmp_path / "src").mkdir()
    main = tmp_path / "src" / "main.ts"
    main.write_text("one")
    before = build.sources_hash()
    assert build.sources_hash() == before
    main.write_text("two")
    assert build.sources_hash() != before


def test_a_page_built_from_other_sources_is_not_fresh(built: Path) -> None:
    assert not build.is_fresh(built)


def test_a_page_built_from_these_sources_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, built: Path
) -> None:
    monkeypatch.setattr(build, "sources_hash", lambda: "5" * 64)
    monkeypatch.setenv("PATH", str(tmp_path))  # nothing can be run
    assert build.is_fresh(built)
    assert build.build(built, say=lambda _: None) is False


def test_a_file_changed_after_the_build_makes_it_stale(monkeypatch: pytest.MonkeyPatch, built: Path) -> None:
    monkeypatch.setattr(build, "sources_hash", lambda: "5" * 64)
    (built / "assets" / "index-a1.js").write_text("changed")
    assert not build.is_fresh(built)


def test_it_can_be_skipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SKIP_WEB_BUILD", "1")
    said: list[str] = []
    assert build.build(tmp_path / "static", say=said.append) is False
    assert not (tmp_path / "static").exists()
    assert said == ["SKIP_WEB_BUILD=1: the page is left as it is"]


def test_a_failure_is_one_sentence_and_the_old_page_stays(
    monkeypatch: pytest.MonkeyPatch, built: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "node"
    broken.write_text("#!/bin/sh\necho 'src/main.ts: unexpected token' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.delenv("SKIP_WEB_BUILD", raising=False)
    monkeypatch.setattr(build, "find_node", lambda _say: build.Node(broken, (str(broken),)))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    monkeypatch.setattr(build, "install", lambda _node, _say: None)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    before = (built / "index.html").read_bytes()
    with pytest.raises(build.BuildFailed, match=r"The page does not build(.|\n)*unexpected token"):
        build.build(built, say=lambda _: None)
    assert (built / "index.html").read_bytes() == before
    assert not list(built.parent.glob(".page-*"))


def test_lock_files_hold_hashes_and_no_registry() -> None:
    packages = (UI / "package-lock.json").read_text()
    assert '"resolved"' not in packages
    assert packages.count('"integrity": "sha512-') >= 50
    node = (UI / "node.lock").read_text()
    assert node.count("--hash=sha256:") >= 4
    assert not re.search(r"https?://", node)


def test_no_package_of_the_page_runs_a_script_at_its_installation() -> None:
    assert "ignore-scripts=true" in (UI / ".npmrc").read_text().splitlines()
    assert '"hasInstallScript"' not in re.sub(
        r'"node_modules/fsevents": \{.*?\}', "", (UI / "package-lock.json").read_text(), flags=re.DOTALL
    )


def test_the_seal_of_the_page_is_that_of_help() -> None:
    drawing = UI / "public" / "assets" / "sceau.svg"
    assert drawing.read_bytes() == (UI.parent / "pages" / "sceau.svg").read_bytes()


def test_two_builds_give_the_same_bytes(twice: tuple[Path, Path]) -> None:
    one, two = (files_of(folder) for folder in twice)
    assert one == two
    assert len(one) > 40


def test_no_source_map_is_shipped(twice: tuple[Path, Path]) -> None:
    for name, data in files_of(twice[0]).items():
        assert not name.endswith(".map")
        assert b"sourceMappingURL=" not in data[-200:], name


def test_no_module_of_the_page_names_another_host_to_load_from(twice: tuple[Path, Path]) -> None:
    loads = re.compile(rb"""(?:import|fetch|importScripts)\(\s*["'`]https?://""")
    for name, data in files_of(twice[0]).items():
        assert not loads.search(data), name


def test_licences_of_what_the_page_carries_go_with_it(twice: tuple[Path, Path]) -> None:
    text = (twice[0] / "assets" / "licences.txt").read_text()
    for package in ("svelte", "openpgp", "dompurify", "pdfjs-dist"):
        assert re.search(rf"^{package} \d", text, re.MULTILINE), package
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in text
