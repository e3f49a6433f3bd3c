"""How much comes over the network, packed with gzip: the shell, and everything until a first letter can be read."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

SHELL = 25_000
HASHES = 5_000  # index.html: for the most part the import map: 52 octets a module, whose hashes do not pack
FIRST_LETTER = 130_000


class Packed:
    """The files of a built page, and what each brings with it."""

    def __init__(self, page: Path) -> None:
        self._assets = page / "assets"
        self.index = (page / "index.html").read_text("utf-8")

    def size(self, names: set[str]) -> int:
        return sum(len(gzip.compress((self._assets / name).read_bytes(), 9, mtime=0)) for name in names)

    def one(self, start: str, ending: str = "js") -> str:
        """The only file named so: `LogIn` is `LogIn-<hash>.js`."""
        found = [file.name for file in self._assets.glob(f"{start}-*.{ending}")]
        named = [name for name in found if re.fullmatch(rf"{re.escape(start)}-[\w-]{{8}}\.{ending}", name)]
        assert len(named) == 1, (start, found)
        return named[0]

    def with_imports(self, *names: str) -> set[str]:
        """Files, and all that they import at once (not what they bring later)."""
        found: set[str] = set()
        left = list(names)
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left += self._imports(name) if name.endswith(".js") else []
        return found

    def styles(self, *starts: str) -> set[str]:
        """The style sheets of screens and shared parts named so."""
        return {file.name for start in starts for file in self._assets.glob(f"{start}-*.css")}

    def _imports(self, name: str) -> list[str]:
        text = (self._assets / name).read_text("utf-8")
        return re.findall(r'(?:\bfrom|\bimport)\s*"\./([^"]+)"', text)

    def shell(self) -> set[str]:
        head = re.sub(r'<script type="importmap">.*?</script>', "", self.index)
        named = re.findall(r'(?:src|href)="/assets/([^"]+\.(?:js|css))"', head)
        return self.with_imports(*named, self.one("shell.fr"))


@pytest.fixture
def packed(shipped_page: Path) -> Packed:
    return Packed(shipped_page)


def test_the_shell_is_small(packed: Packed) -> None:
    shell = packed.shell()
    assert any(name.endswith(".css") for name in shell)
    assert packed.size(shell) <= SHELL
    assert len(gzip.compress(packed.index.encode(), 9, mtime=0)) <= HASHES


def test_the_shell_brings_neither_keys_nor_screens(packed: Packed) -> None:
    for heavy in (
        "openpgp",
        "openpgp_reading",
        "pdf",
        "argon2",
        "Activate",
        "LogIn",
        "Inbox",
        "Conversation",
        "Settings",
        "html",
    ):
        assert not any(name.startswith(f"{heavy}-") for name in packed.shell()), heavy
