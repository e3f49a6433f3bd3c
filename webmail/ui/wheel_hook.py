"""Hatchling's hook: the wheel and the source archive carry the built page.

A source archive brings the page with it, so that installing from it needs no Node.js.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageHook(BuildHookInterface[Any]):
    """Builds the page unless it is fresh, and puts it among the artifacts."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        build = _build(self.root)
        if os.environ.get("SKIP_WEB_BUILD") == "1" or build.is_fresh() or build.node_in_path():
            return []
        pinned = build.NODE_REQUIREMENT.read_text("utf-8").split(None, 1)[0]
        return [pinned]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        build = _build(self.root)
        try:
            build.build(say=self.app.display_info)
        except (build.BuildFailed, build.integrity.Unsealed) as failure:
            self.app.abort(str(failure))


def _build(root: str) -> Any:
    """The module that builds. It needs nothing but the standard library."""
    if root not in sys.path:
        sys.path.insert(0, root)
    from webmail.ui import build

    assert Path(build.__file__).is_relative_to(root), "another project's webmail stands before this one"
    return build
