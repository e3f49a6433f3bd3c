"""PatchObject (RFC 8620 §5.3): changes to an object, each under the pointer of what it changes.

Invariants: a patch is checked whole before anything is made of it; the object given is never touched; a patch
that breaks a rule of §5.3 is `invalidPatch`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, cast

from mail_server.jmap.protocol.errors import SetError
from mail_server.jmap.protocol.pointer import PointerError, tokens


def _refused(description: str) -> SetError:
    return SetError("invalidPatch", description)


def apply_patch(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """The object as the patch leaves it: null removes (or sets to its default, which is the caller's to know).

    Raises SetError invalidPatch.
    """
    paths = _paths(patch)
    patched = copy.deepcopy(dict(target))
    for path, value in paths.items():
        *parents, last = path
        inside = patched
        for token in parents:
            # Rule 2 of §5.3: all parts before the last exist; rule 1: none of them is an array.
            step = inside.get(token)
            if not isinstance(step, dict):
                raise _refused("A pointer leads through something that is not an object there")
            inside = cast("dict[str, Any]", step)
        if value is None and parents:
            inside.pop(last, None)
        else:
            inside[last] = value
    return patched


def _paths(patch: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    paths: dict[tuple[str, ...], Any] = {}
    for pointer, value in patch.items():
        try:
            path = tuple(tokens("/" + pointer))  # §5.3: the leading slash is implicit
        except PointerError:
            raise _refused("A key of the patch is no pointer") from None
        if path in paths:
            raise _refused("Two pointers name the same thing")
        paths[path] = value
    for path in paths:
        # Rule 3: no pointer is the beginning of another.
        if any(path[:length] in paths for length in range(1, len(path))):
            raise _refused("One pointer is the beginning of another")
    return paths
