"""Hashes in the built page: each module, the style sheet, the manifest; and no page without them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from webmail.built_page import Unreadable, import_map, page_headers, read_manifest, sri
from webmail.ui.integrity import Unsealed, seal


def test_every_module_static_or_lazy_has_its_hash_in_the_import_map(built: Path) -> None:
    mapped = import_map((built / "index.html").read_text())
    assert mapped is not None
    scripts = [built / "assets" / name for name in ("frame-b2.js", "index-a1.js", "screen-d4.js")]
    assert json.loads(mapped) == {
        "integrity": {f"/assets/{script.name}": sri(script.read_bytes()) for script in scripts}
    }


def test_without_the_list_of_modules_nothing_is_sealed(built: Path) -> None:
    assert not (built / "modules.json").exists()
    with pytest.raises(Unsealed):
        seal(built, "5" * 64)


def test_the_import_map_stands_before_whatever_loads_a_module(built: Path) -> None:
    page = (built / "index.html").read_text()
    assert page.index("importmap") < page.index('type="module"') < page.index("</head>")
    assert page.index("importmap") < page.index("modulepreload")


def test_the_first_script_and_the_style_sheet_name_their_hash(built: Path) -> None:
    page = (built / "index.html").read_text()
    assets = built / "assets"
    script, style = (sri((assets / name).read_bytes()) for name in ("index-a1.js", "style-c3.css"))
    assert f'<script type="module" src="/assets/index-a1.js" integrity="{script}"></script>' in page
    assert f'<link rel="stylesheet" href="/assets/style-c3.css" integrity="{style}">' in page


def test_the_same_files_give_the_same_bytes(built: Path, tmp_path: Path, lay: Callable[[Path], None]) -> None:
    again = tmp_path / "again"
    lay(again)
    seal(again, "5" * 64)
    for name in ("index.html", "manifest.sha256.json"):
        assert (again / name).read_bytes() == (built / name).read_bytes()


@pytest.mark.parametrize(
    "page",
    [
        '<script type="module" src="/assets/index-a1.js"></script><script>x()</script>',
        '<script type="module" src="/assets/index-a1.js"></script><style>a{}</style>',
        "<p>nothing to start</p>",
    ],
    ids=["inline script", "inline style", "no script"],
)
def test_a_page_that_its_policy_would_break_stops_the_build(built: Path, page: str) -> None:
    (built / "index.html").write_text(page)
    (built / "modules.json").write_text("[]" if "nothing" in page else '["assets/index-a1.js"]')
    with pytest.raises(Unsealed):
        seal(built, "5" * 64)


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"[]",
        b'{"sources": "x", "files": []}',
        b'{"sources": "x", "files": {}}',
        b'{"sources": "x", "files": {"/": "zz"}}',
        json.dumps({"sources": "x", "files": {"/": "0" * 64, "/../etc/passwd": "0" * 64}}).encode(),
        json.dumps({"sources": "x", "files": {"/": "0" * 64, "//host/a.js": "0" * 64}}).encode(),
    ],
)
def test_a_manifest_that_no_build_wrote_is_refused(manifest: bytes) -> None:
    with pytest.raises(Unreadable):
        read_manifest(manifest)


def test_no_headers_are_made_for_a_page_without_an_import_map() -> None:
    with pytest.raises(Unreadable):
        page_headers(b"<!doctype html>")
